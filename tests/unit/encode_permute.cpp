// Permutation tests of encode against the plain way: rearrange the responses, run everything again, count.
#include <numeric>

#include "encode_common.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/permute.hpp"
#include "striate/stats/ranks.hpp"
#include "striate/stats/scores.hpp"
#include "striate/stats/tail.hpp"

using namespace encode_test;

namespace {

constexpr std::size_t n = 40, t = 22, P = 12;

/// Rows in the store's order, without repeats; half of the targets read layer b, the rest are noise.
class EncodePermute : public testing::Test {
 protected:
  EncodePermute() : dir_("encode_permute_" + std::to_string(getpid())), world_(dir_.path) {
    std::string table = "type=image\npath=.\ndata=stimID,run\n";
    for (std::size_t i = 0; i < n; ++i) table += fmt::format("{},{}\n", World::id(i), i / 10);
    write_atomically(dir_ / "rows.stim.csv", table);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t v = 0; v < t; ++v)
        y_.push_back(v == 5 ? 1.0F : v == 6 && i == 3 ? std::nanf("") : noise(i, 300 + v) + (v < t / 2 ? world_.response(v, i) : 4));
    write(y_, "y.npy");
  }
  void write(std::vector<float> const& y, std::string const& name) const {
    write_npy(dir_ / name, std::span<float const>(y), {n, t});
  }
  static std::string yaml() {
    return "features: {store: act.h5, layers: [a, b]}\n"
           "responses: {data: y.npy, stimuli: rows.stim.csv}\n"
           "model: {alphas: {logspace: [0, 3, 4]}}\n"
           "cv: {folds: 4, inner: {folds: 3}}\n"
           "scores: [pearson, mse, spearman]\n"
           "target_tile: 8\n"
           "seed: 5\n"
           "output: out\n";
  }
  Outcome run(std::vector<std::string> const& sets, std::string const& output) const {
    Options o;
    o.sets = sets;
    o.sets.push_back("output=" + output);
    o.fresh = true;
    return run_encode(Comm(), dir_.path, yaml(), o);
  }
  std::vector<double> of(std::string const& output, std::string const& dataset) const {
    return read(dir_ / output / "result.h5", dataset);
  }
  /// y with its rows (or signs) rearranged.
  std::vector<float> rearranged(Permuter const& permuter, std::size_t index) const {
    std::vector<std::uint32_t> source;
    std::vector<float> sign, out(y_.size());
    permuter.make(index, source, sign);
    for (std::size_t v = 0; v < t; ++v) {
      double mean = 0;
      for (std::size_t i = 0; i < n; ++i) mean += y_[i * t + v];
      mean /= n;
      for (std::size_t i = 0; i < n; ++i)
        out[i * t + v] = permuter.flips() ? static_cast<float>(mean + sign[i] * (y_[i * t + v] - mean))
                                          : y_[source[i] * t + v];
    }
    return out;
  }
  static PermutationSpec spec(Shuffle shuffle, bool runs, std::size_t length = 0) {
    PermutationSpec s;
    s.shuffle = shuffle, s.seed = 5, s.length = length;
    for (std::uint32_t i = 0; runs && i < n; ++i) s.block.push_back(i / 10);
    return s;
  }
  void expect_plain_counts(std::vector<std::string> sets, Permuter const& permuter) const;

  TempFolder dir_;
  World world_;
  std::vector<float> y_;
};

double worth(std::string const& score, double value) { return score == "mse" ? -value : value; }

