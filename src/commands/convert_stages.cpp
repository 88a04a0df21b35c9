#include "convert_stages.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "convert_dmask.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"

namespace striate::convert {
namespace {

template <class F>
void each(std::vector<std::vector<float>>& operands, std::optional<double> number, F const& f) {
  auto& a = operands[0];
  if (number) {
    for (float& v : a) v = static_cast<float>(f(static_cast<double>(v), *number));
    return;
  }
  auto const& b = operands[1];
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] = static_cast<float>(f(static_cast<double>(a[i]), static_cast<double>(b[i])));
}

/// Units at places, in their order.
class Select final : public LayerStage {
 public:
  Select(std::vector<std::size_t> places, std::size_t units, LayerShape out)
      : places_(std::move(places)), units_(units), out_(std::move(out)) {}
  [[nodiscard]] LayerShape output() const override { return out_; }
  void apply(float const* in, std::size_t rows, float* out) const override {
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t i = 0; i < places_.size(); ++i) out[r * places_.size() + i] = in[r * units_ + places_[i]];
  }

 private:
  std::vector<std::size_t> places_;
  std::size_t units_;
  LayerShape out_;
};

enum class Summary { max, mean, median, l1, l2, column_sum, singular };

double summary_of(Summary kind, float const* map, std::size_t rows, std::size_t columns) {
  std::size_t const n = rows * columns;
  if (std::any_of(map, map + n, [](float v) { return std::isnan(v); })) return std::numeric_limits<double>::quiet_NaN();
  auto const sum = [&](auto const& f) {
    double total = 0;
    for (std::size_t i = 0; i < n; ++i) total += f(static_cast<double>(map[i]));
    return total;
  };
  switch (kind) {
    case Summary::max:
      return static_cast<double>(*std::max_element(map, map + n));
    case Summary::mean:
      return sum([](double v) { return v; }) / static_cast<double>(n);
    case Summary::l1:
      return sum([](double v) { return std::abs(v); });
    case Summary::l2:
      return std::sqrt(sum([](double v) { return v * v; }));
    case Summary::median: {
      std::vector<float> sorted(map, map + n);
      auto const middle = sorted.begin() + static_cast<std::ptrdiff_t>(n / 2);
      std::nth_element(sorted.begin(), middle, sorted.end());
      auto const upper = static_cast<double>(*middle);
      return n % 2 == 1 ? upper : (upper + static_cast<double>(*std::max_element(sorted.begin(), middle))) / 2;
    }
    case Summary::column_sum: {
      double most = 0;
      for (std::size_t c = 0; c < columns; ++c) {
        double total = 0;
        for (std::size_t r = 0; r < rows; ++r) total += std::abs(static_cast<double>(map[r * columns + c]));
        most = std::max(most, total);
      }
      return most;
    }
    case Summary::singular:
      break;
  }
  using Map = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Eigen::MatrixXd const x =
      Eigen::Map<Map const>(map, static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(columns)).cast<double>();
  if (!x.allFinite()) return std::numeric_limits<double>::infinity();
  Eigen::MatrixXd const gram = rows < columns ? Eigen::MatrixXd(x * x.transpose()) : Eigen::MatrixXd(x.transpose() * x);
  Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> const solved(gram, Eigen::EigenvaluesOnly);
  return std::sqrt(std::max(0.0, solved.eigenvalues().maxCoeff()));
}

/// One value a map: over the last two axes of a stimulus.
class PoolMaps final : public LayerStage {
 public:
  PoolMaps(Summary kind, LayerShape const& in) : kind_(kind), out_(in) {
    rows_ = in.shape.end()[-2], columns_ = in.shape.end()[-1];
    out_.shape.end()[-2] = out_.shape.end()[-1] = 1;
    maps_ = out_.units();
  }
  [[nodiscard]] LayerShape output() const override { return out_; }
  void apply(float const* in, std::size_t rows, float* out) const override {
    for (std::size_t i = 0; i < rows * maps_; ++i)
      out[i] = static_cast<float>(summary_of(kind_, in + i * rows_ * columns_, rows_, columns_));
  }

 private:
  Summary kind_;
  LayerShape out_;
  std::size_t rows_ = 1, columns_ = 1, maps_ = 1;
};

Summary summary_named(std::string const& pool, bool dnnbrain) {
  if (pool == "max") return Summary::max;
  if (pool == "mean") return Summary::mean;
  if (pool == "median") return Summary::median;
  if (pool == "l1") return dnnbrain ? Summary::column_sum : Summary::l1;
  return dnnbrain ? Summary::singular : Summary::l2;
}

