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
  EXPECT_TRUE(card.weights.starts_with(GetParam()) && card.weights.ends_with(".ts.pt")) << card.weights;
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

TEST(Cards, InputsOfEveryKind) {
  using Shape = std::vector<std::size_t>;
  using Kind = InputForm::Kind;
  EXPECT_EQ(card_of("input: {channels: grey}\n").input_shape(), (Shape{1, 224, 224}));
  auto const clip = card_of(
      "input: {kind: clip, size: [112, 112], frames: 16, rate: 12.5}\n"
      "preprocessing: {resize: [128, 171], crop: center, mean: [1, 2, 3], std: [4, 5, 6]}\n");
  EXPECT_EQ(clip.input.kind, Kind::clip);
  EXPECT_EQ(clip.input_shape(), (Shape{3, 16, 112, 112}));
  EXPECT_EQ(clip.input.rate, 12.5);
  EXPECT_EQ(clip.preprocessing.mean[2], 3);
  EXPECT_EQ(card_of("input: {kind: clip, frames: 8, axes: [frame, channel, row, column]}\n").input_shape(),
            (Shape{8, 3, 224, 224}));
  EXPECT_EQ(card_of("input: {kind: audio, rate: 16000, samples: 15600}\n").input_shape(), (Shape{15600}));
  EXPECT_EQ(card_of("input: {kind: audio, rate: 16000, shape: [1, 15600]}\n").input_shape(), (Shape{1, 15600}));
  auto const vggish = card_of("input: {kind: mel, preset: vggish}\n");
  EXPECT_EQ(vggish.input_shape(), (Shape{1, 96, 64}));
  EXPECT_EQ(vggish.input.samples, 15600U);
  EXPECT_EQ(vggish.input.mel.offset, 0.01);
  EXPECT_EQ(vggish.input.mel.fmax, 7500);
  auto const mel = card_of(
      "input: {kind: mel, rate: 22050, frames: 100, mels: 80, axes: [mel, frame]}\n"
      "preprocessing: {n_fft: 1024, hop: 256, log: log10, center: true, mean: -4, std: 4}\n");
  EXPECT_EQ(mel.input_shape(), (Shape{80, 100}));
  EXPECT_EQ(mel.input.mel.window, 1024U);
  EXPECT_EQ(mel.input.mel.fmax, 11025);
  EXPECT_EQ(mel.input.samples, 99U * 256 + 1);
  EXPECT_EQ(mel.input.mel.log, MelForm::Log::log10);
  auto const array = card_of("input: {kind: array, shape: [4, 9]}\npreprocessing: {mean: [1, 2, 3, 4], std: 2}\n");
  EXPECT_EQ(array.input_shape(), (Shape{4, 9}));
  EXPECT_EQ(array.input.mean[3], 4);
  EXPECT_NE(to_json(mel.input, mel.preprocessing), to_json(vggish.input, vggish.preprocessing));
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
           {"input: {kind: movie}\n", "input.kind: `movie` is none of image | clip | mel | audio | array"},
           {"input: {kind: clip}\n", "input.frames: is missing"},
           {"input: {kind: clip, frame: 8}\n", "is no key of an input of kind clip; did you mean `frames`?"},
           {"input: {kind: clip, frames: 2.5}\n", "must be a whole number"},
           {"input: {kind: clip, frames: 2, axes: [row, column]}\n", "one of [channel, frame, row, column] | [frame"},
           {"input: {kind: audio, samples: 5}\n", "input.rate: is missing: samples a second"},
           {"input: {kind: audio, rate: 16000}\n", "input.samples: is missing"},
           {"input: {kind: audio, rate: 16000, shape: [2, 5]}\n", "input.shape: must be [5] or [1, 5]"},
           {"input: {kind: mel, rate: 16000, frames: 9}\n", "input.mels: is missing (or take `preset: vggish`)"},
           {"input: {kind: mel, preset: vggish}\npreprocessing: {windw: 9}\n", "did you mean `window`?"},
           {"input: {kind: mel, preset: vggish}\npreprocessing: {offset: 0}\n", "would become -inf"},
           {"input: {kind: mel, preset: vggish}\npreprocessing: {window: 600}\n", "is longer than n_fft (512)"},
           {"input: {kind: mel, preset: vggish}\npreprocessing: {fmax: 9000}\n", "must be one number from 0 to 8000"},
           {"input: {kind: mel, preset: vggish, samples: 900}\n", "are too few for 96 frames; 15600 fill them"},
           {"input: {kind: array}\n", "input.shape: is missing"},
           {"input: {kind: array, shape: [3, 0]}\n", "must be a list of whole numbers above 0"},
           {"input: {kind: array, shape: [3]}\npreprocessing: {resize: 9}\n", "no key of the preprocessing of arrays"},
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
  expect_error([&] { (void)resolve_layers({"preset:hebart7", "conv1_relu"}, card); }, Exit::config, "asked for twice");
  expect_error([&] { (void)resolve_layers({"preset:hebart8"}, card); }, Exit::config, "did you mean `preset:hebart7`?");
  expect_error([&] { (void)resolve_layers({"preset:x"}, Card{}); }, Exit::config, "it has none");
  expect_error([&] { (void)resolve_layers({""}, card); }, Exit::config, "an empty name");
}

std::vector<std::string> names_of(std::vector<std::string> const& asked, Card const& card) {
  std::vector<std::string> names;
  for (auto const& request : resolve_layers(asked, card)) names.push_back(request.name);
  return names;
}

TEST(Cards, PresetsAndPatternsMixWithNames) {
  using Names = std::vector<std::string>;
  Card const card = find_card("alexnet", ".");
  Names const preset = names_of({"preset:hebart7"}, card);
  ASSERT_EQ(preset.size(), 7U);
  Names mixed = names_of({"fc3", preset[1], "preset:hebart7"}, card);  // what stands before is not asked for again
  EXPECT_EQ(mixed.size(), 8U);
  EXPECT_EQ(mixed[0], "fc3");
  EXPECT_EQ(mixed[1], preset[1]);
  EXPECT_EQ(mixed[2], preset[0]);
  EXPECT_EQ(names_of({"conv?"}, card), (Names{"conv1", "conv2", "conv3", "conv4", "conv5"}));
  EXPECT_EQ(names_of({"fc*_relu", "fc*"}, card).size(), 5U);
  EXPECT_EQ(names_of({"fc3", "*"}, card).size(), card.layers.size());
  EXPECT_EQ(resolve_layers({"features.*"}, card)[0].path, "features.*");  // the network's modules
  EXPECT_TRUE(matches("layer3*", "layer3.0.conv1"));
  EXPECT_TRUE(matches("*.conv?", "layer3.0.conv1"));
  EXPECT_FALSE(matches("*.conv?", "layer3.0.conv1.x"));
  EXPECT_FALSE(matches("a?c", "ac"));
  EXPECT_TRUE(matches("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches("a*b", "aXbY"));
}
