// Pools the features by every field, and decomposes their Gram matrix in every training set.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "field_fold.hpp"
#include "grid_scores.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;
constexpr std::size_t step = 512;  ///< rows that a Gram matrix sums at a time

std::size_t most_axes(std::size_t features, std::size_t train) {
  return std::max<std::size_t>(1, std::min(features, train - 1));
}

/// Offsets, in bytes, of what a candidate holds.
struct Places {
  std::vector<std::size_t> x, rotate, test, values;
  std::size_t back = 0, stats = 0, bytes = 0;
  Places(RowPlan const& rows, std::size_t features, bool coefficients) {
    auto const place = [&](std::size_t size) {
      std::size_t const here = bytes;
      bytes += round_up(size, 64);
      return here;
    };
    bool const wide = by_rows(rows, features);
    for (std::size_t b = 0; !wide && b < rows.blocks.blocks(); ++b) {
      x.push_back(place(4 * packed_size(features, rows.blocks.begin[b + 1] - rows.blocks.begin[b])));
    }
    for (auto const& set : rows.sets) {
      std::size_t const depth = most_axes(features, set.train.size());
      rotate.push_back(place(4 * packed_size(depth, wide ? set.train.size() : features)));
      test.push_back(place(4 * packed_size(set.test.size(), depth)));
      values.push_back(place(8 * (depth + 2)));
    }
    back = place(coefficients ? 4 * packed_size(features, most_axes(features, rows.n_train)) : 0);
    stats = place(8 * features * stats_size(rows.sets.size()));
  }
};

/// Standardised rows of a set, rows × features, in float64.
struct Standardised {
  float const* pooled;
  PooledPlaces const& places;
  std::size_t field;
  RowPlan const& rows;
  double const* stats;
  std::size_t set, features;

  void fill(std::span<std::uint32_t const> positions, double* out) const {
    std::size_t const width = stats_size(rows.sets.size());
    for (std::size_t c = 0; c < features; ++c) {
      float const* from = pooled + places.column(c, field);
      double const* of = stats + c * width;
      double const mean = of[0] + of[1 + 2 * set], scale = of[2 + 2 * set];
      for (std::size_t i = 0; i < positions.size(); ++i) {
        out[c * positions.size() + i] = (static_cast<double>(from[rows.row[positions[i]]]) - mean) * scale;
      }
    }
  }
};

struct Axes {
  std::vector<double> values, vectors;  ///< vectors: features × depth
  std::vector<double> rows;             ///< X V, rows × depth, where features outnumber rows
  double trace = 0;
};

/// Leaves out what rounding makes of a zero eigenvalue.
void leave_noise(std::size_t order, Axes& axes) {
  double const least = axes.values[0] * static_cast<double>(order) * std::numeric_limits<double>::epsilon() * 8;
  while (!axes.values.empty() && !(axes.values.back() > least)) {
    axes.values.pop_back();
  }
}

/// Principal axes of the training rows: of the features' Gram matrix or, where features outnumber rows, of the rows'.
Axes axes_of(Standardised const& x, std::size_t most) {
  auto const& train = x.rows.sets[x.set].train;
  std::size_t const n = train.size(), p = x.features;
  bool const wide = p > n;
  std::size_t const m = wide ? n : p;
  Axes axes;
  axes.values.resize(most);
  std::vector<double> g(m * m), vectors(m * most), part((wide ? n : std::min(n, step)) * p);
  for (std::size_t first = 0; first < n; first += wide ? n : step) {
    std::size_t const count = wide ? n : std::min(step, n - first);
    x.fill(std::span(train).subspan(first, count), part.data());
    wide ? blas::gemm('N', 'T', n, n, p, 1.0, part.data(), n, part.data(), n, 0.0, g.data(), n)
         : blas::gemm('T', 'N', p, p, count, 1.0, part.data(), count, part.data(), count, first == 0 ? 0.0 : 1.0,
                      g.data(), p);
  }
  for (std::size_t i = 0; i < m; ++i) {
    axes.trace += g[i * (m + 1)];
  }
  blas::eigen_top(m, g.data(), m, most, axes.values.data(), vectors.data());
  leave_noise(std::max(n, p), axes);
  std::size_t const depth = axes.values.size();
  if (!wide) {
    vectors.resize(m * depth);
    axes.vectors = std::move(vectors);
    return axes;
  }
  axes.vectors.resize(p * depth);
  axes.rows.assign(vectors.begin(), vectors.begin() + static_cast<std::ptrdiff_t>(n * depth));
  for (std::size_t k = 0; k < depth; ++k) {
    double const root = 1 / std::sqrt(axes.values[k]);
    std::for_each_n(axes.rows.begin() + static_cast<std::ptrdiff_t>(k * n), n, [&](double& v) { v /= root; });
    std::for_each_n(vectors.begin() + static_cast<std::ptrdiff_t>(k * n), n, [&](double& v) { v *= root; });
  }
  if (depth > 0) {
    blas::gemm('T', 'N', p, depth, n, 1.0, part.data(), n, vectors.data(), n, 0.0, axes.vectors.data(), p);
  }
  return axes;
}

