"""Every other command and model, killed with -9 in the middle of its work: run again, it ends with the undisturbed output."""
import os
import random
import signal
import time
import unittest

import h5py

from flow import World, main, ranks_of, run, start
from test_crash import gone

ATTEMPTS = 4  # a job may be faster than its murderer
RANDOM = random.Random(21)
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # a reader must not be in the job's way


def done_of(path):
    """Units done and all units of a working file; nothing where it is not there yet."""
    try:
        with h5py.File(path, "r") as file:
            done = file[".striate/done"][:]
            return int(done.sum()), len(done)
    except (OSError, KeyError, RuntimeError):
        return 0, 0


class CrashJobs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = World(stimuli=60, width=4)
        w.config("extract.yaml", "extract.yaml", "batch: 4", "batch: 16")
        w.config("simulate.yaml", "simulate.yaml", "voxels: 40", "voxels: 400")
        w.config("encode.yaml", "encode.yaml", "conv1, conv2, fc]", "conv1, fc]")
        w.config("encode.yaml", "encode.yaml", "output:", "target_tile: 32\noutput:")
        w.until_encode()
        w.config("lasso.yaml", "encode.yaml", "type: ridge, alphas: {logspace: [-1, 5, 7]}", "type: lasso")
        w.config("lasso.yaml", "lasso.yaml", "conv1, fc]", "fc]")
        w.config("banded.yaml", "encode.yaml", "type: ridge,", "type: banded_ridge, n_iter: 8,")
        w.config("permuted.yaml", "encode.yaml", "output:", "permutation: {n: 12, correct: [max, tfce]}\n"
                 "gradient: {rois: [early, late]}\noutput:")
        w.config("fits.yaml", "encode.yaml", new="save: coefficients\n", output="fits")
        w.do("encode", "fits.yaml")
        w.write("predict.yaml", "encode: fits.yaml\nfeatures: {store: act.h5}\noutput: predicted\n")
        w.write("permute.yaml", "encode: encode.yaml\npermutation: {n: 60}\noutput: permuted\n")
        shown = [f"{4 * i}\t1\trun-{1 + i % 8}\t{w.names[i % 60]}" for i in range(400)]
        w.write("events.tsv", "onset\tduration\trun\tstimID\n" + "\n".join(shown) + "\n")
        w.write("convolve.yaml", "features: {store: act.h5, layers: [conv1, fc]}\nevents: events.tsv\nrun: run\ntr: 2\n"
                "volumes: 800\noutput: bold.h5\n")

    def kill_in_the_middle(self, command, config, place, ledger, *sets):
        """A rank, or all of them, once some of the units are done. False where the job was faster."""
        job = start(command, config, "--set", f"output={place}", *sets, ranks=2, cwd=self.world.folder)
        share = RANDOM.random() * 0.6
        begun = time.time()
        while job.poll() is None and time.time() < begun + 60:
            done, total = done_of(self.world.folder / place / ledger)
            if done > share * total:
                break
            time.sleep(0.005)
        victims = ranks_of(job.pid)
        for victim in RANDOM.sample(victims, RANDOM.choice((1, len(victims)))) if victims else ():
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        job.communicate(timeout=60)
        while any(not gone(pid) for pid in victims):
            self.assertLess(time.time(), begun + 90, "ranks end with the job")
            time.sleep(0.01)
        done, total = done_of(self.world.folder / place / ledger)
        return 0 < done < total

    def survives(self, command, config, ledger="result.h5", *sets):
        w = self.world
        whole = f"whole-{command}-{config}"
        w.do(command, config, "--set", f"output={whole}", *sets, ranks=2)
        for attempt in range(ATTEMPTS):
            place = f"killed-{attempt}-{command}-{config}"
            middle = self.kill_in_the_middle(command, config, place, ledger, *sets)
            state = run("status", command, config, "--set", f"output={place}", *sets, cwd=w.folder)
            self.assertIn(state.code, (0, 75), state)
            w.do(command, config, "--set", f"output={place}", *sets, ranks=RANDOM.choice((1, 2, 3)))
            w.same(whole, place)
            if middle:
                return
        self.fail("no kill came in the middle of the work: the test saw nothing")

    def test_encode_with_permuted_maps(self):
        self.survives("encode", "permuted.yaml")

    def test_lasso(self):
        self.survives("encode", "lasso.yaml")

    def test_banded_ridge(self):
        self.survives("encode", "banded.yaml")

    def test_partition(self):
        self.survives("partition", "encode.yaml", "result.h5", "--set", "scores=[r2]", "--set", "permutation.n=3")

    def test_predict(self):
        self.survives("predict", "predict.yaml")

    def test_convolve(self):
        self.survives("convolve", "convolve.yaml", "")

    def test_reduce(self):
        self.world.do("convolve", "convolve.yaml", "--set", "output=rows.h5")
        self.world.write("reduce.yaml", "features: {store: rows.h5}\nmethod: randomized_pca\ncomponents: 10\n"
                         "output: reduced.act.h5\n")
        self.survives("reduce", "reduce.yaml", "")

    def test_parts_of_permute(self):
        """The second of three parts is killed; the last one to end merges them all."""
        w = self.world
        w.do("permute", "permute.yaml", "--set", "output=whole-permute", ranks=2)
        for part in (1, 3):
            w.do("permute", "permute.yaml", "--set", "output=parts", "--set", f"part={part}/3", ranks=2)
        middle = self.kill_in_the_middle("permute", "permute.yaml", "parts", "part-2-of-3.h5", "--set", "part=2/3")
        self.assertFalse((w.folder / "parts/result.h5").exists())
        w.do("permute", "permute.yaml", "--set", "output=parts", "--set", "part=2/3", ranks=3)
        w.same("whole-permute/result.h5", "parts/result.h5")
        w.same("whole-permute/maps", "parts/maps")
        self.assertTrue(middle, "no kill came in the middle of the work: the test saw nothing")


if __name__ == "__main__":
    main()
