#pragma once
/// What a network takes, of every kind: pictures, clips, sounds, arrays. A card says it; sources in src/stimuli make
/// it.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/stimuli/image.hpp"

namespace striate {

/// A log-mel spectrogram. Frame t covers the `window` samples from t × hop (with `center`: those around t × hop, the
/// sound being padded); periodic Hann window, zeros up to n_fft, |rFFT|^power, mel bands, log.
struct MelForm {
  std::size_t n_fft = 512, window = 400, hop = 160, mels = 64, frames = 96;
  double fmin = 125, fmax = 7500;  ///< Hz
  enum class Scale { htk, slaney } scale = Scale::slaney;
  bool mel_triangles = false;  ///< bands are triangles over mel (VGGish), else over Hz (librosa)
  bool area_norm = true;       ///< bands have unit area (librosa's norm="slaney")
  double power = 2;            ///< 1: magnitude, 2: power
  enum class Log { none, natural, log10, decibel } log = Log::natural;  ///< decibel: 10 log10 of power
  double offset = 0;                                                    ///< added before the logarithm
  double floor = 1e-10;                        ///< values below count as this before the logarithm; 0: none
  double range = 0;                            ///< after it: what lies further below the largest is raised; 0: none
  bool center = false, reflect = false;        ///< of center: padded by reflection, else by zeros
  [[nodiscard]] std::size_t samples() const {  ///< that fill all frames
    return (frames - 1) * hop + (center ? 1 : window);
  }
};
/// VGGish and YAMNet: 25 ms windows every 10 ms of 16 kHz, 64 HTK bands from 125 to 7500 Hz, ln(magnitude + 0.01), 96
/// frames.
[[nodiscard]] MelForm vggish_mel();

/// The input side of a card.
struct InputForm {
  enum class Kind { image, clip, mel, audio, array } kind = Kind::image;
  std::size_t frames = 0;               ///< clip: pictures in it
  double rate = 0;                      ///< clip: pictures a second, 0: spread evenly; mel, audio: samples a second
  std::size_t samples = 0;              ///< mel, audio: of the waveform
  bool channel_axis = false;            ///< audio: (1, samples); mel: with an axis of one channel
  bool frame_first = false;             ///< clip: (frames, channels, h, w); mel: frames before bands
  std::vector<std::size_t> shape;       ///< array
  MelForm mel;                          ///< of kind mel
  double scale = 1;                     ///< audio, array: value × scale, then − mean, ÷ std
  std::vector<double> mean{0}, std{1};  ///< mel (one, or one a band), audio (one), array (one, or one for each of
                                        ///< its first axis)
  bool normalise = false;               ///< audio: each waveform to mean 0 and variance 1, (x − m) / √(v + 1e-7)
};
[[nodiscard]] char const* name_of(InputForm::Kind kind);

/// Of one stimulus: {c,h,w} | {c,t,h,w} | {1,frames,mels} | {samples} …
[[nodiscard]] std::vector<std::size_t> input_shape(InputForm const& form, Preprocessing const& how);
/// For the store's attribute `preprocessing` and the resume check; of pictures that of Preprocessing alone.
[[nodiscard]] nlohmann::ordered_json to_json(InputForm const& form, Preprocessing const& how);

}  // namespace striate
