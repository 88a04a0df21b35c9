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

/// PLS2 in regression mode (NIPALS with deflation of X, Wold 1975; the same components as scikit-learn's
/// PLSRegression(scale=False)). k = XXᵀ (lower triangle; destroyed) and g = YYᵀ of centred X and Y, n × n. At most `most`
/// components; fewer where the deflated features have a variance (n ·) below `noise` along the next, or no covariance
/// with the responses is left. The scores of all components are a prefix of those of more.
[[nodiscard]] PlsComponents pls_components(std::size_t n, double* k, double const* g, std::size_t most,
                                           double noise);

}  // namespace striate::detail
