/// `striate convert`: store algebra, imports and exports (docs/extraction.md).
#include "convert.hpp"

#include <algorithm>
#include <cmath>

#include "convert_recipe.hpp"
#include "convert_side.hpp"
#include "convert_work.hpp"
#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/version.hpp"
#include "striate/par/together.hpp"
#include "striate/store/layer_report.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
using convert::Format;

constexpr double reading_bytes = 96 << 20;  // HDF5's chunk cache and buffers
constexpr std::size_t most_named = 16;      // inputs that `history` lists: an attribute holds 64 KiB

class Convert final : public Job {
 public:
  void describe(Schema& schema) override { convert::declare(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return convert::format_of(config_) == Format::npy_folder; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    if (is_beside()) return convert::side_progress(config_.output, output_is_directory());
    auto const ledger = read_ledger(config_.output);
    return {ledger.done, ledger.total, ledger.complete};
  }

 private:
  /// Not a store of ours: a file of another program.
  [[nodiscard]] bool is_beside() const { return is_table(config_) || convert::format_of(config_) != Format::store; }
  void load(Context const& context);
  void load_table(Context const& context, Plan& plan);
  void plan_store(Context const& context, Plan& plan);
  [[nodiscard]] std::string history() const;
  [[nodiscard]] ActSpec spec(Context const& context) const;
  bool run_store(Context& context);
  bool run_beside(Context& context);
  void write_report() const;

  convert::Config config_;
  convert::Recipe recipe_;
  convert::Table table_;           ///< in place of a recipe
  nlohmann::ordered_json inputs_;  ///< identity of what is read
  int in_flight_ = 1;
};

/// The same on all ranks: each opens the inputs, the first takes their fingerprints.
void Convert::load(Context const& context) {
  together(context.comm, [&] {
    convert::check(config_);
    recipe_ = convert::make_recipe(config_);
  });
  std::string text;
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    auto prints = nlohmann::ordered_json::array();
    for (auto const& source : recipe_.sources) prints.push_back(source->fingerprint());
    text = prints.dump();
  });
  context.comm.broadcast(text, 0);
  auto const prints = nlohmann::ordered_json::parse(text);
  for (auto const& print : prints) recipe_.fingerprints.push_back(print);
  inputs_ = {{"stores", prints}, {"ids_sha256", recipe_.attributes.at("stimuli_sha256")}};
  if (recipe_.number) inputs_["with"] = *recipe_.number;
  for (auto const& layer : recipe_.layers)
    inputs_["layers"].push_back(
        {{"name", layer.spec.name}, {"shape", layer.spec.shape}, {"dtype", h5::name_of(layer.spec.dtype)}});
}

void Convert::plan_store(Context const& context, Plan& plan) {
  double const row = convert::bytes_of_row(recipe_), batch = row * static_cast<double>(recipe_.batch);
  double held = reading_bytes;
  for (auto const& source : recipe_.sources) held += source->held_bytes();
  for (auto const& list : recipe_.rows) held += static_cast<double>(list.size() * sizeof(convert::Place));
  int const threads = static_cast<int>(context.comm.max(std::int64_t{context.threads}));
  in_flight_ = static_cast<int>(std::min<double>(threads, std::floor((context.memory_budget - held) / batch)));
  in_flight_ = static_cast<int>(context.comm.min(std::int64_t{in_flight_}));
  if (in_flight_ < 1)
    fail(Exit::limit,
         "a batch of {} stimuli needs {}, but a rank may use {}; set a smaller batch:, name fewer layers, or "
         "give more memory",
         recipe_.batch, bytes_text(batch + held), bytes_text(context.memory_budget));
  plan.memory_per_rank = held + in_flight_ * batch;
}

/// The first rank reads and writes tables; they are small.
void Convert::load_table(Context const& context, Plan& plan) {
  std::string text;
  together(context.comm, [&] {
    convert::check(config_);
    if (!context.comm.root()) return;
    try {
      table_ = convert::read_table(config_);
    } catch (Error const& error) {
      std::string const what = error.what();
      throw Error(error.code(), what.find(": ") < 12 ? what : "input: " + what);
    }
    inputs_ = {{"content", table_.content}};
    for (auto const& in : config_.input)
      if (fs::is_regular_file(in)) inputs_["files"].push_back(sha256_file(in));
    text = nlohmann::ordered_json{{"inputs", inputs_}, {"summary", table_.summary}}.dump();
  });
  context.comm.broadcast(text, 0);
  auto const told = nlohmann::ordered_json::parse(text);
  inputs_ = told["inputs"];
  plan.units = 1;
  plan.lines.emplace_back(config_.output.filename().string(), told["summary"].get<std::string>());
}

void Convert::plan(Context& context, Plan& plan) {
  std::vector<NamedPath> writes{{"output", config_.output}};
  if (is_beside())
    writes.push_back({"output", convert::side_file(config_.output, output_is_directory())});
  else
    writes.push_back({"output", report_file(config_.output)});
  check_apart(context.comm, convert::files_read(config_), writes);
  if (is_table(config_)) return load_table(context, plan);
  load(context);
  double const n = static_cast<double>(recipe_.ids.size());
  std::size_t const batches = (recipe_.ids.size() + recipe_.batch - 1) / recipe_.batch;
  plan.units = batches;
  for (auto const& layer : recipe_.layers) {
    double const element = static_cast<double>(h5::size_of(layer.spec.dtype));
    double const units = static_cast<double>(h5::volume(layer.spec.shape));
    plan.bytes_read += 4 * n * static_cast<double>(layer.units_read * layer.operands.size());
    plan.bytes_written += n * units * element;
    plan.lines.emplace_back("layer " + layer.spec.name,
                            fmt::format("{} {}, {}", h5::text_of(layer.spec.shape), h5::name_of(layer.spec.dtype),
                                        bytes_text(n * units * element)));
  }
  plan.lines.emplace_back("stimuli",
                          fmt::format("{}, in batches of {}, of {} {}", recipe_.ids.size(), recipe_.batch,
                                      recipe_.sources.size(), recipe_.sources.size() == 1 ? "input" : "inputs"));
  if (!is_beside()) return plan_store(context, plan);
  together(context.comm, [&] { convert::check_export(config_, recipe_, context.memory_budget); });
  plan.memory_per_rank = reading_bytes + convert::bytes_of_row(recipe_) * static_cast<double>(recipe_.batch);
}

