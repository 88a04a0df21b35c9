#include "striate/math/skeleton.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace striate {
namespace {

constexpr int samples = 400;  // of λ, evenly in the logarithm

/// Weights of the chosen alphas that reproduce alpha a, and the largest relative error over λ.
double fit(Eigen::VectorXd const& lambda, std::span<double const> alphas, std::vector<std::size_t> const& chosen,
           std::size_t a, Eigen::VectorXd& weight) {
  Eigen::MatrixXd basis(lambda.size(), static_cast<Eigen::Index>(chosen.size()));
  Eigen::VectorXd scale(basis.cols());
  for (Eigen::Index j = 0; j < basis.cols(); ++j) {
    basis.col(j) = (lambda.array() + alphas[a]) / (lambda.array() + alphas[chosen[static_cast<std::size_t>(j)]]);
    scale[j] = basis.col(j).maxCoeff();
    basis.col(j) /= scale[j];
  }
  Eigen::VectorXd const one = Eigen::VectorXd::Ones(lambda.size());
  weight = basis.colPivHouseholderQr().solve(one);
  double const error = (basis * weight - one).cwiseAbs().maxCoeff();
  weight = weight.cwiseQuotient(scale);
  return error;
}

}  // namespace

Skeleton full_skeleton(std::size_t alphas) {
  Skeleton s;
  s.exact_ = true;
  s.chosen.resize(alphas);
  std::iota(s.chosen.begin(), s.chosen.end(), std::size_t{0});
  s.weight.assign(alphas * alphas, 0);
  for (std::size_t a = 0; a < alphas; ++a) {
    s.weight[a * alphas + a] = 1;
  }
  return s;
}

Skeleton alpha_skeleton(std::span<double const> alphas, double lambda_max, double tol) {
  std::size_t const n = alphas.size();
  if (n < 4 || !(lambda_max > 0)) {
    return full_skeleton(n);
  }
  double const low = std::log(std::min(alphas.front(), lambda_max) * 1e-7), high = std::log(lambda_max);
  Eigen::VectorXd lambda(samples);
  for (int i = 0; i < samples; ++i) {
    lambda[i] = std::exp(low + (high - low) * i / (samples - 1));
  }
  std::vector<std::size_t> chosen{0};  // greedy: the worst reproduced alpha is added until none is bad
  std::vector<Eigen::VectorXd> weights(n);
  while (chosen.size() * 5 <= n * 4) {
    double worst = 0;
    std::size_t worst_at = 0;
    for (std::size_t a = 0; a < n; ++a) {
      double const error = fit(lambda, alphas, chosen, a, weights[a]);
      bool const taken = std::find(chosen.begin(), chosen.end(), a) != chosen.end();
      if (!taken && !(error <= worst)) {
        worst = error;
        worst_at = a;
      }
    }
    if (worst <= tol) {
      Skeleton s;
      std::vector<std::size_t> order(chosen.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::sort(order.begin(), order.end(), [&](auto a, auto b) { return chosen[a] < chosen[b]; });
      for (auto o : order) {
        s.chosen.push_back(chosen[o]);
      }
      s.weight.assign(n * chosen.size(), 0);
      for (std::size_t a = 0; a < n; ++a) {
        auto const at = std::find(s.chosen.begin(), s.chosen.end(), a);
        for (std::size_t j = 0; j < chosen.size(); ++j) {  // a chosen alpha is itself, not its fit
          s.weight[a * chosen.size() + j] = at != s.chosen.end()
                                                ? (at - s.chosen.begin() == static_cast<std::ptrdiff_t>(j) ? 1.0 : 0.0)
                                                : weights[a][static_cast<Eigen::Index>(order[j])];
        }
      }
      return s;
    }
    chosen.push_back(worst_at);
  }
  return full_skeleton(n);
}

}  // namespace striate
