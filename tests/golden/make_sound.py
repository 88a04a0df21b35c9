#!/usr/bin/env python3
"""Small sounds, and what they become by definition, in float64 (tests/golden/sound). Needs numpy, scipy and ffmpeg (for FLAC
and MP3 alone).

sound.json: resampling by the windowed sinc of resampy's kaiser_best, evaluated sample by sample; VGGish's log-mel written
from its definition (DNNBrain's front end); librosa's melspectrogram written from its documentation; torch.stft's centring by
reflection. Arrays are kept as every 37th value of the flattened array, with their shape and sum."""
import json
import pathlib
import subprocess
import wave

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent / "sound"


def write_wav(name, rate, samples, width=2):
    with wave.open(str(HERE / name), "wb") as f:
        f.setnchannels(samples.shape[1])
        f.setsampwidth(width)
        f.setframerate(rate)
        f.writeframes(samples.astype({1: "u1", 2: "<i2", 4: "<i4"}[width]).tobytes())


def resample(x, old, new):
    """y[j] = sum_n x[n] h(j old/new - n)"""
    zeros, rolloff, beta = 64, 0.9475937167399596, 14.769656459379492
    s = min(1.0, new / old)
    out = np.zeros(int(len(x) * new // old))
    n = np.arange(len(x))
    for j in range(len(out)):
        t = s * (j * old / new - n)
        near = np.abs(t) < zeros
        t = t[near]
        out[j] = np.sum(x[near] * s * rolloff * np.sinc(rolloff * t) * np.i0(beta * np.sqrt(1 - (t / zeros) ** 2)) / np.i0(beta))
    return out


def vggish(x):
    """16 kHz in -1..1 -> (frames, 64): 25 ms / 10 ms, periodic Hann, |rfft 512|, 64 HTK bands 125-7500 Hz, ln(mel + .01)"""
    frames = 1 + (len(x) - 400) // 160
    window = 0.5 - 0.5 * np.cos(2 * np.pi / 400 * np.arange(400))
    spectrum = np.abs(np.fft.rfft(np.stack([x[160 * t:160 * t + 400] * window for t in range(frames)]), 512))
    mel = lambda hz: 1127 * np.log(1 + hz / 700)
    bins = mel(np.linspace(0, 8000, 257))
    edges = np.linspace(mel(125.), mel(7500.), 66)
    weights = np.empty((257, 64))
    for i in range(64):
        lower, center, upper = edges[i:i + 3]
        weights[:, i] = np.maximum(0, np.minimum((bins - lower) / (center - lower), (upper - bins) / (upper - center)))
    weights[0] = 0
    return np.log(spectrum @ weights + 0.01)


def librosa_mel(x, rate, n_fft, hop, win, mels, fmin, fmax, htk, norm, power, pad):
    """librosa.feature.melspectrogram(center=True, pad_mode=pad) -> (mels, frames)"""
    def to_mel(f):
        f = np.asarray(f, float)
        if htk:
            return 2595 * np.log10(1 + f / 700)
        return np.where(f >= 1000, 15 + np.log(np.maximum(f, 1e-9) / 1000) / (np.log(6.4) / 27), f / (200 / 3))

    def to_hz(m):
        if htk:
            return 700 * (10 ** (m / 2595) - 1)
        return np.where(m >= 15, 1000 * np.exp(np.log(6.4) / 27 * (m - 15)), 200 / 3 * m)
    window = np.zeros(n_fft)
    left = (n_fft - win) // 2
    window[left:left + win] = 0.5 - 0.5 * np.cos(2 * np.pi / win * np.arange(win))
    y = np.pad(x, n_fft // 2, mode=pad)
    frames = 1 + (len(y) - n_fft) // hop
    spectrum = np.abs(np.fft.rfft(np.stack([y[hop * t:hop * t + n_fft] * window for t in range(frames)]))) ** power
    hz = np.linspace(0, rate / 2, 1 + n_fft // 2)
    edges = to_hz(np.linspace(to_mel(fmin), to_mel(fmax), mels + 2))
    ramps = edges[:, None] - hz[None]
    weights = np.maximum(0, np.minimum(-ramps[:-2] / np.diff(edges)[:-1, None], ramps[2:] / np.diff(edges)[1:, None]))
    if norm:
        weights *= (2 / (edges[2:] - edges[:-2]))[:, None]
    return weights @ spectrum.T


def keep(a):
    flat = np.asarray(a, float).ravel()
    return {"shape": list(np.shape(a)), "sum": float(flat.sum()), "every37": [float(f"{v:.9g}") for v in flat[::37]]}


def main():
    HERE.mkdir(exist_ok=True)
    rng = np.random.default_rng(7)
    t = np.arange(8320) / 8000  # 1.04 s
    tone = 0.5 * np.sin(2 * np.pi * (200 * t + 900 * t * t)) * (0.3 + 0.7 * np.cos(3 * t) ** 2) + 0.05 * rng.standard_normal(len(t))
    mono = np.clip(np.round(tone * 32768), -32768, 32767)
    write_wav("mono8k.wav", 8000, mono[:, None])
    s = np.arange(2205) / 11025  # 0.2 s
    two = np.stack([0.4 * np.sin(2 * np.pi * 440 * s), 0.3 * np.sign(np.sin(2 * np.pi * 130 * s))], 1)
    stereo = np.clip(np.round(two * 32768), -32768, 32767)
    write_wav("stereo11k.wav", 11025, stereo)
    write_wav("bytes8k.wav", 8000, np.round(tone[:400] * 127 + 128)[:, None], 1)
    write_wav("wide8k.wav", 8000, np.round(tone[:400] * 2 ** 31)[:, None], 4)
    run = lambda *w: subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", *w], check=True, stdin=subprocess.DEVNULL)
    bits = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
    run(str(HERE / "mono8k.wav"), *bits, str(HERE / "mono8k.flac"))
    run(str(HERE / "mono8k.wav"), "-b:a", "32k", *bits, str(HERE / "mono8k.mp3"))
    run(str(HERE / "mono8k.wav"), "-b:a", "24k", *bits, str(HERE / "mono8k.m4a"))
    run(str(HERE.parent / "video" / "cfr.mp4"), "-i", str(HERE / "wide8k.wav"), "-map", "0:v", "-map", "1:a", "-c", "copy", *bits,
        str(HERE / "talkie.mkv"))
    out = {}
    decode = lambda name: np.frombuffer(subprocess.check_output(
        ["ffmpeg", "-v", "error", "-i", str(HERE / name), "-f", "f32le", "-c:a", "pcm_f32le", "-"], stdin=subprocess.DEVNULL), "<f4")
    for name in ("mono8k.mp3", "mono8k.m4a"):
        out[name] = keep(decode(name))
    x = mono / 32768
    out["mono8k.wav"] = keep(x)
    out["mono8k.flac"] = keep(x)
    mixed = stereo.mean(1) / 32768
    out["stereo11k.wav"] = keep(mixed)
    out["bytes8k.wav"] = keep((np.round(tone[:400] * 127 + 128) - 128) / 128)
    out["wide8k.wav"] = keep(np.round(tone[:400] * 2 ** 31) / 2 ** 31)
    out["mono 8000 to 16000"] = keep(resample(x, 8000, 16000))
    out["mono 8000 to 5000"] = keep(resample(x, 8000, 5000))
    out["stereo 11025 to 16000"] = keep(resample(mixed, 11025, 16000))
    out["stereo 11025 to 44099"] = keep(resample(mixed, 11025, 44099))
    y = resample(x, 8000, 16000)
    full = vggish(y)
    assert full.shape[0] >= 96
    out["vggish"] = keep(full[:96])
    out["librosa"] = keep(librosa_mel(x[:4001], 8000, 512, 128, 512, 40, 0, 4000, False, True, 2, "constant"))
    out["librosa htk"] = keep(np.log10(librosa_mel(x[:4001], 8000, 400, 100, 301, 23, 60, 3800, True, False, 1, "reflect") + 1e-3))
    power = librosa_mel(x[:4001], 8000, 512, 128, 512, 40, 0, 4000, False, True, 2, "constant")
    db = 10 * np.log10(np.maximum(1e-10, power))
    out["librosa db"] = keep(np.maximum(db, db.max() - 30))
    (HERE / "sound.json").write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
