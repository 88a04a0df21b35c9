// Lasso and elastic net, what targets share: the Gram matrix of every training set from those of blocks of rows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sparse_fold.hpp"
#include "sparse_kernels.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t columns_per_unit = 64;
constexpr double panel_bytes = 256e6;
constexpr double working_bytes = 256e6;  ///< of a thread, for the Gram matrices of working sets
constexpr double gib = 1024.0 * 1024 * 1024;

/// Whether the inverse of a Gram matrix is kept for the Newton steps of all targets: a lasso's does not depend on alpha,
/// and exists where rows are more than features.
bool inverts(SetRows const& set, std::size_t p, ModelOptions const& options) {
  return options.l1_ratio == 1 && p < set.train.size();
}

/// Offsets, in bytes, of everything that outlives prepare.
struct Layout {
  std::vector<std::size_t> gram, inverse, test, x;
  std::size_t bytes = 0;
  Layout(RowPlan const& rows, std::size_t p, ModelOptions const& options) {
    auto place = [&](std::size_t size) {
      std::size_t const here = bytes;
      bytes += round_up(size, 64);
      return here;
    };
    for (auto const& set : rows.sets) {
      gram.push_back(place(PanelGram::doubles(p) * 8));
      if (inverts(set, p, options)) {
        inverse.push_back(place(inverse_stride(p) * p * 8 + 64));  // and whether there is one
      }
      test.push_back(place(round_up(set.test.size(), test_rows) * p * 4));
    }
    for (std::size_t b = 0; b < rows.blocks.blocks(); ++b) {
      x.push_back(place(packed_size(p, rows.blocks.begin[b + 1] - rows.blocks.begin[b]) * 4));
    }
  }
};

/// Coordinates of a working set: no more than twice the rows in practice (a lasso has no more than rows that are not
/// zero).
std::size_t most_held(RowPlan const& rows, std::size_t p) { return std::min(p, 2 * rows.n_train); }

class SparsePreparer {
 public:
  SparsePreparer(Design const& design, SparseState& state, Team& team, double budget)
      : design_(design),
        s_(state),
        team_(team),
        used_(state.rows.row.size()),
        width_(stats_size(state.rows.sets.size())),
        packed_(state.p),
        layout_(state.rows, state.p, state.options) {
    double const need = sparse_cost(s_.rows, s_.p, s_.options).peak;
    if (need > budget) {
      fail(Exit::limit,
           "{} features need {:.1f} GiB for the Gram matrix of every training set, which lasso and elastic_net hold, but "
           "the budget is {:.1f} GiB; raise memory, reduce the features (features.transform.pca) or choose fewer",
           s_.p, need / gib, budget / gib);
    }
    stats_ = team_.shared(s_.p * width_ * 8);
    x_ = team_.shared(used_ * s_.p * 4);
    kept_ = team_.shared(layout_.bytes);
    read(std::min(budget / 8, panel_bytes));
  }

  void run() {
    auto const* stats = this->stats();
    for (std::size_t j = 0; j < s_.p; ++j) {
      if (std::isnan(stats[j * width_])) {
        fail(Exit::data,
             "feature {} has a value that is not finite (NaN or infinity) among the rows used; extract the layer again "
             "or leave such stimuli out",
             j);
      }
      shift_.push_back(stats[j * width_]);
      s_.report.constant_features += stats[j * width_ + width_ - 1] == 0 ? 1 : 0;
    }
    block_grams();
    set_grams();
    blocks_.reset();
    inverses();
    test_panels();
    pack_features();
    x_.reset();
    point();
  }

 private:
  [[nodiscard]] double const* stats() const { return reinterpret_cast<double const*>(stats_.get()); }
  [[nodiscard]] float const* x() const { return reinterpret_cast<float const*>(x_.get()); }

