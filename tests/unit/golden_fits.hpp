#pragma once
/// Predictions and coefficients of a fitted fold against those of a golden record.
#include "models_common.hpp"

namespace striate::testing {

inline void expect_close(double got, double want, double tolerance, std::string const& what) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << what << ": got " << got << ", expected NaN";
  } else {
    EXPECT_NEAR(got, want, tolerance) << what;
  }
}

/// Held-out predictions, and coefficients with their intercept, of the first fold. `rounding`: of predictions, in
/// units of 1 + their size.
inline void expect_fits(std::map<std::string, Array> const& g, FittedFold const& fitted, TileResult const& r,
                        double rounding) {
  std::size_t const n = g.at("x").rows, p = g.at("x").cols, t = g.at("y").cols, e = g.at("prediction").rows;
  auto const x = columns(g.at("x"));
  std::vector<float> coef(p * t);
  fitted.coefficients({x.data(), n, p}, 0, {r.weights.data(), fitted.weight_rows(), t}, coef.data());
  for (std::size_t c = 0; c < t; ++c) {
    double size = 1e-9;
    for (std::size_t j = 0; j < p; ++j) {
      size = std::max(size, std::abs(g.at("coef").at(j, c)));
    }
    for (std::size_t j = 0; j < p; ++j) {
      expect_close(coef[j + c * p], g.at("coef").at(j, c), 2e-5 * size, "coefficient " + std::to_string(j));
    }
    double const b = g.at("intercept").at(0, c);
    expect_close(r.intercept[c], b, 1e-4 * (1 + std::abs(b)), "intercept " + std::to_string(c));
    for (std::size_t i = 0; i < e; ++i) {
      double const want = g.at("prediction").at(i, c);
      expect_close(r.prediction[i + c * e], want, rounding * (1 + std::abs(want)), "prediction");
    }
  }
}

}  // namespace striate::testing
