"""What a user can do wrong: each ends on every rank within seconds, with its exit code and one line that says what, where
and how to mend it."""
import os
import shutil
import subprocess
import unittest

import h5py
import numpy

from flow import World, main, run


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(stimuli=24)
        cls.world.until_encode(ranks=1)

    def refused(self, command, config, code, *words, ranks=(0, 2, 3), output="never", more=()):
        """`words` must be in the one error line. Nothing that looks whole may be left."""
        w = self.world
        for r in ranks:
            done = run(command, config, "--set", f"output={output}", *more, ranks=r, cwd=w.folder)
            self.assertEqual(done.code, code, f"{r} ranks: {done}")
            self.assertEqual(len(done.errors), 1, f"{r} ranks: {done}")
            for word in words:
                self.assertIn(word, done.errors[0], f"{r} ranks")
            self.assertLess(done.seconds, 15, f"{r} ranks")
            self.assertNotIn("terminate called", done.err)
        status = run("status", command, config, "--set", f"output={output}", *more, cwd=w.folder)
        self.assertNotEqual(status.code, 0, f"a failed job counts as complete: {status}")

    def broken_picture(self, change):
        """A stimuli list whose picture 7 is broken by `change(path)`."""
        w = self.world
        target = w.folder / "broken"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(w.folder / "pictures", target)
        change(target / w.names[7])
        text = (w.folder / "pictures.stim.csv").read_text().replace("path=pictures", "path=broken")
        w.write("broken.stim.csv", text)
        return w.config("broken.yaml", "extract.yaml", "pictures.stim.csv", "broken.stim.csv")

    def test_truncated_picture(self):
        config = self.broken_picture(lambda p: p.write_bytes(p.read_bytes()[:400]))
        self.refused("extract", config, 65, self.world.names[7], "row 8", output="untouched.h5")
        self.assertFalse((self.world.folder / "untouched.h5").exists())

    def test_missing_picture(self):
        config = self.broken_picture(os.remove)
        self.refused("extract", config, 66, self.world.names[7], "row 8", output="never.h5")

    def test_damaged_in_the_middle(self):
        def damage(path):
            data = bytearray(path.read_bytes())
            data[len(data) // 2:len(data) // 2 + 400] = b"\xff\xd9" * 200
            path.write_bytes(bytes(data))
        config = self.broken_picture(damage)
        self.refused("extract", config, 65, self.world.names[7], output="never.h5")

    def test_skipped_picture(self):
        config = self.broken_picture(lambda p: p.write_bytes(p.read_bytes()[:400]))
        done = self.world.do("extract", config, "--set", "on_bad_stimulus=skip", "--set", "output=skipped.h5", ranks=2)
        self.assertIn(self.world.names[7], done.err)
        with h5py.File(self.world.folder / "skipped.h5") as store, h5py.File(self.world.folder / "act.h5") as whole:
            for layer in ("conv1", "fc"):
                self.assertTrue(numpy.isnan(store[layer][7]).all())
                keep = [i for i in range(24) if i != 7]
                numpy.testing.assert_array_equal(store[layer][keep], whole[layer][keep])

    def test_unknown_layer(self):
        self.refused("extract", self.world.config("c.yaml", "extract.yaml", "layers: all", "layers: [conv1, covn2]"), 65,
                     "covn2", "conv2", output="never.h5")
        self.refused("encode", self.world.config("c.yaml", "encode.yaml", "[conv1, conv2, fc]", "[conv1, cnov2]"), 65,
                     "cnov2", "conv2")

    def test_misspelt_key(self):
        self.refused("extract", self.world.config("c.yaml", "extract.yaml", "layers: all", "layrs: all"), 78, "c.yaml: line 3",
                     "layrs", "`layers`", output="never.h5")
        self.refused("encode", "encode.yaml", 78, "--set", "cv.fold", "folds", more=("--set", "cv.fold=3"))

    def test_missing_files(self):
        w = self.world
        self.refused("extract", "nowhere.yaml", 66, "nowhere.yaml", output="never.h5")
        self.refused("extract", w.config("c.yaml", "extract.yaml", "pictures.stim.csv", "none.stim.csv"), 66,
                     "none.stim.csv", output="never.h5")
        self.refused("extract", "extract.yaml", 66, "none.pt", output="never.h5", more=("--set", "weights=none.pt"))
        self.refused("extract", "extract.yaml", 66, "alexnte", "alexnet", output="never.h5", more=("--set", "network=alexnte"))
        self.refused("encode", w.config("c.yaml", "encode.yaml", "store: act.h5", "store: none.h5"), 66, "none.h5")
        self.refused("encode", w.config("c.yaml", "encode.yaml", "brain/responses.nii.gz", "brain/none.nii.gz"), 66,
                     "none.nii.gz")

    def test_wrong_grid(self):
        import nibabel
        w = self.world
        image = nibabel.load(w.folder / "brain" / "mask.nii.gz")
        data = numpy.asarray(image.dataobj)
        nibabel.save(nibabel.Nifti1Image(data[1:], image.affine), w.folder / "cut.nii.gz")
        moved = image.affine.copy()
        moved[0, 3] += 1
        nibabel.save(nibabel.Nifti1Image(data, moved), w.folder / "moved.nii.gz")
        for name in ("cut.nii.gz", "moved.nii.gz"):
            self.refused("encode", w.config("c.yaml", "encode.yaml", "mask: brain/mask.nii.gz", f"mask: {name}"), 65,
                         "responses.mask", name)

    def test_duplicate_stimulus(self):
        w = self.world
        lines = (w.folder / "pictures.stim.csv").read_text().splitlines()
        w.write("twice.stim.csv", "\n".join(lines + [lines[3]]) + "\n")
        self.refused("extract", w.config("c.yaml", "extract.yaml", "pictures.stim.csv", "twice.stim.csv"), 65,
                     w.names[0], "rows 1 and 25", output="never.h5")
        shutil.copy(w.folder / "act.h5", w.folder / "twice.h5")
        with h5py.File(w.folder / "twice.h5", "r+") as store:
            store["/.striate/stimulus_id"][1] = store["/.striate/stimulus_id"][0]
        self.refused("encode", w.config("c.yaml", "encode.yaml", "store: act.h5", "store: twice.h5"), 65, w.names[0])

    def test_store_of_another_network(self):
        w = self.world
        w.write("other.yaml", (w.folder / "tiny.yaml").read_text().replace("name: tiny", "name: other"))
        shutil.copy(w.folder / "act.h5", w.folder / "kept.h5")
        before = (w.folder / "kept.h5").read_bytes()
        self.refused_other("extract", w.config("c.yaml", "extract.yaml", "tiny.yaml", "other.yaml"), "kept.h5")
        self.assertEqual(before, (w.folder / "kept.h5").read_bytes())

    def refused_other(self, command, config, output):
        for ranks in (0, 2, 3):
            done = run(command, config, "--set", f"output={output}", ranks=ranks, cwd=self.world.folder)
            self.assertEqual(done.code, 73, done)
            self.assertEqual(len(done.errors), 1, done)
            self.assertIn("network differs", done.errors[0])

    def test_output_of_another_kind(self):
        self.world.write("notes.h5", "not ours")
        for more in ((), ("--fresh",)):
            done = run("extract", "extract.yaml", "--set", "output=notes.h5", *more, ranks=2, cwd=self.world.folder)
            self.assertEqual(done.code, 73, done)
            self.assertEqual((self.world.folder / "notes.h5").read_text(), "not ours")

    def test_unfinished_store(self):
        w = self.world
        shutil.copy(w.folder / "act.h5", w.folder / "unfinished.h5")
        with h5py.File(w.folder / "unfinished.h5", "r+") as store:
            store.attrs.modify("complete", type(store.attrs["complete"])(0))
        self.refused("encode", w.config("c.yaml", "encode.yaml", "store: act.h5", "store: unfinished.h5"), 65, "unfinished.h5")

    def test_missing_ids(self):
        w = self.world
        text = (w.folder / "brain" / "responses.stim.csv").read_text()
        w.write("brain/renamed.stim.csv", text.replace(w.names[5], "unknown.png"))
        self.refused("encode", w.config("c.yaml", "encode.yaml", "responses.stim.csv", "renamed.stim.csv"), 65, "unknown.png")

    def test_rows_and_volumes(self):
        w = self.world
        lines = (w.folder / "brain" / "responses.stim.csv").read_text().splitlines()
        w.write("brain/short.stim.csv", "\n".join(lines[:-1]) + "\n")
        self.refused("encode", w.config("c.yaml", "encode.yaml", "responses.stim.csv", "short.stim.csv"), 65, "47", "48")

    def test_not_a_network(self):
        self.world.write("text.ts.pt", "hello")
        self.refused("extract", "extract.yaml", 65, "text.ts.pt", "export_network", output="never.h5",
                     more=("--set", "weights=text.ts.pt"))

    def test_too_little_memory(self):
        self.refused("extract", "extract.yaml", 71, "memory", output="never.h5",
                     more=("--set", "memory=0.1", "--set", "batch=8000"))

    def test_failure_is_remembered(self):
        w = self.world
        done = run("extract", "extract.yaml", "--set", "output=sad.h5", "--set", "weights=none.pt", ranks=2, cwd=w.folder)
        self.assertEqual(done.code, 66)
        status = run("status", "extract", "extract.yaml", "--set", "output=sad.h5", cwd=w.folder)
        self.assertEqual(status.code, 76, status)
        self.assertIn("none.pt", status.out)
        w.do("extract", "extract.yaml", "--set", "output=sad.h5", ranks=2)
        w.do("status", "extract", "extract.yaml", "--set", "output=sad.h5")

    def mounted(self, name, options):
        place = self.world.folder / name
        place.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False)
        if done.returncode:
            self.skipTest(f"cannot mount a tmpfs here ({done.stderr.decode().strip()}); needs root")
        self.addCleanup(subprocess.run, ["umount", "-l", str(place)], check=False)
        return place

    def test_full_disk(self):
        self.mounted("small", "size=600k")
        self.refused("extract", "extract.yaml", 74, "never.h5", output="small/never.h5")
        status = run("status", "extract", "extract.yaml", "--set", "output=small/never.h5", cwd=self.world.folder)
        self.assertEqual(status.code, 76, status)  # noted although the disk is full: a batch job must not be requeued
        self.mounted("tiny_disk", "size=16k")
        self.refused("encode", "encode.yaml", 74, "tiny_disk", output="tiny_disk/never")

    def test_read_only_output(self):
        place = self.mounted("fixed", "size=1m")
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        self.refused("extract", "extract.yaml", 73, "never.h5", "Read-only", output="fixed/never.h5")
        self.refused("encode", "encode.yaml", 73, "never", "Read-only", output="fixed/never")
        self.refused("encode", "encode.yaml", 73, "never", "Read-only", output="fixed/a/never", more=("--dry-run",))


if __name__ == "__main__":
    main()
