#!/usr/bin/python3
"""Whole encode runs over further cross-validation schemes, with every score and noise ceiling, by scikit-learn, scipy and
numpy in float64, on the data of make_encode.py.

Writes tests/golden/encode_cv/: folds.tsv, numbers.tsv (fold files), subject{1,2}.npy and .stim.csv (other subjects), and
expected.h5: CASE/LAYER/{pearson,r2,explained_variance,mse,spearman,alpha}_fold (fold, target),
CASE/LAYER/{pearson,r2,explained_variance}_normalized (target), noise_ceiling/NAME (target).
"""
import os
import h5py
import numpy as np
from scipy.stats import spearmanr, zscore
from sklearn.metrics import explained_variance_score, mean_squared_error, r2_score
from sklearn.model_selection import KFold, LeaveOneGroupOut, StratifiedKFold
from make_encode import ALPHAS, make_data
from make_ridge import pearson, pipeline

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'encode_cv')


def each(function):
    return lambda y, f: np.array([function(a, b) for a, b in zip(y.T, f.T)])


SCORES = dict(pearson=pearson, r2=each(r2_score), explained_variance=each(explained_variance_score),
              mse=each(mean_squared_error), spearman=each(lambda a, b: spearmanr(a, b)[0]))


def purged(splits, gap, run=None):
    """Training rows that lie further than `gap` rows from every test row of their run."""
    for tr, te in splits:
        near = (np.abs(tr[:, None] - te) <= gap) & (True if run is None else run[tr][:, None] == run[te])
        yield tr[~near.any(1)], te


def fit_case(x, y, outer, inner, standardize=True):
    """outer: (train, test) of rows; inner(train) → list of (train, test) of rows."""
    t = y.shape[1]
    out = {s: [] for s in (*SCORES, 'alpha')}
    for tr, te in outer:
        inners = list(inner(tr))
        ok = np.isfinite(y[np.r_[tr, te]]).all(0)
        for rows in [tr, te] + [s for i in inners for s in i]:
            ok &= np.ptp(np.where(np.isfinite(y[rows]), y[rows], 0), axis=0) > 0
        yz = np.where(ok, y, np.arange(len(y))[:, None] % 2)
        mean = np.zeros((len(ALPHAS), t))
        for a, b in inners:
            for i, alpha in enumerate(ALPHAS):
                mean[i] += SCORES['r2'](yz[b], pipeline(alpha, standardize, 0).fit(x[a], yz[a]).predict(x[b])) / len(inners)
        best = len(ALPHAS) - 1 - mean[::-1].argmax(0)
        row = {s: np.full(t, np.nan) for s in out}
        for i in np.unique(best[ok]):
            who = ok & (best == i)
            pred = pipeline(ALPHAS[i], standardize, 0).fit(x[tr], yz[tr][:, who]).predict(x[te])
            for s in SCORES:
                row[s][who] = SCORES[s](y[te][:, who], pred)
            row['mse'][who] /= y[tr][:, who].var(0)             # in deviations of the training rows
            row['alpha'][who] = ALPHAS[i]
        for s in out:
            out[s].append(row[s])
    return {s: np.array(v) for s, v in out.items()}


def ceilings(volumes, y, unique, keep):
    volumes = np.array(volumes)
    rows = [np.flatnonzero(volumes == u) for u in unique]
    pairs = [r for r in rows if len(r) == 2]
    with np.errstate(all='ignore'):
        half = np.array([np.corrcoef(c[[p[0] for p in pairs]], c[[p[1] for p in pairs]])[0, 1] for c in y.T])
        z = zscore(y)
        noise = np.mean([z[p].var(0, ddof=1) for p in pairs], axis=0)
        snr = np.sqrt(np.maximum(0, 1 - noise)) / np.sqrt(noise)
    presentations = 1 if keep else 1 / np.mean([1 / len(r) for r in rows])
    return dict(reliability=2 * half / (1 + half), pearson=np.sqrt(np.maximum(0, 2 * half / (1 + half))), ncsnr=snr,
                nc=100 * snr ** 2 / (snr ** 2 + 1 / presentations),
                row_reliability=presentations * half / (1 + (presentations - 1) * half))    # half is that of one volume


