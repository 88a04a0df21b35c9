"""extract → simulate → encode: the same outputs at 1, 2 and 3 ranks; layouts that other programs read; resuming."""
import json
import pathlib
import shutil
import unittest

import h5py
import nibabel
import numpy

from flow import SOURCE, World, main, run


class Pipeline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.until_encode(ranks=1)

    def test_outputs_do_not_depend_on_ranks(self):
        w = self.world
        for ranks in (0, 2, 3):
            w.do("extract", "extract.yaml", "--set", f"output=act{ranks}.h5", ranks=ranks)
            w.same("act.h5", f"act{ranks}.h5")
            w.do("simulate", "simulate.yaml", "--set", f"output=brain{ranks}", ranks=ranks)
            w.same("brain", f"brain{ranks}")
            w.do("encode", "encode.yaml", "--set", f"output=encode{ranks}", ranks=ranks)
            w.same("encode", f"encode{ranks}")

    def test_outputs_do_not_depend_on_threads_or_nodes(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "output=act_t.h5", "--threads", "3", ranks=1)
        w.same("act.h5", "act_t.h5")
        w.do("encode", "encode.yaml", "--set", "output=encode_t", "--threads", "3", ranks=2, env={"STRIATE_FAKE_NODES": "2"})
        w.same("encode", "encode_t")

    def test_intervals_that_leave_the_score_out_are_counted(self):
        w = self.world
        done = w.do("encode", "encode.yaml", "--set", "output=few", "--set", "features.layers=[fc]", "--set", "cv.folds=10",
                    "--set", "bootstrap.n=200", "--set", "scores=r2", "--set", "model.alphas=1000")
        with h5py.File(w.folder / "few" / "result.h5") as result:
            score = result["/fc/score/r2"][:]
            low, high = result["/fc/bootstrap/r2/low"][:], result["/fc/bootstrap/r2/high"][:]
        out = int(((score < low) | (score > high)).sum())
        self.assertGreater(out, 2)  # of six test stimuli a fold
        self.assertIn(f"leave r2 itself out in {out} of {score.size} targets: of 6 test rows a fold", done.err)

    def test_the_comparison_sees_differences(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "output=act_pool.h5", "--set", "pool=mean")
        done = run("info", "--compare", "act.h5", "act_pool.h5", cwd=w.folder)
        self.assertEqual(done.code, 65, done)

    def test_store_has_dnnbrains_layout(self):
        with h5py.File(self.world.folder / "act.h5") as store:
            layers = [name for name in store if not name.startswith(".")]
            self.assertEqual(sorted(layers), ["conv1", "conv2", "fc"])
            self.assertEqual(store["conv1"].shape, (60, 16, 30, 30))
            self.assertEqual(store["fc"].shape, (60, 24, 1, 1))
            self.assertEqual(store["conv1"].dtype, numpy.float32)
            ids = [text.decode() for text in store["/.striate/stimulus_id"][:]]
            self.assertEqual(ids, self.world.names)
            self.assertEqual(int(store.attrs["complete"]), 1)
            for name in ("striate_version", "network", "weights_sha256", "layer_order", "preprocessing", "stimuli_sha256"):
                self.assertIn(name, store.attrs)

    def test_activations_are_torchs(self):
        import torch
        from PIL import Image
        from torchvision import transforms
        w = self.world
        how = transforms.Compose([transforms.Resize(66), transforms.CenterCrop(64), transforms.ToTensor(),
                                  transforms.Normalize([.5] * 3, [.2] * 3)])
        images = torch.stack([how(Image.open(w.folder / "pictures" / name).convert("RGB")) for name in w.names])
        with torch.no_grad():
            conv1 = w.module.conv1(images)
            fc = w.module(images)
        with h5py.File(w.folder / "act.h5") as store:
            for name, wanted in (("conv1", conv1.numpy()), ("fc", fc.numpy()[:, :, None, None])):
                got = store[name][:]
                spread = wanted.max() - wanted.min()
                # one level of 255 in a resized picture is allowed: 1/255/0.2 in the input
                self.assertLess(numpy.abs(got - wanted).max() / spread, 2e-2, name)
                self.assertLess(numpy.abs(got - wanted).mean() / spread, 1e-4, name)

    def test_half_floats_and_pooling(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "output=half.h5", "--set", "dtype=float16", ranks=2)
        w.do("extract", "extract.yaml", "--set", "output=mean.h5", "--set", "pool=mean", ranks=2)
        with h5py.File(w.folder / "act.h5") as full, h5py.File(w.folder / "half.h5") as half, \
                h5py.File(w.folder / "mean.h5") as mean:
            self.assertEqual(half["conv2"].dtype, numpy.float16)
            numpy.testing.assert_array_equal(half["conv2"][:], full["conv2"][:].astype(numpy.float16))
            self.assertEqual(mean["conv2"].shape, (60, 32, 1, 1))
            numpy.testing.assert_allclose(mean["conv2"][:], full["conv2"][:].mean((2, 3), keepdims=True), rtol=2e-5, atol=1e-6)

    def test_result_holds_what_is_promised(self):
        w = self.world
        with h5py.File(w.folder / "encode" / "result.h5") as result, h5py.File(w.folder / "brain" / "truth.h5") as truth:
            t = result["/targets/index"].shape[0]
            self.assertEqual(t, 80)
            for layer in ("conv1", "conv2", "fc"):
                self.assertEqual(result[f"/{layer}/score/pearson"].shape, (t,))
                self.assertEqual(result[f"/{layer}/score/r2_fold"].shape, (4, t))
                self.assertEqual(result[f"/{layer}/alpha"].shape, (4, t))
                numpy.testing.assert_allclose(result[f"/{layer}/score/r2"][:], result[f"/{layer}/score/r2_fold"][:].mean(0),
                                              rtol=1e-12)
            self.assertEqual(result["/.striate/complete"][()], 1)
            early = truth["/label"][:] == 1 if "label" in truth else numpy.arange(t) < 40
            self.assertGreater(numpy.median(result["/conv1/score/pearson"][:][early]),
                               numpy.median(result["/fc/score/pearson"][:][early]))
            self.assertIn("best", result)
        for name in ("summary.tsv", "provenance.json", "log.txt", "maps/layer-conv1_stat-pearson.nii.gz",
                     "maps/best-layer.nii.gz"):
            self.assertTrue((w.folder / "encode" / name).is_file(), name)
        record = json.loads((w.folder / "encode" / "provenance.json").read_text())
        self.assertEqual(record["config"]["cv"]["folds"], 4)
        self.assertEqual(record["ranks"], 1)
        self.assertTrue(record["inputs_sha256"], "no inputs recorded")

    def test_a_finished_job_has_nothing_to_do(self):
        w = self.world
        for command in ("extract", "simulate", "encode"):
            done = w.do(command, f"{command}.yaml", ranks=2)
            self.assertIn("nothing to do", done.err)
            w.do("status", command, f"{command}.yaml")

    def test_another_config_is_refused_and_fresh_replaces(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "output=other.h5", "--set", "layers=[fc]")
        done = w.do("extract", "extract.yaml", "--set", "output=other.h5", ranks=2, code=73)
        self.assertIn("layers differs", done.errors[0])
        w.do("extract", "extract.yaml", "--set", "output=other.h5", "--fresh", ranks=2)
        w.same("act.h5", "other.h5")
        w.do("encode", "encode.yaml", "--set", "output=other", "--set", "cv.folds=3")
        done = w.do("encode", "encode.yaml", "--set", "output=other", code=73)
        self.assertIn("cv.folds differs", done.errors[0])
        w.do("encode", "encode.yaml", "--set", "output=other", "--fresh")
        w.same("encode", "other")

    def test_a_moved_folder_goes_on_and_changed_inputs_do_not(self):
        """Inputs count by content, wherever they lie."""
        w = self.world
        moved = pathlib.Path(w.folder / "moved")
        moved.mkdir()
        for name in ("extract.yaml", "simulate.yaml", "encode.yaml", "pictures.stim.csv", "tiny.yaml", "tiny.ts.pt", "act.h5"):
            shutil.copy(w.folder / name, moved / name)
        for name in ("brain", "encode"):
            shutil.copytree(w.folder / name, moved / name)
        for command in ("extract", "simulate", "encode"):  # and a finished store needs its pictures no more
            done = run(command, moved / f"{command}.yaml", ranks=2)
            self.assertEqual(done.code, 0, done)
            self.assertIn("nothing to do", done.err)
        (moved / "encode").rename(moved / "renamed")
        done = run("encode", moved / "encode.yaml", "--set", "output=renamed")
        self.assertIn("nothing to do", done.err)
        image = nibabel.load(moved / "brain" / "responses.nii.gz")
        nibabel.save(nibabel.Nifti1Image(numpy.asarray(image.dataobj)[..., ::-1], image.affine), moved / "brain" / "responses.nii.gz")
        done = run("encode", moved / "encode.yaml", "--set", "output=renamed", ranks=2)
        self.assertEqual(done.code, 73, done)
        self.assertIn("inputs.responses", done.errors[0])

    def test_stores_of_two_folders_compare_equal(self):
        w = self.world
        other = w.folder / "other"
        shutil.copytree(w.folder / "pictures", other / "pictures")
        for name in ("extract.yaml", "pictures.stim.csv", "tiny.yaml", "tiny.ts.pt"):
            shutil.copy(w.folder / name, other / name)
        self.assertEqual(run("extract", other / "extract.yaml", ranks=2).code, 0)
        w.same("act.h5", "other/act.h5")

    def test_fresh_replaces_a_damaged_store(self):
        w = self.world
        data = (w.folder / "act.h5").read_bytes()
        w.write("torn.h5", "")
        (w.folder / "torn.h5").write_bytes(data[:len(data) // 2])
        w.do("extract", "extract.yaml", "--set", "output=torn.h5", ranks=2, code=65)
        w.do("extract", "extract.yaml", "--set", "output=torn.h5", "--fresh", ranks=2)
        w.same("act.h5", "torn.h5")

    def test_dry_run_writes_nothing(self):
        w = self.world
        before = sorted(p for p in w.folder.iterdir())
        for command in ("extract", "simulate", "encode"):
            for ranks in (0, 2):
                done = w.do(command, f"{command}.yaml", "--set", "output=none/never.h5", "--dry-run", ranks=ranks)
                for word in ("work units", "memory", "estimated time", "#SBATCH"):
                    self.assertIn(word, done.out, f"{command}: {done}")
        self.assertEqual(before, sorted(p for p in w.folder.iterdir()))

    def test_the_reference_is_what_the_program_says(self):
        for option, file in (("--markdown", "docs/commands.md"), ("--yaml", "configs/reference.yaml")):
            self.assertEqual((SOURCE / file).read_text(), self.world.do("help", option).out,
                             f"{file} is out of date: striate help {option} > {file}")

    def test_permutations_in_parts(self):
        """Shares of different jobs, at different rank counts, give what one run gives; a second run has nothing to do."""
        w = self.world
        w.write("permute.yaml", "encode: encode.yaml\npermutation: {n: 20}\noutput: permuted\n")
        w.do("permute", "permute.yaml", "--set", "part=2/2", ranks=2)
        self.assertFalse((w.folder / "permuted/result.h5").exists())
        status = run("status", "permute", "permute.yaml", "--set", "part=1/2", cwd=w.folder)
        self.assertEqual(status.code, 75, status)
        w.do("permute", "permute.yaml", "--set", "part=1/2", ranks=3)
        w.do("permute", "permute.yaml", "--set", "output=at-once")
        w.same("permuted/result.h5", "at-once/result.h5")
        before = (w.folder / "permuted/part-1-of-2.h5").stat().st_mtime_ns
        w.do("permute", "permute.yaml", "--set", "part=1/2")
        self.assertEqual((w.folder / "permuted/part-1-of-2.h5").stat().st_mtime_ns, before)
        plan = w.do("permute", "permute.yaml", "--set", "part=1/2", "--dry-run").out
        self.assertIn("1 to 10 of 20", plan)

    def test_shipped_configs_are_valid(self):
        """Every key of them is known: what is refused is that the files they name are not there."""
        for command in ("extract", "encode", "permute", "predict", "simulate"):
            done = run(command, SOURCE / "configs" / f"{command}.yaml", "--dry-run", "--set",
                       f"output={self.world.folder / 'none'}", env={"SUBJECT": "1"}, cwd=self.world.folder)
            # The shipped encode saves no coefficients, which predict says before it looks for files.
            self.assertEqual(done.code, 78 if command == "predict" else 66, done)

    def test_help_version_info_doctor(self):
        w = self.world
        self.assertIn("extract", w.do("--help").out)
        for command in ("extract", "encode", "permute", "predict", "simulate"):
            self.assertIn("output", w.do(command, "--help").out)
        version = w.do("--version").out
        for word in ("striate 0.", "LibTorch", "HDF5", "parallel", "MPI"):
            self.assertIn(word, version)
        self.assertIn("complete", w.do("info", "act.h5").out)
        self.assertIn("result directory", w.do("info", "encode").out)
        self.assertIn("fit for work", w.do("doctor", ranks=2).out)
        for word in ("extrct", "extract"):
            for ranks in (0, 3):
                done = run(word, cwd=w.folder, ranks=ranks)
                self.assertEqual(done.code, 64, done)
                self.assertEqual(len(done.errors), 1, done)
        alone = run("extract", "nowhere.yaml", cwd=w.folder)
        self.assertEqual((alone.code, alone.out), (66, ""), alone)
        self.assertEqual(len(alone.err.splitlines()), 1, alone)


if __name__ == "__main__":
    main()
