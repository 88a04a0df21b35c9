/// `striate permute`: more permutations for a finished encode; a share of them a job, merged exactly (docs/encoding.md).
#include <unistd.h>

#include <algorithm>

#include "encode_finish.hpp"
#include "encode_plan.hpp"
#include "encode_run.hpp"
#include "permute_merge.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/commands/command.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

/// "3/10".
Part part_of(std::string const& text) {
  Part part;
  char slash = 0, rest = 0;
  if (std::sscanf(text.c_str(), "%zu%c%zu%c", &part.i, &slash, &part.k, &rest) != 3 || slash != '/' || part.i < 1 ||
      part.i > part.k || part.k > 1000000)
    fail(Exit::config, "part: is `{}`; give this job's number and that of all jobs, e.g. 3/10", text);
  return part;
}

class Permute final : public Job {
 public:
  Permute() { permutation_.n = 1000; }
  void describe(Schema& s) override {
    s("encode", encode_file_,
      {.doc = "config of a finished encode", .required = true, .identity = false, .example = "encode.yaml"});
    s("permutation", permutation_, {.doc = "as in encode; n: of all parts together"});
    s("from", from_,
      {.doc = "index of the first permutation; default: where the same test of the encode ended, whose permutations are "
              "then counted in",
       .min = 0});
    s("part", part_, {.doc = "the share of this job, of an array of jobs", .identity = false, .example = "3/10"});
    s("memory", memory_gib_,
      {.doc = "of a rank; default: its share of what the job was given", .unit = "GiB", .min = 0.05, .identity = false});
    s("output", output_,
      {.doc = "directory of the parts and of the merged result", .required = true, .identity = false,
       .example = "out/permute"});
  }
  [[nodiscard]] fs::path output() const override { return part_of(part_).file(output_); }
  [[nodiscard]] bool output_is_directory() const override { return false; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    LedgerState const state = read_ledger(output());
    return {state.done, state.total, state.complete};
  }

 private:
  void read_encode(Comm const& comm);
  void open_encode(Context const& context);
  static void keep_others(fs::path const& file, ResultSpec& spec);
  [[nodiscard]] nlohmann::ordered_json identity(Context const& context) const;

  fs::path encode_file_, output_;
  encode::Permutation permutation_;
  std::optional<std::int64_t> from_;
  std::string part_ = "1/1";
  std::optional<double> memory_gib_;

  encode::Config config_;                   ///< of the encode, with this permutation block
  encode::Config asked_;                    ///< of the encode, as it was run
  nlohmann::ordered_json encode_identity_;  ///< of the encode
  encode::Inputs inputs_;
  encode::Layout layout_;
  encode::Memory memory_;
  encode::Observed observed_;
  encode::Null earlier_;
  std::size_t first_ = 0;  ///< permutation of the first part
};

/// The first rank reads, all parse.
void Permute::read_encode(Comm const& comm) {
  std::string text;
  together(comm, [&] {
    if (comm.root()) text = read_text(encode_file_);
  });
  comm.broadcast(text, 0);
  together(comm, [&] {
    Schema schema;
    encode::declare(schema, asked_);
    read_config(schema, {encode_file_.string(), text, {}});
    encode_identity_ = resolved(schema, true);
    config_ = asked_;
    config_.permutation = permutation_;
    // What is saved matters no more, but a refit for coefficients is one of the passes that the encode's layout counts.
    std::erase_if(config_.save, [&](auto const& what) { return what != "coefficients" || !config_.outer(); });
    config_.gradient = {};
    encode::check(config_);
  });
}

/// What the encode exchanged, took gradients along, or ran on is its own affair: scores depend on it in no more than the
/// last digits.
void Permute::keep_others(fs::path const& file, ResultSpec& spec) {
  auto const stored = nlohmann::ordered_json::parse(h5::File::open(file).read_text("/.striate/identity"));
  if (stored.contains("device")) spec.identity["device"] = stored["device"];
  if (!stored.contains("inputs")) return;
  auto mine = spec.identity["inputs"], theirs = stored["inputs"];
  for (char const* key : {"exchange_sha256", "gradient_sha256"}) mine.erase(key), theirs.erase(key);
  if (mine == theirs) spec.identity["inputs"] = stored["inputs"];
}

