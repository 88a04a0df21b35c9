#include <gtest/gtest.h>

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>

#include "../store_temp.hpp"
#include "striate/store/h5.hpp"
#include "striate/store/reduction_file.hpp"

namespace striate {
namespace {

std::vector<float> values(std::size_t n, unsigned seed) {
  std::mt19937 draw(seed);
  std::vector<float> x(n);
  for (auto& v : x) v = static_cast<float>(draw() / 4294967296.0 - 0.3);
  return x;
}

SavedReduction fitted(std::string const& name, LayerAxis axis) {
  std::size_t const n = 30;
  SavedReduction r{.layer = name, .input = {{5, 3, 2}, "channel row column"}, .method = "pca", .axis = axis};
  AxisCut const cut(r.input, axis);
  auto const team = serial_team();
  for (std::size_t i = 0; i < cut.iterations; ++i) {
    auto const x = values(n * cut.length, static_cast<unsigned>(i));
    r.fits.push_back(exact_pca(*memory_source({x.data(), n, cut.length}), {.count = 3}, *team));
  }
  r.whiten = axis == LayerAxis::channel;
  return r;
}

TEST(ReductionFile, ReturnsWhatWasWritten) {
  TempFolder const folder("reduction_file_" + std::to_string(getpid()));
  std::vector<SavedReduction> all{fitted("whole", LayerAxis::whole), fitted("chn", LayerAxis::channel),
                                  fitted("pos", LayerAxis::position)};
  all.push_back({.layer = "rp", .input = {{5, 3, 2}, "channel row column"}, .method = "gaussian",
                 .projection = {ProjectionKind::gaussian, 7, 0, 0xFFFFFFFFFFFFFFF0ULL, "rp"}});
  all.push_back({.layer = "srp", .input = {{5, 3, 2}, "channel row column"}, .method = "sparse",
                 .projection = {ProjectionKind::sparse, 7, 1.0 / 3, 5, "other"}});
  auto const file = folder / "m.pca.h5";
  write_reductions(file, all, {{{"network", "toy"}}, {{"seed", 1}}});
  EXPECT_EQ(read_reduction_file(file).identity["seed"], 1);
  EXPECT_EQ(read_reduction_file(file).attributes.at("network"), "toy");
  EXPECT_EQ(reduction_layers(file), (std::vector<std::string>{"whole", "chn", "pos", "rp", "srp"}));
  auto const x = values(4 * 30, 99);
  for (auto const& r : all) {
    auto const stage = reduction_stage(r), again = saved_stage(file, r.layer, r.input);
    ASSERT_EQ(stage->output().shape, again->output().shape);
    std::vector<float> a(4 * stage->output().units()), b(a.size());
    stage->apply(x.data(), 4, a.data());
    again->apply(x.data(), 4, b.data());
    EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * 4)) << r.layer;
  }
  EXPECT_EQ(read_reduction(file, "pos").fits.size(), 5U);
  EXPECT_EQ(read_reduction(file, "chn").fits[2].mean, all[1].fits[2].mean);
}

TEST(ReductionFile, RefusesWhatDoesNotFit) {
  TempFolder const folder("reduction_bad_" + std::to_string(getpid()));
  auto const file = folder / "m.pca.h5";
  write_reductions(file, {fitted("conv5", LayerAxis::whole)}, {});
  auto const other = error_of([&] { (void)saved_stage(file, "conv5", {{6, 3, 2}, "channel row column"}); });
  EXPECT_EQ(other.code(), Exit::data);
  EXPECT_NE(std::string(other.what()).find("5 × 3 × 2"), std::string::npos) << other.what();
  auto const name = error_of([&] { (void)saved_stage(file, "conv55", {{5, 3, 2}, ""}); });
  EXPECT_NE(std::string(name.what()).find("did you mean `conv5`"), std::string::npos) << name.what();
  EXPECT_EQ(error_of([&] { (void)saved_stage(folder / "none.pca.h5", "conv5", {}); }).code(), Exit::no_input);
  std::ofstream(folder / "text.pca.h5") << "text";
  EXPECT_EQ(error_of([&] { (void)saved_stage(folder / "text.pca.h5", "conv5", {}); }).code(), Exit::data);
  h5::File::create({}, folder / "plain.h5").close();
  EXPECT_EQ(error_of([&] { (void)saved_stage(folder / "plain.h5", "conv5", {}); }).code(), Exit::data);
}

}  // namespace
}  // namespace striate
