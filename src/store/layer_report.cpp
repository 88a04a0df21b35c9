#include "striate/store/layer_report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "act_layout.hpp"
#include "striate/math/block_report.hpp"
#include "striate/store/act_store.hpp"

namespace striate {
namespace {

constexpr std::size_t listed = 5;

/// What both ways end in.
struct Totals {
  std::array<double, BlockReport::counts> count{
      0, 0, 0, 0, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  std::vector<double> row_sum, row_squares, unit_mean, unit_m2;
  std::vector<std::uint8_t> above;    ///< (units)
  std::vector<std::int32_t> channel;  ///< (n) each stimulus's top channel by its mean
};

/// Mean and deviation of all values of the rows whose sum is no NaN.
void set_moments(LayerReport& out, Totals const& t) {
  double sum = 0, squares = 0, rows = 0;
  for (std::size_t r = 0; r < t.row_sum.size(); ++r) {
    if (std::isnan(t.row_sum[r])) continue;
    sum += t.row_sum[r], squares += t.row_squares[r], ++rows;
  }
  double const values = rows * static_cast<double>(out.units);
  out.mean = values > 0 ? sum / values : std::nan("");
  out.sd = values > 0 ? std::sqrt(std::max(0.0, squares / values - out.mean * out.mean)) : std::nan("");
  if (!std::isfinite(out.mean)) out.sd = std::nan("");
}

template <class T>
std::vector<std::pair<std::size_t, T>> greatest(std::vector<T> const& values) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i] == values[i]) order.push_back(i);
  auto const middle = order.begin() + static_cast<std::ptrdiff_t>(std::min(listed, order.size()));
  std::partial_sort(order.begin(), middle, order.end(), [&](std::size_t a, std::size_t b) {
    return values[a] != values[b] ? values[a] > values[b] : a < b;
  });
  std::vector<std::pair<std::size_t, T>> out;
  for (auto it = order.begin(); it != middle; ++it) out.emplace_back(*it, values[*it]);
  return out;
}

LayerReport report_of(ActLayer const& layer, std::size_t n, Totals const& t) {
  LayerReport out;
  out.layer = layer.name, out.shape = layer.shape, out.units = layer.units, out.stimuli = n;
  auto const whole = [&](BlockReport::Count k) { return static_cast<std::uint64_t>(t.count[k]); };
  out.skipped = whole(BlockReport::empty_rows), out.nans = whole(BlockReport::nans);
  out.infinities = whole(BlockReport::infinities);
  double const values = static_cast<double>(n - out.skipped) * static_cast<double>(layer.units);
  out.zeros = values > 0 ? t.count[BlockReport::zeros] / values : std::nan("");
  bool const any = t.count[BlockReport::least] <= t.count[BlockReport::most];
  out.least = any ? t.count[BlockReport::least] : std::nan("");
  out.most = any ? t.count[BlockReport::most] : std::nan("");
  set_moments(out, t);
  out.dead = static_cast<std::uint64_t>(std::ranges::count(t.above, 0));
  out.constant = static_cast<std::uint64_t>(std::ranges::count(t.unit_m2, 0.0));
  out.top_units = greatest(t.unit_mean);
  std::vector<std::uint64_t> stimuli(channel_layout(layer.shape, layer.axes).channels, 0);
  for (std::int32_t const c : t.channel)
    if (c >= 0) ++stimuli[static_cast<std::size_t>(c)];
  out.top_channels = greatest(stimuli);
  std::erase_if(out.top_channels, [](auto const& c) { return c.second == 0; });
  return out;
}

/// From what the store keeps.
Totals kept(h5::File const& file, ActReader const& store, std::size_t index, std::string const& layer) {
  Totals t;
  auto const counts = file.dataset(".striate/batch_report");
  std::size_t const batches = counts.shape()[0], n = store.rows();
  for (std::size_t b = 0; b < batches; ++b) {
    std::array<double, BlockReport::counts> of_batch{};
    counts.read({b, index, 0}, {1, 1, of_batch.size()}, h5::type_id(h5::Dtype::f64), of_batch.data());
    merge_counts(t.count, of_batch);
  }
  t.row_sum = store.row_sum(layer), t.row_squares = store.row_sum_squares(layer);
  t.unit_mean = store.unit_mean(layer), t.unit_m2 = store.unit_m2(layer);
  t.above = file.dataset(".striate/unit_above/" + layer).read<std::uint8_t>();
  t.channel.resize(n);
  file.dataset(".striate/top_channel").read({index, 0, 0}, {1, n, 1}, h5::type_id(h5::Dtype::i32), t.channel.data());
  return t;
}

