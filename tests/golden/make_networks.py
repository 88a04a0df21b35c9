#!/usr/bin/env python3
"""Golden files of the net room: what Python torch's eager forward hooks see.

  make_networks.py                       rewrites tests/golden/networks/ (small networks, their hooked outputs, samples
                                         of seven of configs/networks)
  make_networks.py --dump NAME DIR [--trace]
                                         for the test: exports NAME (seed 1) into DIR/NAME.ts.pt with
                                         tools/export_network.py and writes each card layer's output for two images as
                                         DIR/LAYER.f32, listed in DIR/layers.json
  make_networks.py --dump-each DIR NAME:FORM:AxBxC ...
                                         the same for many networks at inputs of these sizes, exported by `script`, `trace`
                                         or what the tool chooses (`auto`): fills DIR/NAME, says NAME, and goes on when
                                         that folder is gone
Needs torch, torchvision and PyYAML (Debian: python3-torchvision python3-yaml).
"""
import json
import os
import subprocess
import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

if os.environ.get("PYTHONHASHSEED") != "0":  # so that the files written are the same each time
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.argv])

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OUT = os.path.join(HERE, "networks")
sys.path.insert(0, os.path.join(ROOT, "tools"))
SAMPLED = ("alexnet", "resnet18", "googlenet", "inception_v3", "squeezenet1_0", "mobilenet_v2", "vgg11_bn")


def image(*shape):
    """The same numbers as golden_image() in tests/unit/net_test.hpp: multiples of 1/32768 from -1 to 1."""
    i = np.arange(np.prod(shape), dtype=np.uint32)
    h = (i + np.uint32(12345)) * np.uint32(2654435761)
    h ^= h >> np.uint32(15)
    h = h * np.uint32(2246822519)
    values = (h >> np.uint32(16)).astype(np.float64) / 32768 - 1
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


# --- small networks ---------------------------------------------------------------------------------------------------
class Reused(nn.Module):
    """One ReLU module called three times, a residual sum."""
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(self.first(x))
        return self.relu(self.second(y) + self.relu(y - 0.2))


class Inplace(nn.Module):
    """What a tap takes must not be changed by the operators that work in place behind it."""
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 1))
        self.features[1].running_mean.fill_(0.1)
        self.features[1].running_var.fill_(0.5)

    def forward(self, x):
        y = self.features(x)
        y += 1.0
        return y.mul_(2.0).relu_()


class Pair(nn.Module):
    def forward(self, x):
        return x * 2.0, x.mean(dim=[2, 3])


class Tuples(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.pair = Pair()

    def forward(self, x):
        a, b = self.pair(self.conv(x))
        return a.flatten(1).sum(1, keepdim=True) + b


class Dicts(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        early = self.conv(x)
        return {"early": early, "late": F.relu(early).mean(dim=[2, 3])}


class Branches(nn.Module):
    """A branch on the data, a branch never taken in evaluation mode, a loop."""
    def __init__(self):
        super().__init__()
        self.yes = nn.Conv2d(3, 3, 1)
        self.no = nn.Conv2d(3, 3, 1)
        self.aux = nn.Conv2d(3, 3, 1)
        self.step = nn.Conv2d(3, 3, 3, padding=1)
        self.after = nn.ReLU()
        self.turns = 3

    def forward(self, x):
        if x.size(1) == 3:
            x = self.yes(x)
        else:
            x = self.no(x)
        if self.training:
            x = self.aux(x)
        turn = 0
        while turn < self.turns:
            x = torch.tanh(self.step(x))
            turn += 1
        return self.after(x)


class Functional(nn.Module):
    """Rectifiers that are no modules."""
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = F.relu(self.a(x))
        return F.relu(self.b(y) + y)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 8), nn.GELU(), nn.Linear(8, width))

    def forward(self, x):
        q = self.query(self.norm(x))
        x = x + torch.softmax(q @ q.transpose(1, 2), dim=-1) @ q
        return x + self.mlp(x)


class Tokens(nn.Module):
    """A small vision transformer: layers of tokens × width."""
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 6))
        self.blocks = nn.Sequential(Block(6), Block(6))
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.size(0), -1, -1), x], dim=1)
        return self.head(self.blocks(x)[:, 0])


class Views(nn.Module):
    """view() right behind a convolution: does not take channels-last memory."""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, 3)

    def forward(self, x):
        x = self.conv(x)
        return self.fc(x.view(x.size(0), -1))


class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift = nn.Conv3d(3, 2, (1, 3, 3))

    def forward(self, x):
        return self.lift(torch.stack([x, x * 0.5], dim=2)).flatten(1)


