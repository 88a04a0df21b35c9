#include "extract_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/log.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

constexpr double unseen = -std::numeric_limits<double>::infinity();

std::string listed(std::vector<double> const& values) {
  std::string out;
  for (double const v : values) out += fmt::format("{}{:.3g}", out.empty() ? "" : ", ", v);
  return out;
}

}  // namespace

InputStatistics::InputStatistics(Card const& card, std::size_t stimuli) {
  auto const shape = card.input_shape();
  std::size_t all = 1;
  for (std::size_t const extent : shape) all *= extent;
  bool const pictures = card.input.kind == InputForm::Kind::image || card.input.kind == InputForm::Kind::clip;
  if (pictures) channels_ = card.preprocessing.channels();
  if (pictures && card.input.frame_first) outer_ = card.input.frames;
  inner_ = all / (outer_ * channels_);
  auto const& std = pictures ? card.preprocessing.std : card.input.std;
  normalises_ = std::any_of(std.begin(), std.end(), [](double s) { return s != 1; });
  sums_.assign(std::min(stimuli, most) * channels_ * 2, unseen);
}

void InputStatistics::add_row(std::size_t place, float const* values) {
  double* const to = sums(place);
  std::fill_n(to, channels_ * 2, 0.0);
  for (std::size_t o = 0; o < outer_; ++o)
    for (std::size_t c = 0; c < channels_; ++c)
      for (std::size_t i = 0; i < inner_; ++i) {
        double const v = *values++;
        to[2 * c] += v;
        to[2 * c + 1] += v * v;
      }
  // A source gives NaN where nothing was decoded, as where rows of an earlier store are reused.
  if (std::any_of(to, to + channels_ * 2, [](double sum) { return std::isnan(sum); }))
    std::fill_n(to, channels_ * 2, unseen);
}

void InputStatistics::add(std::size_t first, LoadedBatch const& batch) {
  std::size_t const size = batch.pixels.size() / std::max<std::size_t>(1, batch.rows);
  for (std::size_t row = 0; row < batch.rows && (first + row) * channels_ * 2 < sums_.size(); ++row) {
    if (std::isnan(batch.pixels[row * size])) continue;  // taken over from another store, or bad
    auto const is_it = [&](auto const& bad) { return bad.first == first + row; };
    if (std::none_of(batch.bad.begin(), batch.bad.end(), is_it)) add_row(first + row, batch.pixels.data() + row * size);
  }
}

std::string InputStatistics::finish(Comm const& comm, StimulusSource const& source) {
  comm.max(std::span<double>(sums_));
  std::vector<double> mean(channels_, 0), square(channels_, 0);
  std::size_t seen = 0;
  together(comm, [&] {  // a rank's exception would be everybody's, but bad stimuli are left out
    std::unique_ptr<StimulusSource::Reader> reader;
    std::vector<float> values(outer_ * channels_ * inner_);
    for (std::size_t place = 0; place * channels_ * 2 < sums_.size() && comm.root(); ++place) {
      if (sums(place)[0] != unseen) continue;
      if (!reader) reader = source.reader();
      try {
        reader->load(place, values.data());
        if (!std::isnan(values[0])) add_row(place, values.data());
      } catch (Error const&) {  // was skipped
      }
    }
  });
  for (std::size_t place = 0; place * channels_ * 2 < sums_.size(); ++place) {
    if (sums(place)[0] == unseen) continue;
    ++seen;
    for (std::size_t c = 0; c < channels_; ++c) mean[c] += sums(place)[2 * c], square[c] += sums(place)[2 * c + 1];
  }
  double const count = static_cast<double>(std::max<std::size_t>(1, seen) * outer_ * inner_);
  std::vector<double> sd(channels_);
  bool odd = false;
  for (std::size_t c = 0; c < channels_; ++c) {
    mean[c] /= count;
    sd[c] = std::sqrt(std::max(0.0, square[c] / count - mean[c] * mean[c]));
    odd = odd || std::abs(mean[c]) > 1.5 || sd[c] < 0.2 || sd[c] > 3;
  }
  if (comm.root()) {
    log::info("input of the network, by channel over {} stimuli: mean {}, sd {}", seen, listed(mean), listed(sd));
    if (odd && normalises_ && seen > 0)
      log::warn(
          "the network's input has mean {} and sd {} by channel, far from 0 and 1: check scale, mean and std of the "
          "card against how the network was trained",
          listed(mean), listed(sd));
  }
  std::string text = nlohmann::ordered_json{{"stimuli", seen}, {"mean", mean}, {"sd", sd}}.dump();
  text.resize(std::max(text.size(), text_length), ' ');
  return text;
}

}  // namespace striate
