"""Parts of an array, rows taken over from an earlier store, stimuli known by checksum, skipped stimuli: one store."""
import os
import random
import shutil
import signal
import time
import unittest

from flow import World, end, main, ranks_of, run, start, wait_for

import h5py
import numpy


class Safety(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(stimuli=62, width=16)
        cls.world.do("extract", "extract.yaml")

    def store(self, name):
        return h5py.File(self.world.folder / name, "r")

    def table(self, name, rows):
        self.world.write(name, "type=image\npath=pictures\ndata=stimID\n" + "\n".join(rows) + "\n")
        return name

    def test_parts_together_are_one_run(self):
        w = self.world
        for i in (1, 2, 3):
            w.do("extract", "extract.yaml", "--set", f"part={i}/3", "--set", "output=cut.act.h5", ranks=i)
        with self.store("act.h5") as whole:
            parts = [self.store(f"cut.part-{i}-of-3.act.h5") for i in (1, 2, 3)]
            for name in ("conv1", "conv2", "fc", ".striate/crc32c", ".striate/batch_mean/fc", ".striate/stimulus_id"):
                if name in whole:
                    joined = numpy.concatenate([part[name][()] for part in parts])
                    self.assertEqual(joined.tobytes(), whole[name][()].tobytes(), name)
            self.assertIn("part", parts[0].attrs)
        self.assertIn("fewer parts", w.do("extract", "extract.yaml", "--set", "part=17/40", "--set", "output=none.h5", ranks=2,
                                          code=78).err)
        self.assertIn("3/10", w.do("extract", "extract.yaml", "--set", "part=5/4", "--set", "output=none.h5", code=78).err)
        # Another part is another store.
        shutil.copy(w.folder / "cut.part-1-of-3.act.h5", w.folder / "cut.part-2-of-4.act.h5")
        self.assertIn("part differs", w.do("extract", "extract.yaml", "--set", "part=2/4", "--set", "output=cut.act.h5", code=73).err)

    def test_a_longer_list_takes_over_what_is_there(self):
        w = self.world
        self.table("first.stim.csv", w.names[:42])  # ends within a batch
        shuffled = list(w.names)
        random.Random(4).shuffle(shuffled)
        self.table("shuffled.stim.csv", shuffled)
        w.do("extract", "extract.yaml", "--set", "stimuli=first.stim.csv", "--set", "output=first.h5")
        for ranks, table in ((1, "pictures.stim.csv"), (2, "shuffled.stim.csv"), (3, "shuffled.stim.csv")):
            output = f"longer{ranks}.h5"
            done = w.do("extract", "extract.yaml", "--set", f"stimuli={table}", "--set", "reuse=first.h5", "--set",
                        f"output={output}", ranks=ranks)
            self.assertIn("42 stimuli of", done.err + done.out)
            with self.store("first.h5") as old, self.store(output) as new, self.store("act.h5") as whole:
                where = {name: i for i, name in enumerate(new[".striate/stimulus_id"].asstr()[()])}
                for layer in ("conv1", "conv2", "fc"):
                    taken = new[layer][()][[where[name] for name in w.names[:42]]]
                    self.assertEqual(taken.tobytes(), old[layer][()].tobytes())
                    ordered = new[layer][()][[where[name] for name in w.names]]
                    numpy.testing.assert_allclose(ordered, whole[layer][()], rtol=1e-4, atol=1e-5)
                    numpy.testing.assert_allclose(new[".striate/unit_mean/" + layer][()], whole[layer][()].reshape(62, -1).mean(0),
                                                  rtol=1e-4, atol=1e-5)
        w.same("longer2.h5", "longer3.h5")
        # Whatever else differs is refused, by name.
        for setting, what in (("dtype=float16", "dtype"), ("pool=mean", "pool"), ("reuse=longer9.h5", "longer9.h5")):
            done = w.do("extract", "extract.yaml", "--set", "reuse=first.h5", "--set", setting, "--set", "output=no.h5", ranks=2,
                        code=66 if setting.startswith("reuse") else 65)
            self.assertIn(what, done.err)
        self.assertIn("the output itself", w.do("extract", "extract.yaml", "--set", "reuse=first.h5", "--set", "output=first.h5",
                                                code=78).err)
        w.write("merge.yaml", "operation: merge\ninput: [first.h5]\noutput: merged.h5\n")
        w.do("convert", "merge.yaml")
        self.assertIn("was written by convert", w.do("extract", "extract.yaml", "--set", "reuse=merged.h5", "--set", "output=no.h5",
                                                     ranks=2, code=65).err)
        # A damaged row of the old store is noticed.
        shutil.copy(w.folder / "first.h5", w.folder / "damaged.h5")
        with h5py.File(w.folder / "damaged.h5", "r+") as damaged:
            damaged["fc"][7, 3] += 1
        self.assertIn("row 8 is damaged", w.do("extract", "extract.yaml", "--set", "reuse=damaged.h5", "--set", "output=no.h5",
                                               code=65).err)

    def test_taking_over_survives_kills(self):
        w = self.world
        self.table("some.stim.csv", w.names[::2])
        w.do("extract", "extract.yaml", "--set", "stimuli=some.stim.csv", "--set", "output=some.h5")
        more = ("--set", "reuse=some.h5", "--set", "batch=2")
        w.do("extract", "extract.yaml", *more, "--set", "output=undisturbed.h5")
        dice = random.Random(8)
        for kill in range(4):
            output = f"killed{kill}.h5"
            job = start("extract", "extract.yaml", *more, "--set", f"output={output}", ranks=2, cwd=w.folder)
            wait_for(lambda: (w.folder / output).exists() or job.poll() is not None, 60, "work begins")
            time.sleep(dice.random() * 0.1)
            for pid in ranks_of(job.pid):
                os.kill(pid, signal.SIGKILL)
            end(job)
            w.do("extract", "extract.yaml", *more, "--set", f"output={output}", ranks=dice.choice((1, 2, 3)))
            w.same("undisturbed.h5", output)

    def test_files_are_known_by_checksum(self):
        w = self.world
        sure = ("--set", "identify=sha256")
        for ranks in (1, 3):
            w.do("extract", "extract.yaml", *sure, "--set", f"output=sure{ranks}.h5", ranks=ranks)
        w.same("sure1.h5", "sure3.h5")
        import hashlib
        with self.store("sure3.h5") as store:
            sums = store[".striate/stimulus_sha256"].asstr()[()]
            for i in (0, 30, 61):
                self.assertEqual(sums[i], hashlib.sha256((w.folder / "pictures" / w.names[i]).read_bytes()).hexdigest())
        # A changed file: computed anew by reuse, refused on resume.
        victim = w.folder / "pictures" / w.names[11]
        keep = victim.read_bytes()
        try:
            victim.write_bytes((w.folder / "pictures" / w.names[14]).read_bytes())
            done = w.do("extract", "extract.yaml", *sure, "--set", "reuse=sure1.h5", "--set", "output=changed.h5", ranks=2)
            self.assertIn("61 stimuli of", done.err + done.out)
            with self.store("changed.h5") as store:
                numpy.testing.assert_allclose(store["fc"][11], store["fc"][14], rtol=1e-4, atol=1e-5)
            with h5py.File(w.folder / "sure3.h5", "r+") as store:  # as if it had been interrupted
                store[".striate/done"][5] = 0
                store.attrs.modify("complete", 0)
            done = w.do("extract", "extract.yaml", *sure, "--set", "output=sure3.h5", ranks=2, code=65)
            self.assertIn(w.names[11], done.err)
            self.assertIn("row 12", done.err)
        finally:
            victim.write_bytes(keep)
        w.do("extract", "extract.yaml", *sure, "--set", "output=sure3.h5", ranks=2)
        w.same("sure1.h5", "sure3.h5")
        # A file that was missing may come while its batch is not done, not afterwards.
        victim.unlink()
        skip = (*sure, "--set", "on_bad_stimulus=skip", "--set", "output=came.h5")
        try:
            w.do("extract", "extract.yaml", *skip)
            with h5py.File(w.folder / "came.h5", "r+") as store:
                store[".striate/done"][5] = 0
                store.attrs.modify("complete", 0)
        finally:
            victim.write_bytes(keep)
        self.assertIn("row 12", w.do("extract", "extract.yaml", *skip, ranks=2, code=65).err)
        with h5py.File(w.folder / "came.h5", "r+") as store:
            store[".striate/done"][2] = 0
        w.do("extract", "extract.yaml", *skip, ranks=2)
        with self.store("came.h5") as store, self.store("sure1.h5") as whole:
            self.assertEqual(store["fc"][11].tobytes(), whole["fc"][11].tobytes())
            self.assertFalse(store[".striate/skipped"][()].any())
        self.assertIn("keeps no sha256", w.do("extract", "extract.yaml", *sure, "--set", "reuse=act.h5", "--set",
                                              "output=no.h5", code=65).err)

    def test_skipped_stimuli_are_listed(self):
        w = self.world
        pictures = w.folder / "bad"
        shutil.copytree(w.folder / "pictures", pictures)
        (pictures / w.names[3]).unlink()
        middle = bytearray((pictures / w.names[10]).read_bytes())  # a JPEG whose ending is there
        middle[len(middle) // 2 - 40:len(middle) // 2 + 40] = b"\xff\xd9" * 40
        (pictures / w.names[10]).write_bytes(bytes(middle))
        (pictures / w.names[61]).write_bytes((pictures / w.names[61]).read_bytes()[:100])
        w.write("bad.stim.csv", "type=image\npath=bad\ndata=stimID\n" + "\n".join(w.names) + "\n")
        skip = ("--set", "stimuli=bad.stim.csv", "--set", "on_bad_stimulus=skip")
        for ranks in (1, 2, 3):
            output = f"skipped{ranks}.h5"
            done = w.do("extract", "extract.yaml", *skip, "--set", f"output={output}", ranks=ranks)
            self.assertEqual(done.err.count("is skipped") + done.out.count("is skipped"), 3)
            with self.store(output) as store:
                why = store[".striate/skipped"][()]
                self.assertEqual({int(i): int(why[i]) for i in numpy.flatnonzero(why)}, {3: 1, 10: 2, 61: 2})
                self.assertTrue(numpy.isnan(store["fc"][10]).all())
                self.assertTrue(numpy.isfinite(store["fc"][11]).all())
                self.assertTrue(numpy.isfinite(store[".striate/unit_mean/fc"][()]).all())
            w.same("skipped1.h5", output)
        info = w.do("info", "skipped1.h5").out
        for i in (3, 10, 61):
            self.assertIn(w.names[i], info)
        # Marks of a run that was killed before its batch counted go where the file was mended since.
        shutil.copy(w.folder / "skipped1.h5", w.folder / "again.h5")
        with h5py.File(w.folder / "again.h5", "r+") as store:
            store[".striate/skipped"][20] = 2
            store[".striate/done"][...] = 0
            store.attrs.modify("complete", 0)
        w.do("extract", "extract.yaml", *skip, "--set", "output=again.h5", ranks=2)
        w.same("skipped1.h5", "again.h5")
        with self.store("again.h5") as store:
            self.assertEqual(list(numpy.flatnonzero(store[".striate/skipped"][()])), [3, 10, 61])
        # Mended ones are computed, the others taken over.
        done = w.do("extract", "extract.yaml", "--set", "on_bad_stimulus=skip", "--set", "reuse=skipped1.h5", "--set",
                    "output=mended.h5")
        self.assertIn("59 stimuli of", done.err + done.out)
        with self.store("mended.h5") as store:
            self.assertFalse(store[".striate/skipped"][()].any())
            self.assertTrue(numpy.isfinite(store["fc"][()]).all())

    def test_packing_loses_nothing_and_survives_kills(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "batch=16", "--set", "dtype=float16", "--set", "output=plain.h5")
        done = w.do("extract", "extract.yaml", "--set", "batch=16", "--set", "dtype=float16", "--set", "pack=gzip", "--set",
                    "output=packed.h5", ranks=2)
        self.assertIn("times smaller", done.err + done.out)
        w.same("plain.h5", "packed.h5")
        with self.store("plain.h5") as plain, self.store("packed.h5") as packed:
            self.assertEqual(packed["conv1"].compression, "gzip")
            self.assertTrue(packed["conv1"].shuffle)
            self.assertEqual(dict(packed["conv1"].attrs).keys(), dict(plain["conv1"].attrs).keys())
            self.assertEqual(dict(packed.attrs).keys(), dict(plain.attrs).keys())
            for layer in ("conv1", "conv2", "fc"):
                self.assertEqual(packed[layer][()].tobytes(), plain[layer][()].tobytes())
        self.assertLess((w.folder / "packed.h5").stat().st_size, (w.folder / "plain.h5").stat().st_size)
        again = ("extract", "extract.yaml", "--set", "batch=16", "--set", "dtype=float16", "--set", "pack=gzip")
        self.assertNotIn("packing", w.do(*again, "--set", "output=packed.h5").err)  # it is
        dice = random.Random(5)
        for kill in range(4):  # a finished store, packed later
            shutil.copy(w.folder / "plain.h5", w.folder / "later.h5")
            job = start(*again, "--set", "output=later.h5", ranks=2, cwd=w.folder)
            wait_for(lambda: (w.folder / ".later.h5.packing").exists() or job.poll() is not None, 60, "packing begins")
            time.sleep(dice.random() * 0.05)
            for pid in ranks_of(job.pid):
                os.kill(pid, signal.SIGKILL)
            end(job)
            w.same("plain.h5", "later.h5")
            w.do(*again, "--set", "output=later.h5", ranks=1 + kill % 2)
            w.same("plain.h5", "later.h5")
            self.assertFalse((w.folder / ".later.h5.packing").exists())
            with self.store("later.h5") as later:
                self.assertEqual(later["fc"].compression, "gzip")
        # Asked to stop, it leaves all as it was; what is not packed is not complete where packing is asked for.
        stopped = False
        for _ in range(20):
            shutil.copy(w.folder / "plain.h5", w.folder / "later.h5")
            (w.folder / ".later.h5.packing").write_bytes(b"of a killed run")
            w.do("status", *again, "--set", "output=later.h5", code=75)
            job = start(*again, "--set", "output=later.h5", "--threads", "1", ranks=1, cwd=w.folder)
            wait_for(lambda: job.poll() is not None or not (w.folder / ".later.h5.packing").exists()
                     or (w.folder / ".later.h5.packing").stat().st_size > 15, 60, "packing begins")
            for pid in ranks_of(job.pid):
                os.kill(pid, signal.SIGTERM)
            job.communicate()
            self.assertIn(job.returncode, (0, 75))
            self.assertFalse((w.folder / ".later.h5.packing").exists())
            if job.returncode == 75:
                stopped = True
                break
        self.assertTrue(stopped, "no signal came while it packed")
        w.same("plain.h5", "later.h5")
        w.do("status", *again, "--set", "output=later.h5", code=75)
        w.do(*again, "--set", "output=later.h5")
        w.do("status", *again, "--set", "output=later.h5")
        # What is not what its checksum says is not packed.
        shutil.copy(w.folder / "plain.h5", w.folder / "torn.h5")
        with h5py.File(w.folder / "torn.h5", "r+") as torn:
            torn["conv2"][3, 1] = 0.25
        before = (w.folder / "torn.h5").read_bytes()
        self.assertIn("checksum", w.do(*again, "--set", "output=torn.h5", ranks=2, code=65).err)
        self.assertEqual((w.folder / "torn.h5").read_bytes(), before)

    def test_memory_that_runs_out_shrinks_what_is_in_flight(self):
        w = self.world
        seen = set()
        for megabytes in (64, 24, 16, 12, 9, 7, 5, 4, 3, 2):
            output = f"within{megabytes}.h5"
            done = run("extract", "extract.yaml", "--set", "batch=16", "--set", f"output={output}", "--threads", "3",
                       cwd=w.folder, env={"STRIATE_TENSOR_MEMORY": str(megabytes << 20)})
            seen.add((done.code, "memory ran out" in done.err + done.out))
            if done.code:
                self.assertIn("out of memory", done.err)
                continue
            w.same("within64.h5", output)
        for kilobytes in (2400, 1200, 800):  # where one thread has room, eight have: one after the other
            codes = []
            for threads in (1, 8):
                output = f"beside{kilobytes}_{threads}.h5"
                done = run("extract", "extract.yaml", "--set", "batch=4", "--set", f"output={output}", "--threads", str(threads),
                           cwd=w.folder, env={"STRIATE_TENSOR_MEMORY": str(kilobytes << 10)})
                codes.append(done.code)
            self.assertEqual(codes[0], codes[1], (kilobytes, done))
            seen.add((codes[1], "memory ran out" in done.err + done.out))
        self.assertEqual({code for code, _ in seen}, {0, 71})
        self.assertIn((0, True), seen, "no limit lay between three batches and one")
        for ranks in (1, 2):  # one error, no rank waits for ever
            done = w.do("extract", "extract.yaml", "--set", "output=none.h5", ranks=ranks, code=71,
                        env={"STRIATE_TENSOR_MEMORY": "300000"})
            self.assertEqual(len(done.errors), 1, done)

    def test_half_precision_is_asked_for_by_name(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "autocast=bf16", "--set", "output=half.h5", ranks=2)
        with self.store("act.h5") as full, self.store("half.h5") as half:
            self.assertEqual(half.attrs["autocast"], b"bf16" if isinstance(half.attrs["autocast"], bytes) else "bf16")
            for layer in ("conv1", "conv2", "fc"):
                a, b = full[layer][()], half[layer][()]
                self.assertFalse((a == b).all())
                self.assertLess(numpy.abs(a - b).max(), 0.03 * numpy.abs(a).max())
        self.assertIn("autocast differs", w.do("extract", "extract.yaml", "--set", "output=half.h5", code=73).err)
        self.assertIn("needs a GPU", w.do("extract", "extract.yaml", "--set", "autocast=fp16", "--set", "device=cpu", "--set",
                                          "output=none.h5", ranks=2, code=78).err)


if __name__ == "__main__":
    main()