  /// Rows that are used, and the statistics of every column.
  void read(double room) {
    std::size_t const n = design_.X.rows();
    auto const fits = static_cast<std::size_t>(room / static_cast<double>(n * 4)) / columns_per_unit * columns_per_unit;
    std::size_t const width = std::min(std::max(columns_per_unit, fits), s_.p);
    Buffer<float> raw(n * width);
    for (std::size_t first = 0; first < s_.p; first += width) {
      std::size_t const count = std::min(width, s_.p - first);
      design_.X.read(first, count, raw.data());
      std::vector<Slot> rows, stats;
      for (std::size_t c = 0; c < count; c += columns_per_unit) {
        std::size_t const columns = std::min(columns_per_unit, count - c);
        rows.push_back({(first + c) * used_ * 4, columns * used_ * 4});
        stats.push_back({(first + c) * width_ * 8, columns * width_ * 8});
      }
      team_.run(x_.get(), rows, [&](std::size_t u) {
        auto* to = reinterpret_cast<float*>(x_.get() + rows[u].offset);
        for (std::size_t i = 0; i < rows[u].bytes / 4; ++i) {
          to[i] = raw[(u * columns_per_unit + i / used_) * n + s_.rows.row[i % used_]];
        }
      });
      team_.run(stats_.get(), stats, [&](std::size_t u) {
        for (std::size_t c = 0; c < stats[u].bytes / 8 / width_; ++c) {
          column(first + u * columns_per_unit + c);
        }
      });
    }
  }

  void column(std::size_t j) {
    float const* column = x() + j * used_;
    double* out = reinterpret_cast<double*>(stats_.get()) + j * width_;
    column_stats(column, s_.rows.blocks, design_.standardize, out);
    float zero = 0;  // stays 0 unless a value is not finite
    for (std::size_t i = 0; i < used_; ++i) {
      zero += column[i] * 0.0F;
    }
    if (!(zero == 0.0F)) {
      out[0] = std::numeric_limits<double>::quiet_NaN();
    }
  }

  void block_grams() {
    std::size_t const blocks = s_.rows.blocks.blocks();
    blocks_ = team_.shared(blocks * packed_.doubles() * 8);
    std::vector<Slot> slots;
    for (std::size_t u = 0; u < blocks * packed_.blocks(); ++u) {
      Slot slot = packed_.slot(u % packed_.blocks());
      slot.offset += u / packed_.blocks() * packed_.doubles() * 8;
      slots.push_back(slot);
    }
    team_.run(blocks_.get(), slots, [&](std::size_t u) {
      std::size_t i = 0, j = 0;
      packed_.position(u % packed_.blocks(), i, j);
      auto const* begin = s_.rows.blocks.begin.data() + u / packed_.blocks();
      add_column_gram(packed_, i, j, x(), used_, begin[0], begin[1],
                      reinterpret_cast<double*>(blocks_.get() + slots[u].offset), shift_.data());
    });
  }

  /// Panels of the Gram matrix of each set: Σ over its blocks, less n · mean · meanᵀ, scaled, over n.
  void set_grams() {
    std::size_t const panels = PanelGram{nullptr, s_.p}.panels(), bytes = gram_rows * s_.p * 8;
    std::vector<Slot> slots;
    for (std::size_t u = 0; u < s_.rows.sets.size() * panels; ++u) {
      slots.push_back({layout_.gram[u / panels] + u % panels * bytes, bytes});
    }
    team_.run(kept_.get(), slots, [&](std::size_t u) {
      std::size_t const set = u / panels, first = u % panels * gram_rows;
      std::vector<std::uint32_t> rows, all(s_.p);
      for (std::size_t j = 0; j < s_.p; ++j) {
        all[j] = static_cast<std::uint32_t>(j);
      }
      rows.assign(all.begin() + static_cast<std::ptrdiff_t>(first),
                  all.begin() + static_cast<std::ptrdiff_t>(std::min(s_.p, first + gram_rows)));
      Buffer<double> part(gram_rows * s_.p);
      auto* out = reinterpret_cast<double*>(kept_.get() + slots[u].offset);
      for (auto b : s_.rows.blocks.sets[set]) {
        gather(packed_, reinterpret_cast<double const*>(blocks_.get()) + b * packed_.doubles(), rows, all, part.data(),
               gram_rows);
        for (std::size_t j = 0; j < s_.p; ++j) {
          for (std::size_t i = 0; i < rows.size(); ++i) {
            out[j * gram_rows + i] += part[j * gram_rows + i];
          }
        }
      }
      double const n = static_cast<double>(s_.rows.sets[set].train.size());
      for (std::size_t j = 0; j < s_.p; ++j) {
        double const* b = stats() + j * width_ + 1 + 2 * set;
        for (std::size_t i = 0; i < rows.size(); ++i) {
          double const* a = stats() + (first + i) * width_ + 1 + 2 * set;
          double& g = out[j * gram_rows + i];
          g = (g / n - a[0] * b[0]) * (a[1] * b[1]);
        }
      }
    });
  }

