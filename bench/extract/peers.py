#!/usr/bin/env python3
"""What people run today, on real pictures, from files to files: images a second of the wall and of the processor.

  peers.py HOW NETWORK CARD.yaml IMAGES_DIR THREADS [--layers L ...] [--images N]
HOW: loader        one pass, forward hooks on all layers, torch's DataLoader, one .npy a layer at the end
     thingsvision  a pass for each layer (its extract_features takes one module), flattened, one .npy a layer
     dnnbrain      its dnn_act: a pass for each layer with autograd on, 8 pictures at once, no loader, compressed HDF5
Prints one CSV line: network,how,images,wall images/s,images per CPU second."""
import argparse
import os
import pathlib
import resource
import tempfile
import time

import numpy
import torch
import torchvision
import yaml
from PIL import Image


class Pictures(torch.utils.data.Dataset):
    def __init__(self, files):
        t = torchvision.transforms
        self.files = files
        self.transform = t.Compose([t.Resize(256), t.CenterCrop(224), t.ToTensor(),
                                    t.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        return self.transform(Image.open(self.files[i]).convert("RGB"))


def passes(module, paths, loader, keep, autograd=False):
    """One pass over all pictures; keep(layer, batch's values)."""
    modules, hooks = dict(module.named_modules()), []
    for layer, path in paths.items():
        hooks.append(modules[path].register_forward_hook(lambda m, i, o, layer=layer: keep(layer, o.clone().detach())))
    with torch.set_grad_enabled(autograd):
        for batch in loader:
            module(batch)
    for hook in hooks:
        hook.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=["loader", "thingsvision", "dnnbrain"])
    parser.add_argument("network")
    parser.add_argument("card")
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("--layers", nargs="*")
    parser.add_argument("--images", type=int, default=64)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    module = getattr(torchvision.models, o.network)(weights=None).eval()
    paths = yaml.safe_load(open(o.card))["layers"]
    if o.layers:
        paths = {layer: paths[layer] for layer in o.layers}
    files = sorted(p for p in o.pictures.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))[:o.images]
    workers = o.threads if o.how == "loader" else 0
    loader = torch.utils.data.DataLoader(Pictures(files), batch_size=8 if o.how == "dnnbrain" else 32, num_workers=workers)
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        if o.how == "loader":
            kept = {layer: [] for layer in paths}
            passes(module, paths, loader, lambda layer, values: kept[layer].append(values.numpy()))
            for layer, values in kept.items():
                numpy.save(f"{folder}/{layer}.npy", numpy.concatenate(values))
        elif o.how == "thingsvision":
            for layer, path in paths.items():
                kept = []
                passes(module, {layer: path}, loader, lambda _, values: kept.append(torch.flatten(values, 1).numpy()))
                numpy.save(f"{folder}/{layer}.npy", numpy.vstack(kept))
        else:
            import h5py
            with h5py.File(f"{folder}/act.h5", "w") as out:
                for layer, path in paths.items():
                    kept = []
                    passes(module, {layer: path}, loader, lambda _, values: kept.append(values.numpy()), autograd=True)
                    out.create_dataset(layer, data=numpy.concatenate(kept), compression="gzip")
        os.sync()
        wall = time.time() - start
    cpu = sum(getattr(resource.getrusage(who), field) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
              for field in ("ru_utime", "ru_stime"))
    print(f"{o.network},{o.how},{len(files)},{len(files) / wall:.2f},{len(files) / cpu:.2f}")


if __name__ == "__main__":
    main()
