"""A pretrained network on photographs, from file to store: every layer of the card against torchvision's own pictures,
preprocessing and modules (needs the folder of real data, STRIATE_DATA); every card against its network; weights files of
every kind through tools/export_network.py."""
import contextlib
import io
import json
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile
from unittest import mock

import h5py
import numpy
import torch
import torchvision
import yaml
from PIL import Image

from flow import SOURCE, World, main

DATA = pathlib.Path(os.environ.get("STRIATE_DATA") or SOURCE.parent / "shared" / "data")
PICTURES = 12


sys.path.insert(0, str(SOURCE / "tools"))
import networks  # noqa: E402
from networks import state_dict  # noqa: E402


def untouched(tensor, *_, **__):
    return tensor


@contextlib.contextmanager
def without_weights():
    """Networks whose numbers do not matter are made in no time."""
    with contextlib.ExitStack() as stack:
        for kind in (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear, torch.nn.BatchNorm2d, torch.nn.BatchNorm3d):
            stack.enter_context(mock.patch.object(kind, "reset_parameters", lambda self: None))
        for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_", "trunc_normal_", "constant_", "zeros_",
                     "xavier_uniform_"):
            stack.enter_context(mock.patch.object(torch.nn.init, name, untouched))
        stack.enter_context(mock.patch.object(torch, "randn", torch.empty))
        yield


def make(name):
    if name in networks.NETWORKS:
        return networks.NETWORKS[name][0]()
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, **extra)


class Cards(unittest.TestCase):
    """Every card of configs/networks."""
    def test_names_modules_of_its_network(self):
        checked = 0
        for file in sorted((SOURCE / "configs" / "networks").glob("*.yaml")):
            card = yaml.safe_load(file.read_text())
            if "torchvision" not in card["source"] and "tools/networks" not in card["source"]:
                continue  # its file is somebody else's (YAMNet; test_modalities runs it)
            checked += 1
            with without_weights():
                known = {path for path, _ in make(file.stem).named_modules()} | {"output"}
            for layer, path in card["layers"].items():
                self.assertIn(path.split(":")[0].split("#")[0], known, f"{file.stem}: {layer}")
        self.assertGreaterEqual(checked, 76)

    def test_preprocesses_as_torchvision(self):
        counted = 0
        for file in sorted((SOURCE / "configs" / "networks").glob("*.yaml")):
            card = yaml.safe_load(file.read_text())
            if not card["source"].startswith("torchvision"):
                continue
            name, weights = card["source"].removeprefix("torchvision ").split(", ")
            how = torchvision.models.get_model_weights(name)[weights].transforms()
            steps, crop = card["preprocessing"], list(how.crop_size)
            self.assertEqual(card["input"]["size"], crop * 2 if len(crop) == 1 else crop, name)
            self.assertEqual(steps["resize"], how.resize_size[0] if len(how.resize_size) == 1 else how.resize_size, name)
            self.assertEqual(steps["mode"], how.interpolation.value, name)
            self.assertEqual((steps["crop"], steps["mean"], steps["std"]), ("center", how.mean, how.std), name)
            counted += 1
        self.assertGreater(counted, 50)


class Two(torch.nn.Module):
    """Stands for a network: its entries are conv.weight, conv.bias, bn.… and fc.weight."""
    def __init__(self, classes=4):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3)
        self.bn = torch.nn.BatchNorm2d(2)
        self.fc = torch.nn.Linear(2, classes, bias=False)

    def forward(self, x):
        return self.fc(self.bn(self.conv(x)).mean((2, 3)))


class Both(torch.nn.Module):
    """Two towers, as CLIP's archive."""
    def __init__(self):
        super().__init__()
        self.visual = Two().half()
        self.text = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.visual(x)


