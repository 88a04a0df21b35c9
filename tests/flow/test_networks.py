"""A pretrained network on photographs, from file to store: every layer of the card against torchvision's own pictures,
preprocessing and modules. Needs the folder of real data, STRIATE_DATA."""
import os
import pathlib
import unittest

import h5py
import numpy
import torch
import torchvision
import yaml
from PIL import Image

from flow import SOURCE, World, main

DATA = pathlib.Path(os.environ.get("STRIATE_DATA") or SOURCE.parent / "shared" / "data")
PICTURES = 12


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
