#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/cluster.hpp"
#include "striate/math/gram.hpp"

namespace striate {
namespace {

constexpr std::size_t block = 256, dims_at_once = 64;
constexpr std::uint64_t purpose = 0x6B6D65616E73;  // "kmeans"

class Lloyd {
 public:
  Lloyd(Points const& p, KMeansOptions const& o, Team& team)
      : p_(p),
        o_(o),
        team_(team),
        k_(o.clusters),
        nearest_memory_(team.shared(p.count * 16)),
        centre_memory_(team.shared(o.clusters * p.dimensions * 8)) {
    for (std::size_t i = 0; i < p.count; i += block)
      point_slots_.push_back({i * 16, std::min(block, p.count - i) * 16});
    for (std::size_t d = 0; d < p.dimensions; d += dims_at_once)
      dim_slots_.push_back({d * k_ * 8, std::min(dims_at_once, p.dimensions - d) * k_ * 8});
    tolerance_ = o.tolerance * mean_variance();
  }

  KMeans from(std::span<double const> start) {
    KMeans r;
    r.centres.assign(start.begin(), start.end());
    std::vector<std::int32_t> before;
    for (r.iterations = 1; r.iterations <= o_.most_iterations; ++r.iterations) {
      progress();
      assign(r.centres, k_);
      take_labels(r);
      if (r.labels == before) break;
      double const shift = update(r);
      before = r.labels;
      if (shift <= tolerance_) break;
    }
    assign(r.centres, k_);
    take_labels(r);
    return r;
  }

  void begin(std::size_t number) { number_ = number; }

  /// Points with probability in proportion to their squared distance from the nearest centre so far.
  std::vector<double> start(std::size_t number) {
    Philox random(o_.seed, purpose, number);
    std::vector<double> centres;
    std::size_t next = static_cast<std::size_t>(random.below(p_.count));
    while (true) {
      for (std::size_t d = 0; d < p_.dimensions; ++d)
        centres.push_back(static_cast<double>(p_.x[next * p_.dimensions + d]));
      std::size_t const have = centres.size() / p_.dimensions;
      progress();
      if (have == k_) return centres;
      assign(centres, have);
      double sum = 0;
      for (std::size_t i = 0; i < p_.count; ++i) sum += distance(i);
      double const at = random.uniform() * sum;
      double passed = 0;
      for (next = 0; next + 1 < p_.count; ++next)
        if ((passed += distance(next)) > at) break;
    }
  }

 private:
  struct Nearest {
    double distance;
    std::int64_t label;
  };
  [[nodiscard]] Nearest const* nearest() const { return reinterpret_cast<Nearest const*>(nearest_memory_.get()); }
  [[nodiscard]] double distance(std::size_t i) const { return nearest()[i].distance; }

  void progress() const {
    if (o_.progress)
      o_.progress(static_cast<double>(number_) / static_cast<double>(std::max<std::size_t>(1, o_.starts)));
  }

  [[nodiscard]] double mean_variance() const {
    double sum = 0;
    for (std::size_t d = 0; d < p_.dimensions; ++d) {
      double mean = 0, squares = 0;
      for (std::size_t i = 0; i < p_.count; ++i) mean += value(i, d);
      mean /= static_cast<double>(p_.count);
      for (std::size_t i = 0; i < p_.count; ++i) squares += (value(i, d) - mean) * (value(i, d) - mean);
      sum += squares / static_cast<double>(p_.count);
    }
    if (!std::isfinite(sum)) fail(Exit::data, "a point has a value that is not finite (NaN or infinity)");
    return sum / static_cast<double>(p_.dimensions);
  }
  [[nodiscard]] double value(std::size_t i, std::size_t d) const {
    return static_cast<double>(p_.x[i * p_.dimensions + d]);
  }

  /// The nearest of the first `k` centres, and its squared distance, about the first point (so that nothing cancels).
  void assign(std::vector<double> const& centres, std::size_t k) {
    std::size_t const dims = p_.dimensions;
    std::vector<double> moved(k * dims), norms(k, 0.0);
    for (std::size_t c = 0; c < k; ++c)
      for (std::size_t d = 0; d < dims; ++d) {
        double const v = moved[c * dims + d] = centres[c * dims + d] - value(0, d);
        norms[c] += v * v;
      }
    auto* const out = reinterpret_cast<Nearest*>(nearest_memory_.get());
    team_.run(nearest_memory_.get(), point_slots_, [&](std::size_t b) {
      thread_local Buffer<double> wide, product;
      std::size_t const i = b * block, count = std::min(block, p_.count - i);
      double *w = wide.grow(block * gram_panel), *dots = product.grow(block * k);
      std::fill_n(dots, count * k, 0.0);
      std::vector<double> own(count, 0.0);
      for (std::size_t d = 0; d < dims; d += gram_panel) {
        std::size_t const width = std::min(gram_panel, dims - d);
        for (std::size_t r = 0; r < count; ++r)
          for (std::size_t j = 0; j < width; ++j) {
            double const v = w[r * width + j] = value(i + r, d + j) - value(0, d + j);
            own[r] += v * v;
          }
        blas::gemm('T', 'N', k, count, width, 1.0, moved.data() + d, dims, w, width, 1.0, dots, k);
      }
      for (std::size_t r = 0; r < count; ++r) {
        Nearest best{std::numeric_limits<double>::infinity(), 0};
        for (std::size_t c = 0; c < k; ++c)
          if (double const d2 = own[r] + norms[c] - 2 * dots[r * k + c]; d2 < best.distance)
            best = {d2, static_cast<std::int64_t>(c)};
        best.distance = std::max(0.0, best.distance);
        out[i + r] = best;
      }
    });
  }

