#!/usr/bin/env python3
"""Makes the TorchScript file that `striate extract` reads, from torchvision, timm or any torch.nn.Module.

  export_network.py squeezenet1_0 --weights IMAGENET1K_V1 --out squeezenet1_0.ts.pt     pretrained (needs the internet once)
  export_network.py alexnet --weights alexnet-owt-7be5be79.pth --out alexnet.ts.pt      from a state_dict file
  export_network.py squeezenet1_0 --seed 1 --out squeezenet1_0.ts.pt                    random weights, reproducible
  export_network.py timm:convnext_tiny --weights pretrained --out convnext.ts.pt
  export_network.py --module mylab.nets:make_net --state-dict net.pth --input 3 128 128 --out net.ts.pt

The network is put into evaluation mode, scripted (or traced, where scripting fails or --trace asks for it) and never
frozen: freezing dissolves the modules, and with them the names of the layers. Needs Python's torch (and torchvision or
timm for their names); striate itself needs neither.
"""
import argparse
import importlib
import inspect
import io
import os
import sys
import tempfile

if os.environ.get("PYTHONHASHSEED") != "0":
    # TorchScript writes some attributes in the order of a Python set: without this, equal networks would give files with
    # differing checksums.
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.argv])
sys.path.insert(0, os.getcwd())

# Networks whose ImageNet weights expect inputs normalised by (x - 0.5) / 0.5; torchvision converts inside forward.
TRANSFORM_INPUT = ("googlenet", "inception_v3")


