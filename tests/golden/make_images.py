#!/usr/bin/env python3
"""Small pictures of every kind that striate reads, with the RGB values that PIL finds in them, and what PIL's resize and
torchvision's transforms make of some.

Run by /usr/bin/python3 (numpy, PIL, torchvision) on a machine with libturbojpeg; writes images/ beside this script:
the pictures, decoded.{json,bin} (uint8), resized.{json,bin} (uint8), inputs.{json,bin} (float32), real.json.
Deterministic."""
import ctypes
import hashlib
import io
import json
import os
import pathlib
import struct
import zlib

import numpy as np
import torchvision.transforms as T
from PIL import Image
from torchvision.transforms import InterpolationMode

here = pathlib.Path(__file__).resolve().parent
out = here / "images"
out.mkdir(exist_ok=True)
for old in out.iterdir():
    if old.name != "real.json":  # needs the shared data
        old.unlink()
W, H = 23, 17


def picture(w, h, seed=0, noise=20):
    """A photograph's smoothness and edges, with values at both ends."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w]
    waves = [127 + 110 * np.sin(x / (2.1 + c) + y / (3.7 - c) + c) for c in range(3)]
    image = np.stack(waves, -1) + rng.normal(0, noise, (h, w, 3))
    image[h // 4 : h // 2, w // 3 : w // 2] = (250, 20, 5)
    image[-3:, -3:] = 255
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


class Blob:
    """Arrays one after the other in NAME.bin; NAME.json says which begins where."""

    def __init__(self, name):
        self.name, self.data, self.index = name, b"", []

    def add(self, array, **facts):
        self.index.append({**facts, "at": len(self.data), "bytes": array.nbytes})
        self.data += np.ascontiguousarray(array).tobytes()

    def write(self):
        (out / f"{self.name}.bin").write_bytes(self.data)
        (out / f"{self.name}.json").write_text(json.dumps(self.index, separators=(",", ":")) + "\n")


decoded = Blob("decoded")


def golden(name, content, expected=None):
    (out / name).write_bytes(content)
    if expected is None:
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    decoded.add(expected.astype(np.uint8), file=name, width=expected.shape[1], height=expected.shape[0])


# --- JPEG -------------------------------------------------------------------------------------------------------------
def jpeg(image, **options):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=options.pop("quality", 85), **options)
    return stream.getvalue()


rgb = Image.fromarray(picture(W, H))
golden("grey.jpg", jpeg(rgb.convert("L")))
golden("444.jpg", jpeg(rgb, subsampling=0))
golden("422.jpg", jpeg(rgb, subsampling=1))
golden("420.jpg", jpeg(rgb, subsampling=2))
golden("420_optimized.jpeg", jpeg(rgb, subsampling=2, optimize=True, quality=40))
golden("progressive.jpg", jpeg(rgb, subsampling=2, progressive=True))
golden("progressive_grey.jpg", jpeg(rgb.convert("L"), progressive=True))
golden("one_pixel.jpg", jpeg(Image.fromarray(picture(1, 1))))
golden("thin.JPG", jpeg(Image.fromarray(picture(1, 40))))
golden("flat.jpg", jpeg(Image.fromarray(picture(40, 1))))

cmyk = Image.fromarray(np.concatenate([picture(W, H, 1), picture(W, H, 2)[..., :1]], -1), "CMYK")
adobe = jpeg(cmyk)
golden("cmyk.jpg", adobe)
place = adobe.index(b"Adobe") + 11  # the colour transform: 0 none, 1 YCbCr, 2 YCCK
assert adobe[place - 11 - 4 : place - 11 - 2] == b"\xff\xee" and adobe[place] == 0
golden("ycck.jpg", adobe[:place] + b"\x02" + adobe[place + 1 :])
# R, G, B kept as they are: stored as if they were Y, Cb, Cr, then declared to be none by Adobe's marker.
kept = jpeg(Image.merge("YCbCr", rgb.split()), subsampling=0)
assert kept[2:4] == b"\xff\xe0"
marker = b"\xff\xee" + struct.pack(">H5sHHHB", 14, b"Adobe", 100, 0, 0, 0)
golden("rgb_adobe.jpg", kept[:2] + marker + kept[4 + struct.unpack(">H", kept[4:6])[0] :])

exif = Image.Exif()
exif[0x0112] = 6  # turned by 90 degrees: PIL's open does not turn, nor does striate
golden("exif_orientation.jpg", jpeg(rgb, exif=exif))
thumbnail = b"Exif\0\0" + jpeg(rgb.resize((8, 6)))  # a whole JPEG within the header
golden("exif_thumbnail.jpg", jpeg(rgb, exif=thumbnail))
golden("long_header.jpg", jpeg(rgb, icc_profile=bytes(20000)))  # longer than one read
golden("trailing.jpg", jpeg(rgb) + bytes(100))
golden("trailing_long.jpg", jpeg(rgb) + bytes(5000))
plain = jpeg(rgb)
golden("jfif_9.jpg", plain[:11] + b"\x09" + plain[12:])  # an unknown JFIF revision: libjpeg warns, nothing is wrong
golden("fill_bytes.jpg", plain[:2] + b"\xff\xff" + plain[2:])
# Of these PIL finds the clean file's pixels, though libjpeg warns.
clean = np.asarray(Image.open(io.BytesIO(plain)))
tables = plain.index(b"\xff\xdb")
for name, odd in {
    "padded_end.jpg": plain[:-2] + bytes(40) + plain[-2:],
    "junk_in_header.jpg": plain[:tables] + b"lost \xff\0 and found" + plain[tables:-2] + b"\x20" * 30 + plain[-2:],
}.items():
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(odd))), clean), name
    golden(name, odd, clean)


def turbo(sampling, environment=None):
    """Through TurboJPEG, for what PIL cannot write."""
    lib = ctypes.CDLL("libturbojpeg.so.0")
    lib.tjInitCompress.restype = ctypes.c_void_p
    for key, value in (environment or {}).items():
        os.environ[key] = value
    handle, pixels = ctypes.c_void_p(lib.tjInitCompress()), picture(W, H).tobytes()
    buffer, size = ctypes.POINTER(ctypes.c_ubyte)(), ctypes.c_ulong()
    status = lib.tjCompress2(handle, pixels, W, 0, H, 0, ctypes.byref(buffer), ctypes.byref(size), sampling, 85, 0)
    assert status == 0
    for key in environment or {}:
        del os.environ[key]
    return bytes(buffer[: size.value])


golden("440.jpg", turbo(4))
golden("411.jpg", turbo(5))
golden("restart.jpg", turbo(2, {"TJ_RESTART": "1B"}))
golden("arithmetic.jpg", turbo(2, {"TJ_ARITHMETIC": "1"}))


# --- PNG --------------------------------------------------------------------------------------------------------------
def chunk(kind, content=b""):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def scanlines(samples, depth):
    """Rows of `samples` (h, w, channels) packed to `depth` bits, each behind the filter byte 0."""
    lines = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            lines += b"\0" + row.astype(">u2").tobytes()
        elif depth == 8:
            lines += b"\0" + row.astype(np.uint8).tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            lines += b"\0" + np.packbits(bits.astype(np.uint8).ravel()).tobytes()
    return lines


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def png(samples, depth, colour, interlaced=False, before=b"", split=0):
    h, w = samples.shape[:2]
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    packed = zlib.compress(b"".join(scanlines(p, depth) for p in passes if p.size), 9)
    pieces = [packed[i : i + split] for i in range(0, len(packed), split)] if split else [packed]
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    data = b"".join(chunk(b"IDAT", p) for p in pieces)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + data + chunk(b"IEND")


rng = np.random.default_rng(3)
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
for depth in (1, 2, 4, 8):
    values = picture(W, H, 4)[..., :1] >> (8 - depth)
    golden(f"grey{depth}.png", png(values, depth, GREY))
    golden(f"grey{depth}_interlaced.png", png(values, depth, GREY, interlaced=True))
    colours = rng.integers(0, 256, (min(1 << depth, 200), 3)).astype(np.uint8)
    indices = values % len(colours)
    golden(f"palette{depth}.png", png(indices, depth, PALETTE, before=chunk(b"PLTE", colours.tobytes())))
    clear = chunk(b"tRNS", rng.integers(0, 256, len(colours)).astype(np.uint8).tobytes())
    golden(f"palette{depth}_clear.png",
           png(indices, depth, PALETTE, depth == 4, chunk(b"PLTE", colours.tobytes()) + clear))
grey16 = picture(W, H, 4)[..., :1].astype(int) * 257 - rng.integers(0, 200, (H, W, 1))
grey16 = np.clip(grey16, 0, 65535)
# PIL clips 16-bit grey at 255; striate scales it.
scaled = np.repeat((grey16 * 255 + 32767) // 65535, 3, -1)
golden("grey16.png", png(grey16, 16, GREY), scaled)
golden("grey16_interlaced.png", png(grey16, 16, GREY, interlaced=True), scaled)
for kind, colour, channels in (("grey_alpha", GREY_ALPHA, 2), ("rgb", RGB, 3), ("rgba", RGBA, 4)):
    bytes8 = np.concatenate([picture(W, H, 5), picture(W, H, 6)], -1)[..., :channels]
    golden(f"{kind}8.png", png(bytes8, 8, colour))
    golden(f"{kind}8_interlaced.png", png(bytes8, 8, colour, interlaced=True))
    golden(f"{kind}16.png", png(bytes8.astype(int) * 257 ^ 0x55, 16, colour))
golden("grey8_clear.png", png(picture(W, H)[..., :1], 8, GREY, before=chunk(b"tRNS", b"\0\x05")))
golden("rgb8_clear.png", png(picture(W, H), 8, RGB, before=chunk(b"tRNS", b"\0\xfa\0\x14\0\x05")))
golden("gamma.png", png(picture(W, H), 8, RGB, before=chunk(b"gAMA", struct.pack(">I", 100000))))
golden("split.PNG", png(picture(W, H), 8, RGB, split=50))
golden("trailing.png", png(picture(W, H), 8, RGB) + b"something else")
stream = io.BytesIO()
rgb.save(stream, "PNG", optimize=True)  # with all row filters
golden("filters.png", stream.getvalue())
golden("one_pixel.png", png(picture(1, 1), 8, RGB))
# A palette of 2 colours and a third index: no reader agrees with another, so striate refuses.
(out / "bad_palette.png").write_bytes(png(np.full((4, 4, 1), 2), 8, PALETTE, before=chunk(b"PLTE", bytes(6))))
decoded.write()

# --- resizing ---------------------------------------------------------------------------------------------------------
MODES = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS, "nearest": Image.NEAREST}
sources = {"wide.png": picture(61, 45, 7), "tall.png": picture(33, 70, 8), "tiny.png": picture(3, 5, 9),
           "dot.png": picture(1, 1, 10)}
for name, pixels in sources.items():
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    (out / name).write_bytes(stream.getvalue())
resized = Blob("resized")
for name, pixels in sources.items():
    h, w = pixels.shape[:2]
    for mode, number in MODES.items():
        for height, width in ((20, 24), (h, 19), (17, w), (h, w), (75, 20), (7, 70), (1, 1), (2, 5)):
            if mode == "lanczos" and (height, width) not in ((20, 24), (7, 70), (2, 5)) or (height, width) == (h, w) != (1, 1) and mode != "nearest":
                continue  # keeps the file small
            result = np.asarray(Image.fromarray(pixels).resize((width, height), number))
            resized.add(result, file=name, mode=mode, height=height, width=width)
resized.write()

# --- the network's input ----------------------------------------------------------------------------------------------
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TORCH = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC,
         "nearest": InterpolationMode.NEAREST}
inputs = Blob("inputs")


class SevenEighths:
    def __call__(self, image):
        return T.CenterCrop(max(1, min(image.size) * 7 // 8))(image)


def network(resize, crop, size, mode="bilinear", channels="rgb", scale=1 / 255, mean=MEAN, std=STD):
    steps = [T.Grayscale()] if channels == "grey" else []
    if resize != "none":
        steps.append(T.Resize(resize, TORCH[mode]))
    if crop == "center":
        steps.append(T.CenterCrop(size))
    if crop == "7/8":
        steps += [SevenEighths(), T.Resize(size, TORCH[mode])]
    steps.append(T.ToTensor())
    if scale != 1 / 255:
        steps.append(lambda x: x * 255 * scale)
    if channels == "bgr":
        steps.append(lambda x: x.flip(0))
    steps.append(T.Normalize(mean, std))
    facts = {"resize": resize, "crop": crop, "size": size, "mode": mode, "channels": channels, "scale": scale,
             "mean": mean, "std": std}
    return T.Compose(steps), facts


cases = [
    network(24, "center", [20, 20]),
    network(24, "center", [21, 20], "bicubic"),
    network(24, "center", [20, 17], "nearest"),
    network(20, "center", [20, 20]),
    network(18, "center", [20, 31]),  # the crop is larger than the picture: zeros around
    network(90, "center", [20, 20]),  # upwards
    network("none", "center", [21, 22]),
    network("none", "center", [46, 24]),
    network([20, 24], "none", [20, 24]),
    network([30, 31], "center", [20, 20]),
    network("none", "7/8", [20, 20]),
    network(24, "7/8", [21, 21]),
    network(24, "7/8", [14, 17], "bicubic"),
    network(24, "center", [20, 20], channels="bgr", scale=1.0, mean=[103.939, 116.779, 123.68], std=[1, 1, 1]),
    network(24, "center", [20, 20], channels="grey", mean=[0.5], std=[0.25]),
    network("none", "7/8", [16, 16], channels="grey", mean=[0.0], std=[1.0]),
]
for transform, facts in cases:
    for name, pixels in sources.items():
        if name == "dot.png" and facts["size"] != [20, 20] or name == "tall.png" and facts["mode"] == "nearest":
            continue
        result = transform(Image.fromarray(pixels)).numpy().astype(np.float32)
        if result.nbytes > 5000:
            continue
        inputs.add(result, file=name, **facts)
inputs.write()

# --- real photographs (which are not committed), where they are at hand --------------------------------------------------
data = pathlib.Path(os.environ.get("STRIATE_DATA", here.parents[1] / ".." / "shared" / "data")) / "images" / "imagenet400"
if not data.exists():
    print("no", data, "- real.json is left as it is")
else:
    transform, facts = network(256, "center", [224, 224])
    real = []
    for path in sorted(data.iterdir())[::50]:
        image = Image.open(path).convert("RGB")
        pixels, tensor = np.asarray(image).ravel(), transform(image).numpy().ravel()
        places, inside = (np.linspace(0, a.size - 1, 60, dtype=int) for a in (pixels, tensor))
        real.append({"file": path.name, "width": image.width, "height": image.height,
                     "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
                     "places": places.tolist(), "pixels": pixels[places].tolist(),
                     "input_places": inside.tolist(), "input": [float(v) for v in tensor[inside]]})
    (out / "real.json").write_text(json.dumps(real, separators=(",", ":")) + "\n")
print(len(decoded.index), "pictures,", len(resized.index), "resized,", len(inputs.index), "inputs,",
      sum(f.stat().st_size for f in out.iterdir()), "bytes")
