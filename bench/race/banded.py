#!/usr/bin/python3
"""The race of banded ridge: striate against himalaya's random search, with the same weights of the bands on both sides.

usage: HIMALAYA=/path/to/himalaya banded.py RACE_STRIATE_BINARY [--scale .1] [--threads 1] [--repeat 3] [--n-iter 20]

The case is shortclips (3600 volumes, bands of 6820 and 26220 features, 84038 voxels, 12 folds) times the scale. himalaya
gets its kernels ready made; striate makes its own. Afterwards the best scores are compared with himalaya's in float64.
"""
import argparse
import json
import os
import sys
import tempfile

from race import gen, run

PEER = r'''
import os, sys, time, json, warnings; warnings.simplefilter('ignore')
sys.path.insert(0, os.environ['HIMALAYA'])
import numpy as np
from sklearn.model_selection import PredefinedSplit
from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search as search
from himalaya.scoring import r2_score
d, check = sys.argv[1], 'check' in sys.argv
f = np.float64 if check else np.float32
X, Y = np.load(d + '/X.npy').astype(f), np.load(d + '/Y.npy').astype(f)
if check: Y = Y[:, ::max(1, Y.shape[1] // 200)]
c, b = np.loadtxt(d + '/case.txt'), np.loadtxt(d + '/bands.txt').astype(int)
k, al = int(c[0]), c[1:].astype(f)
gammas = np.load(d + '/gammas.npy').reshape(-1, len(b) - 1)
gammas = np.maximum(gammas, 1e-12).astype(f)     # zeros make NaN there
Ks = np.stack([x @ x.T for x in np.split(X - X.mean(0), np.cumsum(b[1:])[:-1], axis=1)])
Y -= Y.mean(0)
extra = dict(score_func=r2_score, fit_intercept=True) if check else {}   # as striate does in every fold
w, p = time.perf_counter(), time.process_time()
result = search(Ks, Y, n_iter=gammas, alphas=al, cv=PredefinedSplit(np.arange(len(X)) * k // len(X)), return_weights='dual', n_targets_batch=2000, n_alphas_batch=2, n_targets_batch_refit=200, progress_bar=False, **extra)
print(json.dumps(dict(wall=time.perf_counter() - w, cpu=time.process_time() - p)))
if check: np.save(d + '/him_score.npy', result[2].max(0))
'''


def main():
    import numpy as np
    ap = argparse.ArgumentParser()
    ap.add_argument('binary')
    ap.add_argument('--scale', type=float, default=.1)
    ap.add_argument('--threads', type=int, default=1)
    ap.add_argument('--repeat', type=int, default=3)
    ap.add_argument('--n-iter', type=int, default=20)
    a = ap.parse_args()
    n, t, bands = int(3600 * a.scale), int(84038 * a.scale), [int(6820 * a.scale), int(26220 * a.scale)]
    with tempfile.TemporaryDirectory() as d:
        x, y = gen(n, sum(bands), t)
        np.save(d + '/X.npy', x)
        np.save(d + '/Y.npy', y)
        with open(d + '/case.txt', 'w') as f:
            f.write('\n'.join(['12'] + [repr(float(v)) for v in np.logspace(1, 20, 20)]))
        with open(d + '/bands.txt', 'w') as f:
            f.write('\n'.join(map(str, [a.n_iter] + bands)))
        ours, theirs = [], []
        for _ in range(a.repeat):
            ours.append(run([a.binary, d, str(a.threads), '--model', 'banded_ridge'], a.threads))
            theirs.append(run([sys.executable, '-c', PEER, d], a.threads))
        o, h = min(ours, key=lambda v: v['wall']), min(theirs, key=lambda v: v['wall'])
        run([sys.executable, '-c', PEER, d, 'check'], a.threads)
        score, him = np.load(d + '/score.npy')[::max(1, t // 200)], np.load(d + '/him_score.npy')
        print(json.dumps(dict(n=n, bands=bands, t=t, n_iter=a.n_iter, threads=a.threads, form=o['form'], skeleton=o['skeleton'],
                              himalaya=round(h['wall'], 2), striate=round(o['wall'], 2), prepare=round(o['prepare_wall'], 2),
                              tiles=round(o['tiles_wall'], 2), times_himalaya=round(h['wall'] / o['wall'], 2),
                              times_himalaya_cpu=round(h['cpu'] / o['cpu'], 2),
                              tiles_share_of_gemm_limit=round(o['tile_flops'] / o['sgemm'] / o['tiles_wall'], 3),
                              max_score_difference_to_float64=float(np.abs(score - him).max()))))


if __name__ == '__main__':
    main()
