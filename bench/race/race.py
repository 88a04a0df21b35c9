#!/usr/bin/python3
"""The race: striate's ridge against himalaya, and its lasso against scikit-learn, on the same arrays, cores and BLAS
setting, in the same run.

usage: HIMALAYA=/path/to/himalaya race.py RACE_STRIATE_BINARY [--threads 2] [--repeat 3] [--cases a:scale,b:scale] [--standardize]

Cases and data are those of the reference race script. Every competitor runs `--repeat` times, interleaved; the best wall
time counts. himalaya runs with all threads given to its BLAS; striate with that many threads over tiles. The GEMM limit is
striate's flops (of the form chosen, factorisations included) over the sgemm rate measured in the same process.

The case `lasso` is 10 alphas from 10^-0.5 to 10^-3, 5 folds; scikit-learn is one lasso_path a target and fold on the Gram
matrix of the fold (tol 1e-4 and at most 1000 passes, as in the reference script; and once more until it has converged: tol
1e-9). It takes its first targets only, and its time for all of them is in proportion. striate also refits on all rows.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

LASSO = dict(lasso=(2000, 1000, 5000, 5, .1))
WIDE, TUTORIAL, HUTH = (0, 8, 20), (1, 20, 20), (2, 8, 15)  # alphas as logspace; HUTH's are squares of his
CASES = dict(bold5000_vtc=(4916, 4096, 4000, 10, WIDE, .3), nsd_shared=(1000, 8192, 15000, 5, WIDE, .6),
             nsd_full=(9841, 6000, 300000, 5, WIDE, .12), hcp_movie=(3655, 4096, 59412, 4, TUTORIAL, .25),
             huth_llm=(9000, 16384, 95556, 3, HUTH, .1))

PEER = r'''
import os, sys, time, json, warnings; warnings.simplefilter('ignore')
sys.path.insert(0, os.environ['HIMALAYA'])
import numpy as np
from sklearn.model_selection import PredefinedSplit
d, form = sys.argv[1:3]
from himalaya.scoring import r2_score
extra = dict(score_func=r2_score) if 'check' in sys.argv else {}   # by default himalaya selects by the squared error
X, Y = np.load(d + '/X.npy'), np.load(d + '/Y.npy')
if 'check' in sys.argv: X, Y = X.astype('f8'), Y[:, ::max(1, Y.shape[1] // 1000)].astype('f8')
c = np.loadtxt(d + '/case.txt'); k, al = int(c[0]), c[1:].astype(X.dtype)
cv = PredefinedSplit(np.arange(len(X)) * k // len(X))
if form == 'kernel':
    from himalaya.kernel_ridge import KernelRidgeCV
    m = KernelRidgeCV(alphas=al, kernel='linear', fit_intercept=True, cv=cv, warn=False, solver_params=dict(n_targets_batch=2000, n_alphas_batch=2, n_targets_batch_refit=200, **extra))
else:
    from himalaya.ridge import RidgeCV
    m = RidgeCV(alphas=al, fit_intercept=True, cv=cv, solver_params=dict(n_targets_batch=2000, n_alphas_batch=2, n_targets_batch_refit=200, warn=False, **extra))
w, p = time.perf_counter(), time.process_time()
m.fit(X, Y)
print(json.dumps(dict(wall=time.perf_counter() - w, cpu=time.process_time() - p)))
np.save(d + '/him_alpha.npy', m.best_alphas_); s = np.asarray(m.cv_scores_); np.save(d + '/him_score.npy', s.max(0) if s.ndim == 2 else s)
'''


SKLEARN = r'''
import sys, time, json, warnings; warnings.simplefilter('ignore')
import numpy as np
from sklearn.linear_model import lasso_path
d, m, tol, most = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
X, Y = np.load(d + '/X.npy'), np.load(d + '/Y.npy')[:, :m]
if tol < 1e-6: X, Y = X.astype('f8'), Y.astype('f8')
c = np.loadtxt(d + '/case.txt'); k, al = int(c[0]), np.sort(c[1:])[::-1]
fold = np.arange(len(X)) * k // len(X)
score, shared, each = np.zeros((len(al), m)), np.zeros(2), np.zeros(2)
now = lambda: np.array([time.perf_counter(), time.process_time()])
for f in range(k):
    start = now()
    tr, te = fold != f, fold == f
    mx, my = X[tr].mean(0), Y[tr].mean(0)
    A = np.asfortranarray(X[tr] - mx); G = A.T @ A; C = A.T @ (Y[tr] - my)
    shared += now() - start; start = now()
    for j in range(m):
        W = lasso_path(A, Y[tr, j] - my[j], alphas=al, precompute=G, Xy=C[:, j], tol=tol, max_iter=most)[1]
        r = (X[te] - mx) @ W + my[j] - Y[te, j][:, None]
        score[:, j] += (1 - (r ** 2).sum(0) / ((Y[te, j] - Y[te, j].mean()) ** 2).sum()) / k
    each += now() - start
t = np.load(d + '/Y.npy', mmap_mode='r').shape[1]
wall, cpu = shared + each * t / m
print(json.dumps(dict(wall=wall, cpu=cpu)))
np.save(d + '/sk_alpha.npy', al[score.argmax(0)]); np.save(d + '/sk_score.npy', score.max(0))
'''


def lasso(a, name, scale):
    import numpy as np
    n, p, t, k, s = LASSO[name]
    s = float(scale or s)
    n, p, t = int(n * s), int(p * s), int(t * s)
    with tempfile.TemporaryDirectory() as d:
        x, y = gen(n, p, t)
        np.save(d + '/X.npy', x)
        np.save(d + '/Y.npy', y)
        with open(d + '/case.txt', 'w') as f:
            f.write('\n'.join([str(k)] + [repr(float(v)) for v in np.logspace(-3, -.5, 10)]))
        best = {}
        m = max(5, min(t, int(100 * .1 / s)))
        runs = dict(sklearn=[sys.executable, '-c', SKLEARN, d, str(m), '1e-4', '1000'],
                    striate=[a.binary, d, str(a.threads), '--model', 'lasso'])
        for _ in range(a.repeat):
            for who, command in runs.items():
                r = run(command, a.threads)
                best[who] = min(best.get(who, r), r, key=lambda v: v['cpu'])
        few = max(3, m // 5)
        tight = run([sys.executable, '-c', SKLEARN, d, str(few), '1e-9', '1000000'], a.threads)
        alpha, score = np.load(d + '/alpha.npy')[:few], np.load(d + '/score.npy')[:few]
        ha, hs = np.load(d + '/sk_alpha.npy'), np.load(d + '/sk_score.npy')
        o = best['striate']
        print(json.dumps(dict(case=name, scale=s, n=n, p=p, t=t, k=k, threads=a.threads, blas=o['blas'], form=o['form'],
                              sklearn_cpu=round(best['sklearn']['cpu'], 2), sklearn_converged_cpu=round(tight['cpu'], 2),
                              striate_cpu=round(o['cpu'], 3), times_sklearn_cpu=round(best['sklearn']['cpu'] / o['cpu'], 2),
                              times_converged_cpu=round(tight['cpu'] / o['cpu'], 2),
                              same_alpha=round(float((np.abs(np.log(alpha / ha)) < .01).mean()), 4),
                              max_score_difference=float(np.abs(score - hs).max()))), flush=True)


def gen(n, p, t, seed=0, snr=.3):
    import numpy as np
    r, f = np.random.default_rng(seed), np.float32
    q = min(n, p, 200)
    x = (r.standard_normal((n, q), dtype=f) * np.arange(1, q + 1, dtype=f) ** -.5) @ r.standard_normal((q, p), dtype=f) + f(.3) * r.standard_normal((n, p), dtype=f)
    y = x[:, :q] @ (r.standard_normal((q, t), dtype=f) * f(snr / q ** .5)) * (r.random(t, dtype=f) * 2) + r.standard_normal((n, t), dtype=f)
    return np.ascontiguousarray(x, f), np.ascontiguousarray(y, f)


def run(command, threads):
    env = dict(os.environ, OPENBLAS_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    return json.loads(subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def main():
    import numpy as np
    ap = argparse.ArgumentParser()
    ap.add_argument('binary')
    ap.add_argument('--threads', type=int, default=2)
    ap.add_argument('--repeat', type=int, default=3)
    ap.add_argument('--cases', default=','.join([*CASES, *LASSO]))
    ap.add_argument('--standardize', action='store_true')
    a = ap.parse_args()
    for name in a.cases.split(','):
        name, _, scale = name.partition(':')
        if name in LASSO:
            lasso(a, name, scale)
            continue
        n, p, t, k, alphas, s = CASES[name]
        s = float(scale or s)
        n, p, t = int(n * s), int(p * s), int(t * s)
        with tempfile.TemporaryDirectory() as d:
            x, y = gen(n, p, t)
            np.save(d + '/X.npy', x)
            np.save(d + '/Y.npy', y)
            with open(d + '/case.txt', 'w') as f:
                f.write('\n'.join([str(k)] + [repr(float(v)) for v in np.logspace(*alphas)]))
            best = {}
            forms = ['kernel'] + (['primal'] if p <= n else [])
            for _ in range(a.repeat):
                for form in forms:
                    r = run([sys.executable, '-c', PEER, d, form], a.threads)
                    if r['wall'] < best.get(form, dict(wall=1e9))['wall']:
                        best[form] = r
                r = run([a.binary, d, str(a.threads)] + (['--standardize'] if a.standardize else []), a.threads)
                if r['wall'] < best.get('striate', dict(wall=1e9))['wall']:
                    best['striate'] = r
            o = best['striate']
            him = min((best[f] for f in forms), key=lambda v: v['wall'])
            run([sys.executable, '-c', PEER, d, forms[-1], 'check'], a.threads)   # float64, R2, every so many targets; not timed
            step = max(1, t // 1000)
            alpha, score = np.load(d + '/alpha.npy')[::step], np.load(d + '/score.npy')[::step]
            ha, hs = np.load(d + '/him_alpha.npy'), np.load(d + '/him_score.npy')
            print(json.dumps(dict(case=name, scale=s, n=n, p=p, t=t, k=k, threads=a.threads, blas=o['blas'], kernel=o['kernel'], form=o['form'],
                                  himalaya={f: round(best[f]['wall'], 3) for f in forms}, striate=round(o['wall'], 3),
                                  prepare=round(o['prepare_wall'], 3), tiles=round(o['tiles_wall'], 3),
                                  times_himalaya=round(him['wall'] / o['wall'], 2), times_himalaya_cpu=round(him['cpu'] / o['cpu'], 2),
                                  share_of_gemm_limit=round(o['limit'] / o['wall'], 3),
                                  share_with_f64_at_dgemm=round(o['limit_f64'] / o['wall'], 3), tiles_share_of_gemm_limit=round(o['tile_flops'] / o['sgemm'] / o['tiles_wall'], 3), sgemm_gflops=round(o['sgemm'] / 1e9, 1),
                                  same_alpha_as_float64=round(float((np.abs(np.log(alpha / ha)) < .01).mean()), 4),
                                  max_score_difference_to_float64=float(np.abs(score - hs).max()))), flush=True)


if __name__ == '__main__':
    main()
