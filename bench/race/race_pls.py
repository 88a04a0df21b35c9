#!/usr/bin/python3
"""The PLS race: striate against scikit-learn's PLSRegression(scale=False) on the same arrays and number of threads.

usage: race_pls.py RACE_PLS_BINARY [--threads 1] [--repeat 2] [--cases a:scale,b:scale] [--check]

Cases and data are those of the reference race script. Both fit the first 98 % of the rows and predict the others; the best
process time counts (CPU seconds: with one thread it is the wall time of an idle machine). --check compares predictions with
those of exact singular vectors in float64 (scikit-learn's power iteration stops early at its default tolerance).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

from race import gen, run

CASES = dict(brainscore_pls=(2560, 25088, 168, .3), wide_pls=(4916, 4096, 20000, .25))
COMPONENTS = 25

PEER = r'''
import sys, time, json, warnings; warnings.simplefilter('ignore')
import numpy as np
from sklearn.cross_decomposition import PLSRegression
d, count, test = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
X, Y = np.load(d + '/X.npy'), np.load(d + '/Y.npy')
exact = 'check' in sys.argv
if exact: X, Y = X.astype('f8'), Y.astype('f8')
m = PLSRegression(count, scale=False)
if exact: m.algorithm = 'svd'
w, p = time.perf_counter(), time.process_time()
m.fit(X[:-test], Y[:-test]); f = m.predict(X[-test:])
print(json.dumps(dict(wall=time.perf_counter() - w, cpu=time.process_time() - p)))
np.save(d + ('/exact.npy' if exact else '/peer.npy'), f)
'''


def main():
    import numpy as np
    ap = argparse.ArgumentParser()
    ap.add_argument('binary')
    ap.add_argument('--threads', type=int, default=1)
    ap.add_argument('--repeat', type=int, default=2)
    ap.add_argument('--cases', default=','.join(CASES))
    ap.add_argument('--check', action='store_true')
    a = ap.parse_args()
    for name in a.cases.split(','):
        name, _, scale = name.partition(':')
        n, p, t, s = CASES[name]
        s = float(scale or s)
        n, p, t = int(n * s), int(p * s), max(50, int(t * s))
        test = max(10, n // 50)
        with tempfile.TemporaryDirectory() as d:
            x, y = gen(n, p, t)
            np.save(d + '/X.npy', x)
            np.save(d + '/Y.npy', y)
            peer = [sys.executable, '-c', PEER, d, str(COMPONENTS), str(test)]
            ours = [a.binary, d, str(a.threads), str(COMPONENTS), str(test)]
            best = {}
            for _ in range(a.repeat):
                for who, command in (('scikit', peer), ('striate', ours)):
                    r = run(command, a.threads)
                    if r['cpu'] < best.get(who, dict(cpu=1e9))['cpu']:
                        best[who] = r
            o, k = best['striate'], best['scikit']
            out = dict(case=name, scale=s, n=n, p=p, t=t, components=o['rank'], threads=a.threads, blas=o['blas'],
                       scikit=round(k['cpu'], 3), striate=round(o['cpu'], 3), prepare_wall=round(o['prepare_wall'], 3),
                       times_scikit=round(k['cpu'] / o['cpu'], 1), times_scikit_wall=round(k['wall'] / o['wall'], 1))
            if a.check:
                run(peer + ['check'], a.threads)
                exact, mine, theirs = np.load(d + '/exact.npy'), np.load(d + '/prediction.npy').reshape(t, test).T, np.load(d + '/peer.npy')
                out.update(spread=round(float(exact.std()), 4), striate_off=float(np.abs(mine - exact).max()), scikit_off=float(np.abs(theirs - exact).max()))
            print(json.dumps(out), flush=True)


if __name__ == '__main__':
    main()
