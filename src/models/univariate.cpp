#include "striate/models/univariate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/error.hpp"
#include "univariate_fold.hpp"

namespace striate {
namespace detail {
namespace {

constexpr std::size_t columns_per_unit = 2 * 3 * panel_rows;
constexpr double panel_bytes = 256e6;
constexpr double gib = 1024.0 * 1024 * 1024;

/// Offsets, in bytes, of what a fold holds.
struct Layout {
  std::vector<std::size_t> x;
  std::size_t test = 0, stats = 0, bytes = 0;
  Layout(RowPlan const& rows, std::size_t p) {
    auto place = [&](std::size_t size) {
      std::size_t const here = bytes;
      bytes += round_up(size, 64);
      return here;
    };
    for (std::size_t b = 0; b < rows.blocks.blocks(); ++b) {
      x.push_back(place(packed_size(p, rows.blocks.begin[b + 1] - rows.blocks.begin[b]) * 4));
    }
    test = place(p * rows.n_test * 4);
    stats = place(p * stats_size(rows.sets.size()) * 8);
  }
};

class UnitPreparer {
 public:
  UnitPreparer(Design const& design, UnitState& state, Team& team)
      : design_(design), s_(state), team_(team), layout_(state.rows, state.p) {}

  void run(double budget) {
    double const need = static_cast<double>(layout_.bytes);
    if (need > budget) {
      fail(Exit::limit,
           "{} units need {:.2f} GiB ({:.0f} bytes), which univariate holds while it searches, but the budget is {:.2f} "
           "GiB; raise memory, or pool or choose units",
           s_.p, need / gib, need, budget / gib);
    }
    s_.owned = team_.shared(layout_.bytes);
    for (auto offset : layout_.x) {
      s_.x.push_back(reinterpret_cast<float const*>(s_.owned.get() + offset));
    }
    s_.test = reinterpret_cast<float const*>(s_.owned.get() + layout_.test);
    s_.stats = reinterpret_cast<double const*>(s_.owned.get() + layout_.stats);
    read(std::min((budget - need) / 2, panel_bytes));
    for (std::size_t j = 0; j < s_.p; ++j) {
      if (std::isnan(s_.stats[j * s_.width()])) {
        fail(Exit::data,
             "feature {} has a value that is not finite (NaN or infinity) among the rows used; extract the layer again "
             "or leave such stimuli out",
             j);
      }
      s_.report.constant_features += s_.scale(j) == 0 ? 1 : 0;
    }
    s_.report.shared_bytes = need;
  }

 private:
  void read(double room) {
    std::size_t const n = design_.X.rows();
    auto const fits = static_cast<std::size_t>(std::max(0.0, room) / static_cast<double>(n * 4));
    std::size_t const width = std::min(std::max(columns_per_unit, fits / columns_per_unit * columns_per_unit), s_.p);
    Buffer<float> raw(n * width);
    for (std::size_t first = 0; first < s_.p; first += width) {
      std::size_t const count = std::min(width, s_.p - first);
      design_.X.read(first, count, raw.data());
      std::vector<std::vector<Slot>> slots;
      for (std::size_t c = 0; c < count; c += columns_per_unit) {
        slots.push_back(slots_of(first + c, std::min(columns_per_unit, count - c)));
      }
      team_.run(s_.owned.get(), slots, [&](std::size_t u) {
        std::size_t const c = u * columns_per_unit;
        pack(first + c, std::min(columns_per_unit, count - c), raw.data() + c * n, n);
      });
    }
  }

  [[nodiscard]] std::vector<Slot> slots_of(std::size_t first, std::size_t count) const {
    auto const& begin = s_.rows.blocks.begin;
    std::vector<Slot> slots;
    for (std::size_t b = 0; b < layout_.x.size(); ++b) {
      std::size_t const depth = begin[b + 1] - begin[b];
      slots.push_back({layout_.x[b] + first * depth * 4, panel_round(count) * depth * 4});
    }
    if (s_.rows.n_test > 0) {
      slots.push_back({layout_.test + first * s_.rows.n_test * 4, count * s_.rows.n_test * 4});
    }
    slots.push_back({layout_.stats + first * s_.width() * 8, count * s_.width() * 8});
    return slots;
  }

