// Trees and k-means against scipy and scikit-learn.
#include <cmath>
#include <limits>

#include "reduce_golden.hpp"
#include "striate/base/error.hpp"
#include "striate/math/cluster.hpp"

namespace striate {
namespace {

TEST(Tree, EqualsScipysLinkage) {
  auto const g = testing::reduce_golden();
  auto const& points = g.at("points");
  auto const x = points.floats();
  auto const team = serial_team();
  auto const d = distances({x.data(), points.rows, points.cols}, *team);
  for (std::string const name : {"single", "complete", "average", "ward"}) {
    auto const tree = linkage(d, points.rows, linkage_of(name));
    auto const& want = g.at(name);
    ASSERT_EQ(tree.size(), want.rows);
    for (std::size_t k = 0; k < tree.size(); ++k)
      for (std::size_t c = 0; c < 4; ++c) ASSERT_NEAR(tree[k][c], want(k, c), 1e-10 * (1 + want(k, c))) << name << " " << k;
    auto const labels = cut_tree(tree, 4);
    EXPECT_EQ(labels[0], 0);
    EXPECT_EQ(*std::max_element(labels.begin(), labels.end()), 3);
    EXPECT_EQ(cut_tree(tree, points.rows).back(), 35);
    EXPECT_EQ(cut_tree(tree, 1).back(), 0);
    EXPECT_THROW((void)cut_tree(tree, 37), Error);
  }
  EXPECT_THROW((void)linkage_of("median"), Error);
}

TEST(KMeans, EqualsScikitLearnsFromTheSameStart) {
  auto const g = testing::reduce_golden();
  auto const& points = g.at("points");
  auto const x = points.floats();
  auto const team = serial_team();
  std::vector<double> const start(points.values.begin(), points.values.begin() + 4 * 12);
  Points const p{x.data(), points.rows, points.cols};
  auto const fit = kmeans_from(p, start, {.clusters = 4}, *team);
  EXPECT_NEAR(fit.inertia, g.at("inertia")(0, 0), 1e-9 * fit.inertia);
  for (std::size_t i = 0; i < points.rows; ++i) EXPECT_EQ(fit.labels[i], g.at("labels")(0, i));
  for (std::size_t i = 0; i < fit.centres.size(); ++i) EXPECT_NEAR(fit.centres[i], g.at("centres").values[i], 1e-9);
  auto const best = kmeans(p, {.clusters = 4, .starts = 20, .seed = 3}, *team);
  EXPECT_LE(best.inertia, fit.inertia * (1 + 1e-12));  // no start of many ends above one
  EXPECT_EQ(kmeans(p, {.clusters = 4, .starts = 20, .seed = 3}, *team).labels, best.labels);
}

TEST(KMeans, AsksBeforeEachPassWhetherToGoOn) {
  auto const g = testing::reduce_golden();
  auto const& points = g.at("points");
  auto const x = points.floats();
  auto const team = serial_team();
  Points const p{x.data(), points.rows, points.cols};
  struct Stop {};
  std::size_t asked = 0;
  KMeansOptions options{.clusters = 4, .starts = 1, .seed = 3};
  auto const whole = kmeans(p, options, *team);
  options.progress = [&](double) { ++asked; };
  EXPECT_EQ(kmeans(p, options, *team).labels, whole.labels);
  std::size_t const all = asked;
  EXPECT_GE(all, 4 + whole.iterations);  // centres of the start, then every iteration
  for (std::size_t const last : {std::size_t{1}, all}) {
    asked = 0;
    options.progress = [&](double) {
      if (++asked == last) throw Stop();
    };
    EXPECT_THROW((void)kmeans(p, options, *team), Stop) << last;
  }
}

TEST(KMeans, FillsClustersThatAreEmptied) {
  auto const team = serial_team();
  std::vector<float> const x{0, 0.1F, 5, 5.1F, 9, 9.2F};
  std::vector<double> const start{0, 1000, 2000};  // two of them are nobody's nearest
  auto const fit = kmeans_from({x.data(), 6, 1}, start, {.clusters = 3}, *team);
  for (std::int32_t c = 0; c < 3; ++c) EXPECT_GT(std::count(fit.labels.begin(), fit.labels.end(), c), 0);
  EXPECT_NEAR(fit.inertia, 25.01, 1e-5);  // the two farthest points became clusters, where Lloyd's steps end
  EXPECT_THROW((void)kmeans({x.data(), 6, 1}, {.clusters = 7}, *team), Error);
  auto bad = x;
  bad[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW((void)kmeans({bad.data(), 6, 1}, {.clusters = 2}, *team), Error);
  EXPECT_THROW((void)distances({bad.data(), 6, 1}, *team), Error);
}

}  // namespace
}  // namespace striate
