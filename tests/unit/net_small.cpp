// Small hand-made networks (tests/golden/make_networks.py): what the taps hand out equals Python's eager hooks.
#include "net_test.hpp"

using namespace striate;
using namespace striate::testing;

namespace {

struct Form {
  std::string network, form;
};

std::vector<Form> forms() {
  std::vector<Form> out;
  auto const golden_file = read_json(golden("small.json"));
  for (auto const& [name, network] : golden_file["networks"].items())
    for (auto const& form : network["forms"]) out.push_back({name, form.get<std::string>()});
  return out;
}

fs::path file_of(Form const& f) { return golden(f.network + "." + f.form + ".ts.pt"); }

std::vector<std::size_t> stored_shape(std::vector<std::size_t> shape) {
  shape.erase(shape.begin());
  if (shape.size() == 1) shape = {shape[0], 1, 1};
  return shape;
}

Network open_small(std::string const& file, std::vector<std::string> const& layers, Pool pool = Pool::none) {
  std::vector<LayerRequest> requests;
  for (auto const& layer : layers) requests.push_back({layer, layer});
  return {golden(file), requests, input_of(8, 8), {.device = "cpu", .pool = pool}};
}

}  // namespace

class SmallNetwork : public ::testing::TestWithParam<Form> {};

// Every output, one at a time (so that the graph is cut behind each in turn) and all at once.
TEST_P(SmallNetwork, LayersEqualEagerHooks) {
  auto const expected = read_json(golden("small.json"))["networks"][GetParam().network]["layers"];
  auto const pixels = golden_image(2 * 3 * 8 * 8);
  std::vector<std::string> all;
  for (auto const& [layer, value] : expected.items()) all.push_back(layer);
  std::vector<std::vector<std::string>> askings{all};
  for (auto const& layer : all) askings.push_back({layer});
  for (auto const& asked : askings) {
    std::vector<LayerRequest> requests;
    for (auto const& layer : asked) requests.push_back({layer, layer});
    Network const network(file_of(GetParam()), requests, input_of(8, 8), {.device = "cpu"});
    Captured const got = run(network, pixels, 2);
    for (auto const& layer : asked) {
      auto const values = expected[layer]["values"].get<std::vector<float>>();
      ASSERT_EQ(got.at(layer).size(), values.size()) << layer;
      EXPECT_LE(relative_difference(got.at(layer).data(), values.data(), values.size()), 2e-6) << layer;
    }
    for (std::size_t i = 0; i < asked.size(); ++i) {
      EXPECT_EQ(network.layers()[i].name, asked[i]);
      EXPECT_EQ(network.layers()[i].shape, stored_shape(expected[asked[i]]["shape"].get<std::vector<std::size_t>>()));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Forms, SmallNetwork, ::testing::ValuesIn(forms()),
                         [](auto const& info) { return info.param.network + "_" + info.param.form; });

TEST(NetSmall, AxesFollowTheRank) {
  Network const tokens = open_small("tokens.traced.ts.pt", {"blocks.1", "head", "patch"});
  EXPECT_EQ(tokens.layers()[0].axes, "token feature");
  EXPECT_EQ(tokens.layers()[0].shape, (std::vector<std::size_t>{5, 6}));
  EXPECT_EQ(tokens.layers()[1].axes, "feature row column");
  EXPECT_EQ(tokens.layers()[2].axes, "channel row column");
  Network const video = open_small("video.scripted.ts.pt", {"lift"});
  EXPECT_EQ(video.layers()[0].axes, "channel frame row column");
  EXPECT_EQ(video.layers()[0].shape, (std::vector<std::size_t>{2, 2, 6, 6}));
}

TEST(NetSmall, SinkIsCalledInOrderOfExecution) {
  Network const network = open_small("reused.scripted.ts.pt", {"relu#2", "second", "first", "relu#0"});
  std::vector<std::string> order;
  network.forward(golden_image(192).data(), 1,
                  [&](std::size_t layer, float const*) { order.push_back(network.layers()[layer].name); });
  EXPECT_EQ(order, (std::vector<std::string>{"first", "relu#0", "second", "relu#2"}));
}

TEST(NetSmall, TwoNamesMayMeanOneModule) {
  Network const network(golden("reused.scripted.ts.pt"), {{"a", "first"}, {"b", "first"}}, input_of(8, 8), {});
  Captured const got = run(network, golden_image(384), 2);
  EXPECT_EQ(got.at("a"), got.at("b"));
}

// Rectifiers without a module: operators of the graph, numbered in order of execution.
TEST(NetSmall, OperatorsMayBeAsked) {
  auto const expected = read_json(golden("small.json"))["networks"]["functional"]["layers"];
  for (std::string const form : {"scripted", "traced"}) {
    Network const network = open_small("functional." + form + ".ts.pt", {"a", "aten::relu#0", "aten::relu#1"});
    Captured const got = run(network, golden_image(384), 2);
    for (std::size_t i = 0; i < got.at("a").size(); ++i)
      ASSERT_EQ(got.at("aten::relu#0")[i], std::max(got.at("a")[i], 0.0F));
    auto const last = expected["output"]["values"].get<std::vector<float>>();
    EXPECT_LE(relative_difference(got.at("aten::relu#1").data(), last.data(), last.size()), 2e-6);
  }
}

TEST(NetSmall, AllModulesWithoutACard) {
  Card const card;
  auto const requests = resolve_layers({"all"}, card);
  Network const network(golden("reused.scripted.ts.pt"), requests, input_of(8, 8), {});
  std::vector<std::string> names;
  for (auto const& layer : network.layers()) names.push_back(layer.name);
  EXPECT_EQ(names, (std::vector<std::string>{"first", "relu#0", "second", "relu#1", "relu#2"}));
  EXPECT_EQ(run(network, golden_image(384), 2).size(), 5U);
  // What gives no tensor, or not one row a stimulus, is left out: every layer that is left can be stored.
  Network const branches(golden("branches.scripted.ts.pt"), requests, input_of(8, 8), {});
  EXPECT_EQ(branches.layers().size(), 5U);  // yes, step three times, after
}

TEST(NetSmall, PatternsMeanModules) {
  auto const names = [](std::string const& pattern) {
    std::vector<std::string> out;
    Network const network(golden("inplace.scripted.ts.pt"), {{pattern, pattern}}, input_of(8, 8), {});
    for (auto const& layer : network.layers()) out.push_back(layer.name);
    return out;
  };
  auto all = names("*");
  std::erase_if(all, [](std::string const& name) { return name.rfind("features.", 0) != 0; });
  EXPECT_GT(all.size(), 1U);
  EXPECT_EQ(names("features.*"), all);
  EXPECT_EQ(names("*.0"), (std::vector<std::string>{"features.0"}));
  expect_error([&] { (void)names("layer9.*"); }, Exit::data, "layer9.* is matched by no layer of the card and by no module");
}

TEST(NetSmall, ModulePaths) {
  auto const paths = module_paths(golden("inplace.scripted.ts.pt"));
  ASSERT_EQ(paths.size(), 5U);
  EXPECT_EQ(paths[0], (std::pair<std::string, std::string>("features", "Sequential")));
  EXPECT_EQ(paths[1].first, "features.0");
  EXPECT_EQ(paths[1].second, "Conv2d");
}

TEST(NetPool, VectorNormsOverSpace) {
  Network const plain = open_small("inplace.scripted.ts.pt", {"features.0"});
  Captured const whole = run(plain, golden_image(384), 2);
  std::size_t const maps = 2 * 4, space = 36;
  struct Case {
    Pool pool;
    std::function<double(std::vector<double>)> expected;
  };
  auto const sum = [](std::vector<double> const& v, auto f) {
    double s = 0;
    for (double const x : v) s += f(x);
    return s;
  };
  std::vector<Case> const cases{
      {Pool::max, [](auto v) { return *std::max_element(v.begin(), v.end()); }},
      {Pool::mean, [&](auto v) { return sum(v, [](double x) { return x; }) / static_cast<double>(v.size()); }},
      {Pool::median, [](auto v) { return std::sort(v.begin(), v.end()), (v[17] + v[18]) / 2; }},
      {Pool::l1, [&](auto v) { return sum(v, [](double x) { return std::abs(x); }); }},
      {Pool::l2, [&](auto v) { return std::sqrt(sum(v, [](double x) { return x * x; })); }}};
  for (auto const& c : cases) {
    Network const network = open_small("inplace.scripted.ts.pt", {"features.0"}, c.pool);
    EXPECT_EQ(network.layers()[0].shape, (std::vector<std::size_t>{4, 1, 1}));
    Captured const got = run(network, golden_image(384), 2);
    for (std::size_t m = 0; m < maps; ++m) {
      auto const* map = whole.at("features.0").data() + m * space;
      EXPECT_NEAR(got.at("features.0")[m], c.expected(std::vector<double>(map, map + space)), 2e-5)
          << static_cast<int>(c.pool) << " of map " << m;
    }
  }
}

TEST(NetPool, LeavesLayersWithoutSpace) {
  Network const network = open_small("tokens.scripted.ts.pt", {"blocks.0", "head", "patch"}, Pool::mean);
  EXPECT_EQ(network.layers()[0].shape, (std::vector<std::size_t>{5, 6}));
  EXPECT_EQ(network.layers()[1].shape, (std::vector<std::size_t>{5, 1, 1}));
  EXPECT_EQ(network.layers()[2].shape, (std::vector<std::size_t>{6, 1, 1}));
}
