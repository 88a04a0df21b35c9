"""convert from outside: parts of an array job merge to the store of one run; what it exports is read by SciPy, NumPy, h5py
and by DNNBrain's way of reading; a killed job goes on to the same bits."""
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time
import unittest

import h5py
import numpy
import scipy.io

from flow import SOURCE, World, end, main, ranks_of, run, start

os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # a reader must not be in the job's way
GOLDEN = SOURCE / "tests/golden/convert"
world = None


def setUpModule():
    global world
    world = World(stimuli=22, width=8)
    world.do("extract", "extract.yaml", ranks=2)


def dnnbrain_stimuli(path):
    """As dnnbrain.io.fileio reads a .stim.csv: one = a header line, numbers but for stimID and condition."""
    lines = [line for line in pathlib.Path(path).read_text().splitlines() if line]
    at = [line.startswith("data=") for line in lines].index(True)
    header = dict(line.split("=") for line in lines[:at])
    names = lines[at].split("=")[1].split(",")
    columns = dict(zip(names, zip(*(line.split(",") for line in lines[at + 1:]))))
    for name, values in columns.items():
        if name not in ("stimID", "condition"):
            columns[name] = [int(float(v)) if name == "label" else float(v) for v in values]
    return header, columns


class Parts(unittest.TestCase):
    def test_parts_of_an_array_job_merge_to_the_store_of_one_run(self):
        world.write("cut.yaml", "input: pictures.stim.csv\noutput: part-1.stim.csv\n")
        for part, rows in (("1", "1:12"), ("2", "13:")):
            world.do("convert", "cut.yaml", "--set", f'rows="{rows}"', "--set", f"output=part-{part}.stim.csv")
            world.do("extract", "extract.yaml", "--set", f"stimuli=part-{part}.stim.csv", "--set", f"output=part-{part}.act.h5")
        world.write("merge.yaml", "operation: merge\ninput: [part-2.act.h5, part-1.act.h5]\nrows: pictures.stim.csv\n"
                    "output: merged.act.h5\n")
        world.do("convert", "merge.yaml", ranks=3)
        world.same("act.h5", "merged.act.h5")
        self.assertIn("nothing to do", world.do("convert", "merge.yaml").err)
        self.assertEqual(run("status", "convert", "merge.yaml", cwd=world.folder).code, 0)


class Exports(unittest.TestCase):
    def setUp(self):
        with h5py.File(world.folder / "act.h5") as file:
            self.layers = {name: file[name][:] for name in ("conv1", "conv2", "fc")}

    def convert(self, output, more=""):
        world.write("out.yaml", f"input: act.h5\noutput: {output}\n{more}")
        world.do("convert", "out.yaml", ranks=2)
        return world.folder / output

    def test_matlab_and_numpy(self):
        mat = scipy.io.loadmat(self.convert("all.mat"))
        self.assertEqual([str(cell[0]) for cell in mat["stimulus_id"][:, 0]], world.names)
        self.assertEqual([str(cell[0]) for cell in mat["layers"][:, 0]], ["conv1", "conv2", "fc"])
        for name in ("conv1", "conv2"):
            self.assertEqual(mat[name].dtype, numpy.float32)
            self.assertTrue(numpy.array_equal(mat[name], self.layers[name]), name)
        self.assertTrue(numpy.array_equal(mat["fc"], self.layers["fc"][:, :, 0, 0]))
        folder = self.convert("arrays", "dtype: float16\n")
        self.assertTrue(numpy.array_equal(numpy.load(folder / "conv2.npy"), self.layers["conv2"].astype("f2")))
        self.assertEqual((folder / "ids.txt").read_text().split(), world.names)
        self.assertTrue((folder / "provenance.json").exists())

    def test_dnnbrain_reads_copies_and_views(self):
        for form in ("dnnbrain", "dnnbrain_view"):
            with h5py.File(self.convert(f"{form}.act.h5", f"format: {form}\n")) as file:
                self.assertEqual(sorted(file.keys()), ["conv1", "conv2", "fc"])
                for name in file.keys():
                    data = file[name]
                    self.assertEqual(data.ndim, 4)
                    self.assertTrue(numpy.array_equal(numpy.asarray(data[:, [0, 2], :, :]), self.layers[name][:, [0, 2]]), name)

    def test_what_dnnbrains_parsers_take(self):
        world.write("easy.yaml", f"input: {GOLDEN}/hard.stim.csv\nformat: dnnbrain\noutput: easy.stim.csv\n")
        with self.assertRaises(ValueError):
            dnnbrain_stimuli(GOLDEN / "hard.stim.csv")
        world.do("convert", "easy.yaml")
        header, columns = dnnbrain_stimuli(world.folder / "easy.stim.csv")
        self.assertEqual(header["label_names"], "cat; dog")
        self.assertEqual(columns["label"], [0, 1, 0])
        self.assertEqual(columns["animal"], [1, 0, 1])
        world.write("roi.yaml", f"input: {GOLDEN}/two.roi.h5\nlayers: [PHA1_R, PHA1_L]\noutput: roi.roi.h5\n")
        world.do("convert", "roi.yaml")
        with h5py.File(world.folder / "roi.roi.h5") as mine, h5py.File(GOLDEN / "two.roi.h5") as theirs:
            self.assertEqual(mine.attrs["roi"].tolist(), ["PHA1_R", "PHA1_L"])
            self.assertTrue(numpy.array_equal(mine["data"][:], theirs["data"][:][:, ::-1]))
        world.write("rdm.yaml", f"input: {GOLDEN}/layers.rdm.h5\noutput: rdm.rdm.h5\nformat: dnnbrain\n")
        world.do("convert", "rdm.yaml")
        with h5py.File(world.folder / "rdm.rdm.h5") as mine, h5py.File(GOLDEN / "layers.rdm.h5") as theirs:
            self.assertEqual(mine.attrs["type"], "dRDM")
            self.assertEqual(list(mine.keys()), list(theirs.keys()))
            for name in theirs.keys():
                self.assertTrue(numpy.array_equal(mine[name][:], theirs[name][:]), name)
        for name in ("roi.roi.h5", "rdm.rdm.h5"):
            self.assertIn("ROI table" if "roi" in name else "RDMs", world.do("info", name).out)


