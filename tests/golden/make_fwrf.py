#!/usr/bin/python3
"""Reference of feature-weighted receptive fields in float64, by brute force.

Every (field, alpha) is refitted with scikit-learn's Ridge on the pooled channels of every inner fold, scaled by that
fold's training rows; the pair with the highest mean inner score (a tie goes to the larger alpha, then to the earlier
field) is refitted on the outer training rows. Pixels weigh as scipy's normal distribution says. Writes
tests/golden/fwrf/CASE.bin in the format of make_ridge.py; `shapes` holds channels, rows, columns of each space.
"""
import os
import numpy as np
from scipy.stats import norm
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
import make_ridge
from make_ridge import SCORE, usable

make_ridge.HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'fwrf')


def axis(centre, sigma, length, cells):
    mass = np.diff(norm.cdf(np.linspace(-length / 2, length / 2, cells + 1), centre, sigma))
    return mass / mass.sum()


def fields(grid, extent, sizes, angle):
    w, h = angle
    at = extent * ((np.arange(grid) + .5) / grid - .5)
    return [(w * x, h * y, s) for s in sizes for y in -at for x in at]


def pooling(shapes, field, angle):
    """p × C."""
    x0, y0, s = field
    blocks = []
    for c, r, k in shapes:
        g = np.outer(axis(-y0, s, angle[1], r), axis(x0, s, angle[0], k)).ravel()
        blocks.append(np.kron(np.eye(c), g[:, None]))
    p, q = sum(b.shape[0] for b in blocks), sum(b.shape[1] for b in blocks)
    out, i, j = np.zeros((p, q)), 0, 0
    for b in blocks:
        out[i:i + b.shape[0], j:j + b.shape[1]] = b
        i, j = i + b.shape[0], j + b.shape[1]
    return out


class Fit:
    def __init__(self, z, y, alpha, standardize):
        self.mean = z.mean(0)
        sd = z.std(0) if standardize else np.ones(z.shape[1])
        flat = z.std(0) < 1e-9
        self.scale = np.where(flat, 0, 1 / np.where(flat, 1, sd))
        self.ridge = Ridge(alpha=alpha, solver='svd').fit((z - self.mean) * self.scale, y)
        self.coef = self.ridge.coef_.reshape(y.shape[1], -1).T * self.scale[:, None]
        self.intercept = np.ravel(self.ridge.intercept_) - self.mean @ self.coef

    def predict(self, z):
        return z @ self.coef + self.intercept


def case(name, n, shapes, t, seed, grid, sizes, alphas, folds=4, angle=(1, 1), extent=1.0, standardize=True, scale=True,
         inner_score='r2', relative=False):
    r = np.random.default_rng(seed)
    p = sum(c * a * b for c, a, b in shapes)
    x = (r.standard_normal((n, p)) * r.uniform(.5, 2, p) + 2 * r.standard_normal(p)).astype('f4').astype('f8')
    every = fields(grid, extent, sizes, angle)
    pools = [pooling(shapes, f, angle) for f in every]
    y = np.empty((n, t))
    for j in range(t):
        z = x @ pools[r.integers(len(every))]
        z = (z - z.mean(0)) / z.std(0)
        y[:, j] = z @ r.standard_normal(z.shape[1]) * (j % 4) / 3 + r.standard_normal(n) + 5 * r.standard_normal()
    y[:, 1] = 4
    y[7, 2] = np.nan
    y = y.astype('f4').astype('f8')
    inner = KFold(3)
    plans = list(KFold(folds).split(x)) if folds else [(np.arange(n), np.array([], int))]
    out = {k: [] for k in ('x0', 'y0', 'sigma', 'alpha', 'pearson', 'r2', 'mse')}
    extra = {}
    yz = np.where(np.isfinite(y), y, 0)
    for fold, (tr, te) in enumerate(plans):
        inners = [(tr[a], tr[b]) for a, b in inner.split(x[tr])]
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inners for s in i])
        unit = y[tr].std(0) if scale else np.ones(t)
        best = [(-np.inf, 0, 0, None)] * t
        for k, pool in enumerate(pools):
            z = x @ pool
            varied = z[tr].var(0).sum() if not standardize else z.shape[1]
            for alpha in alphas:
                a = alpha * (varied if relative else 1)
                folds_of = {s: np.zeros((len(inners), t)) for s in ('r2', 'pearson')}
                for f, (i, o) in enumerate(inners):
                    pred = Fit(z[i], yz[i], a, standardize).predict(z[o])
                    for s in folds_of:
                        folds_of[s][f] = SCORE[s](yz[o], pred)
                mean = folds_of[inner_score].mean(0)
                for j in range(t):
                    if mean[j] > best[j][0] or (mean[j] == best[j][0] and a > best[j][2]):
                        best[j] = (mean[j], k, a, {s: folds_of[s][:, j] for s in folds_of})
        row = {k: np.full(t, np.nan) for k in out}
        pred_out, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)
        inner_r2 = np.full((len(inners), t), np.nan)
        for j in np.flatnonzero(ok):
            _, k, a, scores = best[j]
            row['x0'][j], row['y0'][j], row['sigma'][j] = every[k]
            row['alpha'][j] = a
            z = x @ pools[k]
            fit = Fit(z[tr], yz[tr][:, [j]], a, standardize)
            coef[:, j] = (pools[k] @ fit.coef)[:, 0] / unit[j]
            icpt[j] = (fit.intercept[0] - y[tr, j].mean() * scale) / unit[j]
            inner_r2[:, j] = scores['r2']
            if len(te):
                pred = fit.predict(z[te])[:, 0]
                pred_out[:, j] = (pred - y[tr, j].mean() * scale) / unit[j]
                for s in SCORE:
                    row[s][j] = SCORE[s](y[te][:, [j]], pred[:, None])[0]
                row['mse'][j] = ((y[te, j] - pred) ** 2).mean() / unit[j] ** 2
            else:
                row['r2'][j], row['pearson'][j] = scores['r2'].mean(), scores['pearson'].mean()
        for k in out:
            out[k].append(row[k])
        if fold == 0:
            extra = dict(prediction=pred_out, coef=coef, intercept=icpt[None])
            if not len(te):
                extra['fold_r2'] = inner_r2
    make_ridge.write(name, dict(x=x, y=y, shapes=np.array(shapes, float), alphas=np.array(alphas, float)[None],
                                sizes=np.array(sizes, float)[None], **{k: np.array(v) for k, v in out.items()}, **extra))
    print(name, np.round(out['x0'][0], 3).tolist(), out['alpha'][0].tolist())


if __name__ == '__main__':
    os.makedirs(make_ridge.HERE, exist_ok=True)
    case('layers', 60, [(3, 6, 6), (4, 3, 3), (2, 1, 1)], 7, 1, 3, [.08, .3], [1, 10, 100])
    case('plain', 60, [(3, 4, 6), (2, 2, 3)], 7, 2, 3, [.5, 2], [.01, .1, 1, 10], angle=(12, 8), extent=.8,
         standardize=False, scale=False, inner_score='pearson')
    case('wide', 44, [(20, 3, 3), (25, 2, 2)], 7, 3, 2, [.1, .4], [3, 30, 300])
    case('relative', 60, [(4, 5, 5)], 6, 4, 2, [.15], [.01, .1, 1], standardize=False, relative=True)
    case('refit', 52, [(4, 5, 5)], 6, 5, 3, [.15, .3], [1, 10, 100], folds=0)
    case('radii', 60, [(3, 8, 8)], 6, 6, 2, .04 * 10 ** (np.arange(4) / 3), [1, 10, 100])
