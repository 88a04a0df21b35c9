#include "striate/stats/tail.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "striate/stats/multiple.hpp"

namespace striate {
namespace {

constexpr double least_shape = -0.5;

/// 5 % points of A², by shape.
struct Point {
  double shape, a2;
};
constexpr std::array<Point, 10> points{{{-0.9, 0.771},
                                        {-0.5, 0.830},
                                        {-0.2, 0.903},
                                        {-0.1, 0.935},
                                        {0, 0.974},
                                        {0.1, 1.020},
                                        {0.2, 1.074},
                                        {0.3, 1.140},
                                        {0.4, 1.221},
                                        {0.5, 1.321}}};

/// Mean log-likelihood with shape / scale = theta; the shape that is best for it.
struct Profile {
  std::span<double const> x;
  /// Mean of log(1 + theta x): factors are multiplied, as logarithms are what takes time. 16 of them stay far from the
  /// ends of double, where 1 + theta x >= 2^-15.
  [[nodiscard]] double shape(double theta) const {
    constexpr std::size_t lanes = 4, factors = 16;
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); i += lanes * factors) {
      double product[lanes] = {1, 1, 1, 1};
      std::size_t const end = std::min(x.size(), i + lanes * factors), whole = i + (end - i) / lanes * lanes;
      for (std::size_t j = i; j < whole; j += lanes)
        for (std::size_t k = 0; k < lanes; ++k) product[k] *= 1 + theta * x[j + k];
      for (std::size_t j = whole; j < end; ++j) product[j - whole] *= 1 + theta * x[j];
      for (double one : product) sum += std::log(one);
    }
    return sum / static_cast<double>(x.size());
  }
  [[nodiscard]] static double likelihood(double theta, double shape) {
    return std::isfinite(shape) && theta != 0 ? -std::log(shape / theta) - shape - 1
                                              : -std::numeric_limits<double>::infinity();
  }
};

/// Where f is greatest between a and b (golden section).
template <class F>
double maximise(F const& f, double a, double b) {
  constexpr double ratio = 0.6180339887498949;
  double c = b - ratio * (b - a), d = a + ratio * (b - a), fc = f(c), fd = f(d);
  for (int i = 0; i < 100 && std::abs(b - a) > 1e-12 * (std::abs(a) + std::abs(b)); ++i)
    if (fc > fd)
      b = d, d = c, fd = fc, c = b - ratio * (b - a), fc = f(c);
    else
      a = c, c = d, fc = fd, d = a + ratio * (b - a), fd = f(d);
  return 0.5 * (a + b);
}

}  // namespace

double Pareto::beyond(double excess) const {
  if (excess <= 0) return 1;
  if (std::abs(shape) < 1e-9) return std::exp(-excess / scale);
  double const base = 1 + shape * excess / scale;
  return base > 0 ? std::exp(-std::log(base) / shape) : 0;
}

Pareto fit_pareto(std::span<double const> x) {
  double mean = 0, greatest = 0;
  for (double v : x) mean += v / static_cast<double>(x.size()), greatest = std::max(greatest, v);
  Profile const profile{x};
  // The exponential distribution is where theta is 0.
  Pareto best{0, mean};
  double best_likelihood = -std::log(mean) - 1;
  auto const likelihood = [&](double theta) {
    double const shape = profile.shape(theta);
    return shape < least_shape ? -std::numeric_limits<double>::infinity() : Profile::likelihood(theta, shape);
  };
  // A grid first, as the likelihood may have two maxima: theta from -1/greatest (where it has none) upwards.
  std::vector<double> grid;
  for (int i = 1; i < 60; ++i) grid.push_back(-(1 - std::exp2(-0.25 * i)) / greatest);
  std::ranges::reverse(grid);
  for (int i = 0; i <= 40; ++i) grid.push_back(std::exp2(0.25 * i - 8) / mean);
  std::size_t at = 0;
  std::vector<double> values;
  for (double theta : grid) values.push_back(likelihood(theta));
  for (std::size_t i = 0; i < grid.size(); ++i) at = values[i] > values[at] ? i : at;
  double const theta = maximise(likelihood, grid[at > 0 ? at - 1 : 0], grid[std::min(at + 1, grid.size() - 1)]);
  if (likelihood(theta) > best_likelihood) {
    double const k = profile.shape(theta);
    best = {k, k / theta};
  }
  return best;
}

