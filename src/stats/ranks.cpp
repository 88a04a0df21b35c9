#include "striate/stats/ranks.hpp"

#include <algorithm>
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

}  // namespace striate