void EncodePermute::expect_plain_counts(std::vector<std::string> sets, Permuter const& permuter) const {
  std::map<std::string, std::vector<std::uint64_t>> exceed;
  std::map<std::string, std::vector<double>> maxima;
  std::vector<std::uint64_t> best_exceed(t, 0);
  bool const all = std::ranges::find(sets, "aggregate=concat") == sets.end() && std::ranges::find(sets, "cv.folds=0") == sets.end();
  std::vector<std::string> const scores = all ? std::vector<std::string>{"pearson", "mse", "spearman"}
                                              : std::vector<std::string>{"pearson", "mse"};
  if (!all) sets.emplace_back("scores=[pearson, mse]");
  auto with = sets;
  with.push_back(fmt::format("permutation.n={}", P));
  auto const tested = run(with, "tested");
  ASSERT_EQ(tested.code, Exit::ok) << tested.message;
  auto const best = of("tested", "best/score");
  for (std::size_t i = 0; i < P; ++i) {
    write(rearranged(permuter, i), "moved.npy");
    auto plain = sets;
    plain.emplace_back("responses.data=moved.npy");
    auto const once = run(plain, "plain");
    ASSERT_EQ(once.code, Exit::ok) << once.message;
    for (std::string const layer : {"a", "b"})
      for (auto const& score : scores) {
        std::string const key = layer + "/score/" + score;
        auto const seen = of("tested", key), values = of("plain", key);
        exceed[key].resize(t);
        double max = -1e300;
        for (std::size_t v = 0; v < t; ++v) {
          if (std::isnan(seen[v])) continue;
          exceed[key][v] += reaches(worth(score, values[v]), worth(score, seen[v])) ? 1 : 0;
          max = std::max(max, worth(score, values[v]));
        }
        maxima[key].push_back(worth(score, max));
      }
    auto const values = of("plain", "best/score");
    for (std::size_t v = 0; v < t; ++v) best_exceed[v] += !std::isnan(best[v]) && reaches(values[v], best[v]) ? 1 : 0;
  }
  std::size_t above = 0;
  for (std::string const layer : {"a", "b"})
    for (auto const& score : scores) {
      std::string const at = layer + "/permutation/" + score + "/", key = layer + "/score/" + score;
      auto const counted = of("tested", at + "exceed"), p = of("tested", at + "p"), max = of("tested", at + "null_max");
      auto const corrected = of("tested", at + "p_max"), seen = of("tested", key), q = of("tested", at + "q_fdr");
      ASSERT_EQ(max.size(), P);
      for (std::size_t i = 0; i < P; ++i) EXPECT_DOUBLE_EQ(max[i], maxima[key][i]) << key << " " << i;
      for (std::size_t v = 0; v < t; ++v) {
        ASSERT_EQ(std::isnan(p[v]), std::isnan(seen[v])) << key;
        if (std::isnan(seen[v])) continue;
        EXPECT_EQ(counted[v], static_cast<double>(exceed[key][v])) << key << " " << v;
        EXPECT_DOUBLE_EQ(p[v], (static_cast<double>(exceed[key][v]) + 1) / (P + 1));
        std::size_t over = 0;
        for (double m : maxima[key]) over += reaches(worth(score, m), worth(score, seen[v])) ? 1 : 0;
        EXPECT_DOUBLE_EQ(corrected[v], (static_cast<double>(over) + 1) / (P + 1));
        EXPECT_GE(q[v], p[v]);
        above += exceed[key][v];
      }
    }
  EXPECT_GT(above, 0U);  // the noise targets are reached sometimes
  auto const counted = of("tested", "best/permutation/pearson/exceed");
  auto const max = of("tested", "best/permutation/pearson/null_max");
  for (std::size_t v = 0; v < t; ++v)
    if (!std::isnan(best[v])) {
      EXPECT_EQ(counted[v], static_cast<double>(best_exceed[v])) << v;
    }
  for (std::size_t i = 0; i < P; ++i)
    EXPECT_DOUBLE_EQ(max[i], std::max(maxima["a/score/pearson"][i], maxima["b/score/pearson"][i]));
}

TEST_F(EncodePermute, RefitCountsWhatRunningAgainCounts) {
  expect_plain_counts({}, Permuter(spec(Shuffle::rows, false), n));
  expect_plain_counts({"permutation.exchange=run", "cv.group=run"}, Permuter(spec(Shuffle::rows, true), n));
}
TEST_F(EncodePermute, EveryShuffleCountsWhatRunningAgainCounts) {
  expect_plain_counts({"permutation.shuffle=blocks", "permutation.exchange=run", "aggregate=weighted"},
                      Permuter(spec(Shuffle::blocks, true), n));
  expect_plain_counts({"permutation.shuffle=blocks", "permutation.block=3"},
                      Permuter(spec(Shuffle::blocks, false, 3), n));
  expect_plain_counts({"permutation.shuffle=circular", "permutation.exchange=run", "aggregate=concat"},
                      Permuter(spec(Shuffle::circular, true), n));
  expect_plain_counts({"permutation.shuffle=sign", "cv.folds=0"}, Permuter(spec(Shuffle::sign, false), n));
}

