#!/usr/bin/python3
"""Threshold-free cluster enhancement and clusters by scipy.ndimage.label: tests/golden/clusters.txt, lines

  nx ny nz connectivity threshold | flat indices of the places | values | TFCE | cluster of each place | sizes | masses

TFCE by the definition (Smith and Nichols 2009): between neighbouring values the clusters do not change, so that the
integral is a sum over the distinct values of the map.
"""
import os
import numpy as np
from scipy.ndimage import generate_binary_structure, label

out = []


def tfce(volume, structure, extent=.5, height=2.):
    total = np.zeros(volume.shape)
    levels = np.unique(volume[volume > 0])
    for low, high in zip(np.r_[0, levels[:-1]], levels):
        labels, count = label(volume >= high, structure)
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        total += sizes[labels] ** extent * (high ** (height + 1) - low ** (height + 1)) / (height + 1)
    return total


def case(r, shape, connectivity, threshold, share, decimals=None, smooth=0, missing=0):
    structure = generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    v = r.standard_normal(shape)
    for _ in range(smooth):
        for axis in range(3):
            v = (v + np.roll(v, 1, axis)) / 2
    v = v / v.std() * .3
    if decimals is not None:
        v = np.round(v, decimals)                                           # ties
    v = v.astype('f4').astype('f8')
    index = np.flatnonzero(r.random(v.size) < share)
    gone = r.choice(len(index), missing, replace=False)
    values = v.ravel()[index].copy()
    values[gone] = np.nan
    volume = np.full(v.size, -1.)
    volume[index] = np.where(np.isnan(values), -1, values)
    volume = volume.reshape(shape)
    enhanced = tfce(volume, structure).ravel()[index]
    enhanced[gone] = np.nan
    labels, count = label(volume >= threshold, structure)
    labels = labels.ravel()[index]
    found = [np.flatnonzero(labels == k + 1) for k in range(count)]
    found.sort(key=lambda where: (-len(where), where[0]))
    named = np.zeros(len(index), int)
    for k, where in enumerate(found):
        named[where] = k + 1
    parts = [[*shape, connectivity, threshold], index, values, enhanced, named, [len(w) for w in found],
             [values[w].sum() for w in found]]
    out.append(' | '.join(' '.join(format(float(x), '.17g') for x in p) for p in parts))


r = np.random.default_rng(11)
for connectivity in (6, 18, 26):
    case(r, (5, 4, 3), connectivity, .1, 1)
    case(r, (7, 6, 5), connectivity, .2, .7, decimals=1, missing=9)
    case(r, (8, 7, 6), connectivity, .25, .9, smooth=2)
case(r, (1, 1, 30), 26, .1, 1)
case(r, (6, 5, 4), 26, 5, .8)                                               # no cluster
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'clusters.txt'), 'w') as f:
    f.write('\n'.join(out) + '\n')