ParetoMixture::ParetoMixture(std::span<double const> x, std::optional<ShapePrior> const& prior) {
  double mean = 0, greatest = 0;
  for (double v : x) mean += v / static_cast<double>(x.size()), greatest = std::max(greatest, v);
  std::vector<double> grid;
  for (int i = 150; i > 0; --i) grid.push_back(-(1 - std::exp2(-0.1 * i)) / greatest);
  for (int i = 0; i <= 150; ++i) grid.push_back(std::exp2(0.1 * i - 8) / mean);
  Profile const profile{x};
  std::vector<double> logs, shapes;
  for (double theta : grid) {
    double const shape = profile.shape(theta);
    double const log = static_cast<double>(x.size()) * Profile::likelihood(theta, shape);
    if (!(shape > least_shape) || !std::isfinite(log)) continue;
    double const z = prior ? (shape - prior->mean) / prior->deviation : 0;
    shapes.push_back(shape), logs.push_back(log - 0.5 * z * z);
    fits_.push_back({shape, shape / theta});
  }
  double const best = logs.empty() ? 0 : std::ranges::max(logs);
  double total = 0;
  for (std::size_t i = 0; i < fits_.size(); ++i) {
    double const width = shapes[std::min(i + 1, shapes.size() - 1)] - shapes[i > 0 ? i - 1 : 0];
    weights_.push_back(std::exp(logs[i] - best) * width);
    total += weights_.back();
  }
  for (double& w : weights_) w /= total;
}

double ParetoMixture::beyond(double excess) const {
  double sum = 0;
  for (std::size_t i = 0; i < fits_.size(); ++i) sum += weights_[i] * fits_[i].beyond(excess);
  return sum;
}

double anderson_darling(std::span<double const> x, Pareto const& fit) {
  auto const n = static_cast<double>(x.size());
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double const below = 1 - fit.beyond(x[i]), above = fit.beyond(x[x.size() - 1 - i]);
    sum += static_cast<double>(2 * i + 1) * (std::log(std::max(below, 1e-300)) + std::log(std::max(above, 1e-300)));
  }
  return -n - sum / n;
}

bool fits(std::span<double const> x, Pareto const& fit) {
  double const shape = std::clamp(fit.shape, points.front().shape, points.back().shape);
  std::size_t i = 1;
  while (i + 1 < points.size() && points[i].shape < shape) ++i;
  double const part = (shape - points[i - 1].shape) / (points[i].shape - points[i - 1].shape);
  return anderson_darling(x, fit) < points[i - 1].a2 + part * (points[i].a2 - points[i - 1].a2);
}

void Greatest::insert(std::size_t target, float value) {
  float* const heap = values_.data() + target * keep_;
  std::uint32_t& count = count_[target];
  if (count == keep_)
    std::pop_heap(heap, heap + count, std::greater<>());
  else
    ++count;
  heap[count - 1] = value;
  std::push_heap(heap, heap + count, std::greater<>());
}

std::vector<float> Greatest::take() {
  for (std::size_t t = 0; t < count_.size(); ++t) {
    float* const heap = values_.data() + t * keep_;
    std::sort_heap(heap, heap + count_[t], std::greater<>());
    std::fill(heap + count_[t], heap + keep_, std::numeric_limits<float>::quiet_NaN());
    count_[t] = 0;
  }
  return std::exchange(values_, std::vector<float>(values_.size()));
}

NullTail::NullTail(std::span<double const> null) : sorted_(null.begin(), null.end()), n_(null.size()) {
  std::ranges::sort(sorted_);
  fit(n_ / 4, {});
}

NullTail::NullTail(std::span<float const> greatest, std::size_t n, ShapePrior const& prior)
    : sorted_(greatest.begin(), greatest.end()), n_(n) {
  std::ranges::sort(sorted_);
  fit(std::min({n / 4, target_tail, sorted_.size() - std::min<std::size_t>(1, sorted_.size())}), prior);
}

void NullTail::fit(std::size_t most, std::optional<ShapePrior> const& prior) {
  std::size_t const n = sorted_.size();
  for (std::size_t count = most; count >= least_tail; count -= std::max<std::size_t>(1, count / 10)) {
    double const threshold = 0.5 * (sorted_[n - count - 1] + sorted_[n - count]);
    std::vector<double> excess;
    for (std::size_t i = n - count; i < n; ++i) excess.push_back(sorted_[i] - threshold);
    if (!(excess.back() > excess.front()) || !std::isfinite(excess.back()) || !std::isfinite(threshold)) return;
    Pareto const fit = fit_pareto(excess);
    if (!fits(excess, fit)) continue;
    tail_ = count, threshold_ = threshold, fit_ = fit;
    mixture_.emplace(excess, prior);
    return;
  }
}

double NullTail::p(double observed) const {
  if (std::isnan(observed)) return observed;
  auto const below = std::ranges::partition_point(sorted_, [&](double v) { return !reaches(v, observed); });
  return p(observed, static_cast<std::size_t>(sorted_.end() - below));
}

double NullTail::p(double observed, std::size_t exceed) const {
  if (std::isnan(observed)) return observed;
  auto const n = static_cast<double>(n_);
  if (!fitted() || exceed >= counted_exceed) return static_cast<double>(exceed + 1) / (n + 1);
  double const tail = static_cast<double>(tail_) / n * mixture_->beyond(observed - threshold_);
  return std::clamp(tail, 0.01 / (n + 1), static_cast<double>(counted_exceed + 1) / (n + 1));
}

std::vector<double> tail_p(std::span<double const> observed, std::span<double const> null) {
  NullTail const tail(null);
  std::vector<double> p;
  for (double v : observed) p.push_back(tail.p(v));
  return p;
}

}  // namespace striate
