// Kernels and Gram matrices of a training set, from the sums over features or rows that stream.cpp leaves.
#include <algorithm>
#include <cmath>

#include "prepare.hpp"

namespace striate::detail {

std::size_t FoldState::part_of(std::size_t feature) const {
  std::size_t part = 0;
  while (part + 1 < bands.size() && feature >= bands[part + 1].first) {
    ++part;
  }
  return part;
}

double const* Preparer::gram_of(std::size_t set, std::size_t part) const {
  std::size_t const g = is_dual(s_.form) && grams_ > 1 ? set - group_first_ : 0;
  return reinterpret_cast<double const*>(gram_.get()) + (g * s_.parts() + part) * packed_.doubles();
}

/// What standardises each feature in a set, times the root of its band's weight.
std::vector<double> Preparer::scales(std::size_t set, Weights const& weights) const {
  std::size_t const width = stats_size(s_.rows.sets.size());
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  std::vector<double> scale(s_.p);
  for (std::size_t j = 0; j < s_.p; ++j) {
    scale[j] = stats[j * width + 2 + 2 * set];
    if (s_.banded()) {
      scale[j] *= std::sqrt(weights[s_.part_of(j)]);
    }
  }
  return scale;
}

/// What was taken, or is still to be taken (exact()), from features [first, first + count).
std::vector<double> Preparer::shifts(std::size_t first, std::size_t count) const {
  std::size_t const width = stats_size(s_.rows.sets.size());
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  std::vector<double> shift(count);
  for (std::size_t j = 0; j < count; ++j) {
    shift[j] = stats[(first + j) * width];
  }
  return shift;
}

/// What centring takes from rows and columns of a set's kernel: training means, less half their mean.
std::vector<double> Preparer::lifts(std::size_t set, Weights const& weights) const {
  std::size_t const used = s_.rows.row.size();
  auto const* all = reinterpret_cast<double const*>(centre_.get());
  std::vector<double> lift(used, 0.0);
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    double const* mine = all + (set * s_.parts() + part) * (used + 1);
    for (std::size_t i = 0; i < used && weights[part] != 0; ++i) {
      lift[i] += weights[part] * mine[i];
    }
  }
  return lift;
}

/// Σ over bands of weight × kernel, uncentred, between rows of the set.
void Preparer::gather_kernel(std::size_t set, Weights const& weights, std::vector<std::uint32_t> const& cols,
                             bool lower, double* out) const {
  auto const& train = s_.rows.sets[set].train;
  bool add = false;
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    if (weights[part] != 0) {
      gather(packed_, gram_of(set, part), train, cols, out, train.size(), lower, weights[part], add);
      add = true;
    }
  }
  if (!add) {
    std::fill_n(out, train.size() * cols.size(), 0.0);
  }
}

/// Kernel of a set's training rows (lower triangle), centred on them. The direction of ones, which centring makes
/// exactly null, is lifted (unless not wanted) to the mean eigenvalue: predictions do not change, and small alphas keep their digits.
void Preparer::dual_kernel(std::size_t set, Weights const& weights, double* g, bool lifted) const {
  auto const& rows = s_.rows.sets[set];
  std::size_t const n = rows.train.size();
  gather_kernel(set, weights, rows.train, true, g);
  // Each entry loses lift[i] + lift[j], which takes the training means of its row and of its column.
  auto const lift = lifts(set, weights);
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) {
    trace += g[i * (n + 1)] - 2 * lift[rows.train[i]];
  }
  double const ones = is_spectral(s_.form) || !lifted ? 0 : trace / static_cast<double>(n) / static_cast<double>(n);
  std::vector<double> mine(n);
  for (std::size_t i = 0; i < n; ++i) {
    mine[i] = lift[rows.train[i]];
  }
  for (std::size_t j = 0; j < n; ++j) {
    double const here = mine[j] - ones;
    for (std::size_t i = j; i < n; ++i) {
      g[i + j * n] -= mine[i] + here;
    }
  }
}

/// Training × test rows of a set's kernel, centred on the training rows.
void Preparer::dual_test(std::size_t set, Weights const& weights, double* test) const {
  auto const& rows = s_.rows.sets[set];
  std::size_t const n = rows.train.size(), e = rows.test.size();
  gather_kernel(set, weights, rows.test, false, test);
  auto const lift = lifts(set, weights);
  for (std::size_t j = 0; j < e; ++j) {
    double const here = lift[rows.test[j]];
    for (std::size_t i = 0; i < n; ++i) {
      test[i + j * n] -= lift[rows.train[i]] + here;
    }
  }
}

