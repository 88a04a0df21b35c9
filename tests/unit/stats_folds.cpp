#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "striate/base/error.hpp"
#include "striate/stats/folds.hpp"

namespace striate {
namespace {

std::vector<std::string> words(std::string const& line) {
  std::istringstream in(line);
  std::vector<std::string> out;
  for (std::string w; in >> w;) {
    out.push_back(w);
  }
  return out;
}

std::vector<int> test_fold(std::vector<Split> const& splits, std::size_t n) {
  std::vector<int> fold(n, -1);
  for (std::size_t f = 0; f < splits.size(); ++f) {
    EXPECT_EQ(splits[f].train.size() + splits[f].test.size(), n);
    EXPECT_TRUE(std::is_sorted(splits[f].train.begin(), splits[f].train.end()));
    for (auto i : splits[f].test) {
      EXPECT_EQ(fold[i], -1);
      fold[i] = static_cast<int>(f);
    }
  }
  return fold;
}

TEST(Folds, EqualScikitLearn) {  // tests/golden/make_folds.py
  char const* source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/folds.txt");
  ASSERT_TRUE(in.good());
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    auto const a = line.find('|'), b = line.rfind('|');
    auto const head = words(line.substr(0, a)), labels = words(line.substr(a + 1, b - a - 1));
    std::vector<int> want;
    for (auto const& w : words(line.substr(b + 1))) {
      want.push_back(std::stoi(w));
    }
    auto const k = static_cast<std::size_t>(std::stoi(head[1]));
    auto const splits = head[0] == "kfold"        ? kfold(labels.size(), k)
                        : head[0] == "group"      ? group_kfold(labels, k)
                        : head[0] == "logo"       ? leave_one_group_out(labels)
                        : head[0] == "stratified" ? stratified_kfold(labels, k)
                                                  : predefined(labels);
    ASSERT_EQ(splits.size(), k);
    EXPECT_EQ(test_fold(splits, labels.size()), want) << line;
  }
  EXPECT_EQ(lines, 33U);
}

TEST(Folds, PurgedRowsEqualTimeSeriesSplit) {  // tests/golden/make_folds.py
  char const* source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/purge.txt");
  ASSERT_TRUE(in.good());
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    std::vector<std::vector<std::string>> parts;
    for (std::size_t at = 0, end = 0; (end = line.find('|', at)) != std::string::npos; at = end + 1) {
      parts.push_back(words(line.substr(at, end - at)));
    }
    auto const& run = parts[1];
    auto splits = kfold(run.size(), std::stoul(parts[0][0]));
    ASSERT_EQ(parts.size(), splits.size() + 2);
    for (std::size_t f = 0; f < splits.size(); ++f) {
      auto const test = splits[f].test;
      purge(splits[f], run.size(), std::stoul(parts[0][1]), run);
      std::vector<std::uint32_t> want;
      for (auto const& w : parts[f + 2]) {
        want.push_back(static_cast<std::uint32_t>(std::stoul(w)));
      }
      EXPECT_EQ(splits[f].train, want) << line << " fold " << f;
      EXPECT_EQ(splits[f].test, test);
    }
  }
  EXPECT_EQ(lines, 5U);
}

TEST(Folds, ShuffledStrataKeepTheShares) {
  std::vector<std::string> label;
  std::vector<std::uint32_t> unit;
  for (std::uint32_t i = 0; i < 90; ++i) {
    label.push_back(i / 2 < 20 ? "face" : i / 2 < 43 ? "house" : "rare");
    unit.push_back(i / 2);
  }
  auto const plain = stratified_kfold(label, 5, unit), a = shuffled_stratified_kfold(label, 5, 1, 0, unit);
  EXPECT_EQ(test_fold(a, 90), test_fold(shuffled_stratified_kfold(label, 5, 1, 0, unit), 90));
  EXPECT_NE(test_fold(a, 90), test_fold(shuffled_stratified_kfold(label, 5, 1, 1, unit), 90));
  EXPECT_NE(test_fold(a, 90), test_fold(plain, 90));
  for (std::size_t f = 0; f < 5; ++f) {
    for (char const* c : {"face", "house", "rare"}) {
      auto const of = [&](Split const& s) {
        return std::count_if(s.test.begin(), s.test.end(), [&](auto i) { return label[i] == c; });
      };
      EXPECT_EQ(of(a[f]), of(plain[f])) << c << " in fold " << f;
    }
    for (auto i : a[f].test) {  // repeats stay together
      EXPECT_TRUE(std::binary_search(a[f].test.begin(), a[f].test.end(), i ^ 1U));
    }
  }
  EXPECT_EQ(smallest_class(label, unit), 2U);
  EXPECT_EQ(smallest_class(label), 4U);
  EXPECT_THROW((void)stratified_kfold(label, 30, unit), Error);  // no class has 30 members
  label[1] = "house";
  EXPECT_THROW((void)stratified_kfold(label, 5, unit), Error);  // one stimulus of two classes
}

