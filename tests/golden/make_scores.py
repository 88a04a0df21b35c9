#!/usr/bin/python3
"""Scores by scikit-learn and scipy, noise ceilings by numpy: tests/golden/scores.txt, lines `kind | numbers | numbers | …`.

  score    | y | prediction | pearson r2 explained_variance mse spearman
  rank     | values | ranks
  repeats  | stimulus of each volume | response of each volume | reliability ncsnr nc nc_single
  spearman | x | y | rank correlation
  between  | subjects n | responses, subject by subject | lower upper
"""
import os
import numpy as np
from scipy.stats import pearsonr, rankdata, spearmanr, zscore
from sklearn.metrics import explained_variance_score, mean_squared_error, r2_score

out = []


def line(kind, *parts):
    out.append(' | '.join([kind] + [' '.join(repr(float(v)) for v in np.ravel(p)) for p in parts]))


r, q = np.random.default_rng(5), np.random.default_rng(6)
for n, mean, noise in ((4, 0, 1), (17, 3, .5), (60, -40, 2), (200, 100, .1), (33, 0, 30)):
    y = mean + r.standard_normal(n)
    f = y + noise * r.standard_normal(n) + .3
    if n in (17, 33):
        y, f = np.round(y), np.round(f, 1)                                  # ties
    y, f = y.astype('f4').astype('f8'), f.astype('f4').astype('f8')
    line('score', y, f, [pearsonr(y, f)[0], r2_score(y, f), explained_variance_score(y, f), mean_squared_error(y, f),
                         spearmanr(y, f)[0]])
for v in ([3, 1, 2], [1, 1, 1, 1], [5, 2, 2, 9, 5, 5], np.round(r.standard_normal(50), 1)):
    line('rank', v, rankdata(v))

for x, y in (([1, 2, 3, 4], [1, 1, 2, 2]), (np.round(q.standard_normal(60), 1), q.integers(0, 4, 60)),
             (np.sort(q.standard_normal(41)), q.integers(0, 9, 41))):
    line('spearman', x, y, [spearmanr(x, y)[0]])

# Pairs can be halved in one way; the Spearman-Brown formula as published. NSD: z-score, variance over repeats (ddof 1),
# averaged over stimuli; noise ceiling for the mean number of presentations as in its data manual.
for n, single, snr in ((30, 0, 1), (40, 0, .4), (25, 15, 1.5)):
    signal = snr * r.standard_normal(n + single)
    stim = r.permutation(np.concatenate([np.repeat(np.arange(n), 2), n + np.arange(single)]))
    y = (50 + signal[stim] + r.standard_normal(len(stim))).astype('f4').astype('f8')
    pairs = np.array([y[stim == s] for s in range(n)])
    half = pearsonr(pairs[:, 0], pairs[:, 1])[0]
    z = zscore(y)
    var = np.mean([z[stim == s].var(ddof=1) for s in range(n)])
    sn = np.sqrt(max(0, 1 - var)) / np.sqrt(var)
    inverse = (n / 2 + single) / (n + single)
    line('repeats', stim, y, [2 * half / (1 + half), sn, 100 * sn ** 2 / (sn ** 2 + inverse), 100 * sn ** 2 / (sn ** 2 + 1)])

for subjects, n in ((2, 20), (5, 33), (9, 12)):
    shared = r.standard_normal(n)
    y = r.uniform(.5, 20, (subjects, 1)) * (shared + r.standard_normal((subjects, n))) + r.normal(0, 50, (subjects, 1))
    y = y.astype('f4').astype('f8')
    z = zscore(y, axis=1)
    line('between', [subjects, n], y, [pearsonr(y[0], z[1:].mean(0))[0], pearsonr(y[0], z.mean(0))[0]])
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'scores.txt'), 'w') as f:
    f.write('\n'.join(out) + '\n')