  void inverses() {
    std::size_t const p = s_.p, stride = inverse_stride(p), bytes = stride * p * 8;
    std::vector<std::size_t> of;
    std::vector<Slot> slots;
    for (std::size_t s = 0; s < s_.rows.sets.size(); ++s) {
      if (inverts(s_.rows.sets[s], p, s_.options)) {
        slots.push_back({layout_.inverse[of.size()], bytes + 64});
        of.push_back(s);
      }
    }
    team_.run(kept_.get(), slots, [&](std::size_t u) {
      PanelGram const gram{reinterpret_cast<double const*>(kept_.get() + layout_.gram[of[u]]), p};
      auto* out = reinterpret_cast<double*>(kept_.get() + slots[u].offset);
      for (std::size_t j = 0; j < p; ++j) {
        for (std::size_t i = 0; i < p; ++i) {
          out[j * stride + i] = gram.at(i, j);
        }
      }
      if (!well_conditioned(out, stride)) {
        return;
      }
      blas::cholesky_inverse(p, out, stride);
      out[stride * p] = 1;
    });
    for (std::size_t u = 0; u < of.size(); ++u) {
      inverse_.resize(s_.rows.sets.size(), nullptr);
      auto const* at = reinterpret_cast<double const*>(kept_.get() + slots[u].offset);
      inverse_[of[u]] = at[stride * p] == 1 ? at : nullptr;
    }
  }

  /// Replaces a Gram matrix by its Cholesky factor; false where that would be the inverse of rounding.
  [[nodiscard]] bool well_conditioned(double* matrix, std::size_t stride) const {
    if (!blas::cholesky(s_.p, matrix, stride)) {
      return false;
    }
    double low = std::numeric_limits<double>::infinity(), high = 0;
    for (std::size_t j = 0; j < s_.p; ++j) {
      low = std::min(low, matrix[j * (stride + 1)]);
      high = std::max(high, matrix[j * (stride + 1)]);
    }
    return low > 1e-4 * high;  // squares: a condition of 1e8, give or take
  }

  void test_panels() {
    std::vector<Slot> slots;
    std::vector<std::size_t> of;
    for (std::size_t s = 0; s < s_.rows.sets.size(); ++s) {
      for (std::size_t first = 0; first < s_.rows.sets[s].test.size(); first += test_rows) {
        slots.push_back({layout_.test[s] + first * s_.p * 4, test_rows * s_.p * 4});
        of.push_back(s);
      }
    }
    team_.run(kept_.get(), slots, [&](std::size_t u) {
      auto const& test = s_.rows.sets[of[u]].test;
      std::size_t const first = (slots[u].offset - layout_.test[of[u]]) / (s_.p * 4);
      auto* out = reinterpret_cast<float*>(kept_.get() + slots[u].offset);
      for (std::size_t j = 0; j < s_.p; ++j) {
        double const* set = stats() + j * width_ + 1 + 2 * of[u];
        for (std::size_t i = 0; i < std::min(test_rows, test.size() - first); ++i) {
          double const value = static_cast<double>(x()[test[first + i] + j * used_]) - shift_[j] - set[0];
          out[j * test_rows + i] = static_cast<float>(value * set[1]);
        }
      }
    });
  }

  /// Xᵀ of each block of training rows, less the outer training mean, for panel_product.
  void pack_features() {
    constexpr std::size_t features_per_unit = 4 * panel_rows;
    std::size_t const per_block = (s_.p + features_per_unit - 1) / features_per_unit;
    auto const& begin = s_.rows.blocks.begin;
    std::vector<Slot> slots;
    for (std::size_t u = 0; u < per_block * layout_.x.size(); ++u) {
      std::size_t const b = u / per_block, first = u % per_block * features_per_unit, rows = begin[b + 1] - begin[b];
      slots.push_back(
          {layout_.x[b] + first * rows * 4, panel_round(std::min(features_per_unit, s_.p - first)) * rows * 4});
    }
    team_.run(kept_.get(), slots, [&](std::size_t u) {
      std::size_t const b = u / per_block, first = u % per_block * features_per_unit;
      pack_rows<float>({.from = x() + begin[b] + first * used_, .row_stride = used_, .row_shift = shift_.data() + first},
                       std::min(features_per_unit, s_.p - first), begin[b + 1] - begin[b],
                       reinterpret_cast<float*>(kept_.get() + slots[u].offset));
    });
  }

