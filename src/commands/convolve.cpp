/// `striate convolve`: activations × events → time series of scan volumes (docs/convolve.md).
#include "convolve.hpp"

#include <algorithm>
#include <cmath>

#include "convolve_work.hpp"
#include "fingerprint.hpp"
#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/version.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
using convolve::Run;

constexpr std::size_t largest_batch = 32;
constexpr double reading_bytes = 96 << 20;

class Convolve final : public Job {
 public:
  void describe(Schema& schema) override { convolve::declare(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return false; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    auto const ledger = read_ledger(config_.output);
    return {ledger.done, ledger.total, ledger.complete};
  }

 private:
  void load(Context const& context);
  [[nodiscard]] nlohmann::ordered_json read_inputs();
  void find_layers(ActReader const& store, std::vector<Run> const& runs);
  [[nodiscard]] ActSpec spec(Context const& context) const;
  [[nodiscard]] fs::path table_file() const;
  void write_table(Context const& context, bool only_if_missing) const;
  [[nodiscard]] double units() const;
  [[nodiscard]] double bytes_in_flight() const;

  convolve::Config config_;
  std::vector<ActLayer> layers_;
  std::vector<std::string> names_;  ///< of layers_
  nlohmann::ordered_json inputs_;   ///< identity of what is read
  std::map<std::string, std::string> origin_;  ///< attributes of the store that go on
  std::unique_ptr<convolve::Design> design_;
  std::size_t batch_ = 1, stimuli_ = 0, widest_ = 0;  ///< widest_: stimuli that reach one batch
  int in_flight_ = 1;
};

void Convolve::find_layers(ActReader const& store, std::vector<Run> const& runs) {
  for (auto const& name : layer_names(config_.features, store)) {
    layers_.push_back(store.layer(name));
    auto const sums = store.row_sum(name);
    for (Run const& run : runs)
      for (Event const& e : run.events)
        if (!sums.empty() && std::isnan(sums[e.stimulus]))
          fail(Exit::data, "features.store: {}: layer {} holds NaN for row {}, which events show; extract it again, or "
                           "write n/a for its events", config_.features.store.filename().string(), name, e.stimulus + 1);
  }
}

/// First rank.
nlohmann::ordered_json Convolve::read_inputs() {
  ActReader const store = open_store(config_.features);
  auto const ids = ids_of(config_.features, store);
  auto const runs = read_runs(config_, ids);
  find_layers(store, runs);
  nlohmann::ordered_json j{{"stimuli", ids.size()}, {"store", fingerprint(store)}};
  Sha256 sum;
  for (auto const& id : ids) sum.update(id.data(), id.size()), sum.update("\n", 1);
  j["ids"] = sum.hex();
  for (Run const& run : runs) {
    auto events = nlohmann::ordered_json::array();
    for (Event const& e : run.events) events.push_back({e.onset, e.duration, e.amplitude, e.stimulus});
    j["runs"].push_back({{"label", run.label}, {"volumes", run.volumes}, {"events", events}});
  }
  for (auto const& l : layers_) j["layers"].push_back({{"name", l.name}, {"shape", l.shape}, {"axes", l.axes}});
  j["origin"] = origin_of(store);
  return j;
}

/// The same on all ranks.
void Convolve::load(Context const& context) {
  std::string text;
  together(context.comm, [&] {
    convolve::check(config_);
    if (context.comm.root()) text = read_inputs().dump();
  });
  context.comm.broadcast(text, 0);
  auto const j = nlohmann::ordered_json::parse(text);
  layers_.clear(), names_.clear();
  for (auto const& l : j["layers"]) {
    layers_.push_back({l["name"], l["shape"], 0, l["axes"], ""});
    layers_.back().units = h5::volume(layers_.back().shape);
    names_.push_back(layers_.back().name);
  }
  origin_ = j["origin"].get<std::map<std::string, std::string>>();
  std::vector<Run> runs;
  for (auto const& r : j["runs"]) {
    runs.push_back({r["label"], r["volumes"], {}});
    for (auto const& e : r["events"]) runs.back().events.push_back({e[0], e[1], e[2], e[3]});
  }
  stimuli_ = j["stimuli"];
  inputs_ = {{"store", j["store"]}, {"ids_sha256", j["ids"]}, {"layers", j["layers"]}};
  for (auto const& r : j["runs"]) inputs_["runs"][r["label"].get<std::string>()] = sha256(r.dump());
  batch_ = 1;
  design_ = std::make_unique<convolve::Design>(config_, runs, batch_);
  double const row = 4 * units() * static_cast<double>(design_->blocks().size());
  batch_ = rows_of_batch(row, design_->volumes().size(), largest_batch);
  design_ = std::make_unique<convolve::Design>(config_, std::move(runs), batch_);
}

double Convolve::units() const {
  double units = 0;
  for (auto const& layer : layers_) units += static_cast<double>(layer.units);
  return units;
}

/// Of one batch: its stimuli and its volumes twice (one is computed while another is read or written), and the layer
/// that is being computed.
double Convolve::bytes_in_flight() const {
  double largest = 0;
  for (auto const& layer : layers_) largest = std::max(largest, static_cast<double>(layer.units));
  double const out = static_cast<double>(batch_ * design_->blocks().size());
  return 4 * (2 * (static_cast<double>(widest_) + out) * units() + out * largest);
}

void Convolve::plan(Context& context, Plan& plan) {
  load(context);
  double weights = 0, read = 0;
  widest_ = 0;
  for (std::size_t b = 0; b < design_->batches(); ++b) {
    auto const batch = design_->of_batch(b);
    widest_ = std::max(widest_, batch.stimuli.size());
    read += static_cast<double>(batch.stimuli.size());
    for (auto const& block : batch.weights)
      for (auto const& row : block) weights += static_cast<double>(row.size());
  }
  int const threads = static_cast<int>(context.comm.max(std::int64_t{context.threads}));
  double const here = context.memory_budget;
  in_flight_ = static_cast<int>(std::min<double>(threads, (here - reading_bytes) / bytes_in_flight()));
  in_flight_ = static_cast<int>(context.comm.min(std::int64_t{in_flight_}));
  if (in_flight_ < 1)
    fail(Exit::limit, "{} volumes and the {} stimuli that reach them need {}, but a rank may use {}; name fewer layers, "
                      "or give more memory", batch_, widest_, bytes_text(bytes_in_flight() + reading_bytes),
         bytes_text(here));
  double const n = static_cast<double>(design_->volumes().size()), k = static_cast<double>(design_->blocks().size());
  double const element = config_.dtype == "float16" ? 2 : 4;
  plan.units = design_->batches();
  plan.flops = 2 * weights * units();
  plan.bytes_read = 4 * read * units();
  plan.bytes_written = n * k * units() * element;
  plan.memory_per_rank = reading_bytes + in_flight_ * bytes_in_flight();
  std::size_t events = 0;
  for (Run const& run : design_->runs()) events += run.events.size();
  plan.lines.emplace_back("events", fmt::format("{} of {} stimuli, in {} runs", events, stimuli_, design_->runs().size()));
  plan.lines.emplace_back("volumes", fmt::format("{}, {} s apart, in batches of {} that up to {} stimuli reach",
                                                 design_->volumes().size(), config_.tr, batch_, widest_));
  std::string blocks;
  for (auto const& block : design_->blocks()) blocks += (blocks.empty() ? "" : ", ") + block.name;
  plan.lines.emplace_back("blocks", fmt::format("{} ({})", blocks, config_.hrf));
  for (auto const& layer : layers_)
    plan.lines.emplace_back("layer " + layer.name,
                            fmt::format("{} units, {}", layer.units,
                                        bytes_text(n * k * element * static_cast<double>(layer.units))));
}

ActSpec Convolve::spec(Context const& context) const {
  ActSpec spec;
  std::size_t const k = design_->blocks().size();
  for (auto const& layer : layers_) {
    auto shape = layer.shape.empty() ? std::vector<std::size_t>{1} : layer.shape;
    shape[0] *= k;
    spec.layers.push_back({layer.name, shape, layer.axes, h5::dtype_of_name(config_.dtype)});
  }
  for (auto const& volume : design_->volumes()) spec.stimulus_ids.push_back(volume.id);
  spec.batch = batch_;
  std::string blocks;
  for (auto const& block : design_->blocks()) blocks += (blocks.empty() ? "" : " ") + block.name;
  auto config = context.resolved;
  for (auto const* key : {"output", "memory"}) config.erase(key);  // the same store, wherever written
  spec.attributes = origin_;
  spec.attributes["hrf"] = config_.hrf;
  spec.attributes["regressors"] = blocks;  // of the blocks that the first axis of every layer is made of, in order
  spec.attributes["tr"] = fmt::format("{}", config_.tr);
  spec.attributes["striate_git_commit"] = git_commit();
  spec.attributes["config"] = config.dump();
  spec.identity = context.identity;
  spec.identity["inputs"] = inputs_;
  spec.identity["batch"] = batch_;
  return spec;
}

fs::path Convolve::table_file() const {
  std::string name = config_.output.filename().string();
  for (std::string const ending : {".h5", ".act"})
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  return config_.output.parent_path() / (name + ".stim.csv");
}

/// First rank.
void Convolve::write_table(Context const& context, bool only_if_missing) const {
  together(context.comm, [&] {
    if (!context.comm.root() || (only_if_missing && fs::exists(table_file()))) return;
    write_stim_table(table_file(), table_of(*design_));
  });
}

bool Convolve::run(Context& context) {
  auto store = ActWriter::open(context.comm, config_.output, spec(context), context.fresh);
  bool const complete = store->state() == StoreState::complete;
  write_table(context, complete);
  if (complete) {
    log::info("nothing to do: {} is complete", config_.output.string());
    return true;
  }
  auto const done = store->done();
  auto const before = static_cast<std::size_t>(std::ranges::count(done, 1));
  if (before > 0) log::info("resuming: {} of {} batches are done", before, done.size());
  bool finished = false;
  {
    std::unique_ptr<ActReader> features;
    std::unique_ptr<convolve::Work> work;
    together(context.comm, [&] {
      features = std::make_unique<ActReader>(config_.features.store.string());
      work = std::make_unique<convolve::Work>(*design_, *features, names_, *store,
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

}  // namespace

std::unique_ptr<Job> make_convolve() { return std::make_unique<Convolve>(); }

}  // namespace striate
