#pragma once
/// An outer fold of the best single unit: the packed features that prepare leaves behind, and what tiles do with them.
#include <memory>
#include <vector>

#include "responses.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

/// Units whose correlations with a tile are held at a time: whole groups of panels.
inline constexpr std::size_t unit_strip = 16 * 3 * panel_rows;

struct UnitState {
  RowPlan rows;
  ModelOptions options;
  std::size_t p = 0;
  std::vector<float const*> x;    ///< per block of training rows, p × rows, packed: standardised by the outer training rows
  float const* test = nullptr;    ///< [unit][outer test row], likewise
  double const* stats = nullptr;  ///< per unit: stats_size(sets)
  std::shared_ptr<std::byte> owned;
  FoldReport report;
  [[nodiscard]] std::size_t width() const { return 1 + 2 * rows.sets.size(); }
  /// 1/sd in the outer training rows; 0 for a unit that is constant there.
  [[nodiscard]] double scale(std::size_t unit) const { return stats[unit * width() + width() - 1]; }
  /// A standardised value at a position of `rows`.
  [[nodiscard]] float value(std::size_t unit, std::size_t position) const;
};

class UnitFold final : public FittedFold {
 public:
  explicit UnitFold(std::unique_ptr<UnitState> state) : state_(std::move(state)), s_(*state_) {}
  void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const override;
  [[nodiscard]] FoldReport const& report() const override { return s_.report; }
  /// Unit in two parts that float32 holds exactly, slope.
  [[nodiscard]] std::size_t weight_rows() const override { return 3; }
  void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                    float* out) const override;

 private:
  struct Line;
  struct Shortlist;
  void block(MatrixView<float const> Y, std::size_t first, TileResult& out, Workspace& work) const;
  void scan(Responses const& r, std::size_t set, std::size_t t, std::size_t first, std::size_t count,
            float const* products, std::size_t next, double* c, Shortlist& list) const;
  [[nodiscard]] Line best(Responses const& r, std::size_t set, std::size_t t, Shortlist const& list) const;
  [[nodiscard]] Line line(Responses const& r, std::size_t set, std::size_t t, std::size_t unit) const;
  void predict(Responses const& r, std::size_t set, std::size_t t, Line const& line, std::size_t at, TileResult& out,
               Workspace& work) const;
  void weights(Responses const& r, std::size_t t, Line const& line, std::size_t at, TileResult& out) const;

  std::unique_ptr<UnitState> state_;
  UnitState const& s_;
};

}  // namespace striate::detail
