/// `striate extract`: stimuli × network × layers → activation store.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "apart.hpp"
#include "extract_config.hpp"
#include "extract_network.hpp"
#include "extract_reuse.hpp"
#include "extract_stages.hpp"
#include "extract_stimuli.hpp"
#include "extract_work.hpp"
#include "fitted_on.hpp"
#include "frame.hpp"
#include "part.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/version.hpp"
#include "striate/par/together.hpp"
#include "striate/stimuli/part_source.hpp"
#include "striate/store/act_pack.hpp"
#include "striate/store/layer_report.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

// What a batch's layers may take in memory before they are written. Below 16 stimuli convolutions are slower and the
// moments kept for each batch weigh in the store; above, little is gained.
constexpr std::size_t good_batch = 16;
constexpr double captured_bytes_wanted = 64 << 20, captured_bytes_allowed = 512 << 20;

constexpr int pack_level = 4;  // higher ones take twice the time for a few percent

/// What tensors of this rank may take: its share of the memory. STRIATE_TENSOR_MEMORY (bytes) is for tests.
double tensor_limit(double budget) {
  char const* const text = std::getenv("STRIATE_TENSOR_MEMORY");
  return text == nullptr ? budget : std::strtod(text, nullptr);
}

class Extract final : public Job {
 public:
  void describe(Schema& schema) override { striate::describe(schema, config_); }
  [[nodiscard]] fs::path output() const override { return part_of(config_.part).file_beside(config_.output); }
  [[nodiscard]] bool output_is_directory() const override { return false; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    auto const ledger = read_ledger(output());
    return {ledger.done, ledger.total, ledger.complete && (config_.pack != "gzip" || is_packed(output()))};
  }

 private:
  void check_files(Comm const& comm) const;
  void fix_batch();
  void fix_part();
  [[nodiscard]] bool pack(Context const& context) const;
  void find_reusable(Context const& context);
  void write_report() const;
  [[nodiscard]] ActSpec spec(Context const& context) const;
  [[nodiscard]] double bytes_in_flight() const;
  [[nodiscard]] double captured_bytes() const;  ///< of one stimulus, as the network gives its layers
  [[nodiscard]] double stored_bytes() const;    ///< of one stimulus, in float32
  [[nodiscard]] double work_bytes() const;      ///< of a batch on its way to the store
  [[nodiscard]] std::size_t input_floats() const;
  [[nodiscard]] double seconds_per_stimulus() const;

  ExtractConfig config_;
  ExtractNetwork net_;
  ExtractStimuli stimuli_;
  UnitChoice units_;
  std::string pca_sha256_;  ///< of its file
  std::vector<LayerPath> paths_;
  std::size_t batch_ = 1;
  std::string part_;                     ///< "" where all is one job's
  std::unique_ptr<ReusedRows> reused_;   ///< with reuse:
  int in_flight_ = 1;  ///< batches that a rank computes at once
};

double Extract::captured_bytes() const {
  double units = 0;
  for (auto const& layer : net_.network->layers()) units += static_cast<double>(layer.units());
  return 4 * units;
}

double Extract::stored_bytes() const {
  double units = 0;
  for (auto const& path : paths_) units += static_cast<double>(path.stored().units());
  return 4 * units;
}

double Extract::work_bytes() const {
  double most = 0;  // layers go one after the other
  for (auto const& path : paths_) most = std::max(most, path.work_bytes(batch_));
  return most;
}

std::size_t Extract::input_floats() const {
  std::size_t floats = 1;
  for (std::size_t const extent : stimuli_.source->shape()) floats *= extent;
  return floats;
}

/// From shapes and the config alone: batches must be the same on every machine.
void Extract::fix_batch() {
  double const one = captured_bytes() + 4.0 * static_cast<double>(input_floats());
  batch_ = static_cast<std::size_t>(config_.batch.stimuli);
  if (batch_ > 0) return;
  auto const n = stimuli_.ids.size();
  batch_ = 64;
  auto const bytes = [&] { return static_cast<double>(batch_) * one; };
  // Smaller where there are few stimuli, so that there is something to share out.
  while (batch_ > good_batch && (bytes() > captured_bytes_wanted || batch_ * 64 > n)) batch_ /= 2;
  while (batch_ > 1 && (bytes() > captured_bytes_allowed || (batch_ > 4 && batch_ * 8 > n))) batch_ /= 2;
}

