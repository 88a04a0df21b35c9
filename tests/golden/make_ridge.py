#!/usr/bin/python3
"""Reference scores, alphas, predictions and coefficients of ridge and least squares by scikit-learn in float64.

For every outer fold, alpha and target: Pipeline(StandardScaler, PCA, Ridge) refitted in each inner fold, the alpha with
the highest unweighted mean inner score (a tie goes to the larger), refitted on the outer training rows. Nothing is
shared with striate's way of computing. Writes tests/golden/ridge/CASE.bin: records of a text line `name rows cols`
and rows*cols little-endian doubles, row-major.
"""
import os
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ridge')


def data(n, p, t, seed, constant=True, mean=3.0, decay=0.5):
    r = np.random.default_rng(seed)
    q = min(n, p, 12)
    x = (r.standard_normal((n, q)) * np.arange(1, q + 1) ** -decay) @ r.standard_normal((q, p)) + .5 * r.standard_normal((n, p))
    x = x * r.uniform(.2, 4, p) + mean * r.standard_normal(p)
    y = x @ r.standard_normal((p, t)) * (r.uniform(0, 1.2, t) / np.sqrt(p))
    y = y / y.std(0) * np.linspace(0, 1.5, t) + r.standard_normal((n, t)) + 10 * r.standard_normal(t)
    if constant:
        x[:, 1] = 7.25                    # constant everywhere
        x[:, 2] = 0; x[:6, 2] = 1.5       # constant in the training sets that leave the first rows out
        y[:, 2] = 4                       # constant target
        y[7, 3] = np.nan                  # one missing value
        y[:n // 4, 5] = 1                 # constant in a test fold
    return x.astype('f4').astype('f8'), y.astype('f4').astype('f8')


def r2(y, f):
    with np.errstate(all='ignore'):
        return 1 - ((y - f) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)


def pearson(y, f):
    a, b = y - y.mean(0), f - f.mean(0)
    with np.errstate(all='ignore'):
        return np.where((b ** 2).sum(0) < 1e-24, 0, (a * b).sum(0) / np.sqrt((a ** 2).sum(0) * (b ** 2).sum(0)))


SCORE = dict(r2=r2, pearson=pearson)


def pipeline(alpha, standardize, pca):
    steps = [StandardScaler()] if standardize else []
    if pca:
        steps.append(PCA(pca if pca < 1 else int(pca), svd_solver='full'))
    return make_pipeline(*steps, LinearRegression() if alpha == 0 else Ridge(alpha=alpha, solver='svd'))


def raw_coefficients(model, p):
    """Coefficients and intercept on raw features, by probing."""
    b = model.predict(np.zeros((1, p)))[0]
    return (model.predict(np.eye(p)) - b), b


def usable(y, splits):
    """Finite, and not constant in any training or test set."""
    ok = np.isfinite(y).all(0)
    for rows in splits:
        ok &= np.ptp(np.where(np.isfinite(y[rows]), y[rows], 0), axis=0) > 0
    return ok


def case(name, x, y, alphas, outer, inner, standardize=True, pca=0, inner_score='r2', relative=False, groups=None):
    n, p = x.shape
    t = y.shape[1]
    out = {k: [] for k in ('alpha', 'pearson', 'r2', 'mse')}
    extra = {}
    plans = list(outer.split(x, groups=groups)) if outer else [(np.arange(n), np.array([], int))]
    for fold, (tr, te) in enumerate(plans):
        inners = [(tr[a], tr[b]) for a, b in inner.split(x[tr], groups=None if groups is None else groups[tr])]
        need = len(alphas) > 1 or not len(te)
        ok = usable(y, [tr] + ([te] if len(te) else []) + ([s for i in inners for s in i] if need else []))
        grid = np.array(alphas, float)
        if relative:
            z = pipeline(1, standardize, pca)[:-1].fit_transform(x[tr]) if standardize or pca else x[tr]
            grid = grid * ((z - z.mean(0)) ** 2).sum() / len(tr)
        yz = np.where(ok, y, np.arange(n)[:, None] % 2)
        score = {s: np.zeros((len(inners), len(grid), t)) for s in SCORE}
        mse = np.zeros((len(inners), len(grid), t))
        for f, (a, b) in enumerate(inners if need else []):
            for i, alpha in enumerate(grid):
                pred = pipeline(alpha, standardize, pca).fit(x[a], yz[a]).predict(x[b])
                for s in SCORE:
                    score[s][f, i] = SCORE[s](yz[b], pred)
                mse[f, i] = ((yz[b] - pred) ** 2).mean(0)
        mean = score[inner_score].mean(0)
        best = len(grid) - 1 - mean[::-1].argmax(0)
        row = {k: np.full(t, np.nan) for k in out}
        pred_out, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)
        for i in np.unique(best[ok]):
            who = ok & (best == i)
            model = pipeline(grid[i], standardize, pca).fit(x[tr], yz[tr][:, who])
            coef[:, who], icpt[who] = raw_coefficients(model, p)
            if len(te):
                pred_out[:, who] = pred = model.predict(x[te])
                row['pearson'][who], row['r2'][who] = pearson(y[te][:, who], pred), r2(y[te][:, who], pred)
                row['mse'][who] = ((y[te][:, who] - pred) ** 2).mean(0)
            else:
                for s in SCORE:
                    row[s][who] = score[s][:, i][:, who].mean(0)
                row['mse'][who] = mse[:, i][:, who].mean(0)
            row['alpha'][who] = grid[i]
        for k in out:
            out[k].append(row[k])
        if fold == 0:
            extra = dict(prediction=pred_out, coef=coef, intercept=icpt[None])
            if not len(te):
                extra['fold_r2'] = np.where(ok, np.stack([score['r2'][f, best, np.arange(t)] for f in range(len(inners))]), np.nan)
    write(name, dict(x=x, y=y, alphas=np.array(alphas, float)[None], **{k: np.array(v) for k, v in out.items()}, **extra,
                     **({} if groups is None else dict(groups=groups[None]))))


