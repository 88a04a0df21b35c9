#!/usr/bin/env python3
"""Cuts photographs that Debian packages ship into patches, as stimuli for demos and tests.

    /usr/bin/python3 tools/make_patches.py OUT_DIR [--n 360] [--size 224] [--seed 0]

Writes OUT_DIR/patches/*.png and OUT_DIR/patches.stim.csv (columns stimID, photo). The photographs are those of
scikit-image (python3-skimage) and scikit-learn (python3-sklearn); nothing is downloaded. Patches differ in place and
scale; the list is shuffled, so that contiguous folds hold patches of every photograph (column `photo` groups them). The
same seed gives the same files.
"""
import argparse
import importlib.util
import pathlib
import random
import sys

from PIL import Image

SKIMAGE = ["astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png",
           "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg",
           "rocket.jpg"]
SKLEARN = ["china.jpg", "flower.jpg"]


def folder_of(module, inside):
    spec = importlib.util.find_spec(module)  # finds it without importing it
    if spec is None or spec.origin is None:
        return None
    return pathlib.Path(spec.origin).parent / inside


def photographs():
    found = []
    for module, inside, names in (("skimage", "data", SKIMAGE), ("sklearn", "datasets/images", SKLEARN)):
        folder = folder_of(module, inside)
        if folder is not None:
            found += [folder / name for name in names if (folder / name).is_file()]
    return sorted(found, key=lambda path: path.name)


def cut(photo, size, random_numbers):
    """A square of a quarter to three quarters of the shorter side, resized to size x size."""
    shorter = min(photo.size)
    side = int(shorter * (0.25 + 0.5 * random_numbers.random()))
    left = int((photo.width - side) * random_numbers.random())
    top = int((photo.height - side) * random_numbers.random())
    return photo.resize((size, size), Image.BICUBIC, box=(left, top, left + side, top + side))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--n", type=int, default=360, help="number of patches (default 360)")
    parser.add_argument("--size", type=int, default=224, help="pixels a side (default 224)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    photos = photographs()
    if len(photos) < 8:
        sys.exit(f"make_patches.py: only {len(photos)} photographs found; "
                 "apt-get install python3-skimage python3-sklearn, and run this with /usr/bin/python3")
    folder = options.out / "patches"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, path in enumerate(photos):
        count = options.n * (i + 1) // len(photos) - options.n * i // len(photos)
        random_numbers = random.Random(options.seed * 1000 + i)
        with Image.open(path) as opened:
            photo = opened.convert("RGB")
        for k in range(count):
            name = f"{path.stem}_{k:03d}.png"
            cut(photo, options.size, random_numbers).save(folder / name)
            rows.append(f"{name},{path.stem}")
    random.Random(options.seed).shuffle(rows)
    header = ["type=image", "path=patches", f"title={len(rows)} patches of {len(photos)} photographs",
              "data=stimID,photo"]
    (options.out / "patches.stim.csv").write_text("\n".join(header + rows) + "\n")
    print(f"{len(rows)} patches of {len(photos)} photographs in {folder}")


if __name__ == "__main__":
    main()