  void take_labels(KMeans& r) const {
    r.labels.resize(p_.count);
    r.inertia = 0;
    for (std::size_t i = 0; i < p_.count; ++i) {
      r.labels[i] = static_cast<std::int32_t>(nearest()[i].label);
      r.inertia += distance(i);
    }
  }

  /// Centres become means; returns Σ squared shifts.
  double update(KMeans& r) {
    std::vector<double> size(k_, 0.0);
    for (auto const label : r.labels) ++size[static_cast<std::size_t>(label)];
    fill_empty(r, size);
    auto* const sums = reinterpret_cast<double*>(centre_memory_.get());
    std::size_t const dims = p_.dimensions;
    team_.run(centre_memory_.get(), dim_slots_, [&](std::size_t b) {
      std::size_t const d = b * dims_at_once, width = std::min(dims_at_once, dims - d);
      double* const to = sums + d * k_;
      std::fill_n(to, width * k_, 0.0);
      for (std::size_t i = 0; i < p_.count; ++i) {
        double* const mine = to + static_cast<std::size_t>(r.labels[i]) * width;
        for (std::size_t j = 0; j < width; ++j) mine[j] += value(i, d + j);
      }
      for (std::size_t c = 0; c < k_; ++c)
        for (std::size_t j = 0; j < width; ++j) to[c * width + j] /= size[c];
    });
    double shift = 0;
    for (std::size_t d = 0; d < dims; d += dims_at_once)
      for (std::size_t c = 0, width = std::min(dims_at_once, dims - d); c < k_; ++c)
        for (std::size_t j = 0; j < width; ++j) {
          double& now = r.centres[c * dims + d + j];
          double const next = sums[d * k_ + c * width + j];
          shift += (next - now) * (next - now);
          now = next;
        }
    return shift;
  }

  void fill_empty(KMeans& r, std::vector<double>& size) const {
    std::vector<bool> taken(p_.count, false);
    for (std::size_t c = 0; c < k_; ++c) {
      if (size[c] > 0) continue;
      std::size_t far = p_.count;
      for (std::size_t i = 0; i < p_.count; ++i)
        if (!taken[i] && size[static_cast<std::size_t>(r.labels[i])] > 1 &&
            (far == p_.count || distance(i) > distance(far)))
          far = i;
      taken[far] = true;
      --size[static_cast<std::size_t>(r.labels[far])];
      r.labels[far] = static_cast<std::int32_t>(c);
      size[c] = 1;
    }
  }

  Points const& p_;
  KMeansOptions const& o_;
  Team& team_;
  std::size_t k_;
  std::size_t number_ = 0;  ///< of the start
  double tolerance_ = 0;
  std::shared_ptr<std::byte> nearest_memory_, centre_memory_;
  std::vector<Slot> point_slots_, dim_slots_;
};

void check(Points const& p, std::size_t clusters) {
  if (clusters == 0 || clusters > p.count) fail(Exit::config, "{} points cannot make {} clusters", p.count, clusters);
  if (p.dimensions == 0) fail(Exit::data, "points without dimensions make no clusters");
}

}  // namespace

KMeans kmeans_from(Points const& points, std::span<double const> centres, KMeansOptions const& options, Team& team) {
  check(points, options.clusters);
  if (centres.size() != options.clusters * points.dimensions)
    fail(Exit::config, "centres of {} values for {} clusters of {} dimensions", centres.size(), options.clusters,
         points.dimensions);
  return Lloyd(points, options, team).from(centres);
}

KMeans kmeans(Points const& points, KMeansOptions const& options, Team& team) {
  check(points, options.clusters);
  Lloyd lloyd(points, options, team);
  KMeans best;
  for (std::size_t s = 0; s < std::max<std::size_t>(1, options.starts); ++s) {
    lloyd.begin(s);
    KMeans one = lloyd.from(lloyd.start(s));
    if (s == 0 || one.inertia < best.inertia) best = std::move(one);
  }
  return best;
}

}  // namespace striate
