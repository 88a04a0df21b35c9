#!/usr/bin/python3
"""A whole encode run by scikit-learn in float64: features in one order, volumes with repeats in another, k-fold, groups,
kept and averaged repeats, missing and constant targets, PCA, least squares, concatenated leave-one-out.

Writes tests/golden/encode/: act.h5 (a DNNBrain file: layers at the root, no ids), act.stim.csv (ids of its rows),
responses.npy, responses.stim.csv, and expected.h5: CASE/LAYER/{pearson,r2,alpha}_fold (fold, target) and
CASE/LAYER/{pearson,r2} (target). The fits are Pipeline(StandardScaler, PCA, Ridge) refitted in every fold.
"""
import os
import h5py
import numpy as np
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut, LeaveOneOut
from make_ridge import SCORE, usable
import make_ridge

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'encode')
ALPHAS = np.logspace(-1, 4, 11)


class MinimumNorm:
    """Least squares. LinearRegression keeps the singular value of about 1e-15 that centred rows leave in a wide problem, and
    its R2 is then off by 1e-3; a pseudo-inverse that drops it is the minimum-norm solution."""
    def fit(self, x, y):
        self.m, self.s, self.b = x.mean(0), np.where(x.std(0) > 1e-12, x.std(0), 1), y.mean(0)
        self.w = np.linalg.pinv((x - self.m) / self.s, rcond=1e-10) @ (y - self.b)
        return self

    def predict(self, x):
        return (x - self.m) / self.s @ self.w + self.b


def pipeline(alpha, standardize, pca):
    return MinimumNorm() if alpha == 0 else make_ridge.pipeline(alpha, standardize, pca)


