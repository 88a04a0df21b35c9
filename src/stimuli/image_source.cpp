#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

class ImageSource final : public StimulusSource {
 public:
  ImageSource(std::vector<std::filesystem::path> files, Preprocessing how)
      : files_(std::move(files)), how_(std::move(how)) {}
  [[nodiscard]] std::size_t size() const override { return files_.size(); }
  [[nodiscard]] std::vector<std::size_t> shape() const override { return {how_.channels(), how_.height, how_.width}; }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(how_); }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  [[nodiscard]] std::filesystem::path file(std::size_t place) const override { return files_[place]; }
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    auto problems = check_images(std::span(files_).subspan(first, last - first), threads);
    for (auto& problem : problems) problem.first += first;
    return problems;
  }

 private:
  class Decoder final : public Reader {
   public:
    explicit Decoder(ImageSource const& source) : source_(source) {}
    void load(std::size_t place, float* out) override {
      auto const& file = source_.files_[place];
      read_image(file, image_);
      try {
        preprocess(image_, source_.how_, out);
      } catch (Error const& error) {
        throw Error(error.code(), file.string() + " " + error.what());
      }
    }

   private:
    ImageSource const& source_;
    Image image_;
  };

  std::vector<std::filesystem::path> files_;
  Preprocessing how_;
};

}  // namespace

std::shared_ptr<StimulusSource> image_source(std::vector<std::filesystem::path> files, Preprocessing how) {
  return std::make_shared<ImageSource>(std::move(files), std::move(how));
}

}  // namespace striate
