#!/usr/bin/env python3
"""Prints what the demo found, and exits 1 where it is not what it should be.

    demo_report.py planted RESULT.h5 TRUTH.h5
    demo_report.py profile RESULT.h5 --reference LAYER=R ... --middle LAYER ...

planted: for each simulated region the layer planted, the layer recovered (highest mean score over its voxels), how many
voxels chose it, and the score beside the ceiling that the noise allows. A region of SNR 0 must score about 0.
profile: mean score of each layer; one of the middle layers must win, and the references must be reached.
"""
import argparse
import sys

import h5py
import numpy as np


def scores_of(result, score="pearson"):
    """{layer: score of each target}, in the order of the file."""
    ending = f"/score/{score}"
    layers = [name for name in text(result["layers"][()]) if name + ending in result]
    if not layers:
        sys.exit(f"demo_report.py: {result.filename} holds no {score} scores")
    return {layer: result[layer + ending][()] for layer in layers}


def text(values):
    return np.array([value.decode() if isinstance(value, bytes) else str(value) for value in values])


def planted(options):
    with h5py.File(options.result) as result, h5py.File(options.truth) as truth:
        if not np.array_equal(result["targets/index"][()], truth["targets/index"][()]):
            sys.exit("demo_report.py: the result's voxels are not those that were simulated")
        scores = scores_of(result)
        region, layer = text(truth["region"][()]), text(truth["layer"][()])
        snr, ceiling = truth["snr"][()], truth["noise_ceiling"][()]
    layers = list(scores)
    table = np.array([scores[name] for name in layers])  # layer x voxel
    good = True
    print(f"{'region':10} {'planted':8} {'recovered':10} {'voxels':>9}  {'mean r':>7} {'ceiling':>8}   mean r of every layer")
    for name in dict.fromkeys(region):
        voxels = region == name
        means = table[:, voxels].mean(axis=1)
        best = layers[int(means.argmax())]
        chose = int((table[:, voxels].argmax(axis=0) == layers.index(best)).sum())
        every = "  ".join(f"{one} {mean:.3f}" for one, mean in zip(layers, means))
        if snr[voxels][0] > 0:
            want = layer[voxels][0]
            verdict = "" if best == want else "   <-- NOT RECOVERED"
            print(f"{name:10} {want:8} {best:10} {chose:4}/{voxels.sum():<4}  {means.max():7.3f} {ceiling[voxels][0]:8.3f}   {every}{verdict}")
        else:
            verdict = "" if abs(means).max() < 0.05 else "   <-- SCORES FROM NOISE"
            print(f"{name:10} {'nothing':8} {'-':10} {'':9}  {means.max():7.3f} {0.0:8.3f}   {every}{verdict}")
        good = good and not verdict
    return good


def profile(options):
    with h5py.File(options.result) as result:
        scores = scores_of(result)
    means = {layer: float(np.nanmean(values)) for layer, values in scores.items()}
    reference = {pair.split("=")[0]: float(pair.split("=")[1]) for pair in options.reference}
    best = max(means, key=means.get)
    good = best in options.middle
    print(f"{'layer':8} {'mean r':>7} {'best':>7} {'reference':>10}   (reference: pooled to 7 x 7, 600 random projections)")
    for layer, mean in means.items():
        line = f"{layer:8} {mean:7.3f} {np.nanmax(scores[layer]):7.3f} "
        line += f"{reference[layer]:10.3f}" if layer in reference else " " * 10
        line += "  " + "#" * round(60 * max(mean, 0))
        if layer == best:
            line += "  <-- best" + ("" if good else ", NOT A MIDDLE LAYER")
        if layer in reference and mean < reference[layer]:
            line += "  BELOW THE REFERENCE"
            good = False
        print(line)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(required=True)
    first = actions.add_parser("planted")
    first.add_argument("result")
    first.add_argument("truth")
    first.set_defaults(run=planted)
    second = actions.add_parser("profile")
    second.add_argument("result")
    second.add_argument("--reference", nargs="*", default=[])
    second.add_argument("--middle", nargs="*", default=[])
    second.set_defaults(run=profile)
    options = parser.parse_args()
    sys.exit(0 if options.run(options) else 1)


if __name__ == "__main__":
    main()
