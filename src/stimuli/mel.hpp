#pragma once
/// Mel spectrograms. Pure; one object a thread.
#include <memory>
#include <span>
#include <vector>

#include "striate/stimuli/input.hpp"

namespace striate {

class MelSpectrogram {
 public:
  MelSpectrogram(MelForm form, double rate);  ///< rate: samples a second
  ~MelSpectrogram();
  /// wave: at least form.samples() → out(frame, band), row-major, in float64 throughout.
  void run(std::span<float const> wave, std::span<float> out);
  /// Weight of each of n_fft / 2 + 1 frequencies in each band: [band][frequency].
  [[nodiscard]] std::vector<std::vector<double>> const& bands() const { return bands_; }

 private:
  struct Fft;
  void take_frame(std::span<float const> wave, std::size_t frame);
  [[nodiscard]] double logarithm(double value) const;
  MelForm form_;
  std::vector<std::vector<double>> bands_;
  std::vector<std::pair<std::size_t, std::size_t>> spans_;  ///< of each band: first frequency with weight, one past
  std::vector<double> window_, frame_, spectrum_, values_;
  std::unique_ptr<Fft> fft_;
};

}  // namespace striate
