"""Which units extract stores: masks, channels, units, pools, tokens, projections; and the report of layers."""
import csv
import json
import re
import unittest

import h5py
import numpy

from flow import SOURCE, World, main, run

LAYERS = "layers: {conv5: conv1, relu5: relu1, conv2: conv2, tokens: tokens, video: video, fc3: fc}\n"


class Small(World):
    """Maps (8, 15, 15), tokens (49, 12), a video layer (12, 3, 7, 7), 30 features; channel 4 of relu5 is dead."""

    def make_network(self, width):
        import torch

        class Tokens(torch.nn.Module):
            def forward(self, x):
                return x.flatten(2).transpose(1, 2)

        class Video(torch.nn.Module):
            def forward(self, x):
                return torch.stack([x, 2 * x, x - 1], 2)

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.conv1 = torch.nn.Conv2d(3, 8, 5, stride=4)
                self.relu1 = torch.nn.ReLU()
                self.conv2 = torch.nn.Conv2d(8, 12, 3, stride=2)
                self.tokens, self.video = Tokens(), Video()
                self.fc = torch.nn.Linear(588, 30)

            def forward(self, x):
                x = self.conv2(self.relu1(self.conv1(x)))
                return self.fc(self.tokens(x).flatten(1)) + self.video(x).mean()

        torch.manual_seed(5)
        net = Net().eval()
        with torch.no_grad():
            net.conv1.weight[3] = 0
            net.conv1.bias[3] = -1
        torch.jit.script(net).save(str(self.folder / "tiny.ts.pt"))
        self.write("tiny.yaml", "name: tiny\nsource: the tests\nweights: tiny.ts.pt\n"
                   "input: {size: [64, 64], channels: rgb}\n"
                   "preprocessing: {resize: 66, mode: bilinear, crop: center, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2]}\n"
                   + LAYERS + "aliases: {first: conv5}\npresets: {few: [relu5, fc3]}\n")