/// Components of all targets together: each permutation is fitted anew.
TEST_F(EncodePermute, FitsThatReadResponsesCountWhatRunningAgainCounts) {
  std::string const pls = "model={type: pls, components: [1, 2, 4]}",
                    cca = "model={type: cca, components: [1, 3], response_pca: 6, alphas: {relative: [0.01, 1]}}";
  expect_plain_counts({pls}, Permuter(spec(Shuffle::rows, false), n));
  expect_plain_counts({cca, "permutation.exchange=run", "cv.group=run"}, Permuter(spec(Shuffle::rows, true), n));
  expect_plain_counts({pls, "permutation.shuffle=circular", "permutation.exchange=run", "aggregate=concat",
                       "features.transform={standardize: false, pca: 6}", "responses.standardize=false"},
                      Permuter(spec(Shuffle::circular, true), n));
  expect_plain_counts({"model={type: pls, components: 3}", "permutation.shuffle=sign", "cv.folds=0"},
                      Permuter(spec(Shuffle::sign, false), n));
}

/// Blocks of permutations are cut by constants; so many and wide targets make several of them.
TEST_F(EncodePermute, FitsThatReadResponsesOfLayersOneByOne) {
  std::vector<std::string> const sets{"model={type: pls, components: [1, 2]}", "permutation.n=20", "scores=pearson"};
  auto single = sets;
  single.emplace_back("permutation.best_layer=false");
  ASSERT_EQ(run(sets, "joint").code, Exit::ok);
  ASSERT_EQ(run(single, "single").code, Exit::ok);
  for (char const* name :
       {"a/permutation/pearson/exceed", "b/permutation/pearson/null_max", "best/permutation/pearson/p_max"}) {
    auto const x = of("joint", name), y = of("single", name);
    EXPECT_EQ(0, std::memcmp(x.data(), y.data(), x.size() * 8)) << name;
  }
}

TEST_F(EncodePermute, FixedAlphaOfOneAlphaIsRefit) {
  std::vector<std::string> const sets{"model.alphas=30", fmt::format("permutation.n={}", P)};
  auto fixed = sets;
  fixed.emplace_back("permutation.scheme=fixed_alpha");
  ASSERT_EQ(run(sets, "refit").code, Exit::ok);
  ASSERT_EQ(run(fixed, "fixed").code, Exit::ok);
  for (char const* name : {"b/permutation/pearson/exceed", "a/permutation/mse/null_max", "best/permutation/pearson/p"})
    EXPECT_EQ(0, std::memcmp(of("refit", name).data(), of("fixed", name).data(), of("fixed", name).size() * 8)) << name;
  // With a choice to make, the tests differ, but the observed scores do not.
  auto const chosen = run({"permutation.n=12", "permutation.scheme=fixed_alpha"}, "chosen");
  ASSERT_EQ(chosen.code, Exit::ok) << chosen.message;
  ASSERT_EQ(run({"permutation.n=12"}, "free").code, Exit::ok);
  EXPECT_EQ(of("chosen", "b/score/mse")[2], of("free", "b/score/mse")[2]);
  EXPECT_NE(of("chosen", "b/permutation/pearson/null_max"), of("free", "b/permutation/pearson/null_max"));
}

