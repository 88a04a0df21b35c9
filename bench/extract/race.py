#!/usr/bin/env python3
"""Extraction from files to files against the loops that people run (peers.py), in turn, on the same threads.

    bench/extract/race.py build/striate IMAGES_DIR [--threads 2] [--images 64] [--repeat 1] [--cases alexnet5 …]
Wall and processor seconds of whole processes, start-up included; on a machine that others use, the latter count."""
import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BLOCKS = [f"layer{i}_bottleneck{j}" for i, n in ((1, 3), (2, 4), (3, 6), (4, 3)) for j in range(n)]
CASES = {"alexnet5": ("alexnet", ["conv1", "conv2", "conv3", "conv4", "conv5"]),
         "resnet50_17": ("resnet50", ["conv"] + BLOCKS), "squeezenet": ("squeezenet1_0", None)}


def cpu_of(line, env):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.time()
    out = subprocess.run(line, check=True, capture_output=True, text=True, env=env).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.time() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--peers", nargs="+", default=["loader", "thingsvision", "dnnbrain"])
    o = parser.parse_args()
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    for case in o.cases:
        network, layers = CASES[case]
        card = ROOT / "configs/networks" / f"{network}.yaml"
        with tempfile.TemporaryDirectory() as folder:
            weights = f"{folder}/net.ts.pt"
            subprocess.run([sys.executable, str(ROOT / "tools/export_network.py"), network, "--seed", "1", "--out", weights],
                           check=True, capture_output=True)
            pictures = pathlib.Path(folder, "pictures")
            pictures.mkdir()
            for path in sorted(p for p in o.pictures.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[:o.images]:
                (pictures / path.name).symlink_to(path.resolve())
            pathlib.Path(folder, "extract.yaml").write_text(
                f"stimuli: {{folder: {pictures}}}\nnetwork: {card}\nweights: {weights}\n"
                f"layers: {'all' if layers is None else '[' + ', '.join(layers) + ']'}\nself_test: false\noutput: act.h5\n")
            best = {}
            for _ in range(o.repeat):
                lines = {"striate": ([str(o.program), "extract", f"{folder}/extract.yaml", "--threads", str(o.threads), "--fresh",
                                      "--quiet"], dict(env, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1"))}
                for peer in o.peers:
                    lines[peer] = ([sys.executable, str(HERE / "peers.py"), peer, network, str(card), str(pictures),
                                    str(o.threads), "--images", str(o.images), *(["--layers", *layers] if layers else [])],
                                   dict(env, OMP_NUM_THREADS=str(o.threads)))
                for name, (line, environment) in lines.items():
                    wall, cpu, _ = cpu_of(line, environment)
                    old = best.get(name, (1e9, 1e9))
                    best[name] = (min(old[0], wall), min(old[1], cpu))
            wall, cpu = best["striate"]
            print(f"{case}, {o.images} pictures: striate {wall:.1f} s, {cpu:.1f} CPU s" + "".join(
                f"; {name} {w:.1f} s, {c:.1f} CPU s ({w / wall:.1f} and {c / cpu:.1f} times)"
                for name, (w, c) in best.items() if name != "striate"), flush=True)


if __name__ == "__main__":
    main()
