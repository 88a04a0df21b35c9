#!/usr/bin/python3
"""Reference of alphas chosen without inner folds, in float64: leave-one-out by scikit-learn's RidgeCV (alpha_per_target,
behind StandardScaler and PCA of all training rows; both gcv_modes must agree, and so must a refit without each row), and
generalised cross-validation by the hat matrix as numpy inverts it.

Writes tests/golden/ridge/{loo,gcv}_*.bin in the records of make_ridge.py. usage: make_selection.py
"""
import numpy as np
from make_ridge import SCORE, data, pearson, pipeline, r2, raw_coefficients, usable, write
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import KFold


def left_out(z, y, alpha):
    """Predictions of each row by Ridge fitted without it."""
    out = np.empty_like(y)
    for i in range(len(z)):
        rest = np.arange(len(z)) != i
        out[i] = Ridge(alpha=alpha, solver='cholesky' if z.shape[1] < len(z) else 'svd').fit(z[rest], y[rest]).predict(z[i:i + 1])
    return out


def loo_alphas(z, y, grid, inner_score):
    best = []
    for mode in ('svd', 'eigen'):
        scoring = None if inner_score == 'r2' else make_scorer(lambda a, b: pearson(a[:, None], b[:, None])[0])
        cv = RidgeCV(grid, alpha_per_target=True, gcv_mode=mode, scoring=scoring).fit(z, y)
        best.append(np.searchsorted(grid, cv.alpha_))
    assert (best[0] == best[1]).all(), best
    scores = np.array([SCORE[inner_score](y, left_out(z, y, a)) for a in grid])
    assert (scores.argmax(0) == best[0]).all()
    return best[0]


def gcv_alphas(z, y, grid):
    n = len(z)
    c = z - z.mean(0)
    gcv = []
    for a in grid:
        if z.shape[1] < n:
            h = c @ np.linalg.inv(c.T @ c + a * np.eye(z.shape[1])) @ c.T
        else:
            h = c @ c.T @ np.linalg.inv(c @ c.T + a * np.eye(n))
        h += 1 / n
        gcv.append(n * ((y - h @ y) ** 2).sum(0) / (n - np.trace(h)) ** 2)
    return np.array(gcv).argmin(0)


def case(name, x, y, grid, outer, standardize=True, pca=0, inner_score='r2'):
    n, p = x.shape
    t = y.shape[1]
    out = {k: [] for k in ('alpha', 'pearson', 'r2', 'mse')}
    extra = {}
    plans = list(outer.split(x)) if outer else [(np.arange(n), np.array([], int))]
    for fold, (tr, te) in enumerate(plans):
        ok = usable(y, [tr] + ([te] if len(te) else []))
        steps = pipeline(1, standardize, pca)[:-1]
        z = steps.fit_transform(x[tr]) if len(steps) else x[tr]
        yt = y[tr][:, ok]
        best = np.zeros(t, int)
        best[ok] = gcv_alphas(z, yt, grid) if name.startswith('gcv') else loo_alphas(z, yt, grid, inner_score)
        row = {k: np.full(t, np.nan) for k in out}
        pred_out, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)
        for i in np.unique(best[ok]):
            who = ok & (best == i)
            model = pipeline(grid[i], standardize, pca).fit(x[tr], y[tr][:, who])
            coef[:, who], icpt[who] = raw_coefficients(model, p)
            pred = model.predict(x[te]) if len(te) else left_out(z, y[tr][:, who], grid[i])
            truth = y[te if len(te) else tr][:, who]
            if len(te):
                pred_out[:, who] = pred
            row['pearson'][who], row['r2'][who] = pearson(truth, pred), r2(truth, pred)
            row['mse'][who] = ((truth - pred) ** 2).mean(0)
            row['alpha'][who] = grid[i]
        for k in out:
            out[k].append(row[k])
        if fold == 0:
            extra = dict(prediction=pred_out, coef=coef, intercept=icpt[None])
    print(name, np.array(out['alpha'])[0])
    write(name, dict(x=x, y=y, alphas=np.array(grid)[None], **{k: np.array(v) for k, v in out.items()}, **extra))


if __name__ == '__main__':
    k3 = KFold(3)
    grid = np.logspace(-1, 4, 11)
    case('loo_primal', *data(60, 11, 9, 31), grid, k3)
    case('loo_primal_plain', *data(60, 11, 9, 32), grid, k3, standardize=False, inner_score='pearson')
    case('loo_dual', *data(48, 90, 9, 33), grid, k3)
    case('loo_dual_plain', *data(48, 90, 9, 34), grid, k3, standardize=False, inner_score='pearson')
    case('loo_pca', *data(48, 70, 9, 35), grid, k3, pca=6)
    x, y = data(48, 70, 9, 36, constant=False)
    y = x @ np.random.default_rng(36).standard_normal((70, 9)) + .01 * y
    case('loo_small', x, y.astype('f4').astype('f8'), np.logspace(-4, 2, 5), k3)      # leverages near 1
    x, y = data(48, 70, 9, 37)
    x[24:32] = x[:8]                                                    # stimuli shown twice
    case('loo_twice', x, y, grid, k3)
    case('loo_refit', *data(44, 80, 9, 38), grid, None, standardize=False)
    case('gcv_primal', *data(60, 11, 9, 39), grid, k3)
    case('gcv_dual', *data(48, 90, 9, 40), grid, k3, standardize=False)
    case('gcv_pca', *data(48, 70, 9, 41), grid, k3, pca=6)
    case('gcv_refit', *data(60, 11, 9, 42), grid, None)
