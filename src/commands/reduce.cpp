/// `striate reduce`: activations → fewer values a layer (docs/extraction.md).
#include "reduce.hpp"

#include <algorithm>
#include <cmath>

#include "apart.hpp"
#include "frame.hpp"
#include "reduce_cluster.hpp"
#include "reduce_fit.hpp"
#include "reduce_inputs.hpp"
#include "reduce_work.hpp"
#include "striate/base/version.hpp"
#include "striate/math/gram.hpp"
#include "striate/par/together.hpp"
#include "striate/store/h5.hpp"
#include "striate/store/reduction_file.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
using reduce::FitCost;
using reduce::Reduced;

constexpr std::size_t largest_batch = 64;
constexpr double reading_bytes = 96 << 20;
constexpr double panel_bytes_wanted = 256 << 20;

bool is_cluster_file(fs::path const& path) try {
  auto const file = h5::File::open(path);
  return file.is_dataset(".striate/identity") && file.has_attribute("/", "cluster");
} catch (Error const&) {
  return false;
}

class Reduce final : public Job {
 public:
  void describe(Schema& schema) override { reduce::declare(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return false; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    auto const ledger = read_ledger(config_.output);
    return {ledger.done, ledger.total, ledger.complete};
  }

 private:
  void check_shapes() const;
  [[nodiscard]] std::size_t batch_rows() const;
  void check_ours() const;
  void check_files(Comm const& comm) const;
  void plan_fit(Context& context, Plan& plan);
  void plan_clusters(Context const& context, Plan& plan);
  void plan_apply(Context& context, Plan& plan);
  void load_stages(Context const& context);
  [[nodiscard]] std::size_t count_of(reduce::InputLayer const& layer) const;
  [[nodiscard]] double bytes_in_flight() const;
  [[nodiscard]] double kept_bytes() const;
  [[nodiscard]] fs::path model_file() const;
  [[nodiscard]] nlohmann::ordered_json identity(Context const& context) const;
  [[nodiscard]] ActSpec spec(Context const& context) const;
  bool write_store(Context& context);

  reduce::Config config_;
  reduce::Inputs inputs_;
  std::vector<Reduced> layers_;
  std::size_t batch_ = 1;
  int in_flight_ = 1;
  double panel_bytes_ = 0;
};

/// What the shapes of the layers decide.
void Reduce::check_shapes() const {
  if (config_.apply || !config_.components || config_.components->count == 0) return;
  auto const count = static_cast<std::size_t>(config_.components->count);
  for (auto const& layer : inputs_.layers) {
    AxisCut const cut(layer.shape, layer_axis(config_.axis));
    std::size_t const rows = inputs_.rows_of(layer).size(), p = cut.length;
    std::string const units = config_.axis == "whole"     ? "units"
                              : config_.axis == "channel" ? "channels (axis: channel)"
                                                          : "positions (axis: position)";
    if (config_.is_pca() && rows < 2)
      fail(Exit::data, "layer {}: {} stimuli have no components; at least two are needed", layer.name, rows);
    if (std::size_t const most = std::min(rows - 1, p); config_.is_pca() && count > most)
      fail(Exit::config, "components: layer {}: {} stimuli of {} {} have at most {} components, not {}", layer.name,
           rows, p, units, most, count);
    if (config_.method == "psd" && count > p / 2 + 1)
      fail(Exit::config, "components: layer {}: a spectrum of {} {} has {} coefficients, not {}", layer.name, p, units,
           p / 2 + 1, count);
    if (std::size_t const points = config_.cluster == "units" ? p : rows; config_.is_cluster() && count > points)
      fail(Exit::config, "components: layer {}: {} points ({}) cannot make {} clusters", layer.name, points,
           config_.cluster, count);
  }
}

/// Of the stores that are made.
std::size_t Reduce::batch_rows() const {
  double row = 0;
  for (auto const& layer : inputs_.layers) row += 4 * static_cast<double>(layer.shape.units());
  return rows_of_batch(row, inputs_.ids.size(), largest_batch);
}

/// Values that are left of a layer; of a share of the variance the most there can be.
std::size_t Reduce::count_of(reduce::InputLayer const& layer) const {
  for (auto const& made : layers_)  // of `apply` known already
    if (config_.apply && made.name == layer.name) return made.stage->output().units();
  if (config_.method == "zscore") return layer.shape.units();
  auto const c = components_of(config_, inputs_);
  if (config_.is_projection() && layer.shape.units() <= c.count) return layer.shape.units();
  AxisCut const cut(layer.shape, layer_axis(config_.axis));
  std::size_t const most = c.count > 0 ? c.count : std::min(cut.length, inputs_.fit.size());
  return cut.output(most).units();
}

/// Of one batch: rows of the layers twice (one is computed, another read or written), and what becomes of them.
double Reduce::bytes_in_flight() const {
  double bytes = 0;
  for (auto const& layer : inputs_.layers)
    bytes += 8 * static_cast<double>(layer.shape.units()) + 24 * static_cast<double>(count_of(layer));
  return bytes * static_cast<double>(batch_);
}

/// Entries of sparse projections, which every rank keeps.
double Reduce::kept_bytes() const {
  double bytes = 0;
  bool const applied = config_.apply && read_reduction_file(*config_.apply).attributes["method"] == "sparse";
  for (auto const& layer : inputs_.layers) {
    ProjectionOptions o;
    if (applied)
      o = read_reduction(*config_.apply, layer.name).projection;
    else if (config_.method == "sparse")
      o = {.kind = ProjectionKind::sparse, .components = count_of(layer), .density = config_.density.value_or(0)};
    if (o.components > 0) bytes += projection_bytes(layer.shape.units(), o);
  }
  return bytes;
}

fs::path Reduce::model_file() const {
  if (config_.apply) return *config_.apply;
  if (config_.model) return *config_.model;
  std::string name = config_.output.filename().string();
  for (std::string const ending : {".h5", ".act"})
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  return config_.output.parent_path() / (name + (config_.is_projection() ? ".proj.h5"
                                                 : config_.is_pca()      ? ".pca.h5"
                                                                         : ".fit.h5"));
}

void Reduce::plan_fit(Context& context, Plan& plan) {
  FitCost most;
  auto const threads = static_cast<double>(context.comm.max(std::int64_t{context.threads}));
  for (auto const& layer : inputs_.layers) {
    FitCost const c = cost_of(config_, inputs_, layer);
    auto const rows = static_cast<double>(inputs_.rows_of(layer).size());
    plan.flops += c.flops;
    plan.bytes_read += c.passes * 4 * rows * static_cast<double>(layer.shape.units());
    most.node = std::max(most.node, c.node), most.panel = std::max(most.panel, c.panel);
    most.rank = std::max(most.rank, c.rank + std::min(threads, c.fits) * c.thread);
  }
  if (most.node <= 0) return;
  // Shared by the ranks of a node: their budgets together, less what each of them holds.
  auto const ranks = static_cast<double>(context.comm.node().size());
  double const budget = ranks * (context.memory_budget - most.rank - reading_bytes);
  double const least = most.panel;
  panel_bytes_ = std::min(std::max(panel_bytes_wanted, least), (budget - most.node) / 2);
  std::int64_t const lacking = panel_bytes_ < least ? 1 : 0;
  panel_bytes_ = -context.comm.max(-panel_bytes_);
  if (context.comm.max(lacking) > 0)
    fail(Exit::limit,
         "the fit needs {} on a node and {} a rank, but ranks may use {} each; give more memory, or use {}",
         bytes_text(most.node + 2 * least), bytes_text(most.rank + reading_bytes), bytes_text(context.memory_budget),
         config_.axis != "whole"              ? "fewer threads"
         : config_.method == "pca"            ? "method: randomized_pca"
         : config_.method == "randomized_pca" ? "fewer components"
                                              : "fewer stimuli (fit:)");
  plan.memory_per_node = most.node + panel_bytes_;
  plan.memory_per_rank = std::max(plan.memory_per_rank, most.rank + reading_bytes);
  plan.lines.emplace_back("fit",
                          fmt::format("{} on {} stimuli, passes: {}, panels of {}", config_.method, inputs_.fit.size(),
                                      cost_of(config_, inputs_, inputs_.layers[0]).passes, bytes_text(panel_bytes_)));
}

void Reduce::plan_clusters(Context const& context, Plan& plan) {
  double node = 0, rank = 0, least = 0;
  for (auto const& layer : inputs_.layers) {
    auto const c = cluster_cost(config_, inputs_, layer);
    node = std::max(node, c.node), rank = std::max(rank, c.rank);
    least = std::max(
        least, 4 * static_cast<double>(std::min(gram_panel, inputs_.rows_of(layer).size()) * layer.shape.units()));
    plan.flops += c.flops;
    plan.bytes_read += 4 * static_cast<double>(inputs_.fit.size() * layer.shape.units());
    plan.lines.emplace_back("layer " + layer.name,
                            fmt::format("{} stimuli × {} units", inputs_.rows_of(layer).size(), layer.shape.units()));
  }
  auto const ranks = static_cast<double>(context.comm.node().size());
  panel_bytes_ = std::min(std::max(panel_bytes_wanted, least),
                          (ranks * (context.memory_budget - rank - reading_bytes) - node) / 2);
  panel_bytes_ = -context.comm.max(-panel_bytes_);
  if (panel_bytes_ < least)
    fail(Exit::limit,
         "clusters need {} on a node and {} a rank, but ranks may use {} each; reduce the layers first (method: "
         "pca), or give more memory",
         bytes_text(node + 2 * least), bytes_text(rank + reading_bytes), bytes_text(context.memory_budget));
  plan.units = inputs_.layers.size();
  plan.memory_per_node = node + panel_bytes_, plan.memory_per_rank = rank + reading_bytes;
}

void Reduce::plan_apply(Context& context, Plan& plan) {
  int const threads = static_cast<int>(context.comm.max(std::int64_t{context.threads}));
  double stages = 0, units = 0, values = 0;
  double const n = static_cast<double>(inputs_.ids.size()), element = config_.dtype == "float16" ? 2 : 4;
  for (auto const& layer : inputs_.layers) {
    double const p = static_cast<double>(layer.shape.units()), k = static_cast<double>(count_of(layer));
    units += p, values += k;
    if (!config_.apply) {
      plan.flops += 2 * n * p * k / static_cast<double>(AxisCut(layer.shape, layer_axis(config_.axis)).iterations);
      if (config_.is_pca()) stages += cost_of(config_, inputs_, layer).rank * 2;
    }
    bool const share = config_.components && config_.components->share > 0;
    plan.lines.emplace_back("layer " + layer.name, fmt::format("{} units → {}{}, {}", layer.shape.units(),
                                                               share ? "at most " : "", count_of(layer),
                                                               bytes_text(n * k * element)));
  }
  together(context.comm, [&] { stages += kept_bytes(); });
  if (config_.apply) stages += 2 * static_cast<double>(fs::file_size(*config_.apply));
  double const room = context.memory_budget - reading_bytes - stages;
  in_flight_ = static_cast<int>(std::min<double>(threads, room / bytes_in_flight()));
  in_flight_ = static_cast<int>(context.comm.min(std::int64_t{in_flight_}));
  if (in_flight_ < 1)
    fail(Exit::limit,
         "{} stimuli and the components of all layers need {}, but a rank may use {}; name fewer layers, or "
         "give more memory",
         batch_, bytes_text(bytes_in_flight() + stages + reading_bytes), bytes_text(context.memory_budget));
  plan.units = (inputs_.ids.size() + batch_ - 1) / batch_;
  plan.bytes_read += 4 * n * units;
  plan.bytes_written = n * values * element;
  plan.memory_per_rank = reading_bytes + stages + in_flight_ * bytes_in_flight();
  plan.lines.emplace_back("stimuli", fmt::format("{}, in batches of {}", inputs_.ids.size(), batch_));
}

void Reduce::check_files(Comm const& comm) const {
  std::vector<NamedPath> reads{{"features.store", config_.features.store}}, writes{{"output", config_.output}};
  add_stimuli(reads, "features.stimuli", config_.features.stimuli);
  add_stimuli(reads, "fit", config_.fit.list);
  if (config_.apply) reads.push_back({"apply", *config_.apply});
  if (config_.is_cluster()) writes.push_back({"table of output", reduce::table_of(config_.output)});
  if (!config_.is_cluster() && !config_.apply) writes.push_back({"model", model_file()});
  check_apart(comm, reads, writes);
}

void Reduce::plan(Context& context, Plan& plan) {
  together(context.comm, [&] { check(config_); });
  check_files(context.comm);
  inputs_ = reduce::read_inputs(context.comm, config_);
  together(context.comm, [&] { check_shapes(); });
  batch_ = batch_rows();
  if (config_.apply) load_stages(context);  // says at once what does not fit
  if (config_.is_cluster()) {
    plan_clusters(context, plan);
  } else {
    plan_apply(context, plan);
    plan_fit(context, plan);
  }
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    check_ours();
    if (!context.fresh) check_place_of(config_.output, identity(context));
  });
}

