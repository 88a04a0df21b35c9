#!/usr/bin/python3
"""Reference of banded ridge: scikit-learn's Ridge in float64 on features scaled by the root of their band's weight.

The random search is done again in full: candidate weights from numpy's own Philox4x32-10 and Dirichlet draws below, every
(weights, alpha) refitted in every inner fold with that fold's standardisation. Writes tests/golden/ridge/CASE.bin as
make_ridge.py does; values of bands (gamma, split) are (folds * bands) x t.
"""
import math
import numpy as np
from scipy.optimize import minimize
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from make_ridge import SCORE, data, pearson, r2, usable, write

MASK = 0xFFFFFFFF


def philox(c, k):
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def uniforms(seed, purpose, index):
    """The stream (seed, purpose, index) of uniform numbers below 1 with 53 bits."""
    k = [seed & MASK, seed >> 32]
    name = philox([purpose & MASK, purpose >> 32, index & MASK, index >> 32], [k[0] ^ 0x73747269, k[1] ^ 0x61746521])
    block = 0
    while True:
        w = philox([block, 0, name[0], name[1]], k)
        block += 1
        for low, high in ((w[0], w[1]), (w[2], w[3])):
            yield ((low | high << 32) >> 11) * 2.0 ** -53


def normals(u):
    while True:
        radius, angle = math.sqrt(-2 * math.log(1 - next(u))), 2 * math.pi * next(u)
        yield radius * math.cos(angle)
        yield radius * math.sin(angle)


def gamma_draw(u, z, a):
    d = (a + 1 if a < 1 else a) - 1 / 3
    while True:
        s = 1 + next(z) / math.sqrt(9 * d)
        log = math.log(1 - next(u))
        if s > 0 and log < .5 * ((s - 1) * math.sqrt(9 * d)) ** 2 + d - d * s ** 3 + d * math.log(s ** 3):
            value = d * s ** 3
            return value * (1 - next(u)) ** (1 / a) if a < 1 else value


def weights(m, n_iter, seed):
    out = [np.full(m, 1 / m)]
    eye = np.eye(m)
    if 1 < m <= 4:
        out += list(eye)
        if m > 2:
            out += [(eye[b] + eye[c]) / 2 for b in range(m) for c in range(b + 1, m)]
    for i in range(len(out), n_iter):
        u = uniforms(seed, 0x62616e64, i)
        z = normals(u)
        g = np.array([gamma_draw(u, z, (.1, 1.)[i % 2]) for _ in range(m)])
        out.append(g / g.sum())
    return np.array(out[:n_iter])


class Joint:
    """Ridge on standardised bands, by scikit-learn's PCA where asked for, times the roots of their weights."""

    def __init__(self, alpha, gamma, bands, standardize, pca=None):
        self.alpha, self.roots = alpha, np.sqrt(gamma)
        self.scale = np.repeat(standardize, bands).astype(bool)
        self.edges, self.pca = np.cumsum([0] + list(bands)), pca or [0] * len(bands)

    def bands(self, x):
        z = (x - self.mean) * self.factor
        return [z[:, a:b] for a, b in zip(self.edges, self.edges[1:])]

    def fit(self, x, y):
        self.mean, sd = x.mean(0), x.std(0)
        varies = np.ptp(x, axis=0) > 0
        self.factor = np.where(varies, np.where(self.scale, 1 / np.where(varies, sd, 1), 1), 0)
        self.axes = [PCA(k if k < 1 else int(k), svd_solver='full').fit(z).components_.T if k else np.eye(z.shape[1])
                     for k, z in zip(self.pca, self.bands(x))]
        self.model = Ridge(alpha=self.alpha, solver='svd').fit(np.hstack(self.inputs(x)), y)
        return self

    def inputs(self, x):
        return [r * (z @ a) for r, z, a in zip(self.roots, self.bands(x), self.axes)]

    def weights(self):
        ends = np.cumsum([a.shape[1] for a in self.axes])[:-1]
        return np.split(np.atleast_2d(self.model.coef_), ends, axis=1)

    def parts(self, x):
        return np.array([z @ w.T for z, w in zip(self.inputs(x), self.weights())])

    def predict(self, x):
        return self.model.predict(np.hstack(self.inputs(x)))

    def trace(self, x):
        """Of the kernel at these weights, per row."""
        return sum((z ** 2).sum() for z in self.inputs(x)) / len(x)

    def raw(self):
        coef = np.hstack([r * w @ a.T for r, w, a in zip(self.roots, self.weights(), self.axes)]) * self.factor
        return coef.T, self.model.intercept_ - coef @ self.mean


def shares(y, train_mean, parts):
    """Product measure; what the training mean is off the test mean is borne equally by the bands in the model."""
    v, f = y - train_mean, parts.sum(0)
    yc, fc = y - y.mean(0), f - f.mean(0)
    sst = (yc ** 2).sum(0)
    used = (parts ** 2).sum(1) > 0
    off = len(y) * v.mean(0) ** 2 * used / used.sum(0)
    split_r2 = (2 * (v * parts).sum(1) - (parts * f).sum(1) - off) / sst
    split_r = (yc * parts).sum(1) / np.sqrt(sst * (fc ** 2).sum(0))
    return split_r2, split_r