/// What was done, behind what had been done to the inputs.
std::string Convert::history() const {
  auto steps = nlohmann::ordered_json::array();
  auto const& first = recipe_.sources[0]->attributes();
  if (auto const before = first.find("history"); before != first.end()) {
    auto const parsed = nlohmann::ordered_json::parse(before->second, nullptr, false);
    if (parsed.is_array()) steps = parsed;
  }
  nlohmann::ordered_json step{{"operation", config_.operation}};
  for (auto const& [key, value] : {std::pair{"pool", config_.pool}, {"compat", config_.compat}})
    if (value != "none") step[key] = value;
  if (config_.mask) step["mask"] = config_.mask->filename().string();
  if (recipe_.number) step["with"] = *recipe_.number;
  if (!config_.rows.all()) step["rows"] = recipe_.ids.size();
  for (std::size_t i = 0; i < std::min(most_named, recipe_.sources.size()); ++i)
    step["inputs"].push_back({{"name", recipe_.sources[i]->name()}, {"sha256", recipe_.fingerprints[i]}});
  if (recipe_.sources.size() > most_named) step["further_inputs"] = recipe_.sources.size() - most_named;
  steps.push_back(step);
  while (steps.dump().size() > 32768 && steps.size() > 1) steps.erase(steps.begin());
  return steps.dump();
}

ActSpec Convert::spec(Context const& context) const {
  ActSpec spec;
  for (auto const& layer : recipe_.layers) spec.layers.push_back(layer.spec);
  spec.stimulus_ids = recipe_.ids;
  spec.stimulus_sha256 = recipe_.stimulus_sha256;
  spec.may_skip = !recipe_.skipped.empty();
  spec.batch = recipe_.batch;
  auto config = context.resolved;
  for (auto const* key : {"output", "memory"}) config.erase(key);  // the same store, wherever written
  if (config.dump().size() > 32768) config = {{"sha256", sha256(config.dump())}};
  spec.attributes = recipe_.attributes;
  spec.attributes["history"] = history();
  spec.attributes["striate_git_commit"] = git_commit();
  spec.attributes["config"] = config.dump();
  spec.identity = context.identity;
  spec.identity["inputs"] = inputs_;
  if (config_.mask) spec.identity["mask_sha256"] = sha256_file(*config_.mask);
  spec.identity["batch"] = recipe_.batch;
  return spec;
}

bool Convert::run_store(Context& context) {
  ActSpec made;
  together(context.comm, [&] { made = spec(context); });
  auto store = ActWriter::open(context.comm, config_.output, made, context.fresh);
  if (store->state() == StoreState::complete) {
    log::info("nothing to do: {} is complete", config_.output.string());
    return true;
  }
  auto const done = store->done();
  auto const before = static_cast<std::size_t>(std::ranges::count(done, 1));
  if (before > 0) log::info("resuming: {} of {} batches are done", before, done.size());
  bool finished = false;
  std::size_t zeros = 0;
  {
    std::unique_ptr<convert::Work> work;
    together(context.comm, [&] {
      work = std::make_unique<convert::Work>(recipe_, *store,
                                             tile_order(done, in_flight_, context.comm.rank(), context.comm.size()),
                                             static_cast<std::size_t>(in_flight_), before);
    });
    TileOptions options;
    options.threads = in_flight_;
    finished = run_tiles(context.comm, done, context.stop, *work, options);
    zeros = work->zeros();
  }
  zeros = static_cast<std::size_t>(context.comm.sum(static_cast<std::int64_t>(zeros)));
  if (zeros > 0 && context.comm.root()) log::warn("{} values were divided by 0 and are infinite or NaN", zeros);
  if (finished) store->finish();
  if (finished && context.comm.root()) write_report();
  return finished;
}

void Convert::write_report() const try {
  write_atomically(report_file(config_.output), report_table(layer_reports(config_.output.string())));
} catch (Error const& error) {
  log::warn("the layer report was not written: {}", error.what());
}

bool Convert::run_beside(Context& context) {
  bool const table = is_table(config_);
  nlohmann::ordered_json identity = context.identity, content;
  identity["inputs"] = inputs_;
  together(context.comm, [&] {
    if (config_.mask) identity["mask_sha256"] = sha256_file(*config_.mask);
    if (!context.comm.root()) return;
    content = table ? table_.content : convert::content_of(config_, recipe_);
    if (!table) content["history"] = nlohmann::ordered_json::parse(history());
  });
  return convert::write_beside(context, config_.output, output_is_directory(), identity, content, [&] {
    if (!table) return convert::export_recipe(config_, recipe_, context.stop, context.memory_budget);
    table_.write();
    return true;
  });
}

bool Convert::run(Context& context) { return is_beside() ? run_beside(context) : run_store(context); }

}  // namespace

std::unique_ptr<Job> make_convert() { return std::make_unique<Convert>(); }

}  // namespace striate
