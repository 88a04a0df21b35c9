#!/usr/bin/env python3
"""The peers' way: Python torch with forward hooks on the same layers, in one pass.

  hooks.py FILE.ts.pt|torchvision-name CARD.yaml BATCH THREADS SECONDS [bare]
Prints one CSV line as bench_forward does."""
import sys
import time

import torch
import torchvision
import yaml

name, card_file, batch, threads, seconds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
bare = "bare" in sys.argv[6:]
card = yaml.safe_load(open(card_file))
torch.set_num_threads(threads)
torch.manual_seed(1)
extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
module = getattr(torchvision.models, name)(weights=None, **extra).eval()
taken = {}
if not bare:
    modules = dict(module.named_modules())
    for layer, path in card["layers"].items():
        modules[path].register_forward_hook(lambda m, i, o, layer=layer: taken.__setitem__(layer, o.clone().numpy()))
x = torch.rand(batch, 3, *card["input"]["size"])
with torch.no_grad():
    module(x)
    done, start, cpu = 0, time.time(), time.process_time()
    while time.time() - start < seconds:
        module(x)
        done += batch
print(f"{name},python {'bare' if bare else 'all layers'},{batch},{threads},{done / (time.time() - start):.2f},{done / (time.process_time() - cpu):.2f},")
