#!/usr/bin/env python3
"""Makes the TorchScript file that `striate extract` reads, from torchvision, tools/networks, timm or any torch.nn.Module.

  export_network.py squeezenet1_0 --weights IMAGENET1K_V1 --out squeezenet1_0.ts.pt     pretrained (needs the internet once)
  export_network.py alexnet --state-dict alexnet-owt-7be5be79.pth --out alexnet.ts.pt   from a weights file
  export_network.py clip_rn50 --state-dict RN50.pt --out clip_rn50.ts.pt                OpenAI's file: its visual tower
  export_network.py squeezenet1_0 --seed 1 --out squeezenet1_0.ts.pt                    untrained, reproducible
  export_network.py resnet18 --classes 10 --state-dict mine.pth --out resnet18.ts.pt    a network of ten classes
  export_network.py timm:convnext_tiny --weights pretrained --out convnext.ts.pt
  export_network.py --module mylab.nets:make_net --state-dict net.pth --input 3 128 128 --out net.ts.pt

A weights file may be torch.save's (new or legacy, a bare state_dict or one inside a checkpoint), TorchScript, or safetensors;
prefixes before the network's own names (module., visual. …) are found and taken off. What is missing, foreign or of
another shape is an error that counts it.

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
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.getcwd()]

# Networks whose ImageNet weights expect inputs normalised by (x - 0.5) / 0.5; torchvision converts inside forward.
TRANSFORM_INPUT = ("googlenet", "inception_v3")
CLIP = [3, 16, 112, 112]  # frames of video, as torchvision's networks take them


def fail(message):
    sys.exit(f"export_network: error: {message}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="torchvision name, one of tools/networks, or timm:NAME")
    parser.add_argument("--out", metavar="FILE", help="TorchScript file to write, e.g. alexnet.ts.pt")
    parser.add_argument("--module", metavar="PACKAGE.MODULE:CALLABLE", help="makes the nn.Module, called without arguments")
    parser.add_argument("--weights", default="none", metavar="W",
                        help="none (random, the default), a state_dict file, or torchvision's name of weights "
                             "(IMAGENET1K_V1, DEFAULT); timm: pretrained")
    parser.add_argument("--state-dict", metavar="FILE", help="the same as --weights FILE")
    parser.add_argument("--partial", action="store_true", help="take what fits of the weights file, leave the rest random")
    parser.add_argument("--classes", type=int, metavar="N", help="size of the last layer, where it is not the usual one")
    parser.add_argument("--seed", type=int, default=0, help="of random weights (default 0)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--script", action="store_true", help="script only; an error where that fails")
    how.add_argument("--trace", action="store_true", help="trace (one path through the network, fixed control flow)")
    parser.add_argument("--input", type=int, nargs="+", metavar="N",
                        help="shape of one input; default: what the network was made for, e.g. 3 224 224")
    parser.add_argument("--transform-input", choices=("auto", "yes", "no"), default="auto",
                        help="googlenet, inception_v3: convert ImageNet-normalised input inside the network, as their "
                             "pretrained weights expect (auto: where weights are given)")
    parser.add_argument("--check", action="store_true", help="load the file again, run it, and print the output's summary")
    parser.add_argument("--list", action="store_true", help="list the networks; with a network: its modules")
    return parser.parse_args()


def makers():
    """Name → function of torchvision, its networks for video included."""
    from torchvision import models
    out = {}
    for room in (models, models.video):
        for name in dir(room):
            maker = getattr(room, name)
            if (name[0].islower() and inspect.isfunction(maker) and not name.startswith("get_")
                    and "weights" in inspect.signature(maker).parameters):
                out.setdefault(name, maker)
    return out


def all_names():
    import networks
    return sorted([*makers(), *networks.NETWORKS])


def enum_weights(name, wanted):
    """torchvision's weights by name, or None where it has no such."""
    annotation = inspect.signature(makers()[name]).parameters["weights"].annotation
    for kind in getattr(annotation, "__args__", (annotation,)):
        if hasattr(kind, "__members__") and wanted in kind.__members__:
            return kind[wanted]
    return None


