#include "striate/math/hrf.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace striate {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr int most_terms = 1000;

double gamma_density(double a, double x) {
  return x > 0 ? std::exp((a - 1) * std::log(x) - x - std::lgamma(a)) : 0;
}

}  // namespace

/// By its series below a + 1, by Legendre's continued fraction (modified Lentz) above: Press et al., Numerical Recipes.
double gamma_p(double a, double x) {
  if (x <= 0) return 0;
  double const front = std::exp(a * std::log(x) - x - std::lgamma(a));
  if (x < a + 1) {
    double term = 1 / a, sum = term;
    for (int i = 1; i < most_terms && term > sum * epsilon; ++i) sum += term *= x / (a + i);
    return front * sum;
  }
  constexpr double tiny = 1e-300;
  double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
  for (int i = 1; i < most_terms; ++i) {
    double const an = -i * (i - a);
    b += 2;
    d = an * d + b, c = b + an / c;
    d = 1 / (std::abs(d) < tiny ? tiny : d);
    if (std::abs(c) < tiny) c = tiny;
    h *= d * c;
    if (std::abs(d * c - 1) < epsilon) break;
  }
  return 1 - front * h;
}

Hrf::Hrf(Kind kind, double onset, double dispersion) : onset_(onset) {
  if (kind == Kind::spm) {
    response_ = {1, 6 / dispersion, dispersion};
    undershoot_ = {-1.0 / 6, 16, 1};
  } else {
    // A gamma function with its peak at 1 is its density over the density's peak.
    constexpr double t = 0.9, n1 = 6, n2 = 12, ratio = 0.35;
    auto const peak = [&](double n) { return gamma_density(n + 1, n) / t; };
    response_ = {1 / peak(n1), (n1 + 1) / dispersion, t * dispersion};
    undershoot_ = {-ratio / peak(n2), n2 + 1, t};
  }
  total_ = raw_integral(length - onset);
}

double Hrf::raw_integral(double t) const {
  double sum = 0;
  for (Gamma const& g : {response_, undershoot_}) sum += g.weight * gamma_p(g.shape, t / g.scale);
  return sum;
}

double Hrf::value(double t) const {
  if (t <= onset_ || t > length) return 0;
  double sum = 0;
  for (Gamma const& g : {response_, undershoot_})
    sum += g.weight * gamma_density(g.shape, (t - onset_) / g.scale) / g.scale;
  return sum / total_;
}

double Hrf::integral(double t) const {
  if (t <= onset_) return 0;
  return t >= length ? 1 : raw_integral(t - onset_) / total_;
}

Regressor::Regressor(Hrf::Kind kind, Part part) {
  constexpr double shift = 1, widening = 0.01;
  if (part == Part::hrf) {
    terms_ = {{1, Hrf(kind)}};
  } else if (part == Part::time) {
    terms_ = {{1 / shift, Hrf(kind)}, {-1 / shift, Hrf(kind, shift)}};
  } else {
    terms_ = {{1 / widening, Hrf(kind)}, {-1 / widening, Hrf(kind, 0, 1 + widening)}};
  }
}

Regressor::Regressor(double delay, double width) : delay_(delay), width_(width) {}

double Regressor::weight(Event const& e, double t) const {
  if (terms_.empty()) {
    double const from = t - delay_, to = from + width_;
    constexpr double rounding = 1e-6;  // an onset of 0.3 s belongs to the interval that begins at 3 · 0.1 s
    if (e.duration <= 0) return e.onset >= from - rounding && e.onset < to - rounding ? 1 / width_ : 0;
    return std::max(0.0, std::min(to, e.onset + e.duration) - std::max(from, e.onset)) / width_;
  }
  double const since = t - e.onset;
  if (since <= 0 || since - e.duration > Hrf::length) return 0;
  double sum = 0;
  for (auto const& [factor, h] : terms_)
    sum += factor * (e.duration > 0 ? h.integral(since) - h.integral(since - e.duration) : h.value(since));
  return sum;
}

std::vector<std::pair<std::size_t, double>> weights_at(Regressor const& regressor, std::vector<Event> const& events,
                                                       double t) {
  std::map<std::size_t, double> sums;
  for (Event const& e : events)
    if (double const w = regressor.weight(e, t); w != 0) sums[e.stimulus] += e.amplitude * w;
  return {sums.begin(), sums.end()};
}

}  // namespace striate
