// The self-test of cards, whose numbers Python made (tools/make_check.py), and cards that a config changes.
#include "net_test.hpp"
#include "striate/base/hash.hpp"
#include "striate/net/self_test.hpp"

using namespace striate;
using namespace striate::testing;

namespace {

constexpr char const* scripted = "reused.scripted.ts.pt";

std::string test_of(Card const& card, std::string const& weights) {
  return self_test(card, golden(weights), sha256_file(golden(weights)), {.device = "cpu"});
}

Card with(std::string const& name, nlohmann::ordered_json const& keys) {
  return override_card(find_card(name, source_dir()), keys);
}

}  // namespace

TEST(SelfTest, KnownWeightsGiveTheCardsNumbers) {
  Card const card = read_card(golden("reused.yaml"));
  ASSERT_EQ(card.checks.size(), 1U);
  EXPECT_EQ(card.checks[0].input, "picture");
  EXPECT_NE(test_of(card, scripted).find("passed: 16 numbers of output for the input `picture`"), std::string::npos);
  // The same weights in another file: known by their values.
  EXPECT_NE(test_of(card, "reused.traced.ts.pt").find("passed"), std::string::npos);
  EXPECT_EQ(state_sha256(golden("reused.traced.ts.pt")), card.checks[0].state_sha256);
  EXPECT_NE(test_of(card, "inplace.scripted.ts.pt").find("skipped: the card's numbers are for other weights"),
            std::string::npos);
  EXPECT_EQ(test_of(find_card("alexnet", source_dir()), scripted), "none in the card");
}

TEST(SelfTest, ACopyOfACardMayTakeOtherPictures) {
  Card card = read_card(golden("reused.yaml"));
  card.preprocessing.height += 2;
  EXPECT_EQ(test_of(card, scripted), "skipped: the check's picture has another size than the card's input");
  card.preprocessing.height -= 2;
  card.preprocessing.resize = Preprocessing::Resize::none, card.preprocessing.crop = Preprocessing::Crop::none;
  EXPECT_EQ(test_of(card, scripted),
            "skipped: the card's preprocessing does not make its input of the check's picture");
}

TEST(SelfTest, InputsAreThoseOfPython) {
  Card card = read_card(golden("reused.yaml"));
  auto const values = check_input("noise", 200, card.preprocessing);
  EXPECT_EQ(values, golden_image(200));
  auto const ramp = check_input("gradient", 5, card.preprocessing);
  EXPECT_EQ(ramp, (std::vector<float>{-1, -0.5F, 0, 0.5F, 1}));
  Image const picture = test_picture();
  EXPECT_EQ(picture.rgb[3 * (100 * 320 + 319)], 255);
  EXPECT_EQ(picture.rgb[3 * (100 * 320 + 319) + 1], 255 * 100 / 239);
  EXPECT_EQ(picture.rgb[3 * (100 * 320 + 319) + 2], (319 ^ 100) & 255);
  card.checks[0].input = "noise";
  card.checks[0].outputs = {0, 0.0445169, 0, 0, 0};
  EXPECT_NE(test_of(card, scripted).find("passed: 5 numbers"), std::string::npos);
  card.checks[0].input = "gradient";
  card.checks[0].outputs = {0, 0, 0.020977, 0.0339477, 0.0466954};
  EXPECT_NE(test_of(card, scripted).find("passed: 5 numbers"), std::string::npos);
}

TEST(SelfTest, OtherNumbersAreAnError) {
  Card const good = read_card(golden("reused.yaml"));
  Card card = good;
  card.checks[0].outputs[2] += 0.01;
  expect_error([&] { (void)test_of(card, scripted); }, Exit::data,
               "the self-test failed: for the input `picture`, number 2 of output is");
  card = good;
  card.preprocessing.mean = {0, 0, 0};  // a forgotten normalisation
  expect_error([&] { (void)test_of(card, scripted); }, Exit::data, "the self-test failed");
  card.checks[0].weights_sha256.clear(), card.checks[0].state_sha256 = std::string(64, 'a');
  EXPECT_NE(test_of(card, scripted).find("skipped"), std::string::npos);
  card = good;
  card.checks[0].outputs.resize(1000);
  expect_error([&] { (void)test_of(card, scripted); }, Exit::config, "1000 numbers, but output gives 256");
}

TEST(SelfTest, WhatIsWrongWithACheck) {
  TempDir const dir;
  std::string const sum(64, 'a');
  for (auto const& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"{}", "check.shape: must be the network's input"},
           {"{shape: [3, 8, 8], outputs: [1]}", "says nothing of the weights it is for"},
           {"{shape: [3, 8, 8], weights_sha256: abc, outputs: [1]}", "must be the 64 digits of a SHA-256"},
           {"{shape: [3, 8, 8], weights_sha256: " + sum + "}", "check.outputs: must be a list of numbers"},
           {"{shape: [3, 8, 8], weights_sha256: " + sum + ", outputs: [a]}", "must be a list of numbers"},
           {"{shape: [3, 8, 8], weights_sha256: " + sum + ", output: [1]}", "did you mean `outputs`?"},
           {"{shape: [3, 8, 8], weights_sha256: " + sum + ", outputs: [1], tolerance: 0}", "a number above 0"},
           {"{shape: [3, 8, 8], weights_sha256: " + sum + ", outputs: [1], input: zeros}", "`zeros` is none of noise"},
           {"[{shape: x}]", "check[0].shape"},
           {"[1]", "check[0]: must be a mapping"}}) {
    write_file(dir / "mine.yaml", "check: " + text + "\n");
    expect_error([&] { (void)read_card(dir / "mine.yaml"); }, Exit::config, message);
  }
}

