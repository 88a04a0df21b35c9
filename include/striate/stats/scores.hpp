#pragma once
/// Scores of predictions, from streaming moments in float64. Conventions of the contract, section 4:
/// pearson of a constant prediction is 0 (and counted); R² is 1 − SSres/SStot with SStot about the test mean; a
/// constant or non-finite target scores NaN.
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

enum class Score { pearson, r2, explained_variance, mse, spearman };

[[nodiscard]] std::optional<Score> score_of(std::string_view name);
[[nodiscard]] char const* name_of(Score s);
[[nodiscard]] std::vector<std::string> score_names();

/// Sums over test rows of a response y and its prediction f. Shift both by one constant near the mean of y before
/// accumulating: every score is invariant, and nothing cancels.
struct Moments {
  double n = 0, y = 0, yy = 0, f = 0, ff = 0, yf = 0;
  void add(double y_i, double f_i) {
    n += 1;
    y += y_i;
    yy += y_i * y_i;
    f += f_i;
    ff += f_i * f_i;
    yf += y_i * f_i;
  }
  void add(Moments const& o) {
    n += o.n;
    y += o.y;
    yy += o.yy;
    f += o.f;
    ff += o.ff;
    yf += o.yf;
  }
};

/// Whether a score follows from moments.
[[nodiscard]] constexpr bool of_moments(Score s) { return s != Score::spearman; }

/// True where the prediction does not vary over the test rows (its spread is below float32 resolution).
[[nodiscard]] inline bool constant_prediction(Moments const& m) {
  double const spread = m.ff - m.f * m.f / m.n;
  return !(spread > 1e-12 * m.ff);  // a relative spread of 1e-6: below what float32 products resolve
}

/// NaN for spearman, which needs ranks: stats/ranks.hpp. Inline: it is called for every alpha, fold and target.
[[nodiscard]] inline double score(Score s, Moments const& m) {
  double const total = m.yy - m.y * m.y / m.n;
  double const residual = m.yy - 2 * m.yf + m.ff;
  double const bias = m.y - m.f;
  if (s == Score::mse) {
    return residual / m.n;
  }
  if (!of_moments(s) || m.n < 2 || !(total > 0)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  switch (s) {
    case Score::r2:
      return 1 - residual / total;
    case Score::explained_variance:
      return 1 - (residual - bias * bias / m.n) / total;
    default:
      break;
  }
  if (constant_prediction(m)) {
    return 0;
  }
  return (m.yf - m.y * m.f / m.n) / std::sqrt(total * (m.ff - m.f * m.f / m.n));
}

}  // namespace striate
