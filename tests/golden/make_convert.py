"""Inputs of `striate convert` as other programs write them (h5py, NumPy, SciPy; the layouts of DNNBrain, thingsvision,
keract and MatConvNet), and what NumPy makes of them in float64. /usr/bin/python3 make_convert.py writes convert/."""
import json
import pathlib

import h5py
import numpy as np
import scipy.io

OUT = pathlib.Path(__file__).parent / "convert"
rng = np.random.default_rng(5)
TEXT = h5py.string_dtype("utf-8")


def store(name, ids, **layers):
    with h5py.File(OUT / name, "w") as file:
        for layer, values in layers.items():
            file[layer] = values
        file["/.striate/stimulus_id"] = np.array(ids, h5py.string_dtype("utf-8", 8))


def folder(name):
    (OUT / name).mkdir(parents=True, exist_ok=True)
    return OUT / name


OUT.mkdir(exist_ok=True)
ids = [f"s{i}" for i in range(7)]
conv = rng.standard_normal((7, 3, 4, 5)).astype("f4")
fc = rng.standard_normal((7, 6)).astype("f4")
conv[4] = np.nan  # a stimulus that was skipped
store("first.act.h5", ids, conv=conv, fc=fc)
conv2, fc2 = rng.standard_normal((3, 3, 4, 5)).astype("f4"), rng.standard_normal((3, 6)).astype("f4")
store("second.act.h5", ["s9", "s7", "s8"], conv=conv2, fc=fc2)
order = rng.permutation(7)
conv3, fc3 = rng.standard_normal((7, 3, 4, 5)).astype("f4"), rng.standard_normal((7, 6)).astype("f4")
conv3[2, 1], fc3[5, :2] = 0, 0
store("other.act.h5", [ids[i] for i in order], conv=conv3[order], fc=fc3[order])
late = rng.standard_normal((7, 4, 2, 2)).astype("f4")
store("beside.act.h5", [ids[i] for i in order], late=late[order])
with h5py.File(OUT / "dnnbrain.act.h5", "w") as file:  # as DNNBrain after dnn_fe: float64, compressed, no attributes
    file.create_dataset("conv", data=conv.astype("f8"), compression="gzip")
    file.create_dataset("fc", data=fc.astype("f8")[:, :, None, None], compression="gzip")

expected = {"concatenate_conv": np.concatenate([conv, conv2]), "concatenate_fc": np.concatenate([fc, fc2])}
(OUT / "units.dmask.csv").write_text("conv=chn,col\n3,1,3\n5,2\nfc=chn\n6,6,1\n")
expected["mask_conv"] = conv[:, [2, 0, 2]][..., [4, 1]]
expected["mask_fc"] = fc[:, [5, 5, 0]]
wide = conv.astype("f8")
expected["max"], expected["mean"] = wide.max((2, 3)), wide.mean((2, 3))
expected["median"] = np.median(wide, (2, 3))
expected["l1"], expected["l2"] = np.abs(wide).sum((2, 3)), np.sqrt((wide ** 2).sum((2, 3)))
finite = np.nan_to_num(wide)  # LAPACK gives up on NaN
expected["l1_dnnbrain"] = np.linalg.norm(finite, 1, axis=(2, 3))
expected["l2_dnnbrain"] = np.linalg.norm(finite, 2, axis=(2, 3))
for norm in ("l1_dnnbrain", "l2_dnnbrain"):
    expected[norm][4] = np.nan
