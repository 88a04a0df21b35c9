// Gradients of layers and the best layer of a region, against the plain way: rearrange the responses, run everything
// again, and correlate.
#include <set>

#include "encode_common.hpp"
#include "striate/base/philox.hpp"
#include "striate/stats/permute.hpp"
#include "striate/stats/ranks.hpp"

using namespace encode_test;

namespace {

constexpr std::size_t n = 40, t = 60, P = 9;
constexpr std::array<std::uint64_t, 3> grid{5, 4, 3};

class EncodeGradient : public testing::Test {
 protected:
  EncodeGradient() : dir_("encode_gradient_" + std::to_string(getpid())), world_(dir_.path) {
    std::string table = "type=image\npath=.\ndata=stimID\n";
    for (std::size_t i = 0; i < n; ++i) table += World::id(i) + "\n";
    write_atomically(dir_ / "rows.stim.csv", table);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t v = 0; v < t; ++v)  // smooth noise, layer a at the left, b at the right; a missing voxel
        y_.push_back(v == 31 && i == 3 ? std::nanf("")
                                       : 1.2F * noise(i, 300 + v) + noise(i, 900 + v / 6) +
                                             (v < t / 2 ? World::feature(0, i, v % 12) : World::feature(1, i, v % 10)));
    write(y_, "y.nii.gz", n);
    std::vector<float> labels, places;
    for (std::size_t v = 0; v < t; ++v) {
      labels.push_back(static_cast<float>(v < 12 ? 3 : v < 30 ? 1 : v < 50 ? 2 : 0));
      places.push_back(v % 7 == 2 ? std::nanf("") : noise(7, v));
    }
    write(labels, "labels.nii.gz", 1);
    write(places, "places.nii.gz", 1);
  }
  void write(std::vector<float> const& y, std::string const& name, std::size_t volumes) const {
    Affine affine{};
    affine[0] = {-2, 0, 0, 11}, affine[1] = {0, 0.5, 3, 0}, affine[2] = {0, 2, 0.5, -4};
    write_nifti(dir_ / name, make_nifti_space(grid, affine, ".nii.gz"), y, volumes);
  }
  Outcome run(std::vector<std::string> sets, std::string const& output, bool fresh = true) const {
    sets.push_back("output=" + output);
    return run_encode(Comm(), dir_.path,
                      "features: {store: act.h5, layers: [a, b]}\n"
                      "responses: {data: y.nii.gz, stimuli: rows.stim.csv}\n"
                      "rois: {image: labels.nii.gz, names: {3: V1, 1: V2, 2: V4}}\n"
                      "model: {alphas: {logspace: [0, 3, 4]}}\n"
                      "cv: {folds: 4, inner: {folds: 3}}\n"
                      "scores: [pearson, r2]\n"
                      "target_tile: 8\n"
                      "seed: 5\n"
                      "output: out\n",
                      {.sets = sets, .fresh = fresh});
  }
  std::vector<double> of(std::string const& output, std::string const& dataset) const {
    return read(dir_ / output / "result.h5", dataset);
  }
  /// Runs the encode on rearrangement i of the rows.
  void run_again(std::size_t i, std::vector<std::string> sets) const {
    PermutationSpec spec;
    spec.shuffle = Shuffle::rows, spec.seed = 5;
    std::vector<std::uint32_t> source;
    std::vector<float> sign, moved;
    Permuter(spec, n).make(i, source, sign);
    for (std::size_t r = 0; r < n; ++r)
      moved.insert(moved.end(), y_.begin() + static_cast<std::ptrdiff_t>(source[r] * t),
                   y_.begin() + static_cast<std::ptrdiff_t>(source[r] * t + t));
    write(moved, "moved.nii.gz", n);
    sets.emplace_back("responses.data=moved.nii.gz");
    auto const once = run(sets, "plain");
    ASSERT_EQ(once.code, Exit::ok) << once.message;
  }
  std::vector<std::vector<std::string>> table(std::string const& output, char const* name) const {
    std::vector<std::vector<std::string>> rows;
    std::istringstream text(read_text(dir_ / output / name));
    for (std::string line; std::getline(text, line);) {
      rows.emplace_back();
      std::istringstream cells(line);
      for (std::string cell; std::getline(cells, cell, '\t');) rows.back().push_back(cell);
    }
    return rows;
  }

  TempFolder dir_;
  World world_;
  std::vector<float> y_;
};

