// Torchvision's networks, exported with seeded weights by tools/export_network.py: every layer of their cards equals
// Python torch's eager hooks, whole and against the committed samples; passes at the same time do not change a bit.
#include <array>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <sstream>
#include <thread>

#include "../../src/net/memory.hpp"
#include "net_test.hpp"
#include "striate/par/threads.hpp"

using namespace striate;
using namespace striate::testing;

namespace {

constexpr char const* no_python =
    "SKIPPED: /usr/bin/python3 has no torch, torchvision and yaml (Debian: python3-torchvision), so nothing was "
    "compared "
    "with Python";

bool python_has_torch() {
  static bool const has = std::system("/usr/bin/python3 -c 'import torch, torchvision, yaml' >/dev/null 2>&1") == 0;
  return has;
}

void python(std::string const& arguments) {
  std::string const command = "/usr/bin/python3 " + arguments + " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

std::vector<float> read_floats(fs::path const& path) {
  std::vector<float> out(fs::file_size(path) / sizeof(float));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size() * sizeof(float)));
  return out;
}

struct Case {
  std::string network;
  bool traced;
};

void compare_with_sample(std::vector<float> const& got, nlohmann::json const& sample, std::string const& layer) {
  double const range = sample["max"].get<double>() - sample["min"].get<double>();
  auto const [low, high] = std::minmax_element(got.begin(), got.end());
  EXPECT_NEAR(*low, sample["min"].get<double>(), 1e-4 * range) << layer;
  EXPECT_NEAR(*high, sample["max"].get<double>(), 1e-4 * range) << layer;
  double mean = 0;
  for (float const v : got) mean += v;
  EXPECT_NEAR(mean / static_cast<double>(got.size()), sample["mean"].get<double>(), 1e-4 * range) << layer;
  auto const values = sample["values"].get<std::vector<double>>();
  for (std::size_t j = 0; j < values.size(); ++j)
    EXPECT_NEAR(got[(2 * j + 1) * got.size() / 128], values[j], 1e-4 * range) << layer << " sample " << j;
}

}  // namespace

class Torchvision : public ::testing::TestWithParam<Case> {};

TEST_P(Torchvision, EveryCardLayerEqualsEagerHooks) {
  if (!python_has_torch()) GTEST_SKIP() << no_python;
  auto const& [name, traced] = GetParam();
  TempDir const dir;
  python((source_dir() / "tests/golden/make_networks.py").string() + " --dump " + name + " " + dir.path().string() +
         (traced ? " --trace" : ""));
  Card const card = find_card(name, source_dir());
  Network const network(dir / (name + ".ts.pt"), resolve_layers({"all"}, card), card.preprocessing, {.device = "cpu"});
  Captured const got = run(network, golden_image(2 * 3 * card.preprocessing.height * card.preprocessing.width), 2);
  auto const hooked = read_json(dir / "layers.json");
  auto const samples = read_json(golden("torchvision.json"));
  bool const same_torch = hooked["torch"] == samples["torch"];
  ASSERT_EQ(hooked["layers"].size(), card.layers.size());
  for (auto const& about : network.layers()) {
    auto const expected = read_floats(dir / (about.name + ".f32"));
    auto shape = hooked["layers"][about.name].get<std::vector<std::size_t>>();
    shape.erase(shape.begin());
    if (shape.size() == 1) shape = {shape[0], 1, 1};
    EXPECT_EQ(about.shape, shape) << about.name;
    ASSERT_EQ(got.at(about.name).size(), expected.size()) << about.name;
    EXPECT_LE(relative_difference(got.at(about.name).data(), expected.data(), expected.size()), 1e-4) << about.name;
    if (same_torch && !traced)
      compare_with_sample(got.at(about.name), samples["networks"][name][about.name], about.name);
  }
  if (!same_torch)
    std::printf("NOTE: the committed samples are of torch %s, this is %s: compared with hooks run now alone\n",
                samples["torch"].get<std::string>().c_str(), hooked["torch"].get<std::string>().c_str());
}
INSTANTIATE_TEST_SUITE_P(Networks, Torchvision,
                         ::testing::Values(Case{"alexnet", false}, Case{"resnet18", false}, Case{"resnet18", true},
                                           Case{"googlenet", false}, Case{"inception_v3", false},
                                           Case{"squeezenet1_0", false}, Case{"squeezenet1_0", true},
                                           Case{"mobilenet_v2", false}, Case{"vgg11_bn", false}),
                         [](auto const& info) { return info.param.network + (info.param.traced ? "_traced" : ""); });

namespace {

/// name:form:size of the input. Sizes are small where the network takes any.
std::vector<std::string> every_kind_of_network() {
  return {"densenet121:auto:3x64x64",     "convnext_tiny:auto:3x64x64",      "vit_b_32:auto:3x224x224",
          "vit_b_32:trace:3x224x224",     "clip_rn50:auto:3x224x224",        "clip_vit_b_32:auto:3x224x224",
          "cornet_s:auto:3x64x64",        "cornet_rt:auto:3x64x64",          "efficientnet_b0:auto:3x64x64",
          "regnet_y_400mf:auto:3x64x64",  "mnasnet1_0:auto:3x64x64",         "shufflenet_v2_x1_0:auto:3x64x64",
          "resnext50_32x4d:auto:3x64x64", "mobilenet_v3_small:auto:3x64x64", "r3d_18:auto:3x4x32x32",
          "vggish:auto:1x96x64"};
}

void compare_with_hooks(fs::path const& place, std::string const& name, std::vector<std::size_t> const& input) {
  Card const card = find_card(name, source_dir());
  Network const network(place / "network.ts.pt", resolve_layers({"all"}, card), input, {.device = "cpu"});
  std::size_t floats = 2;
  for (std::size_t const extent : input) floats *= extent;
  Captured const got = run(network, golden_image(floats), 2);
  auto const hooked = read_json(place / "layers.json");
  EXPECT_EQ(hooked["layers"].size(), card.layers.size()) << name;
  for (auto const& about : network.layers()) {
    auto const expected = read_floats(place / (about.name + ".f32"));
    auto shape = hooked["layers"][about.name].get<std::vector<std::size_t>>();
    shape.erase(shape.begin());
    if (shape.size() == 1) shape = {shape[0], 1, 1};
    EXPECT_EQ(about.shape, shape) << name << " " << about.name;
    ASSERT_EQ(got.at(about.name).size(), expected.size()) << name << " " << about.name;
    EXPECT_LE(relative_difference(got.at(about.name).data(), expected.data(), expected.size()), 1e-4)
        << name << " " << about.name;
  }
}

}  // namespace