/// Whole batches, so that the parts together are what one job would make.
void Extract::fix_part() {
  Part const part = part_of(config_.part);
  if (part.k == 1) return;
  std::size_t const n = stimuli_.ids.size(), batches = (n + batch_ - 1) / batch_;
  auto const share = part.range(0, batches);
  std::size_t const first = share.first * batch_, last = std::min(n, share.second * batch_);
  if (first >= last)
    fail(Exit::config, "part: {} of {} batches holds none; use fewer parts", config_.part, batches);
  take_part(stimuli_, first, last);
  part_ = fmt::format("{}/{}: stimuli {} to {} of {}", part.i, part.k, first + 1, last, n);
}

void Extract::find_reusable(Context const& context) {
  if (!config_.reuse) return;
  together(context.comm, [&] {
    if (fs::exists(output()) && fs::exists(*config_.reuse) && fs::equivalent(output(), *config_.reuse))
      fail(Exit::config, "reuse: is the output itself; name another output (the old store stays as it is)");
    reused_ = std::make_unique<ReusedRows>(*config_.reuse, spec(context));
  });
  stimuli_.source = part_source(stimuli_.source, 0, stimuli_.ids.size(), reused_->held());
}

/// Of one batch: its inputs (one being computed, two ahead), the network's own memory, its layers as the network gives
/// them, on their way, and encoded for the store while the next batch is computed.
double Extract::bytes_in_flight() const {
  double const pixels = 4.0 * static_cast<double>(input_floats());
  return static_cast<double>(batch_) *
             (3 * pixels + net_.network->bytes_per_stimulus() + captured_bytes() + 2 * stored_bytes()) +
         work_bytes();
}

