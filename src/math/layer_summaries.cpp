#include "striate/math/layer_summaries.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <unsupported/Eigen/FFT>

#include "striate/base/error.hpp"

namespace striate {
namespace {

/// A stage that makes `count` values of the values of each iteration of each row.
class AxisStage : public LayerStage {
 public:
  AxisStage(LayerShape const& in, LayerAxis axis, std::size_t count)
      : cut_(in, axis), units_(in.units()), count_(count) {}
  [[nodiscard]] LayerShape output() const override { return cut_.output(count_); }
  void apply(float const* in, std::size_t rows, float* out) const override {
    std::vector<double> x(cut_.length), y(count_);
    std::size_t const width = cut_.iterations * count_;
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < cut_.iterations; ++i) {
        float const* const from = in + r * units_ + cut_.first(i);
        for (std::size_t u = 0; u < cut_.length; ++u) x[u] = static_cast<double>(from[u * cut_.step]);
        make(i, x, y);
        for (std::size_t k = 0; k < count_; ++k) out[r * width + place(i, k)] = static_cast<float>(y[k]);
      }
  }

 protected:
  /// y: count values of iteration i, of x (length), which it may change.
  virtual void make(std::size_t i, std::vector<double>& x, std::vector<double>& y) const = 0;
  [[nodiscard]] virtual std::size_t place(std::size_t i, std::size_t k) const { return cut_.place(i, k, count_); }
  AxisCut cut_;
  std::size_t units_, count_;
};

class Histogram final : public AxisStage {
 public:
  Histogram(LayerShape const& in, LayerAxis axis, std::size_t bins, std::vector<double> ranges)
      : AxisStage(in, axis, bins), ranges_(std::move(ranges)) {
    if (bins == 0) fail(Exit::config, "a histogram needs at least one bin");
    if (!ranges_.empty() && ranges_.size() != 2 * cut_.iterations)
      fail(Exit::data, "ranges of {} histograms, but the layer has {}", ranges_.size() / 2, cut_.iterations);
  }

 private:
  void make(std::size_t i, std::vector<double>& x, std::vector<double>& y) const override {
    auto const [least, greatest] = std::ranges::minmax_element(x);
    double low = ranges_.empty() ? *least : ranges_[2 * i], high = ranges_.empty() ? *greatest : ranges_[2 * i + 1];
    if (std::ranges::any_of(x, [](double v) { return !std::isfinite(v); })) {
      std::ranges::fill(y, std::nan(""));
      return;
    }
    if (low == high) low -= 0.5, high += 0.5;
    std::size_t const bins = count_;
    std::vector<double> edge(bins + 1);
    double const step = (high - low) / static_cast<double>(bins);
    for (std::size_t b = 0; b <= bins; ++b)
      edge[b] = static_cast<double>(static_cast<float>(b == bins ? high : low + static_cast<double>(b) * step));
    std::ranges::fill(y, 0.0);
    for (double const v : x) {
      double const at = std::floor((v - low) / (high - low) * static_cast<double>(bins));
      auto b = static_cast<std::size_t>(std::clamp(at, 0.0, static_cast<double>(bins - 1)));
      while (b > 0 && v < edge[b]) --b;
      while (b + 1 < bins && v >= edge[b + 1]) ++b;
      ++y[b];
    }
  }
  std::vector<double> ranges_;
};

class Periodogram final : public AxisStage {
 public:
  Periodogram(LayerShape const& in, LayerAxis axis, std::size_t count) : AxisStage(in, axis, count) {
    std::size_t const n = cut_.length, most = n / 2 + 1;
    if (count == 0 || count > most)
      fail(Exit::config, "a spectrum of {} values has {} coefficients, not {}", n, most, count);
    // A transform by small factors, or the few sums that are wanted.
    std::size_t factor = 1, rest = n;
    for (std::size_t f = 2; f * f <= rest; ++f)
      while (rest % f == 0) rest /= f, factor = std::max(factor, f);
    factor = std::max(factor, rest);
    direct_ = count < 16 || factor > 64 || n < 4;
    if (!direct_) return;
    turn_.resize(n);
    for (std::size_t j = 0; j < n; ++j)
      turn_[j] = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(j) / static_cast<double>(n));
  }

