// Components of features and responses: the Gram matrices of responses, and what tiles need of each training set.
#include <algorithm>
#include <cmath>
#include <limits>

#include "pls.hpp"
#include "prepare.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t columns_per_unit = 64;

}  // namespace

/// YYᵀ over the targets of the training rows of each set, panel by panel of targets in their order. A target with a
/// value that is not finite among the outer training rows, or constant in the set, is left out.
void Preparer::response_grams(std::size_t first_set, std::size_t last_set) {
  bool const per_set = shape_.response_per_set;
  if (!per_set && gram_y_ != nullptr) {
    return;
  }
  if (design_.Y == nullptr || design_.Y->rows() != s_.rows.n) {
    fail(Exit::internal, "this model needs the responses of all targets, a row each stimulus, while it prepares");
  }
  std::size_t const n = s_.rows.n, m = response_rows(), t = design_.Y->cols(), sets = s_.rows.sets.size(),
                    size = stats_size(sets), last = sets - 1;
  response_first_ = per_set ? first_set : last;
  std::size_t const grams = per_set ? last_set - first_set : 1;
  packed_y_ = PackedShape(m);
  gram_y_.reset();
  gram_y_ = team_.shared(grams * packed_y_.doubles() * 8);
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < grams * packed_y_.blocks(); ++u) {
    Slot slot = packed_y_.slot(u % packed_y_.blocks());
    slot.offset += u / packed_y_.blocks() * packed_y_.doubles() * 8;
    slots.push_back(slot);
  }
  double const fits = std::min(budget_ / 8, response_panel_bytes_) / static_cast<double>(n * 4);
  std::size_t const panels = std::max<std::size_t>(1, static_cast<std::size_t>(fits) / gram_panel);
  std::size_t const width = std::min(panels * gram_panel, t);
  Buffer<float> raw(n * width), y(m * width);
  std::vector<double> stats(width * size), shift(width);
  std::vector<std::vector<double>> weight(grams, std::vector<double>(width));
  bool const wide = response_products_wide();
  for (std::size_t first = 0; first < t; first += width) {
    std::size_t const count = std::min(width, t - first);
    design_.Y->read(first, count, raw.data());
    response_panel(count, raw.data(), y.data(), stats.data());
    for (std::size_t c = 0; c < count; ++c) {
      shift[c] = stats[c * size];
      for (std::size_t g = 0; g < grams; ++g) {
        double const scale = stats[c * size + 2 + 2 * (response_first_ + g)];
        weight[g][c] = scale * scale;
      }
    }
    team_.run(gram_y_.get(), slots, [&](std::size_t u) {
      std::size_t i = 0, j = 0;
      packed_y_.position(u % packed_y_.blocks(), i, j);
      add_row_gram(packed_y_, i, j, y.data(), m, count, weight[u / packed_y_.blocks()].data(), wide,
                   reinterpret_cast<double*>(gram_y_.get() + slots[u].offset), wide ? shift.data() : nullptr);
    });
  }
}

bool Preparer::response_products_wide() const {
  Shape shape = shape_;
  shape.p = design_.Y->cols();
  return wide_gram(shape, response_rows());
}

/// Training rows of `count` targets with their statistics in every set; zeros where they are not finite. For cca then test
/// rows, on which statistics do not depend. Centred, unless products are in float64, which centre by themselves.
void Preparer::response_panel(std::size_t count, float const* raw, float* y, double* stats) {
  std::size_t const n = s_.rows.n, m = response_rows(), train = s_.rows.n_train, size = stats_size(s_.rows.sets.size());
  bool const wide = response_products_wide();
  team_.local((count + columns_per_unit - 1) / columns_per_unit, [&](std::size_t u) {
    for (std::size_t c = u * columns_per_unit; c < std::min(count, (u + 1) * columns_per_unit); ++c) {
      float* column = y + c * m;
      float zero = 0;
      for (std::size_t i = 0; i < m; ++i) {
        column[i] = raw[c * n + s_.rows.row[i]];
        zero += i < train ? column[i] * 0.0F : 0.0F;
      }
      if (!(zero == 0.0F)) {
        std::fill_n(column, m, 0.0F);
      }
      column_stats(column, s_.rows.blocks, s_.options.standardize_responses, stats + c * size);
      for (std::size_t i = train; i < m; ++i) {
        column[i] = std::isfinite(column[i]) ? column[i] : static_cast<float>(stats[c * size]);
      }
      for (std::size_t i = 0; !wide && i < m; ++i) {
        column[i] = static_cast<float>(static_cast<double>(column[i]) - stats[c * size]);
      }
    }
  });
}

double const* Preparer::response_gram(std::size_t set) const {
  std::size_t const at = shape_.response_per_set ? set - response_first_ : 0;
  return reinterpret_cast<double const*>(gram_y_.get()) + at * packed_y_.doubles();
}

