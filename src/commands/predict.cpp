/// `striate predict`: coefficients of a finished encode × features of new stimuli → predicted responses (docs/predict.md).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "predict_tiles.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"
#include "striate/commands/command.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
constexpr double gib = 1024.0 * 1024 * 1024;

class Predict final : public Job {
 public:
  void describe(Schema& schema) override { predict::declare(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return true; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    LedgerState const state = read_ledger(config_.output / "result.h5");
    return {state.done, state.total, state.complete};
  }

 private:
  [[nodiscard]] ResultSpec spec(Context const& context) const;
  [[nodiscard]] std::size_t tiles() const { return (in_.t() + in_.tile - 1) / in_.tile; }
  bool compute(Context& context, ResultFile& result);
  void finish(Context& context, ResultFile& result) const;
  [[nodiscard]] std::vector<std::pair<std::string, fs::path>> maps() const;
  void write_outputs(ResultFile const& result) const;

  predict::Config config_;
  predict::Inputs in_;
};

void Predict::plan(Context& context, Plan& plan) {
  Comm const& comm = context.comm;
  in_ = predict::load_inputs(config_, comm);
  auto const n = static_cast<double>(in_.n()), t = static_cast<double>(in_.t()),
             y = 4.0 * static_cast<double>(in_.scored.size()) * t;
  double const rank = predict::working_bytes(in_, context.threads), budget = context.memory_budget;
  double const share = y / comm.node().size();
  together(comm, [&] {
    if (rank + share > budget)
      fail(Exit::limit, "memory: a rank needs {:.3g} GiB for {} stimuli with {} threads but has {:.3g} GiB; raise memory, "
           "use fewer threads, or predict fewer stimuli at a time",
           (rank + share) / gib, in_.n(), context.threads, budget / gib);
  });
  plan.lines.emplace_back("encode", fmt::format("{}, {} layers × {} targets", in_.encode.output.string(), in_.layers.size(), in_.t()));
  plan.lines.emplace_back("stimuli", fmt::format("{}, {} of them with responses", in_.n(), in_.scored.size()));
  for (auto const& layer : in_.layers) {
    auto const p = static_cast<double>(layer.units);
    plan.flops += 2 * n * p * t;
    plan.bytes_read += 4 * (n + t) * p;
  }
  plan.bytes_read += y;
  plan.bytes_written = static_cast<double>(in_.layers.size()) * t * (4 * n + 8 * static_cast<double>(config_.scores.size()));
  plan.memory_per_rank = rank;
  plan.memory_per_node = y;
  plan.units = in_.layers.size() * tiles();
}

ResultSpec Predict::spec(Context const& context) const {
  ResultSpec s;
  std::vector<std::string> names;
  for (auto const& layer : in_.layers) {
    names.push_back(layer.name);
    s.datasets.push_back({"/" + layer.name + "/prediction", h5::Dtype::f32, {in_.n(), in_.t()}, in_.tile});
    for (auto const& score : config_.scores)
      if (config_.responses) s.datasets.push_back({"/" + layer.name + "/score/" + score, h5::Dtype::f64, {in_.t()}, in_.tile});
  }
  s.datasets.push_back({"/targets/index", h5::Dtype::u64, {in_.t()}, 0});
  s.texts = {{"/layers", names}, {"/stimulus_id", in_.ids}};
  s.attributes = {{"command", "predict"}, {"units", config_.units}};
  s.tiles = in_.layers.size() * tiles();
  s.identity = context.identity;
  s.identity["inputs"] = in_.identity;
  return s;
}

bool Predict::compute(Context& context, ResultFile& result) {
  Comm const& comm = context.comm;
  auto const& done = result.done();
  std::unique_ptr<encode::TargetBlock> y;
  if (config_.responses) {
    y = std::make_unique<encode::TargetBlock>(comm, in_.responses.get(), &in_.rows, in_.scored.size(), in_.t(), in_.t());
    y->load(0);
  }
  log::Progress bar("predict", "units", done.size(), static_cast<std::size_t>(std::ranges::count(done, std::uint8_t{1})));
  std::size_t before = 0;  // units of earlier layers
  for (std::size_t l = 0; l < in_.layers.size(); ++l, before += tiles()) {
    auto const at = done.begin() + static_cast<std::ptrdiff_t>(l * tiles());
    std::vector<std::uint8_t> const mine(at, at + static_cast<std::ptrdiff_t>(tiles()));
    if (std::ranges::count(mine, std::uint8_t{0}) == 0) continue;
    if (comm.max(std::int64_t{context.stop.requested() ? 1 : 0}) > 0) return false;
    std::unique_ptr<predict::Tiles> work;
    together(comm, [&] {
      work = std::make_unique<predict::Tiles>(config_, in_, l, y.get(), result, context.team,
                                              [&](std::size_t now) { bar.update(before + now); });
    });
    if (!run_tiles(comm, mine, context.stop, *work, {.threads = context.threads})) return false;
  }
  return true;
}

/// Maps that a scored prediction has: dataset and stem.
std::vector<std::pair<std::string, fs::path>> Predict::maps() const {
  std::vector<std::pair<std::string, fs::path>> all;
  std::vector<std::string> names;
  for (auto const& layer : in_.layers) names.push_back(layer.name);
  auto const safe = file_safe_names(names);
  for (std::size_t l = 0; config_.responses && l < names.size(); ++l)
    for (auto const& score : config_.scores)
      all.emplace_back("/" + names[l] + "/score/" + score, map_stem(config_.output, safe[l], score));
  return all;
}

/// First rank.
void Predict::write_outputs(ResultFile const& result) const {
  if (!config_.responses) return;
  make_folder(config_.output / "maps");
  for (auto const& [dataset, stem] : maps()) {
    auto const values = result.read<double>(dataset);
    write_map(in_.responses->space(), in_.index, std::span<double const>(values), stem);
  }
  std::string table = "layer\tscore\ttargets\tvalid\tmean\tmedian\n";
  for (auto const& layer : in_.layers)
    for (auto const& score : config_.scores) {
      auto values = result.read<double>("/" + layer.name + "/score/" + score);
      std::erase_if(values, [](double v) { return std::isnan(v); });
      std::ranges::sort(values);
      std::size_t const k = values.size();
      double const mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(k);
      std::string cells = "n/a\tn/a";
      if (k > 0) cells = fmt::format("{:.6g}\t{:.6g}", mean, 0.5 * (values[(k - 1) / 2] + values[k / 2]));
      table += fmt::format("{}\t{}\t{}\t{}\t{}\n", layer.name, score, in_.t(), k, cells);
      if (k > 0) log::info("{}: mean {} {:.4f} in {} targets", layer.name, score, mean, k);
    }
  write_atomically(config_.output / "summary.tsv", table);
}

void Predict::finish(Context& context, ResultFile& result) const {
  result.flush();
  together(context.comm, [&] {
    if (context.comm.root()) write_outputs(result);
  });
  context.write_provenance();
  result.finish([](ResultFile&) {});
}

bool Predict::run(Context& context) {
  Comm const& comm = context.comm;
  together(comm, [&] {
    if (comm.root()) make_folder(config_.output);
  });
  auto const result = ResultFile::open(comm, config_.output / "result.h5", spec(context), context.fresh);
  if (result->state() == StoreState::complete) {
    together(comm, [&] {
      if (!comm.root()) return;
      auto const lost = std::ranges::count_if(maps(), [&](auto const& map) {
        return !fs::exists(map.second.string() + in_.responses->space().extension);
      });
      bool const table = !config_.responses || fs::exists(config_.output / "summary.tsv");
      if (lost == 0 && table) {
        log::info("nothing to do: {} is complete", config_.output.string());
      } else {
        log::info("files beside result.h5 are missing; they are written again");
        write_outputs(*result);
      }
    });
    return true;
  }
  together(comm, [&] {
    if (!comm.root()) return;
    context.inputs = in_.files;
    context.inputs.push_back(config_.encode_file);
    context.details["encode"] = in_.encode.output.string();
    for (std::size_t s = 0; s < in_.stores.size(); ++s)
      context.details["features_sha256"][in_.stores[s].string()] =
          in_.identity["features"][fmt::format("store {}", s)]["content_sha256"];
    result->write("/targets/index", std::span<std::uint64_t const>(in_.index));
  });
  if (!compute(context, *result)) {
    result->flush();
    return false;
  }
  finish(context, *result);
  return true;
}

}  // namespace

std::unique_ptr<Job> make_predict() { return std::make_unique<Predict>(); }

}  // namespace striate