class Awkward(nn.Module):
    """Outputs that cannot be stored."""
    def __init__(self):
        super().__init__()
        self.sequence = Permuted()
        self.count = Counted()
        self.items = nn.ModuleList([nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)])

    def forward(self, x):
        for item in self.items:
            x = item(x)
        n = self.count(x)
        return self.sequence(x) * n


class Permuted(nn.Module):
    def forward(self, x):
        return x.permute(1, 0, 2, 3).contiguous()


class Counted(nn.Module):
    def forward(self, x):
        return x.size(1)


class Overloaded(nn.Module):
    """Compiled as forward__0 and forward__1."""
    @torch.jit._overload_method
    def forward(self, x: int) -> int:
        ...

    @torch.jit._overload_method  # noqa: F811
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        ...

    def forward(self, x):  # noqa: F811
        return x * 3


class Overloads(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.triple = Overloaded()

    def forward(self, x):
        return self.conv(x) * self.triple(2) + self.triple(self.conv(x)).mean()


class TwoInputs(nn.Module):
    def forward(self, x, y):
        return x + y


class Scaled(nn.Module):
    """A second input with a default."""
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x, scale: float = 2.0):
        return self.conv(x) * scale


SMALL = {  # name: (module, scripted, traced)
    "reused": (Reused, True, True), "inplace": (Inplace, True, True), "tuples": (Tuples, True, True),
    "dicts": (Dicts, True, False), "branches": (Branches, True, False), "functional": (Functional, True, True),
    "tokens": (Tokens, True, True), "views": (Views, True, True), "video": (Video, True, False),
    "overloads": (Overloads, True, False), "scaled": (Scaled, True, False),
}


def hook_everything(module, x):
    """path or path#k (and :e of tuples) → output, as striate names them; `output` and the keys of a dict."""
    seen, handles = {}, []

    def keep(path):
        def hook(_, __, out):
            parts = out if isinstance(out, tuple) else (out,)
            seen.setdefault(path, []).append([p.detach().clone() for p in parts if isinstance(p, torch.Tensor)])
        return hook
    for path, part in module.named_modules():
        if path:
            handles.append(part.register_forward_hook(keep(path)))
    with torch.no_grad():
        result = module(x)
    for handle in handles:
        handle.remove()
    out = {}
    for path, calls in seen.items():
        for k, parts in enumerate(calls):
            name = f"{path}#{k}" if len(calls) > 1 else path
            for e, part in enumerate(parts):
                out[f"{name}:{e}" if e else name] = part
    if isinstance(result, dict):
        out.update(result)
    else:
        out["output"] = result
    return out


def write_small():
    golden = {}
    for number, (name, (maker, script, trace)) in enumerate(SMALL.items()):
        torch.manual_seed(100 + number)
        module = maker().eval()
        x = image(2, 3, 8, 8)
        layers = hook_everything(module, x)
        for form, wanted in (("scripted", script), ("traced", trace)):
            if not wanted:
                continue
            with torch.no_grad():
                made = torch.jit.script(module) if form == "scripted" else torch.jit.trace(module, x)
            save(made, f"{name}.{form}.ts.pt")
        golden[name] = {"forms": [f for f, w in (("scripted", script), ("traced", trace)) if w],
                        "layers": {k: {"shape": list(v.shape), "values": [float(f"{f:.7g}") for f in v.flatten().tolist()]}
                                   for k, v in layers.items() if v.dim() > 0}}
    torch.manual_seed(99)
    save(torch.jit.script(Awkward().eval()), "awkward.scripted.ts.pt")
    save(torch.jit.script(TwoInputs().eval()), "two_inputs.scripted.ts.pt")
    save(torch.jit.freeze(torch.jit.script(Reused().eval())), "frozen.ts.pt")
    torch.save(Reused().state_dict(), os.path.join(OUT, "checkpoint.pt"))
    with open(os.path.join(OUT, "small.json"), "w") as file:
        json.dump({"torch": torch.__version__, "networks": golden}, file, separators=(",", ":"))
        file.write("\n")


def save(script, name):
    import io
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    with open(os.path.join(OUT, name), "wb") as file:
        file.write(buffer.getvalue())


# --- the networks of configs/networks ---------------------------------------------------------------------------------
def card(name):
    import yaml
    with open(os.path.join(ROOT, "configs", "networks", name + ".yaml")) as file:
        return yaml.safe_load(file)


