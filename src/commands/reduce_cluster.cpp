#include "reduce_cluster.hpp"

#include <algorithm>
#include <cmath>

#include "reduce_source.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/base/version.hpp"
#include "striate/math/cluster.hpp"
#include "striate/math/gram.hpp"
#include "striate/par/together.hpp"

namespace striate::reduce {
namespace {

namespace fs = std::filesystem;

/// Clusters of one layer; labels from 1, 0 for what was skipped or left out.
struct Result {
  std::vector<std::int32_t> labels, left_out;  ///< left_out: stimuli or units without a direction, from 0
  std::vector<double> centres, tree;           ///< clusters × dimensions; (points − 1) × 4
  std::size_t clusters = 0, dimensions = 0;
  double inertia = 0;
};

/// Rows of length 1 (cosine), or that with mean 0 (correlation): squared distances are then 2 (1 − cosine or r).
void normalise(float* row, std::size_t dimensions, std::string const& metric) {
  if (metric == "euclidean") return;
  double mean = 0, squares = 0;
  for (std::size_t d = 0; d < dimensions; ++d) mean += static_cast<double>(row[d]);
  mean = metric == "correlation" ? mean / static_cast<double>(dimensions) : 0;
  for (std::size_t d = 0; d < dimensions; ++d) squares += std::pow(static_cast<double>(row[d]) - mean, 2);
  double const scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
  for (std::size_t d = 0; d < dimensions; ++d)
    row[d] = static_cast<float>((static_cast<double>(row[d]) - mean) * scale);
}

class Clusters {
 public:
  Clusters(Context& context, Config const& config, Inputs const& inputs, double bytes)
      : context_(context), config_(config), inputs_(inputs), bytes_(bytes) {}

  Result of(ActReader const& store, InputLayer const& layer) {
    auto const rows = inputs_.rows_of(layer);
    StorePanels panels(context_.comm, context_.team, context_.stop, store, layer.name, rows, bytes_);
    Points points = load(panels);
    panels.progress(0.5);
    Result r;
    std::vector<std::size_t> const kept = leave_out(points, rows, layer.name, r);
    r.dimensions = points.dimensions;
    r.clusters = config_.components ? static_cast<std::size_t>(config_.components->count) : 0;
    std::vector<std::int32_t> labels;
    if (config_.method == "kmeans") {
      auto fit = kmeans(points,
                        {.clusters = r.clusters,
                         .starts = static_cast<std::size_t>(config_.starts),
                         .most_iterations = static_cast<std::size_t>(config_.most_iterations),
                         .seed = static_cast<std::uint64_t>(config_.seed),
                         .progress = [&](double share) { panels.progress(0.5 + share / 2); }},
                        context_.team);
      labels = std::move(fit.labels), r.centres = std::move(fit.centres), r.inertia = fit.inertia;
    } else {
      labels = tree(points, r);
    }
    if (!labels.empty()) r.labels = spread(labels, kept, panels.units());
    return r;
  }

 private:
  /// Rows of a matrix that the ranks of a node share.
  Points load(StorePanels& panels) {
    std::size_t const n = panels.rows(), p = panels.units();
    bool const units = config_.cluster == "units";
    Points const points{nullptr, units ? p : n, units ? n : p};
    memory_.reset();
    memory_ = context_.team.shared(n * p * 4);
    auto* const to = reinterpret_cast<float*>(memory_.get());
    std::size_t const at_once = std::max<std::size_t>(1, panels.height());
    for (std::size_t first = 0; first < n; first += at_once) {
      std::size_t const rows = std::min(at_once, n - first);
      float const* const x = panels.block(first, rows);
      copy(x, first, rows, n, p, to);
      panels.progress(0);
    }
    std::vector<Slot> slots;
    std::size_t const some = 64;
    for (std::size_t i = 0; i < points.count; i += some)
      slots.push_back({i * points.dimensions * 4, std::min(some, points.count - i) * points.dimensions * 4});
    context_.team.run(memory_.get(), slots, [&](std::size_t s) {
      for (std::size_t i = s * some; i < std::min(points.count, (s + 1) * some); ++i)
        normalise(to + i * points.dimensions, points.dimensions, config_.metric);
    });
    return {to, points.count, points.dimensions};
  }