/// Held-out responses against saved predictions.
TEST_F(EncodePermute, FixedModelPermutesHeldOutResponses) {
  for (std::string const aggregate : {"mean", "concat"}) {
    auto const done = run({"permutation.n=12", "permutation.scheme=fixed_model", "save=predictions",
                           "aggregate=" + aggregate, "scores=pearson", "responses.standardize=false"},
                          "out");
    ASSERT_EQ(done.code, Exit::ok) << done.message;
    auto const predicted = of("out", "b/prediction"), seen = of("out", "b/score/pearson");
    auto const counted = of("out", "b/permutation/pearson/exceed"), max = of("out", "b/permutation/pearson/null_max");
    std::vector<double> exceed(t, 0), greatest(P, -2);
    for (std::size_t i = 0; i < P; ++i)
      for (std::size_t v = 0; v < t; ++v) {
        double mean = 0;
        Moments all;
        for (std::size_t f = 0; f < 4; ++f) {
          PermutationSpec s = spec(Shuffle::rows, false);
          s.stream = f + 1;
          std::vector<std::uint32_t> source;
          std::vector<float> sign;
          Permuter(s, 10).make(i, source, sign);
          Moments m;
          for (std::size_t r = 0; r < 10; ++r)
            m.add(y_[(f * 10 + source[r]) * t + v], predicted[(f * 10 + r) * t + v]);
          mean += score(Score::pearson, m) / 4;
          all.add(m);
        }
        double const value = aggregate == "mean" ? mean : score(Score::pearson, all);
        if (std::isnan(seen[v])) continue;
        EXPECT_GT(std::abs(value - seen[v]), 1e-5);  // else the next line would hang on rounding
        exceed[v] += value >= seen[v] ? 1 : 0;
        greatest[i] = std::max(greatest[i], value);
      }
    for (std::size_t v = 0; v < t; ++v)
      if (!std::isnan(seen[v])) {
        EXPECT_EQ(counted[v], exceed[v]) << v;
      }
    for (std::size_t i = 0; i < P; ++i) EXPECT_NEAR(max[i], greatest[i], 1e-5);
  }
}

TEST_F(EncodePermute, FixedModelMovesWholeBlocks) {
  ASSERT_EQ(run({"permutation.n=12", "permutation.scheme=fixed_model", "permutation.shuffle=blocks", "permutation.block=3",
                 "save=predictions", "scores=pearson"},
                "out")
                .code,
            Exit::ok);
  auto const predicted = of("out", "b/prediction"), max = of("out", "b/permutation/pearson/null_max");
  for (std::size_t i = 0; i < P; ++i) {
    double greatest = -2;
    for (std::size_t v = 0; v < t; ++v) {
      if (v == 5 || v == 6) continue;  // without a score
      double mean = 0;
      for (std::size_t f = 0; f < 4; ++f) {
        PermutationSpec s = spec(Shuffle::blocks, false, 3);
        s.stream = f + 1;
        std::vector<std::uint32_t> source;
        std::vector<float> sign;
        Permuter(s, 10).make(i, source, sign);
        Moments m;
        for (std::size_t r = 0; r < 10; ++r)
          m.add(y_[(f * 10 + source[r]) * t + v] - 2.0, predicted[(f * 10 + r) * t + v]);
        mean += score(Score::pearson, m) / 4;
      }
      greatest = std::max(greatest, mean);
    }
    EXPECT_NEAR(max[i], greatest, 1e-5);
  }
}

TEST_F(EncodePermute, FixedModelPermutesRanks) {
  ASSERT_EQ(run({"permutation.n=12", "permutation.scheme=fixed_model", "save=predictions", "scores=spearman"}, "out").code,
            Exit::ok);
  auto const predicted = of("out", "b/prediction"), max = of("out", "b/permutation/spearman/null_max");
  std::vector<double> greatest(P, -2);
  for (std::size_t i = 0; i < P; ++i)
    for (std::size_t v = 0; v < t; ++v) {
      if (v == 5 || v == 6) continue;  // without a score
      double mean = 0;
      for (std::size_t f = 0; f < 4; ++f) {
        PermutationSpec s = spec(Shuffle::rows, false);
        s.stream = f + 1;
        std::vector<std::uint32_t> source;
        std::vector<float> sign;
        Permuter(s, 10).make(i, source, sign);
        std::vector<double> a, b;
        for (std::size_t r = 0; r < 10; ++r)
          a.push_back(y_[(f * 10 + source[r]) * t + v]), b.push_back(predicted[(f * 10 + r) * t + v]);
        mean += spearman(a, b) / 4;
      }
      greatest[i] = std::max(greatest[i], mean);
    }
  for (std::size_t i = 0; i < P; ++i) EXPECT_NEAR(max[i], greatest[i], 1e-9);
}

