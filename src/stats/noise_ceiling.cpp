#include "striate/stats/noise_ceiling.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"
#include "striate/stats/scores.hpp"

namespace striate {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

std::vector<std::vector<std::uint32_t>> repeated(std::span<std::uint32_t const> stimulus) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> rows;
  for (std::uint32_t i = 0; i < stimulus.size(); ++i) {
    rows[stimulus[i]].push_back(i);
  }
  std::vector<std::vector<std::uint32_t>> out;
  for (auto& [id, r] : rows) {
    if (r.size() >= 2) {
      out.push_back(std::move(r));
    }
  }
  return out;
}

double mean_of(float const* y, std::vector<std::uint32_t> const& rows) {
  double sum = 0;
  for (auto r : rows) {
    sum += y[r];
  }
  return sum / static_cast<double>(rows.size());
}

}  // namespace

HalfSplits half_splits(std::span<std::uint32_t const> stimulus, std::uint64_t seed, std::size_t count) {
  constexpr std::uint64_t purpose = 0x68616c766573;  // "halves"
  auto const rows = repeated(stimulus);
  if (rows.size() < 3) {
    fail(Exit::data,
         "{} stimuli have repeats (a split-half noise ceiling needs at least 3); leave the noise ceiling out",
         rows.size());
  }
  // Two repeats of every stimulus can be told apart only by their order: one split says it all.
  bool const pairs = std::all_of(rows.begin(), rows.end(), [](auto const& r) { return r.size() == 2; });
  HalfSplits out;
  out.stimuli = rows.size();
  for (auto const& r : rows) {
    out.longer += static_cast<double>(r.size()) / static_cast<double>(r.size() / 2);
  }
  out.longer /= static_cast<double>(rows.size());
  std::size_t const splits = pairs ? 1 : count;
  for (std::size_t s = 0; s < splits; ++s) {
    out.a.emplace_back();
    out.b.emplace_back();
    for (std::size_t i = 0; i < rows.size(); ++i) {
      auto const& r = rows[i];
      std::vector<std::uint32_t> a, b;
      auto const order = permutation(seed, purpose, s * rows.size() + i, r.size());
      for (std::size_t k = 0; k < r.size() / 2; ++k) {
        a.push_back(pairs ? r[0] : r[static_cast<std::size_t>(order[2 * k])]);
        b.push_back(pairs ? r[1] : r[static_cast<std::size_t>(order[2 * k + 1])]);
      }
      out.a.back().push_back(std::move(a));
      out.b.back().push_back(std::move(b));
    }
  }
  return out;
}

void split_half_reliability(HalfSplits const& splits, MatrixView<float const> Y, std::span<double> out) {
  for (std::size_t t = 0; t < Y.cols; ++t) {
    float const* y = Y.col(t);
    double sum = 0;
    for (std::size_t s = 0; s < splits.a.size(); ++s) {
      double const shift = mean_of(y, splits.a[s][0]);
      Moments m;
      for (std::size_t i = 0; i < splits.stimuli; ++i) {
        m.add(mean_of(y, splits.a[s][i]) - shift, mean_of(y, splits.b[s][i]) - shift);
      }
      double const vary = m.ff - m.f * m.f / m.n;
      double const r = vary > 0 ? score(Score::pearson, m) : nan;
      sum += spearman_brown(r, splits.longer);
    }
    out[t] = std::isfinite(sum) ? sum / static_cast<double>(splits.a.size()) : nan;
  }
}

double spearman_brown(double r, double longer) { return longer * r / (1 + (longer - 1) * r); }

Presentations presentations(std::span<std::uint32_t const> stimulus, bool averaged) {
  std::map<std::uint32_t, double> shown;
  for (auto s : stimulus) {
    shown[s] += 1;
  }
  double all = 0, repeated = 0, count = 0;
  for (auto const& [id, times] : shown) {
    all += 1 / times;
    repeated += times > 1 ? 1 / times : 0;
    count += times > 1 ? 1 : 0;
  }
  Presentations p;
  p.row = averaged && all > 0 ? static_cast<double>(shown.size()) / all : 1;
  p.repeated = repeated > 0 ? count / repeated : 1;
  return p;
}

double noise_ceiling_percent(double ncsnr, double rows) {
  double const signal = ncsnr * ncsnr;
  return std::isinf(signal) ? 100 : 100 * signal / (signal + 1 / rows);
}

void ncsnr(std::span<std::uint32_t const> stimulus, MatrixView<float const> Y, std::span<double> out) {
  auto const rows = repeated(stimulus);
  for (std::size_t t = 0; t < Y.cols; ++t) {
    float const* y = Y.col(t);
    double mean = 0, square = 0;
    for (std::size_t i = 0; i < Y.rows; ++i) {
      mean += y[i];
    }
    mean /= static_cast<double>(Y.rows);
    for (std::size_t i = 0; i < Y.rows; ++i) {
      square += (y[i] - mean) * (y[i] - mean);
    }
    double const variance = square / static_cast<double>(Y.rows);
    double noise = 0;
    for (auto const& r : rows) {
      double const m = mean_of(y, r);
      double ss = 0;
      for (auto i : r) {
        ss += (y[i] - m) * (y[i] - m);
      }
      noise += ss / static_cast<double>(r.size() - 1);
    }
    noise /= static_cast<double>(rows.size()) * variance;
    bool const fine = std::isfinite(noise) && variance > 0 && !rows.empty();
    out[t] = fine ? std::sqrt(std::max(0.0, 1 - noise)) / std::sqrt(noise) : nan;
  }
}

}  // namespace striate
