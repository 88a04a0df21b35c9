#!/usr/bin/env python3
"""Small NIfTI and .npy files of every kind that striate reads, with the values nibabel and NumPy find in them.

Run by /usr/bin/python3 (numpy, nibabel); writes nifti/ and npy/ beside this script. Deterministic."""
import gzip
import json
import os
import pathlib

import nibabel as nib
import numpy as np

here = pathlib.Path(__file__).resolve().parent
out = here / "nifti"
out.mkdir(exist_ok=True)
SHAPE = (3, 4, 5, 2)
AFFINE = np.array([[-2.0, 0.1, 0.05, 30.5], [0.1, 2.5, -0.2, -40.25], [0.02, 0.2, 3.0, 12.125], [0, 0, 0, 1]])
expected = {}


def values(dtype, shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        data = rng.integers(max(info.min, -1000), min(info.max, 1000), size=shape, endpoint=True).astype(dtype)
        data.flat[:2] = info.min, info.max
        return data
    return rng.standard_normal(shape).astype(dtype)


def raw(name, dtype, *, version=1, big=False, slope=1.0, inter=0.0, shape=SHAPE, data=None, sform=1, qform=1, pair=False,
        seed=0):
    """Writes header and values as they are: nibabel's own saving would choose slopes by itself."""
    cls = {1: nib.Nifti1Header, 2: nib.Nifti2Header}[version]
    hdr = cls(endianness=">" if big else "<")
    hdr.set_data_dtype(dtype)
    hdr.set_data_shape(shape)
    hdr.set_zooms((2.0, 2.5, 3.0) + (1.5,) * (len(shape) - 3))
    hdr.set_xyzt_units("mm", "sec")
    if qform:
        hdr.set_qform(AFFINE, code=qform, strip_shears=True)
    if sform:
        hdr.set_sform(AFFINE, code=sform)
    hdr["scl_slope"], hdr["scl_inter"] = slope, inter
    hdr["descrip"] = b"striate golden"
    if pair:
        hdr["magic"] = b"ni1"
        hdr["vox_offset"] = 0
    else:
        hdr["magic"] = b"n+1" if version == 1 else hdr["magic"]
        hdr["vox_offset"] = 352 if version == 1 else 544
    data = values(dtype, shape, seed) if data is None else data
    body = np.asarray(data).astype(hdr.get_data_dtype()).tobytes(order="F")
    head = hdr.binaryblock + b"\0\0\0\0"
    if pair:
        (out / f"{name}.hdr").write_bytes(head)
        (out / f"{name}.img").write_bytes(body)
        path = out / f"{name}.hdr"
    elif name.endswith(".gz"):
        path = out / name
        with open(path, "wb") as f, gzip.GzipFile("", "wb", mtime=0, fileobj=f) as z:
            z.write(head + body)
    else:
        path = out / name
        path.write_bytes(head + body)
    return path


def golden(*args, **kwargs):
    path = raw(*args, **kwargs)
    img = nib.load(path)
    data = img.get_fdata()
    flat = np.moveaxis(data.reshape(data.shape[:3] + (-1,)), -1, 0).reshape(-1)
    expected[path.name] = {
        "shape": list(data.shape[:3]),
        "volumes": int(np.prod(data.shape[3:], dtype=int)),
        "affine": img.affine[:3].tolist(),
        "values": [float(v) if np.isfinite(v) else str(v) for v in flat],
    }


for dtype in "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split():
    golden(f"{dtype}.nii", dtype)
for dtype in "int16 uint32 int64 float32 float64".split():
    golden(f"{dtype}_big.nii", dtype, big=True, seed=1)
golden("scaled.nii", "int16", slope=0.5, inter=-3.25)
golden("scaled_big.nii.gz", "uint8", slope=2.5, inter=10, big=True)
golden("slope_zero.nii", "int16", slope=0, inter=7)
golden("slope_nan.nii", "int16", slope=np.nan, inter=np.nan)
golden("float_scaled.nii", "float32", slope=-2, inter=1)
golden("two.nii", "float32", version=2)
golden("two_int16.nii.gz", "int16", version=2, slope=0.125)
golden("two_big.nii", "float64", version=2, big=True)
golden("plain.nii.gz", "float32")
golden("pair", "int16", pair=True)
golden("volume.nii", "float32", shape=(3, 4, 5))
golden("five.nii", "float32", shape=(3, 4, 5, 1, 2))
golden("five_t.nii", "float32", shape=(3, 4, 5, 2, 1))
golden("qform_only.nii", "float32", sform=0)
golden("sform_only.nii", "float32", qform=0)
golden("no_form.nii", "float32", sform=0, qform=0)
special = values("float32")
special.flat[[0, 7, 50]] = np.nan, np.inf, -np.inf
golden("special.nii", "float32", data=special)
raw("complex.nii", "complex64", data=values("float32").astype("complex64"))
raw("six.nii", "float32", shape=(2, 2, 2, 2, 2))
(out / "expected.json").write_text(json.dumps(expected, separators=(",", ":")))

# What nibabel finds in the real images of the shared data (which are not committed), where they are at hand.
data_dir = pathlib.Path(os.environ.get("STRIATE_DATA", here.parents[1] / ".." / "shared" / "data")) / "brain" / "formats"
real = {}
for name in "example4d.nii.gz example_nifti2.nii.gz functional.nii anatomical.nii neurovault_image_10426.nii.gz".split():
    if not (data_dir / name).exists():
        print("no", data_dir / name, "- nifti/real.json is left as it is")
        break
    img = nib.load(data_dir / name)
    data = img.get_fdata()
    data = data.reshape(data.shape[:3] + (-1,))
    last = data[..., -1].ravel()
    places = np.linspace(0, last.size - 1, 25, dtype=int)
    real[name] = {
        "shape": list(data.shape[:3]),
        "volumes": data.shape[3],
        "affine": img.affine[:3].tolist(),
        "dtype": str(img.get_data_dtype().newbyteorder("=")),
        "sum_last": float(np.nansum(last)),
        "places": places.tolist(),
        "values": [float(v) if np.isfinite(v) else str(v) for v in last[places]],
    }
else:
    (out / "real.json").write_text(json.dumps(real, separators=(",", ":")))

npy = here / "npy"
npy.mkdir(exist_ok=True)
table = {}


def array(name, data, version=None):
    with open(npy / name, "wb") as f:
        np.lib.format.write_array(f, data, version=version)
    flat = np.asarray(np.load(npy / name), dtype=float)
    table[name] = {"shape": list(data.shape), "fortran": bool(np.isfortran(data)), "values": flat.ravel().tolist()}


rng = np.random.default_rng(2)
base = rng.integers(-100, 100, (6, 4))
for dtype in "<f4 <f8 <i1 <i2 <i4 <i8 >f4 >f8 >i2 >i4 >i8 >u4".split():
    array(dtype.replace("<", "little_").replace(">", "big_") + ".npy", (base + 100 if "u" in dtype else base).astype(dtype))
for dtype in "<u1 <u2 <u4 <u8".split():
    array(dtype.replace("<", "little_") + ".npy", (base + 100).astype(dtype))
array("half.npy", (base / 8).astype("<f2"))
array("bool.npy", base > 0)
array("fortran.npy", np.asfortranarray(base.astype("<f8") / 3))
array("one.npy", base[:, 0].astype("<f4"))
array("cube.npy", np.arange(24.0).reshape(2, 3, 4))
array("v2.npy", base.astype("<f4"), (2, 0))
array("v3.npy", base.astype("<f4"), (3, 0))
array("scalar.npy", np.array(3.5))
with open(npy / "complex.npy", "wb") as f:
    np.save(f, base.astype(complex))
with open(npy / "text.npy", "wb") as f:
    np.save(f, np.array(["a", "bc"]))
with open(npy / "record.npy", "wb") as f:
    np.save(f, np.zeros(2, dtype=[("a", "i4"), ("b", "f4")]))
(npy / "expected.json").write_text(json.dumps(table, separators=(",", ":")))
