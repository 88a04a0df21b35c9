#!/usr/bin/python3
"""Reference of the best single unit by numpy in float64: for every target and outer fold numpy.corrcoef with each unit
over the training rows, the greatest (absolute) one, numpy.polyfit on it, scored on the test rows.

Writes tests/golden/univariate/CASE.bin in the records of make_ridge.py. usage: make_univariate.py [CASE …]
"""
import os
import sys

import make_ridge
import numpy as np
from make_ridge import data, pearson, r2, usable, write
from sklearn.model_selection import KFold

make_ridge.HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'univariate')


def fit(x, y, tr, absolute):
    """unit, correlation, slope, intercept"""
    best, top = None, -np.inf
    for j in range(x.shape[1]):
        if np.ptp(x[tr, j]) == 0:
            continue
        r = np.corrcoef(x[tr, j], y[tr])[0, 1]
        if (abs(r) if absolute else r) > top:
            best, top = (j, r), abs(r) if absolute else r
    slope, level = np.polyfit(x[tr, best[0]], y[tr], 1)
    return *best, slope, level


def case(name, x, y, outer, absolute=True, scaled=False, inner=None):
    if len(sys.argv) > 1 and name not in sys.argv:
        return
    n, p = x.shape
    t = y.shape[1]
    out = {k: [] for k in ('unit', 'correlation', 'pearson', 'r2', 'mse')}
    extra = {}
    plans = list(outer.split(x)) if outer else [(np.arange(n), np.array([], int))]
    for fold, (tr, te) in enumerate(plans):
        inners = list(inner.split(x)) if inner else []
        ok = usable(y, [tr] + ([te] if len(te) else []) + [s for i in inners for s in i])
        row = {k: np.full(t, np.nan) for k in out}
        prediction, coef, icpt = np.full((len(te), t), np.nan), np.full((p, t), np.nan), np.full(t, np.nan)

        def scores(f, y_te, sd):
            return dict(pearson=pearson(y_te[:, None], f[:, None])[0], r2=r2(y_te[:, None], f[:, None])[0],
                        mse=((y_te - f) ** 2).mean() / sd ** 2)
        for k in np.flatnonzero(ok):
            unit, r, slope, level = fit(x, y[:, k], tr, absolute)
            sd = y[tr, k].std() if scaled else 1
            row['unit'][k], row['correlation'][k] = unit, r
            coef[:, k], coef[unit, k], icpt[k] = 0, slope, level
            all_scores = []
            for a, b in [(tr, te)] if len(te) else inners:
                unit, r, slope, level = fit(x, y[:, k], a, absolute)
                f = x[b, unit] * slope + level
                if len(te):
                    prediction[:, k] = f
                all_scores.append(scores(f, y[b, k], sd))
            for s in ('pearson', 'r2', 'mse'):
                row[s][k] = np.mean([v[s] for v in all_scores])
        for key in out:
            out[key].append(row[key])
        if fold == 0:
            sd = y[tr].std(0) if scaled else 1
            mean = y[tr].mean(0) if scaled else 0
            extra = dict(coef=coef / sd, intercept=((icpt - mean) / sd)[None])
            if len(te):
                extra['prediction'] = (prediction - mean) / sd
    write(name, dict(x=x, y=y, **{k: np.array(v) for k, v in out.items()}, **extra))


if __name__ == '__main__':
    os.makedirs(make_ridge.HERE, exist_ok=True)
    k4, k3 = KFold(4), KFold(3)
    case('narrow', *data(88, 11, 9, 31), k4)
    case('wide', *data(48, 90, 9, 32), k4)
    case('signed', *data(48, 90, 9, 33), k4, absolute=False)
    case('scaled', *data(60, 40, 9, 34), k4, scaled=True)
    case('all_rows', *data(60, 40, 9, 35), None, inner=k3, scaled=True)
