#!/usr/bin/env python3
"""Tiny videos and what the ffmpeg program decodes them to (tests/golden/video). Needs ffmpeg, numpy and PIL.

Each NAME.EXT comes with NAME.png, its frames one below the other: every frame that `ffmpeg -i FILE -vsync passthrough -pix_fmt
rgb24` gives, and NAME.json: when each is shown, in seconds after the first, by ffprobe."""
import json
import pathlib
import subprocess

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent / "video"
X264 = ["-c:v", "libx264", "-preset", "medium", "-crf", "23"]
SOURCE = ["-f", "lavfi", "-i"]
# name: source, options
CLIPS = {
    "cfr.mp4": ("testsrc2=size=48x36:rate=25", ["-frames:v", "20", *X264, "-g", "10", "-bf", "2", "-pix_fmt", "yuv420p"]),
    "opengop.mkv": ("testsrc2=size=48x36:rate=30000/1001",
                    ["-frames:v", "20", *X264, "-g", "8", "-bf", "3", "-x264-params", "open-gop=1", "-pix_fmt", "yuv420p"]),
    "vfr.mkv": ("testsrc2=size=48x36:rate=25", ["-vf", "setpts='(N+N*N/7)/25/TB'", "-vsync", "vfr", "-frames:v", "12", *X264,
                                                "-g", "5", "-pix_fmt", "yuv420p"]),
    "odd444.mp4": ("testsrc=size=53x37:rate=10", ["-frames:v", "6", *X264, "-pix_fmt", "yuv444p"]),
    "bt709.mp4": ("testsrc2=size=48x36:rate=10", ["-frames:v", "4", *X264, "-pix_fmt", "yuv420p", "-colorspace", "bt709",
                                                  "-color_primaries", "bt709", "-color_trc", "bt709"]),
    "full.mp4": ("testsrc2=size=48x36:rate=10", ["-frames:v", "4", *X264, "-pix_fmt", "yuvj420p"]),
    "bframes.avi": ("testsrc2=size=48x36:rate=25", ["-frames:v", "12", "-c:v", "mpeg4", "-bf", "2", "-g", "6", "-q:v", "4"]),
    "altref.webm": ("testsrc2=size=48x36:rate=25", ["-frames:v", "12", "-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames",
                                                    "8", "-b:v", "200k", "-threads", "1"]),
    "motion.mjpeg.mkv": ("testsrc2=size=48x36:rate=25", ["-frames:v", "5", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"]),
}


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)


def frames(path, extra=()):
    shape = json.loads(subprocess.check_output(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_streams", "-show_frames",
                                                "-of", "json", str(path)]))
    raw = subprocess.check_output(["ffmpeg", "-v", "error", "-i", str(path), *extra, "-map", "0:v:0", "-vsync", "passthrough",
                                   "-pix_fmt", "rgb24", "-f", "rawvideo", "-"])
    stream = shape["streams"][0]
    if all("best_effort_timestamp_time" in f for f in shape["frames"]):
        times = [float(f["best_effort_timestamp_time"]) for f in shape["frames"]]
    else:  # a container without times
        num, den = map(int, stream["avg_frame_rate"].split("/"))
        times = [i * den / num for i in range(len(shape["frames"]))]
    return stream, raw, [round(t - times[0], 6) for t in times]


def keep(path):
    stream, raw, times = frames(path)
    w, h = stream["width"], stream["height"]
    if "rotated" in path.name and "180" not in path.name:
        w, h = h, w
    pictures = numpy.frombuffer(raw, numpy.uint8).reshape(-1, h, w, 3)
    assert len(pictures) == len(times), path
    stem = path.name.split(".")[0]
    Image.fromarray(pictures.reshape(-1, w, 3)).save(HERE / f"{stem}.png", optimize=True)
    (HERE / f"{stem}.json").write_text(json.dumps({"file": path.name, "seconds": times}) + "\n")


def main():
    HERE.mkdir(exist_ok=True)
    bits = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]
    for name, (source, options) in CLIPS.items():
        run("ffmpeg", "-v", "error", "-y", *SOURCE, source, *options, *bits, str(HERE / name))
    for degrees in (90, 180, 270):
        run("ffmpeg", "-v", "error", "-y", "-i", str(HERE / "odd444.mp4"), "-frames:v", "2", "-c", "copy", "-metadata:s:v:0",
            f"rotate={degrees}", str(HERE / f"rotated{degrees}.mp4"))
    for path in sorted(HERE.iterdir()):
        if path.suffix not in (".png", ".json"):
            keep(path)


if __name__ == "__main__":
    main()
