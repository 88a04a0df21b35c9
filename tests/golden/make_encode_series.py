#!/usr/bin/python3
"""Encoding of time series by numpy and scikit-learn in float64: runs detrended by least squares on Legendre polynomials or
on a DCT basis (as SPM's spm_filter and nilearn's _cosine_drift define it), z-scored, trimmed; features delayed within runs;
ridge with leave-one-run-out.

Writes tests/golden/encode_series/: act.h5 (a row a volume, shuffled) with act.stim.csv, bold.npy, volumes.stim.csv,
movie.stim.csv (two runs of one movie), and expected.h5: CASE/LAYER/{pearson,r2,alpha}_fold (fold, target), CASE/y (row,
target), movie/noise_ceiling/NAME (target).
"""
import os
import h5py
import numpy as np
from numpy.polynomial.legendre import legvander
from scipy.stats import zscore
from sklearn.model_selection import KFold, LeaveOneGroupOut
from make_cv import ceilings, fit_case

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'encode_series')
TR, TARGETS = 2., 12
LENGTHS = {'2': 44, '10': 38, '1': 50}                           # in the order of the scan
MOVIE = {'a1': 38, 'a2': 38, 'b': 56}


def legendre(n, order):
    return legvander(np.linspace(-1, 1, n), order)


def cosine_drift(n, high_pass):
    """nilearn.glm.first_level.design_matrix._cosine_drift, constant included."""
    order = min(n - 1, int(np.floor(2 * n * high_pass * TR)))
    t = np.arange(n)
    return np.stack([np.cos(np.pi / n * (t + .5) * k) for k in range(order + 1)], 1)


def clean(y, basis, z):
    """One run; with a NaN all of it is NaN."""
    if basis is None and z:
        basis = legendre(len(y), 0)
    if basis is None:
        return y
    holes = np.isnan(y).any(0)
    y = y - basis @ np.linalg.lstsq(basis, np.where(np.isnan(y), 0, y), rcond=None)[0]
    y[:, np.abs(y).max(0) < 1e-9] = 0                             # nothing but drift
    if z:
        y = y / np.where(y.std(0) == 0, 1, y.std(0))
    y[:, holes] = np.nan
    return y


def process(y, run, basis=lambda n: None, z=False, trim=(0, 0)):
    """Cleaned volumes, and which are kept."""
    out, keep = np.empty_like(y), np.zeros(len(y), bool)
    for label in dict.fromkeys(run):
        rows = np.flatnonzero(run == label)
        out[rows] = clean(y[rows], basis(len(rows)), z)
        keep[rows[trim[0]:len(rows) - trim[1]]] = True
    return out, keep


def delayed(x, run, delays):
    out = np.zeros((len(delays), *x.shape))
    for label in dict.fromkeys(run):
        rows = np.flatnonzero(run == label)
        for b, d in enumerate(delays):
            out[b, rows[d:]] = x[rows[:len(rows) - d]]
    return np.concatenate(list(out), 1)


def make_data():
    r = np.random.default_rng(23)
    run = np.repeat(list(LENGTHS), list(LENGTHS.values()))
    n = len(run)
    smooth = lambda p: np.apply_along_axis(np.convolve, 0, r.standard_normal((n, p)), [.5, 1, .5], 'same')
    layers = {'conv': smooth(12).reshape(n, 3, 2, 2).astype('f4'), 'fc': smooth(60).astype('f4')}
    flat = {k: v.reshape(n, -1).astype('f8') for k, v in layers.items()}
    signal = zscore(delayed(flat['conv'], run, (1, 2, 3)) @ r.standard_normal((36, TARGETS)))
    time = np.concatenate([np.linspace(-1, 1, k) for k in LENGTHS.values()])
    drift = sum(np.outer(time ** k * (1 + (run == '10')), 4 * r.standard_normal(TARGETS)) for k in (1, 2))
    y = (300 + 20 * (run == '1')[:, None] + drift + signal + r.standard_normal((n, TARGETS))).astype('f4')
    y[:, 3] = 5
    y[60, 5] = np.nan                                             # in run 10
    return run, layers, y