TEST(CardKeys, ReplaceThoseOfTheCard) {
  Card const plain = find_card("alexnet", source_dir());
  Card const card = with("alexnet", {{"resize", {224, 224}}, {"crop", "none"}, {"mean", {0.5, 0.5, 0.5}}});
  EXPECT_EQ(card.preprocessing.resize, Preprocessing::Resize::squash);
  EXPECT_EQ(card.preprocessing.crop, Preprocessing::Crop::none);
  EXPECT_EQ(card.preprocessing.mean, (std::vector<double>{0.5, 0.5, 0.5}));
  EXPECT_EQ(card.preprocessing.std, plain.preprocessing.std);
  EXPECT_EQ(card.layers, plain.layers);
  Card const small = with("alexnet", {{"size", {128, 96}}, {"channels", "bgr"}, {"resize", 140}});
  EXPECT_EQ(small.input_shape(), (std::vector<std::size_t>{3, 128, 96}));
  EXPECT_TRUE(small.preprocessing.bgr);
  EXPECT_EQ(with("r3d_18", {{"frames", 8}}).input_shape(), (std::vector<std::size_t>{3, 8, 112, 112}));
  EXPECT_EQ(with("vggish", {{"hop", 80}}).input.mel.hop, 80U);
}

TEST(CardKeys, DNNBrainsPreprocessing) {
  Card const clip = with("clip_rn50", {{"compat", "dnnbrain"}});
  EXPECT_EQ(clip.preprocessing.resize, Preprocessing::Resize::squash);
  EXPECT_EQ(clip.preprocessing.resize_width, 224U);
  EXPECT_EQ(clip.preprocessing.crop, Preprocessing::Crop::none);
  EXPECT_EQ(clip.preprocessing.mode, "bilinear");
  EXPECT_EQ(clip.preprocessing.mean, (std::vector<double>{0.485, 0.456, 0.406}));
  EXPECT_TRUE(clip.undo_transform);
  Card const face = with("vgg_face", {{"compat", "dnnbrain"}});  // pixels from 0 to 255
  EXPECT_EQ(face.preprocessing.resize, Preprocessing::Resize::squash);
  EXPECT_EQ(face.preprocessing.mean, find_card("vgg_face", source_dir()).preprocessing.mean);
  EXPECT_EQ(with("inception_v3", {{"compat", "dnnbrain"}}).preprocessing.resize_height, 299U);
  EXPECT_EQ(with("r3d_18", {{"compat", "dnnbrain"}}).preprocessing.mean[0], 0.43216);
  EXPECT_EQ(with("alexnet", {{"compat", "dnnbrain"}, {"mode", "bicubic"}}).preprocessing.mode, "bicubic");
  EXPECT_EQ(with("alexnet", {{"compat", "none"}}).preprocessing.crop, Preprocessing::Crop::center);
}

TEST(CardKeys, Errors) {
  auto const wrong = [](nlohmann::ordered_json const& keys, std::string const& part) {
    expect_error([&] { (void)with("alexnet", keys); }, Exit::config, part);
  };
  wrong({{"resice", 3}}, "preprocessing.resice: is no key of a card; did you mean `resize`?");
  wrong({{"mean", {1, 2}}}, "preprocessing.mean: has 2 numbers for 3 channels");
  wrong({{"resize", {100, 100}}, {"crop", "none"}}, "differs from input.size");
  wrong({{"kind", "clip"}}, "cannot be changed");
  wrong({{"compat", "caffe"}}, "`caffe` is none of none | dnnbrain");
  wrong({{"transform_input", 3}}, "must be true or false");
  wrong({{"frames", 3}}, "frames: is no key");
}

TEST(CardKeys, TheConversionOfGoogLeNetInMeanAndStd) {
  Preprocessing how;
  how.mean = {0.485, 0.456, 0.406}, how.std = {0.229, 0.224, 0.225};
  Preprocessing const plain = how;
  set_transform_input(how, true, true);
  EXPECT_EQ(how.mean, plain.mean);
  set_transform_input(how, false, true);  // what the conversion makes of ImageNet's normalisation: (x − 0.5) / 0.5
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(how.mean[c], 0.5, 1e-12);
    EXPECT_NEAR(how.std[c], 0.5, 1e-12);
  }
  how = plain;
  set_transform_input(how, true, false);
  for (std::size_t c = 0; c < 3; ++c) {
    double const pixel = 0.7, m = plain.mean[c], s = plain.std[c];
    double const shown = (pixel - how.mean[c]) / how.std[c];
    EXPECT_NEAR(shown * s / 0.5 + (m - 0.5) / 0.5, (pixel - m) / s, 1e-12);  // behind the conversion
  }
}
