// Features are read once a group of training sets, in panels; a layer is never held whole (but in primal forms,
// where it is narrower than the rows are many).
#include <algorithm>
#include <cmath>
#include <limits>

#include "prepare.hpp"
#include "striate/base/error.hpp"

namespace striate::detail {
namespace {

constexpr std::size_t columns_per_unit = 64;
constexpr double panel_bytes = 256e6;
constexpr double gib = 1024.0 * 1024 * 1024;

}  // namespace

void Preparer::allocate() {
  std::size_t const sets = s_.rows.sets.size(), used = s_.rows.row.size();
  packed_ = PackedShape(is_dual(s_.form) ? used : s_.p);
  grams_ = is_dual(s_.form) ? (shape_.per_set() ? sets : 1) : s_.rows.blocks.blocks();
  double const sides = static_cast<double>(keeps_sides_ ? sides_bytes() : 0);
  auto const cost = cost_of(s_.rows, shape_, s_.form, s_.alphas.size(), budget_ - sides);
  double const one = gram_bytes(s_.rows, shape_, s_.form);
  auto const room = (cost.shared_bytes - cost.shared_kept_bytes) / one;
  group_ = is_dual(s_.form) ? std::clamp<std::size_t>(static_cast<std::size_t>(room + 0.5), 1, grams_) : grams_;
  double const stats = static_cast<double>(s_.p * stats_size(sets)) * 8;
  double const x = is_dual(s_.form) ? 0 : static_cast<double>(used * s_.p) * 4;
  double const need = one * static_cast<double>(group_) + stats + x + sides;
  if (need > budget_ && sides > 0) {
    fail(Exit::limit,
         "permutations of a fold of {} stimuli need {:.3g} GiB for what they share, beside {:.3g} GiB while it is "
         "prepared, "
         "but the budget is {:.3g} GiB; raise memory, or use fewer inner folds (a fixed model.components needs none)",
         used, sides / gib, (need - sides) / gib, budget_ / gib);
  }
  if (need > budget_) {
    fail(Exit::limit,
         "a fold of {} stimuli × {} features needs {:.1f} GiB for its Gram matrices but the budget is {:.1f} GiB; "
         "raise memory",
         used, s_.p, need / gib, budget_ / gib);
  }
  stats_ = team_.shared(s_.p * stats_size(sets) * 8);
  if (!is_dual(s_.form)) {
    x_ = team_.shared(used * s_.p * 4);
  }
}

void Preparer::stream(std::size_t first_set, std::size_t last_set) {
  std::size_t const n = design_.X.rows(), used = s_.rows.row.size();
  gram_.reset();
  gram_ = team_.shared((last_set - first_set) * (is_dual(s_.form) ? s_.parts() : 1) * packed_.doubles() * 8);
  group_first_ = first_set;
  double const fits = std::min(budget_ / 8, panel_bytes) / static_cast<double>(n * 4);
  std::size_t const panels = std::max<std::size_t>(1, static_cast<std::size_t>(fits) / gram_panel);
  std::size_t const width = std::min(panels * gram_panel, s_.p);
  Buffer<float> raw(n * width), x(used * width);
  for (std::size_t first = 0; first < s_.p; first += width) {
    std::size_t const count = std::min(width, s_.p - first);
    design_.X.read(first, count, raw.data());
    team_.local((count + columns_per_unit - 1) / columns_per_unit, [&](std::size_t u) {
      for (std::size_t c = u * columns_per_unit; c < std::min(count, (u + 1) * columns_per_unit); ++c) {
        for (std::size_t i = 0; i < used; ++i) {
          x[c * used + i] = raw[c * n + s_.rows.row[i]];
        }
      }
    });
    panel(first, count, x.data(), first_set, last_set);
  }
  if (!is_dual(s_.form)) {
    feature_grams();
  }
  have_stats_ = true;
  reduce_bands(first_set, last_set);
}

void Preparer::panel(std::size_t first, std::size_t count, float* x, std::size_t first_set, std::size_t last_set) {
  std::size_t const used = s_.rows.row.size(), width = stats_size(s_.rows.sets.size());
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  if (!have_stats_) {
    column_statistics(first, count, x);
    for (std::size_t c = 0; c < count; ++c) {
      if (std::isnan(stats[(first + c) * width])) {
        Band const band = s_.banded() ? s_.bands[s_.part_of(first + c)] : Band{};
        fail(Exit::data,
             "feature {}{}{} has a value that is not finite (NaN or infinity) among the rows used; extract the layer "
             "again or leave such stimuli out",
             first + c - band.first, band.name.empty() ? "" : " of ", band.name);
      }
    }
    if (s_.options.coefficients && is_dual(s_.form)) {
      mean_product(first, count, x);
    }
    if (s_.banded() && shape_.per_set()) {
      variances(first, count, x);
    }
  }
  std::size_t const units = exact() ? 0 : (count + columns_per_unit - 1) / columns_per_unit;
  team_.local(units, [&](std::size_t u) {
    for (std::size_t c = u * columns_per_unit; c < std::min(count, (u + 1) * columns_per_unit); ++c) {
      double const shift = stats[(first + c) * width];
      float* column = x + c * used;
      for (std::size_t i = 0; i < used; ++i) {
        column[i] = static_cast<float>(static_cast<double>(column[i]) - shift);
      }
    }
  });
  accumulate(first, count, x, first_set, last_set);
}

void Preparer::column_statistics(std::size_t first, std::size_t count, float const* x) {
  std::size_t const used = s_.rows.row.size(), width = stats_size(s_.rows.sets.size());
  std::size_t const units = (count + columns_per_unit - 1) / columns_per_unit;
  std::vector<Slot> slots;
  for (std::size_t u = 0; u < units; ++u) {
    std::size_t const c = u * columns_per_unit;
    slots.push_back({(first + c) * width * 8, std::min(columns_per_unit, count - c) * width * 8});
  }
  auto* stats = reinterpret_cast<double*>(stats_.get());
  team_.run(stats_.get(), slots, [&](std::size_t u) {
    for (std::size_t c = u * columns_per_unit; c < std::min(count, (u + 1) * columns_per_unit); ++c) {
      float const* column = x + c * used;
      double* out = stats + (first + c) * width;
      column_stats(column, s_.rows.blocks, standardizes(first + c), out);
      float zero = 0;  // stays 0 unless a value is not finite
      for (std::size_t i = 0; i < used; ++i) {
        zero += column[i] * 0.0F;
      }
      if (!(zero == 0.0F)) {
        out[0] = std::numeric_limits<double>::quiet_NaN();
      }
    }
  });
}

bool Preparer::standardizes(std::size_t feature) const {
  return s_.banded() ? s_.bands[s_.part_of(feature)].standardize : design_.standardize;
}

/// Adds Σ_j (x_ij − μ_j) μ_j scale_j² per band and training row: what an intercept on raw features needs.
void Preparer::mean_product(std::size_t first, std::size_t count, float const* x) {
  std::size_t const used = s_.rows.row.size(), sets = s_.rows.sets.size(), width = stats_size(sets);
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  s_.mean_product.resize(s_.rows.n_train * s_.parts(), 0.0);
  for (std::size_t c = 0; c < count; ++c) {
    double const* st = stats + (first + c) * width;
    double const mean = st[0], scale = st[2 * sets], factor = mean * scale * scale;
    double* sum = s_.mean_product.data() + s_.part_of(first + c) * s_.rows.n_train;
    for (std::size_t i = 0; i < s_.rows.n_train; ++i) {
      sum[i] += (static_cast<double>(x[c * used + i]) - mean) * factor;
    }
  }
}

/// Adds the variances of the features that are not scaled, in the outer training rows.
void Preparer::variances(std::size_t first, std::size_t count, float const* x) {
  std::size_t const used = s_.rows.row.size(), width = stats_size(s_.rows.sets.size());
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  variance_.resize(s_.parts(), 0.0);
  for (std::size_t c = 0; c < count; ++c) {
    if (!standardizes(first + c)) {
      double const mean = stats[(first + c) * width];
      double sum = 0;
      for (std::size_t i = 0; i < s_.rows.n_train; ++i) {
        double const v = static_cast<double>(x[c * used + i]) - mean;
        sum += v * v;
      }
      variance_[s_.part_of(first + c)] += sum / static_cast<double>(s_.rows.n_train);
    }
  }
}

void Preparer::accumulate(std::size_t first, std::size_t count, float const* x, std::size_t first_set,
                          std::size_t last_set) {
  std::size_t const used = s_.rows.row.size(), sets = s_.rows.sets.size(), width = stats_size(sets);
  if (!is_dual(s_.form)) {
    std::vector<Slot> slots;
    for (std::size_t c = 0; c < count; c += columns_per_unit) {
      slots.push_back({(first + c) * used * 4, std::min(columns_per_unit, count - c) * used * 4});
    }
    auto* all = reinterpret_cast<float*>(x_.get());
    team_.run(x_.get(), slots, [&](std::size_t u) {
      std::copy_n(x + u * columns_per_unit * used, slots[u].bytes / 4, all + slots[u].offset / 4);
    });
    return;
  }
  struct Unit {
    std::size_t gram, part, i, j;
  };
  std::vector<Unit> units;
  std::vector<Slot> slots;
  for (std::size_t g = first_set; g < last_set; ++g) {
    bool const outer = grams_ == 1 || g + 1 == sets;
    for (std::size_t u = 0; u < packed_.blocks() * s_.parts(); ++u) {
      std::size_t const part = u / packed_.blocks(), b = u % packed_.blocks();
      if (s_.banded() &&
          (s_.bands[part].first >= first + count || s_.bands[part].first + s_.bands[part].count <= first)) {
        continue;  // no feature of this panel
      }
      std::size_t i = 0, j = 0;
      packed_.position(b, i, j);
      if ((outer ? j : i) * packed_.block < s_.rows.n_train) {  // products among test rows are never needed
        units.push_back({g - first_set, part, i, j});
        Slot slot = packed_.slot(b);
        slot.offset += ((g - first_set) * s_.parts() + part) * packed_.doubles() * 8;
        slots.push_back(slot);
      }
    }
  }
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  std::vector<std::vector<double>> weights(last_set - first_set);
  for (std::size_t g = 0; shape_.standardize && g < weights.size(); ++g) {
    for (std::size_t c = 0; c < count; ++c) {
      double const scale = stats[(first + c) * width + 2 + 2 * (g + first_set)];
      weights[g].push_back(scale * scale);
    }
  }
  bool const wide = exact();
  auto const shift = shifts(first, count);
  TileMatrix const features = s_.engine().load(x, used, used, count);
  team_.run(gram_.get(), slots, [&](std::size_t u) {
    auto const& unit = units[u];
    auto const& w = weights[unit.gram];
    std::size_t const low = s_.banded() ? std::max(first, s_.bands[unit.part].first) : first;
    std::size_t const end =
        s_.banded() ? std::min(first + count, s_.bands[unit.part].first + s_.bands[unit.part].count) : first + count;
    for (std::size_t from = low, to = 0; from < end; from = to) {  // cut where any width of panels would be cut
      to = std::min(end, from / gram_panel * gram_panel + gram_panel);
      std::size_t const c = from - first;
      s_.engine().add_row_gram(packed_, unit.i, unit.j, features, c, to - from, w.empty() ? nullptr : w.data() + c,
                               wide, reinterpret_cast<double*>(gram_.get() + slots[u].offset),
                               wide ? shift.data() + c : nullptr);
    }
  });
}

void Preparer::feature_grams() {
  std::size_t const blocks = s_.rows.blocks.blocks(), used = s_.rows.row.size();
  std::vector<Slot> slots;
  for (std::size_t g = 0; g < blocks; ++g) {
    for (std::size_t b = 0; b < packed_.blocks(); ++b) {
      Slot slot = packed_.slot(b);
      slot.offset += g * packed_.doubles() * 8;
      slots.push_back(slot);
    }
  }
  auto const* x = reinterpret_cast<float const*>(x_.get());
  auto const shift = shifts(0, s_.p);
  TileMatrix const features = s_.engine().load(x, used, used, s_.p);
  team_.run(gram_.get(), slots, [&](std::size_t u) {
    std::size_t const g = u / packed_.blocks();
    std::size_t i = 0, j = 0;
    packed_.position(u % packed_.blocks(), i, j);
    s_.engine().add_column_gram(packed_, i, j, features, s_.rows.blocks.begin[g], s_.rows.blocks.begin[g + 1],
                                reinterpret_cast<double*>(gram_.get() + slots[u].offset), shift.data());
  });
}

/// Of the kernel of one band, or of all features.
double Preparer::trace_per_row(std::size_t part) const {
  if (reduces(part)) {
    return reduced_trace_[part];
  }
  std::size_t const sets = s_.rows.sets.size(), width = stats_size(sets);
  auto const* stats = reinterpret_cast<double const*>(stats_.get());
  std::size_t const first = s_.banded() ? s_.bands[part].first : 0;
  std::size_t const end = s_.banded() ? first + s_.bands[part].count : s_.p;
  if (standardizes(first)) {  // every feature that varies has variance 1
    double varying = 0;
    for (std::size_t j = first; j < end; ++j) {
      varying += stats[j * width + 2 * sets] == 0 ? 0 : 1;
    }
    return varying;
  }
  if (!variance_.empty()) {  // beside bands that are scaled
    return variance_[part];
  }
  double trace = 0;
  auto const* grams = reinterpret_cast<double const*>(gram_.get());
  if (is_dual(s_.form)) {  // one kernel serves all sets
    for (std::size_t i = 0; i < s_.rows.n_train; ++i) {
      trace += packed_.at(grams + part * packed_.doubles(), i, i);
    }
    return trace / static_cast<double>(s_.rows.n_train);
  }
  for (std::size_t i = first; i < end; ++i) {
    for (std::size_t g = 0; g < grams_; ++g) {
      trace += packed_.at(grams + g * packed_.doubles(), i, i);
    }
  }
  return trace / static_cast<double>(s_.rows.n_train);
}

}  // namespace striate::detail
