// Cross-validation schemes, scores and noise ceilings of whole runs against scikit-learn, scipy and numpy
// (tests/golden/make_cv.py); and what is refused.
#include "encode_common.hpp"

using namespace encode_test;

namespace {

struct Case {
  char const* name;
  char const* cv;
  char const* features = "";
};

void PrintTo(Case const& c, std::ostream* os) { *os << c.name; }

fs::path golden() {
  char const* source = std::getenv("STRIATE_SOURCE");
  return fs::path(source != nullptr ? source : ".") / "tests/golden";
}

std::string yaml_of(std::string const& cv, std::string const& features = "", std::string const& more = "") {
  return fmt::format(
      "features: {{store: {0}/encode/act.h5, stimuli: {0}/encode/act.stim.csv{1}}}\n"
      "responses: {{data: {0}/encode/responses.npy, stimuli: {0}/encode/responses.stim.csv}}\n"
      "other_subjects:\n"
      "  data: [{0}/encode_cv/subject1.npy, {0}/encode_cv/subject2.npy]\n"
      "  stimuli: [{0}/encode_cv/subject1.stim.csv, {0}/encode_cv/subject2.stim.csv]\n"
      "model: {{alphas: {{logspace: [-1, 4, 11]}}}}\n"
      "scores: [spearman, pearson, r2, explained_variance, mse]\n"
      "noise_ceiling_floor: 0.3\ntarget_tile: 8\noutput: out\ncv: {2}\n{3}",
      golden().string(), features, cv, more);
}

std::string with_file(std::string const& cv) {
  std::string text = cv;
  if (auto const at = text.find("@"); at != std::string::npos) text.replace(at, 1, (golden() / "encode_cv").string());
  return text;
}

class CvGolden : public testing::TestWithParam<Case> {};

TEST_P(CvGolden, AgreesWithScikitLearn) {
  Case const& c = GetParam();
  TempFolder const dir("encode_cv_" + std::string(c.name) + std::to_string(getpid()));
  Outcome const out = run_encode(Comm(), dir.path, yaml_of(with_file(c.cv), c.features));
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  h5::File const expected = h5::File::open(golden() / "encode_cv/expected.h5");
  fs::path const result = dir / "out/result.h5";
  for (std::string const layer : {"conv", "fc"}) {
    std::string const theirs = std::string(c.name) + "/" + layer + "/";
    for (std::string const s : {"spearman", "pearson", "r2", "explained_variance", "mse"}) {
      expect_close(read(result, layer + "/score/" + s + "_fold"), expected.dataset(theirs + s + "_fold").read<double>(),
                   1e-5, layer + " " + s);
      std::string const normalised = s + "_normalized";
      ASSERT_EQ(h5::File::open(result).has(layer + "/score/" + normalised), expected.has(theirs + normalised));
      if (expected.has(theirs + normalised))
        expect_close(read(result, layer + "/score/" + normalised), expected.dataset(theirs + normalised).read<double>(),
                     2e-5, layer + " " + normalised);
    }
    expect_close(read(result, layer + "/alpha"), expected.dataset(theirs + "alpha_fold").read<double>(), 1e-6,
                 layer + " alpha");
  }
  for (char const* name :
       {"reliability", "pearson", "ncsnr", "nc", "row_reliability", "between_lower", "between_upper"}) {
    std::string const dataset = std::string("noise_ceiling/") + name;
    expect_close(read(result, dataset), expected.dataset(dataset).read<double>(), 1e-5, name);
    EXPECT_TRUE(fs::exists(dir / "out/maps" / (std::string("noise-ceiling_stat-") + name + ".npy")));
  }
  EXPECT_TRUE(fs::exists(dir / "out/maps/layer-fc_stat-r2_normalized.npy"));
  std::string const summary = read_text(dir / "out/summary.tsv");
  for (char const* column : {"noise_ceiling_median\tbetween_lower_median\tbetween_upper_median\t"
                             "pearson_normalized_median\tr2_normalized_median\texplained_variance_normalized_median"})
    EXPECT_NE(summary.find(column), std::string::npos) << summary;
}

INSTANTIATE_TEST_SUITE_P(Encode, CvGolden,
                         testing::Values(Case{"stratify", "{folds: 4, stratify: session, inner: {folds: 3}}"},
                                         Case{"split_half", "{split_half: true, inner: {folds: 3}}"},
                                         Case{"file", "{file: @/folds.tsv, inner: {folds: 3}}"},
                                         Case{"file_numbers", "{file: @/numbers.tsv, inner: {folds: 3}}"},
                                         Case{"file_group", "{file: @/folds.tsv, group: session, purge: 1}"},
                                         Case{"split_group", "{split: part, group: session}"},
                                         Case{"purge", "{folds: 4, purge: 2, inner: {folds: 3}}"},
                                         Case{"purge_plain", "{folds: 4, purge: 2, inner: {folds: 3}}",
                                              ", transform: {standardize: false}"}),
                         [](auto const& info) { return std::string(info.param.name); });

class EncodeCv : public testing::Test {
 protected:
  EncodeCv() : dir_("encode_cv_" + std::to_string(getpid())) {}
  Outcome run(std::string const& cv, std::vector<std::string> const& sets = {}, bool only_plan = false) {
    return run_encode(Comm(), dir_.path, yaml_of(cv), {.sets = sets, .only_plan = only_plan});
  }
  std::string folds_of(std::string const& cv) {
    Outcome const out = run(cv, {}, true);
    EXPECT_EQ(out.code, Exit::ok) << cv << ": " << out.message;
    for (auto const& [key, value] : out.plan.lines)
      if (key == "folds") return value;
    return "";
  }
  void refused(std::string const& cv, std::vector<std::string> const& sets, Exit code,
               std::vector<std::string> const& words) {
    Outcome const out = run(cv, sets, true);
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << cv << ": " << out.message;
    for (auto const& word : words) EXPECT_NE(out.message.find(word), std::string::npos) << cv << ": " << out.message;
    EXPECT_EQ(out.message.find('\n'), std::string::npos);
  }
  /// The fold file of the goldens, changed by `change` line by line (a line may vanish or become two).
  void write_folds(std::function<std::string(std::string const&, std::size_t)> const& change) {
    std::istringstream in(read_text(golden() / "encode_cv/folds.tsv"));
    std::string text, line;
    for (std::size_t i = 0; std::getline(in, line); ++i) text += change(line, i);
    write_atomically(dir_ / "folds.tsv", text);
  }
  TempFolder dir_;
};

TEST_F(EncodeCv, SaysItsFolds) {
  EXPECT_EQ(folds_of("{folds: 4, stratify: session, shuffle: true, repeats: 3}"),
            "12 shuffled folds, classes of session in equal shares, 5 inner");
  EXPECT_EQ(folds_of("{split_half: true, shuffle: true, repeats: 5, inner: {folds: 4, shuffle: true}}"),
            "10 shuffled folds, 4 inner shuffled");
  EXPECT_EQ(folds_of("{purge: 1}"), "5 contiguous folds, 5 inner, 1 rows purged about each test row");
  EXPECT_EQ(folds_of("{split: part, group: session}"), "1 folds of column part, 3 inner by session");
  bool said = false;
  for (auto const& [key, value] : run("{}", {}, true).plan.lines)
    said = said || (key == "ceiling" && value == "between 3 subjects, 48 stimuli");
  EXPECT_TRUE(said);
}

TEST_F(EncodeCv, RefusesWhatTheConfigCannotMean) {
  refused("{split_half: true, folds: 3}", {}, Exit::config, {"cv.split_half", "3"});
  refused("{split_half: true, split: part}", {}, Exit::config, {"split and split_half exclude each other"});
  refused("{file: folds.tsv, split: part}", {}, Exit::config, {"split and file"});
  refused("{file: folds.tsv, folds: 3}", {}, Exit::config, {"cv.folds", "cv.file"});
  refused("{stratify: session, group: session}", {}, Exit::config, {"cv.stratify", "cv.group"});
  refused("{stratify: session, split: part}", {}, Exit::config, {"cv.stratify", "cv.split"});
  refused("{stratify: sesion}", {}, Exit::data, {"cv.stratify", "did you mean `session`"});
  refused("{stratify: session, folds: 13}", {}, Exit::data, {"cv.stratify", "no class has as many members"});
  refused("{group: session, inner: {shuffle: true}}", {}, Exit::config, {"cv.inner.shuffle"});
  refused("{group: session, folds: 6}", {}, Exit::data, {"cv.group", "only 4 groups"});
  refused("{repeats: 2}", {}, Exit::config, {"cv.repeats"});
  refused("{purge: -1}", {}, Exit::config, {"cv.purge"});
  refused("{purge: 100}", {}, Exit::data, {"cv.purge", "leaves 0 training rows to fold 0"});
  refused("{folds: 0}", {}, Exit::config, {"spearman", "cv.folds: 0"});
  refused("{folds: 4}", {"aggregate=concat"}, Exit::config, {"spearman", "concat"});
  refused("{folds: 4, inner: {score: spearman}}", {}, Exit::config, {"cv.inner.score"});
  refused("{folds: 4}", {"noise_ceiling_floor=0"}, Exit::config, {"noise_ceiling_floor"});
}

TEST_F(EncodeCv, RefusesFoldFilesThatDoNotFit) {
  std::string const cv = "{file: folds.tsv}";
  refused(cv, {}, Exit::no_input, {"folds.tsv"});
  write_folds([](auto const& line, std::size_t i) { return i == 3 || i == 4 ? "" : line + "\n"; });
  refused(cv, {}, Exit::data, {"cv.file", "folds.tsv lacks 2 of the stimuli", "im0"});
  write_folds([](auto const& line, std::size_t i) { return line + (i == 5 ? "\nnew.png\ttrain\n" : "\n"); });
  refused(cv, {}, Exit::data, {"cv.file", "new.png", "no response shows"});
  write_folds([](auto const& line, std::size_t i) { return line + "\n" + (i == 5 ? line + "\n" : ""); });
  refused(cv, {}, Exit::data, {"cv.file", "names 1 stimuli more than once"});
  write_folds([](auto const& line, std::size_t i) { return i == 2 ? "im004.png\ttrian\t\t\n" : line + "\n"; });
  refused(cv, {}, Exit::data, {"cv.file", "line 3", "`trian` in column a"});
  write_folds([](auto const& line, std::size_t i) { return line.substr(0, 9) + (i == 0 ? "" : "\ttrain") + "\n"; });
  refused(cv, {}, Exit::data, {"cv.file", "line 1", "tabs"});
  write_folds([](auto const& line, std::size_t i) {
    return i == 0 ? "id\tfold\n" : line.substr(0, line.find('\t')) + "\ttrain\n";
  });
  refused(cv, {}, Exit::data, {"cv.file", "no row of 'test'"});
}

TEST_F(EncodeCv, RefusesOtherSubjectsThatDoNotFit) {
  std::string const set = "other_subjects.stimuli=" + (golden() / "encode_cv/subject1.stim.csv").string();
  refused("{folds: 4}", {"other_subjects.stimuli=[a.csv, b.csv, c.csv]"}, Exit::config, {"3 files for 2 subjects"});
  refused("{folds: 4}", {"other_subjects.data=null"}, Exit::config, {"other_subjects.data"});
  std::string list = "type=image\npath=.\ndata=stimID\n";
  for (std::size_t i = 0; i < 60; ++i) list += fmt::format("im{:03d}.png\n", i + 5);
  write_atomically(dir_ / "late.stim.csv", list);
  refused("{folds: 4}", {"other_subjects.stimuli=late.stim.csv"}, Exit::data,
          {"other_subjects.data[0]", "lacks 1 of this subject's stimuli (im004.png)"});
  write_npy(dir_ / "small.npy", std::vector<float>(60 * 11), {60, 11});
  refused("{folds: 4}", {"other_subjects.data=small.npy", set}, Exit::data, {"other_subjects.data[0]", "11", "12"});
  write_npy(dir_ / "short.npy", std::vector<float>(59 * 12), {59, 12});
  refused("{folds: 4}", {"other_subjects.data=short.npy", set}, Exit::data, {"59 rows", "60 stimuli"});
}

TEST_F(EncodeCv, RareClassesAreWarnedAboutAndShufflesHaveNames) {
  std::string table = "type=image\npath=.\ndata=stimID,kind\n";
  std::istringstream in(read_text(golden() / "encode/responses.stim.csv"));
  std::string line;
  for (std::size_t i = 0; std::getline(in, line); ++i)
    if (i > 2) table += line.substr(0, 9) + (line < "im006" ? ",rare\n" : line < "im030" ? ",early\n" : ",late\n");
  write_atomically(dir_ / "kinds.stim.csv", table);
  std::vector<std::string> sets{"responses.stimuli=kinds.stim.csv", "scores=pearson"};
  std::string const cv = "{folds: 3, stratify: kind, shuffle: true, inner: {folds: 3, shuffle: true}}";
  ASSERT_EQ(run(cv, sets).code, Exit::ok);
  bool said = false;
  for (auto const& [text, times] : log::warnings())
    said = said || text.find("rarest class of kind has 2 members, fewer than the 3 outer folds") != std::string::npos;
  EXPECT_TRUE(said);
  auto const pearson = read(dir_ / "out/result.h5", "fc/score/pearson"),
             fold = read(dir_ / "out/result.h5", ".striate/fold");
  sets.push_back("output=again");
  ASSERT_EQ(run(cv, sets).code, Exit::ok);
  EXPECT_EQ(std::memcmp(read(dir_ / "again/result.h5", "fc/score/pearson").data(), pearson.data(), pearson.size() * 8),
            0);
  sets.back() = "output=other", sets.push_back("seed=1");
  ASSERT_EQ(run(cv, sets).code, Exit::ok);
  EXPECT_NE(read(dir_ / "other/result.h5", ".striate/fold"), fold);
  // A fold changes the fit where only inner folds are shuffled, too.
  sets = {"output=plain", "scores=pearson"};
  ASSERT_EQ(run("{folds: 3, inner: {folds: 3}}", sets).code, Exit::ok);
  sets[0] = "output=inner";
  ASSERT_EQ(run("{folds: 3, inner: {folds: 3, shuffle: true}}", sets).code, Exit::ok);
  EXPECT_EQ(read(dir_ / "plain/result.h5", ".striate/fold"), read(dir_ / "inner/result.h5", ".striate/fold"));
  auto const a = read(dir_ / "plain/result.h5", "fc/alpha"), b = read(dir_ / "inner/result.h5", "fc/alpha");
  EXPECT_NE(std::memcmp(a.data(), b.data(), a.size() * 8), 0);
}

/// Responses of `targets` targets to the 48 stimuli that the goldens show, one row each: noise, or as `value` says.
void write_responses(fs::path const& folder, std::size_t targets,
                     std::function<float(std::size_t row, std::size_t target)> const& value) {
  std::string list = "type=image\npath=.\ndata=stimID,kind\n";
  for (std::size_t i = 0; i < 48; ++i) list += fmt::format("im{:03d}.png,{}\n", i + 4, i % 5 == 0);
  write_atomically(folder / "own.stim.csv", list);
  std::vector<float> y(48 * targets);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = value(i / targets, i % targets);
  write_npy(folder / "own.npy", y, {48, targets});
}
std::vector<std::string> const own{"responses={data: own.npy, stimuli: own.stim.csv}", "other_subjects=null"};

/// Rows 20 … 27 are tested, 19 and 28 purged, 40 … 43 left out; the others train.
TEST_F(EncodeCv, NoRowOutsideTheTrainingRowsReachesAFit) {
  std::string table = "id\tfold\n";
  auto const tested = [](std::size_t i) { return i >= 20 && i < 28; };
  auto const outside = [&](std::size_t i) { return tested(i) || i == 19 || i == 28 || (i >= 40 && i < 44); };
  for (std::size_t i = 0; i < 48; ++i)
    table += fmt::format("im{:03d}.png\t{}\n", i + 4, tested(i) ? "0" : i >= 40 && i < 44 ? "" : "-1");
  write_atomically(dir_ / "own.tsv", table);
  auto const predictions = [&](char const* output, auto const& changed) {
    write_responses(dir_.path, 9, [&](std::size_t i, std::size_t t) {
      return noise(i, 31 * t) + (changed(i) ? 100 * noise(i, 7000 + t) : 0);
    });
    std::vector<std::string> sets = own;
    for (std::string const set : {"save=predictions", "scores=[pearson, spearman]"}) sets.push_back(set);
    sets.push_back(std::string("output=") + output);
    Outcome const out = run("{file: own.tsv, purge: 1, inner: {folds: 3}}", sets);
    EXPECT_EQ(out.code, Exit::ok) << out.message;
    std::vector<double> found;
    for (std::string const layer : {"conv", "fc"})
      for (char const* name : {"/prediction", "/alpha"}) {
        auto const part = read(dir_ / output / "result.h5", layer + name);
        found.insert(found.end(), part.begin(), part.end());
      }
    return found;
  };
  auto const same = [](std::vector<double> const& a, std::vector<double> const& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
  };
  auto const plain = predictions("plain", [](std::size_t) { return false; });
  EXPECT_TRUE(same(plain, predictions("outside", outside)));
  EXPECT_FALSE(same(plain, predictions("inside", [](std::size_t i) { return i == 29; })));
}

TEST_F(EncodeCv, NoiseScoresNothing) {
  std::size_t const t = 400;
  write_responses(dir_.path, t, [](std::size_t i, std::size_t j) { return noise(i, 555 + 3 * j); });
  std::vector<std::string> sets = own;
  sets.push_back("scores=[pearson, spearman]");
  ASSERT_EQ(run("{folds: 4, stratify: kind, shuffle: true, repeats: 2, inner: {folds: 3, shuffle: true}}", sets).code,
            Exit::ok);
  for (std::string const s : {"fc/score/pearson", "fc/score/spearman"}) {
    double sum = 0, square = 0;
    for (double r : read(dir_ / "out/result.h5", s)) sum += r, square += r * r;
    double const mean = sum / t, error = std::sqrt((square / t - mean * mean) / t);
    EXPECT_LT(std::abs(mean), 3 * error) << s << " " << mean << " ± " << error;
    EXPECT_LT(error, 0.02);
  }
}

TEST_F(EncodeCv, ResumesOnlyOnTheSameFoldsAndSubjects) {
  write_folds([](auto const& line, std::size_t) { return line + "\n"; });
  fs::copy_file(golden() / "encode_cv/subject1.npy", dir_ / "other.npy");
  fs::copy_file(golden() / "encode_cv/subject1.stim.csv", dir_ / "other.stim.csv");
  std::string const cv = "{file: folds.tsv}";
  std::vector<std::string> const sets{"other_subjects={data: other.npy, stimuli: other.stim.csv}", "scores=[pearson]"};
  ASSERT_EQ(run(cv, sets).code, Exit::ok);
  ASSERT_EQ(run(cv, sets).code, Exit::ok);
  write_folds([](auto const& line, std::size_t i) { return i == 7 ? line.substr(0, 9) + "\t\t\t\n" : line + "\n"; });
  Outcome const folds = run(cv, sets);
  EXPECT_EQ(folds.code, Exit::cant_create);
  EXPECT_NE(folds.message.find("folds_sha256"), std::string::npos) << folds.message;
  write_folds([](auto const& line, std::size_t) { return line + "\n"; });
  fs::copy_file(golden() / "encode_cv/subject2.npy", dir_ / "other.npy", fs::copy_options::overwrite_existing);
  Outcome const subjects = run(cv, sets);
  EXPECT_EQ(subjects.code, Exit::cant_create);
  EXPECT_NE(subjects.message.find("other_subjects"), std::string::npos) << subjects.message;
}

TEST_F(EncodeCv, SingleVolumesHaveALowerCeiling) {
  ASSERT_EQ(run("{folds: 4, inner: {folds: 3}}", {"responses.repeats=keep", "scores=pearson"}).code, Exit::ok);
  h5::File const expected = h5::File::open(golden() / "encode_cv/expected.h5");
  fs::path const result = dir_ / "out/result.h5";
  auto const row = read(result, "noise_ceiling/row_reliability");
  expect_close(row, expected.dataset("noise_ceiling_keep/row_reliability").read<double>(), 1e-5, "row_reliability");
  expect_close(read(result, "noise_ceiling/nc"), expected.dataset("noise_ceiling_keep/nc").read<double>(), 1e-5, "nc");
  auto const score = read(result, "fc/score/pearson"), normalised = read(result, "fc/score/pearson_normalized");
  std::size_t judged = 0;
  for (std::size_t j = 0; j < row.size(); ++j) {
    bool const high = row[j] >= 0.09 && !std::isnan(score[j]);
    EXPECT_EQ(std::isnan(normalised[j]), !high) << j;
    judged += high ? 1 : 0;
    if (high) EXPECT_NEAR(normalised[j], score[j] / std::sqrt(row[j]), 1e-12);
  }
  EXPECT_GT(judged, 4U);
}

TEST_F(EncodeCv, CeilingsBetweenSubjectsDoNotNeedRepeats) {
  ASSERT_EQ(run("{folds: 4}", {"noise_ceiling=none", "scores=[r2]"}).code, Exit::ok);
  h5::File const file = h5::File::open(dir_ / "out/result.h5");
  EXPECT_TRUE(file.has("noise_ceiling/between_lower"));
  EXPECT_FALSE(file.has("noise_ceiling/reliability"));
  EXPECT_FALSE(file.has("fc/score/r2_normalized"));
  EXPECT_FALSE(fs::exists(dir_ / "out/maps/noise-ceiling_stat-nc.npy"));
}

}  // namespace
