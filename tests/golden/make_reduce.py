#!/usr/bin/python3
"""Reference of reductions by scikit-learn, scipy and numpy in float64: PCA (full SVD), IncrementalPCA, histograms,
periodograms, z-scores, linkage matrices, k-means from given centres. Writes tests/golden/reduce/reduce.bin: records "NAME rows columns\\n" and float64 values.
"""
import os

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.signal import periodogram
from scipy.stats import zscore
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, IncrementalPCA

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'reduce')
RANDOM = np.random.default_rng(7)


def data(n, p, rank):
    """float32, of falling variances, with means of their own"""
    scale = 3 / np.arange(1, rank + 1)
    x = (RANDOM.standard_normal((n, rank)) * scale) @ RANDOM.standard_normal((rank, p))
    return (x + .3 * RANDOM.standard_normal((n, p)) + 2 * RANDOM.standard_normal(p)).astype('f4')


def main():
    out = {}
    for name, n, p in (('wide', 40, 130), ('tall', 130, 24)):
        x = data(n, p, 8)
        full = PCA(6, svd_solver='full').fit(x.astype('f8'))
        steps = IncrementalPCA(5, batch_size=17).fit(x.astype('f8'))
        out.update({f'{name}_x': x, f'{name}_components': full.components_, f'{name}_mean': full.mean_[None],
                    f'{name}_variance': full.explained_variance_[None],
                    f'{name}_ratio': full.explained_variance_ratio_[None],
                    f'{name}_singular': full.singular_values_[None],
                    f'{name}_scores': PCA(6, svd_solver='full', whiten=True).fit_transform(x.astype('f8')),
                    f'{name}_share': np.array([[PCA(s, svd_solver='full').fit(x.astype('f8')).n_components_
                                                for s in (.5, .8, .95)]]),
                    f'{name}_steps': steps.components_, f'{name}_steps_mean': steps.mean_[None],
                    f'{name}_steps_variance': steps.explained_variance_[None],
                    f'{name}_steps_ratio': steps.explained_variance_ratio_[None]})
    a = np.maximum(data(5, 60, 4), 0)  # as after a rectifier: many zeros
    a[3] = 1.5  # a constant
    a[4] = np.linspace(-1, 1, 60, dtype='f4')  # values on the edges of bins
    out['rows'] = a
    out['hist'] = np.array([np.histogram(r, 7)[0] for r in a])
    out['hist_common'] = np.array([np.histogram(r, 9, (a.min(), a.max()))[0] for r in a])
    out['psd'] = periodogram(a.astype('f8'), axis=1)[1]  # 60 values: 31 coefficients
    out['psd_odd'] = periodogram(a[:, :47].astype('f8'), axis=1)[1]
    out['zscore'] = np.nan_to_num(zscore(a.astype('f8'), axis=1))
    points = (np.repeat(RANDOM.standard_normal((4, 12)) * 1.2, 9, 0) + RANDOM.standard_normal((36, 12))).astype('f4')
    out['points'] = points
    for method in ('single', 'complete', 'average', 'ward'):
        out[method] = linkage(points.astype('f8'), method)
    fit = KMeans(4, init=points[:4].astype('f8'), n_init=1, algorithm='lloyd').fit(points.astype('f8'))
    out.update(labels=fit.labels_[None], centres=fit.cluster_centers_, inertia=np.array([[fit.inertia_]]))
    os.makedirs(HERE, exist_ok=True)
    with open(os.path.join(HERE, 'reduce.bin'), 'wb') as f:
        for k, v in out.items():
            v = np.ascontiguousarray(v, '<f8')
            f.write(f'{k} {v.shape[0]} {v.shape[1]}\n'.encode() + v.tobytes())


if __name__ == '__main__':
    main()
