// Ross, Lim, Lin and Yang 2008: the components so far, weighted by their singular values, stand for the rows before a
// batch; with its rows and one for the shift of the mean they are decomposed anew.
#include <algorithm>
#include <cmath>

#include "pca_rows.hpp"
#include "striate/math/buffer.hpp"

namespace striate {
namespace {

/// Rows that are stacked already, whose means are not to be taken off.
class Stack final : public PanelSource {
 public:
  Stack(std::shared_ptr<std::byte> memory, std::size_t rows, std::size_t units)
      : memory_(std::move(memory)), rows_(rows), units_(units), zero_(units, 0.0) {}
  [[nodiscard]] std::size_t rows() const override { return rows_; }
  [[nodiscard]] std::size_t units() const override { return units_; }
  [[nodiscard]] std::size_t width() const override { return (units_ + gram_panel - 1) / gram_panel * gram_panel; }
  [[nodiscard]] std::size_t height() const override { return rows_; }
  [[nodiscard]] CentredPanel panel(std::size_t first, std::size_t) override {
    return {data() + first * rows_, zero_.data(), zero_.data()};
  }
  [[nodiscard]] float const* block(std::size_t, std::size_t) override { return data(); }
  [[nodiscard]] float* data() const { return reinterpret_cast<float*>(memory_.get()); }

 private:
  std::shared_ptr<std::byte> memory_;
  std::size_t rows_, units_;
  std::vector<double> zero_;
};

class Steps {
 public:
  Steps(PanelSource& source, std::size_t count, Team& team) : source_(source), count_(count), team_(team) {
    now_.mean.assign(source.units(), 0.0);
    squares_.assign(source.units(), 0.0);
  }

  void step(std::size_t first, std::size_t rows) {
    std::size_t const p = source_.units(), old = now_.samples == 0 ? 0 : now_.rank;
    std::size_t const height = old + rows + (now_.samples == 0 ? 0 : 1);
    float const* const x = source_.block(first, rows);
    Stack stack(team_.shared(height * p * 4), height, p);
    auto const moments = team_.shared(p * 2 * 8);
    auto* const m = reinterpret_cast<double*>(moments.get());
    team_.run(moments.get(), pca::unit_slots(0, p, 16), [&](std::size_t b) {
      thread_local Buffer<float> copy;
      for (std::size_t c = b * gram_panel; c < std::min(p, (b + 1) * gram_panel); ++c) {
        float* column = copy.grow(rows);
        std::copy_n(x + c * rows, rows, column);
        centre_columns(column, rows, 1, m + 2 * c, m + 2 * c + 1);
      }
    });
    for (std::size_t c = 0; c < p; ++c) pca::check_finite(c, 1, m + 2 * c + 1);
    fill(stack, x, rows, old, m);
    advance_moments(rows, m);
    decompose(stack, now_.samples);
  }

  Pca result() {
    now_.total_variance = 0;
    for (double const s : squares_) now_.total_variance += s;
    pca::divide_by_samples(now_);
    return std::move(now_);
  }

 private:
  void fill(Stack& stack, float const* x, std::size_t rows, std::size_t old, double const* m) const {
    std::size_t const p = source_.units(), height = stack.rows();
    double const seen = static_cast<double>(now_.samples), some = static_cast<double>(rows);
    double const factor = std::sqrt(seen * some / (seen + some));
    auto const memory = stack.data();
    team_.local((p + gram_panel - 1) / gram_panel, [&](std::size_t b) {
      for (std::size_t c = b * gram_panel; c < std::min(p, (b + 1) * gram_panel); ++c) {
        float* const to = memory + c * height;
        for (std::size_t k = 0; k < old; ++k)
          to[k] = static_cast<float>(std::sqrt(now_.variance[k]) * static_cast<double>(now_.components[k * p + c]));
        for (std::size_t r = 0; r < rows; ++r)
          to[old + r] = static_cast<float>(static_cast<double>(x[c * rows + r]) - m[2 * c]);
        if (height > old + rows) to[old + rows] = static_cast<float>(factor * (now_.mean[c] - m[2 * c]));
      }
    });
  }

  /// Chan, Golub and LeVeque 1983.
  void advance_moments(std::size_t rows, double const* m) {
    double const seen = static_cast<double>(now_.samples), some = static_cast<double>(rows), all = seen + some;
    for (std::size_t c = 0; c < squares_.size(); ++c) {
      double const d = m[2 * c] - now_.mean[c];
      squares_[c] += m[2 * c + 1] + d * d * seen * some / all;
      now_.mean[c] += d * some / all;
    }
    now_.samples += rows;
  }

  void decompose(Stack& stack, std::size_t samples) {
    std::size_t const rows = stack.rows(), p = stack.units();
    bool const wide = pca::small_enough(static_cast<double>(rows), static_cast<double>(p));
    PackedShape const shape(rows);
    auto const gram = pca::gram_of_rows(stack, shape, wide, team_);
    std::size_t const most = std::min({count_, rows, p});
    auto const eigen = pca::eigen_of(shape, reinterpret_cast<double const*>(gram.get()), most, team_);
    double const noise = wide ? 1e-13 : 1e-8;
    auto const w = pca::wanted(eigen.values, 0, {.count = most}, noise);
    Pca next = pca::within(stack, eigen.vectors, w.rank, count_, noise, team_);
    next.mean = std::move(now_.mean);
    next.samples = samples;
    now_ = std::move(next);
  }

  PanelSource& source_;
  std::size_t count_;
  Team& team_;
  Pca now_;  ///< variance: sums of squares
  std::vector<double> squares_;
};

}  // namespace

double incremental_pca_bytes(std::size_t batch, std::size_t units, std::size_t count) {
  auto const rows = static_cast<double>(batch + count + 1), p = static_cast<double>(units);
  return 4 * p * (rows + static_cast<double>(batch) + static_cast<double>(count)) + 16 * rows * rows + 16 * p;
}

Pca incremental_pca(PanelSource& source, std::size_t count, std::size_t batch, Team& team) {
  std::size_t const n = source.rows();
  pca::check_rows(n, source.units(), count);
  Steps steps(source, count, team);
  for (std::size_t first = 0; first < n;) {
    std::size_t rows = std::min(batch, n - first);
    if (n - first - rows < count) rows = n - first;  // no batch of fewer rows than components
    steps.step(first, rows);
    first += rows;
    source.progress(static_cast<double>(first) / static_cast<double>(n));
  }
  return steps.result();
}

}  // namespace striate
