// The input side of a card: what the network takes, and what is done to a stimulus before.
#include "card_mapping.hpp"

namespace striate::net {
namespace {

using Kind = InputForm::Kind;

/// The shape of an array or a waveform, axis by axis.
std::vector<std::size_t> read_shape(Mapping const& input) {
  std::vector<std::size_t> shape;
  for (double const extent : input.numbers("shape", {})) {
    if (!(extent >= 1 && extent <= 1e9) || extent != std::floor(extent))
      config_error(input.at("shape"), "must be a list of whole numbers above 0: the axes of one stimulus");
    shape.push_back(static_cast<std::size_t>(extent));
  }
  return shape;
}

void read_size(Mapping const& input, Preprocessing& how) {
  if (input.has("size")) {
    YAML::Node const size = input["size"];
    if (!size.IsSequence() || size.size() != 2)
      config_error(input.at("size"), "must be [height, width], e.g. [224, 224]");
    how.height = input.size_of(size[0], "size");
    how.width = input.size_of(size[1], "size");
  }
  std::string const channels = input.choice("channels", "rgb", {"rgb", "bgr", "grey"});
  how.grey = channels == "grey";
  how.bgr = channels == "bgr";
}

/// `axes`: one of a few orders, each a list of names.
std::size_t read_axes(Mapping const& input, std::vector<std::vector<std::string>> const& orders) {
  if (!input.has("axes")) return 0;
  std::vector<std::string> asked;
  if (input["axes"].IsSequence()) asked = input["axes"].as<std::vector<std::string>>();
  auto const found = std::find(orders.begin(), orders.end(), asked);
  if (found != orders.end()) return static_cast<std::size_t>(found - orders.begin());
  std::string listed;
  for (auto const& order : orders) {
    std::string names;
    for (auto const& name : order) names += (names.empty() ? "" : ", ") + name;
    listed += (listed.empty() ? "[" : " | [") + names + "]";
  }
  config_error(input.at("axes"), "must be one of " + listed);
}

void read_clip(Mapping const& input, InputForm& form, Preprocessing& how) {
  read_size(input, how);
  if (!input.has("frames")) config_error(input.at("frames"), "is missing: the number of frames that a clip has");
  form.frames = input.count("frames", 0, 4096);
  form.rate = input.number("rate", 0, 1e-3, 1e4);
  form.frame_first =
      read_axes(input, {{"channel", "frame", "row", "column"}, {"frame", "channel", "row", "column"}}) == 1;
}

void read_audio(Mapping const& input, InputForm& form) {
  if (!input.has("rate")) config_error(input.at("rate"), "is missing: samples a second, e.g. 16000");
  form.rate = std::round(input.number("rate", 0, 100, 384e3));
  auto const shape = read_shape(input);
  form.samples = input.count("samples", shape.empty() ? 0 : shape.back(), 100'000'000);
  if (form.samples == 0) config_error(input.at("samples"), "is missing: the number of samples that the network takes");
  if (shape.size() > 2 || (shape.size() == 2 && shape[0] != 1) || (!shape.empty() && shape.back() != form.samples))
    config_error(input.at("shape"), fmt::format("must be [{0}] or [1, {0}]", form.samples));
  form.channel_axis = shape.size() == 2;
}

void read_mel_input(Mapping const& input, InputForm& form) {
  std::string const preset = input.choice("preset", "none", {"none", "vggish"});
  form.rate = 16000;
  if (preset == "vggish") {
    form.mel = vggish_mel();
  } else {
    for (auto const* key : {"rate", "frames", "mels"})
      if (!input.has(key)) config_error(input.at(key), "is missing (or take `preset: vggish`)");
    form.mel.fmin = 0, form.mel.fmax = 0;
  }
  form.rate = std::round(input.number("rate", form.rate, 100, 384e3));
  form.mel.frames = input.count("frames", form.mel.frames, 1'000'000);
  form.mel.mels = input.count("mels", form.mel.mels, 4096);
  std::size_t const order =
      read_axes(input, {{"channel", "frame", "mel"}, {"channel", "mel", "frame"}, {"frame", "mel"}, {"mel", "frame"}});
  form.frame_first = order % 2 == 0;
  form.channel_axis = order < 2;
  form.samples = input.count("samples", 0, 100'000'000);
}

void read_resize(Mapping const& steps, Preprocessing& out) {
  if (!steps.has("resize")) return;
  YAML::Node const resize = steps["resize"];
  if (resize.IsSequence()) {
    if (resize.size() != 2) config_error(steps.at("resize"), "must be none, N (shorter side) or [height, width]");
    out.resize = Preprocessing::Resize::squash;
    out.resize_height = steps.size_of(resize[0], "resize");
    out.resize_width = steps.size_of(resize[1], "resize");
  } else if (!resize.IsScalar()) {
    config_error(steps.at("resize"), "must be none, N (shorter side) or [height, width]");
  } else if (resize.as<std::string>() != "none") {
    out.resize = Preprocessing::Resize::shorter;
    out.resize_height = steps.size_of(resize, "resize");
  }
}

double read_scale(Mapping const& steps, double otherwise) {
  if (!steps.has("scale")) return otherwise;
  auto const scale = steps.numbers("scale", {});
  if (scale.size() != 1 || !std::isfinite(scale[0]) || scale[0] == 0)
    config_error(steps.at("scale"),
                 "must be one number other than 0: what a pixel value (0 to 255), a sample of sound "
                 "(-1 to 1) or a number of an array is multiplied by");
  return scale[0];
}

/// `mean` and `std`, one number or `count` of `each`.
void read_norm(Mapping const& steps, std::size_t count, bool one_will_do, char const* each, std::vector<double>& mean,
               std::vector<double>& std) {
  mean = steps.numbers("mean", std::vector<double>(one_will_do ? 1 : count, 0));
  std = steps.numbers("std", std::vector<double>(one_will_do ? 1 : count, 1));
  for (auto const& [key, values] : {std::pair("mean", &mean), std::pair("std", &std)})
    if (values->size() != count && !(one_will_do && values->size() == 1))
      config_error(steps.at(key), fmt::format("has {} numbers for {} {}", values->size(), count, each));
  if (std::any_of(std.begin(), std.end(), [](double s) { return !(s > 0); }))
    config_error(steps.at("std"), "must be numbers above 0");
}

void read_picture_steps(Mapping const& top, Preprocessing& out) {
  if (!top.has("preprocessing")) return;
  Mapping const steps = top.inner("preprocessing", {"resize", "mode", "crop", "scale", "mean", "std"});
  read_resize(steps, out);
  out.mode = steps.choice("mode", "bilinear", {"bilinear", "nearest", "bicubic"});
  std::string const crop = steps.choice("crop", "none", {"none", "center", "7/8"});
  if (crop == "center") out.crop = Preprocessing::Crop::center;
  if (crop == "7/8") out.crop = Preprocessing::Crop::seven_eighths;
  out.scale = read_scale(steps, out.scale);
  read_norm(steps, out.channels(), false, "channels", out.mean, out.std);
  if (out.crop == Preprocessing::Crop::none && out.resize == Preprocessing::Resize::squash &&
      (out.resize_height != out.height || out.resize_width != out.width))
    config_error(steps.at("resize"), "differs from input.size, and nothing crops; make them equal");
}

/// The keys that turn a waveform into a spectrogram.
void read_mel_keys(Mapping const& steps, double rate, MelForm& mel) {
  mel.n_fft = steps.count("n_fft", mel.n_fft, 1 << 20);
  mel.window = steps.count("window", mel.fmax > 0 ? mel.window : mel.n_fft, 1 << 20);
  mel.hop = steps.count("hop", mel.fmax > 0 ? mel.hop : std::max<std::size_t>(1, mel.n_fft / 4), 1 << 20);
  if (mel.window > mel.n_fft) config_error(steps.at("window"), fmt::format("is longer than n_fft ({})", mel.n_fft));
  mel.fmin = steps.number("fmin", mel.fmin, 0, rate / 2);
  mel.fmax = steps.number("fmax", mel.fmax > 0 ? mel.fmax : rate / 2, 0, rate / 2);
  if (mel.fmax <= mel.fmin) config_error(steps.at("fmax"), "must be above fmin");
  bool const htk = mel.scale == MelForm::Scale::htk;
  mel.scale = steps.choice("mel", htk ? "htk" : "slaney", {"htk", "slaney"}) == "htk" ? MelForm::Scale::htk
                                                                                      : MelForm::Scale::slaney;
  mel.mel_triangles = steps.choice("triangles", mel.mel_triangles ? "mel" : "hz", {"hz", "mel"}) == "mel";
  mel.area_norm = steps.choice("norm", mel.area_norm ? "slaney" : "none", {"slaney", "none"}) == "slaney";
  mel.power = steps.number("power", mel.power, 0.1, 10);
  std::vector<std::string> const logs{"none", "natural", "log10", "db"};  // in the order of MelForm::Log
  auto const log = steps.choice("log", logs[static_cast<std::size_t>(mel.log)], logs);
  mel.log = static_cast<MelForm::Log>(std::find(logs.begin(), logs.end(), log) - logs.begin());
  mel.offset = steps.number("offset", mel.offset, 0, 1e6);
  mel.floor = steps.number("floor", mel.floor, 0, 1e6);
  if (mel.log != MelForm::Log::none && mel.offset == 0 && mel.floor == 0)
    config_error(steps.at("offset"), "and floor are both 0, so that silence would become -inf; set one");
  mel.range = steps.number("range", mel.range, 0, 1e6);
  mel.center = steps.flag("center", mel.center);
  mel.reflect = steps.choice("pad", mel.reflect ? "reflect" : "zeros", {"zeros", "reflect"}) == "reflect";
}

void read_mel_steps(Mapping const& top, InputForm& form) {
  Mapping const steps = top.has("preprocessing")
                            ? top.inner("preprocessing",
                                        {"n_fft", "window", "hop", "fmin", "fmax", "mel", "triangles", "norm", "power",
                                         "log", "offset", "floor", "range", "center", "pad", "scale", "mean", "std"},
                                        "the preprocessing of a mel spectrogram")
                            : Mapping(YAML::Node(YAML::NodeType::Map), top.at("preprocessing"), {});
  read_mel_keys(steps, form.rate, form.mel);
  form.scale = read_scale(steps, 1);
  read_norm(steps, form.mel.mels, true, "mel bands", form.mean, form.std);
  if (form.samples == 0) form.samples = form.mel.samples();
  if (form.samples < form.mel.samples())
    config_error(top.at("input.samples", top["input"]["samples"]),
                 fmt::format("are too few for {} frames; {} fill them", form.mel.frames, form.mel.samples()));
}

void read_plain_steps(Mapping const& top, InputForm& form) {
  if (!top.has("preprocessing")) return;
  bool const audio = form.kind == Kind::audio;
  std::vector<std::string> known{"scale", "mean", "std"};
  if (audio) known.emplace_back("normalise");
  Mapping const steps =
      top.inner("preprocessing", known, audio ? "the preprocessing of a waveform" : "the preprocessing of arrays");
  form.scale = read_scale(steps, 1);
  read_norm(steps, audio ? 1 : form.shape.front(), true, "entries of the first axis", form.mean, form.std);
  if (audio) form.normalise = steps.flag("normalise", false);
}

}  // namespace

void read_input(Mapping const& top, InputForm& form, Preprocessing& how) {
  std::vector<std::string> const kinds{"image", "clip", "mel", "audio", "array"};  // in the order of InputForm::Kind
  std::vector<std::vector<std::string>> const known{{"kind", "size", "channels"},
                                                    {"kind", "size", "channels", "frames", "rate", "axes"},
                                                    {"kind", "preset", "rate", "frames", "mels", "samples", "axes"},
                                                    {"kind", "rate", "samples", "shape"},
                                                    {"kind", "shape"}};
  if (!top.has("input")) return read_picture_steps(top, how);
  YAML::Node const node = top["input"];
  std::string kind = "image";
  if (node.IsMap()) {
    std::vector<std::string> any;  // which keys it may have, its kind says
    for (auto const& entry : node) any.push_back(entry.first.as<std::string>());
    kind = top.inner("input", any).choice("kind", kind, kinds);
  }
  auto const place = static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
  Mapping const input = top.inner("input", known[place], place == 0 ? "a card" : "an input of kind " + kind);
  form.kind = static_cast<Kind>(place);
  switch (form.kind) {
    case Kind::image:
      read_size(input, how);
      return read_picture_steps(top, how);
    case Kind::clip:
      read_clip(input, form, how);
      return read_picture_steps(top, how);
    case Kind::mel:
      read_mel_input(input, form);
      return read_mel_steps(top, form);
    case Kind::audio:
      read_audio(input, form);
      return read_plain_steps(top, form);
    case Kind::array:
      form.shape = read_shape(input);
      if (form.shape.empty()) config_error(input.at("shape"), "is missing: the axes of one stimulus, e.g. [3, 64, 64]");
      return read_plain_steps(top, form);
  }
}

}  // namespace striate::net