/// By a pass over the activations, blocks of rows that fit 64 MiB (at least one row).
Totals passed(ActReader const& store, ActLayer const& layer) {
  Totals t;
  std::size_t const n = store.rows(), units = layer.units;
  std::size_t const block = std::clamp<std::size_t>((std::size_t{16} << 20) / std::max<std::size_t>(1, units), 1, n);
  t.unit_mean.assign(units, 0), t.unit_m2.assign(units, 0), t.above.assign(units, 0);
  std::vector<float> columns(block * units), values(block * units), mean(units), m2(units);
  std::vector<std::uint8_t> above(units);
  double total = 0;
  for (std::size_t first = 0; first < n; first += block) {
    std::size_t const rows = std::min(block, n - first);
    std::vector<std::size_t> which(rows);
    std::iota(which.begin(), which.end(), first);
    store.read(layer.name, which, 0, units, MatrixView<float>(columns.data(), rows, units));
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t u = 0; u < units; ++u) values[r * units + u] = columns[u * rows + r];
    BlockReporter reporter(channel_layout(layer.shape, layer.axes), rows);
    std::vector<std::uint8_t> valid(rows);
    for (std::size_t r = 0; r < rows; ++r) {
      float const* x = values.data() + r * units;
      reporter.add(r, x, units);
      double sum = 0, squares = 0;
      for (std::size_t u = 0; u < units; ++u) sum += double{x[u]}, squares += double{x[u]} * double{x[u]};
      t.row_sum.push_back(sum), t.row_squares.push_back(squares);
      valid[r] = !std::isnan(sum);
    }
    auto const report = reporter.take();
    merge_counts(t.count, report.count);
    for (std::size_t r = 0; r < rows; ++r) t.channel.push_back(report.channel[r * BlockReport::columns]);
    auto const count = static_cast<double>(std::ranges::count(valid, 1));
    column_moments(values.data(), rows, units, units, valid, mean.data(), m2.data(), above.data());
    merge_moments(total, count, mean.data(), m2.data(), units, t.unit_mean.data(), t.unit_m2.data());
    total += count;
    for (std::size_t u = 0; u < units; ++u) t.above[u] |= above[u];
  }
  if (total == 0) std::ranges::fill(t.unit_mean, std::nan("")), std::ranges::fill(t.unit_m2, std::nan(""));
  return t;
}

std::string number(double value) { return std::isnan(value) ? "n/a" : fmt::format("{:.7g}", value); }

}  // namespace

std::vector<LayerReport> layer_reports(std::string const& path) {
  ActReader const store(path);
  std::vector<LayerReport> reports;
  std::optional<h5::File> file;
  if (store.ours()) file = h5::File::open(path);
  bool const has = file && file->has("/.striate/batch_report") && file->has("/.striate/unit_above");
  for (std::size_t l = 0; l < store.layers().size(); ++l) {
    auto const& layer = store.layers()[l];
    reports.push_back(report_of(layer, store.rows(), has ? kept(*file, store, l, layer.name) : passed(store, layer)));
  }
  return reports;
}

std::string report_table(std::vector<LayerReport> const& reports) {
  std::string text =
      "layer\tshape\tunits\tstimuli\tskipped\tmean\tsd\tmin\tmax\tzeros\tdead_units\tconstant_units\tnan\tinf\ttop_"
      "units\t"
      "top_channels\n";
  for (auto const& r : reports) {
    std::string shape, units, channels;
    for (std::size_t const extent : r.shape) shape += (shape.empty() ? "" : "x") + std::to_string(extent);
    for (auto const& [unit, mean] : r.top_units)
      units += (units.empty() ? "" : " ") + fmt::format("{}:{:.4g}", unit + 1, mean);
    for (auto const& [channel, stimuli] : r.top_channels)
      channels += (channels.empty() ? "" : " ") + fmt::format("{}:{}", channel + 1, stimuli);
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", r.layer, shape, r.units,
                        r.stimuli, r.skipped, number(r.mean), number(r.sd), number(r.least), number(r.most),
                        number(r.zeros), r.dead, r.constant, r.nans, r.infinities, units.empty() ? "n/a" : units,
                        channels.empty() ? "n/a" : channels);
  }
  return text;
}

std::filesystem::path report_file(std::filesystem::path const& store) {
  std::string name = store.filename().string();
  for (auto const* end : {".h5", ".hdf5"})
    if (name.ends_with(end) && name.size() > std::string(end).size()) {
      name.resize(name.size() - std::string(end).size());
      break;
    }
  return store.parent_path() / (name + ".report.tsv");
}

}  // namespace striate
