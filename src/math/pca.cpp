#include "striate/math/pca.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "pca_rows.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"

namespace striate {
namespace {

using pca::each_panel;

constexpr double noise_wide = 1e-12, noise_single = 1e-8;  // of the largest eigenvalue: what rounding makes

class MemorySource final : public PanelSource {
 public:
  MemorySource(MatrixView<float const> x, std::size_t width) : x_(x), width_(width) {}
  [[nodiscard]] std::size_t rows() const override { return x_.rows; }
  [[nodiscard]] std::size_t units() const override { return x_.cols; }
  [[nodiscard]] std::size_t width() const override { return width_; }
  [[nodiscard]] std::size_t height() const override { return width_; }
  [[nodiscard]] CentredPanel panel(std::size_t first, std::size_t count) override {
    float* const to = panel_.grow(std::max<std::size_t>(1, x_.rows * count));
    mean_.resize(count), squares_.resize(count);
    for (std::size_t c = 0; c < count; ++c) std::copy_n(x_.col(first + c), x_.rows, to + c * x_.rows);
    centre_columns(to, x_.rows, count, mean_.data(), squares_.data());
    return {to, mean_.data(), squares_.data()};
  }
  [[nodiscard]] float const* block(std::size_t first, std::size_t count) override {
    float* const to = panel_.grow(std::max<std::size_t>(1, x_.cols * count));
    for (std::size_t c = 0; c < x_.cols; ++c) std::copy_n(x_.col(c) + first, count, to + c * count);
    return to;
  }

 private:
  MatrixView<float const> x_;
  std::size_t width_;
  Buffer<float> panel_;
  std::vector<double> mean_, squares_;
};

/// Rows are more than units: the Gram matrix of units, of rows as they come, about a provisional mean.
class UnitGram {
 public:
  UnitGram(PanelSource& source, Team& team) : source_(source), team_(team), shape_(source.units()) {}

  Pca fit(Components const& components) {
    std::size_t const n = source_.rows(), p = source_.units();
    gram_ = team_.shared(shape_.doubles() * 8);
    sum_.assign(p, 0.0), shift_.assign(p, 0.0);
    for (std::size_t first = 0; first < n; first += source_.height()) {
      add(first, std::min(source_.height(), n - first));
      source_.progress(static_cast<double>(first) / static_cast<double>(n));
    }
    return components_of(components);
  }

 private:
  void add(std::size_t first, std::size_t rows) {
    std::size_t const p = shape_.n;
    float const* const x = source_.block(first, rows);
    if (first == 0)
      team_.local(p, [&](std::size_t c) {
        std::size_t const some = std::min(gram_panel, rows);
        for (std::size_t r = 0; r < some; ++r) shift_[c] += static_cast<double>(x[c * rows + r]);
        shift_[c] /= static_cast<double>(some);
      });
    team_.local(p, [&](std::size_t c) {
      for (std::size_t r = 0; r < rows; ++r) sum_[c] += static_cast<double>(x[c * rows + r]) - shift_[c];
    });
    pca::check_finite(0, p, sum_.data());
    std::vector<Slot> slots;
    for (std::size_t b = 0; b < shape_.blocks(); ++b) slots.push_back(shape_.slot(b));
    auto* const data = reinterpret_cast<double*>(gram_.get());
    team_.run(gram_.get(), slots, [&](std::size_t b) {
      std::size_t i = 0, j = 0;
      shape_.position(b, i, j);
      add_column_gram(shape_, i, j, x, rows, 0, rows, data + b * shape_.block * shape_.block, shift_.data());
    });
  }

  /// Takes n d dᵀ off, d being the mean about the provisional one.
  void centre() {
    double const n = static_cast<double>(source_.rows());
    std::vector<Slot> slots;
    for (std::size_t b = 0; b < shape_.blocks(); ++b) slots.push_back(shape_.slot(b));
    auto* const data = reinterpret_cast<double*>(gram_.get());
    std::size_t const order = shape_.block;
    team_.run(gram_.get(), slots, [&](std::size_t b) {
      std::size_t i = 0, j = 0;
      shape_.position(b, i, j);
      for (std::size_t c = 0; c < shape_.size(j); ++c)
        for (std::size_t r = 0; r < shape_.size(i); ++r)
          data[b * order * order + c * order + r] -= sum_[i * order + r] / n * sum_[j * order + c];
    });
  }