/// Spearman over targets that have both.
double plain_rho(std::vector<double> const& place, std::vector<double> const& layer) {
  std::vector<double> x, y;
  for (std::size_t j = 0; j < place.size(); ++j)
    if (!std::isnan(place[j]) && layer[j] >= 0) x.push_back(place[j]), y.push_back(layer[j]);
  return rank_correlation(x, y);
}

struct Places {
  std::vector<double> rois, axis, values;
  Places() {
    for (std::size_t v = 0; v < t; ++v) {
      rois.push_back(v < 12 ? 0 : v < 30 ? 1 : v < 50 ? 2 : NAN);
      auto const y = static_cast<double>(v / 3 % 4), z = static_cast<double>(v % 3);
      axis.push_back(0.5 * y + 3 * z);
      values.push_back(v % 7 == 2 ? NAN : static_cast<double>(noise(7, v)));
    }
  }
};

TEST_F(EncodeGradient, IsThatOfRunningAgain) {
  std::string const all = "gradient={rois: [V1, V2, V4], axis: y, values: places.nii.gz}";
  auto const done = run({all, fmt::format("permutation.n={}", P), "save=permutations"}, "tested");
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  Places const places;
  std::pair<char const*, std::vector<double> const*> const kinds[] = {
      {"rois", &places.rois}, {"axis", &places.axis}, {"values", &places.values}};
  auto const index = of("tested", "targets/index");
  ASSERT_EQ(index.size(), t);
  auto const layer = of("tested", "best/layer");
  std::map<std::string, std::vector<double>> null;
  std::vector<double> best_of_v2;
  for (std::size_t i = 0; i < P; ++i) {
    run_again(i, {});
    auto const moved = of("plain", "best/layer");
    for (auto const& [kind, place] : kinds) null[kind].push_back(plain_rho(*place, moved));
    double most = -1;
    for (char const* l : {"a", "b"}) {
      auto const score = of("plain", std::string(l) + "/score/pearson");
      double sum = 0;
      for (std::size_t j = 12; j < 30; ++j) sum += score[j];
      most = std::max(most, sum / 18);
    }
    best_of_v2.push_back(most);
  }
  for (auto const& [kind, place] : kinds) {
    std::string const at = std::string("gradient/") + kind + "/";
    double const rho = of("tested", at + "rho")[0];
    EXPECT_DOUBLE_EQ(rho, plain_rho(*place, layer)) << kind;
    auto const found = of("tested", at + "null");
    ASSERT_EQ(found.size(), P);
    std::size_t reached = 1;
    for (std::size_t i = 0; i < P; ++i) {
      EXPECT_NEAR(found[i], null[kind][i], 1e-12) << kind << i;
      reached += std::abs(null[kind][i]) >= std::abs(rho) - 1e-12 ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(of("tested", at + "p")[0], static_cast<double>(reached) / (P + 1));
  }
  EXPECT_GT(of("tested", "gradient/rois/rho")[0], 0.3);  // as planted
  // The best layer of a region, the choice repeated.
  auto const rows = table("tested", "best-layers.tsv");
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[2][1], "V2");  // by label
  std::size_t reached = 1;
  double const observed = std::stod(rows[2][4]);
  for (double v : best_of_v2) reached += v >= observed * (1 - 1e-5) ? 1 : 0;
  EXPECT_NEAR(std::stod(rows[2][6]), static_cast<double>(reached) / (P + 1), 1e-6);
}

TEST_F(EncodeGradient, SelectionIsRepeated) {
  auto const done =
      run({"gradient={axis: y, threshold: 0.35}", fmt::format("permutation.n={}", P), "save=permutations"}, "tested");
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  Places const places;
  auto const chosen_rho = [&](std::string const& output, std::size_t count) {
    auto const score = of(output, "best/score");
    auto layer = of(output, "best/layer");
    std::vector<double> sorted;
    for (double s : score)
      if (!std::isnan(s)) sorted.push_back(s);
    std::ranges::sort(sorted, std::greater<>());
    for (std::size_t j = 0; j < t; ++j)
      if (std::isnan(score[j]) || score[j] < sorted[count - 1]) layer[j] = -1;
    return plain_rho(places.axis, layer);
  };
  auto const score = of("tested", "best/score");
  auto const count = static_cast<std::size_t>(std::ranges::count_if(score, [](double s) { return s >= 0.35; }));
  ASSERT_GT(count, 5U);
  ASSERT_LT(count, 55U);
  EXPECT_EQ(of("tested", "gradient/axis/targets")[0], static_cast<double>(count));
  EXPECT_DOUBLE_EQ(of("tested", "gradient/axis/rho")[0], chosen_rho("tested", count));
  auto const null = of("tested", "gradient/axis/null");
  for (std::size_t i = 0; i < P; ++i) {
    run_again(i, {});
    EXPECT_NEAR(null[i], chosen_rho("plain", count), 1e-12) << i;
  }
  // By p: the targets that it names.
  ASSERT_EQ(run({"gradient={axis: y, threshold: 0.1, by: p_max}", "permutation.n=9"}, "by_p").code, Exit::ok);
  auto const p = of("by_p", "best/permutation/pearson/p_max");
  EXPECT_EQ(of("by_p", "gradient/axis/targets")[0],
            static_cast<double>(std::ranges::count_if(p, [](double v) { return v <= 0.1; })));
  EXPECT_FALSE(h5::File::open(dir_ / "by_p/result.h5").is_dataset("gradient/axis/p"));  // no maps, no p
  EXPECT_EQ(table("by_p", "gradient.tsv")[1].back(), "n/a");
}