def make_torchvision(args):
    known = makers()
    if args.name not in known:
        import difflib
        near = difflib.get_close_matches(args.name, all_names(), 1)
        fail(f"there is no network {args.name}" + (f"; did you mean {near[0]}?" if near else "; see --list"))
    options = {"num_classes": args.classes} if args.classes else {}
    if args.weights == "none" or os.path.exists(args.weights):
        if args.name in TRANSFORM_INPUT:
            options["init_weights"] = True
        module = known[args.name](weights=None, **options)
    else:
        weights = enum_weights(args.name, args.weights)
        if weights is None:
            fail(f"--weights {args.weights}: no such file, and torchvision's {args.name} has no weights of that name")
        module = known[args.name](weights=weights, **options)
    if args.name in TRANSFORM_INPUT:  # set afterwards: makers of weights may insist on a value of their own
        pretrained = args.weights != "none" or args.state_dict
        module.transform_input = args.transform_input == "yes" or (args.transform_input == "auto" and bool(pretrained))
    return module


def make_own(args):
    import networks
    if args.weights != "none" and not os.path.exists(args.weights):
        fail(f"--weights {args.weights}: no such file; {args.name} takes a weights file (see tools/networks/__init__.py)")
    return networks.NETWORKS[args.name][0](classes=args.classes)


def usual_input(name):
    """Shape of one input that the network was made for."""
    import networks
    if name in networks.NETWORKS:
        return list(networks.NETWORKS[name][1])
    known = makers()
    if name not in known:
        return [3, 224, 224]
    from torchvision import models
    if getattr(models.video, name, None) is known[name]:
        return CLIP
    first = None
    for kind in getattr(inspect.signature(known[name]).parameters["weights"].annotation, "__args__", ()):
        first = first or next(iter(getattr(kind, "__members__", {}).values()), None)
    size = getattr(first.transforms(), "crop_size", [224]) if first else [224]
    return [3, size[0], size[-1]]


def make_module(args):
    if args.module:
        package, _, maker = args.module.partition(":")
        if not maker:
            fail("--module wants PACKAGE.MODULE:CALLABLE, e.g. mylab.nets:make_net")
        try:
            made = getattr(importlib.import_module(package), maker)
        except (ImportError, AttributeError) as error:
            fail(f"--module {args.module}: {error}")
        is_maker = callable(made) and (isinstance(made, type) or not hasattr(made, "state_dict"))
        return made() if is_maker else made
    if args.name.startswith("timm:"):
        import timm
        options = {"num_classes": args.classes} if args.classes else {}
        return timm.create_model(args.name[5:], pretrained=args.weights == "pretrained", **options)
    import networks
    return make_own(args) if args.name in networks.NETWORKS else make_torchvision(args)


def load_weights(module, path, args):
    from networks.state_dict import DoesNotFit, load_into
    if not os.path.isfile(path):
        fail(f"{path}: no such file")
    try:
        notes = load_into(module, path, args.name or args.module, args.partial)
    except DoesNotFit as error:
        fail(str(error))
    for note in notes:
        print(f"export_network: {path}: {note}", file=sys.stderr)


def to_torchscript(module, args, shape):
    import torch
    import warnings
    warnings.simplefilter("ignore")
    if not (args.trace or (getattr(module, "prefer_trace", False) and not args.script)):
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
        print("\n".join(all_names()))
        return
    if not (args.name or args.module):
        fail("which network? a name of --list, timm:NAME or --module; see --help")
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
        load_weights(module, state, args)
    module.eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    if args.list:
        for path, part in module.named_modules():
            if path:
                print(f"{path}\t{type(part).__name__}")
        return
    shape = args.input or (usual_input(args.name) if args.name else [3, 224, 224])
    script, how = to_torchscript(module, args, shape)
    write_atomically(script, args.out)
    print(f"export_network: {args.name or args.module} {how} into {args.out}", file=sys.stderr)
    if args.check:
        check(args.out, shape)


if __name__ == "__main__":
    main()
