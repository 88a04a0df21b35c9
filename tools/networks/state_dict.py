"""Weights files of other people into a network: what is in the file, under which prefix, and what does not fit.

Reads torch.save's files, new (zip) and legacy (pickle), TorchScript archives, and safetensors; runs no code of theirs.
"""
import inspect
import json
import re
import struct
import warnings
import zipfile

from . import inert_pickle

# Names that old checkpoints of torchvision's DenseNets have, and their places today.
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.\w+)$")
CONTAINERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module")
SHOWN = 3  # names in a message


class DoesNotFit(Exception):
    """One line that says what is wrong with a weights file."""


def is_torchscript(path):
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def read_safetensors(path):
    import torch
    kinds = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
             "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
             "BOOL": torch.bool}
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    out = {}
    for name, about in header.items():
        if name == "__metadata__":
            continue
        first, last = about["data_offsets"]
        if about["dtype"] not in kinds or not 0 <= first <= last <= len(data):
            raise DoesNotFit(f"{path} is cut off, or of a kind of safetensors that is not known here ({name})")
        flat = torch.frombuffer(data, dtype=torch.uint8, offset=first, count=last - first).clone() if last > first \
            else torch.empty(0, dtype=torch.uint8)
        out[name] = flat.view(kinds[about["dtype"]]).reshape(about["shape"])
    return out


def load_pickle(path):
    import torch
    from unittest import mock
    options = {"weights_only": False} if "weights_only" in inspect.signature(torch.load).parameters else {}
    try:
        # torch 1.13 forgets the pickle_module that it is given, and takes its own.
        with mock.patch.object(torch.serialization, "pickle", inert_pickle), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", pickle_module=inert_pickle, **options)
    except Exception as error:  # torch raises many kinds
        raise DoesNotFit(f"{path} is no weights file that torch.load reads: {first_line(error)}") from None


def first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def read_state(path):
    """Name → tensor, as they stand in the file."""
    import torch
    if is_torchscript(path):
        try:
            state = torch.jit.load(path, map_location="cpu").state_dict()
        except RuntimeError as error:
            raise DoesNotFit(f"{path} is TorchScript that cannot be loaded: {first_line(error)}") from None
    elif str(path).endswith(".safetensors"):
        state = read_safetensors(path)
    else:
        state = load_pickle(path)
    while isinstance(state, dict) and not any(isinstance(value, torch.Tensor) for value in state.values()):
        inner = [key for key in CONTAINERS if isinstance(state.get(key), (dict, inert_pickle.Inert))]
        if not inner:
            break
        state = state[inner[0]]
    if isinstance(state, inert_pickle.Inert):  # a whole network was pickled
        state = inert_pickle.state_of(state)
    if not isinstance(state, dict):
        raise DoesNotFit(f"{path} holds no state_dict but a {type(state).__name__}")
    tensors = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise DoesNotFit(f"{path} holds no tensors (its keys: {shown(map(str, state))})")
    return tensors


def shown(names):
    names = list(names)
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def renamed(key):
    old = OLD_DENSENET.match(key)
    return old.group(1) + old.group(2) if old else key


def find_prefix(keys, wanted):
    """What stands before the network's own names (module., visual. …): the prefix under which most are found."""
    found = {"": sum(1 for key in keys if key in wanted)}
    for key in keys:
        for at, character in enumerate(key):
            if character == "." and key[at + 1:] in wanted:
                found[key[:at + 1]] = found.get(key[:at + 1], 0) + 1
    return max(found, key=lambda prefix: (found[prefix], -len(prefix)))


def shape_text(shape):
    return " x ".join(map(str, shape)) or "one number"


def misfit(path, name, missing, foreign, shapes, total):
    parts = []
    if missing:
        parts.append(f"{len(missing)} of the network's {total} entries are missing ({shown(missing)})")
    if foreign:
        parts.append(f"{len(foreign)} of the file's are not of the network ({shown(foreign)})")
    if shapes:
        parts.append(f"{len(shapes)} differ in shape (" + shown(f"{key}: file {shape_text(a)}, network {shape_text(b)}"
                                                               for key, a, b in shapes) + ")")
    text = f"{path} does not fit {name}: " + "; ".join(parts)
    last = [key for key, a, b in shapes if len(a) == len(b) and a[1:] == b[1:]]
    if shapes and len(last) == len(shapes) and not missing and not foreign:
        text += f"; the number of classes? try --classes {next(a[0] for key, a, b in shapes)}"
    return text


def load_into(module, path, name, partial=False):
    """Fills the network; returns what there is to say about it. Raises DoesNotFit."""
    own = module.state_dict()
    state = {renamed(key): value for key, value in read_state(path).items()}
    prefix = find_prefix(state, own)
    inside = {key[len(prefix):]: value for key, value in state.items() if key.startswith(prefix)}
    notes = []
    if prefix:
        notes.append(f"took the {len(inside)} entries under `{prefix}`" +
                     (f", left {len(state) - len(inside)} others" if len(inside) < len(state) else ""))
    shapes = [(key, tuple(value.shape), tuple(own[key].shape)) for key, value in inside.items()
              if key in own and value.shape != own[key].shape]
    fitting = {key: value for key, value in inside.items() if key not in {s[0] for s in shapes}}
    result = module.load_state_dict(fitting, strict=False)  # modules may know older names of theirs
    differing = {s[0] for s in shapes}
    missing = [key for key in result.missing_keys if key not in differing and not key.endswith("num_batches_tracked")]
    foreign = list(result.unexpected_keys)
    if (missing or foreign or shapes) and not partial:
        raise DoesNotFit(misfit(path, name, missing, foreign, shapes, len(own)))
    if missing or foreign or shapes:
        loaded = len(own) - len(result.missing_keys)
        if not any(key in own for key in fitting):
            raise DoesNotFit(misfit(path, name, missing, foreign, shapes, len(own)))
        notes.append(f"partial: {loaded} of {len(own)} entries are from the file, the others random")
    return notes
