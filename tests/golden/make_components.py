#!/usr/bin/python3
"""Reference scores, numbers of components, predictions and coefficients of pls and pcr by scikit-learn in float64.

For every outer fold: in each inner fold and for each number of components a fit of its own, of PLSRegression (singular
vectors exact, not by its power iteration, which stops early) or PCA and LinearRegression, behind StandardScaler; the
number with the highest unweighted mean inner score (a tie goes to fewer), refitted on the outer training rows. Writes
tests/golden/components/CASE.bin in the format of make_ridge.py.
"""
import os
import warnings
import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
import make_ridge
from make_ridge import SCORE, data, pearson, r2, usable

make_ridge.HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'components')


class Fit:
    """All targets at once; those that cannot be fitted are predicted as NaN."""
    def __init__(self, kind, count, x, y, good, standardize, pca, scale):
        good = good & (np.ptp(y, axis=0) > 0)
        self.good, self.t = good, y.shape[1]
        z = y[:, good]
        self.mean, self.sd = z.mean(0), z.std(0) if scale else np.ones(good.sum())
        steps = [StandardScaler()] if standardize else []
        if pca:
            steps.append(PCA(pca if pca < 1 else int(pca), svd_solver='full'))
        if kind == 'pls':
            last = PLSRegression(count, scale=False)
            last.algorithm = 'svd'
            steps.append(last)
        else:
            steps += [PCA(count, svd_solver='full'), LinearRegression()]
        self.model = make_pipeline(*steps).fit(x, (z - self.mean) / self.sd)

    def predict(self, x):
        out = np.full((len(x), self.t), np.nan)
        out[:, self.good] = self.model.predict(x).reshape(len(x), -1) * self.sd + self.mean
        return out


def rank(x, standardize, pca):
    z = StandardScaler().fit_transform(x) if standardize else x - x.mean(0)
    if pca:
        z = PCA(pca if pca < 1 else int(pca), svd_solver='full').fit_transform(z)
    return np.linalg.matrix_rank(z)


def case(name, kind, x, y, counts, outer, inner, standardize=True, pca=0, scale=False, inner_score='r2'):
    n, p = x.shape
    t = y.shape[1]
    out = {k: [] for k in ('components', 'pearson', 'r2', 'mse')}
    plans = list(outer.split(x)) if outer else [(np.arange(n), np.array([], int))]
    extra = {}
    for fold, (tr, te) in enumerate(plans):
        inners = [(tr[a], tr[b]) for a, b in inner.split(x[tr])] if len(counts) > 1 or not len(te) else []
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inners for s in i])
        finite = np.isfinite(y[tr]).all(0)
        yz = np.where(np.isfinite(y), y, 0)
        unit = y[tr].std(0) if scale else np.ones(t)
        least = min(rank(x[a], standardize, pca) for a, _ in inners + [(tr, te)])
        use = [c for c in counts if c <= least] or [least]
        fit = lambda c, rows: Fit(kind, c, x[rows], yz[rows], finite, standardize, pca, scale)
        score = {s: np.zeros((len(inners), len(use), t)) for s in SCORE}
        mse = np.zeros((len(inners), len(use), t))
        for f, (a, b) in enumerate(inners):
            for i, c in enumerate(use):
                pred = fit(c, a).predict(x[b])
                for s in SCORE:
                    score[s][f, i] = SCORE[s](yz[b], pred)
                mse[f, i] = ((yz[b] - pred) ** 2).mean(0) / unit ** 2
        best = score[inner_score].mean(0).argmax(0) if inners else np.zeros(t, int)
        row = {k: np.full(t, np.nan) for k in out}
        pred_out, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)
        for i in np.unique(best[ok]):
            who = ok & (best == i)
            model = fit(use[i], tr)
            b = model.predict(np.zeros((1, p)))[0]
            coef[:, who] = ((model.predict(np.eye(p)) - b) / unit)[:, who]
            icpt[who] = ((b - y[tr].mean(0) * scale) / unit)[who]
            if len(te):
                pred = model.predict(x[te])[:, who]
                pred_out[:, who] = (pred - y[tr][:, who].mean(0) * scale) / unit[who]
                row['pearson'][who], row['r2'][who] = pearson(y[te][:, who], pred), r2(y[te][:, who], pred)
                row['mse'][who] = ((y[te][:, who] - pred) ** 2).mean(0) / unit[who] ** 2
            else:
                for s in SCORE:
                    row[s][who] = score[s][:, i][:, who].mean(0)
                row['mse'][who] = mse[:, i][:, who].mean(0)
            row['components'][who] = use[i]
        for k in out:
            out[k].append(row[k])
        if fold == 0:
            extra = dict(prediction=pred_out, coef=coef, intercept=icpt[None])
            if not len(te):
                extra['fold_r2'] = np.where(ok, np.stack([score['r2'][f, best, np.arange(t)] for f in range(len(inners))]), np.nan)
    make_ridge.write(name, dict(x=x, y=y, counts=np.array(counts, float)[None], **{k: np.array(v) for k, v in out.items()}, **extra))
    print(name, 'components', np.array(out['components'])[:2].tolist())


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    os.makedirs(make_ridge.HERE, exist_ok=True)
    k4, k3 = KFold(4), KFold(3)
    to = lambda c: list(range(1, c + 1))
    case('pls_wide', 'pls', *data(48, 90, 9, 21), to(8), k4, k3, scale=True)
    case('pls_wide_plain', 'pls', *data(48, 90, 9, 22), to(8), k4, k3, standardize=False)
    case('pls_narrow', 'pls', *data(88, 11, 9, 23), to(25), k4, k3, inner_score='pearson', scale=True)
    case('pls_many', 'pls', *data(60, 40, 90, 24), to(12), k4, k3, scale=True)
    case('pls_raw_responses', 'pls', *data(60, 40, 30, 25), [2, 5, 9], k4, k3)
    case('pls_exact', 'pls', *data(60, 30, 12, 26), [7], k4, k3, standardize=False, scale=True)
    case('pls_pca', 'pls', *data(60, 50, 12, 27), to(8), k4, k3, pca=6, scale=True)
    case('pls_one', 'pls', *data(60, 30, 1, 28, constant=False), to(10), k4, k3)
    case('pls_refit', 'pls', *data(50, 70, 9, 29), to(10), None, k4, scale=True)
    case('pcr_wide', 'pcr', *data(48, 90, 9, 31), to(12), k4, k3)
    case('pcr_narrow', 'pcr', *data(88, 11, 9, 32), to(25), k4, k3, inner_score='pearson', scale=True)
    case('pcr_plain', 'pcr', *data(70, 20, 9, 33), [1, 3, 4, 9], k4, k3, standardize=False)
    case('pcr_exact', 'pcr', *data(60, 30, 9, 34), [5], k4, k3)
    case('pcr_share', 'pcr', *data(60, 40, 9, 35), to(25), k4, k3, pca=.8)
    case('pcr_refit', 'pcr', *data(50, 70, 9, 36), to(10), None, k4, standardize=False)
