"""encode → predict: what scikit-learn's ridge, refitted at the alphas chosen, predicts for new stimuli."""
import unittest

import h5py
import nibabel
import numpy
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from flow import World, main

LAYERS = ("conv1", "conv2", "fc")


class Predict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = World()
        w.do("extract", "extract.yaml")
        w.do("simulate", "simulate.yaml")
        w.config("fits.yaml", "encode.yaml", new="save: coefficients\n", output="fits")
        w.do("encode", "fits.yaml", ranks=2)
        random = numpy.random.default_rng(5)
        mix = random.dirichlet(numpy.full(60, .1), 30)  # stimuli in between
        cls.new = {}
        with h5py.File(w.folder / "act.h5") as store, h5py.File(w.folder / "new.h5", "w") as out:
            for layer in LAYERS:
                cls.new[layer] = out[layer] = numpy.tensordot(mix, store[layer][:], 1).astype("f4")
        cls.names = [f"new{i}.png" for i in range(30)]
        w.write("new.stim.csv", "type=image\npath=.\ndata=stimID\n" + "\n".join(cls.names) + "\n")
        w.write("predict.yaml", "encode: fits.yaml\nfeatures: {store: new.h5, stimuli: new.stim.csv}\noutput: predicted\n")
        w.do("predict", "predict.yaml")

    def responses(self, ids, index):
        """Means over the volumes of each stimulus: stimuli × targets."""
        image = nibabel.load(self.world.folder / "brain/responses.nii.gz")
        lines = (self.world.folder / "brain/responses.stim.csv").read_text().splitlines()
        head = next(i for i, line in enumerate(lines) if line.startswith("data="))
        shown = numpy.array([line.split(",")[0] for line in lines[head + 1:]])
        values = numpy.asarray(image.dataobj, "f8")
        values = values.reshape(-1, values.shape[3])[index]
        return numpy.stack([values[:, shown == name].mean(1) for name in ids])

    def test_predictions_are_scikit_learns(self):
        w = self.world
        with h5py.File(w.folder / "fits/result.h5") as fits, h5py.File(w.folder / "predicted/result.h5") as got, \
                h5py.File(w.folder / "act.h5") as store:
            self.assertEqual([text.decode() for text in got["/stimulus_id"][:]], self.names)
            index = fits["/targets/index"][:]
            numpy.testing.assert_array_equal(got["/targets/index"][:], index)
            ids = [text.decode() for text in fits["/.striate/stimulus_id"][:]]
            y = self.responses(ids, index)
            numpy.testing.assert_allclose(fits["/targets/mean"][:], y.mean(0), rtol=1e-5, atol=1e-5)
            for layer in LAYERS:
                x = store[layer][:].reshape(60, -1)[[w.names.index(name) for name in ids]].astype("f8")
                for t in range(0, len(index), 9):
                    model = make_pipeline(StandardScaler(), Ridge(alpha=fits[f"/{layer}/coef_alpha"][t], solver="svd"))
                    want = model.fit(x, y[:, t]).predict(self.new[layer].reshape(30, -1))
                    numpy.testing.assert_allclose(got[f"/{layer}/prediction"][:, t], want, rtol=0, atol=2e-4 * y[:, t].std())

    def test_ranks_and_a_second_run_change_nothing(self):
        w = self.world
        for ranks in (1, 3):
            w.do("predict", "predict.yaml", "--set", f"output=predicted{ranks}", ranks=ranks)
            w.same("predicted", f"predicted{ranks}")
        self.assertIn("nothing to do", w.do("predict", "predict.yaml", ranks=2).err)
        w.do("status", "predict", "predict.yaml")

    def test_stimuli_of_the_encode_are_scored(self):
        """On its own stimuli a layer is better than noise: scores, maps, summary."""
        w = self.world
        w.config("own.yaml", "predict.yaml", output="own", old="{store: new.h5, stimuli: new.stim.csv}",
                 new="{store: act.h5}\nresponses: {data: brain/responses.nii.gz, stimuli: brain/responses.stim.csv}")
        plan = w.do("predict", "own.yaml", "--dry-run").out
        self.assertIn("60 of them with responses", plan)
        w.do("predict", "own.yaml", ranks=2)
        with h5py.File(w.folder / "own/result.h5") as got:
            self.assertGreater(numpy.median(got["/conv1/score/pearson"][:]), .3)
        self.assertIn("conv1\tpearson\t80\t80\t", (w.folder / "own/summary.tsv").read_text())
        lost = w.folder / "own/maps/layer-fc_stat-r2.nii.gz"
        lost.unlink()
        w.do("predict", "own.yaml")
        self.assertTrue(lost.is_file())


if __name__ == "__main__":
    main()