class FieldPreparer {
 public:
  FieldPreparer(Design const& design, FieldState& state, Team& team)
      : design_(design), s_(state), team_(team), places_(state.rows, state.features, state.options.coefficients) {}

  void run(double budget) {
    auto const cost = field_cost(s_.rows, s_.shapes, s_.fields, s_.options, design_.targets);
    if (cost.kept + cost.pooled > budget) {
      fail(
          Exit::limit,
          "{} fields × {} pooled features of {} stimuli need {:.2f} GiB but the budget is {:.2f} GiB; raise memory, or "
          "use a smaller model.rf.grid or fewer model.rf.sizes, layers or inner folds",
          s_.fields.size(), s_.features, s_.rows.n_train, (cost.kept + cost.pooled) / gib, budget / gib);
    }
    s_.owned = team_.shared(places_.bytes * s_.fields.size());
    std::size_t const radii = count_radii(s_.fields), one = s_.fields.size() / radii;
    std::size_t const together = one * radii_at_once(cost, radii, budget);
    std::span<Field const> const fields(s_.fields);
    auto pooled = team_.shared(4 * PooledPlaces(s_.shapes, s_.rows.n, together).floats());
    for (std::size_t first = 0; first < fields.size(); first += together) {
      std::size_t const count = std::min(together, fields.size() - first);
      pool_maps(design_.X, s_.shapes, s_.options.rf, fields.subspan(first, count),
                std::min(field_panel_bytes, budget / 8), team_, pooled.get());
      PooledPlaces const at(s_.shapes, s_.rows.n, count);
      auto const* x = reinterpret_cast<float const*>(pooled.get());
      statistics(x, at, first, count);
      decompose(x, at, first, count);
    }
    s_.report.shared_bytes = cost.kept;
  }

  void finish() {
    for (std::size_t f = 0; f < s_.fields.size(); ++f) {
      s_.candidates.push_back(candidate(f));
    }
    auto& r = s_.report;
    r.alphas = s_.candidates[0].alphas;
    for (auto const& skeleton : s_.skeletons) {
      r.skeleton = std::max(r.skeleton, skeleton.chosen.size());
    }
  }

 private:
  [[nodiscard]] std::byte* base(std::size_t field) const { return s_.owned.get() + field * places_.bytes; }
  template <class T>
  [[nodiscard]] T* at(std::size_t field, std::size_t offset) const {
    return reinterpret_cast<T*>(base(field) + offset);
  }

  /// Statistics and packed training rows, a unit a field.
  void statistics(float const* pooled, PooledPlaces const& where, std::size_t first, std::size_t count) {
    auto const& begin = s_.rows.blocks.begin;
    std::size_t const size = stats_size(s_.rows.sets.size()), p = s_.features;
    std::vector<std::vector<Slot>> slots(count);
    for (std::size_t u = 0; u < count; ++u) {
      std::size_t const from = (first + u) * places_.bytes;
      for (std::size_t b = 0; b < places_.x.size(); ++b) {
        slots[u].push_back({from + places_.x[b], 4 * packed_size(p, begin[b + 1] - begin[b])});
      }
      slots[u].push_back({from + places_.stats, 8 * p * size});
    }
    team_.run(s_.owned.get(), slots, [&](std::size_t u) { measure(pooled, where, first + u, u); });
    for (std::size_t f = first; f < first + count; ++f) {
      std::size_t constant = 0;
      for (std::size_t c = 0; c < p; ++c) {
        double const* of = at<double>(f, places_.stats) + c * size;
        if (std::isnan(of[0])) {
          fail(Exit::data,
               "pooled feature {} has a value that is not finite (NaN or infinity) among the rows used; extract the "
               "layers again or leave such stimuli out",
               c);
        }
        constant += of[size - 1] == 0 ? 1 : 0;
      }
      s_.report.constant_features = std::max(s_.report.constant_features, constant);
    }
  }

