// Folds of pls and cca in two parts: what follows from the features is kept, so that responses may come again and
// again.
#include "prepare.hpp"

namespace striate::detail {
namespace {

/// Many responses to the same features.
class KeptFeatures final : public PreparedFeatures {
 public:
  explicit KeptFeatures(FeaturePart part) : part_(std::move(part)) {}
  [[nodiscard]] std::unique_ptr<FittedFold> fit(FeatureSource const& Y) const override {
    Design const design{Y, part_.standardize, part_.pca, part_.targets, &Y, {}};  // features are not read
    auto const team = serial_team();
    return make_fitted(Preparer(part_, design, *team).refit());
  }
  [[nodiscard]] double shared_bytes() const override { return part_.state.report.shared_bytes; }

 private:
  FeaturePart part_;
};

}  // namespace

FeatureSide side_in(double* at, Shape const& shape, SetRows const& rows) {
  std::size_t const n = rows.train.size(), e = rows.test.size(), axes = most_axes(shape, n);
  auto const take = [&](std::size_t count) {
    double* const here = at;
    at += round_up(count, 8);
    return here;
  };
  FeatureSide side;
  side.factor = take(shape.cca ? 0 : n * n);
  side.axes = take(n * axes);
  side.values = take(axes);
  side.test = take(n * e);
  side.held = take(shape.cca ? axes * e : 0);
  side.found = take(3);
  return side;
}

Preparer::Preparer(FeaturePart const& part, Design const& design, Team& team)
    : design_(design),
      team_(team),
      budget_(part.budget),
      state_(std::make_unique<FoldState>(part.state)),
      s_(*state_),
      shape_(part.shape),
      stats_(part.stats),
      sides_(part.sides),
      side_at_(part.side_at),
      response_panel_bytes_(refit_panel_bytes),
      penalties_(part.penalties) {}

FeaturePart Preparer::features() {
  keeps_sides_ = true;
  allocate();
  (void)all_groups();
  count_constant();
  return {std::move(s_),   shape_, budget_, design_.pca, design_.standardize,
          design_.targets, stats_, sides_,  side_at_,    penalties_};
}

/// A set's responses at a time: those of all of them would not fit into what each thread has.
std::unique_ptr<FoldState> Preparer::refit() {
  layout();
  for (std::size_t set = 0; set < s_.rows.sets.size(); ++set) {
    response_grams(set, set + 1);
    solve(set, set + 1);
  }
  gram_y_.reset();
  end_spectral();
  finish();
  return std::move(state_);
}

std::size_t Preparer::sides_bytes() const {
  std::size_t doubles = 0;
  for (auto const& rows : s_.rows.sets) {
    doubles += side_doubles(shape_, rows);
  }
  return doubles * 8;
}

void Preparer::place_sides() {
  std::size_t at = 0;
  side_at_.clear();
  for (auto const& rows : s_.rows.sets) {
    side_at_.push_back(at);
    at += side_doubles(shape_, rows) * 8;
  }
  sides_ = team_.shared(at);
  s_.report.shared_bytes = static_cast<double>(at + s_.p * stats_size(s_.rows.sets.size()) * 8);
}

void Preparer::keep_sides(std::size_t first_set, std::size_t last_set) {
  std::vector<Slot> slots;
  for (std::size_t s = first_set; s < last_set; ++s) {
    slots.push_back({side_at_[s], side_doubles(shape_, s_.rows.sets[s]) * 8});
  }
  team_.run(sides_.get(), slots, [&](std::size_t u) {
    auto scratch = pool_.take();
    std::size_t const set = first_set + u;
    FeatureSide const side =
        side_in(reinterpret_cast<double*>(sides_.get() + side_at_[set]), shape_, s_.rows.sets[set]);
    shape_.cca ? cca_features(set, side, *scratch) : pls_features(set, side);
    pool_.give(std::move(scratch));
  });
}

/// As it was kept, or made now.
FeatureSide Preparer::side_of(std::size_t set, Scratch& scratch) {
  auto const& rows = s_.rows.sets[set];
  if (sides_ != nullptr) {
    return side_in(reinterpret_cast<double*>(sides_.get() + side_at_[set]), shape_, rows);
  }
  FeatureSide const side = side_in(scratch.side.grow(side_doubles(shape_, rows)), shape_, rows);
  shape_.cca ? cca_features(set, side, scratch) : pls_features(set, side);
  return side;
}

std::unique_ptr<PreparedFeatures> prepare_features_of(Design const& design, FoldPlan const& plan,
                                                      ModelOptions const& options, Fit fit, Team& team,
                                                      double memory_budget, bool select) {
  return std::make_unique<KeptFeatures>(
      Preparer(design, plan, options, fit, team, memory_budget, {}, {{1}}, select).features());
}

}  // namespace striate::detail
