/// `striate extract`: stimuli × network × layers → activation store.
#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>

#include "extract_config.hpp"
#include "extract_work.hpp"
#include "frame.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/version.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

// What a batch's layers may take in memory before they are written. Below 16 stimuli convolutions are slower and the
// moments kept for each batch weigh in the store; above, little is gained.
constexpr std::size_t good_batch = 16;
constexpr double captured_bytes_wanted = 64 << 20, captured_bytes_allowed = 512 << 20;

class Extract final : public Job {
 public:
  void describe(Schema& schema) override { striate::describe(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return false; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    auto const ledger = read_ledger(config_.output);
    return {ledger.done, ledger.total, ledger.complete};
  }

 private:
  void read_stimuli(Context const& context);
  void check_pictures(Context const& context) const;
  void load_network(Context const& context);
  [[nodiscard]] std::string from_the_card(std::string const& message) const;
  void fix_batch();
  [[nodiscard]] ActSpec spec(Context const& context) const;
  [[nodiscard]] double bytes_in_flight() const;
  [[nodiscard]] double captured_bytes() const;
  [[nodiscard]] double seconds_per_stimulus() const;
  [[nodiscard]] fs::path weights_file() const;

  ExtractConfig config_;
  Card card_;
  std::vector<std::string> ids_;
  std::vector<fs::path> files_;
  std::string stimuli_sha_, weights_sha_;
  std::unique_ptr<Network> network_;
  std::size_t batch_ = 1;
  int in_flight_ = 1;  ///< batches that a rank computes at once
};

/// Keeps the first row of each id, or says which stands twice.
void keep_distinct(StimTable& table, bool once) {
  std::map<std::string, std::size_t> first;
  std::vector<std::string> kept;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    auto const [it, is_new] = first.emplace(table.ids()[row], row);
    if (is_new)
      kept.push_back(table.ids()[row]);
    else if (!once)
      fail(Exit::data,
           "stimuli: {}: {} stands in rows {} and {}, but a store holds a stimulus once (responses may repeat it); "
           "list it "
           "once, or set on_duplicate: once",
           table.file.filename().string(), it->first, it->second + 1, row + 1);
  }
  if (kept.size() != table.rows())
    log::info("{} rows hold {} distinct stimuli; each is extracted once", table.rows(), kept.size());
  table.values.resize(1), table.columns.resize(1);
  table.values[0] = std::move(kept);
}

void Extract::read_stimuli(Context const& context) {
  std::string ids, folder;
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    StimTable table = load_stimuli(config_.stimuli);
    if (table.type != "image")
      fail(Exit::data, "stimuli: {} is of type {}; extract takes pictures (type=image)", table.file.filename().string(),
           table.type);
    keep_distinct(table, config_.on_duplicate == "once");
    if (table.rows() == 0) fail(Exit::data, "stimuli: {} lists no stimulus", table.file.filename().string());
    folder = table.folder.string();
    for (auto const& id : table.ids()) ids += id + "\n";
  });
  context.comm.broadcast(ids, 0);
  context.comm.broadcast(folder, 0);
  stimuli_sha_ = sha256(ids);
  std::istringstream lines(ids);
  for (std::string id; std::getline(lines, id);) ids_.push_back(id), files_.push_back(fs::path(folder) / id);
}

/// Every picture is there and begins and ends as one; ranks share the rows.
void Extract::check_pictures(Context const& context) const {
  std::size_t const ranks = static_cast<std::size_t>(context.comm.size()),
                    r = static_cast<std::size_t>(context.comm.rank());
  std::size_t const first = ids_.size() * r / ranks, last = ids_.size() * (r + 1) / ranks;
  together(context.comm, [&] {
    auto const problems = check_images(std::span(files_).subspan(first, last - first), context.threads);
    if (problems.empty()) return;
    auto const& [place, what] = problems.front();
    if (config_.on_bad_stimulus == "skip") return;
    fail(what.code(), "stimuli: row {} ({}): {}{}; mend it, or set on_bad_stimulus: skip", first + place + 1,
         ids_[first + place], what.what(),
         problems.size() > 1 ? std::string(" (it is not the only one)") : std::string());
  });
}

fs::path Extract::weights_file() const {
  if (config_.weights) return *config_.weights;
  if (card_.weights.empty())
    fail(Exit::config, "weights: {} names no TorchScript file; set weights:", card_.file.filename().string());
  return card_.weights;
}