def make_data():
    r = np.random.default_rng(7)
    store = [f'im{i:03d}.png' for i in r.permutation(56)]           # rows of the store; some are never shown
    shown = [f'im{i:03d}.png' for i in range(4, 52)]                # 48 stimuli
    hidden = r.standard_normal((len(store), 6))
    layers = {
        'conv': hidden @ r.standard_normal((6, 20)) + .6 * r.standard_normal((len(store), 20)),
        'fc': hidden ** 2 @ r.standard_normal((6, 90)) + .8 * r.standard_normal((len(store), 90)),
    }
    layers['conv'][:, 3] = 2.5                                       # a feature that never varies
    layers = {k: (v * r.uniform(.3, 5, v.shape[1]) + 3 * r.standard_normal(v.shape[1])).astype('f4') for k, v in layers.items()}
    session_of = {s: i // 12 + 1 for i, s in enumerate(shown)}      # 4 sessions; repeats stay in theirs
    volumes = []
    for s in range(1, 5):
        mine = [x for x in shown if session_of[x] == s]
        volumes += mine + list(r.choice(mine, 8, replace=False))
    row = {s: i for i, s in enumerate(store)}
    z = hidden[[row[v] for v in volumes]]
    y = z @ r.standard_normal((6, 12)) * np.linspace(0, 1.2, 12) + r.standard_normal((len(volumes), 12)) + 20 * r.standard_normal(12)
    y[11, 3] = np.nan
    y[:, 5] = 4
    y[:, 7] = np.where([session_of[v] == 1 for v in volumes], 1, y[:, 7])   # constant in a test fold
    return store, layers, volumes, [session_of[v] for v in volumes], y.astype('f4')


def kfold_of_units(labels, k):
    """KFold over distinct stimuli in order of first appearance; rows follow their stimulus."""
    order = list(dict.fromkeys(labels))
    for _, test in KFold(k).split(order):
        held = {order[i] for i in test}
        mask = np.array([x in held for x in labels])
        yield np.flatnonzero(~mask), np.flatnonzero(mask)


def fit_case(x, y, outer, inner, alphas=ALPHAS, pca=0, inner_score='r2', standardize=True):
    """outer: list of (train, test); inner(rows) → list of (train, test) of positions in rows."""
    t = y.shape[1]
    out = {s: [] for s in ('pearson', 'r2', 'alpha')}
    held = np.full(y.shape, np.nan)
    truth = np.full(y.shape, np.nan)
    for tr, te in outer:
        inners = [(tr[a], tr[b]) for a, b in inner(tr)] if len(alphas) > 1 else []
        ok = usable(y, [tr] + ([te] if len(te) > 1 else []) + [s for i in inners for s in i])
        yz = np.where(ok, y, np.arange(len(y))[:, None] % 2)
        mean = np.zeros((len(alphas), t))
        for a, b in inners:
            for i, alpha in enumerate(alphas):
                mean[i] += SCORE[inner_score](yz[b], pipeline(alpha, standardize, pca).fit(x[a], yz[a]).predict(x[b])) / len(inners)
        best = len(alphas) - 1 - mean[::-1].argmax(0)
        row = {s: np.full(t, np.nan) for s in out}
        for i in np.unique(best[ok]):
            who = ok & (best == i)
            pred = pipeline(alphas[i], standardize, pca).fit(x[tr], yz[tr][:, who]).predict(x[te])
            if len(te) > 1:
                for s in SCORE:
                    row[s][who] = SCORE[s](y[te][:, who], pred)
            m, sd = y[tr][:, who].mean(0), y[tr][:, who].std(0)
            held[np.ix_(te, np.flatnonzero(who))] = (pred - m) / sd
            truth[np.ix_(te, np.flatnonzero(who))] = (y[te][:, who] - m) / sd
            row['alpha'][who] = alphas[i]
        for s in out:
            out[s].append(row[s])
    return {s: np.array(v) for s, v in out.items()}, truth, held


def put(h, case, layer, folds, weights=None):
    g = h.require_group(f'{case}/{layer}')
    for s, v in folds.items():
        g[f'{s}_fold'] = v
        if s != 'alpha':
            g[s] = np.average(v, axis=0, weights=weights)


def main():
    os.makedirs(HERE, exist_ok=True)
    store, layers, volumes, sessions, y = make_data()
    with h5py.File(f'{HERE}/act.h5', 'w') as h:
        for name, v in layers.items():
            h[name] = v.reshape(len(v), -1, 1, 1) if name == 'fc' else v.reshape(len(v), 5, 2, 2)
    with open(f'{HERE}/act.stim.csv', 'w') as f:
        f.write('type=image\npath=.\ndata=stimID\n' + ''.join(f'{s}\n' for s in store))
    with open(f'{HERE}/responses.stim.csv', 'w') as f:
        f.write('type=image\npath=.\ndata=stimID,session,part\n')
        for i, (v, s) in enumerate(zip(volumes, sessions)):
            f.write(f'{v},{s},{"test" if s == 3 else "train"}\n')
    np.save(f'{HERE}/responses.npy', y)

    row = {s: i for i, s in enumerate(store)}
    y = y.astype('f8')
    unique = list(dict.fromkeys(volumes))
    average = np.array([y[[i for i, v in enumerate(volumes) if v == u]].mean(0) for u in unique])
    group_of = dict(zip(volumes, sessions))
    groups = np.array([group_of[u] for u in unique])
    with h5py.File(f'{HERE}/expected.h5', 'w') as h:
        for name, v in layers.items():
            x = v.astype('f8')[[row[u] for u in unique]]
            xv = v.astype('f8')[[row[u] for u in volumes]]
            k4 = list(KFold(4).split(x))
            k3 = lambda tr: KFold(3).split(tr)
            put(h, 'kfold', name, fit_case(x, average, k4, k3)[0])
            put(h, 'plain_pearson', name, fit_case(x, average, k4, k3, inner_score='pearson', standardize=False)[0])
            put(h, 'pca', name, fit_case(x, average, k4, k3, pca=5)[0])
            put(h, 'ols', name, fit_case(x, average, k4, k3, alphas=[0.0])[0])
            k5 = list(KFold(5).split(x))
            put(h, 'weighted', name, fit_case(x, average, k5, k3)[0], weights=[len(te) for _, te in k5])
            labels = np.array(volumes)
            put(h, 'keep', name, fit_case(xv, y, list(kfold_of_units(volumes, 4)), lambda tr: kfold_of_units(labels[tr], 3))[0])
            logo = LeaveOneGroupOut()
            put(h, 'group', name, fit_case(x, average, list(logo.split(x, groups=groups)), lambda tr: logo.split(tr, groups=groups[tr]))[0])
            two = list(GroupKFold(2).split(x, groups=groups))
            put(h, 'group_kfold', name, fit_case(x, average, two, lambda tr: GroupKFold(2).split(tr, groups=groups[tr]))[0])
            split = [(np.flatnonzero(groups != 3), np.flatnonzero(groups == 3))]
            put(h, 'split', name, fit_case(x, average, split, k3)[0])
            _, truth, held = fit_case(x, average, list(LeaveOneOut().split(x)), k3, alphas=ALPHAS[::3])
            for s in SCORE:
                h[f'loo_concat/{name}/{s}'] = SCORE[s](truth, held)


if __name__ == '__main__':
    main()