def make_module(name):
    import torchvision
    import networks
    if name in networks.NETWORKS:
        return networks.NETWORKS[name][0]()
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    maker = getattr(torchvision.models, name, None) or getattr(torchvision.models.video, name)
    return maker(weights=None, **extra)


def hooked(module, layers, x):
    """What the card's layers give: `path`, `path#call`, `path:element`, or `output`."""
    calls = {}
    modules = dict(module.named_modules())
    wanted = {layer: path.split(":")[0].partition("#")[::2] for layer, path in layers.items()}
    handles = []
    for path in {path for path, _ in wanted.values()} - {"output"}:
        def keep(_, __, out, path=path):
            while isinstance(out, tuple):
                out = out[0]
            calls.setdefault(path, []).append(out.detach().clone())
        handles.append(modules[path].register_forward_hook(keep))
    with torch.no_grad():
        calls["output"] = [module(x)]
    for handle in handles:
        handle.remove()
    return {layer: calls[path][int(call or 0)] for layer, (path, call) in wanted.items()}


def card_outputs(name, script_file):
    """Outputs of every layer of the card, by hooks on the eager network with the weights of the exported file."""
    module = make_module(name)
    module.load_state_dict(torch.jit.load(script_file).state_dict())
    module.eval()
    own = card(name)
    return hooked(module, own["layers"], image(2, 3, *own["input"]["size"]))


def export(name, path, trace):
    tool = os.path.join(ROOT, "tools", "export_network.py")
    subprocess.run([sys.executable, tool, name, "--seed", "1", "--out", path] + (["--trace"] if trace else []), check=True)


def dump(name, folder, trace):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name + ".ts.pt")
    export(name, path, trace)
    write_layers(card_outputs(name, path), folder)


def sample(value):
    """min, max, mean, and 64 values spread evenly: entry j of 64 is number (2j+1)·n/128 of the flattened output."""
    flat = value.flatten().double()
    at = [(2 * j + 1) * flat.numel() // 128 for j in range(64)]
    return {"shape": list(value.shape), "min": flat.min().item(), "max": flat.max().item(), "mean": flat.mean().item(),
            "values": [float(f"{flat[i].item():.7g}") for i in at]}


def write_samples():
    import tempfile
    golden = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in SAMPLED:
            path = os.path.join(folder, "network.ts.pt")
            export(name, path, False)
            golden[name] = {layer: sample(value) for layer, value in card_outputs(name, path).items()}
    with open(os.path.join(OUT, "torchvision.json"), "w") as file:
        json.dump({"torch": torch.__version__, "seed": 1, "networks": golden}, file, separators=(",", ":"))
        file.write("\n")


def write_layers(outputs, folder):
    shapes = {}
    for layer, value in outputs.items():
        value.contiguous().numpy().astype("<f4").tofile(os.path.join(folder, layer + ".f32"))
        shapes[layer] = list(value.shape)
    with open(os.path.join(folder, "layers.json"), "w") as file:
        json.dump({"torch": torch.__version__, "layers": shapes}, file)


def dump_each(folder, wanted):
    """One process for many networks: importing torch takes longer than most of them. Their weights fill disks."""
    import argparse
    import time
    import export_network
    for name, form, size in (one.split(":") for one in wanted):
        shape = [int(n) for n in size.split("x")]
        torch.manual_seed(1)
        module = make_module(name).eval()
        for part in module.modules():  # statistics that are not 0 and 1, as those of trained ones
            if isinstance(part, (nn.BatchNorm2d, nn.BatchNorm3d)):
                part.running_mean.normal_(0, 0.1)
                part.running_var.uniform_(0.5, 1.5)
        place = os.path.join(folder, name)
        os.mkdir(place)
        how = argparse.Namespace(trace=form == "trace", script=form == "script")
        script, how = export_network.to_torchscript(module, how, shape)
        torch.jit.save(script, os.path.join(place, "network.ts.pt"))
        write_layers(hooked(module, card(name)["layers"], image(2, *shape)), place)
        print(name, how, flush=True)
        while os.path.exists(place):
            time.sleep(0.01)


def main():
    torch.set_num_threads(1)
    if len(sys.argv) > 3 and sys.argv[1] == "--dump":
        dump(sys.argv[2], sys.argv[3], "--trace" in sys.argv[4:])
        return
    if len(sys.argv) > 2 and sys.argv[1] == "--dump-each":
        dump_each(sys.argv[2], sys.argv[3:])
        return
    os.makedirs(OUT, exist_ok=True)
    write_small()
    write_samples()


if __name__ == "__main__":
    main()
