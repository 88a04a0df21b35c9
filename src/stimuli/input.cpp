#include "striate/stimuli/input.hpp"

namespace striate {

MelForm vggish_mel() {
  MelForm form;  // the numbers of the struct are its own
  form.scale = MelForm::Scale::htk, form.mel_triangles = true, form.area_norm = false, form.power = 1;
  form.offset = 0.01, form.floor = 0;
  return form;
}

char const* name_of(InputForm::Kind kind) {
  switch (kind) {
    case InputForm::Kind::image:
      return "image";
    case InputForm::Kind::clip:
      return "clip";
    case InputForm::Kind::mel:
      return "mel";
    case InputForm::Kind::audio:
      return "audio";
    default:
      return "array";
  }
}

std::vector<std::size_t> input_shape(InputForm const& form, Preprocessing const& how) {
  switch (form.kind) {
    case InputForm::Kind::image:
      return {how.channels(), how.height, how.width};
    case InputForm::Kind::clip:
      if (form.frame_first) return {form.frames, how.channels(), how.height, how.width};
      return {how.channels(), form.frames, how.height, how.width};
    case InputForm::Kind::mel: {
      std::vector<std::size_t> shape{form.mel.mels, form.mel.frames};
      if (form.frame_first) std::swap(shape[0], shape[1]);
      if (form.channel_axis) shape.insert(shape.begin(), 1);
      return shape;
    }
    case InputForm::Kind::audio:
      if (form.channel_axis) return {1, form.samples};
      return {form.samples};
    default:
      return form.shape;
  }
}

namespace {

nlohmann::ordered_json to_json(MelForm const& mel) {
  nlohmann::ordered_json json;
  json["n_fft"] = mel.n_fft, json["window"] = mel.window, json["hop"] = mel.hop;
  json["mels"] = mel.mels, json["frames"] = mel.frames;
  json["fmin"] = mel.fmin, json["fmax"] = mel.fmax;
  json["mel"] = mel.scale == MelForm::Scale::htk ? "htk" : "slaney";
  json["triangles"] = mel.mel_triangles ? "mel" : "hz";
  json["norm"] = mel.area_norm ? "slaney" : "none";
  json["power"] = mel.power;
  json["log"] = mel.log == MelForm::Log::none      ? "none"
                : mel.log == MelForm::Log::natural ? "natural"
                : mel.log == MelForm::Log::log10   ? "log10"
                                                   : "db";
  json["offset"] = mel.offset, json["floor"] = mel.floor, json["range"] = mel.range;
  json["center"] = mel.center, json["pad"] = mel.reflect ? "reflect" : "zeros";
  return json;
}

/// How the axes of `input_shape` lie.
char const* axes_of(InputForm const& form) {
  switch (form.kind) {
    case InputForm::Kind::clip:
      return form.frame_first ? "frame channel row column" : "channel frame row column";
    case InputForm::Kind::mel:
      if (form.channel_axis) return form.frame_first ? "channel frame band" : "channel band frame";
      return form.frame_first ? "frame band" : "band frame";
    case InputForm::Kind::audio:
      return form.channel_axis ? "channel sample" : "sample";
    default:
      return "as stored";
  }
}

}  // namespace

nlohmann::ordered_json to_json(InputForm const& form, Preprocessing const& how) {
  if (form.kind == InputForm::Kind::image) return to_json(how);
  nlohmann::ordered_json json;
  json["kind"] = name_of(form.kind);
  json["shape"] = input_shape(form, how);
  json["axes"] = axes_of(form);  // extents may be equal
  if (form.kind == InputForm::Kind::clip) {
    json["rate"] = form.rate;
    json["frames"] = to_json(how);
    return json;
  }
  if (form.kind != InputForm::Kind::array) json["rate"] = form.rate, json["samples"] = form.samples;
  if (form.kind == InputForm::Kind::mel) json["mel"] = to_json(form.mel);
  if (form.kind == InputForm::Kind::audio) json["normalise"] = form.normalise;
  json["scale"] = form.scale, json["mean"] = form.mean, json["std"] = form.std;
  return json;
}

}  // namespace striate
