#!/usr/bin/python3
"""Sign flips of held-out improvements, by loops in numpy: tests/golden/flips.txt, lines

  tests blocks targets flips seed
  improvements, [test, then against the mean][block][target]
  statistic [test][target]
  exceed [test][target]
  maxima [test][flip]

Improvements are those of ridge regression on two feature spaces; signs are those of striate's Philox streams (Salmon et
al. 2011), written out here.
"""
import os
import numpy as np

M = 0xFFFFFFFF


def philox4x32(c, k):
    c, k = list(c), list(k)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & M, (a >> 32) ^ c[3] ^ k[1], a & M]
        k = [(k[0] + 0x9E3779B9) & M, (k[1] + 0xBB67AE85) & M]
    return c


def words(seed, purpose, index, count):
    key = [seed & M, seed >> 32]
    name = philox4x32([purpose & M, purpose >> 32, index & M, index >> 32], [key[0] ^ 0x73747269, key[1] ^ 0x61746521])
    out = []
    for i in range((count + 3) // 4):
        out += philox4x32([i, 0, name[0], name[1]], key)
    return out[:count]


def signs(seed, index, blocks, stream=0xFFFFFFFF):
    purpose = (0x7065726d757465 + ((stream << 56 | stream >> 8) & (2**64 - 1))) & (2**64 - 1)
    return np.array([-1.0 if w & 1 else 1.0 for w in words(seed, purpose, index, blocks)])


r = np.random.default_rng(7)
n, T, P, seed = 36, 6, 60, 5
A, B = r.standard_normal((n, 4)), r.standard_normal((n, 3))
Y = A @ r.standard_normal((4, T)) + np.array([0, 0, .5, 1, 2, 0]) * (B @ r.standard_normal((3, T))) + 2 * r.standard_normal((n, T))
Y[:, 5] = r.standard_normal(n)
block = np.arange(n) // 2
blocks = n // 2
d = np.zeros((3, n, T))  # without A, without B, the mean
for test in np.array_split(np.arange(n), 4):
    train = np.setdiff1d(np.arange(n), test)
    mean = Y[train].mean(0)

    def predicted(X):
        m, s = X[train].mean(0), X[train].std(0)
        Z = (X - m) / s
        return mean + Z[test] @ np.linalg.solve(Z[train].T @ Z[train] + 3 * np.eye(X.shape[1]), Z[train].T @ (Y[train] - mean))
    error = [(Y[test] - f) ** 2 for f in (predicted(B), predicted(A), mean, predicted(np.hstack([A, B])))]
    variance = ((Y[test] - Y[test].mean(0)) ** 2).sum(0)
    for k in range(3):
        d[k, test] = (error[k] - error[3]) / variance
sums = np.zeros((3, blocks, T))
for i in range(n):
    sums[:, block[i]] += d[:, i]
norm = np.sqrt((sums ** 2).sum(1))
seen = sums.sum(1) / norm
statistic = np.minimum(seen[:2], seen[2])
count = np.zeros((3, T), int)
maxima = np.zeros((2, P))
for i in range(P):
    s = signs(seed, i, blocks)
    value = np.array([[sum(s[b] * sums[k, b, t] for b in range(blocks)) / norm[k, t] for t in range(T)] for k in range(3)])
    count += value >= seen - 1e-10
    maxima[:, i] = np.maximum(value[:2], value[2]).max(1)
exceed = np.maximum(count[:2], count[2])
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'flips.txt'), 'w') as f:
    f.write(f'2 {blocks} {T} {P} {seed}\n')
    for values in (sums, statistic, exceed, maxima):
        f.write(' '.join('%.17g' % v for v in values.ravel()) + '\n')