class Runs:
    """Pickled, it runs a command when it is loaded."""
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class WeightsFiles(unittest.TestCase):
    """tools/networks/state_dict.py: what public checkpoints look like, and what is said of those that do not fit."""
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = str(pathlib.Path(folder.name) / "weights.pth")
        torch.manual_seed(5)
        self.wanted = Two()

    def loads(self, note="", **options):
        module = Two()
        notes = state_dict.load_into(module, self.file, "two", **options)
        for name, value in module.state_dict().items():
            self.assertTrue(torch.equal(value, self.wanted.state_dict()[name]), name)
        self.assertIn(note, "; ".join(notes))

    def refuses(self, part, module=None, **options):
        with self.assertRaises(state_dict.DoesNotFit) as caught:
            state_dict.load_into(module or Two(), self.file, "two", **options)
        self.assertNotIn("\n", str(caught.exception))
        self.assertIn(part, str(caught.exception))

    def test_new_and_legacy_files_bare_and_in_a_checkpoint(self):
        state = self.wanted.state_dict()
        for prefix in ("", "module.", "module.backbone."):
            named = {prefix + key: value for key, value in state.items()}
            for content in (named, {"epoch": 3, "state_dict": named}, {"model": named, "optimizer": {"lr": 0.1}}):
                for new in (True, False):
                    torch.save(content, self.file, _use_new_zipfile_serialization=new)
                    self.loads(f"under `{prefix}`" if prefix else "")

    def test_a_torchscript_archive_of_two_towers_in_float16(self):
        both = Both()
        self.wanted.load_state_dict(both.visual.state_dict())
        torch.jit.save(torch.jit.script(both), self.file)
        self.loads("took the 8 entries under `visual.`, left 2 others")

    def test_safetensors(self):
        state = {k: v for k, v in self.wanted.state_dict().items() if v.dim()}
        data, header = b"", {"__metadata__": {"format": "pt"}}
        for name, value in state.items():
            raw = value.numpy().tobytes()
            header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
            data += raw
        text = json.dumps(header).encode()
        self.file = self.file.replace(".pth", ".safetensors")
        pathlib.Path(self.file).write_bytes(len(text).to_bytes(8, "little") + text + data)
        self.loads()
        pathlib.Path(self.file).write_bytes(len(text).to_bytes(8, "little") + text + data[:-9])
        self.refuses("is cut off")

    def test_old_names_of_densenet(self):
        with without_weights():
            net = torchvision.models.densenet121()
        old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value
               for key, value in net.state_dict().items()}
        self.assertNotEqual(set(old), set(net.state_dict()))
        torch.save(old, self.file)
        self.assertEqual(state_dict.load_into(net, self.file, "densenet121"), [])

    def test_what_does_not_fit_is_counted(self):
        state = self.wanted.state_dict()
        del state["bn.num_batches_tracked"]  # old checkpoints have none
        torch.save(state, self.file)
        self.loads()
        del state["conv.weight"], state["conv.bias"]
        state["head.x"] = state["fc.weight"]
        torch.save(state, self.file)
        self.refuses("weights.pth does not fit two: 2 of the network's 8 entries are missing (conv.weight, conv.bias); 1 of "
                     "the file's are not of the network (head.x)")
        notes = state_dict.load_into(Two(), self.file, "two", partial=True)
        self.assertEqual(notes, ["partial: 6 of 8 entries are from the file, the others random"])
        torch.save(Two(10).state_dict(), self.file)
        self.refuses("1 differ in shape (fc.weight: file 10 x 2, network 4 x 2); the number of classes? try --classes 10")
        torch.save({"a": torch.zeros(2)}, self.file)
        self.refuses("missing", partial=True)

    def test_no_code_of_the_file_is_run(self):
        marker = self.file + ".ran"
        for new in (True, False):
            torch.save({"args": Runs(marker), "state_dict": self.wanted.state_dict()}, self.file,
                       _use_new_zipfile_serialization=new)
            self.loads()
            torch.save(self.wanted, self.file, _use_new_zipfile_serialization=new)  # the whole network
            self.loads()
        self.assertFalse(os.path.exists(marker))
        with open(self.file, "wb") as file:
            pickle.dump(Runs(marker), file)
        self.refuses("weights.pth")
        self.assertFalse(os.path.exists(marker))

        def text(value):
            return b"\x8c" + bytes([len(value)]) + value.encode()

        def found(name):
            return text("torch._utils") + text(name) + b"\x93"

        # dict.get of a loaded function's globals: builtins, then eval of them
        get = b"\x80\x04" + found("_rebuild_tensor.__globals__.__class__.get")
        get += found("_rebuild_tensor.__globals__.get") + text("__builtins__") + b"\x85R" + text("eval") + b"\x86R"
        program = get + text(f"open({marker!r}, 'w')") + b"\x85R."
        with self.assertRaisesRegex(pickle.UnpicklingError, "names with a point"):
            networks.inert_pickle.load(io.BytesIO(program))
        pathlib.Path(self.file).write_bytes(program)
        self.refuses("weights.pth")
        torch.save({"a": 1}, self.file)
        with zipfile.ZipFile(self.file) as old:
            parts = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(self.file, "w") as new:
            for name, content in parts.items():
                new.writestr(name, program if name.endswith("data.pkl") else content)
        self.refuses("weights.pth")
        for module, name in (("torch._utils", "_rebuild_xla_tensor"), ("torch._utils", "_import_dotted_name"),
                             ("torch", "_C_Storage"), ("builtins", "eval"), ("os", "system"),
                             ("some.network", "Net.Inner")):
            made = networks.inert_pickle.load(io.BytesIO(b"\x80\x04" + text(module) + text(name) + b"\x93."))
            self.assertTrue(issubclass(made, networks.inert_pickle.Inert), name)
        self.assertFalse(os.path.exists(marker))

    def test_files_that_are_none(self):
        for content in (b"", b"hello", b"PK\x03\x04 cut off", b"\x80\x02}q\x00."):
            pathlib.Path(self.file).write_bytes(content)
            self.refuses("weights.pth")


