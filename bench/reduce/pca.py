#!/usr/bin/python3
"""PCA of a stimuli × units matrix: striate reduce (reading from and writing to disk) against scikit-learn on the array in
memory (its time to read is not counted), same threads.

usage: pca.py STRIATE [--rows 5000] [--units 193600] [--components 100] [--threads 2] [--methods full randomized …]
Wall and CPU seconds (of processes and their threads), and the variance that the components explain of all there is.
"""
import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

PEERS = ('full', 'randomized', 'incremental')
OURS = {'pca': '', 'randomized_pca': 'iterations: 4\n', 'incremental_pca': 'batch: 1000\n'}


def activations(file, rows, units):
    """Rectified, with eigenvalues that fall as those of a convolutional layer do (about 1 / k)."""
    import h5py
    import numpy as np
    random = np.random.default_rng(0)
    k = 300
    a = (random.standard_normal((rows, k)) / np.sqrt(np.arange(1, k + 1))).astype('f4')
    with h5py.File(file, 'w') as f:
        x = f.create_dataset('x', (rows, units), 'f4', chunks=(min(rows, 64), min(units, 4096)))
        for first in range(0, units, 4096):
            width = min(4096, units - first)
            block = a @ random.standard_normal((k, width)).astype('f4')
            block += .5 * random.standard_normal(block.shape).astype('f4')
            x[:, first:first + width] = np.maximum(block, 0)


def peer(file, method, components):
    """In a process of its own: prints wall and CPU seconds, and the share explained."""
    import h5py
    from sklearn.decomposition import PCA, IncrementalPCA
    with h5py.File(file) as f:
        x = f['x'][:]
    model = (IncrementalPCA(components, batch_size=1000, copy=False) if method == 'incremental' else
             PCA(components, svd_solver=method, random_state=0, copy=False))
    start, cpu = time.perf_counter(), time.process_time()
    model.fit(x)
    print(time.perf_counter() - start, time.process_time() - cpu, model.explained_variance_ratio_.sum())


def ours(program, file, method, components, folder, threads):
    import h5py
    config = folder / f'{method}.yaml'
    config.write_text(f'features: {{store: "{file}:/x", stimuli: ids.stim.csv}}\nmethod: {method}\n'
                      f'components: {components}\n{OURS[method]}output: {method}.act.h5\n')
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, 'reduce', str(config), '--threads', str(threads), '--quiet'], check=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    with h5py.File(folder / f'{method}.pca.h5') as f:
        share = f['x/explained_variance_ratio'][:].sum()
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, share


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('program')
    parser.add_argument('--rows', type=int, default=5000)
    parser.add_argument('--units', type=int, default=193600)
    parser.add_argument('--components', type=int, default=100)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--methods', nargs='+', default=[*OURS, *PEERS])
    parser.add_argument('--folder', default=None)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = pathlib.Path(name)
        file = folder / 'x.h5'
        activations(file, args.rows, args.units)
        (folder / 'ids.stim.csv').write_text('type=image\npath=.\ndata=stimID\n' +
                                             ''.join(f's{i}\n' for i in range(args.rows)))
        print(f'{args.rows} × {args.units}, {args.components} components, {args.threads} threads')
        for method in args.methods:
            if method in OURS:
                wall, cpu, share = ours(args.program, file, method, args.components, folder, args.threads)
            else:
                env = dict(os.environ, OPENBLAS_NUM_THREADS=str(args.threads), OMP_NUM_THREADS=str(args.threads))
                text = subprocess.run([sys.executable, __file__, '--peer', str(file), method, str(args.components)],
                                      check=True, env=env, capture_output=True, text=True).stdout
                wall, cpu, share = map(float, text.split())
            print(f'{method:16s} {wall:8.1f} s wall {cpu:8.1f} s CPU   explains {share:.6f}', flush=True)


if __name__ == '__main__':
    if len(sys.argv) > 1 and sys.argv[1] == '--peer':
        peer(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