def write(name, arrays):
    with open(os.path.join(HERE, name + '.bin'), 'wb') as f:
        for k, v in arrays.items():
            v = np.ascontiguousarray(v, '<f4' if k in ('x', 'y', 'coef', 'prediction') else '<f8')
            f.write(f'{k} {v.shape[0]} {v.shape[1]} {v.itemsize}\n'.encode())
            f.write(v.tobytes())


if __name__ == '__main__':
    os.makedirs(HERE, exist_ok=True)
    k4, k3 = KFold(4), KFold(3)
    grid = np.logspace(-1, 4, 11)
    dense = np.logspace(0, 8, 40)
    case('primal', *data(88, 11, 9, 1), grid, k4, k3)
    case('primal_plain', *data(88, 11, 9, 2), grid, k4, k3, standardize=False)
    case('dual', *data(48, 90, 9, 3), grid, k4, k3)
    case('dual_plain', *data(48, 90, 9, 4), grid, k4, k3, standardize=False)
    case('dual_dense', *data(48, 90, 9, 5), dense, k4, k3, standardize=False, inner_score='pearson')
    case('primal_dense', *data(88, 11, 9, 6), dense, k4, k3, inner_score='pearson')
    case('pca_count', *data(48, 70, 9, 7), grid, k4, k3, pca=6)
    case('pca_share', *data(70, 20, 9, 8), grid, k4, k3, pca=.9)
    case('pca_relative', *data(48, 60, 9, 14), np.logspace(-4, 2, 7), k4, k3, pca=5, relative=True)
    g = np.array([3, 3, 1, 1, 1, 10, 10, 10, 2, 2, 3, 4, 4, 4, 4] * 5)
    case('groups', *data(75, 13, 9, 9), grid, LeaveOneGroupOut(), LeaveOneGroupOut(), groups=g)
    case('groups_plain', *data(75, 120, 7, 10), grid, LeaveOneGroupOut(), LeaveOneGroupOut(), groups=g, standardize=False)
    case('relative', *data(48, 60, 9, 11), np.logspace(-4, 2, 7), k4, k3, relative=True)
    case('relative_plain', *data(60, 9, 9, 15), np.logspace(-4, 2, 7), k4, k3, relative=True, standardize=False)
    case('refit_primal', *data(80, 10, 9, 12), grid, None, k4)
    case('refit_dual', *data(44, 80, 9, 13), grid, None, k4, standardize=False)
    x, y = data(70, 12, 9, 16)
    x[:, 5] = 2 * x[:, 4] - 1; x[:, 9] = x[:, 3] + x[:, 6]      # rank-deficient (to float32)
    x = x.astype('f4').astype('f8')
    case('ols_deficient', *data(70, 12, 9, 16), [0.0], k4, k3, standardize=False)
    x[:, 9] = x[:, 3]
    x[:, 5] = 2 * x[:, 4]
    case('ols_duplicate', x, y, [0.0], k4, k3)
    case('ols_wide', *data(40, 75, 9, 17), [0.0], k4, k3)
    r = np.random.default_rng(19)
    x, y = data(100, 12, 9, 18, constant=False)
    x[:, 6:] = x[:, :6] + 1e-4 * r.standard_normal((100, 6))    # nearly the same features twice
    case('ols_collinear', x.astype('f4').astype('f8'), y, [0.0], k4, k3, standardize=False)
