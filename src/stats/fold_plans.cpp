#include <numeric>

#include "striate/base/error.hpp"
#include "striate/stats/folds.hpp"

namespace striate {
namespace {

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
    case CvSpec::Kind::none:
      return {};
    case CvSpec::Kind::kfold:
      break;
  }
  if (!spec.shuffle) {
    if (spec.repeats > 1) {
      fail(Exit::config,
           "cv.repeats is {} but cv.shuffle is false (every repeat would be the same); set cv.shuffle: true",
           spec.repeats);
    }
    return kfold(n, spec.folds, unit);
  }
  std::vector<Split> all;
  for (std::size_t r = 0; r < spec.repeats; ++r) {
    for (auto& s : shuffled_kfold(n, spec.folds, spec.seed, r, unit)) {
      all.push_back(std::move(s));
    }
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
    CvColumns mine{rows.size(), pick(columns.id, rows), pick(columns.group, rows), pick(columns.split, rows)};
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
