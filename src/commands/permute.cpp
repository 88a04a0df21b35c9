/// `striate permute`: more permutations for a finished encode; a share of them a job, merged exactly (docs/encoding.md).
#include <unistd.h>

#include <algorithm>

#include "encode_finish.hpp"
#include "encode_partition.hpp"
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
  [[nodiscard]] fs::path output() const override { return part_of(part_).file_in(output_); }
  [[nodiscard]] bool output_is_directory() const override { return false; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    LedgerState const state = read_ledger(output());
    return {state.done, state.total, state.complete};
  }

 private:
  void check_parts() const;
  void read_settings(std::string const& text);
  static bool made_by_partition(fs::path const& file);
  void read_encode(Comm const& comm);
  void open_encode(Context const& context);
  static std::string other_test(encode::Permutation theirs, encode::Permutation mine);
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
  std::string apart_;      ///< why the permutations of the encode do not count in; empty where it made none, or they do
  std::size_t first_ = 0;  ///< permutation of the first part
};

/// Parts of another number of jobs hold other shares, which would never be merged with these.
void Permute::check_parts() const {
  Part const mine = part_of(part_);
  std::error_code none;
  for (auto const& entry : fs::directory_iterator(output_, none)) {
    std::string const name = entry.path().filename().string();
    Part there;
    int end = 0;
    if (std::sscanf(name.c_str(), "part-%zu-of-%zu.h5%n", &there.i, &there.k, &end) != 2 ||
        static_cast<std::size_t>(end) != name.size() || there.k == mine.k)
      continue;
    fail(
        Exit::cant_create,
        "part: {} is a share of {} jobs, but {} holds {}, of {} jobs; keep on with part: …/{}, name another output, or "
        "remove the parts there",
        part_, mine.k, output_.string(), name, there.k, there.k);
  }
}

void Permute::read_settings(std::string const& text) {
  Schema schema;
  encode::declare(schema, asked_);
  read_config(schema, {encode_file_.string(), text, {}});
  encode_identity_ = resolved(schema, true);
}

bool Permute::made_by_partition(fs::path const& file) {
  if (!fs::exists(file)) return false;
  auto const result = h5::File::open(file);
  return result.has_attribute("/", "command") && result.attribute("/", "command") == "partition";
}

/// The first rank reads, all parse.
void Permute::read_encode(Comm const& comm) {
  std::string text;
  together(comm, [&] {
    if (comm.root()) text = read_text(encode_file_);
  });
  comm.broadcast(text, 0);
  together(comm, [&] {
    read_settings(text);
    if (made_by_partition(asked_.output / "result.h5")) {
      asked_ = encode::partition_defaults();
      read_settings(text);
    }
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

/// Why the permutations of the encode are of another test; empty where they are of the same.
std::string Permute::other_test(encode::Permutation theirs, encode::Permutation mine) {
  theirs.n = mine.n = 0;
  theirs.tail_fit = mine.tail_fit = "none";  // made of the merged null
  for (auto* p : {&theirs, &mine}) {  // so are adjusted p
    std::erase_if(p->correct, [](auto const& how) { return how == "fdr" || how == "fdr_by"; });
    std::ranges::sort(p->correct);
  }
  auto const settings = [](encode::Permutation& p) {
    Schema s;
    encode::describe(s, p);
    return resolved(s);
  };
  auto const a = settings(theirs), b = settings(mine);
  std::string const key = first_difference(a, b);
  if (key.empty()) return "";
  std::string path = "/" + key;
  std::ranges::replace(path, '.', '/');
  auto const at = [&](nlohmann::ordered_json const& all) {
    auto const value = all.value(nlohmann::ordered_json::json_pointer(path), nlohmann::ordered_json());
    return value.is_null() ? "not given" : value.is_string() ? value.get<std::string>() : value.dump();
  };
  return fmt::format("permutation.{} is {} there, but {} here", key, at(a), at(b));
}

/// The scores to be tested, and what the encode has permuted itself.
void Permute::open_encode(Context const& context) {
  Comm const& comm = context.comm;
  fs::path const file = asked_.output / "result.h5";
  together(comm, [&] {
    if (!read_ledger(file).complete)
      fail(Exit::no_input, "encode: {} is not complete; run striate {} {} first", asked_.output.string(),
           asked_.partition ? "partition" : "encode", encode_file_.string());
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
  auto const before = static_cast<std::size_t>(asked_.permutation.n);
  std::string const other = other_test(asked_.permutation, permutation_);
  bool const same = before > 0 && other.empty();
  first_ = from_ ? static_cast<std::size_t>(*from_) : same ? before : 0;
  if (before > 0 && !(same && first_ == before))
    apart_ = fmt::format("without the {} of the encode, as {}", before,
                         same ? fmt::format("from: {} does not go on where they end", first_) : other);
  together(comm, [&] {
    if (!same || first_ != before) return;
    config_.permutation.keeps_tails = asked_.permutation.fits_tail();
    if (!comm.root()) return;
    earlier_ = encode::read_null(asked_, inputs_, layout, *result);
    earlier_.tails = {{layout.permutation, nullptr, file}};
    if (config_.permutation.fits_tail() && !config_.permutation.keeps_tails)
      log::warn(
          "permutation.tail_fit: the {} permutations of the encode count in, but kept no tails (its tail_fit is none), so "
          "that p_gpd of single targets is left out; set from: 0 to begin anew, or tail_fit: gpd in the encode",
          before);
  });
}

void Permute::plan(Context& context, Plan& plan) {
  Comm const& comm = context.comm;
  together(comm, [&] {
    if (permutation_.n < 1) fail(Exit::config, "permutation.n: is {}; ask for one permutation at least", permutation_.n);
    if (permutation_.stop.exceed > 0)
      fail(Exit::config, "permutation.stop: is of encode alone, as parts do not know of each other's counts; remove it");
  });
  together(comm, [&] {
    if (comm.root()) check_parts();
  });
  read_encode(comm);
  inputs_ = encode::load_inputs(config_, comm);
  open_encode(context);
  double const budget = static_cast<double>(comm.min(static_cast<std::int64_t>(context.memory_budget)));
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
  // Counted from 1; their indices begin at first_.
  std::string const beside = !apart_.empty()  ? ", " + apart_
                             : earlier_.n > 0 ? fmt::format(", beside {} of the encode", earlier_.n)
                                              : "";
  plan.lines.emplace_back("permutations",
                          fmt::format("{} to {} of {}{}", first - first_ + 1, last - first_, permutation_.n, beside));
  plan.bytes_read = 4.0 * static_cast<double>(inputs_.n()) * static_cast<double>(inputs_.t());
  plan.memory_per_rank = memory_.per_rank;
  plan.memory_per_node = memory_.per_node;
  plan.units = layout_.units();
}

nlohmann::ordered_json Permute::identity(Context const& context) const {
  nlohmann::ordered_json all = context.identity;
  all.erase("device");  // a part compares with scores that it makes itself
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
                   identity(context), context.team});
  });
  return true;
}

}  // namespace

std::unique_ptr<Job> make_permute() { return std::make_unique<Permute>(); }

}  // namespace striate