// The other cards, one network of each kind; STRIATE_NETWORKS="NAME:FORM:AxBxC …" asks for others.
TEST(EveryKindOfNetwork, EqualsEagerHooks) {
  if (!python_has_torch()) GTEST_SKIP() << no_python;
  TempDir const dir;
  std::string command = "/usr/bin/python3 " + (source_dir() / "tests/golden/make_networks.py").string() +
                        " --dump-each " + dir.path().string();
  std::istringstream asked(std::getenv("STRIATE_NETWORKS") != nullptr ? std::getenv("STRIATE_NETWORKS") : "");
  std::vector<std::string> wanted{std::istream_iterator<std::string>(asked), {}};
  if (wanted.empty()) wanted = every_kind_of_network();
  for (auto const& one : wanted) command += " " + one;
  FILE* const said = popen((command + " 2>/dev/null").c_str(), "r");
  ASSERT_NE(said, nullptr);
  std::array<char, 256> line{};
  for (auto const& one : wanted) {
    if (std::fgets(line.data(), line.size(), said) == nullptr) {
      ADD_FAILURE() << "make_networks.py --dump-each gave up at " << one;
      break;
    }
    std::string const name = one.substr(0, one.find(':'));
    EXPECT_EQ(std::string(line.data()).substr(0, name.size() + 1), name + " ");
    std::vector<std::size_t> input;
    std::istringstream size(one.substr(one.rfind(':') + 1));
    for (std::string extent; std::getline(size, extent, 'x');) input.push_back(std::stoul(extent));
    compare_with_hooks(dir / name, name, input);
    fs::remove_all(dir / name);  // and the next one comes
  }
  EXPECT_EQ(pclose(said), 0);
}

namespace {

fs::path export_squeezenet(TempDir const& dir) {
  fs::path const file = dir / "squeezenet1_0.ts.pt";
  python((source_dir() / "tools/export_network.py").string() + " squeezenet1_0 --seed 1 --out " + file.string());
  return file;
}

}  // namespace

TEST(NetThreads, PassesAtTheSameTimeDoNotChangeABit) {
  if (!python_has_torch()) GTEST_SKIP() << no_python;
  TempDir const dir;
  Card const card = find_card("squeezenet1_0", source_dir());
  Network const network(export_squeezenet(dir), resolve_layers({"all"}, card), card.preprocessing, {.device = "cpu"});
  auto const pixels = golden_image(4 * 3 * 224 * 224);
  Captured const alone = run(network, pixels, 4);
  set_threads(4);  // OpenMP's default, as the program sets it: must not matter
  std::vector<Captured> results(4);
  std::vector<std::thread> team;
  for (auto& result : results)
    team.emplace_back([&] {
      for (int turn = 0; turn < 2; ++turn) result = run(network, pixels, 4);
    });
  for (auto& thread : team) thread.join();
  results.push_back(run(network, pixels, 4));
  for (auto const& result : results)
    for (auto const& [layer, values] : alone)
      EXPECT_EQ(std::memcmp(values.data(), result.at(layer).data(), values.size() * sizeof(float)), 0) << layer;
}

TEST(NetMemory, IsKeptBetweenPassesAndGivenBack) {
  if (!python_has_torch()) GTEST_SKIP() << no_python;
  TempDir const dir;
  Card const card = find_card("squeezenet1_0", source_dir());
  auto const pixels = golden_image(4 * 3 * 224 * 224);
  net::release_kept_memory();  // what the tests before left
  {
    Network const network(export_squeezenet(dir), resolve_layers({"all"}, card), card.preprocessing, {.device = "cpu"});
    EXPECT_GT(network.bytes_per_stimulus(), 4.0 * 96 * 109 * 109);  // conv1's output alone
    EXPECT_LT(network.bytes_per_stimulus(), 400e6);
    for (int turn = 0; turn < 2; ++turn) (void)run(network, pixels, 4);
    auto const fresh = net::fresh_blocks();
    auto const kept = net::tensor_bytes_kept();
    for (int turn = 0; turn < 3; ++turn) (void)run(network, pixels, 4);
    EXPECT_EQ(net::fresh_blocks(), fresh) << "passes of one size take no new memory";
    EXPECT_EQ(net::tensor_bytes_kept(), kept);
    for (std::size_t rows = 1; rows <= 4; ++rows) (void)run(network, pixels, rows);
    EXPECT_LT(static_cast<double>(net::tensor_bytes_kept()), 20 * network.bytes_per_stimulus());
  }
  net::release_kept_memory();
  EXPECT_EQ(net::tensor_bytes_kept(), 0);
}
