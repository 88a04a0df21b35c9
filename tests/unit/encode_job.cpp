// What encode refuses, what it leaves on disk, and what survives a kill.
#include <set>

#include <csignal>
#include <fstream>

#include "encode_common.hpp"
#include "striate/models/table.hpp"

using namespace encode_test;

namespace {

class EncodeJob : public testing::Test {
 protected:
  EncodeJob() : dir_("encode_job_" + std::to_string(getpid())), world_(dir_.path) {}
  Outcome run(std::vector<std::string> const& sets, Options o = {}) {
    o.sets = sets;
    return run_encode(Comm(), dir_.path, World::yaml(), o);
  }
  void refused(std::vector<std::string> const& sets, Exit code, std::vector<std::string> const& words) {
    Outcome const out = run(sets);
    std::string text;
    for (auto const& set : sets) text += set + " ";
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << text << ": " << out.message;
    for (auto const& word : words) EXPECT_NE(out.message.find(word), std::string::npos) << text << ": " << out.message;
    EXPECT_FALSE(fs::exists(dir_ / "out/result.h5")) << text;
  }
  /// A .stim.csv with the first `count` volumes' ids changed by `change`.
  void write_table(std::string const& name, std::function<std::string(std::size_t)> const& row,
                   std::string const& head = "stimID") {
    std::string table = "type=image\npath=.\ndata=" + head + "\n";
    for (std::size_t v = 0; v < world_.volumes; ++v) table += row(v) + "\n";
    write_atomically(dir_ / name, table);
  }
  std::vector<double> result(std::string const& dataset) { return read(dir_ / "out/result.h5", dataset); }