/// The grid of channels × rows × columns that a mask names; the axes that it leaves out are whole.
std::shared_ptr<LayerStage const> selection(LayerShape const& in, LayerMask const& mask, std::string const& file) {
  auto const& shape = in.shape;
  bool const spatial = shape.size() >= 3;
  if (!spatial && (!mask.rows.empty() || !mask.columns.empty()))
    fail(Exit::data, "mask: {}: layer {} is {}, so it has no rows and columns", file, mask.layer, h5::text_of(shape));
  // A video layer's frames belong to the channels here: every frame of the channels that are named.
  std::size_t const map_rows = spatial ? shape.end()[-2] : 1, map_columns = spatial ? shape.end()[-1] : 1;
  std::size_t const channels = shape[0], between = in.units() / (channels * map_rows * map_columns);
  auto const axis = [&](std::vector<std::size_t> const& chosen, std::size_t extent, char const* what) {
    std::vector<std::size_t> places;
    for (std::size_t const one : chosen) {
      if (one < 1 || one > extent)
        fail(Exit::data, "mask: {}: layer {} has {} {}, but {} is asked for (they count from 1)", file, mask.layer, extent,
             what, one);
      places.push_back(one - 1);
    }
    if (chosen.empty()) places.resize(extent), std::iota(places.begin(), places.end(), std::size_t{0});
    return places;
  };
  auto const c = axis(mask.channels, channels, "channels"), r = axis(mask.rows, map_rows, "rows"),
             k = axis(mask.columns, map_columns, "columns");
  std::vector<std::size_t> places;
  for (std::size_t const ci : c)
    for (std::size_t b = 0; b < between; ++b)
      for (std::size_t const ri : r)
        for (std::size_t const ki : k) places.push_back(((ci * between + b) * map_rows + ri) * map_columns + ki);
  LayerShape out = in;
  out.shape[0] = c.size();
  if (spatial) out.shape.end()[-2] = r.size(), out.shape.end()[-1] = k.size();
  return std::make_shared<Select>(std::move(places), in.units(), std::move(out));
}

void add(OutputLayer& layer, std::shared_ptr<LayerStage const> stage) {
  auto const out = stage->output();
  layer.spec.shape = out.shape, layer.spec.axes = out.axes;
  layer.stages.push_back(std::move(stage));
}

}  // namespace

std::size_t calculate(std::string const& operation, std::vector<std::vector<float>>& operands,
                      std::optional<double> number) {
  if (operation == "add") each(operands, number, [](double a, double b) { return a + b; });
  if (operation == "subtract") each(operands, number, [](double a, double b) { return a - b; });
  if (operation == "multiply") each(operands, number, [](double a, double b) { return a * b; });
  if (operation != "divide") return 0;
  std::size_t zeros = 0;
  if (number)
    zeros = *number == 0 ? operands[0].size() : 0;
  else
    zeros = static_cast<std::size_t>(std::ranges::count(operands[1], 0.0F));
  each(operands, number, [](double a, double b) { return a / b; });
  return zeros;
}

void add_stages(Config const& config, std::vector<OutputLayer>& layers) {
  if (config.mask) {
    auto const masks = read_layer_masks(*config.mask);
    std::string const file = config.mask->filename().string();
    std::vector<OutputLayer> kept;
    for (auto const& mask : masks) {
      auto const at = std::ranges::find(layers, mask.layer, [](auto const& l) { return l.spec.name; });
      if (at == layers.end()) {
        std::vector<std::string> names;
        for (auto const& l : layers) names.push_back(l.spec.name);
        std::string const near = nearest(mask.layer, names);
        fail(Exit::data, "mask: {} names the layer {}, which the input lacks{}", file, mask.layer,
             near.empty() ? "" : "; did you mean `" + near + "`?");
      }
      add(*at, selection({at->spec.shape, at->spec.axes}, mask, file));
      kept.push_back(std::move(*at));
      layers.erase(at);
    }
    layers = std::move(kept);
  }
  if (config.pool == "none") return;
  bool const dnnbrain = config.compat == "dnnbrain";
  std::size_t pooled = 0;
  for (auto& layer : layers) {
    bool const space = layer.spec.shape.size() >= 3 && layer.spec.axes.find("feature") == std::string::npos;
    if (!space && !(dnnbrain && layer.spec.shape.size() >= 3)) continue;
    ++pooled;
    add(layer, std::make_shared<PoolMaps>(summary_named(config.pool, dnnbrain), LayerShape{layer.spec.shape, layer.spec.axes}));
  }
  if (pooled == 0) log::warn("pool: no layer has rows and columns; nothing is pooled");
}

}  // namespace striate::convert