class Units(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = Small(stimuli=20)
        w.write("extract.yaml", "stimuli: pictures.stim.csv\nnetwork: tiny.yaml\nbatch: 4\noutput: act.h5\n")
        w.do("extract", "extract.yaml")
        with h5py.File(w.folder / "act.h5") as store:
            cls.full = {name: store[name][:] for name in ("conv5", "relu5", "conv2", "tokens", "video", "fc3")}
        # DNNBrain's own example, then more layers.
        w.write("up.dmask.csv", "conv5=chn,row,col\n1,2,3\n4,5\n6,7,8\nfc3=chn\n1,2,3\n")
        w.write("all.dmask.csv", "fc3=chn\n30,1,1,7\nconv5=col,chn\n15,3,3\n8,2\ntokens=tok,chn\n1,49\n12,1-3\n"
                "video=frm,row\n3,1\n2\nrelu5=unit\n1800,1,226,226,2\nconv2=\n")

    def extract(self, output, *sets, ranks=0, code=0):
        words = [word for s in sets for word in ("--set", s)]
        return self.world.do("extract", "extract.yaml", "--set", f"output={output}", *words, ranks=ranks, code=code)

    def store(self, output, *sets, **more):
        self.extract(output, *sets, **more)
        return h5py.File(self.world.folder / output)

    def wanted(self):
        f, n = self.full, range(20)
        return {"fc3": f["fc3"][:, [29, 0, 0, 6]], "conv5": f["conv5"][numpy.ix_(n, [7, 1], range(15), [14, 2, 2])],
                "tokens": f["tokens"][numpy.ix_(n, [0, 48], [11, 0, 1, 2])],
                "video": f["video"][numpy.ix_(n, range(12), [2, 0], [1], range(7))],
                "relu5": f["relu5"].reshape(20, -1)[:, [1799, 0, 225, 225, 1]][:, :, None, None], "conv2": f["conv2"]}

    def test_a_mask_is_fancy_indexing_at_any_number_of_ranks(self):
        w, wanted = self.world, self.wanted()
        with self.store("mask.h5", "mask=all.dmask.csv", ranks=1) as store:
            self.assertEqual([x.decode() if isinstance(x, bytes) else x for x in store.attrs["layer_order"]], list(wanted))
            for name, values in wanted.items():
                numpy.testing.assert_array_equal(store[name][:], values, name)
            self.assertEqual(store["relu5"].attrs["axes"], b"unit row column")
            self.assertEqual(store["conv5"].attrs["full_shape"], b"8 15 15")
            kept = store["/.striate/selection/conv5"]
            self.assertEqual({k: v[:].tolist() for k, v in kept.items()}, {"channel": [7, 1], "column": [14, 2, 2]})
            # A stored unit's place in the full layer.
            c, y, x = numpy.unravel_index(store["/.striate/selection/relu5/unit"][:], (8, 15, 15))
            numpy.testing.assert_array_equal(store["relu5"][:, :, 0, 0], self.full["relu5"][:, c, y, x])
            self.assertEqual(json.loads(store["conv5"].attrs["stages"]), [{"stage": "mask", "channel": 2, "column": 3}])
            self.assertNotIn("stages", store["conv2"].attrs)
        for ranks in (2, 3):
            self.extract(f"mask{ranks}.h5", "mask=all.dmask.csv", ranks=ranks)
            w.same("mask.h5", f"mask{ranks}.h5")
        shown = w.do("info", "mask.h5").out
        for word in ("@full_shape = 8 15 15", "selection/", '"stage":"mask"'):
            self.assertIn(word, shown)
        plan = w.do("extract", "extract.yaml", "--set", "mask=all.dmask.csv", "--set", "output=never.h5", "--dry-run").out
        self.assertIn("2×15×3 (90 units)", plan)

    def test_dnnbrains_example_beside_whole_layers(self):
        with self.store("up.h5", "mask=up.dmask.csv", "layers=[conv2, first, fc3]") as store:
            self.assertEqual(store["first"].shape, (20, 3, 2, 3))  # conv5 under its second name
            numpy.testing.assert_array_equal(store["first"][:],
                                             self.full["conv5"][numpy.ix_(range(20), [0, 1, 2], [3, 4], [5, 6, 7])])
            numpy.testing.assert_array_equal(store["fc3"][:], self.full["fc3"][:, :3])
            numpy.testing.assert_array_equal(store["conv2"][:], self.full["conv2"])

    def test_channels_and_units_of_the_config(self):
        with self.store("keys.h5", "channels={conv5: [8, 2-4], fc3: 7}", "units={video: [1764, 5]}") as store:
            self.assertEqual([n for n in store if n[0] != "."], ["conv5", "fc3", "video"])
            numpy.testing.assert_array_equal(store["conv5"][:], self.full["conv5"][:, [7, 1, 2, 3]])
            numpy.testing.assert_array_equal(store["fc3"][:], self.full["fc3"][:, [6]])
            numpy.testing.assert_array_equal(store["video"][:, :, 0, 0], self.full["video"].reshape(20, -1)[:, [1763, 4]])

    def test_pools_come_behind_the_mask(self):
        masked = self.wanted()
        ways = {"mean": lambda x: x.mean((-2, -1)), "median": lambda x: numpy.median(x, (-2, -1)),
                "l2": lambda x: numpy.sqrt((x * x).sum((-2, -1)))}
        compat = dict(ways, l1=lambda x: numpy.linalg.norm(x, 1, (-2, -1)), l2=lambda x: numpy.linalg.norm(x, 2, (-2, -1)))
        for how, sets, compute in [(h, (), ways[h]) for h in ("mean", "median", "l2")] + \
                [(h, ("compat=dnnbrain",), compat[h]) for h in ("l1", "l2")]:
            with self.store(f"pool_{how}{len(sets)}.h5", "mask=all.dmask.csv", f"pool={how}", *sets) as store:
                for name in ("conv5", "conv2", "video"):
                    x = masked[name].astype("f8")
                    numpy.testing.assert_allclose(store[name][..., 0, 0], compute(x), rtol=3e-6, atol=1e-6, err_msg=f"{how} {name}")
                whole = abs(masked["fc3"]) if sets else masked["fc3"]
                numpy.testing.assert_array_equal(store["fc3"][:], whole)
                numpy.testing.assert_array_equal(store["tokens"][:], masked["tokens"])
        with self.store("pool_all.h5", "layers=[video]", "pool=mean", "pool_over=all") as store:
            self.assertEqual(store["video"].shape, (20, 12, 1, 1, 1))
            numpy.testing.assert_allclose(store["video"][:, :, 0, 0, 0], self.full["video"].astype("f8").mean((2, 3, 4)),
                                          rtol=1e-5, atol=1e-6)
        # Whole channels: pooled by the network, then chosen; the bits of the pooled layer.
        with self.store("pool_whole.h5", "layers=[conv5]", "pool=mean") as whole, \
                self.store("pool_some.h5", "channels={conv5: [6, 1]}", "pool=mean") as some:
            numpy.testing.assert_array_equal(some["conv5"][:], whole["conv5"][:][:, [5, 0]])
            self.assertEqual(some["conv5"].attrs["full_shape"], b"8 15 15")
            self.assertEqual([s["stage"] for s in json.loads(some["conv5"].attrs["stages"])], ["mask", "pool"])

    def test_tokens(self):
        x = self.full["tokens"].astype("f8")
        for choice, values in (("cls", x[:, 0]), ("cls+patch_mean", numpy.concatenate([x[:, 0], x[:, 1:].mean(1)], 1))):
            with self.store(f"tokens_{choice}.h5", "layers=[tokens, conv2]", f"tokens={choice}") as store:
                self.assertEqual(store["tokens"].shape, (20, values.shape[1], 1, 1))
                numpy.testing.assert_allclose(store["tokens"][:, :, 0, 0], values, rtol=1e-5, atol=1e-6)
                numpy.testing.assert_array_equal(store["conv2"][:], self.full["conv2"])
        with self.store("tokens_mask.h5", "mask=all.dmask.csv", "tokens=mean") as store:
            numpy.testing.assert_allclose(store["tokens"][:, :, 0, 0], self.wanted()["tokens"].mean(1), rtol=1e-5, atol=1e-6)

    def test_random_projections_in_flight(self):
        for kind in ("gaussian", "sparse"):
            sets = ("layers=[conv5, fc3]", f"project={{components: 400, kind: {kind}}}")
            with self.store(f"{kind}.h5", *sets) as store:
                numpy.testing.assert_array_equal(store["fc3"][:], self.full["fc3"])  # smaller than that
                self.assertEqual(store["conv5"].shape, (20, 400, 1, 1))
                from scipy.spatial.distance import pdist
                ratio = pdist(store["conv5"][:, :, 0, 0]) / pdist(self.full["conv5"].reshape(20, -1))
                self.assertLess(abs(ratio - 1).max(), 0.25, kind)
                self.assertEqual(json.loads(store["conv5"].attrs["stages"])[0]["seed"], 0)
            self.extract(f"{kind}3.h5", *sets, ranks=3)
            self.world.same(f"{kind}.h5", f"{kind}3.h5")
        refused = self.extract("sparse.h5", *sets, "seed=1", code=73)
        self.assertIn("seed differs", refused.errors[0])

    def test_a_saved_pca_in_flight(self):
        """As `reduce` saves it, of a layer behind a mask; the axes are NumPy's."""
        w, channels = self.world, [4, 0, 6]
        x = self.full["conv5"][:, channels].reshape(20, -1).astype("f8")
        mean = x.mean(0)
        _, values, axes = numpy.linalg.svd(x - mean, full_matrices=False)
        axes = axes[:7].astype("f4")
        with h5py.File(w.folder / "model.pca.h5", "w") as file:
            file.attrs["striate_reduction"] = numpy.bytes_("1")
            file.attrs["layer_order"] = numpy.array([b"conv5"])
            file["/.striate/identity"] = numpy.bytes_("{}")
            group = file.create_group("conv5")
            group["input_shape"] = numpy.array([3, 15, 15], "u8")
            group["mean"], group["components"] = mean[None], axes[None]
            variance = values[None, :7] ** 2 / 19
            for name in ("explained_variance", "explained_variance_ratio", "singular_values"):
                group[name] = variance
            group["total_variance"], group["rank"] = numpy.array([variance.sum()]), numpy.array([19], "u8")
            for name, value in (("input_axes", "channel row column"), ("method", "pca"), ("axis", "whole")):
                group.attrs[name] = numpy.bytes_(value)
            group.attrs["n_samples"], group.attrs["whiten"] = numpy.int64(20), numpy.int64(0)
        sets = ("channels={conv5: [5, 1, 7]}", "pca=model.pca.h5")
        with self.store("pca.h5", *sets) as store:
            self.assertEqual(store["conv5"].shape, (20, 7, 1, 1))
            numpy.testing.assert_allclose(store["conv5"][:, :, 0, 0], (x - mean) @ axes.T, rtol=1e-4, atol=1e-4)
            last = json.loads(store["conv5"].attrs["stages"])[-1]
            self.assertEqual((last["stage"], last["file"]), ("reduction", "model.pca.h5"))
        self.extract("pca2.h5", *sets, ranks=2)
        w.same("pca.h5", "pca2.h5")
        self.assertIn("was fitted on 3 × 15 × 15", self.extract("no.h5", "layers=conv5", "pca=model.pca.h5", code=65).errors[0])
        self.assertIn("has no layer `fc3`", self.extract("no.h5", "layers=fc3", "pca=model.pca.h5", code=65).errors[0])

    def test_a_mask_counts_by_its_content(self):
        w = self.world
        w.write("a.dmask.csv", "fc3=chn\n3,1\n")
        self.extract("content.h5", "mask=a.dmask.csv")
        w.write("b.dmask.csv", "# the same\nfc3=chn\r\n3, 1-1\r\n")
        self.assertIn("nothing to do", self.extract("content.h5", "mask=b.dmask.csv", ranks=2).err)
        w.write("a.dmask.csv", "fc3=chn\n1,3\n")
        for ranks in (0, 2):
            refused = self.extract("content.h5", "mask=a.dmask.csv", ranks=ranks, code=73)
            self.assertIn("mask.fc3 differs", refused.errors[0])
        refused = self.extract("content.h5", "channels.fc3=[3, 1]", code=73)
        self.assertIn("was made with another config", refused.errors[0])

    def test_patterns_and_presets(self):
        with self.store("pattern.h5", "layers=[fc3, '*5', 'preset:few']") as store:
            order = [x.decode() if isinstance(x, bytes) else x for x in store.attrs["layer_order"]]
            self.assertEqual(order, ["fc3", "conv5", "relu5"])
        with self.store("modules.h5", "layers=['conv?', '*u1']") as store:  # the second means modules
            self.assertEqual([n for n in store if n[0] != "."], ["conv2", "conv5", "relu1"])
        self.assertIn("matched by no layer", self.extract("no.h5", "layers=['x*']", code=65).errors[0])

    def test_the_example_of_the_docs(self):
        w = self.world
        text = (SOURCE / "docs/extraction.md").read_text().split("\n## Which units\n")[1].split("\n## ")[0]
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.S | re.M)
        card = (w.folder / "tiny.yaml").read_text().replace(LAYERS, "layers: {conv1: conv2, conv5: conv1, fc3: fc}\n")
        w.write("docs/alexnet.yaml", re.sub("(?m)^(aliases|presets|weights):.*\n", "", card).replace(
            "name: tiny", "name: alexnet\nweights: ../tiny.ts.pt"))
        w.write("docs/images.stim.csv", (w.folder / "pictures.stim.csv").read_text().replace("path=pictures", "path=../pictures"))
        w.write("docs/extract.yaml", [b for kind, b in blocks if kind == "yaml"][0])
        w.write("docs/units.dmask.csv", [b for kind, b in blocks if "=chn" in b][0])
        w.do("extract", "docs/extract.yaml")
        with h5py.File(w.folder / "docs/act.h5") as store:
            self.assertEqual({n: store[n].shape for n in store if n[0] != "."},
                             {"conv1": (20, 7, 1, 1), "conv5": (20, 3, 1, 1), "fc3": (20, 3, 1, 1)})
            numpy.testing.assert_allclose(store["conv5"][:, :, 0, 0], self.full["conv5"][:, :3, 3:5, 5:8].mean((2, 3)),
                                          rtol=1e-5, atol=1e-6)

    def test_mistakes(self):
        w = self.world
        masks = [("conv5=chn,row\n1,9\n1\n", "mask: bad.dmask.csv: line 2: conv5 asks for channel 9, but the layer has 8 channels", 65),
                 ("conv5=frm\n1\n", "line 2: conv5 selects frames, but the axes of the layer are channel row column", 65),
                 ("relu5=unit\n1801\n", "line 2: relu5 asks for unit 1801, but the layer has 1800 units", 65),
                 ("cnv5=chn\n1\n", "mask: bad.dmask.csv: line 1: cnv5 is no layer of tiny.ts.pt", 65),
                 ("cnv5=chn\n1\n", "(the card has `conv5`)", 65),
                 ("conv5=chn\n0\n", "mask: bad.dmask.csv: line 2 holds `0`", 65),
                 ("", "mask: bad.dmask.csv names no layer", 65),
                 ("preset:few=\n", "`preset:few` names several layers", 78)]
        for text, message, code in masks:
            w.write("bad.dmask.csv", text)
            for ranks in (0, 2) if text.startswith("conv5=chn,row") else (0,):
                done = self.extract("bad.h5", "mask=bad.dmask.csv", ranks=ranks, code=code)
                self.assertEqual(len(done.errors), 1, done)
                self.assertIn(message, done.errors[0])
        w.write("twice.dmask.csv", "conv5=chn\n1\nfirst=row\n1\n")
        w.write("bad.dmask.csv", "conv5=chn\n1\n")
        for sets, message, code in [
                (("mask=none.dmask.csv",), "none.dmask.csv does not exist", 66),
                (("mask=twice.dmask.csv", "layers=conv5"),
                 "line 3: first is the layer that mask: twice.dmask.csv: line 1 chooses from as conv5", 65),
                (("mask=bad.dmask.csv", "layers=[fc3, conv2]"), "conv5 is not among the layers that `layers` asks for (did you mean `conv2`?)", 65),
                (("mask=bad.dmask.csv", "channels={conv5: 2}"), "channels.conv5: conv5 is chosen from here and in mask: bad.dmask.csv: line 1", 78),
                (("channels={conv5: 9}",), "channels.conv5: conv5 asks for channel 9, but the layer has 8 channels", 65),
                (("channels={conv5: []}",), "channels.conv5: is an empty list", 78),
                (("channels={conv5: [a]}",), "holds `a`, which is no whole number", 78),
                (("channels=[1, 2]",), "needs a mapping of layers to numbers", 78),
                (("tokens=cls", "layers=conv2"), "none of the layers holds tokens", 78),
                (("pool_over=all",), "goes with `pool`, which is none", 78),
                (("pool=l2", "compat=dnnbrain", "pool_over=all"), "DNNBrain has no video layers", 78),
                (("project={components: 9, density: 0.1}",), "goes with kind: sparse", 78),
                (("project={kind: sparse}",), "project.components", 78),
                (("pca=none.pca.h5", "layers=fc3"), "none.pca.h5", 66)]:
            done = self.extract("bad.h5", *sets, code=code)
            self.assertEqual(len(done.errors), 1, done)
            self.assertIn(message, done.errors[0])


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = Small(stimuli=36)
        (w.folder / "pictures" / w.names[5]).write_bytes(b"broken")
        w.write("extract.yaml", "stimuli: pictures.stim.csv\nnetwork: tiny.yaml\nbatch: 16\non_bad_stimulus: skip\noutput: act.h5\n")
        w.do("extract", "extract.yaml")

    def table(self, text):
        return {line["layer"]: line for line in csv.DictReader(text.splitlines(), delimiter="\t")}

    def check(self, table, store, exact):
        self.assertEqual(list(table) if exact else sorted(table), exact or sorted(table))
        for layer, line in table.items():
            x = store[layer][:].astype("f8")
            good = x[~numpy.isnan(x.reshape(len(x), -1)).all(1)]
            flat = good.reshape(len(good), -1)
            self.assertEqual(int(line["skipped"]), len(x) - len(good), layer)
            self.assertEqual((int(line["units"]), int(line["stimuli"])), (flat.shape[1], len(x)))
            for word, value in (("mean", flat.mean()), ("sd", flat.std()), ("min", flat.min()), ("max", flat.max()),
                                ("zeros", (flat == 0).mean())):
                self.assertAlmostEqual(float(line[word]), value, delta=2e-6 * max(abs(value), 1e-3), msg=f"{layer} {word}")
            self.assertEqual(int(line["dead_units"]), int((flat <= 0).all(0).sum()), layer)
            self.assertEqual(int(line["constant_units"]), int((flat == flat[0]).all(0).sum()), layer)
            self.assertEqual((line["nan"], line["inf"]), ("0", "0"))
            top = [int(word.split(":")[0]) - 1 for word in line["top_units"].split()]
            means = flat.mean(0)
            numpy.testing.assert_allclose(means[top], numpy.sort(means)[::-1][:5], rtol=1e-6)
            channels = good.mean(1) if layer == "tokens" else good.mean(tuple(range(2, good.ndim)))
            counts = numpy.bincount(channels.argmax(1))
            self.assertEqual([int(word.split(":")[1]) for word in line["top_channels"].split()],
                             sorted(counts[counts > 0], reverse=True)[:5], layer)

    def test_numbers_are_numpys(self):
        w = self.world
        table = self.table((w.folder / "act.report.tsv").read_text())
        with h5py.File(w.folder / "act.h5") as store:
            self.check(table, store, ["conv5", "relu5", "conv2", "tokens", "video", "fc3"])
            self.assertGreaterEqual(int(table["relu5"]["dead_units"]), 225)  # the channel that was silenced
            for l, layer in enumerate(table):
                x = store[layer][:].astype("f8")
                means = x.mean(1) if layer == "tokens" else x.mean(tuple(range(2, x.ndim)))
                most = x.max(1) if layer == "tokens" else x.max(tuple(range(2, x.ndim)))
                index, value = store["/.striate/top_channel"][l], store["/.striate/top_channel_value"][l]
                self.assertTrue((index[5] == -1).all() and numpy.isnan(value[5]).all())
                for r in set(range(36)) - {5}:
                    numpy.testing.assert_allclose(value[r, :5], numpy.sort(means[r])[::-1][:5], rtol=2e-6, atol=1e-6)
                    numpy.testing.assert_allclose(means[r][index[r, :5]], value[r, :5], rtol=2e-6, atol=1e-6)
                    self.assertEqual(value[r, 5], numpy.float32(most[r].max()))
                    self.assertEqual(index[r, 5], most[r].argmax())
        self.assertEqual(w.do("info", "--report", "act.h5").out, (w.folder / "act.report.tsv").read_text())

    def test_small_batches_half_floats_and_ranks(self):
        w = self.world
        for sets in (("batch=4",), ("batch=16", "dtype=float16"), ("batch=5", "pool=max")):
            words = [word for s in sets for word in ("--set", s)]
            tables = []
            for ranks in (0, 3):
                w.do("extract", "extract.yaml", *words, "--fresh", "--set", "output=other.h5", ranks=ranks)
                tables.append((w.folder / "other.report.tsv").read_text())
            self.assertEqual(len(set(tables)), 1)
            with h5py.File(w.folder / "other.h5") as store:
                self.check(self.table(tables[0]), store, None)

    def test_a_plain_file_gives_the_same_report(self):
        w = self.world
        x = {}
        with h5py.File(w.folder / "act.h5") as store, h5py.File(w.folder / "plain.act.h5", "w") as plain:
            for layer in ("conv5", "conv2", "fc3"):
                x[layer] = store[layer][:]
                plain[layer] = x[layer]
        mine = self.table((w.folder / "act.report.tsv").read_text())
        theirs = self.table(w.do("info", "--report", "plain.act.h5").out)
        self.assertEqual(sorted(theirs), ["conv2", "conv5", "fc3"])
        for layer, line in theirs.items():
            self.assertEqual({k: line[k] for k in line if k not in ("mean", "sd")},
                             {k: mine[layer][k] for k in line if k not in ("mean", "sd")})
            for word in ("mean", "sd"):
                self.assertAlmostEqual(float(line[word]), float(mine[layer][word]), delta=1e-6 * abs(float(line[word])))
        with h5py.File(w.folder / "strange.act.h5", "w") as strange:
            a = numpy.ones((4, 2, 2, 2), "f4")
            a[0, 0, 0, 0], a[1, 1], a[2], a[3, 0, 1, 1] = numpy.nan, numpy.inf, numpy.nan, -2
            strange["x"] = a
        line = self.table(w.do("info", "--report", "strange.act.h5").out)["x"]
        self.assertEqual((line["nan"], line["inf"], line["skipped"], line["min"], line["max"]), ("1", "4", "1", "-2", "inf"))

    def test_a_lost_report_is_written_again(self):
        w = self.world
        w.do("extract", "extract.yaml", "--set", "output=lost.h5")
        text = (w.folder / "lost.report.tsv").read_text()
        (w.folder / "lost.report.tsv").unlink()
        self.assertIn("nothing to do", w.do("extract", "extract.yaml", "--set", "output=lost.h5", ranks=2).err)
        self.assertEqual((w.folder / "lost.report.tsv").read_text(), text)
        done = run("info", "--report", "--join", "lost.h5", cwd=w.folder)
        self.assertEqual(done.code, 64, done)


if __name__ == "__main__":
    main()
