#pragma once
/// The steps of prepare(): stream the features into Gram matrices, factor, write hats.
#include <functional>
#include <mutex>

#include "fold.hpp"
#include "striate/math/buffer.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {

/// Matrices of one unit of work at a time, kept from unit to unit.
struct Scratch {
  Buffer<double> g, test, block, cross, wanted, side;
};

/// What does not depend on responses in a training set of n rows, with e test rows: of pls and cca.
struct FeatureSide {
  double* factor = nullptr;  ///< pls: n × n, of pls_factor
  double* axes = nullptr;    ///< n × most_axes: eigenvectors of the kernel; of pls times the roots of the eigenvalues
  double* values = nullptr;  ///< most_axes eigenvalues
  double* test = nullptr;    ///< n × e: products with test rows; of pls with pca, those of the axes alone
  double* held = nullptr;    ///< cca: most_axes × e, products of axes and `test`
  double* found = nullptr;   ///< how many axes there are; pls: the trace of the kernel, pls_factor
};
/// In memory of side_doubles.
[[nodiscard]] FeatureSide side_in(double* at, Shape const& shape, SetRows const& rows);

/// All of a fold that does not depend on responses.
struct FeaturePart {
  FoldState state;
  Shape shape;
  double budget = 0, pca = 0;
  bool standardize = true;
  std::size_t targets = 0;
  std::shared_ptr<std::byte> stats, sides;
  std::vector<std::size_t> side_at;  ///< bytes into `sides`, of each set
  std::vector<double> penalties;
};

class ScratchPool {
 public:
  [[nodiscard]] std::unique_ptr<Scratch> take() {
    std::lock_guard const lock(mutex_);
    if (free_.empty()) {
      return std::make_unique<Scratch>();
    }
    auto s = std::move(free_.back());
    free_.pop_back();
    return s;
  }
  void give(std::unique_ptr<Scratch> s) {
    std::lock_guard const lock(mutex_);
    free_.push_back(std::move(s));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Scratch>> free_;
};

class Preparer {
 public:
  Preparer(Design const& design, FoldPlan const& plan, ModelOptions const& options, Fit fit, Team& team, double budget,
           std::vector<Band> bands = {}, std::vector<std::vector<double>> weightings = {{1}}, bool select = false);
  /// For other responses to features that are prepared.
  Preparer(FeaturePart const& part, Design const& design, Team& team);
  std::unique_ptr<FoldState> run();
  FeaturePart features();
  std::unique_ptr<FoldState> refit();

 private:
  using Weights = std::vector<double>;  ///< of the bands
  using Slots = std::vector<std::vector<Slot>>;

