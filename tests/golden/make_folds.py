#!/usr/bin/python3
"""Folds of scikit-learn: tests/golden/folds.txt, a line `kind k | label … | test fold of every row …`, and purged training
rows: tests/golden/purge.txt, a line `k gap | run of every row … | training rows of fold 0 … | those of fold 1 … |`."""
import os
import warnings
import numpy as np
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, PredefinedSplit, StratifiedKFold, TimeSeriesSplit

warnings.simplefilter('ignore')   # classes with fewer members than folds

out = []


def add(kind, k, labels, splits):
    fold = np.full(len(labels), -1)
    for i, (_, test) in enumerate(splits):
        fold[test] = i
    out.append(f'{kind} {k} | ' + ' '.join(map(str, labels)) + ' | ' + ' '.join(map(str, fold)))


r = np.random.default_rng(0)
for n, k in ((10, 5), (11, 3), (23, 7), (5, 5), (100, 8)):
    x = np.zeros((n, 1))
    add('kfold', k, np.arange(n), KFold(k).split(x))
for n, g, k in ((30, 7, 3), (41, 9, 4), (60, 12, 5)):
    sizes = r.permutation(np.arange(1, g + 1))                # distinct sizes
    label = r.permutation(np.repeat(np.arange(g) * 3, sizes))
    x = np.zeros((len(label), 1))
    add('group', k, label, GroupKFold(k).split(x, groups=label))
    add('logo', g, label, LeaveOneGroupOut().split(x, groups=label))
for n, c, k in ((20, 2, 4), (37, 3, 5), (50, 5, 3)):
    label = np.array([f'c{v}' for v in r.integers(0, c, n)])
    add('stratified', k, label, StratifiedKFold(k).split(np.zeros((n, 1)), label))
fold = np.array([0, 0, -1, 2, 2, 5, 5, 0, -1, 2])
add('predefined', 3, fold, PredefinedSplit(fold).split())
# Ties fall as numpy 1.24's argsort leaves them: beyond 16 groups its introsort does not keep their order.
for g in (16, 17, 20, 100):
    label = np.tile(np.arange(g), 3 if g < 100 else 2)
    add('group', 5, label, GroupKFold(5).split(label, groups=label))
for g, most, k in ((18, 3, 4), (40, 4, 5), (90, 3, 7), (300, 3, 10)):
    label = r.permutation(np.repeat(np.arange(g), r.integers(1, most + 1, g)))
    add('group', k, label, GroupKFold(k).split(label, groups=label))
# Sizes that lead the median of three astray (McIlroy 1999), so that numpy falls back to heapsort.
up = np.arange(1, 17)
size = np.concatenate([np.stack([up, np.where(up % 2, up // 2 + 17, 25)], 1).ravel()[:-1], np.arange(1, 26), np.full(8, 25)])
label = np.repeat(np.arange(64), size)
add('group', 7, label, GroupKFold(7).split(label, groups=label))
# Sorted labels, and classes with fewer members than folds (scikit-learn warns and goes on).
for sizes, k in (((9, 9, 9), 3), ((12, 2, 7), 4), ((1, 20, 3, 3), 5)):
    label = np.repeat([f's{i}' for i in range(len(sizes))], sizes)
    for y in (label, label[::-1], r.permutation(label)):
        add('stratified', k, y, StratifiedKFold(k).split(np.zeros((len(y), 1)), y))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'folds.txt'), 'w') as f:
    f.write('\n'.join(out) + '\n')


# By distances; where there is one run, the rows before each test fold are those of TimeSeriesSplit(gap).
out = []
for n, k, gap, runs in ((24, 4, 2, 1), (30, 5, 0, 1), (30, 5, 3, 3), (41, 6, 4, 2), (20, 4, 30, 4)):
    run = np.arange(n) * runs // n
    parts = []
    for tr, te in KFold(k).split(run):
        near = [((run[te] == run[i]) & (np.abs(te - i) <= gap)).any() for i in tr]
        parts.append(tr[~np.array(near)])
    if runs == 1:
        for (past, test), mine in zip(TimeSeriesSplit(k - 1, gap=gap).split(run), parts[1:]):
            assert np.array_equal(past, mine[mine < test[0]])
    out.append(f'{k} {gap} | ' + ' '.join(map(str, run)) + ' | ' + ' | '.join(' '.join(map(str, p)) for p in parts) + ' |')
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'purge.txt'), 'w') as f:
    f.write('\n'.join(out) + '\n')
