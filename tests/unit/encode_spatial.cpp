// Corrections by whole maps in encode, against the plain way: rearrange the responses, run everything again, and find
// clusters level by level.
#include <set>

#include "encode_common.hpp"
#include "striate/stats/clusters.hpp"
#include "striate/stats/multiple.hpp"
#include "striate/stats/permute.hpp"

using namespace encode_test;

namespace {

constexpr std::size_t n = 40, t = 60, P = 9;
constexpr std::array<std::uint64_t, 3> grid{5, 4, 3};
using Maxima = std::array<double, 3>;  ///< TFCE, size, mass

class EncodeSpatial : public testing::Test {
 protected:
  EncodeSpatial() : dir_("encode_spatial_" + std::to_string(getpid())), world_(dir_.path) {
    std::string table = "type=image\npath=.\ndata=stimID\n";
    for (std::size_t i = 0; i < n; ++i) table += World::id(i) + "\n";
    write_atomically(dir_ / "rows.stim.csv", table);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t v = 0; v < t; ++v)  // neighbours share a signal and noise; a constant and a missing voxel
        y_.push_back(v == 13 ? 1.0F : v == 31 && i == 3 ? std::nanf("") : noise(i, 300 + v) + noise(i, 900 + v / 12) +
                                                             (v < t / 3 ? 0.4F * world_.response(0, i) : 4));
    write(y_, "y.nii.gz");
  }
  void write(std::vector<float> const& y, std::string const& name) const {
    Affine affine{};
    affine[0] = {2, 0, 0, 0}, affine[1] = {0, 2, 0, 0}, affine[2] = {0, 0, 2, 0};
    write_nifti(dir_ / name, make_nifti_space(grid, affine, ".nii.gz"), y, n);
  }
  Outcome run(std::vector<std::string> sets, std::string const& output, bool fresh = true) const {
    sets.push_back("output=" + output);
    return run_encode(Comm(), dir_.path,
                      "features: {store: act.h5, layers: [a, b]}\n"
                      "responses: {data: y.nii.gz, stimuli: rows.stim.csv}\n"
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
  void expect_plain_maxima(std::string const& tail, int connectivity) const;

  TempFolder dir_;
  World world_;
  std::vector<float> y_;
};

std::vector<float> side(std::vector<double> const& scores, int sign) {
  std::vector<float> map;
  for (double v : scores) map.push_back(static_cast<float>(sign * v));
  return map;
}

/// By the definition: the sizes of clusters at every level.
std::vector<double> plain_tfce(Neighbours const& neighbours, std::vector<float> const& map) {
  std::set<float> levels;
  for (float v : map)
    if (v > 0) levels.insert(v);
  std::vector<double> total(map.size(), 0);
  double low = 0;
  for (double const high : levels) {
    auto const found = clusters(neighbours, map, high);
    for (std::size_t i = 0; i < map.size(); ++i)
      if (found.label[i] > 0)
        total[i] += std::sqrt(static_cast<double>(found.size[static_cast<std::size_t>(found.label[i] - 1)])) *
                    (std::pow(high, 3) - std::pow(low, 3)) / 3;
    low = high;
  }
  return total;
}

Maxima plain_maxima(Neighbours const& neighbours, std::vector<double> const& scores, std::string const& tail,
                    double threshold) {
  Maxima max{};
  for (int sign : {1, -1}) {
    if (tail == (sign > 0 ? "left" : "right")) continue;
    auto const map = side(scores, sign);
    max[0] = std::max(max[0], std::ranges::max(plain_tfce(neighbours, map)));
    auto const found = clusters(neighbours, map, threshold);
    for (auto s : found.size) max[1] = std::max(max[1], static_cast<double>(s));
    for (auto m : found.mass) max[2] = std::max(max[2], m);
  }
  return max;
}

/// Of one layer's datasets.
void expect_p(std::vector<double> const& p, std::vector<double> const& observed, std::vector<double> const& null) {
  ASSERT_EQ(null.size(), P);
  for (std::size_t i = 0; i < p.size(); ++i) {
    ASSERT_EQ(std::isnan(p[i]), std::isnan(observed[i])) << i;
    if (std::isnan(p[i])) continue;
    auto const over = std::ranges::count_if(null, [&](double v) { return v >= observed[i] * (1 - 1e-6); });
    EXPECT_DOUBLE_EQ(p[i], static_cast<double>(over + 1) / (P + 1)) << i;
  }
}

void EncodeSpatial::expect_plain_maxima(std::string const& tail, int connectivity) const {
  double const threshold = 0.1;
  std::vector<std::string> const sets{fmt::format("permutation={{n: {}, tail: {}, connectivity: {}, correct: [tfce, "
                                                  "cluster], cluster_threshold: {}}}",
                                                  P, tail, connectivity, threshold)};
  auto const tested = run(sets, "tested");
  ASSERT_EQ(tested.code, Exit::ok) << tested.message;
  auto const index = of("tested", "targets/index");
  auto const neighbours = grid_neighbours(grid, std::vector<std::uint64_t>(index.begin(), index.end()), connectivity);
  PermutationSpec spec;
  spec.shuffle = Shuffle::rows, spec.seed = 5;
  Permuter const permuter(spec, n);
  std::map<std::string, std::vector<Maxima>> maxima;
  for (std::size_t i = 0; i < P; ++i) {
    std::vector<std::uint32_t> source;
    std::vector<float> sign, moved;
    permuter.make(i, source, sign);
    for (std::size_t r = 0; r < n; ++r)
      moved.insert(moved.end(), y_.begin() + static_cast<std::ptrdiff_t>(source[r] * t),
                   y_.begin() + static_cast<std::ptrdiff_t>(source[r] * t + t));
    write(moved, "moved.nii.gz");
    auto const once = run({"responses.data=moved.nii.gz"}, "plain");
    ASSERT_EQ(once.code, Exit::ok) << once.message;
    for (std::string const layer : {"a", "b"})
      maxima[layer].push_back(plain_maxima(neighbours, of("plain", layer + "/score/pearson"), tail, threshold));
  }
  for (std::string const layer : {"a", "b"}) {
    std::string const at = layer + "/permutation/pearson/";
    char const* const names[] = {"null_tfce", "null_cluster_size", "null_cluster_mass"};
    for (std::size_t k = 0; k < 3; ++k) {
      auto const null = of("tested", at + names[k]);
      ASSERT_EQ(null.size(), P);
      for (std::size_t i = 0; i < P; ++i)
        EXPECT_NEAR(null[i], maxima[layer][i][k], 1e-10 * std::max(1.0, null[i])) << at << names[k] << " " << i;
      EXPECT_GT(std::ranges::max(null), 0);
    }
    auto const scores = of("tested", layer + "/score/pearson"), tfce = of("tested", at + "tfce");
    auto const label = of("tested", at + "cluster"), size = of("tested", at + "cluster_size");
    std::vector<double> plain(t, 0);
    for (int sign : {1, -1}) {
      if (tail == (sign > 0 ? "left" : "right")) continue;
      auto const enhanced = plain_tfce(neighbours, side(scores, sign));
      auto const found = clusters(neighbours, side(scores, sign), threshold);
      for (std::size_t v = 0; v < t; ++v) {
        plain[v] += enhanced[v];
        if (found.label[v] == 0) continue;
        EXPECT_EQ(label[v], tail == "two" ? sign * found.label[v] : found.label[v]);
        EXPECT_EQ(size[v], static_cast<double>(found.size[static_cast<std::size_t>(found.label[v] - 1)]));
      }
    }
    for (std::size_t v = 0; v < t; ++v) {
      ASSERT_EQ(std::isnan(tfce[v]), std::isnan(scores[v]));
      if (!std::isnan(scores[v])) {
        EXPECT_NEAR(tfce[v], plain[v], 1e-10 * std::max(1.0, plain[v]));
      }
    }
    EXPECT_TRUE(std::isnan(scores[13]) && std::isnan(scores[31]));
    expect_p(of("tested", at + "p_tfce"), tfce, of("tested", at + "null_tfce"));
    expect_p(of("tested", at + "p_cluster"), size, of("tested", at + "null_cluster_size"));
    auto const mass = of("tested", at + "cluster_mass");
    expect_p(of("tested", at + "p_cluster_mass"), mass, of("tested", at + "null_cluster_mass"));
  }
}

TEST_F(EncodeSpatial, MaximaOfMapsAreThoseOfRunningAgain) { expect_plain_maxima("right", 26); }
TEST_F(EncodeSpatial, TailsLookAtTheirSigns) {
  expect_plain_maxima("left", 6);
  expect_plain_maxima("two", 18);
}

TEST_F(EncodeSpatial, WritesMapsAndCounts) {
  std::vector<std::string> const sets{"permutation={n: 5, correct: [max, tfce, cluster], cluster_threshold: 0.1}"};
  auto const done = run(sets, "out");
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  for (char const* stat : {"tfce", "p_tfce", "cluster", "p_cluster", "p_cluster_mass"}) {
    fs::path const map = dir_ / "out/maps" / fmt::format("layer-b_stat-pearson_{}.nii.gz", stat);
    EXPECT_TRUE(fs::exists(map)) << map;
    EXPECT_FALSE(fs::exists(dir_ / "out/maps" / fmt::format("layer-b_stat-r2_{}.nii.gz", stat)));
    fs::remove(map);
  }
  ASSERT_EQ(run(sets, "out", false).code, Exit::ok);
  EXPECT_TRUE(fs::exists(dir_ / "out/maps/layer-b_stat-pearson_p_tfce.nii.gz"));  // what went missing comes back
  EXPECT_NE(read_text(dir_ / "out/summary.tsv").find("p_max_below_0.05\tp_tfce_below_0.05\tp_cluster_below_0.05"),
            std::string::npos);
}

/// Units of whole maps that were not done before a stop are done from the maps in the file.
TEST_F(EncodeSpatial, GoesOnFromTheMapsInTheFile) {
  std::vector<std::string> const sets{"permutation={n: 7, correct: [tfce, cluster], cluster_threshold: 0.1}"};
  ASSERT_EQ(run(sets, "whole").code, Exit::ok);
  fs::copy(dir_ / "whole", dir_ / "stopped", fs::copy_options::recursive);
  {
    auto file = h5::File::open_for_writing(Comm(), dir_ / "stopped/result.h5");
    auto done = file.dataset(".striate/done").read<std::uint8_t>();
    std::fill(done.end() - 2, done.end(), std::uint8_t{0});  // a unit a layer
    file.dataset(".striate/done").write(std::span<std::uint8_t const>(done));
    file.dataset(".striate/complete").write(std::span<std::uint8_t const>(std::vector<std::uint8_t>{0}));
    std::vector<double> const wrong(7, -1);
    for (char const* layer : {"a", "b"})
      file.dataset(fmt::format(".striate/permutation/tfce/{}/pearson", layer)).write(std::span(wrong));
  }
  auto const on = run(sets, "stopped", false);
  ASSERT_EQ(on.code, Exit::ok) << on.message;
  expect_same(dir_ / "whole", dir_ / "stopped");
}

TEST_F(EncodeSpatial, RefusesWhatHasNoMaps) {
  auto const refused = [&](std::vector<std::string> const& sets, Exit code, std::string const& word) {
    auto const out = run(sets, "refused");
    EXPECT_EQ(out.code, code) << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
  };
  write_npy(dir_ / "y.npy", std::span<float const>(y_), {n, t});
  refused({"permutation={n: 5, correct: tfce}", "responses.data=y.npy"}, Exit::data, "give an image");
  refused({"permutation={n: 5, correct: tfce}", "scores=[mse, pearson]"}, Exit::config, "chance level");
  refused({"permutation={n: 5, correct: cluster}"}, Exit::config, "cluster_threshold: 0.1");
  refused({"permutation={n: 5, correct: max, cluster_threshold: 0.1}"}, Exit::config, "does not name cluster");
  refused({"permutation={n: 5, correct: cluster, cluster_threshold: -1}"}, Exit::config, "above 0");
  refused({"permutation={n: 5, correct: tfce, connectivity: 8}"}, Exit::config, "6, 18 or 26");
  refused({"permutation={n: 5, correct: tcfe}"}, Exit::config, "tfce");
}

}  // namespace
