#pragma once
/// p-values of permutation tests and corrections for many tests. NaN stays NaN and counts as no test.
#include <cstdint>
#include <span>
#include <vector>

namespace striate {

/// (exceed + 1) / (permutations + 1): the observed arrangement is one of those that could have been drawn (Phipson and
/// Smyth 2010).
[[nodiscard]] std::vector<double> permutation_p(std::span<double const> observed, std::span<std::uint64_t const> exceed,
                                                std::size_t permutations);
/// Of sequential tests (Besag and Clifford 1991, Biometrika 78:301): exceed / stop where a test stopped after `stop`
/// permutations, as its last one was the exceed-th to reach the observed value; else (stop 0) as permutation_p.
[[nodiscard]] std::vector<double> sequential_p(std::span<double const> observed, std::span<std::uint64_t const> exceed,
                                               std::span<std::uint64_t const> stop, std::size_t permutations);
/// Family-wise: of each observed value, by the maxima over the family of each permutation (Westfall and Young 1993).
/// A maximum that equals the observed value but for rounding counts.
[[nodiscard]] std::vector<double> maximum_p(std::span<double const> observed, std::span<double const> null_max);
/// Adjusted p-values of Benjamini and Hochberg 1995 (independent or positively dependent tests).
[[nodiscard]] std::vector<double> fdr_bh(std::span<double const> p);
/// Of Benjamini and Yekutieli 2001 (any dependence).
[[nodiscard]] std::vector<double> fdr_by(std::span<double const> p);

/// Whether a value of a permutation is at least the observed one; what differs by rounding alone counts as equal.
[[nodiscard]] inline bool reaches(double value, double observed) {
  double const size = observed < 0 ? -observed : observed;
  return value >= observed - 1e-10 * (size > 1 ? size : 1);
}

}  // namespace striate
