#!/usr/bin/python3
"""Does `encode` keep to its memory where the data do not fit? Peak resident size against the plan and the budget.

    bench/scale/large.py STRIATE [--only NAME,…] [--folder DIR]
wide: a layer of 1,000,000 units, streamed (2.4 GB). targets: 300,000 targets (1.2 GB). tall: 10,000 stimuli × 6,000
units, 20 alphas, one of 5 folds with 5 inner ones, 2,048 of 300,000 targets, two ranks; the time of all folds and
targets follows from that of its parts, which log.txt tells. Resident size is the sum over ranks of what each alone holds, and of its share of what they hold in common
(Pss), sampled; what a program that has nothing to do holds is told beside it. With --folder a run that was stopped
goes on, and data stay there.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

# name: (rows, units, targets, ranks, GiB a rank, folds)
CASES = {
    "wide": (600, 1_000_000, 2000, 1, 0.75, "{folds: 5}"),
    "targets": (1000, 2000, 300_000, 1, 0.5, "{folds: 3, inner: {folds: 3}}"),
    "tall": (10_000, 6000, 2048, 2, 4, "{split: part, inner: {folds: 5}}"),
}
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                   OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


def make(folder, case):
    import h5py
    import numpy as np
    n, p, t, _, memory, folds = CASES[case]
    random = np.random.default_rng(1)
    (folder / "s.stim.csv").write_text("type=image\npath=.\ndata=stimID,part\n" +
                                        "".join(f"s{i},{'test' if i < n // 5 else 'train'}\n" for i in range(n)))
    shared = random.standard_normal((n, 40), dtype="f4")  # features correlate, as a network's do
    with h5py.File(folder / "act.h5", "w") as file:
        layer = file.create_dataset("layer", (n, p), "f4", chunks=(min(n, 64), min(p, 16384)))
        for a in range(0, p, 65536):
            b = min(p, a + 65536)
            x = shared @ random.standard_normal((40, b - a), dtype="f4") / 6 + random.standard_normal((n, b - a), dtype="f4")
            layer[:, a:b] = x
            first = x[:, :200].copy() if a == 0 else first
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", "f4", (n, t))
    for a in range(0, t, 10_000):
        b = min(t, a + 10_000)
        y[:, a:b] = random.standard_normal((n, b - a), dtype="f4") + 4 * first @ random.standard_normal((200, b - a), dtype="f4") / 14
    (folder / "encode.yaml").write_text(
        f"features: {{store: act.h5, stimuli: s.stim.csv}}\nresponses: {{data: y.npy, stimuli: s.stim.csv}}\n"
        f"cv: {folds}\nmemory: {memory}\noutput: out\n")


def resident(pids):
    total = 0
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total += int(re.search(r"^Pss: +(\d+)", text, re.M).group(1)) * 1024
    return total


def ranks_of(program):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "exe").resolve() == program:
                found.append(entry.name)
        except OSError:
            pass
    return found


def run(program, folder, ranks, *more):
    """Standard output, seconds, peak bytes of all ranks together."""
    begun, peak = time.time(), 0
    # The ranks of this run alone: the program is called by a name of its own.
    own = folder / "striate"
    if not own.exists():
        own.write_bytes(program.read_bytes())
        own.chmod(0o755)
    command = ["mpiexec", "-n", str(ranks), "--oversubscribe", str(own), "encode", "encode.yaml", "--threads", "1", *more]
    with open(folder / "said", "w+", encoding="utf-8") as said:
        child = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=said, stderr=subprocess.STDOUT)
        while child.poll() is None:
            peak = max(peak, resident(ranks_of(own.resolve())))
            time.sleep(0.2)
        said.seek(0)
        text = said.read()
    if child.returncode != 0:
        sys.exit(f"striate failed: {text}")
    return text, time.time() - begun, peak


def measure(program, folder, case):
    ranks = CASES[case][3]
    if not (folder / "encode.yaml").exists():
        make(folder, case)
    text = run(program, folder, ranks, "--dry-run")[0]
    memory = re.search(r"^ +memory +([\d.]+ \w+) a rank, ([\d.]+ \w+) a node", text, re.M)
    estimate = re.search(r"^ +estimated time +(.*) here", text, re.M).group(1)
    _, seconds, peak = run(program, folder, ranks)
    _, _, idle = run(program, folder, ranks)
    print(f"{case}: planned {memory.group(1)} a rank and {memory.group(2)} a node; peak {peak / 2**20:.0f} MiB of all "
          f"{ranks} ranks ({idle / 2**20:.0f} MiB of them without work), budget {1024 * ranks * CASES[case][4]:.0f} MiB; "
          f"estimated {estimate}, took {seconds:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("striate", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", type=pathlib.Path)
    args = parser.parse_args()
    program = args.striate.resolve()
    for case in CASES:
        if args.only and case not in args.only.split(","):
            continue
        if args.folder:
            (args.folder / case).mkdir(parents=True, exist_ok=True)
            measure(program, args.folder.resolve() / case, case)
        else:
            with tempfile.TemporaryDirectory(prefix="striate-large-") as name:
                measure(program, pathlib.Path(name).resolve(), case)


if __name__ == "__main__":
    main()
