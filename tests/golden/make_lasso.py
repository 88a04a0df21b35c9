#!/usr/bin/python3
"""Reference scores, alphas, predictions and coefficients of lasso and elastic net by scikit-learn in float64.

For every target, outer fold and alpha: features standardised with the training rows of the fit, scikit-learn's
ElasticNet (coordinate descent to a duality gap of 1e-12) refitted in each inner fold, the alpha with the highest unweighted
mean inner R2 (a tie goes to the larger), refitted on the outer training rows. Relative alphas are multiples of the
smallest alpha without coefficients, max |x'y| / n / l1_ratio, of the training rows of each fit; with `scaled` the
responses are divided by the standard deviation of the training rows of each fit; with `pca` the model is one of
components, and `nonzero` counts those. Writes tests/golden/ridge/lasso_CASE.bin
in the records of make_ridge.py. usage: make_lasso.py [CASE …]
"""
import sys

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import KFold
from make_ridge import data, pearson, r2, usable, write

TIGHT = dict(tol=1e-12, max_iter=1000000)


class Fit:
    """One target on the rows `tr`: coefficients at any alpha, predictions of any rows."""

    def __init__(self, x, y, tr, standardize, scaled, pca):
        self.mean, self.sd = x[tr].mean(0), np.where(np.ptp(x[tr], axis=0) > 0, x[tr].std(0) if standardize else 1, np.inf)
        self.unit = y[tr].std() if scaled else 1
        self.z, self.y, self.y_mean = (x[tr] - self.mean) / self.sd, (y[tr] - y[tr].mean()) / self.unit, y[tr].mean()
        self.basis = np.eye(x.shape[1])
        if pca:
            self.basis = PCA(pca, svd_solver='full').fit(self.z).components_.T
            self.z = self.z @ self.basis

    def alpha_max(self, ratio):
        return np.abs(self.z.T @ self.y).max() / len(self.y) / ratio

    def at(self, alpha, ratio):
        model = ElasticNet(alpha=alpha, l1_ratio=ratio, fit_intercept=False, **TIGHT).fit(self.z, self.y)
        raw = self.basis @ model.coef_ / self.sd * self.unit
        return raw, self.y_mean - raw @ self.mean, (model.coef_ != 0).sum()


def case(name, x, y, alphas, ratio, outer, inner, standardize=True, relative=False, scaled=False, pca=None):
    if len(sys.argv) > 1 and name not in sys.argv:
        return
    n, p = x.shape
    t = y.shape[1]
    out = {k: [] for k in ('alpha', 'pearson', 'r2', 'mse', 'nonzero')}
    extra = {}
    for fold, (tr, te) in enumerate(outer.split(x)):
        inners = [(tr[a], tr[b]) for a, b in inner.split(x[tr])]
        ok = usable(y, [tr, te] + [s for i in inners for s in i])
        row = {k: np.full(t, np.nan) for k in out}
        prediction, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)
        for k in np.flatnonzero(ok):
            def grid(fit):
                return np.array(alphas) * (fit.alpha_max(ratio) if relative else 1)
            score = np.zeros((len(inners), len(alphas)))
            for f, (a, b) in enumerate(inners):
                fit = Fit(x, y[:, k], a, standardize, scaled, pca)
                for i, alpha in enumerate(grid(fit)):
                    w, c, _ = fit.at(alpha * (1 + 1e-13), ratio)
                    score[f, i] = r2(y[b][:, [k]], (x[b] @ w + c)[:, None])[0]
            mean = score.mean(0)
            best = max(range(len(alphas)), key=lambda i: (mean[i], alphas[i]))
            fit = Fit(x, y[:, k], tr, standardize, scaled, pca)
            row['alpha'][k] = alpha = grid(fit)[best]
            w, c, row['nonzero'][k] = fit.at(alpha * (1 + 1e-13), ratio)
            coef[:, k], icpt[k], prediction[:, k] = w, c, x[te] @ w + c
            for s, score_of in dict(pearson=pearson, r2=r2).items():
                row[s][k] = score_of(y[te][:, [k]], prediction[:, [k]])[0]
            row['mse'][k] = ((y[te][:, k] - prediction[:, k]) ** 2).mean() / (y[tr][:, k].var() if scaled else 1)
        for key in out:
            out[key].append(row[key])
        if fold == 0:
            sd = y[tr].std(0) if scaled else 1
            mean = y[tr].mean(0) if scaled else 0
            extra = dict(prediction=(prediction - mean) / sd, coef=coef / sd, intercept=((icpt - mean) / sd)[None])
    write('lasso_' + name, dict(x=x, y=y, alphas=np.array(alphas, float)[None], l1_ratio=np.array([[ratio]]),
                                **{k: np.array(v) for k, v in out.items()}, **extra))


if __name__ == '__main__':
    k4, k3 = KFold(4), KFold(3)
    absolute, relative = np.logspace(-2, .5, 9), np.logspace(-3, 0, 10)
    case('narrow', *data(88, 11, 9, 21), absolute, 1, k4, k3)
    case('wide', *data(48, 90, 9, 22), absolute, 1, k4, k3)
    case('plain', *data(88, 11, 9, 23), absolute, 1, k4, k3, standardize=False)
    case('relative', *data(60, 40, 9, 24), relative, 1, k4, k3, relative=True)
    case('scaled', *data(60, 40, 9, 25), absolute, 1, k4, k3, scaled=True)
    case('elastic', *data(48, 90, 9, 26), absolute, .5, k4, k3)
    case('elastic_relative', *data(60, 40, 9, 27), relative, .3, k4, k3, relative=True, scaled=True)
    case('pca_wide', *data(48, 70, 9, 29), absolute, .5, k4, k3, scaled=True, pca=6)
    case('pca_narrow', *data(88, 11, 9, 30), relative, .7, k4, k3, relative=True, scaled=True, pca=.9)
    r = np.random.default_rng(28)
    x, y = data(100, 12, 9, 28, constant=False)
    x[:, 6:] = x[:, :6] + .1 * x[:, :6].std(0) * r.standard_normal((100, 6))    # much the same features twice
    case('collinear', x.astype('f4').astype('f8'), y, relative, 1, k4, k3, relative=True)
