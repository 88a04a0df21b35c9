"""Whatever is killed, and whenever: the same command again ends with the undisturbed output."""
import os
import random
import signal
import time
import unittest

from flow import World, end, main, ranks_of, run, start, wait_for

KILLS = 12
RANDOM = random.Random(20)


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class Crash(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World(stimuli=240, width=24)
        cls.world.config("extract.yaml", "extract.yaml", "batch: 4", "batch: 2")
        cls.world.config("simulate.yaml", "simulate.yaml", "voxels: 40", "voxels: 1500")
        cls.world.config("encode.yaml", "encode.yaml", "cv: {folds: 4", "permutation: {n: 6}\ncv: {folds: 6")
        cls.world.until_encode(ranks=2)

    def kill_and_rerun(self, command, reference, output, start_of_work):
        """Kills a random rank with -9 at a random moment, then reruns. Says how much of the work was done by then."""
        w = self.world
        config = f"{command}.yaml"
        duration = None
        halfway = 0
        for kill in range(KILLS):
            place = f"{kill}-{output}"
            if duration is None:
                begun = time.time()
                w.do(command, config, "--set", f"output=timed-{output}", ranks=2)
                duration = time.time() - begun
            job = start(command, config, "--set", f"output={place}", ranks=2, cwd=w.folder)
            wait_for(lambda: len(ranks_of(job.pid)) == 2 or job.poll() is not None, 20, "ranks start")
            # The first half of the moments anywhere, the other once there is an output.
            if kill % 2:
                wait_for(lambda: (w.folder / place / start_of_work).exists() or job.poll() is not None, 30, "work begins")
                time.sleep(RANDOM.random() * 0.6 * duration)
            else:
                time.sleep(RANDOM.random() * duration)
            victims = ranks_of(job.pid)
            if victims:
                os.kill(RANDOM.choice(victims), signal.SIGKILL)
            job.communicate(timeout=60)
            for pid in victims:
                wait_for(lambda pid=pid: gone(pid), 10, f"rank {pid} ends")
            state = run("status", command, config, "--set", f"output={place}", cwd=w.folder)
            self.assertIn(state.code, (0, 75), state)
            done = run("status", command, config, "--set", f"output={place}", "--count", cwd=w.folder)
            halfway += state.code == 75 and int(done.out) > 0
            w.do(command, config, "--set", f"output={place}", ranks=RANDOM.choice((1, 2, 3)))
            w.same(reference, place)
        return halfway

    def test_extract_survives_kills(self):
        halfway = self.kill_and_rerun("extract", "act.h5", "killed.h5", "")
        self.assertGreater(halfway, 0, "no kill came in the middle of the work: the test saw nothing")

    def test_encode_survives_kills(self):
        halfway = self.kill_and_rerun("encode", "encode", "killed", "result.h5")
        self.assertGreater(halfway, 0, "no kill came in the middle of the work: the test saw nothing")

    def stop_and_resume(self, command, reference, output, start_of_work):
        w = self.world
        for attempt in range(6):
            place = f"{attempt}-{output}"
            job = start(command, f"{command}.yaml", "--set", f"output={place}", ranks=2, cwd=w.folder)
            wait_for(lambda: (w.folder / place / start_of_work).exists() or job.poll() is not None, 30, "work begins")
            time.sleep(0.1 * attempt)
            for pid in ranks_of(job.pid):
                try:
                    os.kill(pid, signal.SIGUSR1)
                except ProcessLookupError:
                    pass
            out, err = job.communicate(timeout=60)
            self.assertIn(job.returncode, (0, 75), err)
            if job.returncode == 0:
                continue  # it was faster than the signal
            self.assertIn("run the same command again", err)
            self.assertEqual(run("status", command, f"{command}.yaml", "--set", f"output={place}", cwd=w.folder).code, 75)
            w.do(command, f"{command}.yaml", "--set", f"output={place}", ranks=3)
            w.same(reference, place)
            return
        self.fail("no signal came in the middle of the work")

    def test_signal_stops_extract(self):
        self.stop_and_resume("extract", "act.h5", "stopped.h5", "")

    def test_signal_stops_encode(self):
        self.stop_and_resume("encode", "encode", "stopped", "result.h5")

    def test_second_job_on_one_output(self):
        w = self.world
        job = start("extract", "extract.yaml", "--set", "output=busy.h5", ranks=2, cwd=w.folder)
        try:
            wait_for(lambda: (w.folder / "busy.h5").exists(), 30, "the first job works")
            for pid in ranks_of(job.pid):
                os.kill(pid, signal.SIGSTOP)
            for ranks in (1, 2):
                second = run("extract", "extract.yaml", "--set", "output=busy.h5", ranks=ranks, cwd=w.folder)
                self.assertEqual(second.code, 73, second)
                self.assertEqual(len(second.errors), 1, second)
                self.assertIn("is being written by striate extract", second.errors[0])
                self.assertLess(second.seconds, 20)
            self.assertEqual(run("status", "extract", "extract.yaml", "--set", "output=busy.h5", cwd=w.folder).code, 75)
        finally:
            for pid in ranks_of(job.pid):
                os.kill(pid, signal.SIGCONT)
            end(job)
        w.do("extract", "extract.yaml", "--set", "output=busy.h5", ranks=2)
        w.same("act.h5", "busy.h5")


if __name__ == "__main__":
    main()
