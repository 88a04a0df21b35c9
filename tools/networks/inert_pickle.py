"""A stand-in for `pickle` in torch.load that runs no code of the file: tensors and plain values are read, every other
object becomes an inert one that keeps what it was given. (torch 1.13's weights_only refuses any number with a point.)
"""
import pickle

from pickle import PickleError, UnpicklingError  # noqa: F401  (torch.load looks for them here)

PLAIN = {"builtins": {"set", "frozenset", "list", "dict", "tuple", "int", "float", "str", "bytes", "bool", "complex",
                      "bytearray", "slice", "range"},
         "collections": {"OrderedDict", "defaultdict"},
         "_codecs": {"encode"},
         "torch": {"Size", "device", "dtype", "Tensor"},
         "torch.nn.parameter": {"Parameter", "Buffer"},
         "torch._utils": {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter",
                          "_rebuild_parameter_with_state", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor",
                          "_rebuild_qtensor", "_rebuild_nested_tensor", "_rebuild_device_tensor_from_numpy",
                          "_rebuild_meta_tensor_no_storage"},
         "torch.storage": {"UntypedStorage", "TypedStorage", "_LegacyStorage"},
         "torch.serialization": {"_get_layout"},
         "numpy": {"dtype", "ndarray"},
         "numpy.core.multiarray": {"scalar", "_reconstruct"},
         "numpy._core.multiarray": {"scalar", "_reconstruct"}}


class Inert:
    """An object of a class that is not loaded."""
    def __init__(self, *_, **__):
        self.content = {}

    def __setstate__(self, state):
        self.__dict__.update(state if isinstance(state, dict) else {"content": state})

    def __setitem__(self, key, value):
        self.content[key] = value

    def append(self, value):
        self.content[len(self.content)] = value

    def extend(self, values):
        for value in values:
            self.append(value)


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        import torch
        if "." in name and module in PLAIN:  # attributes of a function lead to all of Python
            raise UnpicklingError(f"{module} {name}: names with a point are not loaded")
        known = name in PLAIN.get(module, ())
        if module == "torch":
            what = getattr(torch, name, None)
            known = known or isinstance(what, torch.dtype) or (name.endswith("Storage") and isinstance(what, type))
        return super().find_class(module, name) if known else type(name, (Inert,), {})


def load(file, **options):
    return Unpickler(file, **options).load()


def state_of(module):
    """state_dict of a whole network that was pickled, its code not loaded."""
    out = {}
    for kind in ("_parameters", "_buffers"):
        out.update({name: value for name, value in getattr(module, kind, {}).items() if value is not None})
    for name, child in getattr(module, "_modules", {}).items():
        if child is not None:
            out.update({f"{name}.{key}": value for key, value in state_of(child).items()})
    return out