/// Draws of folds by hand, from the scores of each fold.
TEST_F(EncodeGradient, ErrorsAreThoseOfDrawnFolds) {
  ASSERT_EQ(run({"gradient={rois: [V1, V2, V4]}"}, "out").code, Exit::ok);
  auto const a = of("out", "a/score/pearson_fold"), b = of("out", "b/score/pearson_fold"),
             best = of("out", "best/layer");
  Places const places;
  std::vector<double> rho, mean_of_v2;
  for (std::size_t d = 0; d < 200; ++d) {
    Philox random(5, 0x666f6c6464726177, d);
    std::vector<double> sum_a(t, 0), sum_b(t, 0), layer(t);
    for (int k = 0; k < 4; ++k) {
      std::size_t const f = random.below(4);
      for (std::size_t j = 0; j < t; ++j) sum_a[j] += a[f * t + j], sum_b[j] += b[f * t + j];
    }
    double mean = 0;
    for (std::size_t j = 0; j < t; ++j) {
      layer[j] = best[j] < 0 ? -1 : sum_b[j] > sum_a[j] ? 1 : 0;
      if (j >= 12 && j < 30) mean += (layer[j] + 1) / 18;
    }
    rho.push_back(plain_rho(places.rois, layer)), mean_of_v2.push_back(mean);
  }
  auto const error = [](std::vector<double> const& v) {
    double sum = 0, square = 0;
    for (double x : v) sum += x / 200;
    for (double x : v) square += (x - sum) * (x - sum);
    return std::sqrt(square / 199 * 4 / 3);
  };
  EXPECT_NEAR(of("out", "gradient/rois/rho_se")[0], error(rho), 1e-9);
  EXPECT_NEAR(of("out", "gradient/rois/roi_layer_mean_se")[1], error(mean_of_v2), 1e-9);
  EXPECT_GT(error(rho), 0.01);
  double mean = 0;
  for (std::size_t j = 12; j < 30; ++j) mean += (best[j] + 1) / 18;
  EXPECT_NEAR(of("out", "gradient/rois/roi_layer_mean")[1], mean, 1e-12);
  auto const rows = table("out", "gradient.tsv");
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[0], (std::vector<std::string>{"gradient", "net", "roi", "targets", "layer_mean", "layer_mean_se",
                                               "rho", "rho_se", "p"}));
  EXPECT_EQ(rows[1][1], "act");
  EXPECT_EQ(rows[3][2], "V2");
  EXPECT_EQ(rows[3][3], "18");
  // One score of all predictions: folds are drawn by their sums.
  ASSERT_EQ(run({"gradient={rois: [V1, V2, V4]}", "aggregate=concat"}, "concat").code, Exit::ok);
  EXPECT_NEAR(of("concat", "gradient/rois/rho_se")[0], error(rho), 0.1);
  EXPECT_NEAR(of("concat", "gradient/rois/rho")[0], of("out", "gradient/rois/rho")[0], 0.3);
}

