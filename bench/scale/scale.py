#!/usr/bin/python3
"""Is the plan honest? `--dry-run` against what `striate encode` then takes, model by model.

    bench/scale/scale.py STRIATE [--only NAME,…] [--repeat 1]
One rank of one thread. For each case the estimate is taken before and after the run (its calibration feels what else the
machine does) and their mean compared with CPU seconds and wall seconds of the run; the planned memory, a rank's and a
node's together, with the peak resident size. CPU time is what counts on a busy machine; start-up (the same run with
nothing to do) is taken off both times. Ratios are planned / measured.
"""
import argparse
import multiprocessing
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

RIDGE = "{type: ridge}"
# name: (rows, features of each layer, targets, model, more of the config)
CASES = {
    "ridge, dual, p >> n": (1000, [20000], 4000, RIDGE, "cv: {folds: 4, inner: {folds: 4}}"),
    "ridge, dual, raw": (1200, [10000], 6000, RIDGE, "cv: {folds: 4, inner: {folds: 4}}\nRAW"),
    "ridge, primal": (4000, [300], 8000, RIDGE, "cv: {folds: 4, inner: {folds: 4}}"),
    "ridge on pca": (1100, [5000], 20000, RIDGE, "cv: {folds: 4, inner: {folds: 4}}\nPCA"),
    "lasso": (500, [200], 200, "{type: lasso}", "cv: {folds: 3, inner: {folds: 3}}"),
    "lasso on pca": (1100, [4000], 8000, "{type: lasso}", "cv: {folds: 4, inner: {folds: 4}}\nPCA"),
    "pls": (1000, [7000], 5000, "{type: pls}", "cv: {folds: 4, inner: {folds: 4}}"),
    "banded_ridge": (400, [2000, 3000], 2500, "{type: banded_ridge, n_iter: 20}", "cv: {folds: 4, inner: {folds: 4}}"),
    "univariate": (1200, [20000], 5000, "{type: univariate}", "cv: {folds: 4}"),
    "permutations, refit": (400, [2000, 5000], 1500, RIDGE, "cv: {folds: 4, inner: {folds: 4}}\npermutation: {n: 20}"),
    "permutations, maps": (400, [2000, 5000], 6000, RIDGE,
                           "cv: {folds: 4, inner: {folds: 4}}\npermutation: {n: 6}\nsave: permutations"),
    "permutations, fixed_alpha": (600, [2000, 5000], 3000, RIDGE,
                                  "cv: {folds: 4, inner: {folds: 4}}\npermutation: {n: 80, scheme: fixed_alpha}"),
}
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1",
                   OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "s": 1, "min": 60, "h": 3600}


def make(folder, case):
    import h5py
    import numpy as np
    rows, widths, targets, model, more = CASES[case]
    random = np.random.default_rng(1)
    shared = random.standard_normal((rows, 40), dtype="f4")  # features correlate, as a network's do
    names = [f"s{i}" for i in range(rows)]
    (folder / "s.stim.csv").write_text("type=image\npath=.\ndata=stimID\n" + "\n".join(names) + "\n")
    y = random.standard_normal((rows, targets), dtype="f4")
    with h5py.File(folder / "act.h5", "w") as file:
        for i, width in enumerate(widths):
            x = shared @ random.standard_normal((40, width), dtype="f4") / 6 + random.standard_normal((rows, width), dtype="f4")
            file[f"layer{i}"] = x
            y += 4 * x[:, :200] @ random.standard_normal((min(200, width), targets), dtype="f4") / 14
    np.save(folder / "y.npy", y)
    transform = "{pca: 100}" if "PCA" in more else "{standardize: false}" if "RAW" in more else "{}"
    more = more.replace("\nPCA", "").replace("\nRAW", "")
    (folder / "encode.yaml").write_text(
        f"features: {{store: act.h5, stimuli: s.stim.csv, transform: {transform}}}\n"
        f"responses: {{data: y.npy, stimuli: s.stim.csv}}\nmodel: {model}\n{more}\noutput: out\n")


def run(program, folder, *more):
    """Standard output, wall seconds, CPU seconds, peak bytes."""
    begun = time.time()
    with open(folder / "said", "w+", encoding="utf-8") as said:
        child = subprocess.Popen([program, "encode", "encode.yaml", "--threads", "1", *(() if "--verbose" in more else ("--quiet",)), *more], cwd=folder,
                                 env=ENVIRONMENT, stdout=said, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.time() - begun
        said.seek(0)
        text = said.read()
    if status != 0:
        sys.exit(f"striate failed: {text}")
    return text, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


def amount(text):
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (bytes|[KMG]iB|s|min|h)\b", text))


def planned(program, folder):
    text = run(program, folder, "--dry-run")[0]
    line = lambda what: re.search(rf"^ +{what} +(.*)$", text, re.M).group(1)
    memory = line("memory").split(" (")[0]
    return amount(line("estimated time").split(" here")[0]), amount(memory)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("striate", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--repeat", type=int, default=1)
    args = parser.parse_args()
    program = args.striate.resolve()
    print(f"{'case':<28}{'planned s':>10}{'CPU s':>8}{'wall s':>8}{'/ CPU':>7}{'/ wall':>7}{'plan MiB':>10}{'RSS MiB':>9}"
          f"{'ratio':>7}", flush=True)
    for case in CASES:
        if args.only and not any(word in case for word in args.only.split(",")):
            continue
        with tempfile.TemporaryDirectory(prefix="striate-scale-") as name:
            folder = pathlib.Path(name)
            # In a process of its own: a child's peak counts what its parent held when it was forked.
            maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder, case))
            maker.start(), maker.join()
            if maker.exitcode != 0:
                sys.exit(f"{case}: no data")
            for _ in range(args.repeat):
                before, memory = planned(program, folder)
                _, wall, cpu, peak = run(program, folder, "--fresh")
                after, _ = planned(program, folder)
                _, idle_wall, idle_cpu, idle_peak = run(program, folder)
                seconds = (before + after) / 2
                wall, cpu, peak = wall - idle_wall, cpu - idle_cpu, peak - idle_peak
                print(f"{case:<28}{seconds:>10.2f}{cpu:>8.2f}{wall:>8.2f}{seconds / cpu:>7.2f}{seconds / wall:>7.2f}"
                      f"{memory / 2**20:>10.0f}{peak / 2**20:>9.0f}{memory / peak:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
