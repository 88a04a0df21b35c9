#include "rows.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
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

/// For each row, in which inner training sets it is: rows of one signature make a block.
std::vector<std::string> signatures_of(FoldPlan const& plan, std::vector<Split> const& inner, std::size_t n) {
  std::vector<std::uint8_t> in_train(n, 0);
  for (auto r : plan.outer.train) {
    in_train[r] = 1;
  }
  std::vector<std::string> signature(n, std::string(inner.size(), '0'));
  for (std::size_t s = 0; s < inner.size(); ++s) {
    check(inner[s], n, "inner", &in_train);
    if (inner[s].test.size() < 2) {
      fail(Exit::data,
           "inner fold {} has {} test rows (alpha is chosen by a score, which needs 2 or more); use fewer inner folds",
           s, inner[s].test.size());
    }
    for (auto r : inner[s].train) {
      signature[r][s] = '1';
    }
  }
  return signature;
}

/// Puts the training rows in order of their blocks; returns the signature of each block.
std::vector<std::string> order_rows(FoldPlan const& plan, std::vector<std::string> const& signature, RowPlan& out,
                                    std::vector<std::uint32_t>& position) {
  std::vector<std::uint32_t> train = plan.outer.train;
  std::sort(train.begin(), train.end());
  std::map<std::string, std::size_t> number;  // blocks by first appearance among the ascending training rows
  std::vector<std::vector<std::uint32_t>> members;
  std::vector<std::string> of_block;
  for (auto r : train) {
    auto const [at, fresh] = number.emplace(signature[r], members.size());
    if (fresh) {
      members.emplace_back();
      of_block.push_back(signature[r]);
    }
    members[at->second].push_back(r);
  }
  for (auto const& block : members) {
    out.blocks.begin.push_back(out.row.size());
    for (auto r : block) {
      position[r] = static_cast<std::uint32_t>(out.row.size());
      out.row.push_back(r);
    }
  }
  out.blocks.begin.push_back(out.row.size());
  out.row.insert(out.row.end(), plan.outer.test.begin(), plan.outer.test.end());
  return of_block;
}

}  // namespace

RowPlan make_rows(FoldPlan const& plan, std::size_t n, bool with_inner) {
  check(plan.outer, n, "outer", nullptr);
  std::vector<Split> const none;
  auto const& inner = with_inner ? plan.inner : none;
  RowPlan out;
  out.n = n;
  out.n_train = plan.outer.train.size();
  out.n_test = plan.outer.test.size();
  std::vector<std::uint32_t> position(n, 0);
  auto const of_block = order_rows(plan, signatures_of(plan, inner, n), out, position);
  auto positions = [&](std::vector<std::uint32_t> const& rows) {
    std::vector<std::uint32_t> p;
    for (auto r : rows) {
      p.push_back(position[r]);
    }
    std::sort(p.begin(), p.end());
    return p;
  };
  std::vector<std::uint32_t> all(of_block.size());
  std::iota(all.begin(), all.end(), 0U);
  for (std::size_t s = 0; s < inner.size(); ++s) {
    out.sets.push_back({positions(inner[s].train), positions(inner[s].test)});
    out.blocks.sets.emplace_back();
    std::copy_if(all.begin(), all.end(), std::back_inserter(out.blocks.sets.back()),
                 [&](auto b) { return of_block[b][s] == '1'; });
  }
  SetRows outer;
  for (std::uint32_t i = 0; i < out.row.size(); ++i) {
    (i < out.n_train ? outer.train : outer.test).push_back(i);
  }
  out.sets.push_back(std::move(outer));
  out.blocks.sets.push_back(std::move(all));
  return out;
}

}  // namespace striate::detail
