/// `striate encode`: features × responses → cross-validated voxelwise encoding (docs/encoding.md).
#include "encode.hpp"

#include <algorithm>

#include "encode_bootstrap.hpp"
#include "encode_finish.hpp"
#include "encode_layout.hpp"
#include "encode_partition.hpp"
#include "encode_permute.hpp"
#include "encode_plan.hpp"
#include "encode_run.hpp"
#include "encode_unique.hpp"
#include "fingerprint.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
constexpr double gib = 1024.0 * 1024 * 1024;
constexpr double hashed_bytes = 4 * gib;  ///< foreign stores up to this size are hashed whole

class Encode final : public Job {
 public:
  explicit Encode(bool partition) {
    if (partition) config_ = encode::partition_defaults();
  }
  void describe(Schema& schema) override { encode::declare(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return true; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    LedgerState const state = read_ledger(result_file());
    return {state.done, state.total, state.complete};
  }

 private:
  [[nodiscard]] fs::path result_file() const { return config_.output / "result.h5"; }
  [[nodiscard]] std::string cv_text() const;
  [[nodiscard]] std::string series_text() const;
  struct Permuting {
    std::string text;
    encode::TestCost cost;
  };
  [[nodiscard]] Permuting permuting() const;
  void say_plan(Context const& context, Plan& plan) const;
  void note(Context& context) const;
  void begin(Context const& context, ResultFile& result) const;
  void finish(Context& context, ResultFile& result) const;
  void look_again(Context const& context, ResultFile& result) const;

  encode::Config config_;
  encode::Inputs inputs_;
  encode::Layout layout_;
  encode::Costs costs_;
  encode::Memory memory_;
};

std::string Encode::cv_text() const {
  encode::Cv const& cv = config_.cv;
  std::size_t const k = inputs_.folds;
  std::string text = !config_.outer()                             ? "no outer folds: select on all rows and refit"
                     : cv.leave_one_out || cv.folds.leave_one_out ? fmt::format("leave one out ({} folds)", k)
                     : cv.split                                   ? fmt::format("{} folds of column {}", k, *cv.split)
                     : cv.file                      ? fmt::format("{} folds of {}", k, cv.file->filename().string())
                     : cv.group && !cv.folds.number ? fmt::format("leave one {} out ({} folds)", *cv.group, k)
                     : cv.group                     ? fmt::format("{} folds by {}", k, *cv.group)
                     : cv.shuffle                   ? fmt::format("{} shuffled folds", k)
                                                    : fmt::format("{} contiguous folds", k);
  if (cv.stratify) text += ", classes of " + *cv.stratify + " in equal shares";
  std::size_t const inner = inputs_.passes[0].inner.size();
  if (inner > 0)
    text += fmt::format(", {} inner{}", inner, cv.group ? " by " + *cv.group : cv.inner.shuffle ? " shuffled" : "");
  if (!config_.inner_folds()) text += fmt::format(", alpha by {}", config_.model.selection);
  if (cv.purge > 0) text += fmt::format(", {} rows purged about each test row", cv.purge);
  return text;
}

std::string Encode::series_text() const {
  encode::SeriesConfig const& r = config_.responses;
  std::string text = fmt::format("{} runs, {} volumes", inputs_.series.runs(), inputs_.series.volumes());
  if (r.detrend.kind == Drift::Kind::polynomial) text += fmt::format(", polynomials of order {} out", r.detrend.degree);
  if (r.detrend.kind == Drift::Kind::cosine) text += fmt::format(", periods above {:g} s out", r.detrend.cutoff);
  if (r.zscore_runs) text += ", z-scored";
  if (r.trim.first + r.trim.last > 0) text += fmt::format(", then {} + {} of a run dropped", r.trim.first, r.trim.last);
  return text;
}

void Encode::plan(Context& context, Plan& plan) {
  Comm const& comm = context.comm;
  inputs_ = encode::load_inputs(config_, comm);
  double const budget = static_cast<double>(comm.min(static_cast<std::int64_t>(context.memory_budget)));
  int const ranks = static_cast<int>(comm.max(std::int64_t{comm.node().size()}));
  int const threads = static_cast<int>(comm.max(std::int64_t{context.threads}));
  together(comm, [&] {
    encode::check_permutation(config_, inputs_);
    encode::check_bootstrap(config_, inputs_);
    encode::check_unique(config_, inputs_);
    layout_ = encode::make_layout(config_, inputs_);
    costs_ = encode::cost_of(config_, inputs_, 1e15);
    costs_.private_bytes = std::max({costs_.private_bytes, encode::maps_bytes(config_, inputs_, layout_, threads),
                                     encode::bootstrap_bytes(config_, inputs_, layout_, threads),
                                     encode::unique_bytes(config_, inputs_, layout_, threads)});
    auto const least = encode::cost_of(config_, inputs_, 0);
    memory_ = encode::divide_memory(inputs_, layout_, least, costs_, budget, ranks, threads);
  });
  say_plan(context, plan);
}

Encode::Permuting Encode::permuting() const {
  encode::Permutation const& p = config_.permutation;
  auto const& l = layout_.permutation;
  Permuting out;
  out.text = fmt::format("{} of {} ({}), {} units of {} targets × {} permutations", p.n, p.shuffle, p.scheme, l.units(),
                         l.tile, l.block);
  out.cost = encode::test_cost(config_, inputs_, layout_, costs_);
  return out;
}

void Encode::say_plan(Context const& context, Plan& plan) const {
  std::size_t const n = inputs_.n(), t = inputs_.t();
  auto const nodes = static_cast<double>(context.comm.nodes());
  std::string repeats = inputs_.stimulus_of_volume.empty()
                            ? ""
                            : fmt::format(" ({} volumes, repeats {})", inputs_.stimulus_of_volume.size(),
                                          config_.responses.repeats == "keep" ? "kept" : "averaged");
  plan.lines.emplace_back("responses", fmt::format("{} rows × {} targets{}", n, t, repeats));
  if (config_.responses.run) plan.lines.emplace_back("series", series_text());
  plan.lines.emplace_back("folds", cv_text());
  if (config_.engine != "blas")
    plan.lines.emplace_back("engine", fmt::format("{}, device {}", config_.engine, config_.device));
  if (inputs_.subjects > 0) {
    plan.lines.emplace_back("ceiling",
                            fmt::format("between {} subjects, {} stimuli", inputs_.subjects, inputs_.stimuli));
    plan.bytes_read += 4.0 * static_cast<double>(inputs_.subjects * inputs_.stimuli * t);
  }
  for (std::size_t l = 0; l < inputs_.layers.size(); ++l) {
    auto const& layer = inputs_.layers[l];
    double const bytes = inputs_.bytes_of(layer);
    bool const kept = bytes <= memory_.layer;
    double const streamed = 4.0 * static_cast<double>(n) * static_cast<double>(layer.units);  // delayed: once a delay
    plan.bytes_read += nodes * (kept ? bytes : streamed * static_cast<double>(inputs_.passes.size()));
    plan.lines.emplace_back("layer " + layer.name,
                            fmt::format("{} features{}, {}, {:.2g} flops a target and fold, {}", layer.units,
                                        layer.parts.empty() ? "" : fmt::format(" in {} bands", layer.parts.size()),
                                        costs_.layer[l].form, costs_.layer[l].flops_per_target,
                                        kept ? "read once" : "streamed in every fold"));
  }
  if (memory_.target_block < t)
    plan.lines.emplace_back("targets", fmt::format("{} at a time, for the memory of a node", memory_.target_block));
  double const y = 4.0 * static_cast<double>(n) * static_cast<double>(t);
  plan.flops = costs_.flops;
  plan.work = costs_.work;
  if (config_.permutation.n > 0) {
    Permuting const p = permuting();
    plan.lines.emplace_back("permutation", p.text);
    plan.flops += p.cost.flops, plan.work += p.cost.work;
  }
  if (config_.bootstrap.n > 0) {
    auto const& b = layout_.bootstrap;
    plan.lines.emplace_back("bootstrap", fmt::format("{} draws over {}, {} units of {} targets; held-out predictions kept: {:.3g} GiB",
                                                     b.n, config_.bootstrap.over, b.tiles, b.tile,
                                                     4.0 * static_cast<double>(encode::heldout_rows(inputs_) * t * layout_.layers) / gib));
    plan.flops += encode::bootstrap_flops(config_, inputs_) * static_cast<double>(t);
  }
  if (layout_.unique.n > 0) {
    plan.lines.emplace_back("unique", fmt::format("{} flips of held-out improvements, {} units of {} targets", layout_.unique.n,
                                                  layout_.unique.tiles, layout_.unique.tile));
    plan.flops += encode::unique_flops(config_, inputs_) * static_cast<double>(t);
  }
  // Targets that are not kept are read for every fit of every layer.
  plan.bytes_read += y * (memory_.target_block < t ? static_cast<double>(layout_.layers * layout_.passes) : 1);
  plan.bytes_written = encode::bytes_of(encode::result_spec(config_, inputs_, layout_, {}));
  plan.memory_per_rank = memory_.per_rank;
  plan.memory_per_node = memory_.per_node;
  plan.units = layout_.units();
}

/// For provenance.json.
void Encode::note(Context& context) const {
  std::string const kernel = std::string(panel_product_kernel()) + ", " + blas::description();
  auto& d = context.details;
  d["rows"] = inputs_.n();
  d["targets"] = inputs_.t();
  d["folds"] = cv_text();
  d["kernel"] = kernel;
  for (std::size_t l = 0; l < inputs_.layers.size(); ++l) d["forms"][inputs_.layers[l].name] = costs_.layer[l].form;
  if (!context.comm.root()) return;
  context.inputs = inputs_.root.files;
  for (auto const& f : config_.features) {
    if (!f.stimuli.empty() && !f.stimuli.is_folder) context.inputs.push_back(f.stimuli.path);
    std::string path = f.store.string();
    if (!fs::exists(path)) path = path.substr(0, path.rfind(":/"));
    // A store of ours carries the checksums of all its values: hashing those says as much, at once.
    if (auto const checksums = checksums_sha256(path))
      d["store_checksums_sha256"][path] = *checksums;
    else if (static_cast<double>(fs::file_size(path)) <= hashed_bytes)
      context.inputs.emplace_back(path);
  }
}

/// What is known before the first unit. First rank.
void Encode::begin(Context const& context, ResultFile& result) const {
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    if (result.state() == StoreState::created) encode::remove_outputs(config_.output);
    auto const fold = inputs_.fold_of_row();
    result.write("/targets/index", std::span<std::uint64_t const>(inputs_.index));
    result.write("/.striate/fold", std::span<std::int32_t const>(fold));
  });
}