  void point() {
    for (std::size_t s = 0; s < s_.rows.sets.size(); ++s) {
      s_.sets.push_back({{reinterpret_cast<double const*>(kept_.get() + layout_.gram[s]), s_.p},
                         inverse_.empty() ? nullptr : inverse_[s],
                         reinterpret_cast<float const*>(kept_.get() + layout_.test[s])});
    }
    for (auto offset : layout_.x) {
      s_.x.push_back(reinterpret_cast<float const*>(kept_.get() + offset));
    }
    s_.stats = stats();
    s_.owned = {stats_, kept_};
    s_.report.shared_bytes = static_cast<double>(layout_.bytes + s_.p * width_ * 8);
  }

  Design const& design_;
  SparseState& s_;
  Team& team_;
  std::size_t used_, width_;
  PackedShape packed_;
  Layout layout_;
  std::shared_ptr<std::byte> stats_, x_, kept_, blocks_;
  std::vector<double> shift_;
  std::vector<double const*> inverse_;  ///< per set
};

}  // namespace

std::size_t sparse_batch(RowPlan const& rows, std::size_t p) {
  auto const held = static_cast<double>(most_held(rows, p));
  return static_cast<std::size_t>(std::clamp(working_bytes / (8 * held * held), 1.0, 64.0));
}

SparseCost sparse_cost(RowPlan const& rows, std::size_t p, ModelOptions const& options) {
  auto const dp = static_cast<double>(p), used = static_cast<double>(rows.row.size()),
             sets = static_cast<double>(rows.sets.size()), blocks = static_cast<double>(rows.blocks.blocks()),
             a = static_cast<double>(options.alphas.size()), n = static_cast<double>(rows.n_train);
  SparseCost c;
  c.kept = static_cast<double>(Layout(rows, p, options).bytes) + dp * static_cast<double>(stats_size(rows.sets.size())) * 8;
  c.peak = c.kept + used * dp * 4 + blocks * static_cast<double>(PackedShape(p).doubles()) * 8;
  c.prepare_flops = used * dp * dp + 2 * sets * blocks * dp * dp;
  // A guess: a tenth of the features are active, or of the rows where those are fewer; per alpha two gradients, their
  // rows in a new order, and some twenty passes. These run at about a quarter of a product's rate.
  double const active = std::max(1.0, 0.1 * std::min(dp, n)), held = static_cast<double>(most_held(rows, p));
  c.flops_per_target = 2 * n * dp + 4 * sets * a * (4 * active * dp + 60 * active * active);
  // As time, half of the features are taken to be active and a fit to need tens of passes over them: the data decide.
  double const many = 0.5 * std::min(dp, n);
  c.work_per_target = 2 * n * dp + sets * a * (16 * many * dp + 800 * many * many);
  // An elastic net holds more coordinates than a lasso: half as many again were seen.
  std::size_t const most = options.l1_ratio == 1 ? most_held(rows, p) : std::min(p, 3 * rows.n_train);
  auto const stride = static_cast<double>(Descent::reserved(most));
  c.thread = static_cast<double>(sparse_batch(rows, p)) *
                 (dp * (4 * (blocks + 2) + 8 * 3) + used * 12 + 8 * stride * (stride + 8)) +
             8 * held * held + 4e6;  // a Newton step's matrix, and results
  return c;
}

std::unique_ptr<SparseState> prepare_sparse(Design const& design, FoldPlan const& plan, ModelOptions const& options,
                                            Team& team, double memory_budget) {
  auto state = std::make_unique<SparseState>();
  auto& s = *state;
  s.options = options;
  s.p = design.X.cols();
  if (s.p == 0) {
    fail(Exit::data, "the layer has no features (0 columns); check the mask or the layer's name");
  }
  s.alphas = options.alphas;
  std::sort(s.alphas.begin(), s.alphas.end(), std::greater<>());
  s.alphas.erase(std::unique(s.alphas.begin(), s.alphas.end()), s.alphas.end());
  bool const refit_only = plan.outer.test.empty();
  bool const with_inner = s.alphas.size() > 1 || refit_only;
  if (with_inner && plan.inner.empty()) {
    fail(Exit::data, "{} but there are no inner folds; set cv.inner.folds to 2 or more",
         refit_only ? "no outer fold has test rows" : "alpha is to be chosen among several");
  }
  s.rows = make_rows(plan, design.X.rows(), with_inner);
  s.batch = sparse_batch(s.rows, s.p);
  s.report.form = "coordinate descent";
  s.report.alphas.assign(s.alphas.rbegin(), s.alphas.rend());
  s.report.skeleton = s.alphas.size();
  s.report.flops_per_target = sparse_cost(s.rows, s.p, s.options).flops_per_target;
  SparsePreparer(design, s, team, memory_budget).run();
  return state;
}

}  // namespace striate::detail
