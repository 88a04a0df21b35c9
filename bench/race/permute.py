#!/usr/bin/python3
"""The races of permutation tests: `striate permute`, the whole program, against the loops that people run.

usage: HIMALAYA=/path/to/himalaya permute.py STRIATE_BINARY [--threads 1] [--repeat 2] [--cases a:scale,b:scale]

perm_test   blocks of 10 of 300 held-out responses against fixed predictions; peer: the loop of the deep-fMRI tutorials
            (gather, z-score, correlate; it draws blocks with replacement, which costs the same)
perm_ols    rows against one regressor, family-wise by the maximum of |r|; peer: the inner loop of nilearn's permuted_ols
perm_refit  everything again, alpha's choice included, 1,000 times; peer: himalaya's KernelRidgeCV, refitted (timed on a
            few permutations, in proportion), in its better batch setting of the ridge race

Scales are of the targets; of perm_ols of its permutations, too. Loops run 1,000 permutations at most; in proportion.
striate's time is that of the process: start, reading, writing and the corrected p-values included. The peers' is that of
the loop alone. CPU seconds, best of `--repeat` interleaved runs.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from race import gen, run

CASES = dict(perm_test=(300, 50, 95556, 10000, .1), perm_ols=(1000, 1, 300000, 10000, .1),
             perm_refit=(1000, 8192, 15000, 1000, .3))
ALPHAS = [-1, 8, 20]

HUTH = r'''
import sys, time, json
import numpy as np
d, P = sys.argv[1], int(sys.argv[2])
Y, F, block = np.load(d + '/test.npy'), np.load(d + '/prediction.npy'), 10
w, p = time.perf_counter(), time.process_time()
r = np.random.default_rng(0); m = len(Y) // block
z = lambda v: (v - v.mean(0)) / v.std(0)
c = lambda a, b: (z(a) * z(b)).mean(0)
real, count = c(Y, F), np.zeros(Y.shape[1])
for _ in range(P): count += real <= c(Y[:m * block], F[(r.integers(0, m, m)[:, None] * block + np.arange(block)).ravel()])
print(json.dumps(dict(wall=time.perf_counter() - w, cpu=time.process_time() - p)))
np.save(d + '/peer_p.npy', (count + 1) / (P + 1))
'''

NILEARN = r'''
import sys, time, json
import numpy as np
d, P = sys.argv[1], int(sys.argv[2])
Y, x = np.load(d + '/test.npy'), np.load(d + '/prediction.npy')[:, :1]
w, p = time.perf_counter(), time.process_time()
r = np.random.default_rng(0); n = len(Y)
Y = Y - Y.mean(0); Y /= np.linalg.norm(Y, axis=0); Y = np.asfortranarray(Y); x = x - x.mean(); x /= np.linalg.norm(x)
score = lambda x: (lambda b: b * np.sqrt((n - 2) / (1 - b * b)))(Y.T @ x)
real = np.fabs(score(x)); rank = np.zeros(real.shape)
for _ in range(P): rank += np.nanmax(np.fabs(score(x[r.permutation(n)]))) < real
print(json.dumps(dict(wall=time.perf_counter() - w, cpu=time.process_time() - p)))
np.save(d + '/peer_p.npy', ((P + 1 - rank) / (P + 1)).ravel())
'''

HIMALAYA = r'''
import os, sys, time, json, warnings; warnings.simplefilter('ignore')
sys.path.insert(0, os.environ['HIMALAYA'])
import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from sklearn.model_selection import KFold
d, P, timed = sys.argv[1], int(sys.argv[2]), 3
X, Y = np.load(d + '/X.npy'), np.load(d + '/Y.npy')
r = np.random.default_rng(0)
w, p = time.perf_counter(), time.process_time()
for _ in range(timed):
    KernelRidgeCV(alphas=np.logspace(*ALPHAS).astype('f4'), kernel='linear', fit_intercept=True, cv=KFold(5), warn=False,
                  solver_params=dict(n_targets_batch=2000, n_alphas_batch=2, n_targets_batch_refit=200)).fit(X, Y[r.permutation(len(Y))])
print(json.dumps(dict(wall=(time.perf_counter() - w) * P / timed, cpu=(time.process_time() - p) * P / timed)))
'''.replace('ALPHAS', repr(ALPHAS))


def program(a, d, *words):
    """Wall and CPU seconds of a whole striate process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    env = dict(os.environ, OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1')
    subprocess.run([os.path.abspath(a.binary), *words, '--threads', str(a.threads), '--quiet', '--fresh'], env=env, cwd=d, check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return dict(wall=wall, cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def write_case(d, x, y, train, model, cv):
    import h5py
    import numpy as np
    np.save(d + '/X.npy', x)
    np.save(d + '/Y.npy', y)
    with h5py.File(d + '/x.h5', 'w') as f:
        f['layer'] = x.reshape(*x.shape, 1, 1)
    with open(d + '/s.stim.csv', 'w') as f:
        f.write('type=image\npath=.\ntitle=race\ndata=stimID,set\n')
        f.writelines(f's{i},{"train" if i < train else "test"}\n' for i in range(len(x)))
    with open(d + '/encode.yaml', 'w') as f:
        f.write('features: {store: x.h5, stimuli: s.stim.csv, transform: {standardize: false}}\n'
                'responses: {data: Y.npy, stimuli: s.stim.csv, standardize: false}\n'
                f'model: {model}\ncv: {cv}\noutput: out\n'
                + ('scores: [pearson]\nsave: [predictions]\n' if train else 'scores: [r2]\n'))


def main():
    import h5py
    import numpy as np
    ap = argparse.ArgumentParser()
    ap.add_argument('binary')
    ap.add_argument('--threads', type=int, default=1)
    ap.add_argument('--repeat', type=int, default=2)
    ap.add_argument('--cases', default=','.join(CASES))
    a = ap.parse_args()
    for name in a.cases.split(','):
        name, _, scale = name.partition(':')
        n, p, t, P, s = CASES[name]
        s = float(scale or s)
        t, refit = int(t * s), name == 'perm_refit'
        if refit:
            n, p = int(n * s), int(p * s)
        else:
            P = P if name == 'perm_test' else int(P * s)
        with tempfile.TemporaryDirectory() as d:
            x, y = gen(n * (1 if refit else 2), max(p, 2), t)
            x = np.ascontiguousarray(x[:, :p])
            write_case(d, x, y, 0 if refit else n, f'{{type: ridge, alphas: {{logspace: {ALPHAS}}}}}' if refit else '{type: ols}',
                       '{folds: 0, inner: {folds: 5}}' if refit else '{split: set}')
            program(a, d, 'encode', 'encode.yaml')
            if not refit:
                with h5py.File(d + '/out/result.h5') as f:
                    np.save(d + '/prediction.npy', f['layer/prediction'][n:])
                np.save(d + '/test.npy', y[n:])
            test = dict(perm_test='scheme: fixed_model, shuffle: blocks, block: 10, correct: [fdr]',
                        perm_ols='scheme: fixed_model, tail: two, correct: [max]', perm_refit='scheme: refit')[name]
            with open(d + '/permute.yaml', 'w') as f:
                f.write(f'encode: encode.yaml\npermutation: {{n: {P}, {test}}}\noutput: permuted\n')
            peer = dict(perm_test=HUTH, perm_ols=NILEARN, perm_refit=HIMALAYA)[name]
            ours, theirs = [], []
            for _ in range(a.repeat):
                ours.append(program(a, d, 'permute', 'permute.yaml'))
                few = P if refit else min(P, 1000)
                r = run([sys.executable, '-c', peer, d, str(few)], a.threads)
                theirs.append(dict(wall=r['wall'] * P / few, cpu=r['cpu'] * P / few))
            o, h = min(ours, key=lambda v: v['cpu']), min(theirs, key=lambda v: v['cpu'])
            out = dict(case=name, scale=s, n=n, p=p, t=t, permutations=P, threads=a.threads, peer=round(h['cpu'], 2),
                       striate=round(o['cpu'], 2), times_peer=round(h['cpu'] / o['cpu'], 1),
                       times_peer_wall=round(h['wall'] / o['wall'], 1))
            if not refit:
                with h5py.File(d + '/permuted/result.h5') as f:
                    mine = f['layer/permutation/pearson/' + ('p_max' if name == 'perm_ols' else 'p')][:]
                out.update(mean_p=round(float(mine.mean()), 4), peer_mean_p=round(float(np.load(d + '/peer_p.npy').mean()), 4))
            print(json.dumps(out), flush=True)


if __name__ == '__main__':
    main()