/// Training means of the rows of each kernel, less half their mean.
void Preparer::centre(std::size_t first_set, std::size_t last_set) {
  std::size_t const used = s_.rows.row.size(), b = packed_.block, across = packed_.across, parts = s_.parts();
  centre_ = team_.shared(s_.rows.sets.size() * parts * (used + 1) * 8);
  std::size_t const first_kernel = first_set * parts, kernels = (last_set - first_set) * parts;
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < kernels * across; ++u) {
    std::size_t const kernel = first_kernel + u / across, first = u % across * b;
    slots.push_back({(kernel * (used + 1) + first) * 8, packed_.size(u % across) * 8});
  }
  auto* lift = reinterpret_cast<double*>(centre_.get());
  team_.run(centre_.get(), slots, [&](std::size_t u) {
    std::size_t const kernel = first_kernel + u / across, first = u % across * b, set = kernel / parts;
    row_sums(packed_, gram_of(set, kernel % parts), first, first + packed_.size(u % across), s_.rows.sets[set].train,
             lift + slots[u].offset / 8);
  });
  std::vector<Slot> whole;
  for (std::size_t k = first_kernel; k < first_kernel + kernels; ++k) {
    whole.push_back({k * (used + 1) * 8, used * 8});
  }
  team_.run(centre_.get(), whole, [&](std::size_t u) {
    double* mine = lift + (first_kernel + u) * (used + 1);
    auto const& train = s_.rows.sets[(first_kernel + u) / parts].train;
    auto const n = static_cast<double>(train.size());
    double all = 0;
    for (auto i : train) {
      all += mine[i] / n;
    }
    for (std::size_t i = 0; i < used; ++i) {
      mine[i] = mine[i] / n - all / n / 2;
    }
  });
}

/// Gram of the standardised, weighted features over a training set (lower triangle).
void Preparer::primal_gram(std::size_t set, Weights const& weights, double* g) const {
  std::size_t const p = s_.p, width = stats_size(s_.rows.sets.size());
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  auto const* grams = reinterpret_cast<double const*>(gram_.get());
  auto const n = static_cast<double>(s_.rows.sets[set].train.size());
  std::fill_n(g, p * p, 0.0);
  for (auto block : s_.rows.blocks.sets[set]) {
    double const* part = grams + block * packed_.doubles();
    for (std::size_t b = 0; b < packed_.blocks(); ++b) {
      std::size_t bi = 0, bj = 0;
      packed_.position(b, bi, bj);
      double const* from = part + b * packed_.block * packed_.block;
      for (std::size_t c = 0; c < packed_.size(bj); ++c) {
        double* to = g + bi * packed_.block + (bj * packed_.block + c) * p;
        for (std::size_t r = 0; r < packed_.size(bi); ++r) {
          to[r] += from[r + c * packed_.block];
        }
      }
    }
  }
  std::vector<double> const scale = scales(set, weights);
  for (std::size_t j = 0; j < p; ++j) {
    double const mean_j = stats[j * width + 1 + 2 * set];
    for (std::size_t i = j; i < p; ++i) {
      double const mean_i = stats[i * width + 1 + 2 * set];
      g[i + j * p] = (g[i + j * p] - n * mean_i * mean_j) * scale[i] * scale[j];
    }
  }
}

/// The standardised, weighted test rows, features × test.
void Preparer::primal_test(std::size_t set, Weights const& weights, double* test) const {
  std::size_t const p = s_.p, used = s_.rows.row.size(), width = stats_size(s_.rows.sets.size());
  auto const& rows = s_.rows.sets[set];
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  auto const* x = reinterpret_cast<float const*>(x_.get());
  std::vector<double> const scale = scales(set, weights);
  for (std::size_t j = 0; j < p; ++j) {
    double const mean_j = stats[j * width + 1 + 2 * set];
    for (std::size_t e = 0; e < rows.test.size(); ++e) {
      test[j + e * p] = (static_cast<double>(x[rows.test[e] + j * used]) - stats[j * width] - mean_j) * scale[j];
    }
  }
}

/// Test columns that the hats of a set come from: of all bands together, or for the outer rows of each alone.
std::size_t Preparer::tests_of(std::size_t set, Weights const& weights, double* test) const {
  std::size_t const e = s_.rows.sets[set].test.size();
  std::size_t const m = is_dual(s_.form) ? s_.rows.sets[set].train.size() : s_.p;
  auto const one = [&](Weights const& w, double* to) {
    is_dual(s_.form) ? dual_test(set, w, to) : primal_test(set, w, to);
  };
  if (!s_.banded() || set < s_.rows.inner()) {
    one(weights, test);
    return e;
  }
  for (std::size_t part = 0; part < s_.parts(); ++part) {
    Weights alone(s_.parts(), 0.0);
    alone[part] = weights[part];
    one(alone, test + part * m * e);
  }
  return s_.parts() * e;
}

}  // namespace striate::detail