class SelfTestAndInput(unittest.TestCase):
    """What a job says of its network and of what it shows it."""
    @classmethod
    def setUpClass(cls):
        cls.world = World(stimuli=12)
        card = cls.world.folder / "tiny.yaml"
        subprocess.run([sys.executable, SOURCE / "tools" / "make_check.py", card, cls.world.folder / "tiny.ts.pt", "--write"],
                       check=True)

    def attributes(self, store):
        with h5py.File(self.world.folder / store) as file:
            return {name: value.decode() if isinstance(value, bytes) else value for name, value in file.attrs.items()}

    def inputs(self, steps):
        return torch.stack([steps(Image.open(self.world.folder / "pictures" / n).convert("RGB")) for n in self.world.names])

    def test_passes_and_is_noted(self):
        w = self.world
        plan = w.do("extract", "extract.yaml", "--dry-run")
        self.assertRegex(plan.out, r"self-test +passed: 8 numbers of output for the input `picture`")
        w.do("extract", "extract.yaml", ranks=2)
        self.assertIn("passed", self.attributes("act.h5")["self_test"])

    def test_fails_where_the_numbers_differ(self):
        w = self.world
        text = (w.folder / "tiny.yaml").read_text()
        wrong = re.sub(r"outputs: \[([^,]*),", "outputs: [12.5,", text)
        w.write("wrong.yaml", wrong)
        w.config("wrong_job.yaml", "extract.yaml", "network: tiny.yaml", "network: wrong.yaml", output="wrong.h5")
        failed = w.do("extract", "wrong_job.yaml", ranks=2, code=65)
        self.assertEqual(len(failed.errors), 1, failed)
        self.assertIn("the self-test failed: for the input `picture`, number 0 of output is", failed.errors[0])
        self.assertFalse((w.folder / "wrong.h5").exists())
        plan = w.do("extract", "wrong_job.yaml", "--dry-run", "--set", "self_test=false")
        self.assertIn("left out, as the config says", plan.out)
        w.write("wrong.yaml", re.sub(r"sha256: ..", "sha256: 00", wrong))
        self.assertIn("skipped: the card's numbers are for other weights", w.do("extract", "wrong_job.yaml", "--dry-run").out)

    def test_statistics_of_the_input_survive_a_resume(self):
        w = self.world
        how = torchvision.transforms.Compose([
            torchvision.transforms.Resize(66), torchvision.transforms.CenterCrop(64), torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.5] * 3, [0.2] * 3)])
        x = self.inputs(how).double()
        texts = []
        for ranks in (1, 3):
            w.config("statistics.yaml", "extract.yaml", output=f"statistics{ranks}.h5")
            self.assertIn("by channel over 12 stimuli: mean", repr(w.do("extract", "statistics.yaml", ranks=ranks)))
            texts.append(self.attributes(f"statistics{ranks}.h5")["input_statistics"])
        found = json.loads(texts[0])
        self.assertEqual(found["stimuli"], 12)
        numpy.testing.assert_allclose(found["mean"], x.mean((0, 2, 3)), atol=1e-6)
        numpy.testing.assert_allclose(found["sd"], x.std((0, 2, 3), unbiased=False), atol=1e-6)
        with h5py.File(w.folder / "statistics1.h5", "r+") as file:  # as after a kill before the end
            file[".striate/done"][1:] = 0
            file.attrs["complete"] = numpy.int64(0)
        w.config("statistics.yaml", "extract.yaml", output="statistics1.h5")
        self.assertIn("resuming", repr(w.do("extract", "statistics.yaml", ranks=2)))
        texts.append(self.attributes("statistics1.h5")["input_statistics"])
        self.assertEqual(len(set(texts)), 1)

    def test_statistics_of_the_input_leave_reused_rows_out(self):
        w = self.world
        w.write("half.stim.csv", "type=image\npath=pictures\ndata=stimID\n" + "\n".join(w.names[:6]) + "\n")
        w.config("half.yaml", "extract.yaml", "stimuli: pictures.stim.csv", "stimuli: half.stim.csv", output="half.h5")
        w.do("extract", "half.yaml")
        w.config("rest.yaml", "extract.yaml", new="reuse: half.h5\n", output="rest.h5")
        w.do("extract", "rest.yaml", ranks=2)
        found = json.loads(self.attributes("rest.h5")["input_statistics"])
        self.assertEqual(found["stimuli"], 6)
        self.assertTrue(numpy.isfinite(found["mean"] + found["sd"]).all())

    def test_a_forgotten_scale_is_warned_about(self):
        w = self.world
        w.config("dark.yaml", "extract.yaml", new="preprocessing: {scale: 1}\nself_test: false\n", output="dark.h5")
        said = repr(w.do("extract", "dark.yaml"))
        self.assertIn("far from 0 and 1: check scale, mean and std", said)
        self.assertNotIn("far from 0 and 1", repr(w.do("extract", "extract.yaml", "--fresh")))

    def test_a_config_changes_the_preprocessing(self):
        w = self.world
        w.config("squash.yaml", "extract.yaml", new="preprocessing: {compat: dnnbrain}\n", output="squash.h5")
        w.do("extract", "squash.yaml", ranks=2)
        how = torchvision.transforms.Compose([
            torchvision.transforms.Resize((64, 64)), torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
        with torch.no_grad():
            wanted = w.module(self.inputs(how)).numpy()
        with h5py.File(w.folder / "squash.h5") as store:
            numpy.testing.assert_allclose(store["fc"][:].reshape(wanted.shape), wanted, atol=1e-4)
        noted = self.attributes("squash.h5")
        self.assertEqual(json.loads(noted["preprocessing"])["resize"], [64, 64])
        self.assertEqual(json.loads(noted["config"])["preprocessing"], {"compat": "dnnbrain"})
        self.assertIn("passed", noted["self_test"])  # that of the card as it stands
        w.config("squash.yaml", "extract.yaml", new="preprocessing: {resize: [64, 64], crop: none}\n", output="squash.h5")
        self.assertIn("preprocessing", w.do("extract", "squash.yaml", code=73).errors[0])
        w.config("typo.yaml", "extract.yaml", new="preprocessing: {resiz: 3}\n", output="typo.h5")
        self.assertIn("did you mean `resize`?", w.do("extract", "typo.yaml", code=78).errors[0])

    def test_the_conversion_inside_googlenet(self):
        w = self.world
        with without_weights():
            torch.manual_seed(2)
            net = make("googlenet").eval()
        torch.manual_seed(2)
        for name, parameter in net.named_parameters():
            parameter.data = torch.randn(parameter.shape) / max(1, parameter[0].numel()) ** 0.5
            parameter.requires_grad_(False)
        w.write("pair.stim.csv", "type=image\npath=pictures\ndata=stimID\n" + "\n".join(w.names[:2]) + "\n")
        for inside in (True, False):
            net.transform_input = inside
            torch.jit.script(net).save(str(w.folder / f"googlenet_{inside}.ts.pt"))
        for job, inside, keys in (("a", False, ""), ("b", True, "transform_input: false, "),
                                  ("c", True, ""), ("d", False, "transform_input: true, ")):
            w.write(f"{job}.yaml", f"stimuli: pair.stim.csv\nnetwork: googlenet\nweights: googlenet_{inside}.ts.pt\n"
                    f"layers: [conv1]\npreprocessing: {{{keys}resize: 72, size: [64, 64]}}\noutput: {job}.h5\n")
            w.do("extract", f"{job}.yaml")
        stored = {}
        for job in "abcd":
            with h5py.File(w.folder / f"{job}.h5") as store:
                stored[job] = store["conv1"][:]
        numpy.testing.assert_allclose(stored["a"], stored["b"], atol=1e-4 * numpy.ptp(stored["a"]))
        numpy.testing.assert_allclose(stored["c"], stored["d"], atol=1e-4 * numpy.ptp(stored["c"]))
        self.assertGreater(numpy.abs(stored["a"] - stored["c"]).max(), 0.1 * numpy.ptp(stored["a"]))
        w.config("e.yaml", "extract.yaml", new="preprocessing: {transform_input: true}\n", output="e.h5")
        self.assertIn("does not say whether it converts its input", w.do("extract", "e.yaml", code=78).errors[0])


class Manual(unittest.TestCase):
    """Section "Networks" of docs/extraction.md: its job runs as it stands, on a network that the tool exports."""
    def test_the_job_and_the_card(self):
        section = (SOURCE / "docs" / "extraction.md").read_text().split("## Networks")[1].split("\n## ")[0]
        job, card, _ = re.findall(r"```yaml\n(.*?)```", section, re.S)
        w = World(stimuli=3)
        subprocess.run([sys.executable, SOURCE / "tools" / "export_network.py", "cornet_rt", "--seed", "1", "--out",
                        w.folder / "cornet_rt.ts.pt"], check=True, capture_output=True)
        (w.folder / "pictures.stim.csv").rename(w.folder / "images.stim.csv")
        w.write("job.yaml", job)
        w.do("extract", "job.yaml")
        with h5py.File(w.folder / "cornet.act.h5") as store:
            self.assertEqual(sorted(n for n in store if n != ".striate"), ["IT_t4", "V1_t0", "V1_t4", "V2_t4", "V4_t4"])
            self.assertEqual(store["IT_t4"].shape, (3, 512, 7, 7))
            self.assertFalse(numpy.array_equal(store["V1_t0"][:], store["V1_t4"][:]))
        w.write("mynet.yaml", card)
        self.assertIn("v1", w.do("info", "mynet.yaml").out)


class Pretrained(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (DATA / "images" / "imagenet400").is_dir():
            raise unittest.SkipTest(f"{DATA} has no images/imagenet400 (set STRIATE_DATA): no pretrained network was compared")
        cls.world = World(stimuli=1)
        cls.names = sorted(p.name for p in (DATA / "images" / "imagenet400").glob("*.jpg"))[::33][:PICTURES]
        cls.world.write("photos.stim.csv", f"type=image\npath={DATA / 'images' / 'imagenet400'}\ndata=stimID\n" +
                        "".join(f"{name}\n" for name in cls.names))

    def compare(self, name, weights, module):
        w = self.world
        w.write(f"{name}_job.yaml", f"stimuli: photos.stim.csv\nnetwork: {name}\nweights: {weights}\nlayers: all\noutput: {name}.h5\n")
        w.do("extract", f"{name}_job.yaml", ranks=2)
        with h5py.File(w.folder / f"{name}.h5") as store:
            self.assertIn(b"passed", bytes(store.attrs["self_test"]))
        how = torchvision.transforms.Compose([
            torchvision.transforms.Resize(256), torchvision.transforms.CenterCrop(224), torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
        images = torch.stack([how(Image.open(DATA / "images" / "imagenet400" / n).convert("RGB")) for n in self.names])
        card = yaml.safe_load((SOURCE / "configs" / "networks" / f"{name}.yaml").read_text())
        modules = dict(module.named_modules())
        wanted = {}
        for layer, path in card["layers"].items():
            modules[path].register_forward_hook(lambda m, i, out, layer=layer: wanted.__setitem__(layer, out.clone().numpy()))
        with torch.no_grad():
            module.eval()(images)
        with h5py.File(w.folder / f"{name}.h5") as store:
            self.assertEqual([n for n in store if n != ".striate"], sorted(card["layers"]))
            for layer, values in wanted.items():
                got = store[layer][:].reshape(values.shape)
                worst = numpy.abs(got - values).max() / (values.max() - values.min())
                self.assertLessEqual(worst, 1e-4, layer)
        self.assertEqual(len(wanted), len(card["layers"]))

    def test_squeezenet(self):
        module = torchvision.models.squeezenet1_0(weights=None)
        module.load_state_dict(torch.load(DATA / "models" / "squeezenet1_0_imagenet.pt"))
        self.compare("squeezenet1_0", DATA / "models" / "squeezenet1_0_imagenet.ts.pt", module)


if __name__ == "__main__":
    main()
