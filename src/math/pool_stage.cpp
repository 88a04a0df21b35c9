#include "striate/math/pool_stage.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "striate/base/error.hpp"

namespace striate {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Σ f(x) in eight lanes, always in the same order.
template <class F>
double sum_of(float const* x, std::size_t n, F const& f) {
  double lanes[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t k = 0; k < 8; ++k) lanes[k] += f(static_cast<double>(x[i + k]));
  for (std::size_t k = 0; i < n; ++i, ++k) lanes[k] += f(static_cast<double>(x[i]));
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

float max_of(float const* x, std::size_t n) {
  float most = -std::numeric_limits<float>::infinity();
  bool bad = false;
  for (std::size_t i = 0; i < n; ++i) {
    most = x[i] > most ? x[i] : most;
    bad |= std::isnan(x[i]);
  }
  return bad ? nan : most;
}

float median_of(float const* x, std::size_t n) {
  static thread_local std::vector<float> sorted;
  sorted.assign(x, x + n);
  if (std::ranges::any_of(sorted, [](float v) { return std::isnan(v); })) return nan;
  auto const middle = sorted.begin() + static_cast<std::ptrdiff_t>(n / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  if (n % 2 == 1) return *middle;
  float const below = *std::max_element(sorted.begin(), middle);
  return below == *middle ? below : static_cast<float>((static_cast<double>(below) + static_cast<double>(*middle)) / 2);
}

float column_sum_of(float const* x, std::size_t rows, std::size_t columns) {
  double most = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    double sum = 0;
    for (std::size_t r = 0; r < rows; ++r) sum += std::abs(static_cast<double>(x[r * columns + c]));
    if (std::isnan(sum)) return nan;
    most = std::max(most, sum);
  }
  return static_cast<float>(most);
}

/// √ of the greatest eigenvalue of the smaller Gram matrix of the map.
float spectral_of(float const* x, std::size_t rows, std::size_t columns) {
  using Map = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::MatrixXd const m =
      Eigen::Map<Map const>(x, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns)).cast<double>();
  double const scale = m.cwiseAbs().maxCoeff<Eigen::PropagateNaN>();
  if (!std::isfinite(scale)) return static_cast<float>(scale);
  if (scale == 0) return 0;
  Eigen::MatrixXd const unit = m / scale;
  Eigen::MatrixXd const gram =
      rows <= columns ? Eigen::MatrixXd(unit * unit.transpose()) : Eigen::MatrixXd(unit.transpose() * unit);
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> const solved(gram, Eigen::EigenvaluesOnly);
  return static_cast<float>(scale * std::sqrt(std::max(0.0, solved.eigenvalues().maxCoeff())));
}

float pooled(SpacePool how, float const* x, std::size_t rows, std::size_t columns) {
  std::size_t const n = rows * columns;
  switch (how) {
    case SpacePool::max:
      return max_of(x, n);
    case SpacePool::mean:
      return static_cast<float>(sum_of(x, n, [](double v) { return v; }) / static_cast<double>(n));
    case SpacePool::median:
      return median_of(x, n);
    case SpacePool::l1:
      return static_cast<float>(sum_of(x, n, [](double v) { return std::abs(v); }));
    case SpacePool::l2:
      return static_cast<float>(std::sqrt(sum_of(x, n, [](double v) { return v * v; })));
    case SpacePool::column_sum:
      return column_sum_of(x, rows, columns);
    case SpacePool::spectral:
      return spectral_of(x, rows, columns);
  }
  fail(Exit::internal, "an unknown pool");
}

class PoolSpace final : public LayerStage {
 public:
  PoolSpace(LayerShape const& layer, PoolOptions const& options) : how_(options.how), output_(layer) {
    auto& shape = output_.shape;
    std::size_t const axes = shape.size();
    map_rows_ = shape[axes - 2], map_columns_ = shape[axes - 1];
    shape[axes - 2] = shape[axes - 1] = 1;
    if (axes == 4 && options.over_frames) {
      map_rows_ *= shape[1];
      shape[1] = 1;
    }
  }
  [[nodiscard]] LayerShape output() const override { return output_; }
  void apply(float const* in, std::size_t rows, float* out) const override {
    std::size_t const maps = rows * output_.units();
    for (std::size_t m = 0; m < maps; ++m)
      out[m] = pooled(how_, in + m * map_rows_ * map_columns_, map_rows_, map_columns_);
  }

 private:
  SpacePool how_;
  std::size_t map_rows_ = 0, map_columns_ = 0;
  LayerShape output_;
};

class PickTokens final : public LayerStage {
 public:
  PickTokens(LayerShape const& layer, TokenChoice choice)
      : tokens_(layer.shape[0]), width_(layer.shape[1]), choice_(choice) {}
  [[nodiscard]] LayerShape output() const override {
    return {{choice_ == TokenChoice::cls_and_patch_mean ? 2 * width_ : width_, 1, 1}, "feature row column"};
  }
  void apply(float const* in, std::size_t rows, float* out) const override {
    std::vector<double> sums(width_);
    for (std::size_t r = 0; r < rows; ++r, in += tokens_ * width_) {
      if (choice_ == TokenChoice::cls || choice_ == TokenChoice::cls_and_patch_mean) out = std::copy_n(in, width_, out);
      if (choice_ == TokenChoice::cls) continue;
      std::size_t const first = choice_ == TokenChoice::mean ? 0 : 1;
      std::ranges::fill(sums, 0.0);
      for (std::size_t t = first; t < tokens_; ++t)
        for (std::size_t f = 0; f < width_; ++f) sums[f] += static_cast<double>(in[t * width_ + f]);
      for (double const sum : sums) *out++ = static_cast<float>(sum / static_cast<double>(tokens_ - first));
    }
  }

 private:
  std::size_t tokens_, width_;
  TokenChoice choice_;
};

}  // namespace

std::unique_ptr<LayerStage> pool_stage(LayerShape const& layer, PoolOptions const& options) {
  bool const maps = layer.axes == "channel row column" || layer.axes == "channel frame row column";
  bool const points = layer.axes == "feature row column" || layer.axes == "unit row column";
  if (!maps && !(points && options.single_points)) return nullptr;
  bool const matrix = options.how == SpacePool::column_sum || options.how == SpacePool::spectral;
  if (matrix && options.over_frames && layer.shape.size() == 4)
    fail(Exit::config, "a norm of maps as matrices goes over rows and columns, not over frames");
  return std::make_unique<PoolSpace>(layer, options);
}

std::unique_ptr<LayerStage> token_stage(LayerShape const& layer, TokenChoice choice) {
  if (layer.axes != "token feature") return nullptr;
  bool const patches = choice == TokenChoice::patch_mean || choice == TokenChoice::cls_and_patch_mean;
  if (patches && layer.shape[0] < 2) fail(Exit::data, "the layer has one token, so none behind the class token");
  return std::make_unique<PickTokens>(layer, choice);
}

}  // namespace striate
