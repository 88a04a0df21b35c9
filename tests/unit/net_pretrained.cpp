// Pretrained networks on labelled photographs, from the files to the classes: the rates of the data's own description.
#include <sstream>
#include <thread>

#include "net_test.hpp"

using namespace striate;
using namespace striate::testing;

namespace {

struct Photograph {
  std::string file;
  int label;
};

std::vector<Photograph> photographs(fs::path const& csv) {
  std::ifstream in(csv);
  std::string line;
  std::getline(in, line);  // file,class_index,…
  std::vector<Photograph> out;
  while (std::getline(in, line)) {
    std::stringstream fields(line);
    std::string file, label;
    std::getline(fields, file, ',');
    std::getline(fields, label, ',');
    out.push_back({file, std::stoi(label)});
  }
  return out;
}

/// Photographs whose class is the best, and is among the best five.
std::pair<int, int> count_right(Network const& network, Preprocessing const& how,
                                std::vector<Photograph> const& photos) {
  constexpr std::size_t batch = 16;
  std::size_t const size = how.channels() * how.height * how.width;
  int best = 0, five = 0;
  for (std::size_t first = 0; first < photos.size(); first += batch) {
    std::size_t const rows = std::min(batch, photos.size() - first);
    std::vector<float> pixels(rows * size);
    for (std::size_t r = 0; r < rows; ++r)
      preprocess(read_image(data_dir() / "images" / photos[first + r].file), how, pixels.data() + r * size);
    network.forward(pixels.data(), rows, [&](std::size_t, float const* values) {
      for (std::size_t r = 0; r < rows; ++r) {
        float const* scores = values + r * 1000;
        auto const better =
            std::count_if(scores, scores + 1000, [&](float s) { return s > scores[photos[first + r].label]; });
        best += better == 0;
        five += better < 5;
      }
    });
  }
  return {best, five};
}

void expect_rates(fs::path const& weights, std::string const& card_name, double top1, double top5) {
  Card const card = find_card(card_name, source_dir());
  Network const every(weights, resolve_layers({"all"}, card), card.preprocessing, {.device = "cpu"});
  EXPECT_EQ(every.layers().size(), card.layers.size());
  EXPECT_EQ(run(every, golden_image(2 * 3 * 224 * 224), 2).size(), card.layers.size());
  Network const network(weights, {{"output", "output"}}, card.preprocessing, {.device = "cpu"});
  auto const photos = photographs(data_dir() / "images/imagenet400.csv");
  ASSERT_EQ(photos.size(), 400U);
  auto const [best, five] = count_right(network, card.preprocessing, photos);
  EXPECT_NEAR(best / 4.0, top1, 0.5);  // two photographs
  EXPECT_NEAR(five / 4.0, top5, 0.5);
}

std::string missing(std::string const& file) {
  return "SKIPPED: " + (data_dir() / file).string() +
         " is not here (set STRIATE_DATA): no pretrained network was tried";
}

}  // namespace

TEST(NetPretrained, SqueezeNetNamesPhotographs) {
  fs::path const weights = data_dir() / "models/squeezenet1_0_imagenet.ts.pt";
  if (!fs::exists(weights)) GTEST_SKIP() << missing("models/squeezenet1_0_imagenet.ts.pt");
  expect_rates(weights, "squeezenet1_0", 59.0, 81.8);
}

TEST(NetPretrained, MobileNetNamesPhotographs) {
  fs::path const packed = data_dir() / "models/mobilenet_v2_imagenet.ts.pt.xz";
  if (!fs::exists(packed)) GTEST_SKIP() << missing("models/mobilenet_v2_imagenet.ts.pt.xz");
  TempDir const dir;
  fs::path const weights = dir / "mobilenet_v2.ts.pt";
  ASSERT_EQ(std::system(("xz -dc '" + packed.string() + "' > '" + weights.string() + "'").c_str()), 0);
  expect_rates(weights, "mobilenet_v2", 80.8, 94.8);
}