  // prepare.cpp
  void choose_alphas();
  void layout();
  bool all_groups();
  void count_constant();
  void end_spectral();
  void finish();
  void pack_features();
  // stream.cpp
  void allocate();
  void stream(std::size_t first_set, std::size_t last_set);
  void panel(std::size_t first, std::size_t count, float* x, std::size_t first_set, std::size_t last_set);
  void column_statistics(std::size_t first, std::size_t count, float const* x);
  void accumulate(std::size_t first, std::size_t count, float const* x, std::size_t first_set, std::size_t last_set);
  void mean_product(std::size_t first, std::size_t count, float const* x);
  void variances(std::size_t first, std::size_t count, float const* x);
  void feature_grams();
  [[nodiscard]] double trace_per_row(std::size_t part) const;
  [[nodiscard]] bool standardizes(std::size_t feature) const;
  // hats.cpp
  [[nodiscard]] bool factor(std::size_t first_set, std::size_t last_set);
  [[nodiscard]] bool factor_dual(double* g, std::size_t n, double alpha) const;
  bool block_inverse_unit(std::size_t candidate, std::size_t j, Scratch& scratch);
  [[nodiscard]] bool block_inverse_inner(float* out, std::size_t set, double const* inverse, double const* ones,
                                         Scratch& scratch);
  bool set_unit(std::size_t set, std::size_t candidate, std::size_t j, Scratch& scratch);
  void write_outer(std::size_t candidate, std::size_t j, double const* solved, double const* inverse,
                   double const* scale);
  void outer_slots(std::size_t candidate, std::size_t j, std::vector<Slot>& slots) const;
  [[nodiscard]] float* inner_hat(std::size_t set, std::size_t candidate, std::size_t j) const;
  void interpolate();
  // matrices.cpp
  void centre(std::size_t first_set, std::size_t last_set);
  [[nodiscard]] std::vector<double> lifts(std::size_t set, Weights const& weights) const;
  void gather_kernel(std::size_t set, Weights const& weights, std::vector<std::uint32_t> const& cols, bool lower,
                     double* out) const;
  void dual_kernel(std::size_t set, Weights const& weights, double* g, bool lifted = true) const;
  void dual_test(std::size_t set, Weights const& weights, double* test) const;
  void primal_gram(std::size_t set, Weights const& weights, double* g) const;
  void primal_test(std::size_t set, Weights const& weights, double* test) const;
  std::size_t tests_of(std::size_t set, Weights const& weights, double* test) const;
  // band_components.cpp
  [[nodiscard]] std::size_t most_of_band(std::size_t part, std::size_t train) const;
  [[nodiscard]] bool reduces(std::size_t part) const;
  void reduce_unit(std::size_t set, std::size_t part, Scratch& scratch);
  void put(double* data, std::size_t i, std::size_t j, double value) const;
  void reduce_bands(std::size_t first_set, std::size_t last_set);
  void place_components(std::function<std::size_t(std::size_t)> const& place);
  void keep_components(std::size_t last_set);
  // refine_prepare.cpp
  struct OperatorPlaces {
    std::size_t kernel = 0, test = 0, axes = 0;
  };
  /// Inner folds are there to climb by, and there is something to move: two bands, or two alphas.
  [[nodiscard]] bool refines() const {
    return s_.options.refine && s_.banded() && s_.rows.inner() > 0 && (s_.parts() > 1 || s_.alphas.size() > 1);
  }
  void place_operators(std::function<std::size_t(std::size_t)> const& place);
  void operators(std::size_t first_set, std::size_t last_set);
  void operator_unit(std::size_t set, std::size_t part, Scratch& scratch);
  void axes_unit(std::size_t set, std::size_t candidate, Scratch& scratch);
  void keep_operators();
  // spectral.cpp
  void decompose(std::size_t first_set, std::size_t last_set);
  void solve(std::size_t first_set, std::size_t last_set);
  void spectral_unit(std::size_t set, Scratch& scratch);
  void primal_basis(std::size_t set, double const* vectors, std::vector<double> const& values, Scratch& scratch);
  [[nodiscard]] std::size_t kept(double const* values, std::size_t count, double total, std::size_t m, double pca) const;
  [[nodiscard]] std::size_t kept(double const* values, std::size_t count, double total, std::size_t m) const {
    return kept(values, count, total, m, design_.pca);
  }
  void write_components(std::size_t set, std::vector<double> const& values, double const* scores,
                        double const* rotations, double const* test, double const* scale, Scratch& scratch,
                        std::size_t variant = 0);
  void spectral_hats();
  // left_out.cpp
  void write_vectors(double const* vectors, std::size_t row_stride, std::size_t depth_stride, double const* values,
                     std::size_t keep);
  void left_out_factors();
  // pls_prepare.cpp
  void response_grams(std::size_t first_set, std::size_t last_set);
  void response_panel(std::size_t count, float const* raw, float* y, double* stats);
  std::vector<double> response_matrix(std::size_t set, double* g) const;
  [[nodiscard]] std::size_t response_rows() const { return shape_.cca ? s_.rows.row.size() : s_.rows.n_train; }
  [[nodiscard]] double const* response_gram(std::size_t set) const;
  [[nodiscard]] bool response_products_wide() const;
  void pls_features(std::size_t set, FeatureSide const& side);
  void pls_unit(std::size_t set, FeatureSide const& side, Scratch& scratch);
  std::size_t keep_leading(std::size_t set, FeatureSide const& side, double trace);
  void choose_counts();
  // cca_prepare.cpp
  struct CcaSet;
  void cca_features(std::size_t set, FeatureSide const& side, Scratch& scratch);
  void cca_unit(std::size_t set, FeatureSide const& side, Scratch& scratch);
  void cca_pairs(std::size_t set, CcaSet const& of, std::size_t variant, double const* test, Scratch& scratch);
  static void held_out(CcaSet const& of, std::vector<double> const& small, std::vector<double> const& b, double* errors,
                       double* correlations);
  void response_products(std::size_t set, std::vector<double> const& mean, double* cross, double* self) const;
  void choose_penalty();
  [[nodiscard]] double* cca_of(std::size_t set, std::size_t variant) const;
  // refits.cpp
  [[nodiscard]] std::size_t sides_bytes() const;
  void place_sides();
  void keep_sides(std::size_t first_set, std::size_t last_set);
  [[nodiscard]] FeatureSide side_of(std::size_t set, Scratch& scratch);
  // Where components stand that were found with a penalty (cca; others have one variant).
  [[nodiscard]] std::size_t basis_of(std::size_t set, std::size_t v) const {
    return basis_at_[set] + v * packed_size(most_[set], s_.sets[set].basis_rows) * 4;
  }
  [[nodiscard]] std::size_t values_of(std::size_t set, std::size_t v) const {
    return values_at_[set] + v * (most_[set] + 2) * 8;
  }
  [[nodiscard]] std::size_t cross_of(std::size_t set, std::size_t v) const {
    return cross_at_[set] + v * most_[set] * s_.rows.sets[set].test.size() * 4;
  }
  [[nodiscard]] std::size_t back_of(std::size_t v) const {
    std::size_t const m = is_dual(s_.form) ? s_.rows.n_train : s_.p;
    return back_at_ + v * packed_size(m, most_.back()) * 4;
  }

