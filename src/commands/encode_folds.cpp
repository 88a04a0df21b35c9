/// The folds of `encode`: outer ones, inner ones for each, and the refit on all rows.
#include <algorithm>
#include <numeric>
#include <set>

#include "encode_joint.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/models/table.hpp"

namespace striate::encode {
namespace {

CvSpec outer_spec(Config const& config) {
  Cv const& cv = config.cv;
  CvSpec spec;
  spec.shuffle = cv.shuffle;
  spec.repeats = static_cast<std::size_t>(cv.repeats);
  spec.seed = static_cast<std::uint64_t>(config.seed);
  spec.folds = static_cast<std::size_t>(cv.folds.number.value_or(cv.split_half ? 2 : cv.group ? 0 : 5));
  spec.kind = !config.outer()                              ? CvSpec::Kind::none
              : cv.leave_one_out || cv.folds.leave_one_out ? CvSpec::Kind::leave_one_out
              : cv.split                                   ? CvSpec::Kind::split
              : cv.file                                    ? CvSpec::Kind::file
              : cv.group                                   ? CvSpec::Kind::group
              : cv.stratify                                ? CvSpec::Kind::stratified
                                                           : CvSpec::Kind::kfold;
  return spec;
}

/// The key that made the outer folds, for messages.
char const* outer_key(Cv const& cv) {
  return cv.split        ? "cv.split"
         : cv.file       ? "cv.file"
         : cv.group      ? "cv.group"
         : cv.stratify   ? "cv.stratify"
         : cv.split_half ? "cv.split_half"
                         : "cv.folds";
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

/// Classes with fewer members than folds are in some folds only, as scikit-learn has it.
void check_classes(std::string const& column, std::vector<std::string> const& values,
                   std::vector<std::string> const& ids, std::size_t folds, char const* what) {
  if (values.empty()) return;
  std::size_t const least = smallest_class(values, number_labels(ids));
  if (least < folds)
    log::warn("cv.stratify: the rarest class of {} has {} members, fewer than the {} {} folds: some lack it", column,
              least, folds, what);
}

CvSpec inner_spec(Config const& config, CvColumns const& mine, std::size_t number) {
  InnerCv const& inner = config.cv.inner;
  CvSpec spec;
  spec.folds = static_cast<std::size_t>(inner.folds.number.value_or(5));
  spec.shuffle = inner.shuffle;
  spec.seed = static_cast<std::uint64_t>(config.seed);
  spec.first_repeat = (std::uint64_t{1} << 32) + number;  // outer shuffles count from 0
  if (config.cv.stratify) spec.kind = CvSpec::Kind::stratified;
  if (spec.folds == 0 || !config.cv.group) return spec;
  spec.kind = CvSpec::Kind::group;
  std::set<std::string> const groups(mine.group.begin(), mine.group.end());
  if (groups.size() < 2 && config.responses.run) {  // of two runs, one is left
    log::warn("cv.inner.folds: a fold trains on a single {0}, so its inner folds are parts of that {0}", *config.cv.group);
    spec.kind = CvSpec::Kind::kfold;
    return spec;
  }
  if (groups.size() < 2)
    fail(Exit::data,
         "{} has a single group among the training rows of a fold (the inner folds need two); "
         "use another column or fewer folds",
         *config.cv.group);
  if (!inner.folds.number) spec.folds = std::min(spec.folds, groups.size());
  return spec;
}

void purge_rows(Config const& config, CvColumns const& columns, Split& split, std::string const& what) {
  auto const gap = static_cast<std::size_t>(config.cv.purge);
  purge(split, columns.rows, gap, columns.group);
  if (gap > 0 && split.train.size() < 2)
    fail(Exit::data, "cv.purge: a gap of {} rows leaves {} training rows to {}; use a smaller gap or fewer folds", gap,
         split.train.size(), what);
}

/// Inner splits of the rows in plan.outer.train: as cv.inner says, by group, or by class. `number`: 0 for the fit on
/// all rows, else the outer fold from 1.
void add_inner(Config const& config, CvColumns const& columns, FoldPlan& plan, std::size_t number) {
  auto const& rows = plan.outer.train;
  CvColumns const mine{.rows = rows.size(),
                       .id = pick(columns.id, rows),
                       .group = pick(columns.group, rows),
                       .split = {},
                       .stratify = pick(columns.stratify, rows),
                       .file = {}};
  auto splits = with_key("cv.inner.folds", [&] {
    CvSpec const spec = inner_spec(config, mine, number);
    if (spec.folds > 0 && config.cv.stratify && number < 2)
      check_classes(*config.cv.stratify, mine.stratify, mine.id, spec.folds, "inner");
    return spec.folds == 0 ? std::vector<FoldPlan>() : fold_plans(spec, {.kind = CvSpec::Kind::none}, mine);
  });
  for (FoldPlan& inner : splits) {
    for (auto* side : {&inner.outer.train, &inner.outer.test})
      for (auto& i : *side) i = rows[i];
    purge_rows(config, columns, inner.outer, fmt::format("inner fold {}", plan.inner.size()));
    plan.inner.push_back(std::move(inner.outer));
  }
}

/// Leave-one-out, and its mean that GCV is, keep the neighbours of the left-out row.
void warn_of_neighbours(Config const& config, Inputs const& in) {
  if (config.inner_folds()) return;
  std::set<std::string> const distinct(in.columns.id.begin(), in.columns.id.end());
  std::string const why = config.cv.group            ? fmt::format("rows of its cv.group {}", *config.cv.group)
                          : config.cv.purge > 0      ? "the neighbours that cv.purge is about"
                          : distinct.size() < in.n() ? "the other repeats of its stimulus"
                                                     : "";
  if (!why.empty())
    log::warn("model.selection: {} leaves single rows out, while {} stay among the training rows: alphas come out too "
              "small; use folds",
              config.model.selection, why);
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
  CvSpec const outer = outer_spec(config);
  in.passes =
      with_key(outer_key(config.cv), [&] { return fold_plans(outer, {.kind = CvSpec::Kind::none}, in.columns); });
  in.folds = in.passes.size();
  if (config.cv.stratify && config.outer())
    check_classes(*config.cv.stratify, in.columns.stratify, in.columns.id, outer.folds, "outer");
  if (config.cv.purge > 0 && config.cv.folds_by_group())
    log::warn("cv.purge: does nothing, because cv.group keeps every group whole: no training row is of a tested group");
  for (std::size_t f = 0; f < in.folds; ++f)
    purge_rows(config, in.columns, in.passes[f].outer, fmt::format("fold {}", f));
  if (config.outer() && config.saves("coefficients")) {
    FoldPlan all;
    all.outer.train.resize(in.n());
    std::iota(all.outer.train.begin(), all.outer.train.end(), 0U);
    in.passes.push_back(std::move(all));
  }
  bool const chooses = find_model(config.model.type)->make(model_options(config, in))->candidates() > 1;
  for (std::size_t p = 0; p < in.passes.size(); ++p) {
    FoldPlan& plan = in.passes[p];
    bool const all_rows = plan.outer.test.empty();
    if (config.inner_folds() && (chooses || all_rows)) add_inner(config, in.columns, plan, all_rows ? 0 : p + 1);
  }
  if (chooses) warn_of_neighbours(config, in);
  check_test_rows(config, in);
}

}  // namespace striate::encode
