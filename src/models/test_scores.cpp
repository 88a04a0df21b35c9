#include "test_scores.hpp"

#include <limits>

#include "epilogue.hpp"

namespace striate::detail {

Moments test_moments(Responses const& r, std::size_t t, std::vector<std::uint32_t> const& rows, double mean,
                     float const* p, Buffer<double>& memory) {
  std::size_t const e = rows.size();
  Moments m;
  m.n = static_cast<double>(e);
  double* y = memory.grow(e);
  test_responses(r.y + t * r.used, rows.data(), e, mean, y, m.y, m.yy);
  Sums sums;
  prediction_sums(p, e, e, 1, y, &sums);
  m.f = sums.f;
  m.ff = sums.ff;
  m.yf = sums.fy;
  return m;
}

void write_scores(ModelOptions const& options, Moments const& m, double sd, std::size_t at, TileResult& out) {
  out.degenerate += constant_prediction(m) ? 1 : 0;
  for (std::size_t c = 0; c < options.scores.size(); ++c) {
    Score const which = options.scores[c];
    out.score[c * out.alpha.size() + at] = scaled(options, which, score(which, m), sd);
  }
}

void clear_result(ModelOptions const& options, RowPlan const& rows, std::size_t inner_rows, std::size_t T,
                  std::size_t extras, std::size_t weight_rows, TileResult& out) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr float missing = std::numeric_limits<float>::quiet_NaN();
  std::size_t const k = options.scores.size();
  out.score.assign(k * T, nan);
  out.inner_score.assign(rows.n_test > 0 ? 0 : inner_rows * k * T, nan);
  out.alpha.assign(T, nan);
  out.extra.assign(extras * T, nan);
  out.flag.assign(T, TargetFlag::ok);
  out.prediction.assign(options.predictions ? rows.n_test * T : 0, missing);
  out.weights.assign(options.coefficients ? weight_rows * T : 0, missing);
  out.intercept.assign(options.coefficients ? T : 0, nan);
  out.degenerate = out.edge_low = out.edge_high = 0;
}

void write_inner_scores(std::vector<double> const& all, std::size_t folds, std::size_t T, std::size_t a, std::size_t t,
                        std::size_t chosen, std::size_t at, TileResult& out) {
  std::size_t const total = out.alpha.size(), k = out.score.size() / total;
  for (std::size_t c = 0; c < k; ++c) {
    double sum = 0;
    for (std::size_t f = 0; f < folds; ++f) {
      double const value = all[((f * k + c) * T + t) * a + chosen];
      out.inner_score[(f * k + c) * total + at] = value;
      sum += value;
    }
    out.score[c * total + at] = sum / static_cast<double>(folds);
  }
}

}  // namespace striate::detail