def case(name, n, bands, t, seed, alphas, n_iter, outer, inner, standardize, inner_score='r2', relative=False,
         pca=None):
    bands = np.array(bands)
    m = len(bands)
    x, y = data(n, bands.sum(), t, seed)
    r = np.random.default_rng(1000 + seed)
    for j in range(t):  # targets that prefer different bands
        b = j % (m + 1)
        if b < m and j not in (2, 3, 5):
            a = bands[:b].sum()
            y[:, j] = x[:, a:a + bands[b]] @ r.standard_normal(bands[b]) / np.sqrt(bands[b]) + .7 * r.standard_normal(n)
    y = y.astype('f4').astype('f8')
    gammas = weights(m, n_iter, seed)
    out = {k: [] for k in ('alpha', 'pearson', 'r2', 'mse', 'clear')}
    per_band = {k: [] for k in ('gamma', 'split_r2', 'split_pearson')}
    extra = {}
    plans = list(outer.split(x)) if outer else [(np.arange(n), np.array([], int))]
    for fold, (tr, te) in enumerate(plans):
        inners = [(tr[a], tr[b]) for a, b in inner.split(x[tr])]
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inners for s in i])
        grid = np.sort(np.array(alphas, float))
        if relative:
            one = Joint(1, np.full(m, 1 / m), bands, standardize, pca).fit(x[tr], np.zeros((len(tr), 1)))
            grid = grid * one.trace(x[tr])
        yz = np.where(ok, y, np.arange(n)[:, None] % 2)
        score = {s: np.zeros((len(inners), n_iter, len(grid), t)) for s in ('r2', 'pearson', 'mse')}
        for f, (a, b) in enumerate(inners):
            for g, gamma in enumerate(gammas):
                for i, alpha in enumerate(grid):
                    pred = Joint(alpha, gamma, bands, standardize, pca).fit(x[a], yz[a]).predict(x[b])
                    for s in SCORE:
                        score[s][f, g, i] = SCORE[s](yz[b], pred)
                    score['mse'][f, g, i] = ((yz[b] - pred) ** 2).mean(0)
        mean = score[inner_score].mean(0)
        row = {k: np.full(t, np.nan) for k in out}
        mine = {k: np.full((m, t), np.nan) for k in per_band}
        pred_out, coef, icpt = np.full((len(te), t), np.nan), np.full((bands.sum(), t), np.nan), np.full(t, np.nan)
        inner_r2 = np.full((len(inners), t), np.nan)
        for j in np.flatnonzero(ok):
            flat = mean[:, ::-1, j].argmax()  # within a candidate the larger alpha first
            g, i = flat // len(grid), len(grid) - 1 - flat % len(grid)
            rivals = mean[:, :, j].copy()
            rivals[np.abs(gammas - gammas[g]).max(1) < 1e-6, i] = -9  # the same but for rounding
            row['clear'][j] = rivals.max() < mean[g, i, j] - 1e-6
            model = Joint(grid[i], gammas[g], bands, standardize, pca).fit(x[tr], y[tr][:, j:j + 1])
            row['alpha'][j], mine['gamma'][:, j] = grid[i], gammas[g]
            c, b0 = model.raw()
            coef[:, j], icpt[j] = c[:, 0], b0[0]
            inner_r2[:, j] = score['r2'][:, g, i, j]
            if len(te):
                yt, parts = y[te][:, j:j + 1], model.parts(x[te])
                pred_out[:, j] = pred = model.predict(x[te])[:, 0]
                row['pearson'][j], row['r2'][j] = pearson(yt[:, 0], pred), r2(yt[:, 0], pred)
                row['mse'][j] = ((yt[:, 0] - pred) ** 2).mean()
                a, b = shares(yt, y[tr][:, j].mean(), parts)
                mine['split_r2'][:, j], mine['split_pearson'][:, j] = a[:, 0], b[:, 0]
                assert abs(a.sum() - row['r2'][j]) < 1e-9 and abs(b.sum() - row['pearson'][j]) < 1e-9
            else:
                for s in score:
                    row[s][j] = score[s][:, g, i, j].mean()
        assert (row['clear'][ok] == 1).mean() > .6, (name, row['clear'])
        for k in out:
            out[k].append(row[k])
        for k in per_band:
            per_band[k].append(mine[k])
        if fold == 0:
            extra = dict(prediction=pred_out, coef=coef, intercept=icpt[None], fold_r2=inner_r2)
    write(name, dict(x=x, y=y, bands=bands[None].astype(float), standardize=np.array(standardize, float)[None],
                     **(dict(pca=np.array(pca, float)[None]) if pca else {}), alphas=np.array(alphas, float)[None], gammas=gammas, seed=np.array([[float(seed)]]),
                     **{k: np.array(v) for k, v in out.items()}, **{k: np.concatenate(v) for k, v in per_band.items()},
                     **extra))


