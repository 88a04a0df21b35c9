// Stimuli that are arrays: pictures and clips of bytes, which are preprocessed, and numbers that go in as they are.
#include <cmath>

#include "check.hpp"
#include "striate/stimuli/source.hpp"
#include "striate/store/row_array.hpp"

namespace striate {
namespace {

using Kind = InputForm::Kind;
using Shape = std::vector<std::size_t>;

std::string text_of(Shape const& shape) {
  std::string text;
  for (std::size_t const s : shape) text += (text.empty() ? "" : " × ") + std::to_string(s);
  return text.empty() ? "a single number" : text;
}

/// Bytes that are pictures: how their axes lie.
struct Pictures {
  std::size_t frames = 1, height = 0, width = 0, channels = 3;
  std::size_t frame_step = 0, row_step = 0, column_step = 0, channel_step = 0;
};

/// (h, w), (h, w, 1 | 3 | 4), (1 | 3, h, w); of clips with frames before, or behind the channels of the latter.
std::optional<Pictures> pictures_of(Shape shape, bool clip) {
  Pictures p;
  std::size_t const axes = shape.size();
  auto const is_colour = [](std::size_t extent) { return extent == 1 || extent == 3; };
  if (!clip) shape.insert(shape.begin(), 1);
  if (shape.size() == 3) shape.push_back(1);
  if (shape.size() != 4 || (clip && axes < 3)) return std::nullopt;
  if (is_colour(shape[3]) || shape[3] == 4) {
    p.frames = shape[0], p.height = shape[1], p.width = shape[2], p.channels = shape[3];
    p.channel_step = 1, p.column_step = shape[3], p.row_step = p.column_step * p.width;
    p.frame_step = p.row_step * p.height;
  } else if (is_colour(shape[1]) || (clip && is_colour(shape[0]))) {
    bool const channels_first = !is_colour(shape[1]);
    p.frames = shape[channels_first ? 1 : 0], p.channels = shape[channels_first ? 0 : 1];
    p.height = shape[2], p.width = shape[3];
    p.column_step = 1, p.row_step = p.width;
    std::size_t const plane = p.width * p.height;
    p.frame_step = channels_first ? plane : plane * p.channels;
    p.channel_step = channels_first ? plane * p.frames : plane;
  } else {
    return std::nullopt;
  }
  return p;
}

void take_picture(std::uint8_t const* from, Pictures const& p, std::size_t frame, Image& into) {
  into.width = p.width, into.height = p.height;
  into.rgb.resize(3 * p.width * p.height);
  std::uint8_t* to = into.rgb.data();
  for (std::size_t y = 0; y < p.height; ++y)
    for (std::size_t x = 0; x < p.width; ++x)
      for (std::size_t c = 0; c < 3; ++c)
        *to++ =
            from[frame * p.frame_step + y * p.row_step + x * p.column_step + (p.channels < 3 ? 0 : c) * p.channel_step];
}

/// One array after the other → the input; of one thread.
class Maker {
 public:
  Maker(InputForm const& form, Preprocessing const& how) : form_(form), how_(how), input_(input_shape(form, how)) {}

  void make(RowArray const& rows, std::size_t row, float* out) {
    check(rows);
    if (as_pictures(rows)) return make_pictures(rows, row, out);
    rows.read(row, std::span(out, rows.row_size()));
    if (form_.kind == Kind::array) scale(out, rows.row_size());
  }
  /// Throws Error(Exit::data) where these arrays do not fit the input.
  void check(RowArray const& rows) const {
    if (auto const pictures = as_pictures(rows)) {
      try {
        return check_size({.width = pictures->width, .height = pictures->height}, how_);
      } catch (Error const& error) {
        throw Error(error.code(), rows.name() + " " + error.what());
      }
    }
    if (rows.shape() == input_) return;
    bool const visual = form_.kind == Kind::image || form_.kind == Kind::clip;
    fail(Exit::data, "{} holds stimuli of {}, but the network takes {}{}", rows.name(), text_of(rows.shape()),
         text_of(input_), visual ? "; save pictures as uint8 (height × width × 3) to have them preprocessed" : "");
  }

 private:
  [[nodiscard]] std::optional<Pictures> as_pictures(RowArray const& rows) const {
    if (!rows.is_bytes() || (form_.kind != Kind::image && form_.kind != Kind::clip)) return std::nullopt;
    return pictures_of(rows.shape(), form_.kind == Kind::clip);
  }