with np.errstate(divide="ignore", invalid="ignore"):
    for name, f in (("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("divide", np.divide)):
        expected[name + "_conv"], expected[name + "_fc"] = f(conv, conv3), f(fc, fc3)
        expected[name + "_number"] = f(fc.astype("f8"), 0.1).astype("f4")
for name, values in expected.items():
    np.save(OUT / f"expected_{name}.npy", np.ascontiguousarray(values, "f4"))

# Files of others, which all hold conv and fc of `first`; numbers that no format changes.
np.savez(OUT / "arrays.npz", conv=conv, fc=fc)
np.savez_compressed(OUT / "packed.npz", conv=np.asfortranarray(conv), fc=fc.astype("f8"))
np.save(OUT / "last.npy", np.moveaxis(conv, 1, -1).astype(">f4"))
things = folder("things")
np.save(things / "features.npy", conv)
(things / "file_names.txt").write_text("".join(f"{i}.jpg\n" for i in ids))
split = folder("things_split")
for i, part in enumerate(np.array_split(fc, 3), 1):
    np.save(split / f"features_{i:02d}.npy", part)
modules = folder("things_modules")
for module, values in (("conv", conv), ("fc", fc)):
    folder(f"things_modules/{module}")
    np.save(modules / module / "features_0-4.npy", values[:4])
    np.save(modules / module / "features_4-7.npy", values[4:])
(modules / "file_names.txt").write_text("".join(f"{i}.jpg\n" for i in ids))
mat = folder("things_mat")
scipy.io.savemat(mat / "features.mat", {i: f for i, f in zip(ids, fc)})
(mat / "file_names.txt").write_text("".join(f"{i}.jpg\n" for i in ids))
whole = folder("things_mat_whole")
scipy.io.savemat(whole / "features.mat", {"features": conv}, do_compression=True)
with h5py.File(OUT / "things.hdf5", "w") as file:
    file["features_01"], file["features_02"] = fc[:3], fc[3:]
np.savetxt(OUT / "fc.txt", fc, fmt="%.9g")
keras = np.nan_to_num(np.moveaxis(conv, 1, -1))  # JSON has no NaN
(OUT / "keract.json").write_text(json.dumps({"conv/Relu:0": keras.tolist(), "fc": fc.tolist()}, indent=2))
with h5py.File(OUT / "keras.h5", "w") as file:
    file["conv"], file["fc"] = np.moveaxis(conv, 1, -1), fc

# vl_simplenn: res(1) is the input, res(i + 1) the output of layers{i}; H x W x C x N.
hwcn = np.transpose(conv, (2, 3, 1, 0))
res = np.zeros((1, 3), dtype=[("x", "O"), ("dzdx", "O")])
for i, x in enumerate((np.zeros((0, 0)), hwcn, fc.T[None, None])):  # conserveMemory empties res(1).x
    res[0, i]["x"], res[0, i]["dzdx"] = x, np.zeros((0, 0))
layers = np.empty((1, 2), dtype="O")
for i, name in enumerate(("conv", "fc")):
    layers[0, i] = {"name": name, "type": "conv"}
scipy.io.savemat(OUT / "simplenn.mat", {"net": {"layers": layers}, "res": res}, do_compression=True)
scipy.io.savemat(OUT / "plain.mat", {"conv": conv, "fc": fc.astype("f8"), "note": "text"})
with h5py.File(OUT / "simplenn73.mat", "w", userblock_size=512) as file:  # version 7.3: axes reversed
    refs = file.create_group("#refs#")
    refs["a"], refs["b"] = np.ascontiguousarray(hwcn.T), np.ascontiguousarray(fc.T[None, None].T)
    refs["e"] = np.zeros(2, "u8")
    refs["e"].attrs["MATLAB_empty"] = np.uint8(1)
    group = file.create_group("res")
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    group["x"] = np.array([[refs["e"].ref], [refs["a"].ref], [refs["b"].ref]], dtype=h5py.ref_dtype)
with h5py.File(OUT / "plain73.mat", "w", userblock_size=512) as file:
    file["conv"], file["fc"] = np.ascontiguousarray(conv.T), np.ascontiguousarray(fc.T)
    for name in ("conv", "fc"):
        file[name].attrs["MATLAB_class"] = np.bytes_("single")

# DNNBrain's tables.
with h5py.File(OUT / "two.roi.h5", "w") as file:
    file.attrs["roi"] = ["PHA1_L", "PHA1_R"]
    file["data"] = rng.standard_normal((9, 2))
with h5py.File(OUT / "layers.rdm.h5", "w") as file:
    file.attrs["type"] = "dRDM"
    file.create_dataset("conv1", data=rng.random((3, 10)), compression="gzip")
    file.create_dataset("fc3", data=rng.random((1, 10)), compression="gzip")
with h5py.File(OUT / "brain.rdm.h5", "w") as file:
    file.attrs["type"] = "bRDM"
    file["1"], file["2"] = rng.random(10), rng.random(10)
# What DNNBrain's parser of .stim.csv fails on: a second =, a column of names, an empty cell, (type=audio below).
(OUT / "hard.stim.csv").write_text(
    "type=image\npath=pictures\ntitle=a=b\ndata=stimID,label,RT,animal,condition\n"
    "x.jpg,cat,0.5,yes,new\ny.jpg,dog,,no,old\nz.jpg,cat,0.25,yes,\n")
(OUT / "sound.stim.csv").write_text("type=audio\npath=sounds\ndata=stimID\na.wav\n")
