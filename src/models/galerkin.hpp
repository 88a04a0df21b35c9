#pragma once
/// A target's banded ridge in a small space of solutions, in one training set (refine.hpp).
#include <cstddef>
#include <vector>

#include "striate/models/model.hpp"

namespace striate::detail {

class Galerkin {
 public:
  /// y: test responses less the training mean. `right`: what the matrix times the solution is, depth floats.
  Galerkin(std::size_t bands, bool dual, std::size_t blocks, std::size_t kernels, std::size_t most,
           std::vector<double> y, std::vector<float> right, std::vector<std::size_t> const* edges);
  /// Adds a direction, made orthonormal to the others; false where nothing of it is left.
  [[nodiscard]] bool begin(float* direction);
  /// Its products with the kernels (kernels × panel_round(depth)) and test rows (blocks × panel_round(test rows)).
  void add(float const* direction, float const* products, float const* test);
  /// Solves at δ; what follows is of this solution. False where rounding made the matrix indefinite.
  [[nodiscard]] bool solve(std::vector<double> const& delta);
  [[nodiscard]] std::vector<double> const& predictions() const { return f_; }
  [[nodiscard]] std::vector<double> const& responses() const { return y_; }
  [[nodiscard]] Moments moments() const;
  /// Adds the Gauss-Newton matrix and gradient of the score by δ, bands × bands and bands.
  void climb(Score which, std::vector<double>& matrix, std::vector<double>& gradient);
  /// right − matrix · solution.
  void residual(float* out) const;
  /// What a band's kernel makes of the first direction (dual), or the band's part of it: by it the solution turns with
  /// δ.
  void turn(std::size_t band, float* out) const;
  void solution(double* out) const;  ///< depth
  void parts(double* out) const;     ///< predictions of each block, blocks × test rows
  /// Coefficients of the solution, and the sum of squares by which fitted responses differ from those of others.
  [[nodiscard]] std::vector<double> const& coefficients() const { return c_; }
  [[nodiscard]] double fitted_change(std::vector<double> const& others) const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t depth() const { return right_.size(); }

 private:
  [[nodiscard]] double& entry(std::vector<double>& m, std::size_t part, std::size_t i, std::size_t j) const {
    return m[(part * most_ + i) * most_ + j];
  }
  [[nodiscard]] double factor(std::size_t band) const { return dual_ ? scale_[band] : 1 / scale_[band]; }
  [[nodiscard]] double weight(std::size_t block) const { return dual_ ? scale_[block] : 1; }
  std::vector<double> directions();

  std::size_t bands_, blocks_, kernels_, most_, size_ = 0;
  bool dual_;
  std::vector<double> y_;
  std::vector<float> right_;
  std::vector<std::size_t> const* edges_;       ///< primal: features where bands begin, and the end
  std::vector<float> space_, products_, test_;  ///< per direction
  std::vector<double> fixed_, of_band_, right_small_;
  std::vector<double> scale_, factor_, c_, f_, sums_;  ///< of solve()
};

}  // namespace striate::detail