  Pca components_of(Components const& components) {
    std::size_t const n = source_.rows(), p = shape_.n;
    centre();
    auto const* const data = reinterpret_cast<double const*>(gram_.get());
    Pca result;
    result.samples = n;
    result.mean.resize(p);
    for (std::size_t c = 0; c < p; ++c) {
      result.mean[c] = shift_[c] + sum_[c] / static_cast<double>(n);
      result.total_variance += shape_.at(data, c, c);
    }
    std::size_t const most = components.count > 0 ? components.count : std::min(n - 1, p);
    auto const eigen = pca::eigen_of(shape_, data, most, team_);
    auto const w = pca::wanted(eigen.values, result.total_variance, components, noise_wide);
    result.rank = std::min(w.rank, w.count);
    result.variance.assign(w.count, 0.0);
    std::copy_n(eigen.values.begin(), result.rank, result.variance.begin());
    result.components.assign(w.count * p, 0.0F);
    for (std::size_t i = 0; i < result.rank * p; ++i) result.components[i] = static_cast<float>(eigen.vectors[i]);
    pca::fix_signs(result);
    pca::divide_by_samples(result);
    return result;
  }

  PanelSource& source_;
  Team& team_;
  PackedShape shape_;
  std::shared_ptr<std::byte> gram_;
  std::vector<double> sum_, shift_;
};

}  // namespace

double Pca::singular_value(std::size_t k) const { return std::sqrt(variance[k] * (static_cast<double>(samples) - 1)); }

void Pca::cut(std::size_t to) {
  if (to >= count()) return;
  variance.resize(to);
  components.resize(to * units());
  rank = std::min(rank, to);
}

void centre_columns(float* x, std::size_t rows, std::size_t count, double* mean, double* squares) {
  for (std::size_t c = 0; c < count; ++c) {
    float* const column = x + c * rows;
    double sum = 0, square = 0;
    for (std::size_t r = 0; r < rows; ++r) sum += static_cast<double>(column[r]);
    double const m = rows > 0 ? sum / static_cast<double>(rows) : 0;
    for (std::size_t r = 0; r < rows; ++r) {
      double const d = static_cast<double>(column[r]) - m;
      square += d * d;
      column[r] = static_cast<float>(d);
    }
    mean[c] = m, squares[c] = square;
  }
}

std::unique_ptr<PanelSource> memory_source(MatrixView<float const> x, std::size_t width) {
  return std::make_unique<MemorySource>(x, width);
}

double exact_pca_bytes(std::size_t rows, std::size_t units, Components const& components) {
  auto const order = static_cast<double>(std::min(rows, units)), p = static_cast<double>(units);
  double const count = components.count > 0 ? static_cast<double>(components.count) : order;
  double const packed = static_cast<double>(PackedShape(std::min(rows, units)).doubles()) * 8;
  return packed + 8 * order * (order + count) + (rows < units ? 4 * count * p : 0);
}

Pca exact_pca(PanelSource& source, Components const& components, Team& team) {
  std::size_t const n = source.rows(), p = source.units();
  pca::check_rows(n, p, std::max<std::size_t>(1, components.count));
  if (p <= n) return UnitGram(source, team).fit(components);
  bool const wide = pca::small_enough(static_cast<double>(n), static_cast<double>(p));
  double const noise = wide ? noise_wide : noise_single;
  PackedShape const shape(n);
  auto gram = pca::gram_of_rows(source, shape, wide, team);
  auto const* const data = reinterpret_cast<double const*>(gram.get());
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) total += shape.at(data, i, i);
  auto const eigen = pca::eigen_of(shape, data, components.count > 0 ? components.count : n - 1, team);
  gram.reset();
  auto const w = pca::wanted(eigen.values, total, components, noise);
  Pca result = pca::within(source, eigen.vectors, std::min(w.rank, w.count), w.count, noise, team);
  pca::divide_by_samples(result);
  return result;
}

}  // namespace striate
