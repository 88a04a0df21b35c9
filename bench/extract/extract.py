#!/usr/bin/env python3
"""Images a second with every layer of the card captured: striate extract, the network alone, and Python's hook loop.

    bench/extract/extract.py BUILD_DIR IMAGES_DIR [--networks alexnet squeezenet1_0 resnet50] [--threads 2] [--repeat 2]
IMAGES_DIR: some hundred photographs. For each network, in turns, on the same threads: Python torch with forward hooks
(one pass, batch 32), bench_forward (all layers; the network's output alone), `striate extract` (decoding, forward
pass, writing, fsync; start-up included), and a plain write with fsync of as many bytes to the same disk.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def rate(command, env):
    line = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout.strip().splitlines()[-1]
    return float(line.split(",")[4])


def write_rate(path, size):
    """Bytes a second of writing and syncing a file."""
    block = os.urandom(4 << 20)
    start = time.time()
    with open(path, "wb", buffering=0) as file:
        for _ in range(max(1, size // len(block))):
            file.write(block)
        os.fsync(file.fileno())
    took = time.time() - start
    path.unlink()
    return max(1, size // len(block)) * len(block) / took


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--networks", nargs="+", default=["alexnet", "squeezenet1_0", "resnet50"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    env = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OPENBLAS_NUM_THREADS="1")
    single = dict(env, OMP_NUM_THREADS="1")
    several = dict(env, OMP_NUM_THREADS=str(options.threads))
    images = sum(1 for p in options.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    forward = str(options.build / "bench" / "bench_forward")
    threads, seconds = str(options.threads), str(options.seconds)
    for name in options.networks:
        with tempfile.TemporaryDirectory() as folder:
            weights, store = f"{folder}/net.ts.pt", pathlib.Path(folder, "act.h5")
            subprocess.run([sys.executable, str(ROOT / "tools/export_network.py"), name, "--seed", "1", "--out", weights],
                           check=True, capture_output=True)
            card = str(ROOT / "configs/networks" / f"{name}.yaml")
            pathlib.Path(folder, "extract.yaml").write_text(
                f"stimuli: {{folder: {options.images.resolve()}}}\nnetwork: {card}\nweights: {weights}\nlayers: all\noutput: act.h5\n")
            best = {}
            for _ in range(options.repeat):
                now = {"python": rate([sys.executable, str(HERE / "hooks.py"), name, card, "32", threads, seconds], several),
                       "forward": rate([forward, weights, card, "16", threads, seconds], single),
                       "bare": rate([forward, weights, card, "16", threads, seconds, "bare"], single)}
                start = time.time()
                subprocess.run([str(options.build / "striate"), "extract", f"{folder}/extract.yaml", "--threads", threads,
                                "--fresh", "--quiet"], check=True, env=single)
                now["extract"] = images / (time.time() - start)
                size = store.stat().st_size
                store.unlink()
                now["disk"] = write_rate(pathlib.Path(folder, "plain"), size) / (size / images)
                best = {key: max(value, best.get(key, 0)) for key, value in now.items()}
            limit = min(best["bare"], best["disk"])
            print(f"{name}: python hooks {best['python']:.1f}, network with all layers {best['forward']:.1f} "
                  f"({best['forward'] / best['python']:.1f} times), output alone {best['bare']:.1f}, extract {best['extract']:.1f}, "
                  f"disk {best['disk']:.1f} images/s ({size / images / 1e6:.1f} MB an image); extract is "
                  f"{best['extract'] / best['python']:.1f} times python, {best['extract'] / limit:.0%} of the slower of network and disk",
                  flush=True)


if __name__ == "__main__":
    main()