TEST_F(EncodePermute, TailsAndCorrections) {
  ASSERT_EQ(run({"permutation.n=50", "scores=pearson"}, "right").code, Exit::ok);
  ASSERT_EQ(run({"permutation.n=50", "scores=pearson", "permutation.tail=left"}, "left").code, Exit::ok);
  ASSERT_EQ(run({"permutation.n=50", "scores=pearson", "permutation.tail=two", "permutation.correct=fdr_by"}, "two").code,
            Exit::ok);
  auto const r = of("right", "b/permutation/pearson/exceed"), l = of("left", "b/permutation/pearson/exceed"),
             w = of("two", "b/permutation/pearson/exceed"), seen = of("right", "b/score/pearson");
  for (std::size_t v = 0; v < t; ++v) {
    if (std::isnan(seen[v])) continue;
    EXPECT_EQ(r[v] + l[v], 50);  // no ties among correlations
    EXPECT_GE(w[v], seen[v] > 0 ? r[v] : l[v]);
  }
  EXPECT_FALSE(h5::File::open(dir_ / "two/result.h5").is_dataset("b/permutation/pearson/p_max"));
  EXPECT_TRUE(h5::File::open(dir_ / "two/result.h5").is_dataset("b/permutation/pearson/q_fdr_by"));
  EXPECT_TRUE(fs::exists(dir_ / "right/maps/layer-b_stat-pearson_p_max.npy"));
  EXPECT_TRUE(fs::exists(dir_ / "right/maps/best-score_p.npy"));
  EXPECT_NE(read_text(dir_ / "right/summary.tsv").find("p_max_below_0.05"), std::string::npos);
}

TEST_F(EncodePermute, LayersOneByOneGiveTheSameNumbers) {
  ASSERT_EQ(run({"permutation.n=30"}, "joint").code, Exit::ok);
  ASSERT_EQ(run({"permutation.n=30", "permutation.best_layer=false", "target_tile=64"}, "single").code, Exit::ok);
  for (char const* name : {"a/permutation/pearson/exceed", "b/permutation/mse/null_max", "best/permutation/pearson/p_max"}) {
    auto const x = of("joint", name), y = of("single", name);
    EXPECT_EQ(0, std::memcmp(x.data(), y.data(), x.size() * 8)) << name;
  }
  EXPECT_FALSE(h5::File::open(dir_ / "single/result.h5").is_dataset("best/permutation/pearson/p"));
}

TEST_F(EncodePermute, TailsOfMaximaAreFitted) {
  ASSERT_EQ(run({"permutation.n=240", "scores=pearson", "permutation.tail_fit=gpd"}, "out").code, Exit::ok);
  for (std::string const name : {"b/permutation/pearson/", "best/permutation/pearson/"}) {
    auto const counted = of("out", name + "p_max"), fitted = of("out", name + "p_max_gpd");
    std::size_t beyond = 0;
    for (std::size_t v = 0; v < t; ++v) {
      if (std::isnan(counted[v])) continue;
      if (counted[v] * 241 >= 10.5) {
        EXPECT_DOUBLE_EQ(fitted[v], counted[v]);
      }
      EXPECT_GT(fitted[v], 0);
      beyond += fitted[v] < 1.0 / 241 ? 1 : 0;
    }
    EXPECT_GT(beyond, 0U);
  }
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/layer-b_stat-pearson_p_max_gpd.npy"));
}