  void measure(float const* pooled, PooledPlaces const& where, std::size_t field, std::size_t in_chunk) {
    auto const& rows = s_.rows;
    std::size_t const used = rows.row.size(), size = stats_size(rows.sets.size()), p = s_.features;
    std::vector<float> x(used * p);
    std::vector<double> shift(p);
    auto* stats = at<double>(field, places_.stats);
    for (std::size_t c = 0; c < p; ++c) {
      float const* from = pooled + where.column(c, in_chunk);
      float* column = x.data() + c * used;
      float zero = 0;  // stays 0 unless a value is not finite
      for (std::size_t i = 0; i < used; ++i) {
        column[i] = from[rows.row[i]];
        zero += column[i] * 0.0F;
      }
      column_stats(column, rows.blocks, design_.standardize, stats + c * size);
      shift[c] = stats[c * size];
      if (!(zero == 0.0F)) {
        stats[c * size] = std::numeric_limits<double>::quiet_NaN();
      }
    }
    for (std::size_t b = 0; b < places_.x.size(); ++b) {
      std::size_t const begin = rows.blocks.begin[b], depth = rows.blocks.begin[b + 1] - begin;
      pack_rows<float>({.from = x.data() + begin, .row_stride = used, .row_shift = shift.data()}, p, depth,
                       at<float>(field, places_.x[b]));
    }
  }

  /// A unit a field and training set.
  void decompose(float const* pooled, PooledPlaces const& where, std::size_t first, std::size_t count) {
    std::size_t const sets = s_.rows.sets.size(), p = s_.features;
    std::vector<std::vector<Slot>> slots(count * sets);
    for (std::size_t u = 0; u < slots.size(); ++u) {
      std::size_t const from = (first + u / sets) * places_.bytes, s = u % sets;
      std::size_t const depth = most_axes(p, s_.rows.sets[s].train.size());
      std::size_t const along = by_rows(s_.rows, p) ? s_.rows.sets[s].train.size() : p;
      slots[u] = {{from + places_.rotate[s], 4 * packed_size(depth, along)},
                  {from + places_.test[s], 4 * packed_size(s_.rows.sets[s].test.size(), depth)},
                  {from + places_.values[s], 8 * (depth + 2)}};
      if (s + 1 == sets && s_.options.coefficients) {
        slots[u].push_back({from + places_.back, 4 * packed_size(p, depth)});
      }
    }
    team_.run(s_.owned.get(), slots, [&](std::size_t u) {
      std::size_t const field = first + u / sets, set = u % sets;
      axes(Standardised{pooled, where, u / sets, s_.rows, at<double const>(field, places_.stats), set, p}, field);
    });
  }

  void axes(Standardised const& x, std::size_t field) {
    std::size_t const s = x.set, p = x.features, sets = s_.rows.sets.size(), width = stats_size(sets);
    auto const& test = s_.rows.sets[s].test;
    Axes const found = axes_of(x, most_axes(p, s_.rows.sets[s].train.size()));
    std::size_t const depth = found.values.size(), e = test.size();
    auto* info = at<double>(field, places_.values[s]);
    info[0] = static_cast<double>(depth);
    info[1] = found.trace;
    std::ranges::copy(found.values, info + 2);
    if (depth == 0) {
      return;
    }
    std::vector<double> scale(p);
    for (std::size_t c = 0; c < p; ++c) {
      scale[c] = x.stats[c * width + 2 + 2 * s];
    }
    double const* v = found.vectors.data();
    if (std::size_t const n = s_.rows.sets[s].train.size(); by_rows(s_.rows, p)) {
      pack_rows<double>({.from = found.rows.data(), .row_stride = n}, depth, n, at<float>(field, places_.rotate[s]));
    } else {
      pack_rows<double>({.from = v, .row_stride = p, .depth_scale = scale.data()}, depth, p,
                        at<float>(field, places_.rotate[s]));
    }
    if (e > 0) {
      std::vector<double> held(e * p), along(e * depth);
      x.fill(test, held.data());
      blas::gemm('N', 'N', e, depth, p, 1.0, held.data(), e, v, p, 0.0, along.data(), e);
      pack_rows<double>({.from = along.data(), .depth_stride = e}, e, depth, at<float>(field, places_.test[s]));
    }
    if (s + 1 == sets && s_.options.coefficients) {
      pack_rows<double>({.from = v, .depth_stride = p, .row_scale = scale.data()}, p, depth,
                        at<float>(field, places_.back));
    }
  }

