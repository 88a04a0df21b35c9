"""Selections, pools and tokens of small layers by NumPy in float64: tests/golden/units.txt.

    /usr/bin/python3 tests/golden/make_units.py > tests/golden/units.txt

A case is a line `name shape… | values` of the input (float32), then one line a result: `what numbers`. The numbers of
np.linalg.norm with ord 1 and 2 over two axes are DNNBrain's L1 and L2.
"""
import numpy as np

random = np.random.default_rng(11)


def show(name, values):
    print(name, *(f"{float(v):.17g}" for v in np.asarray(values, "f8").ravel()))


def case(name, shape, change=None):
    x = np.maximum(random.standard_normal(shape).astype("f4"), -0.5)
    if change:
        change(x)
    print("case", name, len(shape) - 1, *shape)
    show("values", x)
    return x.astype("f8")


def pools(x):
    """Over the last two axes."""
    show("max", x.max((-2, -1)))
    show("mean", x.mean((-2, -1)))
    show("median", np.median(x, (-2, -1)))
    show("l1", np.abs(x).sum((-2, -1)))
    show("l2", np.sqrt((x * x).sum((-2, -1))))
    show("column_sum", np.linalg.norm(x, 1, (-2, -1)))
    show("spectral", np.linalg.norm(x, 2, (-2, -1)))


pools(case("maps", (2, 5, 4, 7)))
pools(case("square", (3, 2, 6, 6)))
pools(case("tall", (1, 3, 9, 2)))


def zeros(x):
    x[0, 1] = 0
    x[1, 0, 0, 0] *= 1e20


pools(case("extreme", (2, 2, 3, 3), zeros))

x = case("video", (2, 3, 4, 3, 5))
pools(x)
for how, value in (("max", x.max((2, 3, 4))), ("mean", x.mean((2, 3, 4))), ("median", np.median(x, (2, 3, 4))),
                   ("l1", np.abs(x).sum((2, 3, 4))), ("l2", np.sqrt((x * x).sum((2, 3, 4))))):
    show("frames_" + how, value)

x = case("tokens", (3, 6, 10))
show("cls", x[:, 0])
show("mean", x.mean(1))
show("patch_mean", x[:, 1:].mean(1))
show("cls+patch_mean", np.concatenate([x[:, 0], x[:, 1:].mean(1)], 1))

x = case("select", (2, 6, 5, 4))
show("grid", x[np.ix_(range(2), [5, 0, 0, 3], [4, 1], [2, 0, 3])])
show("channels", x[:, [1, 5, 2]])
show("units", x.reshape(2, -1)[:, [119, 3, 4, 5, 5, 60]])
