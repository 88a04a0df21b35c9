#include "check.hpp"
#include "crop.hpp"
#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

/// Lists of files, or of rows that may cut boxes out of them.
template <class Row>
class ImageSource final : public StimulusSource {
 public:
  ImageSource(std::vector<Row> rows, Preprocessing how) : rows_(std::move(rows)), how_(std::move(how)) {}
  [[nodiscard]] std::size_t size() const override { return rows_.size(); }
  [[nodiscard]] std::vector<std::size_t> shape() const override { return {how_.channels(), how_.height, how_.width}; }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(how_); }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  [[nodiscard]] std::filesystem::path file(std::size_t place) const override { return file_of(rows_[place]); }
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    return check_places(first, last, threads, [this](std::size_t place) {
      ImageSize const size = probe_image(file_of(rows_[place]));
      if constexpr (has_boxes) check_crop(rows_[place], size);
    });
  }

 private:
  static constexpr bool has_boxes = std::is_same_v<Row, StimulusRow>;
  static std::filesystem::path const& file_of(std::filesystem::path const& file) { return file; }
  static std::filesystem::path const& file_of(StimulusRow const& row) { return row.file; }

  class Decoder final : public Reader {
   public:
    explicit Decoder(ImageSource const& source) : source_(source) {}
    void load(std::size_t place, float* out) override {
      auto const& row = source_.rows_[place];
      read_image(file_of(row), image_);
      if constexpr (has_boxes) crop_to_box(row, image_);
      try {
        preprocess(image_, source_.how_, out);
      } catch (Error const& error) {
        throw Error(error.code(), file_of(row).string() + " " + error.what());
      }
    }

   private:
    ImageSource const& source_;
    Image image_;
  };

  std::vector<Row> rows_;
  Preprocessing how_;
};

}  // namespace

std::shared_ptr<StimulusSource> image_source(std::vector<std::filesystem::path> files, Preprocessing how) {
  return std::make_shared<ImageSource<std::filesystem::path>>(std::move(files), std::move(how));
}

std::shared_ptr<StimulusSource> image_source(std::vector<StimulusRow> rows, Preprocessing how) {
  return std::make_shared<ImageSource<StimulusRow>>(std::move(rows), std::move(how));
}

}  // namespace striate