TEST(Folds, ColumnsOfAFile) {
  CvColumns columns;
  columns.rows = 4;
  columns.file = {{"train", "test", "train", ""}, {"1", "0", "", "-1"}};
  CvSpec spec;
  spec.kind = CvSpec::Kind::file;
  auto const plans = fold_plans(spec, {.kind = CvSpec::Kind::none}, columns);
  ASSERT_EQ(plans.size(), 3U);
  using Rows = std::vector<std::uint32_t>;
  EXPECT_EQ(plans[0].outer.train, (Rows{0, 2}));
  EXPECT_EQ(plans[0].outer.test, (Rows{1}));
  EXPECT_EQ(plans[1].outer.train, (Rows{0, 3}));  // row 2 is left out, row 3 always training
  EXPECT_EQ(plans[1].outer.test, (Rows{1}));
  EXPECT_EQ(plans[2].outer.train, (Rows{1, 3}));
  EXPECT_EQ(plans[2].outer.test, (Rows{0}));
}

TEST(Folds, RepeatsAreNeverSplit) {
  std::vector<std::uint32_t> unit;
  for (std::uint32_t i = 0; i < 60; ++i) {
    unit.push_back(i * 7 % 20);
  }
  for (auto const& splits : {kfold(60, 6, unit), shuffled_kfold(60, 6, 3, 1, unit), leave_one_out(60, unit)}) {
    for (auto const& s : splits) {
      std::set<std::uint32_t> train;
      for (auto i : s.train) {
        train.insert(unit[i]);
      }
      for (auto i : s.test) {
        EXPECT_EQ(train.count(unit[i]), 0U);
      }
      EXPECT_EQ(s.train.size() + s.test.size(), 60U);
    }
  }
  EXPECT_EQ(leave_one_out(60, unit).size(), 20U);
  // Contiguous order is kept: the first fold tests the stimuli that come first.
  auto const first = kfold(60, 10, unit)[0].test;
  EXPECT_EQ(unit[first[0]], 0U);
  EXPECT_EQ(unit[first[1]], 7U);
  EXPECT_EQ(first.size(), 6U);
}

TEST(Folds, RepeatsInDifferentGroupsAreRefused) {
  std::vector<std::string> const group{"a", "a", "b", "b"};
  std::vector<std::uint32_t> const unit{0, 1, 1, 2};
  EXPECT_THROW((void)leave_one_group_out(group, unit), Error);
  EXPECT_THROW((void)predefined(std::vector<std::string>{"train", "test", "train", "train"}, unit), Error);
}

TEST(Folds, ShuffleIsAFunctionOfSeedAndRepeat) {
  auto const a = test_fold(shuffled_kfold(40, 5, 1, 0), 40);
  EXPECT_EQ(a, test_fold(shuffled_kfold(40, 5, 1, 0), 40));
  EXPECT_NE(a, test_fold(shuffled_kfold(40, 5, 2, 0), 40));
  EXPECT_NE(a, test_fold(shuffled_kfold(40, 5, 1, 1), 40));
  EXPECT_NE(a, test_fold(kfold(40, 5), 40));
  EXPECT_EQ(std::count(a.begin(), a.end(), 3), 8);
}

TEST(Folds, PlansNestInsideTrainingRows) {
  CvColumns columns;
  columns.rows = 24;
  for (int i = 0; i < 24; ++i) {
    columns.group.push_back(std::to_string(i / 4));
    columns.id.push_back(std::to_string(i / 2));
  }
  CvSpec outer, inner;
  outer.kind = inner.kind = CvSpec::Kind::group;
  outer.folds = 0;
  inner.folds = 2;
  auto const plans = fold_plans(outer, inner, columns);
  ASSERT_EQ(plans.size(), 6U);
  for (auto const& p : plans) {
    ASSERT_EQ(p.inner.size(), 2U);
    for (auto const& s : p.inner) {
      EXPECT_EQ(s.train.size() + s.test.size(), p.outer.train.size());
      for (auto const* rows : {&s.train, &s.test}) {
        EXPECT_TRUE(std::includes(p.outer.train.begin(), p.outer.train.end(), rows->begin(), rows->end()));
      }
    }
  }
  outer.kind = CvSpec::Kind::none;
  auto const all = fold_plans(outer, inner, columns);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(all[0].outer.test.empty());
  EXPECT_EQ(all[0].outer.train.size(), 24U);
  outer.kind = CvSpec::Kind::kfold;
  outer.folds = 25;
  EXPECT_THROW((void)fold_plans(outer, inner, columns), Error);
  outer.folds = 1;
  EXPECT_THROW((void)fold_plans(outer, inner, columns), Error);
  outer.folds = 3;
  outer.repeats = 2;
  EXPECT_THROW((void)fold_plans(outer, inner, columns), Error);  // repeats without shuffling
  outer.shuffle = true;
  EXPECT_EQ(fold_plans(outer, inner, columns).size(), 6U);
}

TEST(Folds, SplitColumn) {
  auto const s = predefined(std::vector<std::string>{"train", "test", "", "train", "test"});
  ASSERT_EQ(s.size(), 1U);
  EXPECT_EQ(s[0].train, (std::vector<std::uint32_t>{0, 3}));
  EXPECT_EQ(s[0].test, (std::vector<std::uint32_t>{1, 4}));
  EXPECT_THROW((void)predefined(std::vector<std::string>{"train", "trian", "test"}), Error);
  EXPECT_THROW((void)predefined(std::vector<std::string>{"train", "train"}), Error);
}

}  // namespace
}  // namespace striate
