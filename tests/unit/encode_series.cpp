// Time series in encode: runs cleaned, trimmed and delayed, against numpy and scikit-learn
// (tests/golden/make_encode_series.py); what follows from coefficients; what is refused.
#include "../../src/commands/encode_series.hpp"
#include "encode_common.hpp"

namespace striate {
std::unique_ptr<Job> make_permute();
std::unique_ptr<Job> make_predict();
}  // namespace striate

using namespace encode_test;

namespace {

struct Case {
  char const* name;
  char const* responses;
  char const* features = "";
  char const* cv = "{group: run}";
  char const* stimuli = "volumes";
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

std::string golden() {
  char const* source = std::getenv("STRIATE_SOURCE");
  return (fs::path(source != nullptr ? source : ".") / "tests/golden/encode_series").string();
}

std::string yaml_of(Case const& c, std::string const& more = "") {
  return fmt::format(
      "features: {{store: {0}/act.h5, stimuli: {0}/act.stim.csv{1}}}\n"
      "responses: {{data: {0}/bold.npy, stimuli: {0}/{4}.stim.csv{2}}}\n"
      "model: {{alphas: {{logspace: [-1, 4, 11]}}}}\n"
      "target_tile: 8\noutput: out\ncv: {3}\n{5}",
      golden(), c.features, c.responses, c.cv, c.stimuli, more);
}

std::uint64_t warnings(std::string const& words) {
  std::uint64_t count = 0;
  for (auto const& [text, times] : log::warnings())
    if (text.find(words) != std::string::npos) count += times;
  return count;
}

/// Rows of Y as the fits see them, target by target; and their ids.
std::pair<std::vector<double>, std::vector<std::string>> rows_of(std::string const& yaml, std::size_t width) {
  encode::Config config;
  Schema schema;
  encode::declare(schema, config);
  read_config(schema, {"encode.yaml", yaml, {}});
  Comm const comm;
  auto const inputs = encode::load_inputs(config, comm);
  auto y = encode::target_block(comm, config, inputs, inputs.root.rows, inputs.n(), width);
  std::vector<double> rows(inputs.n() * inputs.t());
  for (std::size_t b = 0; b < y.blocks(); ++b) {
    y.load(b);
    for (std::size_t j = b * y.width(); j < std::min(inputs.t(), (b + 1) * y.width()); ++j)
      for (std::size_t i = 0; i < inputs.n(); ++i)
        rows[i * inputs.t() + j] = static_cast<double>(y.columns(j, 1)(i, 0));
  }
  return {rows, inputs.columns.id};
}

Case const cases[] = {{"polynomial", ", run: run, detrend: {polynomial: 2}, zscore_runs: true, trim: [3, 2]"},
                      {"mean", ", run: run, detrend: {polynomial: 0}"},
                      {"cosine", ", run: run, detrend: {cosine: 40}, tr: 2, trim: 2", ", delays: [1, 2, 3]"},
                      {"zscore", ", run: run, zscore_runs: true", ", delays: 2"},
                      {"delays", ", run: run, trim: [4, 0]", ", delays: [0, 5, 2]"},
                      {"movie", ", run: run, detrend: {polynomial: 1}, zscore_runs: true, trim: [1, 3]",
                       ", delays: [1, 2, 3]", "{split: part, inner: {folds: 3}}", "movie"}};

class SeriesGolden : public testing::TestWithParam<Case> {};

TEST_P(SeriesGolden, AgreesWithNumpyAndScikitLearn) {
  Case const& c = GetParam();
  TempFolder const dir("encode_series_" + std::string(c.name) + std::to_string(getpid()));
  h5::File const expected = h5::File::open(golden() + "/expected.h5");
  expect_close(rows_of(yaml_of(c), 5).first, expected.dataset(std::string(c.name) + "/y").read<double>(), 1e-5, "y");
  Outcome const out = run_encode(Comm(), dir.path, yaml_of(c));
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  for (std::string const layer : {"conv", "fc"}) {
    std::string const theirs = std::string(c.name) + "/" + layer + "/";
    for (std::string const s : {"pearson", "r2"})
      expect_close(read(dir / "out/result.h5", layer + "/score/" + s + "_fold"),
                   expected.dataset(theirs + s + "_fold").read<double>(), 1e-5, layer + " " + s);
    expect_close(read(dir / "out/result.h5", layer + "/alpha"), expected.dataset(theirs + "alpha_fold").read<double>(),
                 1e-6, layer + " alpha");
  }
  bool const has = h5::File::open(dir / "out/result.h5").has("noise_ceiling");
  ASSERT_EQ(has, expected.has(std::string(c.name) + "/noise_ceiling"));
  for (char const* name : {"reliability", "pearson", "ncsnr", "nc", "row_reliability"})
    if (has)
      expect_close(read(dir / "out/result.h5", std::string("noise_ceiling/") + name),
                   expected.dataset(std::string(c.name) + "/noise_ceiling/" + name).read<double>(), 1e-5, name);
}

INSTANTIATE_TEST_SUITE_P(Encode, SeriesGolden, testing::ValuesIn(cases),
                         [](auto const& info) { return std::string(info.param.name); });

class EncodeSeries : public testing::Test {
 protected:
  EncodeSeries() : dir_("encode_series_" + std::to_string(getpid())) {}
  Outcome run(Case const& c, std::vector<std::string> const& sets = {}, bool only_plan = false) const {
    return run_encode(Comm(), dir_.path, yaml_of(c), {.sets = sets, .only_plan = only_plan});
  }
  void refused(std::vector<std::string> const& sets, Exit code, std::vector<std::string> const& words) const {
    Outcome const out = run({"", ", run: run"}, sets, true);
    std::string text;
    for (auto const& set : sets) text += set + " ";
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << text << ": " << out.message;
    for (auto const& word : words) EXPECT_NE(out.message.find(word), std::string::npos) << text << ": " << out.message;
    EXPECT_EQ(out.message.find('\n'), std::string::npos);
  }
  /// A list of the 132 volumes.
  std::string list(std::string const& name, std::function<std::string(std::size_t)> const& row) const {
    std::string table = "type=image\npath=.\ndata=stimID,run\n";
    for (std::size_t v = 0; v < 132; ++v) table += row(v) + "\n";
    write_atomically(dir_ / name, table);
    return "responses.stimuli=" + name;
  }
  TempFolder dir_;
};

TEST_F(EncodeSeries, RefusesWhatTheConfigCannotMean) {
  refused({"responses.run=null", "responses.detrend={polynomial: 1}"}, Exit::config,
          {"responses.detrend", "responses.run"});
  refused({"responses.run=null", "responses.zscore_runs=true"}, Exit::config,
          {"responses.zscore_runs", "responses.run"});
  refused({"responses.run=null", "responses.trim=2"}, Exit::config, {"responses.trim", "responses.run"});
  refused({"responses.run=null", "features.delays=[1, 2]"}, Exit::config, {"features.delays", "responses.run"});
  refused({"responses.detrend=linear"}, Exit::config, {"responses.detrend", "{polynomial: 2}"});
  refused({"responses.detrend={cosin: 128}"}, Exit::config, {"responses.detrend.cosin", "did you mean `cosine`"});
  refused({"responses.detrend={polynomial: -1}"}, Exit::config, {"responses.detrend.polynomial", "-1"});
  refused({"responses.detrend={polynomial: 1.5}"}, Exit::config, {"responses.detrend.polynomial", "1.5"});
  refused({"responses.detrend={cosine: 0}"}, Exit::config, {"responses.detrend.cosine", "128"});
  refused({"responses.detrend={cosine: 128}"}, Exit::config, {"responses.tr", "seconds"});
  refused({"responses.detrend={cosine: 128}", "responses.tr=2000"}, Exit::config, {"responses.tr", "milliseconds"});
  refused({"responses.detrend={cosine: 128}", "responses.tr=0"}, Exit::config, {"responses.tr", "above 0"});
  refused({"responses.trim=[1, 2, 3]"}, Exit::config, {"responses.trim", "[first, last]"});
  refused({"responses.trim=-1"}, Exit::config, {"responses.trim", "-1"});
  refused({"features.delays=[1, -1]"}, Exit::config, {"features.delays", "-1"});
  refused({"features.delays=[1, 1.5]"}, Exit::config, {"features.delays", "1.5"});
  refused({"features.delays=[1, 1]"}, Exit::config, {"features.delays", "stands twice"});
  refused({"features.delays=[1]", "features.iterate=channel"}, Exit::config, {"features.delays", "iterate"});
  refused({"other_subjects={data: [x.npy]}"}, Exit::config, {"other_subjects", "responses.run"});
}

TEST_F(EncodeSeries, RefusesRunsThatDoNotFit) {
  refused({"responses.run=runs"}, Exit::data, {"responses.run", "did you mean `run`"});
  refused({"responses.stimuli=null"}, Exit::data, {"responses.run", "act.stim.csv", "no column `run`"});
  refused({"responses.trim=[20, 18]"}, Exit::data, {"responses.trim", "run 10", "38 volumes"});
  refused({"responses.detrend={cosine: 3}", "responses.tr=2"}, Exit::data,
          {"responses.detrend", "run 2", "44 volumes", "59 drift"});
  auto const id = [](std::size_t v) { return fmt::format("v{:03}", v); };
  refused({list("mixed.stim.csv", [&](std::size_t v) { return id(v) + (v / 30 % 2 == 0 ? ",a" : ",b"); })}, Exit::data,
          {"responses.run", "run a", "row 1", "row 61", "follow one another"});
  refused({list("empty.stim.csv", [&](std::size_t v) { return id(v) + (v == 70  ? ","
                                                                       : v < 70 ? ",a"
                                                                                : ",b"); })},
          Exit::data, {"responses.run", "row 71"});
  refused({list("one.stim.csv", [&](std::size_t v) { return id(v) + (v < 1 ? ",a" : ",b"); }),
           "responses.zscore_runs=true"},
          Exit::data, {"responses.zscore_runs", "run a", "1 volumes"});
  // The same stimulus twice in a run: an average would be no time series.
  refused({list("twice.stim.csv", [&](std::size_t v) { return id(v / 2) + ",a"; })}, Exit::data,
          {"responses.repeats", "v000", "rows 1 and 2", "keep"});
  // Over runs: averages have delayed features only where the same came before.
  auto const turned =
      list("turned.stim.csv", [&](std::size_t v) { return id(v < 66 ? v : 131 - v) + (v < 66 ? ",a" : ",b"); });
  refused({turned, "features.delays=[1]", "cv={folds: 3}"}, Exit::data, {"features.delays", "keep"});
  EXPECT_EQ(run({"", ", run: run"}, {turned, "cv={folds: 3}"}, true).code, Exit::ok);
  // Runs have 44, 38 and 50 volumes.
  refused({"features.delays=[1, 38]"}, Exit::data, {"features.delays", "38 TR reach back", "run 10 (38 volumes)"});
  refused({"features.delays=[36]", "responses.trim=[0, 2]"}, Exit::data, {"features.delays", "run 10"});
  EXPECT_EQ(run({"", ", run: run"}, {"features.delays=[37]"}, true).code, Exit::ok);
  EXPECT_EQ(run({"", ", run: run, repeats: keep", ", delays: 1"}, {turned, "cv={folds: 3}"}, true).code, Exit::ok);
}

TEST_F(EncodeSeries, SaysWhatItDoes) {
  auto const lines = run(cases[2], {}, true).plan.lines;
  std::map<std::string, std::string> const said(lines.begin(), lines.end());
  EXPECT_EQ(said.at("series"), "3 runs, 132 volumes, periods above 40 s out, then 2 + 2 of a run dropped");
  EXPECT_EQ(said.at("responses"), "120 rows × 12 targets");
  EXPECT_NE(said.at("layer conv").find("36 features"), std::string::npos);
}

TEST_F(EncodeSeries, WarnsOfRunsThatFoldsCut) {
  auto const says = [&](Case const& c, std::vector<std::string> const& sets, std::string const& words) {
    auto const before = warnings(words);
    Outcome const out = run(c, sets, true);
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    return warnings(words) > before;
  };
  Case const scaled{"", ", run: run, zscore_runs: true"}, plain{"", ", run: run"};
  EXPECT_FALSE(says(scaled, {}, "run"));
  EXPECT_TRUE(says(scaled, {"cv={folds: 4, purge: 2}"},
                   "cv: fold 0 trains on one part of run 2 and tests on another: its mean, drift and scale"));
  EXPECT_TRUE(says(plain, {"cv={folds: 4}"}, "and tests on another: neighbouring volumes are correlated"));
  EXPECT_FALSE(says(plain, {"cv={folds: 4, purge: 2}"}, "and tests on another"));
  EXPECT_TRUE(says(cases[5], {}, "cv.inner: folds cut through runs (e.g. run b)"));
  EXPECT_TRUE(says(plain, {"permutation.n=99"}, "use shuffle: circular and exchange: run"));
  EXPECT_FALSE(says(plain, {"permutation={n: 99, shuffle: circular, exchange: run}"}, "permutation"));
  // Two files of 66 volumes, where runs have 44, 38 and 50; and in the right order.
  for (auto const& [name, volumes] :
       {std::pair{"a.npy", 66}, std::pair{"b.npy", 66}, std::pair{"c.npy", 82}, std::pair{"d.npy", 50}}) {
    std::vector<float> y(static_cast<std::size_t>(volumes) * 3);
    for (std::size_t i = 0; i < y.size(); ++i) y[i] = noise(i, 7);
    write_npy(dir_ / name, y, {static_cast<std::size_t>(volumes), 3});
  }
  EXPECT_TRUE(says(plain, {"responses.data=[a.npy, b.npy]"}, "file 1 of responses.data ends in the midst of run 10"));
  EXPECT_FALSE(says(plain, {"responses.data=[c.npy, d.npy]"}, "in the midst"));
  // Two runs: one is left to choose the penalty on.
  auto const two = list("two.stim.csv", [](std::size_t v) { return fmt::format("v{:03},{}", v, v / 66); });
  EXPECT_TRUE(says(plain, {two}, "cv.inner.folds: a fold trains on a single run"));
}

/// Scores, permutations and more of them are those of responses that were processed beforehand.
TEST_F(EncodeSeries, IsThatOfProcessedResponses) {
  Case const c = cases[0];
  auto const [y, ids] = rows_of(yaml_of(c), 100);
  write_npy(dir_ / "y.npy", std::vector<float>(y.begin(), y.end()), {ids.size(), 12});
  std::string table = "type=image\npath=.\ndata=stimID,run\n";
  for (auto const& id : ids) table += id + (id < "v044" ? ",2\n" : id < "v082" ? ",10\n" : ",1\n");
  write_atomically(dir_ / "y.stim.csv", table);
  std::string const more = "permutation: {n: 9, shuffle: circular, exchange: run}\n";
  ASSERT_EQ(run_encode(Comm(), dir_.path, yaml_of(c, more)).code, Exit::ok);
  std::string plain = yaml_of({"", ""}, more);
  plain.replace(plain.find("responses:"), plain.find("model:") - plain.find("responses:"),
                "responses: {data: y.npy, stimuli: y.stim.csv}\n");
  plain.replace(plain.find("output: out"), 11, "output: own");
  Outcome const own = run_encode(Comm(), dir_.path, plain);
  ASSERT_EQ(own.code, Exit::ok) << own.message;
  expect_same(dir_ / "own", dir_ / "out");

  write_atomically(dir_ / "out.yaml", yaml_of(c, more)), write_atomically(dir_ / "own.yaml", plain);
  for (std::string const name : {"out", "own"}) {
    Outcome const done = run_job(make_permute(), Comm(), dir_ / "permute.yaml",
                                 fmt::format("encode: {0}.yaml\n{1}output: more-{0}\n", name, more));
    ASSERT_EQ(done.code, Exit::ok) << done.message;
  }
  auto const a = content(dir_ / "more-out/result.h5"), b = content(dir_ / "more-own/result.h5");
  EXPECT_TRUE(a.contains("conv/permutation/pearson/exceed"));
  ASSERT_EQ(a.size(), b.size());
  for (auto const& [name, values] : a)
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_TRUE(values[i] == b.at(name).at(i) || (std::isnan(values[i]) && std::isnan(b.at(name)[i]))) << name;
}

TEST_F(EncodeSeries, ResumesOnlyTheSame) {
  auto const stimuli = [&](std::size_t border) {
    return list("own.stim.csv", [&](std::size_t v) {
      return fmt::format("v{:03},{}", v, v < border ? 1 : v < 90 ? 2 : 3);
    });
  };
  ASSERT_EQ(run(cases[0], {stimuli(40)}).code, Exit::ok);
  EXPECT_TRUE(run(cases[0], {stimuli(40)}).finished);
  for (auto const& [set, key] :
       {std::pair{"responses.detrend={polynomial: 1}", "responses.detrend"},
        std::pair{"responses.zscore_runs=false", "responses.zscore_runs"},
        std::pair{"responses.trim=[3, 1]", "responses.trim"}, std::pair{"features.delays=[1]", "delays differs"}}) {
    Outcome const out = run(cases[0], {stimuli(40), set});
    EXPECT_EQ(out.code, Exit::cant_create) << set;
    EXPECT_NE(out.message.find(key), std::string::npos) << out.message;
  }
  Outcome const other = run(cases[0], {stimuli(41)});
  EXPECT_EQ(other.code, Exit::cant_create) << other.message;
}

/// What follows from coefficients of delayed features, volume by volume; 0 before a run.
TEST_F(EncodeSeries, PredictLooksBackWithinRuns) {
  std::string const fits = yaml_of(cases[2], "save: coefficients\n");
  write_atomically(dir_ / "encode.yaml", fits);
  ASSERT_EQ(run_encode(Comm(), dir_.path, fits).code, Exit::ok);
  std::string const config = fmt::format(
      "encode: encode.yaml\nfeatures: {{store: {0}/act.h5, stimuli: {0}/act.stim.csv}}\n"
      "run: run\nvolumes: {0}/volumes.stim.csv\nunits: deviations\noutput: predicted\n",
      golden());
  Outcome const done = run_job(make_predict(), Comm(), dir_ / "predict.yaml", config);
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  auto const coef = read(dir_ / "out/result.h5", "conv/coef"),
             intercept = read(dir_ / "out/result.h5", "conv/intercept"),
             got = read(dir_ / "predicted/result.h5", "conv/prediction"), x = read(golden() + "/act.h5", "conv");
  auto const volumes = read_stim_table(golden() + "/volumes.stim.csv");
  auto const ids = volumes.ids(), run = volumes.column("run"),
             stored = read_stim_table(golden() + "/act.stim.csv").ids();
  EXPECT_EQ(h5::File::open(dir_ / "predicted/result.h5").dataset("stimulus_id").read_strings(), ids);
  std::size_t const t = intercept.size(), p = x.size() / stored.size();
  ASSERT_EQ(coef.size(), 3 * p * t);
  ASSERT_EQ(got.size(), ids.size() * t);
  for (std::size_t v = 0; v < ids.size(); ++v)
    for (std::size_t j = 0; j < t; ++j) {
      double want = intercept[j];
      for (std::size_t d = 1; d <= 3 && d <= v && run[v - d] == run[v]; ++d) {
        auto const row = static_cast<std::size_t>(std::ranges::find(stored, ids[v - d]) - stored.begin());
        for (std::size_t u = 0; u < p; ++u) want += x[row * p + u] * coef[((d - 1) * p + u) * t + j];
      }
      if (!std::isnan(want)) {
        EXPECT_NEAR(got[v * t + j], want, 1e-5) << v << " " << j;
      }
    }
}

TEST_F(EncodeSeries, PredictRefusesWhatItCannotDo) {
  auto const predict = [&](Case const& c, std::string const& more) {
    write_atomically(dir_ / "encode.yaml", yaml_of(c, "save: coefficients\n"));
    return run_job(make_predict(), Comm(), dir_ / "predict.yaml",
                   fmt::format("encode: encode.yaml\nfeatures: {{store: {0}/act.h5, stimuli: {0}/act.stim.csv}}\n"
                               "{1}output: predicted\n",
                               golden(), more));
  };
  Outcome const saved = run_encode(Comm(), dir_.path, yaml_of(cases[2], "save: coefficients\n"));
  ASSERT_EQ(saved.code, Exit::ok) << saved.message;
  EXPECT_EQ(h5::File::open(dir_ / "out/result.h5").dataset("conv/coef").shape(), (h5::Shape{36, 12}));
  Outcome const delayed = predict(cases[2], "");
  EXPECT_EQ(delayed.code, Exit::config);
  EXPECT_NE(delayed.message.find("run: is needed"), std::string::npos) << delayed.message;
  Outcome const shuffled = predict(cases[2], "run: run\n");
  EXPECT_EQ(shuffled.code, Exit::data);
  EXPECT_NE(shuffled.message.find("run:"), std::string::npos) << shuffled.message;
  Outcome const useless = predict(cases[0], "run: run\n");
  EXPECT_EQ(useless.code, Exit::config);
  EXPECT_NE(useless.message.find("run: is there for features with delays"), std::string::npos) << useless.message;
  Outcome const truth =
      predict(cases[0], fmt::format("responses: {{data: {0}/bold.npy, stimuli: {0}/volumes.stim.csv}}\n", golden()));
  EXPECT_EQ(truth.code, Exit::config);
  EXPECT_NE(truth.message.find("responses.detrend"), std::string::npos) << truth.message;
}

}  // namespace
