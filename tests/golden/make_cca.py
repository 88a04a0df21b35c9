#!/usr/bin/python3
"""Reference of cca in float64: the singular vectors of the whitened cross-covariance, in the space of the features.

X is whitened by (X'X + kI)^(-1/2), Y by its leading principal components; predictions are the reduced-rank regression of
the whitened responses on the first pairs, led back. Everything is refitted in every fold. `check` compares the closed form
with scikit-learn's CCA: its components are the same, but CCA.predict takes the features' variate for the responses'
without the slope between the two (their units are its own); with each slope put in, predictions agree to 1e-6. Writes
tests/golden/components/CASE.bin as make_components.py does.
"""
import os
import warnings
import numpy as np
from sklearn.cross_decomposition import CCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
import make_ridge
from make_ridge import SCORE, data, pearson, r2, usable

make_ridge.HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'components')


class Fit:
    """Pairs of all finite targets at a penalty; predicts from the first `count`."""
    def __init__(self, x, y, good, kappa, standardize, pca, scale, response_pca):
        self.good = good & (np.ptp(y, axis=0) > 0)
        self.t = y.shape[1]
        z = y[:, self.good]
        self.ym, self.ysd = z.mean(0), z.std(0) if scale else np.ones(z.shape[1])
        z = (z - self.ym) / self.ysd
        self.xm = x.mean(0)
        sd = x.std(0)
        self.xs = np.where(np.ptp(x, axis=0) > 0, 1 / np.where(sd > 0, sd, 1) if standardize else 1, 0)
        x = (x - self.xm) * self.xs
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        keep = s > s[0] * 1e-9
        if pca:
            keep &= np.arange(len(s)) < pca
        self.v = vt[keep].T
        s = s[keep]
        self.axes = self.v / np.sqrt(s ** 2 + kappa)                    # whitens
        yu, ys, yv = np.linalg.svd(z, full_matrices=False)
        r = (ys > ys[0] * 1e-9).sum()
        if response_pca >= 1:
            r = min(r, int(response_pca))
        elif response_pca > 0:
            share = np.cumsum(ys ** 2) / (ys ** 2).sum()
            r = min(r, np.searchsorted(share, response_pca, side='right') + 1)
        yu, ys, yv = yu[:, :r], ys[:r], yv[:r]
        a, self.rho, bt = np.linalg.svd(self.axes.T @ x.T @ yu, full_matrices=False)
        self.w = self.axes @ a * self.rho                               # predicts the response variates
        self.back = bt @ (ys[:, None] * yv)                             # variates to responses
        self.forth = yv.T / ys @ bt.T                                   # responses to variates
        self.count = len(self.rho)

    def variates(self, x):
        return (x - self.xm) * self.xs @ self.w

    def predict(self, x, count):
        out = np.full((len(x), self.t), np.nan)
        out[:, self.good] = self.variates(x)[:, :count] @ self.back[:count] * self.ysd + self.ym
        return out

    def residual(self, x, y, count):
        z = (y[:, self.good] - self.ym) / self.ysd
        return ((z - self.variates(x)[:, :count] @ self.back[:count]) ** 2).sum() / (z ** 2).sum()

    def correlations(self, x, y):
        z = (np.where(np.isfinite(y[:, self.good]), y[:, self.good], self.ym) - self.ym) / self.ysd
        return pearson(z @ self.forth, self.variates(x))


def check():
    r = np.random.default_rng(7)
    x = r.standard_normal((80, 6)) @ r.standard_normal((6, 6))
    y = x[:, :4] @ r.standard_normal((4, 4)) + 3 * r.standard_normal((80, 4))
    new = r.standard_normal((30, 6)) @ r.standard_normal((6, 6))
    fit = Fit(x, y, np.ones(4, bool), 0, True, 0, True, 0)
    for k in (1, 2, 3, 4):
        cca = CCA(k, scale=True, max_iter=100000, tol=1e-24).fit(x, y)
        xs, ys = cca.transform(x, y)
        slope = (xs * ys).sum(0) / (xs ** 2).sum(0)
        sd = y.std(0, ddof=1)
        theirs = (cca.transform(new) * slope) @ cca.y_loadings_.T * sd + y.mean(0)
        assert np.abs(theirs - fit.predict(new, k)).max() < 1e-6, k
        assert np.allclose([abs(np.corrcoef(xs[:, i], ys[:, i])[0, 1]) for i in range(k)], fit.rho[:k], atol=1e-6)
    assert np.abs(LinearRegression().fit(x, y).predict(new) - fit.predict(new, 4)).max() < 1e-9
    print('scikit-learn agrees; correlations', np.round(fit.rho, 4).tolist())