def write(run, layers, y):
    n = len(run)
    r = np.random.default_rng(4)
    order = r.permutation(n)
    with h5py.File(f'{HERE}/act.h5', 'w') as h:
        for name, v in layers.items():
            h[name] = v[order].reshape(n, *v.shape[1:], *(1,) * (4 - v.ndim))
    movie_run = np.repeat(list(MOVIE), list(MOVIE.values()))
    movie = np.where(movie_run == 'a2', np.arange(n) - MOVIE['a1'], np.arange(n))   # the second showing of the first film
    with open(f'{HERE}/act.stim.csv', 'w') as f:
        f.write('type=image\npath=.\ndata=stimID\n' + ''.join(f'v{i:03}\n' for i in order))
    with open(f'{HERE}/volumes.stim.csv', 'w') as f:
        f.write('type=image\npath=.\ndata=stimID,run\n' + ''.join(f'v{i:03},{run[i]}\n' for i in range(n)))
    with open(f'{HERE}/movie.stim.csv', 'w') as f:
        f.write('type=image\npath=.\ndata=stimID,run,part\n' + ''.join(
            f'v{movie[i]:03},{movie_run[i]},{"train" if movie_run[i] == "b" else "test"}\n' for i in range(n)))
    np.save(f'{HERE}/bold.npy', y)
    return movie_run, movie


def main():
    os.makedirs(HERE, exist_ok=True)
    run, layers, y = make_data()
    movie_run, movie = write(run, layers, y)
    y = y.astype('f8')
    flat = {k: v.reshape(len(run), -1).astype('f8') for k, v in layers.items()}
    polynomial = lambda order: lambda n: legendre(n, order)
    cases = dict(polynomial=(dict(basis=polynomial(2), z=True, trim=(3, 2)), None),
                 mean=(dict(basis=polynomial(0)), None),
                 cosine=(dict(basis=lambda n: cosine_drift(n, 1 / 40), trim=(2, 2)), (1, 2, 3)),
                 zscore=(dict(z=True), (2,)),
                 delays=(dict(trim=(4, 0)), (0, 5, 2)))
    with h5py.File(f'{HERE}/expected.h5', 'w') as h:
        for name, (how, delays) in cases.items():
            cleaned, keep = process(y, run, **how)
            h[f'{name}/y'] = cleaned[keep]
            group = run[keep].astype(int)
            logo = LeaveOneGroupOut()
            for layer, x in flat.items():
                x = (x if delays is None else delayed(x, run, delays))[keep]
                folds = fit_case(x, cleaned[keep], logo.split(x, groups=group),
                                 lambda tr: [(tr[a], tr[b]) for a, b in logo.split(tr, groups=group[tr])])
                for s in ('pearson', 'r2', 'alpha'):
                    h[f'{name}/{layer}/{s}_fold'] = folds[s]
        cleaned, keep = process(y, movie_run, basis=polynomial(1), z=True, trim=(1, 3))
        unique = list(dict.fromkeys(movie[keep]))
        average = np.array([cleaned[keep & (movie == u)].mean(0) for u in unique])
        h['movie/y'] = average
        for key, values in ceilings(movie[keep], cleaned[keep], unique, False).items():
            h[f'movie/noise_ceiling/{key}'] = values
        film = np.array([movie_run[np.flatnonzero(movie == u)[0]] for u in unique])
        train, test = np.flatnonzero(film == 'b'), np.flatnonzero(film != 'b')
        for layer, x in flat.items():
            x = delayed(x[movie], movie_run, (1, 2, 3))[[np.flatnonzero(movie == u)[0] for u in unique]]
            folds = fit_case(x, average, [(train, test)], lambda tr: [(tr[a], tr[b]) for a, b in KFold(3).split(tr)])
            for s in ('pearson', 'r2', 'alpha'):
                h[f'movie/{layer}/{s}_fold'] = folds[s]


if __name__ == '__main__':
    main()