  TempFolder dir_;
  World world_;
};

/// Columns of summary.tsv of layer b over all targets: standard error, mean of ratios and ratio of means.
void expect_region_statistics(std::vector<std::string> const& row, std::vector<double> const& score,
                              std::vector<double> const& reliability) {
  double n = 0, sum = 0, square = 0, ratios = 0, above = 0, below = 0, both = 0;
  for (double v : score)
    if (!std::isnan(v)) n += 1, sum += v;
  for (std::size_t j = 0; j < score.size(); ++j) {
    if (std::isnan(score[j])) continue;
    square += (score[j] - sum / n) * (score[j] - sum / n);
    if (!(std::sqrt(std::max(0.0, reliability[j])) >= 0.1)) continue;
    double const ceiling = std::sqrt(reliability[j]);
    both += 1, ratios += score[j] / ceiling, above += score[j], below += ceiling;
  }
  EXPECT_NEAR(std::stod(row[15]), std::sqrt(square / (n - 1) / n), 1e-6);
  EXPECT_NEAR(std::stod(row[17]), ratios / both, 1e-5);
  EXPECT_NEAR(std::stod(row[18]), above / below, 1e-5);
  EXPECT_GT(std::abs(ratios / both - above / below), 1e-4);  // they are two things
}

TEST_F(EncodeJob, RefusesWhatTheConfigCannotMean) {
  refused({"model.type=rigde"}, Exit::config, {"model.type", "did you mean `ridge`"});
  refused({"scores=[pearsn]"}, Exit::config, {"scores", "did you mean `pearson`"});
  refused({"scores=[r2, r2]"}, Exit::config, {"r2 stands twice"});
  refused({"features.iterate=channel"}, Exit::config, {"iterate", "not there yet"});
  refused({"model.alphas={lgspace: [0, 1, 2]}"}, Exit::config, {"did you mean `logspace`"});
  refused({"model.alphas=[1, -2]"}, Exit::config, {"model.alphas", "-2"});
  refused({"model.components=0"}, Exit::config, {"model.components", "0"});
  refused({"model.components=[2, -1]"}, Exit::config, {"model.components", "-1"});
  refused({"model.components=[]"}, Exit::config, {"model.components", "empty"});
  refused({"model.components={upto: 3}"}, Exit::config, {"model.components", "up_to"});
  refused({"model.components={up_to: 2.5}"}, Exit::config, {"model.components.up_to"});
  refused({"model={type: lasso, l1_ratio: 0.5}"}, Exit::config, {"model.l1_ratio", "elastic_net", "lasso"});
  refused({"model={type: elastic_net, l1_ratio: 0}"}, Exit::config, {"model.l1_ratio"});
  refused({"model={type: elastic_net, l1_ratio: 2}"}, Exit::config, {"model.l1_ratio", "1"});
  refused({"model={type: lasso, alphas: []}"}, Exit::config, {"model.alphas"});
  // Settings of other models, which names those that take them.
  refused({"model={response_pca: 20}"}, Exit::config, {"model.response_pca", "of cca,", "is ridge"});
  refused({"model={rf: {grid: 4}}"}, Exit::config, {"model.rf", "of fwrf,", "is ridge"});
  refused({"model={components: 3}"}, Exit::config, {"model.components", "of pls, cca, pcr,", "is ridge"});
  refused({"model.type=pls"}, Exit::config,
          {"model.alphas", "of ridge, lasso, elastic_net, cca, banded_ridge, fwrf,", "is pls"});
  refused({"model={type: ols, sign: signed}"}, Exit::config, {"model.sign", "of univariate,", "is ols"});
  refused({"model={type: fwrf, n_iter: 7}"}, Exit::config, {"model.n_iter", "of banded_ridge,", "is fwrf"});
  refused({"cv.folds=1"}, Exit::config, {"cv.folds", "1"});
  refused({"cv.folds=leave-one-out"}, Exit::config, {"leave_one_out"});
  refused({"cv.repeats=3"}, Exit::config, {"cv.shuffle"});
  refused({"cv.group=session", "cv.split=part"}, Exit::config, {"keep one"});
  refused({"cv.folds=0", "save=predictions"}, Exit::config, {"predictions"});
  refused({"features=[{store: act.h5}, {name: x, store: act.h5}]"}, Exit::config, {"features[0].name"});
  refused({"features=[{name: x, store: act.h5}, {name: x, store: act.h5}]"}, Exit::config, {"stands twice"});
}

/// As provenance.json writes them down: they ask for nothing.
TEST_F(EncodeJob, TakesDefaultsOfOtherModels) {
  Outcome const out =
      run({"model={components: {up_to: 25}, response_pca: 50, n_iter: 100, sign: absolute, l1_ratio: null}"},
          {.only_plan = true});
  EXPECT_EQ(out.code, Exit::ok) << out.message;
  for (auto const& name : model_names()) EXPECT_NE(model_keys(name), nullptr) << name << " says no settings";
}

TEST_F(EncodeJob, RefusesFilesThatDoNotFit) {
  refused({"features.layers=[a, c]"}, Exit::data, {"features.layers", "has no layer 'c'"});
  refused({"features.store=act2.h5"}, Exit::no_input, {"features.store"});
  refused({"cv.group=sesion"}, Exit::data, {"cv.group", "did you mean `session`"});
  refused({"cv.folds=41"}, Exit::data, {"cv.folds", "41"});
  refused({"cv.inner.folds=30"}, Exit::data, {"inner", "30"});
  refused({"cv.folds=leave_one_out"}, Exit::data, {"aggregate: concat"});
  Outcome const little = run({}, {.memory = 2e7});
  EXPECT_EQ(little.code, Exit::limit);
  EXPECT_NE(little.message.find("raise memory"), std::string::npos) << little.message;
  Affine const affine{};
  write_nifti(dir_ / "small.nii.gz", make_nifti_space({3, 5, 4}, affine), std::vector<float>(60, 1.0F), 1);
  refused({"responses.mask=small.nii.gz"}, Exit::data, {"responses.mask", "3×5×4", "6×5×4"});
  write_table("missing.stim.csv",
              [&](std::size_t v) { return v < 4 ? "x" + std::to_string(v) : World::id(world_.shown(v)); });
  refused({"responses.stimuli=missing.stim.csv"}, Exit::data, {"lacks 4", "x0, x1, x2, …"});
  write_table("short.stim.csv", [&](std::size_t v) { return v == 0 ? World::id(0) : World::id(v % 40); });
  fs::copy_file(dir_ / "short.stim.csv", dir_ / "long.stim.csv");
  std::ofstream(dir_ / "long.stim.csv", std::ios::app) << World::id(1) << "\n";
  refused({"responses.stimuli=long.stim.csv"}, Exit::data, {"61 rows", "60 volumes"});
  // Sessions that differ between the volumes of one stimulus.
  write_table(
      "mixed.stim.csv", [&](std::size_t v) { return World::id(world_.shown(v)) + "," + (v < 40 ? "1" : "2"); },
      "stimID,session");
  refused({"responses.stimuli=mixed.stim.csv", "cv.group=session"}, Exit::data, {"cv.group", "repeats: keep"});
  refused({"responses.stimuli=null"}, Exit::data, {"responses.stimuli", "40 stimuli", "60 rows"});
}

TEST_F(EncodeJob, RefusesFeaturesThatHoldNaN) {
  auto file = h5::File::create(Comm(), dir_ / "nan.h5");
  std::vector<float> values(40 * 6);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = i == 6 * 7 + 2 ? std::nanf("") : noise(i / 6, i % 6);
  file.create_dataset("layer", h5::Dtype::f32, {40, 6}).write(std::span<float const>(values));
  file.close();
  std::string table = "type=image\npath=.\ndata=stimID\n";
  for (std::size_t i = 0; i < 40; ++i) table += World::id(i) + "\n";
  write_atomically(dir_ / "nan.stim.csv", table);
  refused({"features.store=nan.h5"}, Exit::config, {"features.stimuli", "carries no stimulus ids"});
  Outcome const out = run({"features.store=nan.h5:/layer", "features.stimuli=nan.stim.csv"});
  EXPECT_EQ(out.code, Exit::data);
  EXPECT_NE(out.message.find("layer layer, fold 1 of 3: feature 2"), std::string::npos) << out.message;
}

TEST_F(EncodeJob, OrderIsAssumedOnlyWhereOneListFits) {
  // As many volumes as the store has rows: allowed, and said.
  std::vector<float> y(40 * 5);
  for (std::size_t i = 0; i < 40; ++i)
    for (std::size_t t = 0; t < 5; ++t) y[i * 5 + t] = world_.response(t, i);
  write_npy(dir_ / "y.npy", y, {40, 5});
  std::vector<std::string> const sets{"responses={data: y.npy}", "rois=null"};
  Outcome const out = run_encode(Comm(), dir_.path, World::yaml(), {.sets = sets});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  bool said = false;
  for (auto const& [text, times] : log::warnings())
    said = said || text.find("in the order of act.h5") != std::string::npos;
  EXPECT_TRUE(said);
  auto const scores = result("/b/score/pearson");
  for (double r : scores) EXPECT_GT(r, 0.9);
  EXPECT_FALSE(h5::File::open(dir_ / "out/result.h5").has("noise_ceiling"));
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/best-layer.npy"));
}

TEST_F(EncodeJob, MapsRoisAndCeilings) {
  Outcome const out = run({"save=[coefficients, predictions]"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  auto const index = result("/targets/index");
  ASSERT_EQ(index.size(), 75U);
  auto const best = result("/best/layer"), score = result("/best/score"), b = result("/b/score/pearson");
  auto const reliability = result("/noise_ceiling/reliability"), ceiling = result("/noise_ceiling/pearson"),
             snr = result("/noise_ceiling/ncsnr");
  std::size_t right = 0, valid = 0;
  for (std::size_t j = 0; j < 75; ++j) {
    if (index[j] == 9 || index[j] == 17) {  // constant; one NaN
      EXPECT_TRUE(std::isnan(b[j]) && std::isnan(score[j]) && std::isnan(snr[j]));
      EXPECT_EQ(std::isnan(reliability[j]), index[j] == 9);  // the NaN is of a stimulus without repeats
      EXPECT_EQ(best[j], -1);
      continue;
    }
    ++valid;
    right += best[j] == (index[j] < 60 ? 1 : 2) ? 1 : 0;
    EXPECT_EQ(ceiling[j], std::sqrt(std::max(0.0, reliability[j])));
  }
  EXPECT_GT(right, valid * 7 / 10);  // "a" and "b" against 180 noisy features on 40 stimuli

  auto const image = open_image(dir_ / "out/maps/layer-b_stat-pearson.nii.gz");
  EXPECT_EQ(image->space().affine, open_image(dir_ / "betas.nii.gz")->space().affine);
  auto const map = nifti_volume(dir_ / "out/maps/layer-b_stat-pearson.nii.gz", 0);
  auto const numbers = nifti_volume(dir_ / "out/maps/best-layer.nii.gz", 0);
  for (std::size_t j = 0; j < 75; ++j) {
    auto const at = static_cast<std::size_t>(index[j]);
    if (std::isnan(b[j])) {
      EXPECT_TRUE(std::isnan(map[at]) && std::isnan(numbers[at]));
    } else {
      EXPECT_EQ(map[at], static_cast<float>(b[j]));
      EXPECT_EQ(numbers[at], best[j] + 1);
    }
  }
  EXPECT_EQ(map[7], 0);  // outside the mask
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/noise-ceiling_stat-pearson.nii.gz"));

  std::istringstream table(read_text(dir_ / "out/summary.tsv"));
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(table, line);) {
    rows.emplace_back();
    std::istringstream cells(line);
    for (std::string cell; std::getline(cells, cell, '\t');) rows.back().push_back(cell);
  }
  ASSERT_EQ(rows.size(), 1U + 3 * 3);
  EXPECT_EQ(rows[0],
            (std::vector<std::string>{"layer", "roi", "targets", "valid", "pearson_mean", "pearson_median", "r2_mean",
                                      "r2_median", "alpha_median", "noise_ceiling_median",
                                      "pearson_normalized_median", "r2_normalized_median", "best", "net", "rank",
                                      "pearson_sem", "r2_sem", "pearson_normalized_mean",
                                      "pearson_normalized_of_means", "r2_normalized_mean", "r2_normalized_of_means"}));
  std::size_t early = 0;
  double sum = 0;
  for (std::size_t j = 0; j < 75; ++j)
    if (index[j] < 40) ++early, sum += std::isnan(b[j]) ? 0 : b[j];
  EXPECT_EQ(rows[4][0], "b");
  EXPECT_EQ(rows[4][1], "all");
  EXPECT_EQ(rows[4][3], "73");
  EXPECT_EQ(rows[5][1], "early");
  EXPECT_EQ(rows[5][2], std::to_string(early));
  EXPECT_NEAR(std::stod(rows[5][4]), sum / static_cast<double>(early - 2), 1e-5);
  EXPECT_EQ(rows[6][1], "late");
  int chosen = 0;
  for (std::size_t l = 0; l < 3; ++l) chosen += std::stoi(rows[1 + 3 * l][12]);
  EXPECT_EQ(chosen, 73);
  EXPECT_EQ(rows[4][13], "act");
  std::set<std::string> ranks;
  for (std::size_t l = 0; l < 3; ++l) ranks.insert(rows[1 + 3 * l][14]);
  EXPECT_EQ(ranks, (std::set<std::string>{"1", "2", "3"}));
  expect_region_statistics(rows[4], b, result("/noise_ceiling/row_reliability"));
}

TEST_F(EncodeJob, BestLayersOfRegions) {
  ASSERT_EQ(run({}).code, Exit::ok);
  std::istringstream table(read_text(dir_ / "out/best-layers.tsv"));
  std::string line;
  std::getline(table, line);
  EXPECT_EQ(line, "net\troi\tlayer\tvalid\tpearson_mean\tpearson_sem\tpearson_normalized_mean\tpearson_normalized_of_means\tp_best");
  std::vector<std::string> found;
  while (std::getline(table, line)) found.push_back(line.substr(0, line.find('\t', line.find('\t', 4) + 1)));
  EXPECT_EQ(found, (std::vector<std::string>{"act\tall\tb", "act\tearly\tb", "act\tlate\twide"}));
  EXPECT_NE(read_text(dir_ / "out/best-layers.tsv").find("\tn/a\n"), std::string::npos);  // no permutations, no p
}

TEST_F(EncodeJob, CoefficientsPredictWhatWasPredicted) {
  // Without an outer loop the refit's coefficients are those of the one plan; with one they are of an extra refit: the
  // same on the same rows.
  ASSERT_EQ(run({"save=[coefficients, predictions]", "responses.standardize=false"}).code, Exit::ok);
  std::size_t const n = 40, t = 75;
  for (std::string const layer : {"a", "wide"}) {
    auto const coef = result("/" + layer + "/coef"), intercept = result("/" + layer + "/intercept"),
               fold = result("/.striate/fold");
    auto const predicted = result("/" + layer + "/prediction");
    std::size_t const p = coef.size() / t, l = layer == "a" ? 0 : 2;
    h5::File const file = h5::File::open(dir_ / "out/result.h5");
    auto const ids = file.dataset(".striate/stimulus_id").read_strings();
    ASSERT_EQ(ids.size(), n);
    ActReader const store((dir_ / "act.h5").string());
    std::vector<float> x(n * p);
    store.read(layer, 0, p, {x.data(), n, p});
    // Predictions of the refit explain the responses better than held-out ones, and are close to them.
    double held = 0, refit = 0;
    for (std::size_t i = 0; i < n; ++i) {
      EXPECT_GE(fold[i], 0);
      std::size_t const s = std::stoul(ids[i].substr(2));
      for (std::size_t j = 0; j < t; ++j) {
        if (std::isnan(intercept[j])) continue;
        double f = intercept[j];
        for (std::size_t k = 0; k < p; ++k) f += coef[k * t + j] * x[k * n + s];
        double const truth = 100 + world_.response(static_cast<std::size_t>(result("/targets/index")[j]), s);
        if (j % 25 != 0) continue;
        refit += (f - truth) * (f - truth), held += (predicted[i * t + j] - truth) * (predicted[i * t + j] - truth);
      }
    }
    EXPECT_LT(refit, held) << layer << " " << l;
  }
  auto const coef = result("/b/coef"), intercept = result("/b/intercept");
  ASSERT_EQ(run({"save=coefficients", "responses.standardize=false", "cv.folds=0", "output=out0"}).code, Exit::ok);
  EXPECT_EQ(0, std::memcmp(coef.data(), read(dir_ / "out0/result.h5", "/b/coef").data(), coef.size() * 8));
  EXPECT_EQ(0,
            std::memcmp(intercept.data(), read(dir_ / "out0/result.h5", "/b/intercept").data(), intercept.size() * 8));
  EXPECT_EQ(h5::File::open(dir_ / "out0/result.h5").dataset("b/score/r2_fold").shape(), (h5::Shape{3, 75}));
}

TEST_F(EncodeJob, ComponentsAreChosenAmongThoseAsked) {
  for (std::string const type : {"pls", "pcr"}) {
    ASSERT_EQ(run({"model={type: " + type + ", components: [2, 5]}", "output=" + type}).code, Exit::ok);
    auto const counts = read(dir_ / (type + "/result.h5"), "/b/components");
    std::size_t two = 0, five = 0;
    for (double c : counts) {
      two += c == 2 ? 1 : 0;
      five += c == 5 ? 1 : 0;
      EXPECT_TRUE(std::isnan(c) || c == 2 || c == 5) << c;
    }
    EXPECT_GT(two, 0U) << type;
    EXPECT_GT(five, 0U) << type;
    EXPECT_TRUE(fs::exists(dir_ / (type + "/maps/layer-b_stat-components.nii.gz")));
    ASSERT_EQ(run({"model={type: " + type + ", components: 4}", "output=" + type + "4"}).code, Exit::ok);
    for (double c : read(dir_ / (type + "4/result.h5"), "/b/components")) EXPECT_TRUE(std::isnan(c) || c == 4);
  }
}

TEST_F(EncodeJob, SparseModelsCountTheirCoefficients) {
  Outcome const out = run({"model={type: elastic_net, l1_ratio: 0.8}", "save=coefficients", "cv.folds=0"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  std::size_t const t = 75;
  auto const coef = result("/a/coef"), nonzero = result("/a/nonzero"), alpha = result("/a/alpha"),
             score = result("/a/score/r2");
  std::size_t some = 0;
  for (std::size_t j = 0; j < t; ++j) {
    double count = 0;
    for (std::size_t k = 0; k < coef.size() / t; ++k) count += coef[k * t + j] != 0 ? 1 : 0;
    EXPECT_EQ(std::isnan(score[j]), std::isnan(nonzero[j]));
    if (std::isnan(nonzero[j])) continue;
    EXPECT_EQ(nonzero[j], count) << j;
    EXPECT_GT(alpha[j], 0);
    some += count > 0 && count * static_cast<double>(t) < static_cast<double>(coef.size()) ? 1 : 0;
  }
  EXPECT_GT(some, 30U);
  Outcome const other = run({"model={type: elastic_net}", "save=coefficients", "cv.folds=0"});
  EXPECT_NE(other.message.find("l1_ratio"), std::string::npos) << other.message;
}

TEST_F(EncodeJob, SeveralStoresAndRowsWithoutAFold) {
  Outcome const out = run({"features=[{name: x, store: act.h5, layers: b}, {name: y, store: act.h5, layers: [a, b]}]",
                           "cv={split: part, inner: {folds: 3}}", "save=predictions"});
  ASSERT_EQ(out.code, Exit::ok) << out.message;
  EXPECT_EQ(h5::File::open(dir_ / "out/result.h5").dataset("layers").read_strings(),
            (std::vector<std::string>{"x/b", "y/a", "y/b"}));
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/layer-y-b_stat-r2.nii.gz"));
  auto const a = result("/x/b/score/r2"), b = result("/y/b/score/r2");
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * 8), 0);
  auto const fold = result("/.striate/fold"), predicted = result("/x/b/prediction");
  std::size_t never = 0;
  for (std::size_t i = 0; i < fold.size(); ++i) {
    EXPECT_EQ(std::isnan(predicted[i * 75]), fold[i] < 0);
    never += fold[i] < 0 ? 1 : 0;
  }
  EXPECT_EQ(never, 30U);
}

TEST_F(EncodeJob, LostFilesComeBackAndFreshStartsAnew) {
  ASSERT_EQ(run({}).code, Exit::ok);
  std::string const before = read_text(dir_ / "out/summary.tsv");
  fs::remove(dir_ / "out/summary.tsv");
  fs::remove(dir_ / "out/maps/layer-a_stat-r2.nii.gz");
  ASSERT_EQ(run({}).code, Exit::ok);
  EXPECT_EQ(read_text(dir_ / "out/summary.tsv"), before);
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/layer-a_stat-r2.nii.gz"));
  Outcome const other = run({"features.layers=[a, b]"});
  EXPECT_EQ(other.code, Exit::cant_create);
  EXPECT_NE(other.message.find("features"), std::string::npos) << other.message;
  Outcome const fresh = run({"features.layers=[a, b]"}, {.fresh = true});
  ASSERT_EQ(fresh.code, Exit::ok) << fresh.message;
  EXPECT_FALSE(fs::exists(dir_ / "out/maps/layer-wide_stat-r2.nii.gz"));
}

/// Kills this process as the job does its `when`-th piece of shared work, or just before the mark.
void die_in(fs::path const& folder, std::size_t when) {
  auto const die = [] { std::raise(SIGKILL); };
  Options o;
  o.when = when, o.at = die;
  if (when == 0) o.provenance = die;
  (void)run_encode(Comm(), folder, World::yaml(), o);
  std::_Exit(3);  // not reached
}

TEST(EncodeCrash, AKillAtAnyMomentChangesNothing) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";  // the child starts anew and comes back to its EXPECT_EXIT
  char const* const given = std::getenv("ENCODE_CRASH_FOLDER");
  std::string const name = given != nullptr ? given : "encode_crash_" + std::to_string(getpid());
  TempFolder const dir(name, given == nullptr);
  if (given == nullptr) {
    setenv("ENCODE_CRASH_FOLDER", name.c_str(), 1);
    World{dir.path};
  }
  EXPECT_EXIT(die_in(dir.path, 4), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(die_in(dir.path, 40), testing::KilledBySignal(SIGKILL), "");
  EXPECT_TRUE(given != nullptr || read_ledger(dir / "out/result.h5").done > 5);
  EXPECT_EXIT(die_in(dir.path, 0), testing::KilledBySignal(SIGKILL), "");
  if (given != nullptr) return;
  unsetenv("ENCODE_CRASH_FOLDER");
  LedgerState const state = read_ledger(dir / "out/result.h5");
  EXPECT_EQ(state.done, state.total);
  EXPECT_FALSE(state.complete);
  Outcome const end = run_encode(Comm(), dir.path, World::yaml());
  ASSERT_EQ(end.code, Exit::ok) << end.message;
  Outcome const whole = run_encode(Comm(), dir.path, World::yaml(), {.sets = {"output=whole"}});
  ASSERT_EQ(whole.code, Exit::ok) << whole.message;
  expect_same(dir / "whole", dir / "out");
}

}  // namespace