/// Gram of the responses in a set's training rows, centred on them. The lower triangle. Returns what centring took: means
/// of the rows, and the mean of all.
std::vector<double> Preparer::response_matrix(std::size_t set, double* g) const {
  auto const& train = s_.rows.sets[set].train;
  std::size_t const n = train.size();
  gather(packed_y_, response_gram(set), train, train, g, n, true);
  std::vector<double> mean(n, 0.0);
  auto const rows = static_cast<double>(n);
  double all = 0;
  for (std::size_t j = 0; j < n; ++j) {
    mean[j] += g[j * (n + 1)];
    for (std::size_t i = j + 1; i < n; ++i) {
      mean[i] += g[i + j * n];
      mean[j] += g[i + j * n];
    }
  }
  for (auto& x : mean) {
    x /= rows;
    all += x / rows;
  }
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      g[i + j * n] -= mean[i] + mean[j] - all;
    }
  }
  mean.push_back(all);
  return mean;
}

void Preparer::pls_features(std::size_t set, FeatureSide const& side) {
  std::size_t const n = s_.rows.sets[set].train.size();
  dual_kernel(set, s_.weightings[0], side.factor);
  tests_of(set, s_.weightings[0], side.test);
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    trace += side.factor[i * (n + 1)];
  }
  side.found[0] = design_.pca > 0 ? static_cast<double>(keep_leading(set, side, trace)) : 0;
  side.found[1] = trace;
  side.found[2] = pls_factor(n, side.factor);
}

void Preparer::pls_unit(std::size_t set, FeatureSide const& side, Scratch& scratch) {
  std::size_t const n = s_.rows.sets[set].train.size(), keep = static_cast<std::size_t>(side.found[0]);
  double* g = scratch.block.grow(n * n);
  (void)response_matrix(set, g);
  mirror(g, n);
  // Variance that rounding alone gives to a direction: a component of it would be noise.
  double const unit = wide_gram(shape_, s_.rows.row.size()) ? 64 * std::numeric_limits<double>::epsilon()
                                                            : 0x1p-22 / std::sqrt(static_cast<double>(n));
  PlsComponents found = pls_components(n, side.factor, side.found[2], g, most_[set], unit * side.found[1]);
  if (keep > 0 && found.count > 0) {  // rotations may differ in what the reduced kernel does not see
    std::vector<double> part(keep * found.count);
    blas::gemm('T', 'N', keep, found.count, n, 1.0, side.axes, n, found.rotations.data(), n, 0.0, part.data(), keep);
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i] /= side.values[i % keep];
    }
    blas::gemm('N', 'N', n, found.count, keep, 1.0, side.axes, n, part.data(), keep, 0.0, found.rotations.data(), n);
  }
  write_components(set, std::vector<double>(found.count, 1.0), found.scores.data(), found.rotations.data(), side.test,
                   nullptr, scratch);
}

/// Features reduced to their principal components: the kernel and its test columns keep the leading eigenvectors.
/// Returns their number; side.axes has them times their roots.
std::size_t Preparer::keep_leading(std::size_t set, FeatureSide const& side, double trace) {
  std::size_t const n = s_.rows.sets[set].train.size(), e = s_.rows.sets[set].test.size();
  std::size_t const most = most_axes(shape_, n);
  double *k = side.factor, *test = side.test, *vectors = side.axes;
  std::vector<double> part(most * e);
  blas::eigen_top(n, k, n, most, side.values, vectors);
  std::size_t const keep = kept(side.values, most, trace, n);
  std::fill_n(k, n * n, 0.0);
  if (keep == 0) {
    std::fill_n(test, n * e, 0.0);
    return 0;
  }
  if (e > 0) {
    blas::gemm('T', 'N', keep, e, n, 1.0, vectors, n, test, n, 0.0, part.data(), keep);
    blas::gemm('N', 'N', n, e, keep, 1.0, vectors, n, part.data(), keep, 0.0, test, n);
  }
  for (std::size_t j = 0; j < keep; ++j) {
    double const root = std::sqrt(side.values[j]);
    for (std::size_t i = 0; i < n; ++i) {
      vectors[i + j * n] *= root;
    }
  }
  blas::gemm('N', 'T', n, n, keep, 1.0, vectors, n, vectors, n, 0.0, k, n);
  return keep;
}

/// Keeps the numbers of components that every training set has; where none is left, as many as there are.
void Preparer::choose_counts() {
  auto& r = s_.report;
  std::size_t least = s_.sets.back().depth;
  for (auto const& set : s_.sets) {
    least = std::min(least, set.depth);
  }
  std::vector<std::size_t> fit;
  r.alphas.clear();
  for (std::size_t count : s_.counts) {
    if (count <= least) {
      fit.push_back(count);
    } else {
      r.dropped_alphas.insert(r.dropped_alphas.begin(), static_cast<double>(count));
    }
  }
  if (fit.empty()) {
    fit.push_back(least);
  }
  for (std::size_t count : fit) {
    r.alphas.insert(r.alphas.begin(), static_cast<double>(count));
  }
  s_.counts = fit;
  r.skeleton = fit.size();
}

}  // namespace striate::detail
