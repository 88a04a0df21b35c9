#!/usr/bin/python3
"""Whole encode runs of ridge's options in float64, on the data of make_encode.py: one alpha shared by all targets (by inner
folds, leave-one-out and GCV), and priors on the weights: kernel X S X', weights S X' (X S X' + alpha)^-1 y.

Writes tests/golden/encode_ridge/: prior_conv.npy, prior_fc.npy (covariances; the second of low rank), variances_*.npy,
expected.h5: CASE/LAYER/{pearson,r2,alpha}_fold (fold, target), CASE/LAYER/{pearson,r2} (target), and for priors coef
(feature, target) and intercept (target) of the fit on all rows.
"""
import os
import h5py
import numpy as np
from sklearn.model_selection import KFold
from make_encode import ALPHAS, fit_case, make_data
from make_ridge import SCORE, pearson, pipeline, r2, usable
from make_selection import left_out

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'encode_ridge')


def gcv(z, y, alpha):
    n, c = len(z), z - z.mean(0)
    h = 1 / n + c @ np.linalg.solve(c.T @ c + alpha * np.eye(z.shape[1]), c.T)
    return n * ((y - h @ y) ** 2).sum(0) / (n - np.trace(h)) ** 2


def shared(x, y, outer, how):
    """how: folds (3 inner ones), loo, gcv."""
    t = y.shape[1]
    out = {s: [] for s in ('pearson', 'r2', 'alpha')}
    for tr, te in outer:
        inner = [(tr[a], tr[b]) for a, b in KFold(3).split(tr)] if how == 'folds' else []
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inner for s in i])
        yo = y[:, ok]
        z = (x[tr] - x[tr].mean(0)) / np.where(x[tr].std(0) > 0, x[tr].std(0), 1)
        mean = []
        for a in ALPHAS:
            if how == 'folds':
                mean.append(np.mean([r2(yo[f], pipeline(a, True, 0).fit(x[e], yo[e]).predict(x[f])) for e, f in inner]))
            elif how == 'loo':
                mean.append(r2(yo[tr], left_out(z, yo[tr], a)).mean())
            else:
                mean.append(-(gcv(z, yo[tr], a) / yo[tr].var(0)).mean())
        best = ALPHAS[int(np.argmax(mean))]
        row = {s: np.full(t, np.nan) for s in out}
        row['alpha'][ok] = best
        for s in SCORE:
            if len(te):
                row[s][ok] = SCORE[s](yo[te], pipeline(best, True, 0).fit(x[tr], yo[tr]).predict(x[te]))
            elif how == 'folds':
                row[s][ok] = np.mean([SCORE[s](yo[f], pipeline(best, True, 0).fit(x[e], yo[e]).predict(x[f])) for e, f in inner], 0)
            else:
                row[s][ok] = SCORE[s](yo[tr], left_out(z, yo[tr], best))
        for s in out:
            out[s].append(row[s])
    return {s: np.array(v) for s, v in out.items()}


def prior_weights(x, y, cov, alpha):
    m, b = x.mean(0), y.mean(0)
    w = cov @ (x - m).T @ np.linalg.solve((x - m) @ cov @ (x - m).T + alpha * np.eye(len(x)), y - b)
    return w, b - m @ w


def with_prior(x, y, outer, cov):
    t = y.shape[1]
    out = {s: [] for s in ('pearson', 'r2', 'alpha')}
    coef, intercept = np.full((x.shape[1], t), np.nan), np.full(t, np.nan)
    for tr, te in outer + [(np.arange(len(x)), np.array([], int))]:
        inner = [(tr[a], tr[b]) for a, b in KFold(3).split(tr)]
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inner for s in i])
        yz = np.where(ok, y, np.arange(len(y))[:, None] % 2)
        def predict(e, f, a):
            w, b = prior_weights(x[e], yz[e], cov, a)
            return x[f] @ w + b
        mean = np.array([np.mean([r2(yz[f], predict(e, f, a)) for e, f in inner], 0) for a in ALPHAS])
        best = len(ALPHAS) - 1 - mean[::-1].argmax(0)
        if not len(te):
            for j in np.flatnonzero(ok):
                w, b = prior_weights(x, y[:, [j]], cov, ALPHAS[best[j]])
                coef[:, j], intercept[j] = w[:, 0], b[0]
            break
        row = {s: np.full(t, np.nan) for s in out}
        for j in np.flatnonzero(ok):
            w, b = prior_weights(x[tr], y[tr][:, [j]], cov, ALPHAS[best[j]])
            for s in SCORE:
                row[s][j] = SCORE[s](y[te][:, [j]], x[te] @ w + b)[0]
            row['alpha'][j] = ALPHAS[best[j]]
        for s in out:
            out[s].append(row[s])
    return {s: np.array(v) for s, v in out.items()}, coef, intercept


def main():
    os.makedirs(HERE, exist_ok=True)
    store, layers, volumes, _, y = make_data()
    row = {s: i for i, s in enumerate(store)}
    y = y.astype('f8')
    unique = list(dict.fromkeys(volumes))
    y = np.array([y[[i for i, v in enumerate(volumes) if v == u]].mean(0) for u in unique]).astype('f4').astype('f8')
    r = np.random.default_rng(5)
    i = np.arange(20)
    half = r.standard_normal((90, 12)) * r.uniform(.2, 2, (90, 1))
    covariances = dict(conv=np.exp(-abs(i[:, None] - i) / 4) * np.outer(1 + i % 3, 1 + i % 3), fc=half @ half.T)
    variances = {k: np.where(np.arange(len(v)) % 7 == 3, 0, r.uniform(.01, 4, len(v))) for k, v in covariances.items()}
    for k in covariances:
        np.save(f'{HERE}/prior_{k}.npy', covariances[k])
        np.save(f'{HERE}/variances_{k}.npy', variances[k])
    with h5py.File(f'{HERE}/expected.h5', 'w') as h:
        def put(case, layer, folds):
            for s, v in folds.items():
                h[f'{case}/{layer}/{s}_fold'] = v
                if s != 'alpha':
                    h[f'{case}/{layer}/{s}'] = v.mean(0)
            print(case, layer, folds['alpha'][:, 0], np.nanmean(folds['r2']))
        for name, v in layers.items():
            x = v.astype('f8')[[row[u] for u in unique]]
            k4, everything = list(KFold(4).split(x)), [(np.arange(len(x)), np.array([], int))]
            for how in ('folds', 'loo', 'gcv'):
                put(f'shared_{how}', name, shared(x, y, k4, how))
                if how != 'gcv':
                    put(f'shared_{how}_refit', name, shared(x, y, everything, how))
            for case, cov in (('prior', covariances[name]), ('variances', np.diag(variances[name]))):
                folds, coef, intercept = with_prior(x, y, k4, cov)
                put(case, name, folds)
                h[f'{case}/{name}/coef'], h[f'{case}/{name}/intercept'] = coef, intercept


if __name__ == '__main__':
    main()
