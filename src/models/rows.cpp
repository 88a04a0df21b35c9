#include "rows.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "striate/base/error.hpp"

namespace striate::detail {
namespace {

void check(Split const& split, std::size_t n, char const* what, std::vector<std::uint8_t> const* allowed) {
  std::vector<std::uint8_t> seen(n, 0);
  for (auto const* rows : {&split.train, &split.test}) {
    for (auto r : *rows) {
      if (r >= n) {
        fail(Exit::data, "the {} fold names row {} but there are {} rows; check the split", what, r, n);
      }
      if (seen[r]++ != 0) {
        fail(Exit::data, "the {} fold holds row {} twice (training and test rows must not overlap); check the split",
             what, r);
      }
      if (allowed != nullptr && (*allowed)[r] == 0) {
        fail(Exit::data, "an inner fold holds row {}, which is no training row of its outer fold; check the split", r);
      }
    }
  }
  if (split.train.size() < 2) {
    fail(Exit::data, "the {} fold has {} training rows (at least 2 are needed); use fewer folds or more stimuli", what,
         split.train.size());
  }
}

}  // namespace

RowPlan make_rows(FoldPlan const& plan, std::size_t n, bool with_inner) {
  check(plan.outer, n, "outer", nullptr);
  std::vector<std::uint8_t> in_train(n, 0);
  for (auto r : plan.outer.train) {
    in_train[r] = 1;
  }
  std::vector<Split> const none;
  auto const& inner = with_inner ? plan.inner : none;
  std::vector<std::string> signature(n, std::string(inner.size(), '0'));
  for (std::size_t s = 0; s < inner.size(); ++s) {
    check(inner[s], n, "inner", &in_train);
    if (inner[s].test.empty()) {
      fail(Exit::data, "inner fold {} has no test rows; use fewer inner folds", s);
    }
    for (auto r : inner[s].train) {
      signature[r][s] = '1';
    }
  }
  RowPlan out;
  out.n = n;
  out.n_train = plan.outer.train.size();
  out.n_test = plan.outer.test.size();
  // Blocks by first appearance among the ascending training rows.
  std::vector<std::uint32_t> train = plan.outer.train;
  std::sort(train.begin(), train.end());
  std::map<std::string, std::size_t> number;
  std::vector<std::vector<std::uint32_t>> members;
  std::vector<std::string> signatures;
  for (auto r : train) {
    auto const [at, fresh] = number.emplace(signature[r], members.size());
    if (fresh) {
      members.emplace_back();
      signatures.push_back(signature[r]);
    }
    members[at->second].push_back(r);
  }
  std::vector<std::uint32_t> position(n, 0);
  for (auto const& block : members) {
    out.blocks.begin.push_back(out.row.size());
    for (auto r : block) {
      position[r] = static_cast<std::uint32_t>(out.row.size());
      out.row.push_back(r);
    }
  }
  out.blocks.begin.push_back(out.row.size());
  for (auto r : plan.outer.test) {
    out.row.push_back(r);
  }
  for (auto r : plan.outer.train) {
    out.train_order.push_back(position[r]);
  }
  auto positions = [&](std::vector<std::uint32_t> const& rows) {
    std::vector<std::uint32_t> p;
    for (auto r : rows) {
      p.push_back(position[r]);
    }
    std::sort(p.begin(), p.end());
    return p;
  };
  for (std::size_t s = 0; s < inner.size(); ++s) {
    out.sets.push_back({positions(inner[s].train), positions(inner[s].test)});
    std::vector<std::uint32_t> blocks;
    for (std::uint32_t b = 0; b < members.size(); ++b) {
      if (signatures[b][s] == '1') {
        blocks.push_back(b);
      }
    }
    out.blocks.sets.push_back(std::move(blocks));
  }
  SetRows outer;
  std::vector<std::uint32_t> all;
  for (std::uint32_t i = 0; i < out.row.size(); ++i) {
    (i < out.n_train ? outer.train : outer.test).push_back(i);
  }
  for (std::uint32_t b = 0; b < members.size(); ++b) {
    all.push_back(b);
  }
  out.sets.push_back(std::move(outer));
  out.blocks.sets.push_back(std::move(all));
  return out;
}

}  // namespace striate::detail