/// The card's name that is nearest to a layer that the network does not have.
std::string Extract::from_the_card(std::string const& message) const {
  if (message.find("is no layer of") == std::string::npos) return "";
  std::vector<std::string> names;
  for (auto const& layer : card_.layers) names.push_back(layer.first);
  for (auto const& asked : config_.layers)
    if (std::string const near = nearest(asked, names); message.starts_with("layers: " + asked + " ") && !near.empty())
      return fmt::format(" (the card has `{}`)", near);
  return fmt::format(" (`striate info {}` lists the card's names)", card_.file.string());
}

void Extract::load_network(Context const& context) {
  together(context.comm, [&] {
    card_ = find_card(config_.network, context.config_file.parent_path());
    fs::path weights = weights_file();
    if (weights.is_relative()) {
      fs::path const beside = context.config_file.parent_path() / weights;
      weights = fs::exists(beside) ? beside : card_.file.parent_path() / weights;
    }
    config_.weights = weights;
    NetworkOptions options;
    options.device = config_.device;
    options.local_rank = context.comm.node().rank();
    std::map<std::string, Pool> const pools{{"none", Pool::none},     {"max", Pool::max}, {"mean", Pool::mean},
                                            {"median", Pool::median}, {"l1", Pool::l1},   {"l2", Pool::l2}};
    options.pool = pools.at(config_.pool);
    try {
      network_ = std::make_unique<Network>(weights, resolve_layers(config_.layers, card_), card_.preprocessing, options);
    } catch (Error const& error) {
      throw Error(error.code(), error.what() + from_the_card(error.what()));
    }
    if (context.comm.root()) weights_sha_ = sha256_file(weights);
  });
  context.comm.broadcast(weights_sha_, 0);
}

double Extract::captured_bytes() const {
  double units = 0;
  for (auto const& layer : network_->layers()) units += static_cast<double>(layer.units());
  return 4 * units;
}

/// From shapes and the config alone: batches must be the same on every machine.
void Extract::fix_batch() {
  auto const& in = card_.preprocessing;
  double const one = captured_bytes() + 4.0 * static_cast<double>(in.channels() * in.height * in.width);
  batch_ = static_cast<std::size_t>(config_.batch.stimuli);
  if (batch_ > 0) return;
  auto const n = ids_.size();
  batch_ = 64;
  auto const bytes = [&] { return static_cast<double>(batch_) * one; };
  // Smaller where there are few stimuli, so that there is something to share out.
  while (batch_ > good_batch && (bytes() > captured_bytes_wanted || batch_ * 64 > n)) batch_ /= 2;
  while (batch_ > 1 && (bytes() > captured_bytes_allowed || (batch_ > 4 && batch_ * 8 > n))) batch_ /= 2;
}

/// Of one batch: its pixels (one being computed, two ahead), the network's own memory, and its layers twice (as the
/// network gives them, and encoded for the store while the next batch is computed).
double Extract::bytes_in_flight() const {
  auto const& in = card_.preprocessing;
  double const pixels = 4.0 * static_cast<double>(in.channels() * in.height * in.width);
  return static_cast<double>(batch_) * (3 * pixels + network_->bytes_per_stimulus() + 3 * captured_bytes());
}