/// --fresh replaces what striate wrote, and nothing else.
void Reduce::check_ours() const {
  auto const not_ours = [](char const* key, fs::path const& file) {
    fail(Exit::cant_create, "{}: {} exists and was not written by striate; move it away or choose another output", key,
         file.string());
  };
  if (config_.is_cluster()) {
    bool const ours = is_cluster_file(config_.output);
    if (fs::exists(config_.output) && !ours) not_ours("output", config_.output);
    // The table comes just before the draft gets the output's name.
    auto const table = reduce::table_of(config_.output);
    if (fs::exists(table) && !ours && !is_cluster_file(reduce::draft_of(config_.output)))
      not_ours("table of output", table);
  }
  if (auto const model = model_file(); !config_.is_cluster() && !config_.apply && fs::exists(model)) {
    try {
      (void)read_reduction_file(model);
    } catch (Error const&) {
      not_ours("model", model);
    }
  }
}

nlohmann::ordered_json Reduce::identity(Context const& context) const {
  auto j = context.identity;
  j["inputs"] = inputs_.identity;
  j["batch_rows"] = batch_;
  return j;
}

void Reduce::load_stages(Context const& context) {
  layers_.clear();
  together(context.comm, [&] {
    for (auto const& layer : inputs_.layers)
      layers_.push_back({layer.name, layer.shape.units(), saved_stage(model_file(), layer.name, layer.shape)});
  });
}

