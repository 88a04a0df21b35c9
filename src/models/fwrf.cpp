#include "striate/models/fwrf.hpp"

#include <algorithm>
#include <numeric>

#include "field_fold.hpp"
#include "striate/base/error.hpp"
#include "striate/models/ridge.hpp"

namespace striate {
namespace {

class Fwrf final : public EncodingModel {
 public:
  explicit Fwrf(ModelOptions options) : options_(std::move(options)) {
    auto& a = options_.alphas;
    std::ranges::sort(a);
    a.erase(std::unique(a.begin(), a.end()), a.end());
    fields_ = detail::fields_of(options_.rf);
    maps_ = std::ranges::any_of(options_.maps, detail::has_maps);
    if (!maps_) {  // any field makes the same of features without maps
      fields_.resize(1);
    }
  }

  std::unique_ptr<FittedFold> prepare(Design const& design, FoldPlan const& plan, Team& team,
                                      double memory_budget) const override {
    refuse(design.pca);
    check(design);
    auto state = std::make_unique<detail::FieldState>();
    state->options = options_;
    state->fields = fields_;
    state->maps = maps_;
    state->shapes = shapes(design.X.cols());
    state->features = detail::pooled_features(state->shapes);
    bool const refit_only = plan.outer.test.empty();
    bool const with_inner = candidates() > 1 || refit_only;
    if (with_inner && plan.inner.empty()) {
      fail(Exit::data, "{} but there are no inner folds; set cv.inner.folds to 2 or more",
           refit_only ? "no outer fold has test rows" : "there are several settings to choose among");
    }
    state->rows = detail::make_rows(plan, design.X.rows(), with_inner);
    state->report.form = form();
    state->report.flops_per_target =
        detail::field_cost(state->rows, state->shapes, fields_, options_, design.targets).flops_per_target;
    detail::prepare_fields(design, *state, team, memory_budget);
    return std::make_unique<detail::FieldFold>(std::move(state));
  }

  ModelCost cost(std::size_t n, std::size_t p, std::size_t t, FoldPlan const& plan, bool, double pca,
                 double memory_budget) const override {
    refuse(pca);
    auto const rows = detail::make_rows(plan, n, candidates() > 1 || plan.outer.test.empty());
    auto const shapes_now = shapes(p);
    auto const of = detail::field_cost(rows, shapes_now, fields_, options_, t);
    std::size_t const radii = detail::count_radii(fields_), at_once = detail::radii_at_once(of, radii, memory_budget);
    ModelCost c;
    c.form = form();
    c.prepare_flops = of.prepare_flops;
    c.flops_per_target = of.flops_per_target;
    c.prepare_work = 5 * of.prepare_flops;        // small float64 decompositions
    c.work_per_target = 2 * of.flops_per_target;  // products of few columns, and scores
    c.shared_kept_bytes = of.kept;
    c.shared_bytes = of.kept + of.pooled * static_cast<double>(at_once);
    c.private_bytes = detail::pool_bytes(shapes_now, n, detail::field_panel_bytes);
    c.thread_bytes = of.thread;
    c.read_bytes = 4.0 * static_cast<double>(n * p * ((radii + at_once - 1) / at_once));
    return c;
  }

  [[nodiscard]] std::size_t candidates() const override { return options_.alphas.size() * fields_.size(); }
  [[nodiscard]] std::vector<std::string> extras() const override { return {"x0", "y0", "sigma"}; }
  [[nodiscard]] bool averages_extras() const override { return true; }

 private:
  static char const* form() { return "pooled fields"; }
  static void refuse(double pca) {
    if (pca != 0) {
      fail(Exit::config,
           "features.transform.pca is {} but model.type is fwrf, which pools maps; remove it, or use another model",
           pca);
    }
  }
  /// Without ModelOptions::maps: p features that are pooled by nothing.
  [[nodiscard]] std::vector<MapShape> shapes(std::size_t p) const {
    return options_.maps.empty() ? std::vector<MapShape>{{p, 1, 1}} : options_.maps;
  }
  void check(Design const& design) const {
    for (auto const& band : design.bands) {
      if (band.standardize != design.standardize) {
        fail(Exit::config, "features.transform.standardize differs between stores; fwrf needs one for all");
      }
    }
    std::size_t columns = 0, b = 0;
    for (auto const& map : shapes(design.X.cols())) {
      std::size_t const count = map.channels * map.rows * map.cols;
      if (count == 0 || (!design.bands.empty() && !options_.maps.empty() &&
                         (b >= design.bands.size() || design.bands[b].count != count))) {
        fail(Exit::data, "space {} is {} maps of {} × {}, which is not its number of features; mend the shapes", b,
             map.channels, map.rows, map.cols);
      }
      columns += count;
      ++b;
    }
    if (columns != design.X.cols()) {
      fail(Exit::data, "maps of {} features cover {} columns; mend the shapes", columns, design.X.cols());
    }
  }

  ModelOptions options_;
  std::vector<detail::Field> fields_;
  bool maps_ = false;
};

}  // namespace

std::unique_ptr<EncodingModel> make_fwrf(ModelOptions const& options) {
  (void)make_ridge(options);  // says what is wrong with the alphas
  return std::make_unique<Fwrf>(options);
}

}  // namespace striate