/// Against all null scores, which save: permutations keeps.
TEST_F(EncodePermute, TailsOfTargetsAreFitted) {
  constexpr std::size_t many = 300;
  auto const done = run({"permutation.n=300", "scores=[pearson, mse]", "permutation.tail_fit=gpd", "permutation.correct=[]",
                         "save=permutations"},
                        "out");
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  std::vector<std::vector<double>> map;
  for (std::string const layer : {"a", "b"}) map.push_back(of("out", ".striate/permutation/map/" + layer + "/pearson"));
  std::size_t beyond = 0, counted = 0;
  for (std::string const layer : {"a", "b", "best"}) {
    std::string const at = layer + "/permutation/pearson/";
    auto const p = of("out", at + "p_gpd"), plain = of("out", at + "p"), exceed = of("out", at + "exceed"),
               seen = layer == "best" ? of("out", "best/score") : of("out", layer + "/score/pearson");
    for (std::size_t v = 0; v < t; ++v) {
      ASSERT_EQ(std::isnan(p[v]), std::isnan(seen[v]));
      if (std::isnan(seen[v])) continue;
      std::size_t const first = v / 8 * 8, T = std::min<std::size_t>(8, t - first);  // tiles of targets
      std::vector<float> null;
      for (std::size_t i = 0; i < many; ++i) {
        auto const score = [&](std::size_t l) { return map[l][first * many + i * T + v - first]; };
        null.push_back(static_cast<float>(layer == "best" ? std::max(score(0), score(1)) : score(layer == "a" ? 0 : 1)));
      }
      std::ranges::sort(null, std::greater<>());
      null.resize(kept_tail);
      EXPECT_DOUBLE_EQ(p[v], NullTail(null, many, score_shape).p(seen[v], static_cast<std::size_t>(exceed[v])));
      if (exceed[v] >= 10) {
        EXPECT_DOUBLE_EQ(p[v], plain[v]);
      }
      beyond += p[v] < 1.0 / (many + 1) ? 1 : 0, counted += exceed[v] >= 10 ? 1 : 0;
    }
  }
  EXPECT_GT(beyond, 5U);
  EXPECT_GT(counted, 5U);
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/layer-b_stat-pearson_p_gpd.npy"));
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/best-score_p_gpd.npy"));
  EXPECT_NE(read_text(dir_ / "out/summary.tsv").find("p_gpd_below_0.05"), std::string::npos);
}

TEST_F(EncodePermute, RefusesWhatCannotBePermuted) {
  auto const refused = [&](std::vector<std::string> sets, Exit code, std::string const& word) {
    sets.emplace_back("permutation.n=5");
    auto const out = run(sets, "refused");
    EXPECT_EQ(out.code, code) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  refused({"permutation.scheme=fixd_model"}, Exit::config, "permutation.scheme");
  refused({"permutation.scheme=fixed_model", "cv.folds=0", "scores=pearson"}, Exit::config, "held-out rows");
  refused({"permutation.shuffle=blocks"}, Exit::config, "exchange: COLUMN or block: ROWS");
  refused({"permutation.tail_fit=gpd"}, Exit::config, "needs 220 permutations");
  refused({"permutation.block=4"}, Exit::config, "permutation.block");
  refused({"permutation.exchange=session"}, Exit::data, "permutation.exchange");
  std::string const pls = "model={type: pls, components: [1, 2]}";
  refused({pls, "permutation.stop={exceed: 5}", "permutation.correct=fdr"}, Exit::config, "permutation.stop");
  refused({pls, "permutation.scheme=fixed_alpha"}, Exit::config, "permutation.scheme");
  refused({"permutation.exchange=stimID"}, Exit::data, "nothing to permute");
  std::string table = "type=image\npath=.\ndata=stimID,odd\n";
  for (std::size_t i = 0; i < n; ++i) table += fmt::format("{},{}\n", World::id(i), i % 2);
  write_atomically(dir_ / "odd.stim.csv", table);
  refused({"responses.stimuli=odd.stim.csv", "permutation={shuffle: circular, exchange: odd}"}, Exit::data,
          "those of 0 do not follow one another");
  refused({"permutation.scheme=fixed_model", "cv.folds=leave_one_out", "aggregate=concat", "scores=pearson"}, Exit::data, "fold 0");
}

}  // namespace
