#pragma once
/// The steps of prepare(): stream the features into Gram matrices, factor, write hats.
#include "fold.hpp"

namespace striate::detail {

class Preparer {
 public:
  Preparer(Design const& design, FoldPlan const& plan, ModelOptions const& options, bool ols, Team& team, double budget);
  std::unique_ptr<FoldState> run();

 private:
  using Slots = std::vector<std::vector<Slot>>;

  // prepare.cpp
  void choose_alphas();
  void layout();
  bool all_groups();
  void finish();
  // pack.cpp
  void pack();
  // stream.cpp
  void allocate();
  void stream(std::size_t first_set, std::size_t last_set);
  void panel(std::size_t first, std::size_t count, float* x, std::size_t first_set, std::size_t last_set);
  void column_statistics(std::size_t first, std::size_t count, float const* x);
  void accumulate(std::size_t first, std::size_t count, float const* x, std::size_t first_set, std::size_t last_set);
  void mean_product(std::size_t first, std::size_t count, float const* x);
  void feature_grams();
  [[nodiscard]] double trace_per_row() const;
  // hats.cpp
  [[nodiscard]] bool factor(std::size_t first_set, std::size_t last_set);
  bool block_inverse_unit(std::size_t j);
  void block_inverse_inner(std::size_t j, std::size_t set, double const* b);
  bool set_unit(std::size_t set, std::size_t j);
  void write_outer(std::size_t alpha, std::size_t m, double const* solved, double const* inverse, double const* scale);
  void interpolate();
  void dual_matrices(SetRows const& rows, double const* gram, std::vector<double>& g, std::vector<double>& test) const;
  void primal_matrices(std::size_t set, std::vector<double>& g, std::vector<double>& test) const;
  // spectral.cpp
  void decompose(std::size_t first_set, std::size_t last_set);
  void spectral_unit(std::size_t set);
  [[nodiscard]] std::size_t kept(double const* values, std::size_t count, double total, std::size_t m) const;
  void spectral_hats();

  [[nodiscard]] double const* gram_of(std::size_t set) const;
  [[nodiscard]] std::vector<double> scales(std::size_t set) const;
  float* at(std::size_t offset) const { return reinterpret_cast<float*>(hats_.get() + offset); }

  Design const& design_;
  Team& team_;
  double budget_;
  std::unique_ptr<FoldState> state_;
  FoldState& s_;
  Shape shape_;
  PackedShape packed_;
  std::shared_ptr<std::byte> stats_, x_, gram_, hats_;   ///< hats_: before packing
  std::size_t grams_ = 1, group_ = 1, group_first_ = 0;  ///< Gram matrices in all, in memory at once, first of those
  bool have_stats_ = false;
  double trace_ = 0;                                     ///< trace(K)/n of the outer training rows
  // Offsets into hats_, in bytes.
  std::vector<std::size_t> inner_at_, basis_at_, values_at_, cross_at_, outer_at_, inverse_at_;
  std::vector<std::size_t> ld_;                          ///< of the hats of each set
  std::size_t flags_at_ = 0;
};

}  // namespace striate::detail