def fail(message):
    sys.exit(f"export_network: error: {message}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="torchvision name, or timm:NAME")
    parser.add_argument("--out", metavar="FILE", help="TorchScript file to write, e.g. alexnet.ts.pt")
    parser.add_argument("--module", metavar="PACKAGE.MODULE:CALLABLE", help="makes the nn.Module, called without arguments")
    parser.add_argument("--weights", default="none", metavar="W",
                        help="none (random, the default), a state_dict file, or torchvision's name of weights "
                             "(IMAGENET1K_V1, DEFAULT); timm: pretrained")
    parser.add_argument("--state-dict", metavar="FILE", help="the same as --weights FILE; also inside a checkpoint's "
                                                             "`state_dict` or `model`, with or without `module.`")
    parser.add_argument("--seed", type=int, default=0, help="of random weights (default 0)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--script", action="store_true", help="script only; an error where that fails")
    how.add_argument("--trace", action="store_true", help="trace (one path through the network, fixed control flow)")
    parser.add_argument("--input", type=int, nargs="+", metavar="N",
                        help="shape of one input, e.g. 3 224 224 (the default; 3 299 299 for inception_v3)")
    parser.add_argument("--transform-input", choices=("auto", "yes", "no"), default="auto",
                        help="googlenet, inception_v3: convert ImageNet-normalised input inside the network, as their "
                             "pretrained weights expect (auto: where weights are given)")
    parser.add_argument("--check", action="store_true", help="load the file again, run it, and print the output's summary")
    parser.add_argument("--list", action="store_true", help="list torchvision's networks; with a network: its modules")
    return parser.parse_args()


def torchvision_names():
    from torchvision import models

    def is_maker(name):
        maker = getattr(models, name)
        return name[0].islower() and inspect.isfunction(maker) and "weights" in inspect.signature(maker).parameters
    return [name for name in dir(models) if is_maker(name) and not name.startswith("get_")]


def enum_weights(name, wanted):
    """torchvision's weights by name, or None where it has no such."""
    from torchvision import models
    annotation = inspect.signature(getattr(models, name)).parameters["weights"].annotation
    for kind in getattr(annotation, "__args__", (annotation,)):
        if hasattr(kind, "__members__") and wanted in kind.__members__:
            return kind[wanted]
    return None


def make_torchvision(args):
    from torchvision import models
    names = torchvision_names()
    if args.name not in names:
        import difflib
        near = difflib.get_close_matches(args.name, names, 1)
        fail(f"torchvision has no network {args.name}" + (f"; did you mean {near[0]}?" if near else "; see --list"))
    if args.weights == "none" or os.path.exists(args.weights):
        extra = {"init_weights": True} if args.name in TRANSFORM_INPUT else {}
        module = getattr(models, args.name)(weights=None, **extra)
    else:
        weights = enum_weights(args.name, args.weights)
        if weights is None:
            fail(f"--weights {args.weights}: no such file, and torchvision's {args.name} has no weights of that name")
        module = getattr(models, args.name)(weights=weights)
    if args.name in TRANSFORM_INPUT:  # set afterwards: makers of weights may insist on a value of their own
        pretrained = args.weights != "none" or args.state_dict
        module.transform_input = args.transform_input == "yes" or (args.transform_input == "auto" and bool(pretrained))
    return module


def make_module(args):
    if args.module:
        package, _, maker = args.module.partition(":")
        if not maker:
            fail("--module wants PACKAGE.MODULE:CALLABLE, e.g. mylab.nets:make_net")
        try:
            made = getattr(importlib.import_module(package), maker)
        except (ImportError, AttributeError) as error:
            fail(f"--module {args.module}: {error}")
        return made() if callable(made) and not hasattr(made, "state_dict") else made
    if args.name.startswith("timm:"):
        import timm
        return timm.create_model(args.name[5:], pretrained=args.weights == "pretrained")
    return make_torchvision(args)


def load_state_dict(module, path):
    import torch
    try:
        state = torch.load(path, map_location="cpu")
    except Exception as error:  # torch raises many kinds
        fail(f"{path}: torch.load cannot read it: {str(error).splitlines()[0]}")
    for key in ("state_dict", "model", "net"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if hasattr(state, "state_dict"):  # a whole pickled module, or a TorchScript file
        state = state.state_dict()
    state = {key[7:] if key.startswith("module.") else key: value for key, value in state.items()}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        fail(f"{path} does not fit the network: " + " ".join(str(error).split()))


def to_torchscript(module, args, shape):
    import torch
    import warnings
    warnings.simplefilter("ignore")
    if not args.trace:
        try:
            return torch.jit.script(module), "scripted"
        except Exception as error:  # scripting fails in many ways
            if args.script:
                fail("the network cannot be scripted; try --trace: " + " ".join(str(error).split())[:400])
            print("export_network: cannot be scripted, so it is traced", file=sys.stderr)
    # Two stimuli, so that a batch axis of 1 is not mistaken for a constant by the network's own code.
    example = torch.rand(2, *shape)
    with torch.no_grad():
        return torch.jit.trace(module, example, check_trace=False, strict=False), "traced"


def write_atomically(script, path):
    import torch
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        fail(f"--out {path}: no folder {folder}")
    # By way of memory: the archive would carry the temporary file's name, and equal networks differing checksums.
    buffer = io.BytesIO()
    torch.jit.save(script, buffer)
    handle, temporary = tempfile.mkstemp(prefix=".export-", suffix=".pt", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def summary(value):
    if hasattr(value, "shape"):
        return f"{tuple(value.shape)} min {value.min():.6g} mean {value.double().mean():.6g} max {value.max():.6g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {summary(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(summary(part) for part in value) + ")"
    return str(value)


def check(path, shape):
    import torch
    script = torch.jit.load(path)
    with torch.no_grad():
        output = script(torch.zeros(2, *shape))
    print(f"{path}: {sum(1 for _ in script.modules()) - 1} modules; output for zeros: {summary(output)}")


def main():
    args = arguments()
    if args.list and not (args.name or args.module):
        print("\n".join(torchvision_names()))
        return
    if not (args.name or args.module):
        fail("which network? a torchvision name, timm:NAME or --module; see --help")
    if args.name and args.module:
        fail("either a name or --module, not both")
    if not (args.out or args.list):
        fail("--out FILE is missing")
    try:
        import torch
    except ImportError:
        fail("Python's torch is missing (Debian/Ubuntu: apt-get install python3-torchvision; else: pip install torchvision)")
    torch.manual_seed(args.seed)
    module = make_module(args)
    state = args.state_dict or (args.weights if os.path.isfile(args.weights) else None)
    if state:
        load_state_dict(module, state)
    module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    if args.list:
        for path, part in module.named_modules():
            if path:
                print(f"{path}\t{type(part).__name__}")
        return
    shape = args.input or ([3, 299, 299] if args.name == "inception_v3" else [3, 224, 224])
    script, how = to_torchscript(module, args, shape)
    write_atomically(script, args.out)
    print(f"export_network: {args.name or args.module} {how} into {args.out}", file=sys.stderr)
    if args.check:
        check(args.out, shape)


if __name__ == "__main__":
    main()
