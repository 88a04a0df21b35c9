"""Videos, sounds and arrays from file to store: what the network was shown, by an input layer that hands it through, against
the frames of ffmpeg (tests/golden/video), definitions of spectrograms, and arrays; the same bits at any number of ranks."""
import json
import os
import pathlib
import re
import shutil
import unittest
import wave

import h5py
import numpy
import torch
import yaml
from PIL import Image

from flow import SOURCE, World, main

DATA = pathlib.Path(os.environ.get("STRIATE_DATA") or SOURCE.parent / "shared" / "data")
VIDEO = SOURCE / "tests" / "golden" / "video"
SOUND = SOURCE / "tests" / "golden" / "sound"


class Shown(torch.nn.Module):
    """Hands its input through, and something that depends on all of it."""

    def __init__(self):
        super().__init__()
        self.shown = torch.nn.Identity()
        self.mean = torch.nn.Flatten()

    def forward(self, x):
        return self.mean(self.shown(x)).mean(1, keepdim=True)


def frames(name):
    g = json.loads((VIDEO / f"{name}.json").read_text())
    sheet = numpy.asarray(Image.open(VIDEO / f"{name}.png"))
    return sheet.reshape(len(g["seconds"]), -1, sheet.shape[1], 3), g["seconds"]


class Modalities(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = w = World(stimuli=3)
        if "video and sound cannot be read" in w.do("--version").out:
            raise unittest.SkipTest("striate is built without FFmpeg: no video, no sound and no array was extracted")
        torch.jit.script(Shown().eval()).save(str(w.folder / "shown.ts.pt"))
        w.write("pixels.yaml", "weights: shown.ts.pt\ninput: {size: [36, 48]}\npreprocessing: {scale: 1}\nlayers: {shown: shown, mean: output}\n")
        w.write("clip.yaml", "weights: shown.ts.pt\ninput: {kind: clip, frames: 4, size: [18, 24]}\n"
                "preprocessing: {resize: [18, 24], scale: 1}\nlayers: {shown: shown}\n")
        w.write("vggish_input.yaml", "weights: shown.ts.pt\ninput: {kind: mel, preset: vggish}\nlayers: {shown: shown}\n")
        w.write("wave.yaml", "weights: shown.ts.pt\ninput: {kind: audio, rate: 8000, samples: 800}\nlayers: {shown: shown}\n")
        w.write("array.yaml", "weights: shown.ts.pt\ninput: {kind: array, shape: [2, 5]}\npreprocessing: {mean: 1, std: 2}\n"
                "layers: {shown: shown}\n")

    def extract(self, name, stimuli, network, ranks=0, more="", **how):
        w = self.world
        w.write(f"{name}.yaml", f"stimuli: {stimuli}\nnetwork: {network}\nlayers: [shown]\noutput: {name}.h5\n{more}")
        done = w.do("extract", f"{name}.yaml", ranks=ranks, **how)
        if done.code:
            return done
        with h5py.File(w.folder / f"{name}.h5") as store:
            return store["shown"][:], [i.decode() for i in store[".striate/stimulus_id"][:]]

    def test_frames(self):
        w = self.world
        pictures, _ = frames("cfr")
        numbers = [3, 1, 20, 7, 8, 9, 15, 2]
        w.write("cfr.stim.csv", f"type=video\npath={VIDEO / 'cfr.mp4'}\ndata=stimID,onset,crop_left,crop_top,crop_right,crop_bottom\n" +
                "".join(f"{n},{4 * i},,,,\n" for i, n in enumerate(numbers)))
        got, ids = self.extract("frames", "cfr.stim.csv", "pixels.yaml", more="batch: 3\n")
        self.assertEqual(ids, [str(n) for n in numbers])
        want = pictures[[n - 1 for n in numbers]].transpose(0, 3, 1, 2).astype(float)
        self.assertLessEqual(numpy.abs(got - want).max(), 2)
        for ranks in (2, 3):
            self.extract(f"frames{ranks}", "cfr.stim.csv", "pixels.yaml", ranks=ranks, more="batch: 3\n")
            w.same("frames.h5", f"frames{ranks}.h5")
        done = self.extract("beyond", "cfr.stim.csv", "clip.yaml", code=65)
        self.assertIn("cfr.stim.csv lists frames of a video (type=video), but the network takes stimuli of kind clip; list "
                      "clips: type=video_clip with columns file, start, end", done.errors[-1])

    def test_clips(self):
        w = self.world
        w.write("clips.stim.csv", f"type=video_clip\npath={VIDEO}\ndata=stimID,file,start,end,note\n"
                "whole,cfr.mp4,,,\"a, b\"\nvfr.mkv,,,,\npart,cfr.mp4,0.2,0.6,\nlast,cfr.mp4,0.7,,\n")
        got, ids = self.extract("clips", "clips.stim.csv", "clip.yaml", ranks=2, more="batch: 1\n")
        self.assertEqual(ids, ["whole", "vfr.mkv", "part", "last"])
        self.assertEqual(got.shape, (4, 3, 4, 18, 24))
        # 0 … 19 in three steps; by time where the rate varies; from 5 to 14; 17, 17, 18, 19 (0.68 s is on screen at 0.7)
        for clip, (name, wanted) in zip(got, (("cfr", [0, 6, 12, 19]), ("vfr", [0, 5, 8, 11]), ("cfr", [5, 8, 11, 14]),
                                              ("cfr", [17, 17, 18, 19]))):
            pictures, _ = frames(name)
            want = numpy.stack([numpy.asarray(Image.fromarray(pictures[f]).resize((24, 18), Image.BILINEAR)) for f in wanted])
            self.assertLessEqual(numpy.abs(clip - want.transpose(3, 0, 1, 2)).max(), 3, (name, wanted))
        self.extract("clips1", "clips.stim.csv", "clip.yaml", more="batch: 1\n")
        w.same("clips.h5", "clips1.h5")
        # Windows: a row a piece, for every command that takes `stimuli`.
        w.write("movie.stim.csv", f"type=video_clip\npath={VIDEO}\ndata=stimID,onset,duration\ncfr.mp4,100,0.8\n")
        pieces, ids = self.extract("pieces", "{table: movie.stim.csv, window: {length: 0.4, step: 0.2}}", "clip.yaml")
        self.assertEqual(ids, ["cfr.mp4#1", "cfr.mp4#2", "cfr.mp4#3"])
        numpy.testing.assert_array_equal(pieces[1], got[2])
        done = w.do("extract", "clips.yaml", "--set", "output=none.h5", "--set", "network=pixels.yaml", code=65)
        self.assertIn("but the network takes stimuli of kind image; list frames: type=video", done.errors[-1])

    def test_bad_videos(self):
        w = self.world
        whole = (VIDEO / "cfr.mp4").read_bytes()
        (w.folder / "videos").mkdir()
        (w.folder / "videos" / "good.mp4").write_bytes(whole)
        (w.folder / "videos" / "cut.mp4").write_bytes(whole[:len(whole) // 2])
        stimuli = "{folder: videos, type: video_clip}"
        done = self.extract("stopped", stimuli, "clip.yaml", code=65, ranks=2)
        self.assertIn("row 1 (cut.mp4)", done.errors[-1])
        self.assertIn("cut.mp4 is no video that FFmpeg can read", done.errors[-1])
        got, ids = self.extract("skipped", stimuli, "clip.yaml", more="on_bad_stimulus: skip\n")
        self.assertEqual(ids, ["cut.mp4", "good.mp4"])
        self.assertTrue(numpy.isnan(got[0]).all() and not numpy.isnan(got[1]).any())

    def test_sounds(self):
        w = self.world
        with wave.open(str(SOUND / "mono8k.wav")) as f:
            x = numpy.frombuffer(f.readframes(9999), "<i2") / 32768
        w.write("sounds.stim.csv", f"type=audio\npath={SOUND}\ndata=stimID,start,end\nmono8k.wav,0.2,0.3\nmono8k.flac,0.95,1.05\nbytes8k.wav,,\n")
        got, _ = self.extract("waves", "sounds.stim.csv", "wave.yaml", ranks=2, more="batch: 2\n")
        got = got.reshape(3, 800)
        numpy.testing.assert_array_equal(got[0], x[1600:2400].astype("f4"))
        numpy.testing.assert_array_equal(got[1], numpy.append(x[7600:], numpy.zeros(80)).astype("f4"))
        self.assertTrue((got[2][400:] == 0).all() and (got[2][:400] != 0).any())
        w.write("one.stim.csv", f"type=audio\npath={SOUND}\ndata=stimID\nmono8k.wav\n")
        mel, ids = self.extract("mel", "{table: one.stim.csv, window: {length: 0.975, step: 0.96}}", "vggish_input.yaml")
        self.assertEqual(ids, ["mono8k.wav#1"])
        known = json.loads((SOUND / "sound.json").read_text())["vggish"]["every37"]
        self.assertEqual(mel.shape, (1, 1, 96, 64))
        self.assertLessEqual(numpy.abs(mel.ravel()[::37] - known).max(), 1e-4)
        done = self.extract("long", "one.stim.csv", "vggish_input.yaml", code=65)
        self.assertIn("cut it into windows (stimuli: {table: FILE, window: {length: 0.975, step: 0.975}})", done.errors[-1])

    def test_arrays(self):
        w = self.world
        random = numpy.random.default_rng(5)
        pictures = random.integers(0, 256, (11, 36, 48, 3), dtype=numpy.uint8)
        with h5py.File(w.folder / "stimuli.h5", "w") as f:
            f.create_dataset("images", data=pictures, chunks=(3, 18, 48, 3), compression="gzip", shuffle=True)
            f.create_dataset("first", data=pictures.transpose(0, 3, 1, 2))
            f["stimID"] = [f"scene {i}" for i in range(11)]
            f["names"] = numpy.arange(11) * 10
            f["floats"] = random.standard_normal((11, 2, 5))
        want = pictures.transpose(0, 3, 1, 2).astype("f4")
        got, ids = self.extract("h5", '{hdf5: "stimuli.h5:/images"}', "pixels.yaml", ranks=3, more="batch: 2\n")
        self.assertEqual(ids, [f"scene {i}" for i in range(11)])
        numpy.testing.assert_array_equal(got, want)
        got, ids = self.extract("h5first", '{hdf5: "stimuli.h5:/first", ids: names}', "pixels.yaml")
        self.assertEqual(ids, [str(10 * i) for i in range(11)])
        numpy.testing.assert_array_equal(got, want)
        with h5py.File(w.folder / "stimuli.h5") as f:
            floats = f["floats"][:]
        got, _ = self.extract("floats", '{hdf5: "stimuli.h5:/floats"}', "array.yaml")
        numpy.testing.assert_array_equal(got.reshape(11, 2, 5), ((floats.astype("f4").astype(float) - 1) / 2).astype("f4"))
        numpy.save(w.folder / "floats.npy", floats)
        got, ids = self.extract("npy", "{npy: floats.npy}", "array.yaml", ranks=2)
        self.assertEqual(ids, [str(i + 1) for i in range(11)])
        numpy.testing.assert_array_equal(got.reshape(11, 2, 5), ((floats.astype("f4").astype(float) - 1) / 2).astype("f4"))
        numpy.save(w.folder / "one.npy", floats[4].astype("f4"))
        w.write("arrays.stim.csv", "type=array\npath=.\ndata=stimID\none.npy\n")
        one, _ = self.extract("files", "arrays.stim.csv", "array.yaml")
        numpy.testing.assert_array_equal(one[0], got[4])
        done = self.extract("unfit", '{hdf5: "stimuli.h5:/floats"}', "pixels.yaml", code=65)
        self.assertIn("stimuli.h5:/floats holds stimuli of 2 × 5, but the network takes 3 × 36 × 48", done.errors[-1])
        done = self.extract("absent", '{hdf5: "stimuli.h5:/image"}', "pixels.yaml", code=65)
        self.assertIn("has no dataset image (it has first, floats, images, names, stimID)", done.errors[-1])

    def test_numbered_arrays_are_known_by_what_they_hold(self):
        w = self.world
        random = numpy.random.default_rng(6)
        a, b = random.standard_normal((2, 5, 2, 5))
        for name, values in (("a", a), ("b", b)):
            numpy.save(w.folder / f"{name}.npy", values)
            with h5py.File(w.folder / f"{name}_numbered.h5", "w") as f:
                f["data"] = values
        forms = {"npy": "{{npy: {}.npy}}", "h5": '{{hdf5: "{}_numbered.h5:/data"}}'}
        for kind, form in forms.items():
            store = f"numbered_{kind}"
            self.extract(store, form.format("a"), "array.yaml")
            before = (w.folder / f"{store}.h5").read_bytes()
            done = self.extract(store, form.format("b"), "array.yaml", code=73, ranks=2)
            self.assertIn("stimuli differs", done.errors[-1])
            self.assertEqual((w.folder / f"{store}.h5").read_bytes(), before)
            done = self.extract("taken", form.format("b"), "array.yaml", more=f"reuse: {store}.h5\n", code=65, ranks=2)
            self.assertIn("array differs", done.errors[-1])
            suffix = ".npy" if kind == "npy" else "_numbered.h5"
            (w.folder / f"a{suffix}").rename(w.folder / f"moved{suffix}")  # the same values elsewhere
            w.write("moved.yaml", f"stimuli: {form.format('moved')}\nnetwork: array.yaml\nlayers: [shown]\noutput: {store}.h5\n")
            self.assertIn("nothing to do", w.do("extract", "moved.yaml", ranks=2).err)
            done = w.do("extract", "moved.yaml", "--set", f"reuse={store}.h5", "--set", f"output=taken_{kind}.h5")
            self.assertIn("5 stimuli of", done.err + done.out)

    def test_order_of_axes_counts(self):
        w = self.world
        w.write("three.stim.csv", f"type=video_clip\npath={VIDEO}\ndata=stimID\ncfr.mp4\n")
        card = (w.folder / "clip.yaml").read_text().replace("frames: 4", "frames: 3, axes: [AXES]")
        for name, axes in (("one", "channel, frame, row, column"), ("other", "frame, channel, row, column")):
            w.write(f"{name}_clip.yaml", "name: clip\n" + card.replace("AXES", axes))
        self.extract("axes", "three.stim.csv", "one_clip.yaml")
        done = self.extract("axes", "three.stim.csv", "other_clip.yaml", code=73)
        self.assertIn("preprocessing.axes differs", done.errors[-1])

    def test_boxes(self):
        w = self.world
        rows = "".join(f"{i},{name},{3 * i},{2 * i},{3 * i + 48},{2 * i + 36}\n" for i, name in enumerate(w.names))
        w.write("boxes.stim.csv", "type=image\npath=pictures\ndata=stimID,file,crop_left,crop_top,crop_right,crop_bottom\n" + rows)
        got, ids = self.extract("boxes", "boxes.stim.csv", "pixels.yaml")
        for i, name in enumerate(w.names):
            want = numpy.asarray(Image.open(w.folder / "pictures" / name).convert("RGB").crop((3 * i, 2 * i, 3 * i + 48, 2 * i + 36)))
            self.assertLessEqual(numpy.abs(got[i] - want.transpose(2, 0, 1)).max(), 1)

    def test_examples_of_the_manual(self):
        """The `stimuli:` lines of docs/extraction.md, on networks of the tests that take the same kind of input."""
        section = (SOURCE / "docs" / "extraction.md").read_text().split("## Stimuli of every kind")[1].split("\n## ")[0]
        w = self.world
        folder = w.folder / "manual"
        for name in ("films", "sounds"):
            (folder / name).mkdir(parents=True)
        blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.S | re.M)
        tables = [text for kind, text in blocks if kind == "" and "type=" in text]
        for name, table in zip(("movie", "films"), tables):
            (folder / f"{name}.stim.csv").write_text(table.replace("26,1,", "20,1,"))  # the video is shorter here
        shutil.copy(VIDEO / "cfr.mp4", folder / "movie.mp4")
        for name in ("one", "two"):
            shutil.copy(VIDEO / "cfr.mp4", folder / "films" / f"{name}.mp4")
        shutil.copy(SOUND / "mono8k.wav", folder / "sounds" / "a.wav")
        with h5py.File(folder / "stimuli.h5", "w") as f:
            f["images"] = numpy.zeros((2, 36, 48, 3), numpy.uint8)
            f["names"] = ["a", "b"]
        takes = {"alexnet": "pixels", "r3d_18": "clip", "vggish": "vggish_input"}
        rows = []
        for kind, block in blocks:
            if kind != "yaml":
                continue
            job = yaml.safe_load(block)
            job.pop("pool", None), job.pop("pool_over", None)
            job.update(network=str(w.folder / f"{takes[job['network']]}.yaml"), layers=["shown"], batch=1)
            if "window" in str(job["stimuli"]) and job["network"].endswith("clip.yaml"):
                job["stimuli"]["window"] = {"length": 0.4, "step": 0.2}
            (folder / "job.yaml").write_text(yaml.safe_dump(job))
            w.do("extract", "manual/job.yaml")
            with h5py.File(folder / job["output"]) as store:
                rows.append(len(store["shown"]))
        self.assertEqual(rows, [2, 6, 1, 2])

    def test_yamnet(self):
        weights = DATA / "models" / "yamnet_audioset_int8.ts.pt"
        if not weights.exists():
            self.skipTest(f"{weights} is not there (set STRIATE_DATA): no sound was classified")
        w = self.world
        names = {"dog_975ms.wav": "Animal", "jingle_975ms.wav": "Tambourine", "miaow_16k.wav": "Cat", "baby_5000ms.wav": "Crying, sobbing",
                 "robin_chirp.wav": "Bird"}
        w.write("env.stim.csv", f"type=audio\npath={DATA / 'audio' / 'env'}\ndata=stimID\n" + "".join(n + "\n" for n in names))
        w.write("yamnet_job.yaml", "stimuli: {table: env.stim.csv, window: {length: 0.975, step: 0.975}}\nnetwork: yamnet\n"
                f"weights: {weights}\nlayers: [log_mel, layer27, embedding, classes]\noutput: yamnet.h5\n")
        w.do("extract", "yamnet_job.yaml", ranks=2, timeout=300)
        classes = [line.split(",", 2)[2].strip('"') for line in (DATA / "models" / "yamnet_class_map.csv").read_text().splitlines()[1:]]
        with h5py.File(w.folder / "yamnet.h5") as store:
            ids = numpy.array([i.decode().split("#")[0] for i in store[".striate/stimulus_id"][:]])
            scores = store["classes"][:].reshape(len(ids), -1)
            self.assertEqual(store["embedding"].shape[1:], (1024, 1, 1))
        for name, label in names.items():
            self.assertEqual(classes[scores[ids == name].mean(0).argmax()], label, name)


if __name__ == "__main__":
    main()