/// The scores to be tested, and what the encode has permuted itself.
void Permute::open_encode(Context const& context) {
  Comm const& comm = context.comm;
  fs::path const file = asked_.output / "result.h5";
  together(comm, [&] {
    if (!read_ledger(file).complete)
      fail(Exit::no_input, "encode: {} is not complete; run striate encode {} first", asked_.output.string(),
           encode_file_.string());
  });
  encode::Layout const layout = encode::make_layout(asked_, inputs_);
  auto spec = encode::result_spec(asked_, inputs_, layout, encode_identity_);
  together(comm, [&] { keep_others(file, spec); });
  std::unique_ptr<ResultFile> result;
  try {
    result = ResultFile::open(comm, file, spec);
  } catch (Error const& error) {
    throw Error(error.code(), fmt::format("encode: {} was made by another config or from other files ({})",
                                          asked_.output.string(), error.what()));
  }
  observed_ = encode::read_observed(comm, config_, inputs_, *result);
  auto const settings = [](encode::Permutation p) {
    p.n = 0;
    p.tail_fit = "none";  // made of the merged null
    Schema s;
    encode::describe(s, p);
    return resolved(s).dump();
  };
  bool const same = asked_.permutation.n > 0 && settings(asked_.permutation) == settings(permutation_);
  auto const before = static_cast<std::size_t>(asked_.permutation.n);
  first_ = from_ ? static_cast<std::size_t>(*from_) : same ? before : 0;
  together(comm, [&] {
    if (same && first_ == before && comm.root()) earlier_ = encode::read_null(asked_, inputs_, layout, *result);
  });
}

void Permute::plan(Context& context, Plan& plan) {
  Comm const& comm = context.comm;
  together(comm, [&] {
    if (permutation_.n < 1) fail(Exit::config, "permutation.n: is {}; ask for one permutation at least", permutation_.n);
    if (permutation_.stop.exceed > 0)
      fail(Exit::config, "permutation.stop: is of encode alone, as parts do not know of each other's counts; remove it");
  });
  read_encode(comm);
  inputs_ = encode::load_inputs(config_, comm);
  open_encode(context);
  double const budget = static_cast<double>(comm.min(static_cast<std::int64_t>(context.budget(memory_gib_))));
  int const ranks = static_cast<int>(comm.max(std::int64_t{comm.node().size()}));
  int const threads = static_cast<int>(comm.max(std::int64_t{context.threads}));
  auto const [first, last] = part_of(part_).range(first_, static_cast<std::size_t>(permutation_.n));
  together(comm, [&] {
    encode::check_permutation(config_, inputs_);
    if (first == last) fail(Exit::config, "part: {} of {} permutations holds none; use fewer parts", part_, permutation_.n);
    layout_ = encode::permutations_alone(config_, inputs_, first, last - first);
    auto costs = encode::cost_of(config_, inputs_, 1e15);
    costs.private_bytes = std::max(costs.private_bytes, encode::maps_bytes(config_, inputs_, layout_, threads));
    memory_ = encode::divide_memory(inputs_, layout_, encode::cost_of(config_, inputs_, 0), costs, budget, ranks, threads);
    auto const test = encode::test_cost(config_, inputs_, layout_, costs);
    plan.flops = test.flops, plan.work = test.work;
  });
  plan.lines.emplace_back("encode", fmt::format("{}, {} layers × {} targets", asked_.output.string(),
                                                inputs_.layers.size(), inputs_.t()));
  plan.lines.emplace_back("permutations", fmt::format("{} to {} of {}{}", first, last - 1, permutation_.n,
                                                      earlier_.n > 0 ? fmt::format(", beside {} of the encode", earlier_.n) : ""));
  plan.bytes_read = 4.0 * static_cast<double>(inputs_.n()) * static_cast<double>(inputs_.t());
  plan.memory_per_rank = memory_.per_rank;
  plan.memory_per_node = memory_.per_node;
  plan.units = layout_.units();
}

nlohmann::ordered_json Permute::identity(Context const& context) const {
  nlohmann::ordered_json all = context.identity;
  all["encode"] = encode_identity_;
  all["inputs"] = inputs_.identity;
  all["first"] = first_;
  return all;
}

bool Permute::run(Context& context) {
  Comm const& comm = context.comm;
  together(comm, [&] {
    if (comm.root()) make_folder(output_);
  });
  auto const engine = encode::make_engine(context, config_);
  Part const part = part_of(part_);
  ResultSpec spec;
  spec.datasets = encode::permutation_working(config_, inputs_, layout_);
  spec.attributes = {{"command", "permute"}};
  spec.tiles = layout_.units();
  spec.identity = identity(context);
  spec.identity["part"] = fmt::format("{}/{}", part.i, part.k);
  auto const result = ResultFile::open(comm, output(), spec, context.fresh);
  if (result->state() != StoreState::complete) {
    if (!encode::compute_permutations(context, config_, inputs_, layout_, memory_, observed_, *result, *engine)) {
      result->flush();
      return false;
    }
    result->finish([](ResultFile&) {});
  } else {
    log::info("{} is complete", output().string());
  }
  together(comm, [&] {
    if (comm.root())
      merge_parts({config_, inputs_, observed_, output_, part.k, first_, static_cast<std::size_t>(permutation_.n), earlier_,
                   identity(context)});
  });
  return true;
}

}  // namespace

std::unique_ptr<Job> make_permute() { return std::make_unique<Permute>(); }

}  // namespace striate
