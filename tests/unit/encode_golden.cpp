// Whole runs of encode against scikit-learn in float64 (tests/golden/make_encode.py).
#include "encode_common.hpp"

using namespace encode_test;

namespace {

struct Case {
  char const* name;
  char const* yaml;            ///< beside features, responses and output
  char const* responses = "";  ///< more keys of responses
  char const* features = "";
  double regret = 1e-5;  ///< of R², relative where that is large
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

fs::path golden() {
  char const* source = std::getenv("STRIATE_SOURCE");
  return fs::path(source != nullptr ? source : ".") / "tests/golden/encode";
}

class Golden : public testing::TestWithParam<Case> {};

TEST_P(Golden, AgreesWithScikitLearn) {
  Case const& c = GetParam();
  TempFolder const dir("encode_golden_" + std::string(c.name) + std::to_string(getpid()));
  fs::path const g = golden();
  std::string const yaml = fmt::format(
      "features: {{store: {0}/act.h5, stimuli: {0}/act.stim.csv{1}}}\n"
      "responses: {{data: {0}/responses.npy, stimuli: {0}/responses.stim.csv{2}}}\n{3}\noutput: out\ntarget_tile: 8\n",
      g.string(), c.features, c.responses, c.yaml);
  Outcome const out = run_encode(Comm(), dir.path, yaml);
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  ASSERT_TRUE(out.finished);
  h5::File const expected = h5::File::open(g / "expected.h5");
  for (std::string const layer : {"conv", "fc"}) {
    std::string const theirs = std::string(c.name) + "/" + layer + "/";
    for (std::string const s : {"pearson", "r2"}) {
      auto const mine = read(dir / "out/result.h5", layer + "/score/" + s);
      expect_close(mine, expected.dataset(theirs + s).read<double>(), c.regret, layer + " " + s);
      if (expected.is_dataset(theirs + s + "_fold"))
        expect_close(read(dir / "out/result.h5", layer + "/score/" + s + "_fold"),
                     expected.dataset(theirs + s + "_fold").read<double>(), c.regret, layer + " " + s + "_fold");
    }
    if (expected.is_dataset(theirs + "alpha_fold"))
      expect_close(read(dir / "out/result.h5", layer + "/alpha"),
                   expected.dataset(theirs + "alpha_fold").read<double>(), 1e-6, layer + " alpha");
  }
}

constexpr char const* alphas = "model: {alphas: {logspace: [-1, 4, 11]}}\n";
std::string const with(std::string const& text) { return alphas + text; }
std::string const kfold = with("cv: {folds: 4, inner: {folds: 3}}"),
                  weighted = with("cv: {inner: {folds: 3}}\naggregate: weighted"), group = with("cv: {group: session}"),
                  group_kfold = with("cv: {group: session, folds: 2}"),
                  split = with("cv: {split: part, inner: {folds: 3}}"),
                  plain = with("cv: {folds: 4, inner: {folds: 3, score: pearson}}");

INSTANTIATE_TEST_SUITE_P(Encode, Golden,
                         testing::Values(Case{"kfold", kfold.c_str()}, Case{"keep", kfold.c_str(), ", repeats: keep"},
                                         Case{"plain_pearson", plain.c_str(), "", ", transform: {standardize: false}"},
                                         Case{"pca", kfold.c_str(), "", ", transform: {pca: 5}"},
                                         Case{"ols", "model: {type: ols}\ncv: {folds: 4}"},
                                         Case{"weighted", weighted.c_str()}, Case{"group", group.c_str()},
                                         Case{"group_kfold", group_kfold.c_str()}, Case{"split", split.c_str()},
                                         Case{"loo_concat",
                                              "model: {alphas: [0.1, 3.1622776601683795, 100, 3162.2776601683795]}\n"
                                              "cv: {folds: leave_one_out, inner: {folds: 3}}\naggregate: concat"}),
                         [](auto const& info) { return std::string(info.param.name); });

}  // namespace