  /// Frames spread evenly over those that there are.
  void make_pictures(RowArray const& rows, std::size_t row, float* out) {
    Pictures const p = *as_pictures(rows);
    bytes_.resize(rows.row_size());
    rows.read(row, std::span(bytes_));
    std::size_t const frames = form_.kind == Kind::clip ? form_.frames : 1, channels = how_.channels(),
                      plane = how_.height * how_.width;
    one_.resize(channels * plane);
    for (std::size_t t = 0; t < frames; ++t) {
      take_picture(bytes_.data(), p, frames > 1 ? t * (p.frames - 1) / (frames - 1) : 0, image_);
      preprocess(image_, how_, one_.data());
      for (std::size_t c = 0; c < channels; ++c)
        std::copy_n(one_.data() + c * plane, plane,
                    out + (form_.frame_first ? t * channels + c : c * frames + t) * plane);
    }
  }

  void scale(float* out, std::size_t size) const {
    std::size_t const entries = form_.mean.size() > form_.std.size() ? form_.mean.size() : form_.std.size();
    for (std::size_t i = 0; i < size; ++i) {
      std::size_t const entry = i / (size / entries);
      double const mean = form_.mean[form_.mean.size() > 1 ? entry : 0],
                   sd = form_.std[form_.std.size() > 1 ? entry : 0];
      out[i] = static_cast<float>((static_cast<double>(out[i]) * form_.scale - mean) / sd);
    }
  }

  InputForm const& form_;
  Preprocessing const& how_;
  Shape input_;
  std::vector<std::uint8_t> bytes_;
  std::vector<float> one_;
  Image image_;
};

class ArraySource final : public StimulusSource {
 public:
  ArraySource(std::shared_ptr<RowArray const> rows, InputForm form, Preprocessing how)
      : rows_(std::move(rows)), form_(std::move(form)), how_(std::move(how)) {
    Maker(form_, how_).check(*rows_);
  }
  [[nodiscard]] std::size_t size() const override { return rows_->rows(); }
  [[nodiscard]] Shape shape() const override { return input_shape(form_, how_); }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(form_, how_); }
  [[nodiscard]] bool sequential() const override { return rows_->rows_together() > 1; }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t, std::size_t, int) const override {
    return {};  // the file was looked at when it was opened
  }

 private:
  class Decoder final : public Reader {
   public:
    explicit Decoder(ArraySource const& source) : source_(source), maker_(source.form_, source.how_) {}
    void load(std::size_t place, float* out) override { maker_.make(*source_.rows_, place, out); }

   private:
    ArraySource const& source_;
    Maker maker_;
  };
  std::shared_ptr<RowArray const> rows_;
  InputForm form_;
  Preprocessing how_;
};

class ArrayFiles final : public StimulusSource {
 public:
  ArrayFiles(std::vector<std::filesystem::path> files, InputForm form, Preprocessing how)
      : files_(std::move(files)), form_(std::move(form)), how_(std::move(how)) {}
  [[nodiscard]] std::size_t size() const override { return files_.size(); }
  [[nodiscard]] std::filesystem::path file(std::size_t place) const override { return files_[place]; }
  [[nodiscard]] Shape shape() const override { return input_shape(form_, how_); }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(form_, how_); }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    return check_places(first, last, threads,
                        [this](std::size_t place) { Maker(form_, how_).check(*open_npy_rows(files_[place], true)); });
  }

 private:
  class Decoder final : public Reader {
   public:
    explicit Decoder(ArrayFiles const& source) : source_(source), maker_(source.form_, source.how_) {}
    void load(std::size_t place, float* out) override {
      maker_.make(*open_npy_rows(source_.files_[place], true), 0, out);
    }

   private:
    ArrayFiles const& source_;
    Maker maker_;
  };
  std::vector<std::filesystem::path> files_;
  InputForm form_;
  Preprocessing how_;
};

}  // namespace

std::shared_ptr<StimulusSource> array_source(std::shared_ptr<RowArray const> rows, InputForm form, Preprocessing how) {
  return std::make_shared<ArraySource>(std::move(rows), std::move(form), std::move(how));
}

std::shared_ptr<StimulusSource> array_file_source(std::vector<std::filesystem::path> files, InputForm form,
                                                  Preprocessing how) {
  return std::make_shared<ArrayFiles>(std::move(files), std::move(form), std::move(how));
}

}  // namespace striate