  /// Statistics, packed training rows and test rows of some columns.
  void pack(std::size_t first, std::size_t count, float const* raw, std::size_t n) {
    auto const& rows = s_.rows;
    std::size_t const used = rows.row.size(), width = s_.width(), e = rows.n_test;
    std::vector<float> x(used * count);
    std::vector<double> shift(count), scale(count);
    auto* stats = reinterpret_cast<double*>(s_.owned.get() + layout_.stats) + first * width;
    auto* test = reinterpret_cast<float*>(s_.owned.get() + layout_.test) + first * e;
    for (std::size_t j = 0; j < count; ++j) {
      float* column = x.data() + j * used;
      float zero = 0;  // stays 0 unless a value is not finite
      for (std::size_t i = 0; i < used; ++i) {
        column[i] = raw[j * n + rows.row[i]];
        zero += column[i] * 0.0F;
      }
      double* of = stats + j * width;
      column_stats(column, rows.blocks, true, of);  // a correlation standardises, whatever the transform says
      shift[j] = of[0];
      scale[j] = of[width - 1];
      for (std::size_t i = 0; i < e; ++i) {
        test[j * e + i] = static_cast<float>((static_cast<double>(column[rows.n_train + i]) - of[0]) * of[width - 1]);
      }
      if (!(zero == 0.0F)) {
        of[0] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    for (std::size_t b = 0; b < layout_.x.size(); ++b) {
      std::size_t const begin = rows.blocks.begin[b], depth = rows.blocks.begin[b + 1] - begin;
      pack_rows<float>({.from = x.data() + begin, .row_stride = used, .row_scale = scale.data(), .row_shift = shift.data()},
                       count, depth, reinterpret_cast<float*>(s_.owned.get() + layout_.x[b]) + first * depth);
    }
  }

  Design const& design_;
  UnitState& s_;
  Team& team_;
  Layout layout_;
};

}  // namespace
}  // namespace detail

namespace {

class Univariate final : public EncodingModel {
 public:
  explicit Univariate(ModelOptions options) : options_(std::move(options)) {}

  std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                      double memory_budget) const override {
    refuse(design.pca);
    auto state = std::make_unique<detail::UnitState>();
    state->options = options_;
    state->p = design.X.cols();
    if (state->p == 0) {
      fail(Exit::data, "the layer has no features (0 columns); check the mask or the layer's name");
    }
    if (plan.outer.test.empty() && plan.inner.empty()) {
      fail(Exit::data, "no outer fold has test rows but there are no inner folds; set cv.inner.folds to 2 or more");
    }
    state->rows = detail::make_rows(plan, design.X.rows(), plan.outer.test.empty());
    auto& report = state->report;
    report.form = "single units";
    report.alphas = {0};
    report.skeleton = 1;
    report.flops_per_target = flops_per_target(state->rows, state->p);
    detail::UnitPreparer(design, *state, team).run(memory_budget);
    return std::make_unique<detail::UnitFold>(std::move(state));
  }

  ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan, bool, double pca,
                 double) const override {
    refuse(pca);
    auto const rows = detail::make_rows(plan, n, plan.outer.test.empty());
    auto const all = static_cast<double>(p * n);
    ModelCost c;
    c.form = "single units";
    c.prepare_flops = 8 * all;
    c.flops_per_target = flops_per_target(rows, p);
    c.prepare_work = 1300 * all;  // a value is read, scaled and packed
    c.work_per_target = 1.15 * c.flops_per_target;
    c.shared_bytes = c.shared_kept_bytes = static_cast<double>(detail::Layout(rows, p).bytes);
    c.private_bytes = std::min(all * 4, detail::panel_bytes);
    std::size_t const tile = padded_cols(std::min(t == 0 ? target_tile : t, target_tile));
    c.thread_bytes = static_cast<double>(tile * (4 * detail::unit_strip * rows.blocks.blocks() + 4 * n + 2048 * rows.sets.size())) +
                     4.0 * static_cast<double>(n * detail::columns_per_unit) + 4e6;
    c.read_bytes = 4 * all;
    return c;
  }

  [[nodiscard]] std::size_t candidates() const override { return 1; }
  [[nodiscard]] std::vector<std::string> extras() const override { return {"correlation"}; }

 private:
  static void refuse(double pca) {
    if (pca > 0) {
      fail(Exit::config,
           "features.transform.pca is {} but model.type is univariate, which looks at single units; leave pca out", pca);
    }
  }
  static double flops_per_target(detail::RowPlan const& rows, std::size_t p) {
    auto const units = static_cast<double>(p), blocks = static_cast<double>(rows.blocks.blocks());
    return units * (2 * static_cast<double>(rows.n_train) + static_cast<double>(rows.sets.size()) * (blocks + 5));
  }
  ModelOptions options_;
};

}  // namespace

std::unique_ptr<EncodingModel> make_univariate(ModelOptions const& options) {
  return std::make_unique<Univariate>(options);
}

}  // namespace striate
