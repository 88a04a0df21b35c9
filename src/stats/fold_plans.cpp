#include <numeric>

#include "striate/base/error.hpp"
#include "striate/stats/folds.hpp"

namespace striate {
namespace {

void append(std::vector<Split>& all, std::vector<Split> more) {
  for (auto& s : more) {
    all.push_back(std::move(s));
  }
}

std::vector<Split> from_file(CvColumns const& columns, Units unit) {
  std::vector<Split> all;
  for (auto const& column : columns.file) {
    append(all, predefined(column, unit));
  }
  return all;
}

std::vector<Split> splits(CvSpec const& spec, CvColumns const& columns) {
  std::vector<std::uint32_t> unit;
  if (!columns.id.empty()) {
    unit = number_labels(columns.id);
  }
  std::size_t const n = columns.rows;
  auto need = [&](std::vector<std::string> const& column, char const* key) {
    if (column.size() != n) {
      fail(Exit::data, "cv.{} has {} values for {} rows; check the column of the stimuli file", key, column.size(), n);
    }
  };
  switch (spec.kind) {
    case CvSpec::Kind::leave_one_out:
      return leave_one_out(n, unit);
    case CvSpec::Kind::group:
      need(columns.group, "group");
      return spec.folds == 0 ? leave_one_group_out(columns.group, unit) : group_kfold(columns.group, spec.folds, unit);
    case CvSpec::Kind::split:
      need(columns.split, "split");
      return predefined(columns.split, unit);
    case CvSpec::Kind::file:
      return from_file(columns, unit);
    case CvSpec::Kind::none:
      return {};
    case CvSpec::Kind::stratified:
      need(columns.stratify, "stratify");
      break;
    case CvSpec::Kind::kfold:
      break;
  }
  bool const stratified = spec.kind == CvSpec::Kind::stratified;
  if (!spec.shuffle) {
    if (spec.repeats > 1) {
      fail(Exit::config,
           "cv.repeats is {} but cv.shuffle is false (every repeat would be the same); set cv.shuffle: true",
           spec.repeats);
    }
    return stratified ? stratified_kfold(columns.stratify, spec.folds, unit) : kfold(n, spec.folds, unit);
  }
  std::vector<Split> all;
  for (std::size_t r = spec.first_repeat; r < spec.first_repeat + spec.repeats; ++r) {
    append(all, stratified ? shuffled_stratified_kfold(columns.stratify, spec.folds, spec.seed, r, unit)
                           : shuffled_kfold(n, spec.folds, spec.seed, r, unit));
  }
  return all;
}

std::vector<std::string> pick(std::vector<std::string> const& column, std::vector<std::uint32_t> const& rows) {
  std::vector<std::string> out;
  for (auto r : rows) {
    if (!column.empty()) {
      out.push_back(column[r]);
    }
  }
  return out;
}

}  // namespace

std::vector<FoldPlan> fold_plans(CvSpec const& outer, CvSpec const& inner, CvColumns const& columns) {
  std::vector<FoldPlan> plans;
  if (outer.kind == CvSpec::Kind::none) {
    FoldPlan all;
    all.outer.train.resize(columns.rows);
    std::iota(all.outer.train.begin(), all.outer.train.end(), 0U);
    plans.push_back(std::move(all));
  } else {
    for (auto& s : splits(outer, columns)) {
      plans.push_back({std::move(s), {}});
    }
  }
  bool const without = inner.kind == CvSpec::Kind::none || (inner.kind == CvSpec::Kind::kfold && inner.folds == 0);
  for (auto& plan : plans) {
    if (without) {
      continue;
    }
    auto const& rows = plan.outer.train;
    CvColumns mine{.rows = rows.size(),
                   .id = pick(columns.id, rows),
                   .group = pick(columns.group, rows),
                   .split = pick(columns.split, rows),
                   .stratify = pick(columns.stratify, rows),
                   .file = {}};
    for (auto& s : splits(inner, mine)) {
      for (auto* side : {&s.train, &s.test}) {
        for (auto& i : *side) {
          i = rows[i];
        }
      }
      plan.inner.push_back(std::move(s));
    }
  }
  return plans;
}

}  // namespace striate