  [[nodiscard]] double const* gram_of(std::size_t set, std::size_t part) const;
  [[nodiscard]] std::vector<double> scales(std::size_t set, Weights const& weights) const;
  [[nodiscard]] std::vector<double> shifts(std::size_t first, std::size_t count) const;
  /// Whether features are centred as they enter float64 products, not before, in float32.
  [[nodiscard]] bool exact() const { return !is_dual(s_.form) || wide_gram(shape_, s_.rows.row.size()); }
  float* at(std::size_t offset) const { return reinterpret_cast<float*>(hats_.get() + offset); }

  Design const& design_;
  Team& team_;
  double budget_;
  std::unique_ptr<FoldState> state_;
  FoldState& s_;
  Shape shape_;
  PackedShape packed_, packed_y_;
  std::shared_ptr<std::byte> stats_, x_, gram_, gram_y_, centre_, hats_, sides_;
  bool keeps_sides_ = false;          ///< nothing else is wanted
  std::vector<std::size_t> side_at_;  ///< bytes into sides_
  double response_panel_bytes_ = 256e6;
  std::size_t response_first_ = 0;  ///< first set of gram_y_, where sets have their own
  std::size_t grams_ = 1, group_ = 1, group_first_ = 0;  ///< Gram matrices in all, in memory at once, first of those
  bool have_stats_ = false;
  std::vector<double> variance_;  ///< per band, where some are standardised and some not
  std::vector<double> reduced_trace_;  ///< of bands with pca
  std::vector<std::size_t> components_at_;
  std::vector<double> traces_;    ///< per band: trace(K)/n of the outer training rows
  std::vector<OperatorPlaces> operators_at_;
  double trace_ = 0;              ///< trace(K)/n of the outer training rows, at most
  // Offsets into hats_, in bytes.
  std::vector<std::size_t> inner_at_, basis_at_, values_at_, cross_at_, outer_at_, inverse_at_, x_at_, cca_at_;
  std::vector<std::size_t> most_;  ///< depth of the hats of each set, at most
  std::size_t flags_at_ = 0, back_at_ = 0;
  std::size_t vectors_at_ = 0, outside_at_ = 0, left_out_at_ = 0;
  bool left_out_ = false;  ///< training rows are predicted as if left out
  std::vector<double> penalties_;  ///< cca: ascending, absolute
  std::size_t variant_ = 0;        ///< the chosen one of them
  ScratchPool pool_;
};

}  // namespace striate::detail