TEST_F(EncodeGradient, EachNetHasItsOwn) {
  std::vector<std::string> const sets{
      "features=[{name: one, store: act.h5, layers: [a, b]}, {name: two, store: act.h5, layers: [b, a]}, {name: lone, "
      "store: act.h5, layers: [wide]}]",
      "gradient={rois: [V1, V2, V4]}", "permutation.n=4", "save=permutations"};
  ASSERT_EQ(run(sets, "out").code, Exit::ok);
  double const one = of("out", "gradient/one/rois/rho")[0];
  EXPECT_NEAR(of("out", "gradient/two/rois/rho")[0], -one, 1e-12);  // its layers stand the other way round
  EXPECT_EQ(table("out", "gradient.tsv").size(), 1U + 2 * 4);       // a net of one layer has no order
  auto const best = table("out", "best-layers.tsv");
  ASSERT_EQ(best.size(), 1U + 3 * 4);
  EXPECT_EQ(best[9][0], "lone");
  fs::remove(dir_ / "out/gradient.tsv"), fs::remove(dir_ / "out/best-layers.tsv");
  ASSERT_EQ(run(sets, "out", false).code, Exit::ok);
  EXPECT_EQ(table("out", "best-layers.tsv"), best);
  EXPECT_EQ(table("out", "gradient.tsv").size(), 1U + 2 * 4);
}

TEST_F(EncodeGradient, Refusals) {
  auto const refused = [&](std::vector<std::string> const& sets, Exit code, std::string const& word) {
    auto const out = run(sets, "refused");
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  refused({"gradient={rois: [V1, V3]}"}, Exit::data, "no targets lie in `V3`");
  refused({"gradient={rois: [V1]}"}, Exit::config, "two or more");
  refused({"gradient={rois: [V1, V1]}"}, Exit::config, "stands twice");
  refused({"gradient={axis: w}"}, Exit::config, "axis");
  refused({"gradient={threshold: 0.1}"}, Exit::config, "names no order");
  refused({"gradient={axis: x, by: p}"}, Exit::config, "gradient.threshold");
  refused({"gradient={axis: x, by: p, threshold: 0.05}"}, Exit::config, "permutation.n");
  refused({"gradient={axis: x, by: q_fdr, threshold: 0.05}", "permutation={n: 5, correct: max}"}, Exit::config,
          "add fdr");
  refused({"gradient={axis: x, by: p, threshold: 0.05}", "permutation={n: 5, best_layer: false}"}, Exit::config,
          "best_layer");
  refused({"gradient={axis: x}", "features.layers=[a]"}, Exit::config, "one layer only");
  refused({"gradient={axis: x}", "model={type: banded_ridge}"}, Exit::config, "banded_ridge");
  refused({"gradient={values: none.nii.gz}"}, Exit::no_input, "gradient.values");
  refused({"gradient={axis: x}", "save=permutations"}, Exit::config, "permutation.n");
  write_npy(dir_ / "y.npy", std::span<float const>(y_), {n, t});
  write_npy(dir_ / "labels.npy", std::span<float const>(std::vector<float>(t, 1)), {t});
  refused({"gradient={axis: x}", "responses.data=y.npy", "rois=labels.npy"}, Exit::data, "is no volume");
}

/// Responses of smooth noise alone: p of the gradient is honest, where independent targets would see gradients.
TEST_F(EncodeGradient, SmoothNoiseHasNoGradient) {
  char const* const wanted = std::getenv("STRIATE_LONG");
  std::size_t const runs = wanted != nullptr ? 400 : 60;
  std::size_t small = 0, naive = 0;
  for (std::size_t s = 0; s < runs; ++s) {
    std::vector<float> y(n * t);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t v = 0; v < t; ++v)  // neighbours along y and z are alike
        y[i * t + v] = noise(i + 100 * s, 4000 + v / 3 % 4) + 0.7F * noise(i + 100 * s, 5000 + v % 3) +
                       0.3F * noise(i + 100 * s, 6000 + v);
    write(y, "y.nii.gz", n);
    auto const done = run(
        {"gradient={axis: z}", "permutation={n: 19, correct: []}", "save=permutations", "cv.inner.folds=2"}, "noise");
    ASSERT_EQ(done.code, Exit::ok) << done.message;
    double const rho = of("noise", "gradient/axis/rho")[0];
    small += of("noise", "gradient/axis/p")[0] <= 0.1 ? 1 : 0;
    naive += std::abs(rho) * std::sqrt(static_cast<double>(t - 1)) > 1.645 ? 1 : 0;  // 0.1 for independent targets
  }
  auto const expected = 0.1 * static_cast<double>(runs);
  EXPECT_LE(static_cast<double>(small), expected + 3 * std::sqrt(0.9 * expected)) << small << " of " << runs;
  EXPECT_GE(small, 1U);
  EXPECT_GT(static_cast<double>(naive), 0.3 * static_cast<double>(runs)) << naive;
  RecordProperty("small", static_cast<int>(small)), RecordProperty("naive", static_cast<int>(naive));
  std::printf("p <= 0.1 in %zu of %zu; independent targets would give %zu\n", small, runs, naive);
}

}  // namespace