def other_subjects(unique, average):
    """Two subjects with the same signal in other units, other orders, other repeats, and stimuli of their own."""
    r = np.random.default_rng(11)
    z = [zscore(average)]
    for s in (1, 2):
        ids = list(r.permutation(unique + ['own1.png', 'own2.png'] + list(r.choice(unique, 10))))
        signal = dict(zip(unique, np.nan_to_num(average - np.nanmean(average, axis=0))))
        y = np.array([3 * s * (signal.get(i, 0) + 2 * r.standard_normal(average.shape[1])) + 7 for i in ids], 'f4')
        if s == 2:
            y[:, 4] = 1                                         # constant in this subject
        np.save(f'{HERE}/subject{s}.npy', y)
        with open(f'{HERE}/subject{s}.stim.csv', 'w') as f:
            f.write('type=image\npath=.\ndata=stimID\n' + ''.join(f'{i}\n' for i in ids))
        mine = np.array([y[[k for k, i in enumerate(ids) if i == u]].astype('f8').mean(0) for u in unique])
        with np.errstate(all='ignore'):
            z.append(zscore(mine))
    with np.errstate(all='ignore'):
        corr = lambda a, b: np.array([np.corrcoef(p, q)[0, 1] for p, q in zip(a.T, b.T)])
        return dict(between_lower=corr(average, (z[1] + z[2]) / 2), between_upper=corr(average, (z[0] + z[1] + z[2]) / 3))


def write_folds(unique):
    """Three folds by id, in another order than the responses; some stimuli in neither part of a fold."""
    r = np.random.default_rng(3)
    word = r.choice(4 * ['train'] + ['test', ''], (len(unique), 3))
    number = r.integers(-1, 3, len(unique))
    order = r.permutation(len(unique))
    with open(f'{HERE}/folds.tsv', 'w') as f:
        f.write('stimulus\ta\tb\tc\n' + ''.join('\t'.join([unique[i], *word[i]]) + '\n' for i in order))
    with open(f'{HERE}/numbers.tsv', 'w') as f:
        f.write('stimID\tfold\n' + ''.join(f'{unique[i]}\t{number[i]}\n' for i in order))
    return ([(np.flatnonzero(w == 'train'), np.flatnonzero(w == 'test')) for w in word.T],
            [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(3)])


def main():
    os.makedirs(HERE, exist_ok=True)
    store, layers, volumes, sessions, y = make_data()
    y = y.astype('f8')
    unique = list(dict.fromkeys(volumes))
    average = np.array([y[[i for i, v in enumerate(volumes) if v == u]].mean(0) for u in unique])
    of = dict(zip(volumes, sessions))
    session = np.array([of[u] for u in unique])
    row = {s: i for i, s in enumerate(store)}
    by_word, by_number = write_folds(unique)

    def sub(splitter, gap=0, labels=None):
        def split(tr):
            own = None if labels is None else labels[tr]
            return purged(((tr[a], tr[b]) for a, b in splitter.split(tr, own, own)), gap) if gap else (
                (tr[a], tr[b]) for a, b in splitter.split(tr, own, own))
        return split

    k4, k3 = KFold(4), sub(KFold(3))
    logo = sub(LeaveOneGroupOut(), labels=session)
    with h5py.File(f'{HERE}/expected.h5', 'w') as h:
        for name, values in ceilings(volumes, y, unique, False).items():
            h[f'noise_ceiling/{name}'] = values
        h['noise_ceiling_keep/row_reliability'] = ceilings(volumes, y, unique, True)['row_reliability']
        h['noise_ceiling_keep/nc'] = ceilings(volumes, y, unique, True)['nc']
        for name, values in other_subjects(unique, average).items():
            h[f'noise_ceiling/{name}'] = values
        reliability = h['noise_ceiling/row_reliability'][:]
        for layer, v in layers.items():
            x = v.astype('f8')[[row[u] for u in unique]]
            cases = dict(
                stratify=(StratifiedKFold(4).split(x, session), sub(StratifiedKFold(3), labels=session)),
                split_half=(KFold(2).split(x), k3),
                file=(by_word, k3),
                file_numbers=(by_number, k3),
                file_group=(purged(by_word, 1, session), logo),
                split_group=([(np.flatnonzero(session != 3), np.flatnonzero(session == 3))], logo),
                purge=(purged(k4.split(x), 2), sub(KFold(3), gap=2)),
                purge_plain=(purged(k4.split(x), 2), sub(KFold(3), gap=2), False))
            for case, arguments in cases.items():
                folds = fit_case(x, average, *arguments)
                for s, values in folds.items():
                    h[f'{case}/{layer}/{s}_fold'] = values
                for s in ('pearson', 'r2', 'explained_variance'):
                    with np.errstate(all='ignore'):
                        ceiling = np.sqrt(np.maximum(0, reliability)) if s == 'pearson' else reliability
                        h[f'{case}/{layer}/{s}_normalized'] = np.where(ceiling >= .3, folds[s].mean(0) / ceiling, np.nan)


if __name__ == '__main__':
    main()
