#!/usr/bin/env python3
"""Reference values of HRFs, convolution and detrending: numpy and scipy in float64, from the published definitions.

    python3 tests/golden/make_series.py     # writes tests/golden/series.txt

HRFs: spm_hrf with its default parameters, and Glover (1999) with n = 6, 12, t = 0.9, ratio 0.35; both cut at 32 s and
scaled to an integral of 1, here by the trapezoid rule on a fine grid. Convolution: brute force, sample by sample.
Detrending: numpy.polyfit; regressors of the DCT-II as spm_dctmtx, by numpy.linalg.lstsq.
"""
import os

import numpy as np
from scipy import stats

HERE = os.path.dirname(os.path.abspath(__file__))
DT = 1e-3
T = np.arange(0, 32 + DT / 2, DT)


def spm(t, onset=0., width=1.):
    h = stats.gamma.pdf(t - onset, 6 / width, scale=width) - stats.gamma.pdf(t - onset, 16) / 6
    return np.where(t <= 32, h, 0) / np.trapz(stats.gamma.pdf(T - onset, 6 / width, scale=width)
                                              - stats.gamma.pdf(T - onset, 16) / 6, T)


def glover(t, onset=0., width=1.):
    def g(s, n, tau, w=1.):
        s = np.maximum(s, 0)
        if w == 1:
            return (s / (n * tau)) ** n * np.exp(n - s / tau)
        peak = stats.gamma.pdf(n * tau, n + 1, scale=tau)    # the area stays that of the undilated
        return stats.gamma.pdf(s, (n + 1) / w, scale=tau * w) / peak

    def raw(s):
        return g(s - onset, 6, .9, width) - .35 * g(s - onset, 12, .9)
    return np.where((t <= 32) & (t >= 0), raw(t), 0) / np.trapz(raw(T), T)


def bases(h):
    return [h(T), h(T) - h(T, onset=1.), (h(T) - h(T, width=1.01)) / .01]


def brute(kernel, events, times):
    """Σ over events ∫ kernel(t - s) ds over the event, by midpoints; an impulse has an area of 1 s."""
    out = np.zeros(len(times))
    for i, t in enumerate(times):
        for onset, duration, amplitude in events:
            if duration == 0:
                out[i] += amplitude * np.interp(t - onset, T, kernel, left=0, right=0)
                continue
            m = int(round(duration / DT))
            for s in range(m):
                lag = t - (onset + (s + .5) * duration / m)
                if 0 <= lag <= 32:
                    out[i] += amplitude * duration / m * np.interp(lag, T, kernel)
    return out


def fir(delay, events, tr, volumes):
    out = np.zeros(volumes)
    grid = np.arange(-20, volumes * tr + 20, DT) + DT / 2
    boxcar = np.zeros(len(grid))
    for onset, duration, amplitude in events:
        if duration == 0:
            boxcar[np.searchsorted(grid, onset)] += amplitude / DT
        else:
            boxcar += amplitude * ((grid >= onset) & (grid < onset + duration))
    for v in range(volumes):
        t = v * tr - delay * tr
        out[v] = boxcar[(grid >= t) & (grid < t + tr)].sum() * DT / tr
    return out


def write(file, name, a):
    a = np.atleast_2d(a)
    file.write(f'{name} {a.shape[0]} {a.shape[1]}\n')
    for row in a:
        file.write(' '.join(f'{v:.12g}' for v in row) + '\n')


def main():
    r = np.random.default_rng(5)
    with open(os.path.join(HERE, 'series.txt'), 'w') as f:
        t = np.array([-1, 0, .1, .5, 1, 2, 3.3, 5, 5.4, 6, 8, 10, 12.5, 15, 18, 20, 25, 30, 31.9, 32.5, 40])
        write(f, 't', t)
        events = np.array([[-3, 2, 1], [.29, 1.5, 1], [1, 1.5, -.5], [4, 0, 2], [7.25, 3, 1], [20, .1, 3], [44, 40, 1]])
        write(f, 'events', events)
        tr, volumes = 1.5, 60
        for name, h in (('spm', spm), ('glover', glover)):
            write(f, name, h(t))
            for part, kernel in zip(('hrf', 'time', 'dispersion'), bases(h)):
                cumulative = np.concatenate([[0], np.cumsum((kernel[1:] + kernel[:-1]) / 2 * DT)])
                if part == 'hrf':
                    write(f, name + '_integral', np.interp(t, T, cumulative))
                write(f, f'{name}_{part}_start', brute(kernel, events, np.arange(volumes) * tr))
                write(f, f'{name}_{part}_middle', brute(kernel, events, (np.arange(volumes) + .5) * tr))
        for delay in (0, 1, 4):
            write(f, f'fir_{delay}', fir(delay, events, tr, volumes))
        n, tr = 75, 2.
        y = (100 + np.cumsum(r.standard_normal((n, 4)), 0) + np.linspace(-20, 5, n)[:, None]).astype('f4').astype('f8')
        write(f, 'y', y)
        x = np.arange(n)
        write(f, 'linear', y - np.stack([np.polyval(np.polyfit(x, c, 1), x) for c in y.T], 1))
        write(f, 'cubic', y - np.stack([np.polyval(np.polyfit(x - n / 2, c, 3), x - n / 2) for c in y.T], 1))
        k = int(np.floor(2 * n * tr / 60 + 1))
        dct = np.cos(np.pi * np.outer(2 * x + 1, np.arange(k)) / (2 * n))
        cosine = y - dct @ np.linalg.lstsq(dct, y, rcond=None)[0]
        write(f, 'cosine', cosine)
        write(f, 'cosine_z', cosine / cosine.std(0))
        write(f, 'z', (y - y.mean(0)) / y.std(0))


if __name__ == '__main__':
    main()