ActSpec Reduce::spec(Context const& context) const {
  ActSpec spec;
  for (auto const& layer : layers_) {
    auto const shape = layer.stage->output();
    spec.layers.push_back({layer.name, shape.shape, shape.axes, h5::dtype_of_name(config_.dtype)});
  }
  spec.stimulus_ids = inputs_.ids;
  spec.batch = batch_;
  auto config = context.resolved;
  for (auto const* key : {"output", "memory", "model"}) config.erase(key);  // the same store, wherever written
  spec.attributes = inputs_.origin;
  spec.attributes["reduction"] =
      config_.apply ? read_reduction_file(*config_.apply).attributes["method"] : config_.method;
  spec.attributes["striate_git_commit"] = git_commit();
  spec.attributes["config"] = config.dump();
  spec.identity = identity(context);
  return spec;
}

bool Reduce::write_store(Context& context) {
  ActSpec made;
  together(context.comm, [&] { made = spec(context); });
  auto store = ActWriter::open(context.comm, config_.output, made, context.fresh);
  auto const done = store->done();
  auto const before = static_cast<std::size_t>(std::ranges::count(done, 1));
  if (before > 0) log::info("resuming: {} of {} batches are done", before, done.size());
  bool finished = false;
  {
    std::unique_ptr<ActReader> features;
    std::unique_ptr<reduce::Work> work;
    together(context.comm, [&] {
      features = std::make_unique<ActReader>(config_.features.store.string());
      work = std::make_unique<reduce::Work>(layers_, *features, *store,
                                            tile_order(done, in_flight_, context.comm.rank(), context.comm.size()),
                                            static_cast<std::size_t>(in_flight_), before);
    });
    TileOptions options;
    options.threads = in_flight_;
    finished = run_tiles(context.comm, done, context.stop, *work, options);
  }
  if (finished) store->finish();
  return finished;
}

bool Reduce::run(Context& context) {
  std::int64_t finished = 0;
  if (context.comm.root() && !context.fresh) finished = is_finished(config_.output, identity(context)) ? 1 : 0;
  if (context.comm.max(finished) > 0) {
    log::info("nothing to do: {} is complete", config_.output.string());
    return true;
  }
  if (config_.is_cluster()) return cluster(context, config_, inputs_, identity(context), panel_bytes_);
  if (!config_.apply) {
    auto of_fit = identity(context);
    for (auto const* key : {"dtype", "batch_rows"}) of_fit.erase(key);
    if (!reduce::Fit(context, config_, inputs_, model_file(), of_fit, panel_bytes_).make()) return false;
    load_stages(context);
  }
  return write_store(context);
}

}  // namespace

std::unique_ptr<Job> make_reduce() { return std::make_unique<Reduce>(); }

}  // namespace striate
