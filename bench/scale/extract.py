#!/usr/bin/env python3
"""Extraction at scale: a plan of a million stimuli by ten layers, and a hundred thousand really extracted, killed halfway
and resumed. Time, peak memory, and whether the resumed store is the undisturbed one.

    bench/scale/extract.py build/striate [--plan 1000000] [--run 100000] [--ranks 1] [--folder /tmp]
Pictures are 32 × 32 PNG: twenty of them, under as many names as there are stimuli (hard links).
"""
import argparse
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1",
                   OPENBLAS_NUM_THREADS="1", OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1")


def make_pictures(folder, count):
    import numpy
    from PIL import Image
    random = numpy.random.default_rng(1)
    folder.mkdir()
    bases = []
    for i in range(20):
        path = folder / f"base{i}.png"
        Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=numpy.uint8)).resize((32, 32)).save(path)
        bases.append(path)
    rows = []
    for i in range(count):  # a thousand a folder, as large sets are kept
        name = f"{i // 1000:04d}/{i:07d}.png"
        if i % 1000 == 0:
            (folder / name).parent.mkdir()
        os.link(bases[i % 20], folder / name)
        rows.append(name)
    return rows


def make_network(folder):
    import torch
    torch.manual_seed(1)
    layers, channels = [], 3
    for i in range(10):
        layers.append(torch.nn.Conv2d(channels, 16, 3, stride=2 if i in (0, 3) else 1, padding=1))
        channels = 16
    torch.jit.script(torch.nn.Sequential(*layers).eval()).save(str(folder / "small.ts.pt"))
    names = ", ".join(f'conv{i}: "{i}"' for i in range(10))
    (folder / "small.yaml").write_text("name: small\nsource: a benchmark\nweights: small.ts.pt\n"
                                       "input: {size: [32, 32], channels: rgb}\npreprocessing: {crop: none}\n"
                                       f"layers: {{{names}}}\n")


def write_config(folder, name, rows):
    (folder / f"{name}.stim.csv").write_text("type=image\npath=pictures\ndata=stimID\n" + "\n".join(rows) + "\n")
    (folder / f"{name}.yaml").write_text(f"stimuli: {name}.stim.csv\nnetwork: small.yaml\nlayers: all\ndtype: float16\n"
                                         f"batch: 64\noutput: {name}.act.h5\n")


def command(program, ranks, *args):
    return (["mpiexec", "--bind-to", "none", "-n", str(ranks)] if ranks > 1 else []) + [str(program), "extract", *map(str, args)]


def measured(line):
    """Wall seconds, CPU seconds, peak MiB of the largest process, output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.time()
    done = subprocess.run(["/usr/bin/time", "-f", "%M", *line], env=ENVIRONMENT, text=True, capture_output=True, check=True)
    wall = time.time() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, int(done.stderr.strip().splitlines()[-1]) / 1024, done.stdout


def plan(program, folder, rows):
    write_config(folder, "plan", rows)
    wall, cpu, peak, text = measured(command(program, 1, folder / "plan.yaml", "--dry-run"))
    print(f"plan of {len(rows)} stimuli x 10 layers: {wall:.1f} s ({cpu:.1f} CPU s), peak {peak:.0f} MiB", flush=True)
    print("\n".join(line for line in text.splitlines() if "units" in line or "memory" in line or "written" in line))


def run(program, folder, rows, ranks):
    write_config(folder, "run", rows)
    config, store = folder / "run.yaml", folder / "run.act.h5"
    wall, cpu, peak, _ = measured(command(program, ranks, config, "--quiet"))
    print(f"{len(rows)} stimuli x 10 layers, {ranks} rank(s): {wall:.1f} s ({cpu:.1f} CPU s, {len(rows) / cpu:.0f} a CPU second), "
          f"peak {peak:.0f} MiB a rank, {store.stat().st_size / 2**30:.2f} GiB", flush=True)
    whole = folder / "whole.act.h5"
    store.rename(whole)
    job = subprocess.Popen(command(program, ranks, config, "--quiet"), env=ENVIRONMENT, start_new_session=True)
    time.sleep(0.5 * wall)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    state = subprocess.run([program, "status", "extract", config], env=ENVIRONMENT, text=True, capture_output=True, check=False)
    print("killed:", state.stdout.strip(), flush=True)
    wall, cpu, peak, _ = measured(command(program, ranks, config, "--quiet"))
    same = subprocess.run([program, "info", "--compare", whole, store], env=ENVIRONMENT, text=True, capture_output=True, check=False)
    print(f"resumed: {wall:.1f} s ({cpu:.1f} CPU s), peak {peak:.0f} MiB; against the undisturbed one: {same.stdout.strip()}")
    whole.unlink()
    store.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--plan", type=int, default=1000000)
    parser.add_argument("--run", type=int, default=100000)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="striate-scale-", dir=options.folder))
    try:
        rows = make_pictures(folder / "pictures", max(options.plan, options.run))
        make_network(folder)
        if options.plan:
            plan(options.program.resolve(), folder, rows[:options.plan])
        if options.run:
            run(options.program.resolve(), folder, rows[:options.run], options.ranks)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
