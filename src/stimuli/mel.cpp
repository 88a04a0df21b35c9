#include "mel.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <unsupported/Eigen/FFT>

namespace striate {

struct MelSpectrogram::Fft {
  Eigen::FFT<double> run;
  std::vector<std::complex<double>> values;
};

namespace {

/// Slaney's scale (Auditory Toolbox): linear below 1 kHz, logarithmic above.
constexpr double slaney_step = 200.0 / 3, slaney_knee = 1000;
double const slaney_log_step = std::log(6.4) / 27;

double to_mel(double hz, MelForm::Scale scale) {
  if (scale == MelForm::Scale::htk) return 1127 * std::log1p(hz / 700);
  if (hz < slaney_knee) return hz / slaney_step;
  return slaney_knee / slaney_step + std::log(hz / slaney_knee) / slaney_log_step;
}

double to_hz(double mel, MelForm::Scale scale) {
  if (scale == MelForm::Scale::htk) return 700 * std::expm1(mel / 1127);
  double const knee = slaney_knee / slaney_step;
  return mel < knee ? mel * slaney_step : slaney_knee * std::exp((mel - knee) * slaney_log_step);
}

std::vector<std::vector<double>> mel_bands(MelForm const& form, double rate) {
  std::size_t const frequencies = form.n_fft / 2 + 1;
  double const low = to_mel(form.fmin, form.scale), high = to_mel(form.fmax, form.scale);
  auto const edge = [&](std::size_t e) {  // in the units of the triangles
    double const mel = low + (high - low) * static_cast<double>(e) / static_cast<double>(form.mels + 1);
    return form.mel_triangles ? mel : to_hz(mel, form.scale);
  };
  std::vector<std::vector<double>> bands(form.mels, std::vector<double>(frequencies));
  for (std::size_t b = 0; b < form.mels; ++b) {
    double const from = edge(b), peak = edge(b + 1), to = edge(b + 2);
    double const hz_wide = form.mel_triangles ? to_hz(to, form.scale) - to_hz(from, form.scale) : to - from;
    for (std::size_t f = 0; f < frequencies; ++f) {
      double const hz = static_cast<double>(f) * rate / static_cast<double>(form.n_fft);
      double const at = form.mel_triangles ? to_mel(hz, form.scale) : hz;
      double const weight = std::max(0.0, std::min((at - from) / (peak - from), (to - at) / (to - peak)));
      bands[b][f] = form.area_norm ? weight * 2 / hz_wide : weight;
    }
    if (form.mel_triangles) bands[b][0] = 0;  // as VGGish: no constant part
  }
  return bands;
}

}  // namespace

MelSpectrogram::MelSpectrogram(MelForm form, double rate)
    : form_(form), bands_(mel_bands(form_, rate)), fft_(std::make_unique<Fft>()) {
  for (auto const& band : bands_) {
    auto const heavy = [](double w) { return w > 0; };
    auto const first = std::find_if(band.begin(), band.end(), heavy);
    auto const last = std::find_if(band.rbegin(), band.rend(), heavy).base();
    spans_.emplace_back(first - band.begin(), std::max(first, last) - band.begin());
  }
  for (std::size_t i = 0; i < form_.window; ++i)
    window_.push_back(
        0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(form_.window)));
  frame_.resize(form_.n_fft);
  spectrum_.resize(form_.n_fft / 2 + 1);
  values_.resize(form_.frames * form_.mels);
  fft_->run.SetFlag(Eigen::FFT<double>::HalfSpectrum);
}

MelSpectrogram::~MelSpectrogram() = default;

/// The windowed samples of one frame.
void MelSpectrogram::take_frame(std::span<float const> wave, std::size_t frame) {
  std::fill(frame_.begin(), frame_.end(), 0);
  auto const count = static_cast<std::ptrdiff_t>(wave.size());
  auto const half = static_cast<std::ptrdiff_t>(form_.n_fft / 2 - (form_.n_fft - form_.window) / 2);
  auto const start = static_cast<std::ptrdiff_t>(frame * form_.hop) - (form_.center ? half : 0);
  for (std::size_t i = 0; i < form_.window; ++i) {
    auto at = start + static_cast<std::ptrdiff_t>(i);
    if (form_.reflect) {  // the ends are not repeated
      if (at < 0) at = -at;
      if (at >= count) at = 2 * (count - 1) - at;
    }
    if (at >= 0 && at < count) frame_[i] = window_[i] * static_cast<double>(wave[static_cast<std::size_t>(at)]);
  }
}

double MelSpectrogram::logarithm(double value) const {
  value = std::max(value, form_.floor) + form_.offset;
  switch (form_.log) {
    case MelForm::Log::natural:
      return std::log(value);
    case MelForm::Log::log10:
      return std::log10(value);
    case MelForm::Log::decibel:
      return (form_.power == 1 ? 20 : 10) * std::log10(value);
    default:
      return value;
  }
}

void MelSpectrogram::run(std::span<float const> wave, std::span<float> out) {
  for (std::size_t t = 0; t < form_.frames; ++t) {
    take_frame(wave, t);
    fft_->run.fwd(fft_->values, frame_);
    for (std::size_t f = 0; f < spectrum_.size(); ++f) {
      double const power = std::norm(fft_->values[f]);
      spectrum_[f] = form_.power == 2 ? power : form_.power == 1 ? std::sqrt(power) : std::pow(power, form_.power / 2);
    }
    for (std::size_t b = 0; b < form_.mels; ++b) {
      double sum = 0;
      for (std::size_t f = spans_[b].first; f < spans_[b].second; ++f) sum += bands_[b][f] * spectrum_[f];
      values_[t * form_.mels + b] = logarithm(sum);
    }
  }
  double const least = form_.range > 0 ? *std::max_element(values_.begin(), values_.end()) - form_.range : -HUGE_VAL;
  for (std::size_t i = 0; i < values_.size(); ++i) out[i] = static_cast<float>(std::max(values_[i], least));
}

}  // namespace striate