def case(name, x, y, counts, kappas, outer, inner, standardize=True, pca=0, scale=True, response_pca=0, inner_score='r2'):
    n, p = x.shape
    t = y.shape[1]
    out = {k: [] for k in ('components', 'penalty', 'pearson', 'r2', 'mse')}
    plans = list(outer.split(x)) if outer else [(np.arange(n), np.array([], int))]
    extra, canonical = {}, []
    for fold, (tr, te) in enumerate(plans):
        several = len(counts) * len(kappas) > 1
        inners = [(tr[a], tr[b]) for a, b in inner.split(x[tr])] if several or not len(te) else []
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inners for s in i])
        finite = np.isfinite(y[tr]).all(0)
        yz = np.where(np.isfinite(y), y, 0)
        unit = y[tr].std(0) if scale else np.ones(t)
        fit = lambda kappa, rows: Fit(x[rows], yz[rows], finite, kappa, standardize, pca, scale, response_pca)
        fits = {k: [fit(k, a) for a, _ in inners] for k in kappas}
        final = {k: fit(k, tr) for k in kappas}
        least = min(f.count for k in kappas for f in fits[k] + [final[k]])
        use = [c for c in counts if c <= least] or [least]
        explained = {k: max(np.mean([1 - f.residual(x[b], yz[b], min(c, least)) for f, (_, b) in zip(fits[k], inners)] or [0])
                            for c in counts) for k in kappas}
        kappa = max(kappas, key=lambda k: (explained[k], k))
        score = {s: np.zeros((len(inners), len(use), t)) for s in SCORE}
        mse = np.zeros((len(inners), len(use), t))
        for f, (a, b) in enumerate(inners):
            for i, c in enumerate(use):
                pred = fits[kappa][f].predict(x[b], c)
                for s in SCORE:
                    score[s][f, i] = SCORE[s](yz[b], pred)
                mse[f, i] = ((yz[b] - pred) ** 2).mean(0) / unit ** 2
        best = score[inner_score].mean(0).argmax(0) if inners else np.zeros(t, int)
        row = {k: np.full(t, np.nan) for k in out}
        pred_out, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)
        model = final[kappa]
        pairs = np.full(max(counts), np.nan)
        m = min(max(counts), model.count)
        if len(te):
            pairs[:m] = model.correlations(x[te], y[te])[:m]
        canonical.append(pairs)
        for i in np.unique(best[ok]):
            who = ok & (best == i)
            b = model.predict(np.zeros((1, p)), use[i])[0]
            coef[:, who] = ((model.predict(np.eye(p), use[i]) - b) / unit)[:, who]
            icpt[who] = ((b - y[tr].mean(0) * scale) / unit)[who]
            if len(te):
                pred = model.predict(x[te], use[i])[:, who]
                pred_out[:, who] = (pred - y[tr][:, who].mean(0) * scale) / unit[who]
                row['pearson'][who], row['r2'][who] = pearson(y[te][:, who], pred), r2(y[te][:, who], pred)
                row['mse'][who] = ((y[te][:, who] - pred) ** 2).mean(0) / unit[who] ** 2
            else:
                for s in SCORE:
                    row[s][who] = score[s][:, i][:, who].mean(0)
                row['mse'][who] = mse[:, i][:, who].mean(0)
            row['components'][who] = use[i]
        row['penalty'][ok] = kappa
        for k in out:
            out[k].append(row[k])
        if fold == 0:
            extra = dict(prediction=pred_out, coef=coef, intercept=icpt[None])
    make_ridge.write(name, dict(x=x, y=y, counts=np.array(counts, float)[None], alphas=np.array(kappas, float)[None],
                                canonical=np.array(canonical), **{k: np.array(v) for k, v in out.items()}, **extra))
    print(name, 'penalties', [np.nanmax(p) for p in out['penalty']], 'components', out['components'][0].tolist())


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    check()
    k4, k3 = KFold(4), KFold(3)
    to = lambda c: list(range(1, c + 1))
    case('cca_full', *data(80, 7, 4, 41, constant=False), to(4), [1e-3], k4, k3)
    case('cca_ridge', *data(80, 12, 9, 42), to(6), [.1, 10, 1000], k4, k3, response_pca=5)
    case('cca_wide', *data(60, 90, 9, 43), to(5), [10, 100, 1000], k4, k3, standardize=False, response_pca=.8)
    case('cca_many', *data(60, 40, 90, 44), to(8), [10, 100, 1000], k4, k3, response_pca=10, inner_score='pearson')
    case('cca_pca', *data(60, 50, 12, 45), to(8), [1, 100], k4, k3, pca=6, scale=False, response_pca=7)
    case('cca_refit', *data(60, 30, 9, 46), to(6), [10, 100, 1000], None, k4, response_pca=6)