 private:
  void make(std::size_t, std::vector<double>& x, std::vector<double>& y) const override {
    std::size_t const n = cut_.length;
    double mean = 0;
    for (double const v : x) mean += v;
    mean /= static_cast<double>(n);
    for (double& v : x) v -= mean;
    std::vector<std::complex<double>> spectrum(count_);
    if (direct_) {
      for (std::size_t k = 0; k < count_; ++k)
        for (std::size_t j = 0, at = 0; j < n; ++j, at = at + k < n ? at + k : at + k - n)
          spectrum[k] += x[j] * turn_[at];
    } else {
      Eigen::FFT<double> transform;
      transform.SetFlag(Eigen::FFT<double>::HalfSpectrum);
      transform.fwd(spectrum, x);
    }
    for (std::size_t k = 0; k < count_; ++k) {
      bool const once = k == 0 || 2 * k == n;  // the others stand for two frequencies
      y[k] = (once ? 1.0 : 2.0) * std::norm(spectrum[k]) / static_cast<double>(n);
    }
  }
  bool direct_ = false;
  std::vector<std::complex<double>> turn_;
};

class ZScore final : public AxisStage {
 public:
  ZScore(LayerShape const& in, LayerAxis axis) : AxisStage(in, axis, AxisCut(in, axis).length) {}
  [[nodiscard]] LayerShape output() const override { return cut_.input(); }

 private:
  void make(std::size_t, std::vector<double>& x, std::vector<double>& y) const override {
    double const n = static_cast<double>(x.size());
    double mean = 0, squares = 0;
    for (double const v : x) mean += v;
    mean /= n;
    for (double const v : x) squares += (v - mean) * (v - mean);
    double const sd = std::sqrt(squares / n);
    bool const flat = sd <= 1e-7 * std::abs(mean);
    for (std::size_t k = 0; k < x.size(); ++k) y[k] = flat ? 0 : (x[k] - mean) / sd;
  }
  [[nodiscard]] std::size_t place(std::size_t i, std::size_t k) const override { return cut_.first(i) + k * cut_.step; }
};

class Scale final : public LayerStage {
 public:
  Scale(LayerShape in, std::vector<double> mean, std::vector<double> scale)
      : in_(std::move(in)), mean_(std::move(mean)), scale_(std::move(scale)) {
    if (mean_.size() != in_.units() || scale_.size() != in_.units())
      fail(Exit::data, "scales of {} units, but the layer has {}", mean_.size(), in_.units());
  }
  [[nodiscard]] LayerShape output() const override { return in_; }
  void apply(float const* in, std::size_t rows, float* out) const override {
    std::size_t const units = mean_.size();
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t u = 0; u < units; ++u)
        out[r * units + u] = static_cast<float>((static_cast<double>(in[r * units + u]) - mean_[u]) * scale_[u]);
  }

 private:
  LayerShape in_;
  std::vector<double> mean_, scale_;
};

}  // namespace

std::unique_ptr<LayerStage> histogram_stage(LayerShape const& in, LayerAxis axis, std::size_t bins,
                                            std::vector<double> ranges) {
  return std::make_unique<Histogram>(in, axis, bins, std::move(ranges));
}
std::unique_ptr<LayerStage> periodogram_stage(LayerShape const& in, LayerAxis axis, std::size_t count) {
  return std::make_unique<Periodogram>(in, axis, count);
}
std::unique_ptr<LayerStage> scale_stage(LayerShape const& in, std::vector<double> mean, std::vector<double> scale) {
  return std::make_unique<Scale>(in, std::move(mean), std::move(scale));
}
std::unique_ptr<LayerStage> zscore_stage(LayerShape const& in, LayerAxis axis) {
  return std::make_unique<ZScore>(in, axis);
}

}  // namespace striate
