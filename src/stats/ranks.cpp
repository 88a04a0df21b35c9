#include "striate/stats/ranks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "striate/stats/scores.hpp"

namespace striate {

void rank(std::span<double const> values, std::span<double> out) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return values[a] < values[b]; });
  for (std::size_t i = 0, end = 0; i < order.size(); i = end) {
    for (end = i + 1; end < order.size() && values[order[end]] == values[order[i]];) {
      ++end;
    }
    double const mean = 0.5 * static_cast<double>(i + 1 + end);  // of the ranks i + 1 … end
    for (std::size_t k = i; k < end; ++k) {
      out[order[k]] = mean;
    }
  }
}

double spearman(std::span<double const> y, std::span<double const> f) {
  Moments plain;
  for (double value : f) {
    plain.add(0, value);
  }
  std::vector<double> a(y.size()), b(f.size());
  rank(y, a);
  rank(f, b);
  double const centre = 0.5 * static_cast<double>(y.size() + 1);
  bool const flat = constant_prediction(plain);
  Moments m;
  for (std::size_t i = 0; i < y.size(); ++i) {
    m.add(a[i] - centre, flat ? 0 : b[i] - centre);
  }
  return score(Score::pearson, m);
}

double rank_correlation(std::span<double const> x, std::span<double const> y) {
  std::vector<double> a(x.size()), b(y.size());
  rank(x, a);
  rank(y, b);
  double const centre = 0.5 * static_cast<double>(x.size() + 1);
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const u = a[i] - centre, v = b[i] - centre;
    aa += u * u, bb += v * v, ab += u * v;
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace striate
