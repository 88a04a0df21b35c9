#include "striate/stimuli/part_source.hpp"

#include <algorithm>
#include <limits>

namespace striate {
namespace {

class PartSource final : public StimulusSource {
 public:
  PartSource(std::shared_ptr<StimulusSource const> whole, std::size_t first, std::size_t count,
             std::vector<std::uint8_t> unneeded)
      : whole_(std::move(whole)), first_(first), count_(count), unneeded_(std::move(unneeded)) {
    for (std::size_t const extent : whole_->shape()) floats_ *= extent;
  }
  [[nodiscard]] std::size_t size() const override { return count_; }
  [[nodiscard]] std::vector<std::size_t> shape() const override { return whole_->shape(); }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return whole_->describe(); }
  [[nodiscard]] std::filesystem::path file(std::size_t place) const override { return whole_->file(first_ + place); }
  [[nodiscard]] bool sequential() const override { return whole_->sequential(); }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<PartReader>(*this); }

  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    std::vector<std::pair<std::size_t, Error>> problems;
    for (std::size_t begin = first, end = first; begin < last; begin = end) {  // runs of needed ones
      while (begin < last && is_unneeded(begin)) ++begin;
      for (end = begin; end < last && !is_unneeded(end);) ++end;
      if (begin == end) continue;
      for (auto& problem : whole_->check(first_ + begin, first_ + end, threads))
        problems.emplace_back(problem.first - first_, std::move(problem.second));
    }
    return problems;
  }

 private:
  class PartReader final : public Reader {
   public:
    explicit PartReader(PartSource const& part) : part_(part), reader_(part.whole_->reader()) {}
    void load(std::size_t place, float* out) override {
      if (part_.is_unneeded(place))
        std::fill_n(out, part_.floats_, std::numeric_limits<float>::quiet_NaN());
      else
        reader_->load(part_.first_ + place, out);
    }

   private:
    PartSource const& part_;
    std::unique_ptr<Reader> reader_;
  };

  [[nodiscard]] bool is_unneeded(std::size_t place) const { return !unneeded_.empty() && unneeded_[place] != 0; }

  std::shared_ptr<StimulusSource const> whole_;
  std::size_t first_, count_, floats_ = 1;
  std::vector<std::uint8_t> unneeded_;
};

}  // namespace

std::shared_ptr<StimulusSource> part_source(std::shared_ptr<StimulusSource const> whole, std::size_t first,
                                            std::size_t count, std::vector<std::uint8_t> unneeded) {
  return std::make_shared<PartSource>(std::move(whole), first, count, std::move(unneeded));
}

}  // namespace striate
