#!/usr/bin/env python3
"""Writes the self-test of a network card: what these weights give for a known input.

  make_check.py configs/networks/squeezenet1_0.yaml squeezenet1_0.ts.pt             prints the block `check:`
  make_check.py CARD WEIGHTS --write                                                puts it at the end of the card

`striate extract` runs it where it is given the same weights: by the sum of the file (weights_sha256), or by that of the
parameters' values, whatever file they stand in (state_sha256; not with --file-only, for weights that are the same in
networks that are not). Inputs: `picture`, a synthetic photograph that goes through the card's preprocessing; `noise` and
`gradient`, which the network is given as they are. Needs Python's torch, PyYAML, and for `picture` PIL.
"""
import argparse
import hashlib
import sys

import numpy as np


def noise(n):
    i = np.arange(n, dtype=np.uint32)
    h = (i + np.uint32(12345)) * np.uint32(2654435761)
    h ^= h >> np.uint32(15)
    h = h * np.uint32(2246822519)
    return ((h >> np.uint32(16)).astype(np.float64) / 32768 - 1).astype(np.float32)


def gradient(n):
    return (2 * np.arange(n, dtype=np.float64) / max(1, n - 1) - 1).astype(np.float32)


def test_picture():
    from PIL import Image
    y, x = np.mgrid[0:240, 0:320]
    return Image.fromarray(np.stack([255 * x // 319, 255 * y // 239, (x ^ y) & 255], axis=2).astype(np.uint8))


def centre(image, height, width):
    left, top = round((image.width - width) / 2), round((image.height - height) / 2)
    return image.crop((left, top, left + width, top + height))  # PIL fills what lies outside with zeros


def picture(card):
    """The test picture through the card's preprocessing, by PIL alone: channels x height x width."""
    from PIL import Image
    steps, (height, width) = card.get("preprocessing") or {}, card["input"].get("size", [224, 224])
    mode = getattr(Image.Resampling, steps.get("mode", "bilinear").upper())
    image, resize, crop = test_picture(), steps.get("resize", "none"), steps.get("crop", "none")
    if isinstance(resize, list):
        image = image.resize(resize[::-1], mode)
    elif resize != "none":
        short, long = sorted(image.size)
        other = int(resize * long / short)
        image = image.resize((resize, other) if image.width <= image.height else (other, resize), mode)
    if crop == "7/8":
        side = min(image.size) * 7 // 8
        image = centre(image, side, side).resize((width, height), mode)
    elif crop == "center":
        image = centre(image, height, width)
    channels = card["input"].get("channels", "rgb")
    pixels = np.asarray(image.convert("L"))[..., None] if channels == "grey" else np.asarray(image)
    if channels == "bgr":
        pixels = pixels[..., ::-1]
    scaled = (pixels * steps.get("scale", 1 / 255)).astype(np.float32)
    mean, std = (np.float32(steps.get(key, default)) for key, default in (("mean", 0), ("std", 1)))
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))


def state_sha256(script):
    import torch
    total = hashlib.sha256()
    for name, value in sorted(script.state_dict().items(), key=lambda entry: entry[0].encode()):
        if name.endswith("num_batches_tracked"):
            continue
        total.update(f"{name}:{'x'.join(map(str, value.shape))}\n".encode())
        kind = torch.float32 if value.is_floating_point() else torch.int64
        total.update(value.to(kind).contiguous().numpy().tobytes())
    return total.hexdigest()


def file_sha256(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def first_tensor(output):
    while isinstance(output, (tuple, list)):
        output = output[0]
    if isinstance(output, dict):
        sys.exit(f"make_check: error: the network gives a dict; choose one with --key ({', '.join(output)})")
    return output


def usual_shape(card):
    about = card.get("input") or {}
    kind = about.get("kind", "image")
    if kind in ("audio", "array"):
        return about.get("shape") or [about["samples"]]
    if kind == "mel":
        extents = {"channel": 1, "frame": about.get("frames", 96), "mel": about.get("mels", 64)}
        return [extents[axis] for axis in about.get("axes", ["channel", "frame", "mel"])]
    extents = {"channel": 1 if about.get("channels") == "grey" else 3, "frame": about.get("frames")}
    extents["row"], extents["column"] = about.get("size", [224, 224])
    usual = ["channel", "row", "column"] if kind == "image" else ["channel", "frame", "row", "column"]
    return [extents[axis] for axis in about.get("axes", usual)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", help="network card")
    parser.add_argument("weights", help="TorchScript file")
    parser.add_argument("--input", choices=("picture", "noise", "gradient"), help="default: picture for networks that take "
                                                                                  "pictures, else noise")
    parser.add_argument("--shape", type=int, nargs="+", metavar="N", help="of the input; default: the card's")
    parser.add_argument("--outputs", type=int, default=8, metavar="N", help="numbers to keep (default 8)")
    parser.add_argument("--key", help="of the output, where that is a dict")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="of the largest of them (default 0.001)")
    parser.add_argument("--file-only", action="store_true", help="leave state_sha256 out")
    parser.add_argument("--write", action="store_true", help="append the block to the card, in place of the one it has")
    args = parser.parse_args()
    import torch
    import yaml
    with open(args.card) as file:
        text = file.read()
    card = yaml.safe_load(text)
    kind = args.input or ("picture" if (card.get("input") or {}).get("kind", "image") == "image" else "noise")
    shape = args.shape or usual_shape(card)
    n = int(np.prod(shape))
    values = picture(card) if kind == "picture" else noise(n) if kind == "noise" else gradient(n)
    script = torch.jit.load(args.weights, map_location="cpu").eval()
    with torch.no_grad():
        output = script(torch.from_numpy(values.reshape(1, *shape)))
    output = first_tensor(output[args.key] if args.key else output).flatten()
    count = args.outputs
    while count < output.numel() and len(set(output[:count].tolist())) < min(4, count):
        count *= 2  # zeros behind a rectifier prove nothing
    output = output[:count]
    block = f"check:\n  input: {kind}\n  shape: {shape}\n  weights_sha256: {file_sha256(args.weights)}\n"
    if not args.file_only:
        block += f"  state_sha256: {state_sha256(script)}\n"
    if args.key:
        block += f"  layer: output:{args.key}\n"
    block += f"  outputs: [{', '.join(f'{v:.6g}' for v in output.tolist())}]\n  tolerance: {args.tolerance:g}\n"
    if not args.write:
        sys.stdout.write(block)
        return
    if "check" in card:
        at = text.index("\ncheck:") + 1 if not text.startswith("check:") else 0
        rest = text[at:].split("\n")
        end = next((i for i, line in enumerate(rest[1:], 1) if line and not line.startswith((" ", "-", "#"))), len(rest))
        text = text[:at] + "\n".join(rest[end:])
    with open(args.card, "w") as file:
        file.write(text.rstrip("\n") + "\n" + block)


if __name__ == "__main__":
    main()
