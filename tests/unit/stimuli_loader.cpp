/// The prefetching loader: order, bounded prefetch, bad stimuli, early ends.
#include "striate/stimuli/loader.hpp"

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "brain_test.hpp"

namespace striate {
namespace {

using namespace testing;
namespace fs = std::filesystem;
using Order = std::vector<std::size_t>;

/// 23 × 17 pictures of every kind, over and over.
std::vector<fs::path> pictures(std::size_t count) {
  std::vector<std::string> const names{"420.jpg",      "rgb8.png",        "cmyk.jpg",
                                       "palette4.png", "progressive.jpg", "grey16.png"};
  std::vector<fs::path> files;
  for (std::size_t i = 0; i < count; ++i) files.push_back(golden("images") / names[(i * 5 + i / 7) % names.size()]);
  return files;
}

Preprocessing small() {
  Preprocessing how;
  how.resize = Preprocessing::Resize::shorter, how.resize_height = 12, how.crop = Preprocessing::Crop::center;
  how.height = 10, how.width = 11;
  return how;
}
constexpr std::size_t row_size = 3 * 10 * 11;

std::vector<float> expected(std::vector<fs::path> const& files, std::size_t first, std::size_t count) {
  std::vector<float> out(count * row_size);
  for (std::size_t i = 0; i < count; ++i) preprocess(read_image(files[first + i]), small(), out.data() + i * row_size);
  return out;
}

/// Waits for `what`, for at most five seconds.
bool soon(std::function<bool()> const& what) {
  for (int i = 0; i < 5000 && !what(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return what();
}

TEST(StimuliLoader, GivesEveryBatchInItsOrder) {
  auto const files = pictures(23);  // the last batch has 3
  for (int threads : {1, 3})
    for (std::size_t ahead : {0U, 1U, 3U, 100U}) {
      Order const order{2, 0, 1, 4, 5, 3};
      StimulusLoader loader(files, small(), 4, order, threads, ahead, false);
      for (std::size_t const b : order) {
        LoadedBatch batch = loader.take(b);
        EXPECT_EQ(batch.batch, b);
        EXPECT_EQ(batch.rows, b == 5 ? 3U : 4U);
        EXPECT_EQ(batch.pixels, expected(files, 4 * b, batch.rows)) << b;
        EXPECT_TRUE(batch.bad.empty());
        loader.give_back(std::move(batch));
      }
      EXPECT_GE(loader.waited_seconds(), 0);
      EXPECT_EQ(loader.batches_held(), 0U);
    }
}

TEST(StimuliLoader, HoldsNoMoreThanAhead) {
  auto const files = pictures(60);
  Order order(20);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  StimulusLoader loader(files, small(), 3, order, 3, 4, false);
  for (std::size_t const b : order) {
    std::size_t const left = order.size() - b;
    EXPECT_TRUE(soon([&] { return loader.batches_held() == std::min<std::size_t>(4, left); })) << b;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_LE(loader.batches_held(), 4U);
    (void)loader.take(b);
  }
}

TEST(StimuliLoader, TakesFarAheadDoNotHang) {
  auto const files = pictures(20);
  StimulusLoader loader(files, small(), 2, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 2, 2, false);
  for (std::size_t b : {9U, 0U, 5U, 1U, 2U, 3U, 4U, 8U, 7U, 6U}) EXPECT_EQ(loader.take(b).batch, b);
}

TEST(StimuliLoader, ManyTakers) {
  auto const files = pictures(120);
  Order order(60);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i * 7 % 60;
  StimulusLoader loader(files, small(), 2, order, 3, 5, false);
  std::atomic<std::size_t> next{0}, wrong{0};
  std::vector<std::thread> takers;
  for (int t = 0; t < 4; ++t)
    takers.emplace_back([&] {
      for (std::size_t i = next++; i < order.size(); i = next++) {
        LoadedBatch batch = loader.take(order[i]);
        if (batch.pixels != expected(files, 2 * order[i], 2)) ++wrong;
        loader.give_back(std::move(batch));
      }
    });
  for (auto& taker : takers) taker.join();
  EXPECT_EQ(wrong, 0U);
}

TEST(StimuliLoader, ThrowsTheFirstBadStimulusOfTheBatch) {
  auto files = pictures(12);
  TempDir dir;
  files[6] = dir / "none.jpg";
  files[7] = dir / "none_either.jpg";
  for (int threads : {1, 4}) {
    StimulusLoader loader(files, small(), 4, {0, 1, 2}, threads, 3, false);
    EXPECT_EQ(loader.take(0).rows, 4U);
    expect_error(
        [&] { (void)loader.take(1); }, Exit::no_input,
        "stimulus 7: " + files[6].string() + " does not exist; check the stimulus id and `path=` of the table");
    EXPECT_EQ(loader.take(2).pixels, expected(files, 8, 4));
  }
  std::string const whole = bytes_of(golden("images/420.jpg"));
  write_bytes(files[6], whole.substr(0, whole.size() - 9));
  StimulusLoader loader(files, small(), 4, {1}, 2, 3, false);
  expect_error([&] { (void)loader.take(1); }, Exit::data,
               "stimulus 7: " + files[6].string() +
                   " is truncated (its end-of-image marker is missing); copy or download it again");
  auto how = small();
  how.crop = Preprocessing::Crop::none;
  StimulusLoader unfit(files, how, 4, {0}, 2, 3, false);
  expect_error(
      [&] { (void)unfit.take(0); }, Exit::data,
      "stimulus 1: " + files[0].string() +
          " has 23 × 17 pixels, resized 16 × 12, but the network takes 11 × 10; set `crop: center` in its card");
}

TEST(StimuliLoader, SkipsBadStimuliWhereAsked) {
  auto files = pictures(12);
  auto const good = files;
  TempDir dir;
  files[9] = dir / "none.jpg";
  files[5] = dir / "text.jpg";
  write_bytes(files[5], "hello");
  files[6] = files[9];
  StimulusLoader loader(files, small(), 4, {0, 1, 2}, 3, 3, true);
  EXPECT_TRUE(loader.take(0).bad.empty());
  LoadedBatch const batch = loader.take(1);
  ASSERT_EQ(batch.bad.size(), 2U);
  EXPECT_EQ(batch.bad[0].first, 5U);
  EXPECT_NE(batch.bad[0].second.find("text.jpg is no JPEG or PNG file"), std::string::npos) << batch.bad[0].second;
  EXPECT_EQ(batch.bad[1].first, 6U);
  EXPECT_NE(batch.bad[1].second.find("none.jpg does not exist"), std::string::npos) << batch.bad[1].second;
  auto const want = expected(good, 4, 4);
  for (std::size_t i = 0; i < batch.pixels.size(); ++i) {
    if (i / row_size == 1 || i / row_size == 2)
      ASSERT_TRUE(std::isnan(batch.pixels[i]));
    else
      ASSERT_EQ(batch.pixels[i], want[i]);
  }
  ASSERT_EQ(loader.take(2).bad.size(), 1U);
}

TEST(StimuliLoader, EndsEarly) {
  auto const files = pictures(3000);
  Order order(300);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  Preprocessing large = small();
  large.resize_height = 800, large.height = large.width = 800;  // slow enough to be interrupted
  for (std::size_t takes : {0U, 1U, 3U}) {
    auto const start = std::chrono::steady_clock::now();
    {
      StimulusLoader loader(files, large, 10, order, 3, 2, false);
      for (std::size_t b = 0; b < takes; ++b) (void)loader.take(b);
    }
    EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 5);
  }
}

TEST(StimuliLoader, Misuse) {
  auto const files = pictures(4);
  EXPECT_THROW(StimulusLoader(files, small(), 2, {0, 2}, 1, 1, false), std::logic_error);
  EXPECT_THROW(StimulusLoader(files, small(), 2, {0, 0}, 1, 1, false), std::logic_error);
  EXPECT_THROW(StimulusLoader(files, small(), 0, {0}, 1, 1, false), std::logic_error);
  StimulusLoader loader(files, small(), 2, {0, 1}, 1, 1, false);
  (void)loader.take(0);
  EXPECT_THROW((void)loader.take(0), std::logic_error);
  EXPECT_THROW((void)loader.take(7), std::logic_error);
  StimulusLoader idle({}, small(), 2, {}, 1, 1, false);
}

TEST(StimuliLoader, SaysHowLongItWasWaitedFor) {
  auto const files = pictures(8);
  StimulusLoader loader(files, small(), 4, {0, 1}, 1, 2, false);
  ASSERT_TRUE(soon([&] { return loader.batches_held() == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  (void)loader.take(0);
  (void)loader.take(1);
  EXPECT_LT(loader.waited_seconds(), 0.05);  // all was ready
}

}  // namespace
}  // namespace striate
