/// The folds of `encode`: outer ones, inner ones for each, and the refit on all rows.
#include <algorithm>
#include <numeric>
#include <set>

#include "encode_joint.hpp"
#include "striate/base/error.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

CvSpec outer_spec(Config const& config) {
  Cv const& cv = config.cv;
  CvSpec spec;
  spec.shuffle = cv.shuffle;
  spec.repeats = static_cast<std::size_t>(cv.repeats);
  spec.seed = static_cast<std::uint64_t>(config.seed);
  spec.folds = static_cast<std::size_t>(cv.folds.number.value_or(cv.group ? 0 : 5));
  spec.kind = !config.outer()                              ? CvSpec::Kind::none
              : cv.leave_one_out || cv.folds.leave_one_out ? CvSpec::Kind::leave_one_out
              : cv.group                                   ? CvSpec::Kind::group
              : cv.split                                   ? CvSpec::Kind::split
                                                           : CvSpec::Kind::kfold;
  return spec;
}

template <class F>
auto with_key(std::string const& key, F const& f) {
  try {
    return f();
  } catch (Error const& error) {
    throw Error(error.code(), key + ": " + error.what());
  }
}

std::vector<std::string> pick(std::vector<std::string> const& column, std::vector<std::uint32_t> const& rows) {
  std::vector<std::string> out;
  if (column.empty()) return out;
  for (auto r : rows) out.push_back(column[r]);
  return out;
}

/// Inner splits of the rows in plan.outer.train: contiguous, or by group.
void add_inner(Config const& config, CvColumns const& columns, FoldPlan& plan) {
  auto const& rows = plan.outer.train;
  CvColumns const mine{rows.size(), pick(columns.id, rows), pick(columns.group, rows), {}};
  CvSpec spec;
  spec.folds = static_cast<std::size_t>(config.cv.inner.folds.number.value_or(5));
  if (spec.folds == 0) return;
  if (config.cv.group) {
    spec.kind = CvSpec::Kind::group;
    std::set<std::string> const groups(mine.group.begin(), mine.group.end());
    if (groups.size() < 2)
      fail(Exit::data,
           "{} has a single group among the training rows of a fold (the inner folds need two); "
           "use another column or fewer folds",
           *config.cv.group);
    if (!config.cv.inner.folds.number) spec.folds = std::min(spec.folds, groups.size());
  }
  for (FoldPlan& inner : fold_plans(spec, {.kind = CvSpec::Kind::none}, mine)) {
    for (auto* side : {&inner.outer.train, &inner.outer.test})
      for (auto& i : *side) i = rows[i];
    plan.inner.push_back(std::move(inner.outer));
  }
}

/// A test fold of one row has no variance to explain.
void check_test_rows(Config const& config, Inputs const& in) {
  if (config.aggregate == "concat" || config.scores == std::vector<std::string>{"mse"} || !config.outer()) return;
  for (std::size_t f = 0; f < in.folds; ++f)
    if (in.passes[f].outer.test.size() < 2)
      fail(Exit::data,
           "cv: fold {} tests a single row, on which {} is not defined; use aggregate: concat (one score "
           "of all held-out predictions), or fewer folds",
           f, config.scores[0] == "mse" ? config.scores[1] : config.scores[0]);
}

}  // namespace

void plan_folds(Config const& config, Inputs& in) {
  std::string const key = config.cv.group ? "cv.group" : config.cv.split ? "cv.split" : "cv.folds";
  in.passes = with_key(key, [&] { return fold_plans(outer_spec(config), {.kind = CvSpec::Kind::none}, in.columns); });
  in.folds = in.passes.size();
  if (config.outer() && config.saves("coefficients")) {
    FoldPlan all;
    all.outer.train.resize(in.n());
    std::iota(all.outer.train.begin(), all.outer.train.end(), 0U);
    in.passes.push_back(std::move(all));
  }
  bool const chooses = find_model(config.model.type)->make(model_options(config, in))->candidates() > 1;
  for (FoldPlan& plan : in.passes)
    if (chooses || plan.outer.test.empty()) with_key("cv.inner.folds", [&] { add_inner(config, in.columns, plan); });
  check_test_rows(config, in);
}

}  // namespace striate::encode