def climbed(score, delta, low, high):
    """The greatest score(delta) about a start, alpha = 1 / sum exp(delta) between low and high: a simplex search."""
    def inside(d):
        d = np.clip(d, delta - 2, delta + 2)
        alpha = 1 / np.exp(d).sum()
        return d + np.log(alpha / np.clip(alpha, low, high))
    best = delta
    for _ in range(6):
        best = inside(minimize(lambda d: -score(inside(d)), best, method='Nelder-Mead',
                               options=dict(xatol=1e-4, fatol=1e-8, maxiter=4000)).x)
    return best


def refined(name, n, bands, t, seed, alphas, n_iter, inner, standardize, inner_score='r2'):
    """Mean inner scores of the search and of the maximum that is climbed to from its best, without an outer loop."""
    bands, m, grid = np.array(bands), len(bands), np.sort(alphas)
    x, _ = data(n, bands.sum(), 9, seed)
    r = np.random.default_rng(2000 + seed)
    parts = [x[:, a:b] for a, b in zip(np.cumsum(bands) - bands, np.cumsum(bands))]
    y = np.zeros((n, t))
    for j in range(t):  # of bands that tell very unequal amounts
        for z in parts:
            s = (z - z.mean(0)) / z.std(0).clip(1e-9) @ r.standard_normal(z.shape[1])
            y[:, j] += s / s.std() * 10 ** r.uniform(-1.5, 0)
        y[:, j] += y[:, j].std() * r.uniform(.3, 1) * r.standard_normal(n)
    y = y.astype('f4').astype('f8')
    inners = list(inner.split(x))

    def mean_score(j, alpha, gamma):
        return np.mean([SCORE[inner_score](y[b][:, j:j + 1],
                        Joint(alpha, gamma, bands, standardize).fit(x[a], y[a][:, j:j + 1]).predict(x[b]).reshape(-1, 1))[0]
                        for a, b in inners])

    whole = Joint(1, np.ones(m), bands, standardize).fit(x, y[:, :1])
    trace = np.array([((x - whole.mean) * whole.factor)[:, a:a + w].var(0).sum()
                      for a, w in zip(np.cumsum(bands) - bands, bands)])
    searched, best = np.full(t, -np.inf), np.zeros(t)
    for j in range(t):
        for gamma in weights(m, n_iter, seed):
            for alpha in grid[::-1]:
                s = mean_score(j, alpha, gamma)
                if s > searched[j]:
                    searched[j], start = s, (gamma, alpha)
        gamma = np.maximum(start[0], .05 * (start[0] @ trace) / m / trace)
        delta = climbed(lambda d: mean_score(j, 1 / np.exp(d).sum(), np.exp(d) / np.exp(d).sum()),
                        np.log(gamma / start[1]), grid[0], grid[-1])
        best[j] = mean_score(j, 1 / np.exp(delta).sum(), np.exp(delta) / np.exp(delta).sum())
    print(name, searched, best)
    write(name, dict(x=x, y=y, bands=bands[None].astype(float), standardize=np.array(standardize, float)[None],
                     alphas=grid[None], settings=np.array([[float(seed), float(n_iter)]]), searched=searched[None],
                     refined=best[None]))


if __name__ == '__main__':
    k3 = KFold(3)
    grid = np.logspace(-1, 4, 7)
    case('banded_dual', 48, (45, 30), 9, 21, grid, 9, k3, k3, (1, 1))
    case('banded_plain', 48, (30, 40, 20), 9, 22, grid, 12, k3, k3, (0, 0, 0))
    case('banded_primal', 84, (4, 3, 4), 9, 23, grid, 12, k3, k3, (1, 0, 1), inner_score='pearson')
    case('banded_mixed', 45, (20, 40), 9, 24, np.logspace(-4, 1, 6), 8, k3, k3, (0, 1), relative=True)
    case('banded_refit', 60, (5, 4), 9, 25, grid, 8, None, k3, (1, 1))
    case('banded_many', 42, (9, 12, 15, 20, 11), 9, 26, grid, 14, None, k3, (1, 1, 1, 1, 1))
    refined('banded_refine_dual', 48, (30, 24, 40), 8, 31, np.logspace(0, 4, 5), 8, k3, (1, 1, 1))
    refined('banded_refine_plain', 45, (25, 30), 6, 32, np.logspace(-1, 4, 6), 5, k3, (0, 0))
    refined('banded_refine_primal', 84, (4, 5, 3), 8, 33, np.logspace(-1, 4, 6), 8, k3, (1, 0, 1), inner_score='pearson')
    case('banded_pca', 48, (30, 60, 12), 9, 27, np.logspace(.5, 4, 6), 9, k3, k3, (1, 0, 1), pca=[5, .8, 0])
    case('banded_pca_relative', 60, (25, 8), 9, 28, np.logspace(-2, 1, 5), 7, None, k3, (0, 0), relative=True, pca=[0, 3])
