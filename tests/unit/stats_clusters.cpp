// Clusters and threshold-free cluster enhancement against scipy.ndimage (tests/golden/make_clusters.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "striate/base/philox.hpp"
#include "striate/stats/clusters.hpp"

namespace striate {
namespace {

constexpr float missing = std::numeric_limits<float>::quiet_NaN();

struct Case {
  std::array<std::uint64_t, 3> shape{};
  int connectivity = 0;
  double threshold = 0;
  std::vector<std::uint64_t> index;
  std::vector<float> map;
  std::vector<double> tfce, label, size, mass;
};

std::vector<double> numbers(std::string const& text) {
  std::istringstream words(text);
  std::vector<double> out;
  for (std::string word; words >> word;) out.push_back(std::strtod(word.c_str(), nullptr));
  return out;
}

std::vector<Case> golden() {
  char const* source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/clusters.txt");
  std::vector<Case> all;
  for (std::string line; std::getline(in, line);) {
    std::istringstream parts(line);
    std::vector<std::vector<double>> p;
    for (std::string part; std::getline(parts, part, '|');) p.push_back(numbers(part));
    p.resize(7);
    Case c;
    for (std::size_t a = 0; a < 3; ++a) c.shape[a] = static_cast<std::uint64_t>(p[0][a]);
    c.connectivity = static_cast<int>(p[0][3]), c.threshold = p[0][4];
    c.index.assign(p[1].begin(), p[1].end());
    c.map.assign(p[2].begin(), p[2].end());
    c.tfce = p[3], c.label = p[4], c.size = p[5], c.mass = p[6];
    all.push_back(c);
  }
  EXPECT_EQ(all.size(), 11U);
  return all;
}

TEST(StatsClusters, TfceIsTheIntegral) {
  for (Case const& c : golden()) {
    auto const neighbours = grid_neighbours(c.shape, c.index, c.connectivity);
    Tfce tfce(neighbours);
    std::vector<double> out(c.map.size());
    for (int twice = 0; twice < 2; ++twice) {  // what a map leaves does not reach the next
      tfce.enhance(c.map, out);
      double most = 0;
      for (std::size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(std::isnan(out[i]), std::isnan(c.map[i]));
        if (std::isnan(out[i])) continue;
        EXPECT_NEAR(out[i], c.tfce[i], 1e-12 * std::max(1.0, c.tfce[i])) << i;
        most = std::max(most, out[i]);
      }
      EXPECT_GT(most, 0);
    }
  }
}

TEST(StatsClusters, LabelsSizesMasses) {
  for (Case const& c : golden()) {
    auto const found = clusters(grid_neighbours(c.shape, c.index, c.connectivity), c.map, c.threshold);
    EXPECT_EQ(std::vector<double>(found.label.begin(), found.label.end()), c.label);
    EXPECT_EQ(std::vector<double>(found.size.begin(), found.size.end()), c.size);
    ASSERT_EQ(found.mass.size(), c.mass.size());
    for (std::size_t k = 0; k < c.mass.size(); ++k) EXPECT_NEAR(found.mass[k], c.mass[k], 1e-12 * c.mass[k]);
  }
}

/// A place's number changes nothing, down to the bits: equal values come in another order, sets are joined in another.
TEST(StatsClusters, TheOrderOfPlacesDoesNotMatter) {
  for (Case const& c : golden()) {
    std::size_t const t = c.map.size();
    std::vector<std::size_t> order(t);
    std::iota(order.begin(), order.end(), std::size_t{0});
    Philox draw(7, 0, 0);
    for (std::size_t i = t; i-- > 1;) std::swap(order[i], order[draw.below(i + 1)]);
    std::vector<std::uint64_t> index;
    std::vector<float> map;
    for (auto i : order) index.push_back(c.index[i]), map.push_back(c.map[i]);
    auto const plain = grid_neighbours(c.shape, c.index, c.connectivity);
    auto const mixed = grid_neighbours(c.shape, index, c.connectivity);
    std::vector<double> a(t), b(t);
    Tfce(plain).enhance(c.map, a);
    Tfce(mixed).enhance(map, b);
    for (std::size_t k = 0; k < t; ++k) EXPECT_EQ(0, std::memcmp(&a[order[k]], &b[k], sizeof(double))) << k;
    EXPECT_EQ(clusters(mixed, map, c.threshold).size, clusters(plain, c.map, c.threshold).size);
  }
}

TEST(StatsClusters, Neighbourhoods) {
  std::vector<std::uint64_t> all(27);
  std::iota(all.begin(), all.end(), std::uint64_t{0});
  for (int connectivity : {6, 18, 26}) {
    auto const n = grid_neighbours({3, 3, 3}, all, connectivity);
    EXPECT_EQ(n.of(13).size(), static_cast<std::size_t>(connectivity));  // the middle
    EXPECT_EQ(n.of(0).size(), connectivity == 6 ? 3U : connectivity == 18 ? 6U : 7U);
  }
  std::vector<std::uint64_t> const ends{0, 2, 26};  // a line's two ends and a far corner: no neighbours
  EXPECT_TRUE(grid_neighbours({3, 3, 3}, ends, 26).list.empty());
}

TEST(StatsClusters, OneHeightOfOnePlaceAndNothing) {
  std::vector<std::uint64_t> const index{0, 1, 2};
  auto const line = grid_neighbours({3, 1, 1}, index, 6);
  std::vector<double> out(3);
  Tfce(line).enhance(std::vector<float>{3, missing, 3}, out);  // what is missing keeps its neighbours apart
  EXPECT_DOUBLE_EQ(out[0], 9);
  EXPECT_TRUE(std::isnan(out[1]));
  EXPECT_DOUBLE_EQ(out[2], 9);
  Tfce(line).enhance(std::vector<float>{-1, 0, -3}, out);
  EXPECT_EQ(out, (std::vector<double>{0, 0, 0}));
  Tfce(line, 1, 0).enhance(std::vector<float>{1, 2, 1}, out);  // ∫ size dh
  EXPECT_EQ(out, (std::vector<double>{3, 4, 3}));
  EXPECT_TRUE(clusters(line, std::vector<float>{missing, missing, missing}, 0.1).size.empty());
}

}  // namespace
}  // namespace striate