double Extract::seconds_per_stimulus() const {
  auto const& in = card_.preprocessing;
  std::vector<float> const grey(in.channels() * in.height * in.width, 0.1F);
  auto const start = std::chrono::steady_clock::now();
  network_->forward(grey.data(), 1, [](std::size_t, float const*) {});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Extract::plan(Context& context, Plan& plan) {
  read_stimuli(context);
  load_network(context);
  fix_batch();
  std::int64_t finished = 0;
  if (context.comm.root() && !context.fresh) finished = is_finished(config_.output, spec(context).identity) ? 1 : 0;
  finished = context.comm.max(finished);
  if (finished == 0) check_pictures(context);  // a finished store needs them no more
  int const threads = static_cast<int>(context.comm.max(std::int64_t{context.threads}));
  double const weights = static_cast<double>(fs::file_size(*config_.weights)), here = context.memory_budget;
  in_flight_ =
      network_->on_gpu() ? 1 : static_cast<int>(std::min<double>(threads, (here - weights) / bytes_in_flight()));
  in_flight_ = static_cast<int>(-context.comm.max(std::int64_t{-in_flight_}));  // the least
  if (in_flight_ < 1)
    fail(Exit::limit,
         "a batch of {} stimuli needs {}, but a rank may use {}; set a smaller batch:, fewer layers, or more memory",
         batch_, bytes_text(bytes_in_flight() + weights), bytes_text(here));
  auto const n = static_cast<double>(ids_.size());
  double const element = config_.dtype == "float16" ? 2 : 4;
  plan.units = (ids_.size() + batch_ - 1) / batch_;
  plan.bytes_read = n * 100e3;
  plan.bytes_written = n * captured_bytes() / 4 * element;
  plan.memory_per_rank = weights + in_flight_ * bytes_in_flight();
  plan.core_seconds = finished > 0 ? 0 : n * seconds_per_stimulus();
  plan.lines.emplace_back("stimuli", fmt::format("{}, in batches of {}", ids_.size(), batch_));
  plan.lines.emplace_back(
      "network", fmt::format("{} on {}, {} batches at once a rank", card_.name, network_->device(), in_flight_));
  for (auto const& layer : network_->layers()) {
    std::string shape;
    for (auto d : layer.shape) shape += (shape.empty() ? "" : "×") + std::to_string(d);
    plan.lines.emplace_back("layer " + layer.name,
                            fmt::format("{} ({} units), {}", shape, layer.units(),
                                        bytes_text(n * element * static_cast<double>(layer.units()))));
  }
}

ActSpec Extract::spec(Context const& context) const {
  ActSpec spec;
  for (auto const& layer : network_->layers())
    spec.layers.push_back({layer.name, layer.shape, layer.axes, h5::dtype_of_name(config_.dtype)});
  spec.stimulus_ids = ids_;
  spec.batch = batch_;
  auto const how = to_json(card_.preprocessing);
  auto config = context.resolved;
  for (auto const* key : {"output", "memory", "io"}) config.erase(key);  // the same store, wherever and however written
  std::string const device = network_->on_gpu() ? "cuda" : "cpu";
  spec.attributes = {
      {"network", card_.name},          {"weights_sha256", weights_sha_},     {"preprocessing", how.dump()},
      {"stimuli_sha256", stimuli_sha_}, {"device", network_->device()},       {"pool", config_.pool},
      {"libtorch", torch_version()},    {"striate_git_commit", git_commit()}, {"config", config.dump()}};
  // Files count by content, so that a folder that was moved resumes.
  spec.identity = context.identity;
  spec.identity["stimuli"] = stimuli_sha_;
  spec.identity["network"] = card_.name;
  spec.identity["preprocessing"] = how;
  spec.identity["weights"] = weights_sha_;
  spec.identity["device"] = device;
  auto layers = nlohmann::ordered_json::array();
  for (auto const& layer : network_->layers()) layers.push_back(layer.name + " = " + layer.path);
  spec.identity["layers"] = layers;
  spec.identity["batch"] = batch_;
  return spec;
}

bool Extract::run(Context& context) {
  auto store = ActWriter::open(context.comm, config_.output, spec(context), context.fresh);
  if (store->state() == StoreState::complete) {
    log::info("nothing to do: {} is complete", config_.output.string());
    return true;
  }
  auto const done = store->done();
  auto const before = static_cast<std::size_t>(std::ranges::count(done, 1));
  if (before > 0) log::info("resuming: {} of {} batches are done", before, done.size());
  bool finished = false;
  {
    auto const order = tile_order(done, in_flight_, context.comm.rank(), context.comm.size());
    int const decoders = network_->on_gpu() ? context.threads : std::max(1, context.threads / 2);
    StimulusLoader loader(files_, card_.preprocessing, batch_, order, decoders,
                          static_cast<std::size_t>(2 * in_flight_), config_.on_bad_stimulus == "skip");
    ExtractWork work(*network_, loader, *store, ids_, before);
    TileOptions options;
    options.threads = in_flight_;
    finished = run_tiles(context.comm, done, context.stop, work, options);
    log::detail("the network waited {} for decoders on this rank", seconds_text(loader.waited_seconds()));
  }
  if (finished) store->finish();
  return finished;
}

}  // namespace

std::unique_ptr<Job> make_extract() { return std::make_unique<Extract>(); }

}  // namespace striate
