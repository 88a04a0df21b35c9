#pragma once
/// Partial least squares from Gram matrices alone.
#include <cstddef>
#include <vector>

namespace striate::detail {

/// Copies the lower triangle to the upper one.
void mirror(double* g, std::size_t n);

struct PlsComponents {
  std::size_t count = 0;
  std::vector<double> scores;     ///< n × count, T: orthonormal
  std::vector<double> rotations;  ///< n × count, V: K V = T, so that a row k of test × training products has scores k V
};

/// Replaces the kernel k = XXᵀ of centred X (n × n, lower triangle) by a Cholesky factor, in place. Returns what was
/// added to its diagonal for that; below 0: no feature varies, there is no factor.
[[nodiscard]] double pls_factor(std::size_t n, double* k);

/// PLS2 in regression mode (NIPALS with deflation of X, Wold 1975; the same components as scikit-learn's
/// PLSRegression(scale=False)). `factor`, `lift`: of pls_factor; g = YYᵀ of centred Y, n × n. At most `most`
/// components; fewer where the deflated features have a variance (n ·) below `noise` along the next, or no covariance
/// with the responses is left. The scores of all components are a prefix of those of more.
[[nodiscard]] PlsComponents pls_components(std::size_t n, double const* factor, double lift, double const* g,
                                           std::size_t most, double noise);

}  // namespace striate::detail
