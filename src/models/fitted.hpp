#pragma once
/// The tile loop of a fitted fold; src/models/tile.cpp, project.cpp and refit.cpp.
#include <memory>
#include <span>
#include <vector>

#include "feature_products.hpp"
#include "fold.hpp"
#include "responses.hpp"

namespace striate::detail {

/// What each target of a tile has chosen so far, over candidates (weights of bands) and alphas.
struct Choice {
  std::vector<double> score;  ///< mean over inner folds
  std::vector<std::size_t> candidate, alpha;
  std::vector<std::uint8_t> refined;  ///< 1: everything of the target is written
};

class Fitted final : public FittedFold {
 public:
  explicit Fitted(std::unique_ptr<FoldState> state) : state_(std::move(state)), s_(*state_) {}
  void tile(MatrixView<float const> Y, TileResult& out, Workspace& work) const override;
  void tile_at(MatrixView<float const> Y, std::span<double const> alpha, TileResult& out,
               Workspace& work) const override;
  void choices(MatrixView<float const> Y, std::vector<double>& scores, std::vector<TargetFlag>& flag,
               Workspace& work) const override;
  [[nodiscard]] FoldReport const& report() const override { return s_.report; }
  [[nodiscard]] std::size_t weight_rows() const override {
    return is_dual(s_.form) ? s_.rows.n_train + s_.bands.size() : s_.p;  // banded: the weights of the bands last
  }
  void coefficients(MatrixView<float const> x, std::size_t first, MatrixView<float const> weights,
                    float* out) const override;

 private:
  void run(MatrixView<float const> Y, std::span<double const> alpha, TileResult& out, Workspace& work) const;
  void block(MatrixView<float const> Y, std::span<double const> alpha, std::size_t first, TileResult& out,
             Workspace& work) const;
  void begin(Responses& r, FeatureProducts& products, Workspace& work) const;
  void take(std::span<double const> alpha, std::size_t first, TileResult& out, std::vector<std::size_t>& chosen) const;
  void load(MatrixView<float const> Y, std::size_t first, TileResult& out, Responses& r, Workspace& work) const;
  TileMatrix project(Responses const& r, std::size_t set, FeatureProducts const& products, Workspace& work) const;
  void score_candidates(Responses const& r, std::size_t first, std::size_t weighting, FeatureProducts const& products,
                        TileResult& out, std::vector<double>& mean_scores, std::vector<double>& all,
                        Workspace& work) const;
  void inner(Responses const& r, std::size_t first, std::size_t weighting, FeatureProducts const& products,
             TileResult& out, std::vector<double>& mean_scores, std::vector<double>& all, Workspace& work) const;
  void inner_components(Responses const& r, std::size_t set, std::size_t t, float const* z, double* mean_scores,
                        double* all, Workspace& work) const;
  void choose(std::size_t first, Responses const& r, std::size_t weighting, std::vector<double> const& mean_scores,
              std::vector<double> const& all, TileResult& out, Choice& chosen) const;
  // closed_form.cpp
  void closed_form(Responses const& r, std::size_t first, TileResult const& out, std::vector<double>& mean_scores,
                   std::vector<double>& all, Workspace& work) const;
  void left_out(Responses const& r, std::size_t first, float const* z, std::size_t ld, TileResult const& out,
                std::vector<double>& mean_scores, std::vector<double>& all, Workspace& work) const;
  void generalised(Responses const& r, std::size_t first, float const* z, std::size_t ld, TileResult const& out,
                   std::vector<double>& mean_scores) const;
  void settle(std::size_t first, Responses const& r, Choice const& chosen, TileResult& out) const;
  void outer(Responses const& r, std::size_t first, std::vector<std::size_t> const& chosen, TileMatrix const& z,
             TileResult& out, Workspace& work) const;
  void test_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group,
                  TileMatrix const& z, TileResult& out, Workspace& work) const;
  void weight_group(Responses const& r, std::size_t first, std::size_t alpha, std::span<std::size_t const> group,
                    TileMatrix const& z, TileResult& out, Workspace& work) const;
  // banded.cpp
  void banded_outer(Responses const& r, std::size_t first, Choice const& chosen, FeatureProducts const& products,
                    TileResult& out, Workspace& work) const;
  void banded_tests(Responses const& r, std::size_t first, std::size_t candidate, std::span<std::size_t const> group,
                    Choice const& chosen, TileMatrix const& z, TileResult& out, Workspace& work) const;
  void banded_scores(Responses const& r, std::size_t first, std::size_t t, double const* parts, TileResult& out) const;
  void banded_weights(Responses const& r, std::size_t first, std::size_t candidate, std::span<std::size_t const> group,
                      Choice const& chosen, TileMatrix const& z, TileResult& out, Workspace& work) const;
  void write_banded_weights(Responses const& r, std::size_t first, std::size_t t, std::vector<double> const& gamma,
                            double const* w, TileResult& out) const;
  // refine.cpp
  struct Climber;
  void refine(Responses const& r, std::size_t first, FeatureProducts const& products, Choice& chosen, TileResult& out,
              Workspace& work) const;
  [[nodiscard]] std::vector<std::vector<float>> right_sides(Responses const& r, FeatureProducts const& products,
                                                            Workspace& work) const;
  [[nodiscard]] Climber climber(Responses const& r, std::size_t t, Choice const& chosen,
                                std::vector<std::vector<float>> const& rights) const;
  void grow(std::size_t set, std::size_t round, std::vector<Climber>& group, RefineBuffers& work) const;
  [[nodiscard]] bool evaluate(Climber& c, std::vector<double> const& delta, double& score_there) const;
  [[nodiscard]] std::vector<double> reachable(Climber const& c, std::vector<double> const& step) const;
  void weigh(std::vector<double> const& delta, float* x) const;
  void aim(Climber& c) const;
  static void hold(Climber const& c, std::vector<double>& matrix, std::vector<double>& gradient);
  void climb(Climber& c) const;
  void settle_round(Climber& c, bool same, double sd) const;
  void take_refined(Responses const& r, std::size_t first, Climber& c, Choice& chosen, TileResult& out) const;
  [[nodiscard]] bool selects() const {
    return s_.closed_form() ? s_.alphas.size() > 1 || !tests() : s_.rows.inner() > 0;
  }
  /// Rows of TileResult::inner_score, where the plan has no outer test.
  [[nodiscard]] std::size_t inner_rows() const { return s_.closed_form() ? 1 : s_.rows.inner(); }
  [[nodiscard]] bool tests() const { return s_.rows.n_test > 0; }

  std::unique_ptr<FoldState> state_;
  FoldState const& s_;
};

}  // namespace striate::detail
