// Network cards: those that are shipped, what a card may say, and what is wrong with a wrong one.
#include <set>

#include "net_test.hpp"

using namespace striate;
using namespace striate::testing;

namespace {

std::vector<std::string> shipped() {
  std::vector<std::string> out;
  for (auto const& entry : fs::directory_iterator(source_dir() / "configs" / "networks"))
    if (entry.path().extension() == ".yaml") out.push_back(entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> names(std::vector<LayerRequest> const& requests) {
  std::vector<std::string> out;
  for (auto const& request : requests) out.push_back(request.name);
  return out;
}

Card card_of(std::string const& text) {
  TempDir const dir;
  write_file(dir / "mine.yaml", text);
  return read_card(dir / "mine.yaml");
}

}  // namespace

class ShippedCard : public ::testing::TestWithParam<std::string> {};

// That its paths are modules and its preprocessing is torchvision's is looked at by tests/flow/test_networks.py.
TEST_P(ShippedCard, IsWhole) {
  Card const card = find_card(GetParam(), "/nonexistent");
  EXPECT_EQ(card.name, GetParam());
  EXPECT_EQ(card.weights, GetParam() + ".ts.pt");
  EXPECT_FALSE(card.source.empty());
  EXPECT_FALSE(card.layers.empty());
  std::set<std::string> paths;
  for (auto const& [name, path] : card.layers) EXPECT_TRUE(paths.insert(path).second) << path << " has two names";
  EXPECT_FALSE(card.presets.empty());
  for (auto const& [preset, members] : card.presets)
    EXPECT_EQ(names(resolve_layers({"preset:" + preset}, card)), members);
  EXPECT_EQ(resolve_layers({"all"}, card).size(), card.layers.size());
}
INSTANTIATE_TEST_SUITE_P(Networks, ShippedCard, ::testing::ValuesIn(shipped()),
                         [](auto const& info) { return info.param; });

TEST(Cards, AreShippedForTheNetworksOfTheManual) {
  auto const there = shipped();
  for (std::string const name :
       {"alexnet",        "clip_rn50",     "clip_vit_b_16", "clip_vit_b_32", "convnext_base", "convnext_large",
        "convnext_small", "convnext_tiny", "cornet_rt",     "cornet_s",      "densenet121",   "densenet161",
        "densenet169",    "densenet201",   "googlenet",     "inception_v3",  "mobilenet_v2",  "resnet101",
        "resnet152",      "resnet18",      "resnet50",      "squeezenet1_0", "squeezenet1_1", "vgg11",
        "vgg11_bn",       "vgg16",         "vgg16_bn",      "vgg19",         "vgg19_bn",      "vgg_face",
        "vit_b_16",       "vit_b_32",      "vit_l_16"})
    EXPECT_NE(std::find(there.begin(), there.end(), name), there.end()) << name;
}

TEST(Cards, HebartsPresets) {
  Card const alexnet = find_card("alexnet", ".");
  EXPECT_EQ(names(resolve_layers({"preset:hebart7"}, alexnet)),
            (std::vector<std::string>{"conv1_relu", "conv2_relu", "conv3_relu", "conv4_relu", "conv5_relu", "fc1_relu",
                                      "fc2_relu"}));
  EXPECT_EQ(resolve_layers({"preset:hebart17"}, find_card("resnet50", ".")).size(), 17U);
  EXPECT_EQ(names(resolve_layers({"preset:hebart7_pool"}, find_card("vgg16", "."))),
            (std::vector<std::string>{"conv2_maxpool", "conv4_maxpool", "conv7_maxpool", "conv10_maxpool",
                                      "conv13_maxpool", "fc1_relu", "fc2_relu"}));
}

// DNNBrain's card of vgg19_bn has these two the wrong way round.
TEST(Cards, Vgg19NormalisationComesBeforeTheRectifier) {
  auto const requests = resolve_layers({"conv1_bn", "conv1_relu"}, find_card("vgg19_bn", "."));
  EXPECT_EQ(requests[0].path, "features.1");
  EXPECT_EQ(requests[1].path, "features.2");
}

TEST(Cards, SecondNamesAndModulePaths) {
  auto const requests = resolve_layers({"conv1", "fc6", "features.3", "output"}, find_card("alexnet", "."));
  EXPECT_EQ(names(requests), (std::vector<std::string>{"conv1", "fc6", "features.3", "output"}));
  EXPECT_EQ(requests[1].path, "classifier.1");
  EXPECT_EQ(requests[2].path, "features.3");
}

TEST(Cards, Preprocessing) {
  auto const squash =
      card_of(
          "name: a\ninput: {size: [50, 60], channels: bgr}\n"
          "preprocessing: {resize: [50, 60], mode: bicubic, scale: 1, mean: [1, 2, 3], std: [4, 5, 6]}\n")
          .preprocessing;
  EXPECT_EQ(squash.resize, Preprocessing::Resize::squash);
  EXPECT_EQ(squash.resize_width, 60U);
  EXPECT_EQ(squash.mode, "bicubic");
  EXPECT_TRUE(squash.bgr);
  EXPECT_EQ(squash.scale, 1);
  EXPECT_EQ(squash.std, (std::vector<double>{4, 5, 6}));
  auto const plain = card_of("input: {size: [112, 112]}\npreprocessing: {resize: none, crop: none}\n").preprocessing;
  EXPECT_EQ(plain.resize, Preprocessing::Resize::none);
  EXPECT_EQ(plain.crop, Preprocessing::Crop::none);
  EXPECT_EQ(plain.height, 112U);
  EXPECT_EQ(plain.mean, (std::vector<double>{0, 0, 0}));
  auto const eighths =
      card_of("input: {channels: grey}\npreprocessing: {crop: 7/8, mean: 0.5, std: 0.2}\n").preprocessing;
  EXPECT_EQ(eighths.crop, Preprocessing::Crop::seven_eighths);
  EXPECT_EQ(eighths.channels(), 1U);
  EXPECT_EQ(eighths.mean, (std::vector<double>{0.5}));
}

TEST(Cards, AreFoundBesideTheConfigAndInStriateCards) {
  TempDir const beside, elsewhere;
  write_file(beside / "alexnet.yaml", "name: alexnet\nsource: mine\nlayers: {conv1: features.0}\n");
  write_file(elsewhere / "special.yaml", "source: elsewhere\n");
  EXPECT_EQ(find_card("alexnet", beside.path()).source, "mine");
  EXPECT_EQ(find_card("alexnet.yaml", beside.path()).source, "mine");
  setenv("STRIATE_CARDS", ("/nonexistent:" + elsewhere.path().string()).c_str(), 1);
  EXPECT_EQ(find_card("special", beside.path()).source, "elsewhere");
  EXPECT_EQ(find_card("special", beside.path()).name, "special");
  unsetenv("STRIATE_CARDS");
  expect_error([&] { (void)find_card("special", beside.path()); }, Exit::no_input,
               "searched: " + beside.path().string());
}

TEST(Cards, AConfigOfTheNetworksNameIsNoCard) {
  TempDir const beside;
  for (auto const* text :
       {"stimuli: a.stim.csv\nnetwork: alexnet\nlayers: [conv1]\noutput: act.h5\n", "layers: [conv1]\noutput: act.h5\n",
        "features: {store: act.h5}\n", "- a\n", "{a: [b\n", ""}) {
    write_file(beside / "alexnet.yaml", text);
    EXPECT_NE(find_card("alexnet", beside.path()).file.parent_path(), beside.path()) << text;
  }
  write_file(beside / "alexnet.yaml", "input: {size: [64, 64]}\n");
  EXPECT_EQ(find_card("alexnet", beside.path()).file, beside / "alexnet.yaml");
}

TEST(Cards, Errors) {
  expect_error([] { (void)find_card("alexnett", "."); }, Exit::no_input, "did you mean `alexnet`?");
  expect_error([] { (void)find_card("cards/none.yaml", "/tmp"); }, Exit::no_input,
               "/tmp/cards/none.yaml does not exist");
  struct Case {
    std::string text, message;
  };
  for (auto const& c : std::vector<Case>{
           {"", "is empty"},
           {"- a\n", "must be a mapping"},
           {"name: a\nlayers: {a: [b\n", "is not YAML"},
           {"name: a\nlayer: {a: b}\n", "mine.yaml: line 2: layer: is no key of a card; did you mean `layers`?"},
           {"preprocessing: {resice: 2}\n", "preprocessing.resice: is no key of a card; did you mean `resize`?"},
           {"input: {size: 224}\n", "line 1: input.size: must be [height, width]"},
           {"input: {size: [0, 4]}\n", "from 1 to 16384"},
           {"input: {channels: rgba}\n", "`rgba` is none of rgb | bgr | grey"},
           {"preprocessing: {resize: small}\n", "preprocessing.resize: must be a whole number of pixels"},
           {"preprocessing: {resize: [1, 2, 3]}\n", "must be none, N (shorter side) or [height, width]"},
           {"preprocessing: {resize: [100, 100]}\n", "differs from input.size"},
           {"preprocessing: {crop: centre}\n", "`centre` is none of none | center | 7/8"},
           {"preprocessing: {mean: [1, 2]}\n", "has 2 numbers for 3 channels"},
           {"preprocessing: {std: [1, 0, 1]}\n", "must be numbers above 0"},
           {"preprocessing: {mean: [a, b, c]}\n", "must be a list of numbers"},
           {"preprocessing: {scale: 0}\n", "one number other than 0"},
           {"layers: [conv1]\n", "must be a mapping of names to module paths"},
           {"layers: {a: [b]}\n", "layers.a: must be a module path"},
           {"layers:\n  a: x\n  a: y\n", "line 3: layers.a: stands here twice"},
           {"layers: {all: x}\n", "is a name that `layers:` gives a meaning"},
           {"layers: {a/b: x}\n", "cannot be the name of a dataset"},
           {"layers: {conv1: x}\npresets: {p: [conv2]}\n", "`conv2` is no layer of this card; did you mean `conv1`?"},
           {"layers: {conv1: x}\npresets: {p: conv1}\n", "must be a list of layers"},
           {"layers: {conv1: x}\naliases: {c: conv3}\n", "did you mean `conv1`?"},
           {"layers: {conv1: x}\naliases: {conv1: conv1}\n", "is the name of a layer already"}})
    expect_error([&] { (void)card_of(c.text); }, Exit::config, c.message);
}

TEST(Cards, LayersOfAConfig) {
  Card const card = find_card("alexnet", ".");
  expect_error([&] { (void)resolve_layers({"conv1", "conv1"}, card); }, Exit::config, "conv1 is asked for twice");
  expect_error([&] { (void)resolve_layers({"conv1_relu", "preset:hebart7"}, card); }, Exit::config, "asked for twice");
  expect_error([&] { (void)resolve_layers({"preset:hebart8"}, card); }, Exit::config, "did you mean `preset:hebart7`?");
  expect_error([&] { (void)resolve_layers({"preset:x"}, Card{}); }, Exit::config, "it has none");
  expect_error([&] { (void)resolve_layers({""}, card); }, Exit::config, "an empty name");
}