double Extract::seconds_per_stimulus() const {
  std::vector<float> const grey(input_floats(), 0.1F);
  auto const start = std::chrono::steady_clock::now();
  net_.network->forward(grey.data(), 1, [](std::size_t, float const*) {});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Extract::check_files(Comm const& comm) const {
  std::vector<NamedPath> reads;
  add_stimuli(reads, "stimuli", config_.stimuli);
  if (config_.mask) reads.push_back({"mask", *config_.mask});
  if (config_.pca) reads.push_back({"pca", *config_.pca});
  if (config_.weights) reads.push_back({"weights", *config_.weights});
  check_apart(comm, reads, {{"output", output()}, {"report of output", report_file(output())}});
}

void Extract::plan(Context& context, Plan& plan) {
  check_files(context.comm);
  Card card = find_card(context, config_);
  stimuli_ = read_stimuli(context, config_, card);
  together(context.comm, [&] { units_ = UnitChoice(config_); });
  net_ = load_network(context, config_, std::move(card), stimuli_.source->shape(), units_);
  config_.weights = net_.weights;
  together(context.comm, [&] {
    if (!config_.pca || !context.comm.root()) return;
    if (!fs::is_regular_file(*config_.pca)) fail(Exit::no_input, "pca: {} does not exist", config_.pca->string());
    pca_sha256_ = sha256_file(*config_.pca);
    try {
      check_fitted_on(*config_.pca, {{"network", net_.card.name},
                                     {"weights_sha256", net_.weights_sha256},
                                     {"pool", config_.pool},
                                     {"preprocessing", stimuli_.source->describe().dump()}});
    } catch (Error const& error) {
      throw Error(error.code(), std::string("pca: ") + error.what());
    }
  });
  context.comm.broadcast(pca_sha256_, 0);
  together(context.comm, [&] { paths_ = make_paths(config_, net_, units_, pca_sha256_); });
  fix_batch();
  fix_part();
  std::int64_t finished = 0;
  if (context.comm.root() && !context.fresh) finished = is_finished(output(), spec(context).identity) ? 1 : 0;
  finished = context.comm.max(finished);
  if (finished == 0) {  // a finished store needs them no more
    if (config_.identify == "sha256") hash_stimuli(context, config_, stimuli_);
    find_reusable(context);
    check_stimuli(context, config_, stimuli_);
  }
  int const threads = static_cast<int>(context.comm.max(std::int64_t{context.threads}));
  double const weights = static_cast<double>(fs::file_size(*config_.weights)), here = context.memory_budget;
  in_flight_ =
      net_.network->on_gpu() ? 1 : static_cast<int>(std::min<double>(threads, (here - weights) / bytes_in_flight()));
  in_flight_ = static_cast<int>(-context.comm.max(std::int64_t{-in_flight_}));  // the least
  if (in_flight_ < 1)
    fail(Exit::limit,
         "a batch of {} stimuli needs {}, but a rank may use {}; set a smaller batch:, fewer layers, or more memory",
         batch_, bytes_text(bytes_in_flight() + weights), bytes_text(here));
  auto const n = static_cast<double>(stimuli_.ids.size());
  double const element = config_.dtype == "float16" ? 2 : 4;
  plan.units = (stimuli_.ids.size() + batch_ - 1) / batch_;
  plan.bytes_read = n * 100e3;
  plan.bytes_written = n * stored_bytes() / 4 * element;
  plan.memory_per_rank = weights + in_flight_ * bytes_in_flight();
  double const to_compute = n - (reused_ ? static_cast<double>(reused_->count()) : 0);
  plan.core_seconds = finished > 0 ? 0 : to_compute * seconds_per_stimulus();
  plan.lines.emplace_back("stimuli", fmt::format("{}, in batches of {}", stimuli_.ids.size(), batch_));
  if (!part_.empty()) plan.lines.emplace_back("part", part_);
  if (reused_)
    plan.lines.emplace_back("reuse", fmt::format("{} stimuli of {}", reused_->count(), config_.reuse->string()));
  plan.lines.emplace_back("network", fmt::format("{} on {}, {} batches at once a rank", net_.card.name,
                                                 net_.network->device(), in_flight_));
  plan.lines.emplace_back("self-test", net_.self_test);
  for (std::size_t l = 0; l < paths_.size(); ++l) {
    auto const& stored = paths_[l].stored();
    std::string shape;
    for (auto d : stored.shape) shape += (shape.empty() ? "" : "×") + std::to_string(d);
    plan.lines.emplace_back("layer " + net_.network->layers()[l].name,
                            fmt::format("{} ({} units), {}{}", shape, stored.units(),
                                        bytes_text(n * element * static_cast<double>(stored.units())),
                                        paths_[l].words.empty() ? "" : "; " + paths_[l].words));
  }
}

ActSpec Extract::spec(Context const& context) const {
  ActSpec spec;
  for (std::size_t l = 0; l < paths_.size(); ++l)
    spec.layers.push_back({net_.network->layers()[l].name, paths_[l].stored().shape, paths_[l].stored().axes,
                           h5::dtype_of_name(config_.dtype), paths_[l].record});
  spec.stimulus_ids = stimuli_.ids;
  spec.batch = batch_;
  spec.stimulus_sha256 = stimuli_.file_sha256;
  spec.may_skip = config_.on_bad_stimulus == "skip";
  spec.io = config_.io == "auto" ? ActIo::automatic : config_.io == "direct" ? ActIo::direct : ActIo::cached;
  auto const how = stimuli_.source->describe();
  auto config = context.resolved;
  // The same store, wherever and however written.
  for (auto const* key : {"output", "memory", "io", "reuse", "pack", "self_test"}) config.erase(key);
  config["layers"] = units_.asked(config_);
  std::string const device = net_.network->on_gpu() ? "cuda" : "cpu";
  spec.attributes = {
      {"network", net_.card.name},         {"weights_sha256", net_.weights_sha256}, {"preprocessing", how.dump()},
      {"stimuli_sha256", stimuli_.sha256}, {"device", net_.network->device()},      {"pool", config_.pool},
      {"libtorch", torch_version()},       {"striate_git_commit", git_commit()},    {"config", config.dump()},
      {"self_test", net_.self_test},       {"input_statistics", std::string(InputStatistics::text_length, ' ')}};
  if (config_.autocast != "none") spec.attributes["autocast"] = config_.autocast;
  if (!part_.empty()) {
    std::string own;
    for (auto const& id : stimuli_.ids) own += id + "\n";
    spec.attributes["part"] = part_, spec.attributes["stimuli_sha256"] = sha256(own);
  }
  // Files count by content, so that a folder that was moved resumes.
  spec.identity = context.identity;
  spec.identity["stimuli"] = stimuli_.sha256;
  if (!stimuli_.content.empty()) spec.identity["array"] = stimuli_.content;
  spec.identity["network"] = net_.card.name;
  spec.identity["preprocessing"] = how;
  spec.identity["weights"] = net_.weights_sha256;
  spec.identity["device"] = device;
  auto layers = nlohmann::ordered_json::array();
  for (auto const& layer : net_.network->layers()) layers.push_back(layer.name + " = " + layer.path);
  spec.identity["layers"] = layers;
  spec.identity["batch"] = batch_;
  if (config_.mask) spec.identity["mask"] = units_.mask_digest();
  if (config_.pca) spec.identity["pca"] = pca_sha256_;
  if (config_.project) spec.identity["seed"] = config_.seed;
  return spec;
}

/// Beside the store, which is complete without it.
void Extract::write_report() const try {
  auto const reports = layer_reports(output().string());
  write_atomically(report_file(output()), report_table(reports));
  for (auto const& r : reports) {
    if (r.nans + r.infinities > 0)
      log::warn("layer {} has {} NaN and {} infinite values", r.layer, r.nans, r.infinities);
    if (r.stimuli > 1 && (r.dead == r.units || r.constant == r.units))
      log::warn("layer {}: {}", r.layer, r.constant == r.units ? "no unit differs between stimuli" : "no unit is ever above 0");
  }
} catch (Error const& error) {
  log::warn("the layer report was not written: {}", error.what());
}

/// The closing step: the store is whole before it and after it. False where it was asked to stop.
bool Extract::pack(Context const& context) const {
  std::int64_t wanted = 0;
  together(context.comm, [&] {
    if (context.comm.root()) wanted = config_.pack == "gzip" && !is_packed(output()) ? 1 : 0;
  });
  if (context.comm.max(wanted) == 0) return true;
  log::info("packing {}", output().string());
  auto const size = pack_store(context.comm, output(), output(), pack_level, context.threads, context.stop);
  if (size.after == 0) return false;
  auto const before = static_cast<double>(size.before), after = static_cast<double>(size.after);
  log::info("packed: {} became {} ({:.2f} times smaller)", bytes_text(before), bytes_text(after), before / after);
  return true;
}

bool Extract::run(Context& context) {
  limit_tensor_memory(tensor_limit(context.memory_budget));
  auto store = ActWriter::open(context.comm, output(), spec(context), context.fresh);
  if (context.comm.root()) remove_pack_draft(output());
  if (store->state() == StoreState::complete) {
    log::info("nothing to do: {} is complete", output().string());
    if (context.comm.root() && !fs::exists(report_file(output()))) write_report();
    return pack(context);
  }
  if (store->state() == StoreState::resumed && !stimuli_.file_sha256.empty())
    check_unchanged(context, output(), stimuli_, store->done(), batch_);
  auto const done = store->done();
  auto const before = static_cast<std::size_t>(std::ranges::count(done, 1));
  if (before > 0) log::info("resuming: {} of {} batches are done", before, done.size());
  bool finished = false;
  InputStatistics statistics(net_.card, stimuli_.ids.size());
  {
    auto const order = tile_order(done, in_flight_, context.comm.rank(), context.comm.size());
    int const decoders = net_.network->on_gpu() ? context.threads : std::max(1, context.threads / 2);
    StimulusLoader loader(stimuli_.source, batch_, order, decoders, static_cast<std::size_t>(2 * in_flight_),
                          config_.on_bad_stimulus == "skip");
    ExtractWork work(*net_.network, loader, *store, stimuli_.ids, paths_, before, reused_.get());
    work.watch(statistics);
    work.may_skip(config_.on_bad_stimulus == "skip");
    TileOptions options;
    options.threads = in_flight_;
    finished = run_tiles(context.comm, done, context.stop, work, options);
    log::detail("the network waited {} for decoders on this rank", seconds_text(loader.waited_seconds()));
  }
  if (!finished) return false;
  store->finish({{"input_statistics", statistics.finish(context.comm, *stimuli_.source)}});
  store.reset();
  together(context.comm, [&] {
    if (context.comm.root()) write_report();
  });
  return pack(context);
}

}  // namespace

std::unique_ptr<Job> make_extract() { return std::make_unique<Extract>(); }

}  // namespace striate