  [[nodiscard]] FieldCandidate candidate(std::size_t f) {
    FieldCandidate c;
    c.stats = at<double const>(f, places_.stats);
    c.back = at<float const>(f, places_.back);
    for (auto offset : places_.x) {
      c.x.push_back(at<float const>(f, offset));
    }
    for (std::size_t s = 0; s < s_.rows.sets.size(); ++s) {
      auto const* info = at<double const>(f, places_.values[s]);
      c.sets.push_back({static_cast<std::size_t>(info[0]), info + 2, at<float const>(f, places_.rotate[s]),
                        at<float const>(f, places_.test[s])});
    }
    double const trace = at<double const>(f, places_.values.back())[1];
    c.alphas = s_.options.alphas;
    for (auto& alpha : c.alphas) {
      alpha *= s_.options.relative_alphas && trace > 0 ? trace / static_cast<double>(s_.rows.n_train) : 1;
    }
    c.skeleton = skeleton_of(c.alphas, trace);
    return c;
  }

  /// Bounds of eigenvalues are rounded up to powers of 2, so that many fields share a skeleton.
  std::size_t skeleton_of(std::vector<double> const& alphas, double trace) {
    double const bound = trace > 0 ? std::exp2(std::ceil(std::log2(trace))) : 1;
    for (std::size_t i = 0; i < known_.size(); ++i) {
      if (known_[i].first == bound && known_[i].second == alphas) {
        return i;
      }
    }
    known_.emplace_back(bound, alphas);
    s_.skeletons.push_back(s_.options.exact_grid ? full_skeleton(alphas.size()) : alpha_skeleton(alphas, bound));
    s_.combine.push_back(combination_of(s_.skeletons.back(), alphas.size()));
    return known_.size() - 1;
  }

  Design const& design_;
  FieldState& s_;
  Team& team_;
  Places places_;
  std::vector<std::pair<double, std::vector<double>>> known_;
};

}  // namespace

std::size_t count_radii(std::vector<Field> const& fields) {
  std::size_t count = 1;
  for (std::size_t f = 1; f < fields.size(); ++f) {
    count += fields[f].sigma != fields[f - 1].sigma ? 1 : 0;
  }
  return count;
}

std::size_t radii_at_once(FieldCost const& cost, std::size_t radii, double budget) {
  double const fits = std::clamp((budget - cost.kept) / cost.pooled, 1.0, static_cast<double>(radii));
  return static_cast<std::size_t>(fits);
}

FieldCost field_cost(RowPlan const& rows, std::vector<MapShape> const& shapes, std::vector<Field> const& fields,
                     ModelOptions const& options, std::size_t targets) {
  std::size_t const p = pooled_features(shapes), radii = count_radii(fields), sets = rows.sets.size();
  auto const F = static_cast<double>(fields.size()), dp = static_cast<double>(p), n = static_cast<double>(rows.n_train);
  auto const a = static_cast<double>(options.alphas.size());
  FieldCost c;
  c.kept = F * static_cast<double>(Places(rows, p, options.coefficients).bytes);
  c.pooled = 4 * static_cast<double>(PooledPlaces(shapes, rows.n, fields.size() / radii).floats());
  std::size_t const width = padded_cols(std::min(targets == 0 ? target_tile : targets, target_tile));
  bool const wide = by_rows(rows, p);
  double flops = wide ? 0 : 2 * n * dp, held = 0, deepest = 0, scratch = 0;
  for (std::size_t s = 0; s < sets; ++s) {
    auto const& set = rows.sets[s];
    auto const train = static_cast<double>(set.train.size()), e = static_cast<double>(set.test.size()),
               depth = static_cast<double>(most_axes(p, set.train.size())), m = std::min(train, dp);
    c.prepare_flops += F * (2 * train * dp * m + 9 * m * m * m + 2 * e * dp * depth);
    flops += s + 1 < sets ? 2 * (wide ? train : dp) * depth + 2 * a * e * depth : 0;
    held = std::max(held, (s + 1 < sets ? a : 1) * e);
    deepest = std::max(deepest, depth);
    scratch = std::max(
        scratch, 8 * (m * m + m * depth + std::max(m, static_cast<double>(step)) * dp + dp * depth + e * (dp + depth)));
  }
  for (auto const& map : shapes) {
    auto const pixels = static_cast<double>(map.rows * map.cols);
    c.prepare_flops += has_maps(map) ? 4 * static_cast<double>(map.channels * rows.n) * F * pixels : 0;
  }
  c.flops_per_target = F * flops;
  double const blocks = static_cast<double>(rows.blocks.blocks());
  double const tile = 4 * static_cast<double>(width) *
                      (2 * static_cast<double>(rows.row.size()) + (wide ? n : dp * (blocks + 2)) + 2 * deepest + held +
                       (options.coefficients ? dp : 0));
  c.thread = std::max(tile, scratch) + 16e6;
  return c;
}

void prepare_fields(Design const& design, FieldState& state, Team& team, double memory_budget) {
  FieldPreparer preparer(design, state, team);
  preparer.run(memory_budget);
  preparer.finish();
}

}  // namespace striate::detail
