#include <algorithm>
#include <cmath>

#include "panel_sums.hpp"
#include "striate/base/error.hpp"
#include "striate/math/pca.hpp"

namespace striate {
namespace {

constexpr std::size_t tile = 240;

class PcaStage final : public LayerStage {
 public:
  PcaStage(LayerShape const& in, LayerAxis axis, std::vector<Pca> const& fitted, bool whiten)
      : cut_(in, axis), units_(in.units()), count_(fitted.empty() ? 0 : fitted[0].count()) {
    if (fitted.size() != cut_.iterations) wrong(fitted);
    for (Pca const& p : fitted)
      if (p.units() != cut_.length || p.count() != count_) wrong(fitted);
    factor_.resize(fitted.size() * count_, 1);
    mean_.reserve(fitted.size() * cut_.length);
    begin_.push_back(0);
    for (std::size_t i = 0; i < fitted.size(); ++i) {
      mean_.insert(mean_.end(), fitted[i].mean.begin(), fitted[i].mean.end());
      for (std::size_t k = 0; whiten && k < count_; ++k)
        factor_[i * count_ + k] = fitted[i].variance[k] > 0 ? 1 / std::sqrt(fitted[i].variance[k]) : 0;
      each_piece([&](std::size_t, std::size_t depth, std::size_t, std::size_t width) {
        begin_.push_back(begin_.back() + packed_size(width, depth));
      });
    }
    packed_.grow(begin_.back());
    std::fill_n(packed_.data(), begin_.back(), 0.0F);
    std::size_t piece = 0;
    for (Pca const& p : fitted)
      each_piece([&](std::size_t first, std::size_t depth, std::size_t k, std::size_t width) {
        PackSource<float> const source{.from = p.components.data() + k * cut_.length + first,
                                       .row_stride = cut_.length};
        pack_rows(source, width, depth, packed_.data() + begin_[piece++]);
      });
  }
  [[nodiscard]] LayerShape output() const override { return cut_.output(count_); }
  [[nodiscard]] double work_bytes(std::size_t rows) const override { return PanelSums::work_bytes(count_, tile, rows); }

  void apply(float const* in, std::size_t rows, float* out) const override {
    std::size_t piece = 0;
    std::size_t const width_out = cut_.iterations * count_;
    for (std::size_t i = 0; i < cut_.iterations; ++i) {
      PanelSums sums(count_, rows);
      each_piece([&](std::size_t first, std::size_t depth, std::size_t k, std::size_t width) {
        if (k == 0)
          sums.load(in + cut_.first(i) + first * cut_.step, units_, depth, mean_.data() + i * cut_.length + first,
                    cut_.step);
        sums.add(k, width, packed_.data() + begin_[piece++]);
      });
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t k = 0; k < count_; ++k)
          out[r * width_out + cut_.place(i, k, count_)] =
              static_cast<float>(sums.sums()[r * count_ + k] * factor_[i * count_ + k]);
    }
  }

 private:
  [[noreturn]] void wrong(std::vector<Pca> const& fitted) const {
    fail(Exit::data, "the PCA has {} fits of {} units, but the layer has {} of {}", fitted.size(),
         fitted.empty() ? 0 : fitted[0].units(), cut_.iterations, cut_.length);
  }
  /// f(first unit, units, first component, components), in the order of packing.
  template <class F>
  void each_piece(F const& f) const {
    for (std::size_t first = 0; first < cut_.length; first += gram_panel)
      for (std::size_t k = 0; k < count_; k += tile)
        f(first, std::min(gram_panel, cut_.length - first), k, std::min(tile, count_ - k));
  }

  AxisCut cut_;
  std::size_t units_, count_;
  std::vector<double> mean_, factor_;  ///< (iterations × units of one), (iterations × count)
  Buffer<float> packed_;
  std::vector<std::size_t> begin_;  ///< of each piece in packed_
};

}  // namespace

std::unique_ptr<LayerStage> pca_stage(LayerShape const& in, LayerAxis axis, std::vector<Pca> const& fitted,
                                      bool whiten) {
  return std::make_unique<PcaStage>(in, axis, fitted, whiten);
}

}  // namespace striate
