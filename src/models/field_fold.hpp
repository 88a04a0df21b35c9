#pragma once
/// An outer fold of feature-weighted receptive fields: what prepare leaves behind, and what tiles do with it.
#include <memory>
#include <vector>

#include "feature_products.hpp"
#include "fields.hpp"
#include "responses.hpp"
#include "striate/math/skeleton.hpp"

namespace striate::detail {

/// The pooled features of a training set in their principal axes V: (XᵀX = VΛVᵀ of standardised features).
struct FieldSet {
  std::size_t depth = 0;           ///< axes with variance
  double const* values = nullptr;  ///< (depth), Λ
  float const* rotate = nullptr;  ///< depth × features, packed: Vᵀ · scale; with by_rows(), depth × training rows: VᵀXᵀ
  float const* test = nullptr;     ///< test rows × depth, packed: X V
};

/// Ridge on the features that one field makes.
struct FieldCandidate {
  std::vector<double> alphas;   ///< ascending, absolute
  std::size_t skeleton = 0;     ///< in FieldState::skeletons
  std::vector<float const*> x;  ///< per block of training rows, features × rows, packed: less the outer training mean;
                                ///< none with by_rows()
  std::vector<FieldSet> sets;   ///< as rows.sets
  float const* back = nullptr;  ///< features × depth, packed: scale · V of the outer set, where coefficients are wanted
  double const* stats = nullptr;  ///< per feature: stats_size(sets)
};

/// Whether pooled features outnumber training rows: then what tiles need is held per row, not per feature.
[[nodiscard]] inline bool by_rows(RowPlan const& rows, std::size_t features) { return features > rows.n_train; }

struct FieldState {
  RowPlan rows;
  ModelOptions options;
  std::vector<Field> fields;
  bool maps = false;  ///< whether any space has maps (without, there is one candidate)
  std::vector<MapShape> shapes;
  std::size_t features = 0;  ///< after pooling
  std::vector<FieldCandidate> candidates;
  std::vector<Skeleton> skeletons;          ///< those that differ
  std::vector<std::vector<float>> combine;  ///< combination_of each
  std::shared_ptr<std::byte> owned;
  FoldReport report;
};

struct FieldCost {
  double kept = 0;    ///< per node, while tiles run
  double pooled = 0;  ///< per node, while preparing: of the fields of one radius
  double thread = 0, prepare_flops = 0, flops_per_target = 0;
};
[[nodiscard]] FieldCost field_cost(RowPlan const& rows, std::vector<MapShape> const& shapes,
                                   std::vector<Field> const& fields, ModelOptions const& options, std::size_t targets);
/// Radii whose pooled features are held at once.
[[nodiscard]] std::size_t radii_at_once(FieldCost const& cost, std::size_t radii, double budget);
[[nodiscard]] std::size_t count_radii(std::vector<Field> const& fields);
inline constexpr double field_panel_bytes = 256e6;  ///< of maps that are read at a time

/// Collective. `state`: all but candidates, skeletons, owned and report. Throws Error(Exit::limit | Exit::data).
void prepare_fields(Design const& design, FieldState& state, Team& team, double memory_budget);

class FieldFold final : public FittedFold {
 public:
  explicit FieldFold(std::unique_ptr<FieldState> state) : state_(std::move(state)), s_(*state_) {}
  void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const override;
  [[nodiscard]] FoldReport const& report() const override { return s_.report; }
  /// The field's index, then the weights of the pooled features.
  [[nodiscard]] std::size_t weight_rows() const override { return 1 + s_.features; }
  void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                    float* out) const override;

 private:
  struct Best;
  struct Group;
  void block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const;
  void search(std::size_t field, Responses const& r, std::size_t first, std::vector<Best>& best, TileResult& out,
              Workspace& work) const;
  FeatureProducts feature_products(FieldCandidate const& c, Responses const& r, Workspace& work) const;
  float const* project(FieldCandidate const& c, std::size_t set, Responses const& r, FeatureProducts const& of,
                       Workspace& work) const;
  void settle(std::size_t first, std::vector<Best> const& best, TileResult& out) const;
  void outer(Responses const& r, std::size_t first, std::vector<Best> const& best, TileResult& out,
             Workspace& work) const;
  void fit(Group const& group, std::size_t first, std::vector<Best> const& best, TileResult& out,
           Workspace& work) const;
  void weights(Group const& group, float const* z, std::size_t first, TileResult& out, Workspace& work) const;

  std::unique_ptr<FieldState> state_;
  FieldState const& s_;
};

}  // namespace striate::detail