  void copy(float const* x, std::size_t first, std::size_t rows, std::size_t n, std::size_t p, float* to) {
    bool const units = config_.cluster == "units";
    std::size_t const some = 256;
    std::vector<std::vector<Slot>> slots;
    for (std::size_t b = 0; b < (units ? p : rows); b += some) {
      std::size_t const end = std::min(units ? p : rows, b + some);
      slots.emplace_back();
      if (!units) slots.back().push_back({(first + b) * p * 4, (end - b) * p * 4});
      for (std::size_t u = b; units && u < end; ++u) slots.back().push_back({(u * n + first) * 4, rows * 4});
    }
    context_.team.run(memory_.get(), slots, [&](std::size_t s) {
      std::size_t const b = s * some, end = std::min(units ? p : rows, b + some);
      if (units)
        for (std::size_t u = b; u < end; ++u) std::copy_n(x + u * rows, rows, to + u * n + first);
      else
        for (std::size_t u = 0; u < p; ++u)
          for (std::size_t r = b; r < end; ++r) to[(first + r) * p + u] = x[u * rows + r];
    });
  }

  std::vector<std::int32_t> tree(Points const& points, Result& r) {
    auto d = distances(points, context_.team);
    if (config_.metric != "euclidean" && config_.linkage != "ward")  // the distance itself: 1 − r
      for (double& v : d) v = v * v / 2;
    std::size_t const joins = points.count - 1;
    auto const memory = context_.team.shared(joins * 32);
    auto* const out = reinterpret_cast<Merge*>(memory.get());
    std::vector<Slot> const whole{{0, joins * 32}};
    context_.team.run(memory.get(), whole, [&](std::size_t) {
      auto const made = linkage(std::move(d), points.count, linkage_of(config_.linkage));
      std::ranges::copy(made, out);
    });
    for (std::size_t k = 0; k < joins; ++k) r.tree.insert(r.tree.end(), out[k].begin(), out[k].end());
    if (r.clusters == 0) return {};
    return cut_tree({out, joins}, r.clusters);
  }

  /// What has no direction (constant under correlation, all 0 under cosine) has no distance from anything: such points,
  /// which normalise() made 0, are taken out. Returns the unit or the stimulus of each point that stays.
  std::vector<std::size_t> leave_out(Points& points, std::vector<std::size_t> const& rows, std::string const& layer,
                                     Result& r) {
    bool const units = config_.cluster == "units";
    std::size_t const d = points.dimensions;
    std::vector<std::size_t> kept, places;
    for (std::size_t i = 0; i < points.count; ++i) {
      float const* const x = points.x + i * d;
      bool const dead = config_.metric != "euclidean" && std::all_of(x, x + d, [](float v) { return v == 0; });
      std::size_t const name = units ? i : rows[i];
      if (dead)
        r.left_out.push_back(static_cast<std::int32_t>(name));
      else
        kept.push_back(name), places.push_back(i);
    }
    if (r.left_out.empty()) return kept;
    auto const first = static_cast<std::size_t>(r.left_out[0]);
    auto const text =
        fmt::format("{} of {} {} {} (first: {}), and {} is not defined there", r.left_out.size(), points.count,
                    units ? "units" : "stimuli", config_.metric == "cosine" ? "are 0 throughout" : "are constant",
                    units ? "unit " + std::to_string(first) : inputs_.ids[first], config_.metric);
    if (kept.empty()) fail(Exit::data, "{}; use metric: euclidean", text);
    if (context_.comm.root()) log::warn("layer {}: {}; they are in no cluster (label 0)", layer, text);
    context_.comm.barrier();  // everybody has looked
    auto* const x = reinterpret_cast<float*>(memory_.get());
    std::vector<Slot> const whole{{0, points.count * d * 4}};
    context_.team.run(memory_.get(), whole, [&](std::size_t) {
      for (std::size_t i = 0; i < places.size(); ++i)
        if (places[i] != i) std::copy_n(x + places[i] * d, d, x + i * d);
    });
    points.count = kept.size();
    return kept;
  }

  [[nodiscard]] std::vector<std::int32_t> spread(std::vector<std::int32_t> const& labels,
                                                 std::vector<std::size_t> const& kept, std::size_t units) const {
    std::vector<std::int32_t> all(config_.cluster == "units" ? units : inputs_.ids.size(), 0);
    for (std::size_t i = 0; i < labels.size(); ++i) all[kept[i]] = labels[i] + 1;
    return all;
  }

