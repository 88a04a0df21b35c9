#!/usr/bin/python3
"""Fits of the generalised Pareto distribution by scipy.stats.genpareto: tests/golden/tail.txt, lines

  shape scale log-likelihood A2 | excesses | tail probabilities of 0.5, 2 and 5 mean excesses

The fit is scipy's, refined by Nelder and Mead; A2 by its definition.
"""
import os
import numpy as np
from scipy.optimize import minimize
from scipy.stats import genpareto

out = []
r = np.random.default_rng(4)
for shape, n in ((-0.25, 200), (-0.1, 125), (0.0, 250), (0.15, 125), (0.4, 80), (-0.2, 500)):
    x = np.sort(genpareto.rvs(shape, scale=0.7, size=n, random_state=r))
    start = genpareto.fit(x, floc=0)

    def minus(v):
        return -genpareto.logpdf(x, v[0], scale=np.exp(v[1])).sum()
    best = min((minimize(minus, (c, np.log(s)), method='Nelder-Mead', options=dict(xatol=1e-11, fatol=1e-11, maxiter=9999))
                for c, s in ((start[0], start[2]), (0.05, x.mean()), (-0.2, 1.2 * x.mean()))), key=lambda m: m.fun)
    c, s = best.x[0], np.exp(best.x[1])
    u = genpareto.cdf(x, c, scale=s)
    i = np.arange(1, n + 1)
    a2 = -n - ((2 * i - 1) * (np.log(u) + np.log1p(-u[::-1]))).sum() / n
    tails = genpareto.sf(np.array([.5, 2, 5]) * x.mean(), c, scale=s)
    out.append('%.12g %.12g %.12g %.12g | %s | %s' % (c, s, -best.fun, a2, ' '.join('%.17g' % v for v in x),
                                                     ' '.join('%.12g' % v for v in tails)))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'tail.txt'), 'w') as f:
    f.write('\n'.join(out) + '\n')
