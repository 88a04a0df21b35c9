#!/usr/bin/env python3
"""What a second rank gains in `striate encode`, beside what a second process gains in bare matrix products.

    bench/scaling/scaling.py STRIATE [--repeat 3]
Ranks of one thread each, on this machine's cores; a GEMM of the same size runs in one process and in two at once. The
two are measured in turns. Prints the gain of each and their quotient (100 %: encode scales as GEMM does here).
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

CASES = {"dual, many targets": (1000, 8000, 20000, "{standardize: false}"),
         "primal, many targets": (2000, 500, 40000, "{standardize: false}"),
         "one large layer, standardised": (800, 60000, 500, "{standardize: true}")}
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_mpi_yield_when_idle="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
GEMM = """
import numpy, sys, time
a = numpy.ones((1536, 1536), numpy.float32)
a @ a
sys.stdin.read(1)
start = time.time()
for _ in range(20): a @ a
print(time.time() - start)
"""


def gemm_rate(processes):
    """Products a second of all processes together, started at one moment."""
    team = [subprocess.Popen([sys.executable, "-c", GEMM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             env=ENVIRONMENT) for _ in range(processes)]
    time.sleep(1.5)
    for one in team:
        one.stdin.write("x")
        one.stdin.flush()
    return sum(20 / float(one.communicate()[0]) for one in team)


def encode(striate, folder, ranks):
    start = time.time()
    subprocess.run(["mpiexec", "--bind-to", "none", "-n", str(ranks), striate, "encode", "encode.yaml", "--threads", "1",
                    "--fresh", "--quiet"], cwd=folder, env=ENVIRONMENT, check=True)
    return time.time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("striate", type=pathlib.Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    for name, (n, p, t, transform) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            x = random.standard_normal((n, p), dtype=np.float32)
            y = x[:, :200] @ random.standard_normal((200, t), dtype=np.float32)
            y += 20 * random.standard_normal((n, t), dtype=np.float32)
            np.save(f"{folder}/y.npy", y)
            with h5py.File(f"{folder}/x.h5", "w") as store:
                store["layer"] = x
            ids = "".join(f"s{i}\n" for i in range(n))
            pathlib.Path(folder, "s.stim.csv").write_text(f"type=image\npath=.\ndata=stimID\n{ids}")
            pathlib.Path(folder, "encode.yaml").write_text(
                f"features: {{store: x.h5, stimuli: s.stim.csv, transform: {transform}}}\n"
                "responses: {data: y.npy, stimuli: s.stim.csv}\noutput: out\n")
            del x, y
            rounds = [(encode(str(options.striate.resolve()), folder, 1), encode(str(options.striate.resolve()), folder, 2),
                       gemm_rate(1), gemm_rate(2)) for _ in range(options.repeat)]
        one, two, gemm_one, gemm_two = np.array(rounds).T
        gain, gemm_gain = one.min() / two.min(), gemm_two.max() / gemm_one.max()
        print(f"{name:30} n {n}, p {p}, t {t}: {one.min():6.1f} s and {two.min():6.1f} s, gain {gain:.2f}; "
              f"GEMM's gain {gemm_gain:.2f}; share {gain / gemm_gain:.0%}", flush=True)


if __name__ == "__main__":
    main()
