/// Configs: reading, --set, messages, defaults, the resume check, help.
#include <gtest/gtest.h>

#include <cstdlib>

#include "striate/base/config.hpp"
#include "striate/base/error.hpp"

using namespace striate;

namespace {

struct Inner {
  std::int64_t folds = 5;
  bool shuffle = false;
};
void describe(Schema& s, Inner& c) {
  s("folds", c.folds, {.doc = "number of folds", .min = 0, .max = 100});
  s("shuffle", c.shuffle, {.doc = "shuffle rows"});
}
struct Item {
  std::string name;
  double weight = 1;
};
void describe(Schema& s, Item& i) {
  s("name", i.name, {.doc = "name of the item", .required = true});
  s("weight", i.weight, {.doc = "weight", .unit = "kg", .min = 0});
}
struct Settings {
  Inner cv;
  std::vector<Item> items;
  std::vector<std::string> scores{"pearson"};
  std::optional<std::int64_t> limit;
  std::optional<Inner> second;
  std::filesystem::path output;
  std::string mode = "fast";
  double memory = 0;
};
void describe(Schema& s, Settings& c) {
  s("cv", c.cv, {.doc = "cross-validation"});
  s("items", c.items, {.doc = "things"});
  s("scores", c.scores, {.doc = "scores", .choices = {"pearson", "r2"}});
  s("limit", c.limit, {.doc = "limit"});
  s("second", c.second, {.doc = "another"});
  s("output", c.output, {.doc = "directory of results", .required = true});
  s("mode", c.mode, {.doc = "way", .choices = {"fast", "slow"}});
  s("memory", c.memory, {.doc = "budget", .unit = "GiB", .identity = false});
}

Settings read(std::string const& text, std::vector<std::string> const& sets = {}) {
  Settings settings;
  Schema schema;
  describe(schema, settings);
  read_config(schema, {"/data/job.yaml", text, sets});
  return settings;
}

std::string error_of(std::string const& text, std::vector<std::string> const& sets = {}, Exit code = Exit::config) {
  try {
    read(text, sets);
  } catch (Error const& e) {
    EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(code)) << e.what();
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST(Config, ReadsEveryKind) {
  auto const s = read(
      "cv: {folds: 7, shuffle: true}\nitems:\n  - {name: a, weight: 2.5}\n  - name: b\nscores: [r2, pearson]\n"
      "limit: 4\nsecond: {folds: 2}\noutput: out/x\nmode: slow\n");
  EXPECT_EQ(s.cv.folds, 7);
  EXPECT_TRUE(s.cv.shuffle);
  ASSERT_EQ(s.items.size(), 2u);
  EXPECT_EQ(s.items[0].weight, 2.5);
  EXPECT_EQ(s.items[1].name, "b");
  EXPECT_EQ(s.scores, (std::vector<std::string>{"r2", "pearson"}));
  EXPECT_EQ(s.limit, 4);
  ASSERT_TRUE(s.second);
  EXPECT_EQ(s.second->folds, 2);
  EXPECT_EQ(s.output, "/data/out/x");
  EXPECT_EQ(read("output: /abs\nitems: {name: one}\nscores: r2\n").items.at(0).name, "one");
  EXPECT_EQ(read("output: ../up\n").output, "/up");
}

TEST(Config, SetOverrides) {
  auto const s = read("output: out\nitems: [{name: a}, {name: b}]\ncv: {folds: 3}\n",
                      {"cv.folds=10", "second.shuffle=true", "items.1.weight=3", "scores=[r2]", "output=there"});
  EXPECT_EQ(s.cv.folds, 10);
  EXPECT_TRUE(s.second && s.second->shuffle);
  EXPECT_EQ(s.items[1].weight, 3);
  EXPECT_EQ(s.output, "/data/there");
  EXPECT_EQ(error_of("output: o\n", {"cv.fold=1"}), "--set: cv.fold: is not a key here; did you mean `folds`?");
  EXPECT_EQ(error_of("output: o\n", {"cv.folds=many"}), "--set: cv.folds: needs a whole number, not `many`");
  EXPECT_NE(error_of("output: o\n", {"cv.folds"}, Exit::usage).find("KEY=VALUE"), std::string::npos);
  EXPECT_NE(error_of("output: o\nitems: [{name: a}]\n", {"items.4.name=x"}, Exit::usage).find("no 4"),
            std::string::npos);
}

TEST(Config, MessagesNameFileLineAndKey) {
  EXPECT_EQ(error_of("output: o\ncv:\n  foldz: 3\n"),
            "job.yaml: line 3: cv.foldz: is not a key here; did you mean `folds`?");
  EXPECT_EQ(error_of("output: o\nfolds: 3\n"), "job.yaml: line 2: folds: is not a key here; did you mean `cv.folds`?");
  EXPECT_EQ(error_of("output: o\ncv: {limit: 3}\n"),
            "job.yaml: line 2: cv.limit: is not a key here; `limit` stands at the top level, beside `cv`");
  EXPECT_EQ(error_of("output: o\nitems: [{name: a, scores: r2}]\n"),
            "job.yaml: line 2: items[0].scores: is not a key here; `scores` stands at the top level, beside `items`");
  EXPECT_EQ(error_of("output: o\ncv: {folds: 3.5}\n"), "job.yaml: line 2: cv.folds: needs a whole number, not `3.5`");
  EXPECT_EQ(error_of("output: o\ncv: {folds: -1}\n"), "job.yaml: line 2: cv.folds: is -1, below the least allowed, 0");
  EXPECT_EQ(error_of("output: o\nitems: [{name: a}, {weight: 2}]\n"),
            "job.yaml: line 2: items[1]: `name` is missing: name of the item");
  EXPECT_EQ(error_of("cv: {folds: 2}\n"), "job.yaml: `output` is missing: directory of results");
  EXPECT_EQ(error_of("output: o\nmode: fats\n"),
            "job.yaml: line 2: mode: `fats` is not one of fast, slow; did you mean `fast`?");
  EXPECT_EQ(error_of("output: o\nscores: [r2, perason]\n"),
            "job.yaml: line 2: scores: `perason` is not one of pearson, r2; did you mean `pearson`?");
  EXPECT_EQ(error_of("output: o\noutput: p\n"), "job.yaml: line 2: output: stands twice; keep one of them");
  EXPECT_NE(error_of("output: [o\n").find("job.yaml: line"), std::string::npos);
  EXPECT_NE(error_of("- a\n").find("one YAML mapping"), std::string::npos);
  EXPECT_EQ(error_of("output: o\ncv: 5\n"), "job.yaml: line 2: cv: needs a mapping (key: value lines below it)");
}

TEST(Config, VariablesOfTheEnvironment) {
  setenv("STRIATE_TEST_SUBJECT", "anna", 1);
  unsetenv("STRIATE_TEST_NONE");
  auto const s = read(
      "# ${STRIATE_TEST_NONE} in a comment\noutput: sub-${STRIATE_TEST_SUBJECT}/x\nmode: ${STRIATE_TEST_NONE:-slow}\n");
  EXPECT_EQ(s.output, "/data/sub-anna/x");
  EXPECT_EQ(s.mode, "slow");
  // In flow style a plain brace would end the mapping.
  EXPECT_EQ(read("{output: ${STRIATE_TEST_SUBJECT}/x, mode: ${STRIATE_TEST_NONE:-slow}}\n").output, "/data/anna/x");
  EXPECT_EQ(read("output: $${A}\n").output, "/data/${A}");
  EXPECT_EQ(error_of("output: o-${STRIATE_TEST_NONE}\n"),
            "job.yaml: line 1: output: the environment variable STRIATE_TEST_NONE is not set; export it, or write "
            "${STRIATE_TEST_NONE:-default}");
}

TEST(Config, ResolvedHoldsDefaultsAndIdentityLeavesOut) {
  Settings settings;
  Schema schema;
  describe(schema, settings);
  read_config(schema, {"/data/job.yaml", "output: o\nmemory: 3\nitems: {name: a}\n", {}});
  auto const all = resolved(schema), identity = resolved(schema, true);
  EXPECT_EQ(all["cv"]["folds"], 5);
  EXPECT_EQ(all["memory"], 3);
  EXPECT_TRUE(all["limit"].is_null());
  EXPECT_EQ(all["items"][0]["weight"], 1);
  EXPECT_FALSE(identity.contains("memory"));
  EXPECT_EQ(first_difference(identity, identity), "");
  auto other = identity;
  other["cv"]["folds"] = 6;
  EXPECT_EQ(first_difference(identity, other), "cv.folds");
  other = identity;
  other.erase("mode");
  EXPECT_EQ(first_difference(identity, other), "mode");
  EXPECT_EQ(first_difference(other, identity), "mode");
}

TEST(Config, HelpNamesEveryKey) {
  Settings settings;
  Schema schema;
  describe(schema, settings);
  for (auto const& text : {help_text(schema), help_markdown(schema), reference_yaml(schema)})
    for (auto key : {"cv", "folds", "items", "weight", "scores", "second", "output", "memory", "GiB", "fast"})
      EXPECT_NE(text.find(key), std::string::npos) << key << " in\n" << text;
}

TEST(Config, Nearest) {
  EXPECT_EQ(nearest("alexnte", {"resnet50", "alexnet"}), "alexnet");
  EXPECT_EQ(nearest("Conv1", {"conv1", "conv2"}), "conv1");
  EXPECT_EQ(nearest("something", {"conv1", "fc"}), "");
}