  Context& context_;
  Config const& config_;
  Inputs const& inputs_;
  double bytes_;
  std::shared_ptr<std::byte> memory_;
};

void write_layer(h5::File& file, std::string const& layer, Result const& r) {
  auto const at = "/" + layer + "/";
  auto const table = [&](char const* name, std::vector<double> const& values, std::size_t columns) {
    if (values.empty()) return;
    file.create_dataset(at + name, h5::Dtype::f64, {values.size() / columns, columns})
        .write(std::span<double const>(values));
  };
  if (!r.labels.empty())
    file.create_dataset(at + "label", h5::Dtype::i32, {r.labels.size()}).write(std::span<std::int32_t const>(r.labels));
  if (!r.left_out.empty())
    file.create_dataset(at + "left_out", h5::Dtype::i32, {r.left_out.size()})
        .write(std::span<std::int32_t const>(r.left_out));
  table("centre", r.centres, std::max<std::size_t>(1, r.dimensions));
  table("linkage", r.tree, 4);
  if (!r.centres.empty()) {
    std::vector<double> const inertia{r.inertia};
    file.create_dataset(at + "inertia", h5::Dtype::f64, {}).write(std::span<double const>(inertia));
  }
}

/// A line a stimulus with a column a layer; of units, whose numbers differ, a line a layer and unit.
std::string labels_text(Config const& config, Inputs const& inputs, std::vector<Result> const& all) {
  std::string text;
  auto const named = [](int label) { return label > 0 ? std::to_string(label) : std::string("n/a"); };
  if (config.cluster == "units") {
    text = "layer\tunit\tcluster\n";
    for (std::size_t l = 0; l < all.size(); ++l)
      for (std::size_t u = 0; u < all[l].labels.size(); ++u)
        text += inputs.layers[l].name + "\t" + std::to_string(u + 1) + "\t" + named(all[l].labels[u]) + "\n";
    return text;
  }
  text = "stimulus";
  for (auto const& layer : inputs.layers) text += "\t" + layer.name;
  for (std::size_t s = 0; s < inputs.ids.size(); ++s) {
    text += "\n" + inputs.ids[s];
    for (auto const& r : all) text += '\t', text += named(r.labels.empty() ? 0 : r.labels[s]);
  }
  return text + "\n";
}

}  // namespace

fs::path draft_of(fs::path const& output) {
  return output.parent_path() / ("." + output.filename().string() + ".part");
}

fs::path table_of(fs::path const& output) {
  std::string name = output.filename().string();
  if (name.ends_with(".h5")) name.resize(name.size() - 3);
  return output.parent_path() / (name + ".tsv");
}

ClusterCost cluster_cost(Config const& config, Inputs const& inputs, InputLayer const& layer) {
  double const n = static_cast<double>(inputs.rows_of(layer).size()), p = static_cast<double>(layer.shape.units());
  double const points = config.cluster == "units" ? p : n, dimensions = config.cluster == "units" ? n : p;
  ClusterCost c;
  c.node = 4 * n * p;
  if (config.method == "hierarchical") {
    c.node += 4 * points * points;
    c.rank = 8 * points * points;  // every rank has the distances, and one of them once more
    c.flops = points * points * (dimensions + 8);
  } else {
    double const k = static_cast<double>(config.components->count);
    c.node += 8 * k * dimensions + 16 * points;
    c.rank = 24 * k * dimensions;
    c.flops = 20 * static_cast<double>(config.starts) * 2 * points * k * dimensions;
  }
  return c;
}

bool cluster(Context& context, Config const& config, Inputs const& inputs, nlohmann::ordered_json const& identity,
             double panel_bytes) {
  std::vector<Result> all;
  std::unique_ptr<ActReader> store;
  together(context.comm, [&] { store = std::make_unique<ActReader>(config.features.store.string()); });
  Clusters clusters(context, config, inputs, panel_bytes);
  try {
    for (auto const& layer : inputs.layers) {
      log::info("clustering {}: {} of {}", layer.name, config.method, config.cluster);
      try {
        all.push_back(clusters.of(*store, layer));
      } catch (Error const& error) {
        throw Error(error.code(), "layer " + layer.name + ": " + error.what());
      }
    }
  } catch (Stopped const&) {
    return false;
  }
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    fs::path const part = draft_of(config.output);
    {
      auto file = h5::File::create({}, part);
      file.set_attribute("/", "striate_version", std::string(version()));
      file.set_attribute("/", "method", config.method);
      file.set_attribute("/", "cluster", config.cluster);
      file.set_attribute("/", "metric", config.metric);
      file.set_attribute("/", "config", context.resolved.dump());
      std::vector<std::string> order;
      for (std::size_t l = 0; l < all.size(); ++l)
        order.push_back(inputs.layers[l].name), write_layer(file, order.back(), all[l]);
      file.set_attribute("/", "layer_order", order);
      file.write_strings("/.striate/stimulus_id", inputs.ids);
      file.write_text("/.striate/identity", identity.dump());
      std::vector<std::uint8_t> const done(all.size(), 1), complete{1};
      file.create_dataset("/.striate/done", h5::Dtype::u8, {done.size()}).write(std::span<std::uint8_t const>(done));
      file.create_dataset("/.striate/complete", h5::Dtype::u8, {}).write(std::span<std::uint8_t const>(complete));
      file.close();
    }
    if (std::ranges::any_of(all, [](Result const& r) { return !r.labels.empty(); }))
      write_atomically(table_of(config.output), labels_text(config, inputs, all));
    fs::rename(part, config.output);
    sync_folder(config.output.parent_path());
  });
  return true;
}

}  // namespace striate::reduce
