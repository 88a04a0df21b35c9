"""Every YAML of docs/encoding.md runs as it stands, on small data of the names in it, with fewer permutations.

Blocks with `---` hold variants that stand beside the features and responses of the first block.
"""
import atexit
import concurrent.futures
import pathlib
import re
import shutil
import tempfile
import unittest

import h5py
import nibabel
import numpy

from flow import SOURCE, main, run

N, GRID = 60, (5, 4, 3)
BASE = ("features: {store: act.h5, layers: [fc6]}\n"
        "responses: {data: betas.nii.gz, mask: vtc.nii.gz, stimuli: images.stim.csv}\n")
FEWER = {"permutation": "permutation.n=6", "bootstrap": "bootstrap.n=100", "n_iter": "model.n_iter=8",
         "sizes": "model.rf={grid: 2, sizes: 2}", "tail_fit": "permutation.n=220"}


class World:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="striate-docs-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        random = numpy.random.default_rng(4)
        ids = [f"s{i}" for i in range(N)]
        self.stimuli("images", ids)
        self.stimuli("words", ids)
        x = random.standard_normal((N, 6, 3, 3))
        for name, layers in (("act", ["conv1", "conv2", "conv3", "conv4", "conv5"]), ("words", [])):
            with h5py.File(self.folder / f"{name}.h5", "w") as file:
                for layer in layers:
                    file[layer] = (x + random.standard_normal(x.shape)).astype("f4")
                for layer in ("fc1", "fc6"):
                    file[layer] = random.standard_normal((N, 12)).astype("f4")
                file["/.striate/stimulus_id"] = numpy.array(ids, h5py.string_dtype("utf-8", 8))
        shutil.copy(self.folder / "words.h5", self.folder / "words.act.h5")
        weights = random.standard_normal((12, *GRID))
        with h5py.File(self.folder / "act.h5") as file:
            y = numpy.moveaxis(numpy.tensordot(file["fc6"][:], weights, 1), 0, -1)
        for name in ("betas", "sub-01", "sub-02", "sub-03"):
            self.image(name, y + random.standard_normal(y.shape))
            self.stimuli(name, ids)
        for name in ("vtc", "visual", "mask", "it"):
            self.image(name, numpy.ones(GRID))
        self.image("rois", numpy.arange(numpy.prod(GRID)).reshape(GRID) % 4 + 1)
        self.write("rois.tsv", "index\tname\n1\tV1\n2\tV2\n3\tV4\n4\tLO\n")
        self.write("folds.tsv", "stimulus\ta\tb\n" + "".join(
            f"{s}\t{'test' if i < 20 else 'train'}\t{'train' if i < 20 else 'test'}\n" for i, s in enumerate(ids)))
        with h5py.File(self.folder / "act.h5") as file:
            width = file["fc6"].shape[1]
        numpy.save(self.folder / "sigma.npy", numpy.eye(width, dtype="f4"))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def stimuli(self, name, ids):
        """Columns as examples name them; `category` of few values, `session` and `run` of neighbours."""
        rows = "".join(f"{s},{i // 12},{i // 12},{'abc'[i % 3]},{'test' if i % 4 == 0 else 'train'},{i // 5}\n"
                       for i, s in enumerate(ids))
        self.write(f"{name}.stim.csv", "type=image\npath=.\ndata=stimID,session,run,category,half,block\n" + rows)

    def image(self, name, values):
        nibabel.save(nibabel.Nifti1Image(numpy.ascontiguousarray(values, "f4"), numpy.diag([2., 2, 2, 1])),
                     self.folder / f"{name}.nii.gz")


def examples():
    """(heading, YAML) of each config; those of the time series have a test of their own."""
    text = (SOURCE / "docs/encoding.md").read_text()
    for part in re.split(r"^##+ ", text, flags=re.M):
        heading = part.splitlines()[0]
        if heading == "Time series":
            continue
        for block in re.findall(r"^```yaml\n(.*?)^```", part, re.S | re.M):
            variants = re.split(r"^---\n", block, flags=re.M)
            for i, variant in enumerate(variants):
                base = "".join(line for line in BASE.splitlines(True) if f"\n{line.split(':')[0]}:" not in "\n" + variant)
                whole = variant if len(variants) == 1 else base + variant + "output: out\n"
                yield f"{heading} ({i + 1})" if len(variants) > 1 else heading, whole


def try_out(world, number, heading, text):
    found = re.search(r"striate (partition|permute)", heading)
    command = found.group(1) if found else "encode"
    world.write(f"{number}.yaml", text)
    sets = ["--threads", "1", "--set", f"output=out/{number}"]
    for word, value in FEWER.items():
        if re.search(rf"^[^#]*\b{word}\b", text, re.M):
            sets += ["--set", value]
    if command == "permute":
        world.write("encode.yaml", BASE + "output: out/of-permute\n")
        run("encode", "encode.yaml", cwd=world.folder)
        sets += ["--set", "part=1/1"]
    return run(command, f"{number}.yaml", *sets, cwd=world.folder)


class Docs(unittest.TestCase):
    def test_every_example_runs(self):
        world, found = World(), list(examples())
        self.assertGreater(len(found), 35)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(try_out, world, i, *example) for i, example in enumerate(found)]
        for i, (heading, text) in enumerate(found):
            with self.subTest(heading):
                self.assertEqual(runs[i].result().code, 0, f"\n{text}\n{runs[i].result()}")
                self.assertTrue((world.folder / f"out/{i}/result.h5").exists())


if __name__ == "__main__":
    main()