/// Everything beside result.h5 is on disk before the mark, so that whatever is marked complete is whole.
void Encode::finish(Context& context, ResultFile& result) const {
  encode::Finish const f{config_, inputs_, layout_, result, context.team};
  result.flush();
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    encode::derive(f);
    encode::write_outputs(f);
    encode::warn(f);
  });
  context.write_provenance();
  result.finish([](ResultFile&) {});
}

/// A complete result: files that went missing beside it come back.
void Encode::look_again(Context const& context, ResultFile& result) const {
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    encode::Finish const f{config_, inputs_, layout_, result, context.team};
    auto const files = encode::output_files(f);
    auto const missing = std::ranges::count_if(files, [](auto const& file) { return !fs::exists(file); });
    if (missing > 0) {
      log::info("{} of the files beside result.h5 are missing; they are written again", missing);
      encode::write_outputs(f);
    } else {
      log::info("nothing to do: {} is complete", config_.output.string());
    }
  });
}

bool Encode::run(Context& context) {
  together(context.comm, [&] {
    if (context.comm.root()) make_folder(config_.output);
  });
  auto const engine = encode::make_engine(context, config_);
  auto const spec = encode::result_spec(config_, inputs_, layout_, context.identity);
  auto const result = ResultFile::open(context.comm, result_file(), spec, context.fresh);
  if (result->state() == StoreState::complete) {
    look_again(context, *result);
    return true;
  }
  together(context.comm, [&] { note(context); });
  begin(context, *result);
  if (!encode::compute(context, config_, inputs_, layout_, memory_, *result, *engine)) {
    result->flush();
    return false;
  }
  finish(context, *result);
  return true;
}

}  // namespace

std::unique_ptr<Job> make_encode() { return std::make_unique<Encode>(false); }
/// `striate partition`: the same over every subset of the feature spaces, and what they share (docs/encoding.md).
std::unique_ptr<Job> make_partition() { return std::make_unique<Encode>(true); }

}  // namespace striate
