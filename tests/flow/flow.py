"""What the whole-program tests share: running striate under mpiexec, and a small world to run it in.

Every test is a unittest case; CTest runs one process a file with /usr/bin/python3 (Debian's torch, h5py, nibabel).
STRIATE_PROGRAM and STRIATE_SOURCE name the program and the checkout.
"""
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.environ.get("STRIATE_PROGRAM") or str(pathlib.Path(__file__).resolve().parents[2] / "build" / "striate")
SOURCE = pathlib.Path(os.environ.get("STRIATE_SOURCE") or pathlib.Path(__file__).resolve().parents[2])
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_mpi_yield_when_idle="1", OMP_NUM_THREADS="1",
                   OPENBLAS_NUM_THREADS="1", STRIATE_FLUSH_SECONDS="0.05")  # a checkpoint often, as in a long job


class Run:
    """A finished run: code, out, err, seconds."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    @property
    def errors(self):
        """The lines that striate itself ends with, without what mpiexec adds."""
        return [line for line in self.err.splitlines() if line.startswith("error: ")]

    def __repr__(self):
        return f"exit {self.code} after {self.seconds:.1f} s\n{self.out}\n{self.err}"


def command(args, ranks):
    if ranks == 0:  # without mpiexec
        return [PROGRAM, *map(str, args)]
    return ["mpiexec", "--bind-to", "none", "-n", str(ranks), PROGRAM, *map(str, args)]


def run(*args, ranks=0, cwd=None, env=None, timeout=120):
    start = time.time()
    done = subprocess.run(command(args, ranks), cwd=cwd, env=dict(ENVIRONMENT, **(env or {})), text=True,
                          capture_output=True, timeout=timeout, check=False)
    return Run(done.returncode, done.stdout, done.stderr, time.time() - start)


def start(*args, ranks, cwd=None):
    return subprocess.Popen(command(args, ranks), cwd=cwd, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)


def ranks_of(mpiexec_pid):
    """Process ids of striate below a mpiexec."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)
                children.setdefault(int(fields[1].split()[1]), []).append((int(entry.name), fields[0].split("(", 1)[1]))
            except (OSError, IndexError):
                pass
    found, queue = [], [mpiexec_pid]
    while queue:
        for pid, name in children.get(queue.pop(), []):
            queue.append(pid)
            if name == "striate":
                found.append(pid)
    return sorted(found)


def end(process):
    """Kills what is left of a job and waits."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def wait_for(condition, seconds, what):
    until = time.time() + seconds
    while not condition():
        if time.time() > until:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class World:
    """A folder with pictures, a small seeded network with its card, and configs for extract, simulate and encode."""

    def __init__(self, stimuli=60, width=16):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="striate-flow-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.make_pictures(stimuli)
        self.make_network(width)
        self.write("extract.yaml", "stimuli: pictures.stim.csv\nnetwork: tiny.yaml\nlayers: all\nbatch: 4\noutput: act.h5\n")
        self.write("simulate.yaml", "features: {store: act.h5}\nregions:\n"
                   "  - {name: early, layer: conv1, voxels: 40, snr: 2}\n"
                   "  - {name: late, layer: fc, voxels: 40, snr: 2}\nrepeats: 2\noutput: brain\n")
        self.write("encode.yaml", "features: {store: act.h5, layers: [conv1, conv2, fc]}\n"
                   "responses: {data: brain/responses.nii.gz, mask: brain/mask.nii.gz, stimuli: brain/responses.stim.csv}\n"
                   "rois: {image: brain/labels.nii.gz, names: brain/labels.tsv}\n"
                   "model: {type: ridge, alphas: {logspace: [-1, 5, 7]}}\ncv: {folds: 4, inner: {folds: 3}}\noutput: encode\n")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def config(self, name, base, old="", new="", output=None):
        """A variant of a config in this folder."""
        text = (self.folder / base).read_text()
        assert old in text, f"{old!r} is not in {base}"
        text = text.replace(old, new) if old else text + new
        if output:
            text = "\n".join(f"output: {output}" if line.startswith("output:") else line for line in text.splitlines()) + "\n"
        self.write(name, text)
        return name

    def make_pictures(self, count):
        import numpy
        from PIL import Image
        random = numpy.random.default_rng(1)
        (self.folder / "pictures").mkdir()
        rows = []
        for i in range(count):
            coarse = random.integers(0, 256, (6, 8, 3), dtype=numpy.uint8)
            name = f"p{i:03d}." + ("jpg" if i % 3 else "png")
            Image.fromarray(coarse).resize((72 + i % 5, 64), Image.BICUBIC).save(self.folder / "pictures" / name)
            rows.append(f"{name},{i % 5}")
        self.write("pictures.stim.csv", "type=image\npath=pictures\ndata=stimID,session\n" + "\n".join(rows) + "\n")
        self.names = [row.split(",")[0] for row in rows]

    def make_network(self, width):
        import torch

        class Tiny(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = torch.nn.Conv2d(3, width, 5, stride=2)
                self.relu = torch.nn.ReLU(inplace=True)
                self.conv2 = torch.nn.Conv2d(width, 2 * width, 3, stride=2)
                self.fc = torch.nn.Linear(2 * width * 14 * 14, 24)

            def forward(self, x):
                x = self.relu(self.conv1(x))
                x = torch.nn.functional.relu(self.conv2(x))
                return self.fc(x.flatten(1))

        torch.manual_seed(3)
        self.module = Tiny().eval()
        torch.jit.script(self.module).save(str(self.folder / "tiny.ts.pt"))
        self.write("tiny.yaml", "name: tiny\nsource: the tests\nweights: tiny.ts.pt\n"
                   "input: {size: [64, 64], channels: rgb}\n"
                   "preprocessing: {resize: 66, mode: bilinear, crop: center, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}\n"
                   "layers: {conv1: conv1, conv2: conv2, fc: fc}\n")

    def do(self, *args, ranks=0, code=0, **more):
        done = run(*args, ranks=ranks, cwd=self.folder, **more)
        assert done.code == code, f"{args}: {done}"
        return done

    def same(self, a, b):
        done = run("info", "--compare", a, b, cwd=self.folder)
        assert done.code == 0, f"{a} and {b}: {done.out}"

    def until_encode(self, ranks=0):
        """Everything up to a finished encode."""
        self.do("extract", "extract.yaml", ranks=ranks)
        self.do("simulate", "simulate.yaml", ranks=ranks)
        self.do("encode", "encode.yaml", ranks=ranks)


def main():
    """unittest's, where no test executed is a failure."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if result.testsRun == 0 and not result.skipped:
        sys.exit("no test was run")
    for test, why in result.skipped:
        print(f"SKIP {test}: {why}")
    sys.exit(0 if result.wasSuccessful() else 1)


__all__ = ["PROGRAM", "SOURCE", "Run", "World", "run", "start", "ranks_of", "end", "wait_for", "main", "json"]
