"""Activations and events to scores of two BOLD runs, by YAML alone: the configs of docs/encoding.md, with their outputs."""
import re
import unittest

import h5py
import nibabel
import numpy
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from flow import SOURCE, World, main

LENGTHS, TR = (90, 84), 2


def cosines(n, period):
    """nilearn's _cosine_drift with its constant."""
    order = int(numpy.floor(2 * n * TR / period))
    return numpy.stack([numpy.cos(numpy.pi / n * (numpy.arange(n) + .5) * k) for k in range(order + 1)], 1)


class Series(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = World(stimuli=40)
        w.do("extract", "extract.yaml")
        random = numpy.random.default_rng(8)
        for run, n in enumerate(LENGTHS, 1):
            shown = random.permutation(w.names)[:n * TR // 6]
            w.write(f"run-{run}_events.tsv", "onset\tduration\tstim_file\n" + "".join(
                f"{6 * i + .5}\t2\t{name}\n" for i, name in enumerate(shown)))
        cls.affine = numpy.diag([2., 2, 2, 1])
        blank = [numpy.ones((6, 5, 2, n), "f4") for n in LENGTHS]
        cls.save(blank)                                    # convolve counts the volumes
        text = (SOURCE / "docs/encoding.md").read_text()
        text = text[text.index("## Time series"):]
        convolve, encode = re.findall(r"```yaml\n(.*?)```", text, re.S)[:2]
        w.write("convolve.yaml", convolve.replace("conv5", "fc"))
        w.write("encode.yaml", encode)
        w.do("convolve", "convolve.yaml", ranks=2)
        with h5py.File(w.folder / "bold.act.h5") as h:
            cls.x = h["conv1"][:].reshape(sum(LENGTHS), -1).astype("f8")
        signal = cls.x @ random.standard_normal((cls.x.shape[1], 60))
        signal *= (numpy.arange(60) < 30) / signal.std(0)
        cls.y = []
        for run, n in enumerate(LENGTHS):
            rows = slice(run * LENGTHS[0], run * LENGTHS[0] + n)
            drift = numpy.outer(numpy.linspace(-1, 1, n), random.uniform(-9, 9, 60))
            cls.y.append((500 + 30 * run + drift + signal[rows] + .5 * random.standard_normal((n, 60))).astype("f4"))
        cls.save([y.T.reshape(6, 5, 2, -1) for y in cls.y])
        nibabel.save(nibabel.Nifti1Image(numpy.ones((6, 5, 2), "u1"), cls.affine), w.folder / "vtc.nii.gz")
        cls.done = w.do("encode", "encode.yaml", ranks=2)

    @classmethod
    def save(cls, runs):
        for run, values in enumerate(runs, 1):
            nibabel.save(nibabel.Nifti1Image(numpy.ascontiguousarray(values), cls.affine),
                         cls.world.folder / f"run-{run}_bold.nii.gz")

    def test_scores_are_those_of_scikit_learn(self):
        y, run = [], numpy.repeat([1, 2], [n - 5 for n in LENGTHS])
        for values in self.y:
            basis = cosines(len(values), 128)
            clean = values - basis @ numpy.linalg.lstsq(basis, values.astype("f8"), rcond=None)[0]
            y.append((clean / clean.std(0))[5:])
        y = numpy.concatenate(y)
        x = numpy.concatenate([self.x[5:LENGTHS[0]], self.x[LENGTHS[0] + 5:]])
        with h5py.File(self.world.folder / "out/encode/result.h5") as got:
            self.assertEqual(len(got["/.striate/stimulus_id"]), len(y))
            for fold in (0, 1):
                train, test = run != fold + 1, run == fold + 1
                for t in range(0, 60, 7):
                    model = make_pipeline(StandardScaler(), Ridge(alpha=got["/conv1/alpha"][fold, t], solver="svd"))
                    want = numpy.corrcoef(model.fit(x[train], y[train, t]).predict(x[test]), y[test, t])[0, 1]
                    self.assertAlmostEqual(got["/conv1/score/pearson_fold"][fold, t], want, delta=2e-5)
            scores = got["/conv1/score/pearson"][:]
        self.assertGreater(scores[:30].mean(), .5)
        self.assertLess(numpy.abs(scores[30:]).mean(), .15)
        self.assertIn("inner folds are parts of that run", self.done.err)

    def test_the_rest_of_the_program_goes_along(self):
        w = self.world
        self.assertIn("2 runs, 174 volumes, periods above 128 s out, z-scored, then 5 + 0 of a run dropped",
                      w.do("encode", "encode.yaml", "--dry-run").out)
        w.do("status", "encode", "encode.yaml")
        w.do("info", "out/encode/result.h5")
        self.assertIn("nothing to do", w.do("encode", "encode.yaml", ranks=2).err)
        other = w.do("encode", "encode.yaml", "--set", "responses.detrend={cosine: 100}", code=73)
        self.assertIn("responses.detrend", other.errors[0])
        w.write("permute.yaml", "encode: encode.yaml\npermutation: {n: 9, shuffle: circular, exchange: run}\noutput: permuted\n")
        w.do("permute", "permute.yaml", ranks=2)
        with h5py.File(w.folder / "permuted/result.h5") as got:
            self.assertEqual(got["/conv1/permutation/pearson/p"][:30].max(), .1)


if __name__ == "__main__":
    main()