class Kill(unittest.TestCase):
    def kill_in_the_middle(self):
        """Every rank, once some batches are done. False where the job was faster."""
        store = world.folder / "killed.act.h5"
        store.unlink(missing_ok=True)
        job, done = start("convert", "half.yaml", ranks=3, cwd=world.folder), 0
        begun = time.time()
        while job.poll() is None and done < 20 and time.time() < begun + 60:
            try:
                with h5py.File(store) as file:
                    done = int(file[".striate/done"][:].sum())
            except (OSError, KeyError, RuntimeError):
                time.sleep(0.005)
        for pid in ranks_of(job.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        end(job)
        with h5py.File(store) as file:
            return file.attrs["complete"] == 0 and 0 < file[".striate/done"][:].sum() < 200

    def test_a_killed_job_goes_on_to_the_same_bits(self):
        random = numpy.random.default_rng(2)
        with h5py.File(world.folder / "large.h5", "w") as file:
            for layer in ("a", "b"):
                file[layer] = random.standard_normal((400, 4, 24, 24), "f4")
        world.write("half.yaml", "operation: multiply\nwith: 0.5\ninput: large.h5\nbatch: 2\noutput: killed.act.h5\n")
        self.assertTrue(any(self.kill_in_the_middle() for _ in range(4)), "the job was always faster")
        world.do("convert", "half.yaml", ranks=2)
        world.do("convert", "half.yaml", "--set", "output=whole.act.h5")
        world.same("killed.act.h5", "whole.act.h5")
        with h5py.File(world.folder / "killed.act.h5") as mine, h5py.File(world.folder / "large.h5") as theirs:
            self.assertTrue(numpy.array_equal(mine["b"][:], theirs["b"][:] / 2))


class Documentation(unittest.TestCase):
    def test_every_example_runs(self):
        text = (SOURCE / "docs/extraction.md").read_text().split("## Store algebra")[1]
        examples = re.findall(r"^```yaml\n(.*?)^```", text, re.S | re.M)
        self.assertGreaterEqual(len(examples), 6)
        random = numpy.random.default_rng(1)
        for i, example in enumerate(examples):
            with tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                for store, ids in (("part-1", range(3)), ("part-2", range(3, 6)), ("faces", range(4)), ("houses", range(4)),
                                   ("", range(6)), ("keras", None)):
                    with h5py.File(folder / {"": "act.h5", "keras": "keras.h5"}.get(store, store + ".act.h5"), "w") as file:
                        n = 6 if ids is None else len(ids)
                        file["conv5"], file["fc1"] = random.random((n, 3, 4, 4), "f4"), random.random((n, 5), "f4")
                        if ids is not None:
                            file["/.striate/stimulus_id"] = numpy.array([f"s{k}" for k in ids], h5py.string_dtype("utf-8", 4))
                (folder / "images.stim.csv").write_text("type=image\npath=.\ndata=stimID\n" + "".join(f"s{k}\n" for k in range(6)))
                (folder / "pictures/cat").mkdir(parents=True)
                shutil.copy(SOURCE / "README.md", folder / "pictures/cat/a.png")
                output = re.search(r"^output: (\S+)", example, re.M).group(1)
                (folder / output.rstrip("/")).unlink(missing_ok=True)  # inputs of the other examples
                (folder / "example.yaml").write_text(example.replace('"1:5000"', '"1:5"'))
                done = run("convert", "example.yaml", cwd=folder)
                self.assertEqual(done.code, 0, f"{example}\n{done}")


if __name__ == "__main__":
    main()
