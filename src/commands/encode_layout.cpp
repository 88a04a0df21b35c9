#include "encode_layout.hpp"

#include <algorithm>
#include <cmath>

#include "encode_bootstrap.hpp"
#include "encode_choice.hpp"
#include "encode_delays.hpp"
#include "encode_gradient.hpp"
#include "encode_joint.hpp"
#include "encode_partition.hpp"
#include "encode_permute.hpp"
#include "encode_plan.hpp"
#include "encode_prior.hpp"
#include "encode_unique.hpp"
#include "encode_whole.hpp"
#include "striate/base/error.hpp"
#include "striate/models/table.hpp"
#include "striate/stats/tail.hpp"

namespace striate::encode {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;
/// A unit is to take 30 s at most on a slow core (20 Gflop/s), so that a signal is answered in time.
constexpr double unit_flops = 6e11;
/// A GPU is at least so much faster, and wants more to do at once; of `auto` only a part, as it may come to a CPU.
constexpr double gpu_factor = 20, auto_factor = 4;
/// Scores of targets × permutations that a unit holds where maps are kept.
constexpr double unit_scores = 4e6;
/// Bytes that a unit of the bootstrap holds, or of permutations that are fitted anew.
constexpr double unit_bytes = 64e6;
/// Permutations of a unit that are fitted anew: small fits take longer than their flops.
constexpr double most_whole = 256;

/// By the config alone, whatever the machine has.
double flops_of_unit(Config const& config) {
  bool const on_host = config.engine != "torch" || config.device == "cpu" || config.model.refine;
  return unit_flops * (on_host ? 1 : config.device == "cuda" ? gpu_factor : auto_factor);
}

}  // namespace

bool refits(Config const& config, Inputs const& in) {
  return config.permutation.n > 0 && config.permutation.scheme != "fixed_model" &&
         find_model(config.model.type)->make(model_options(config, in))->prepare_uses_responses();
}

double permutation_flops(Config const& config, Inputs const& in, Costs const& costs) {
  double flops = 0;
  double const rows = 32 * static_cast<double>(in.n());  // to move responses about, and to score
  for (ModelCost const& c : costs.layer)
    flops +=
        rows + (config.permutation.scheme == "fixed_model" ? 0 : static_cast<double>(in.folds) * c.flops_per_target);
  return flops;
}

namespace {

/// Units of all targets: as many permutations as take `unit_flops`, or as much room.
PermutationLayout whole_permutations(Config const& config, Inputs const& in, Layout const& l, Costs const& costs,
                                     PermutationLayout p) {
  auto const layers = static_cast<double>(in.layers.size()), groups = static_cast<double>(p.groups),
             t = static_cast<double>(l.t);
  double work = 0;
  for (ModelCost const& c : costs.layer)
    work += static_cast<double>(in.folds) * (c.refit_work + t * c.work_per_target) / groups;
  double block = std::min(unit_flops / work, unit_bytes / (layers / groups * trial_bytes(config, in)));
  if (config.keeps_maps()) block = std::min(block, unit_scores / (t * layers / groups));
  p.tile = l.t, p.tiles = 1;
  p.block = static_cast<std::size_t>(std::clamp(block, 1.0, std::min(most_whole, static_cast<double>(p.n))));
  p.blocks = (p.n + p.block - 1) / p.block;
  return p;
}

/// A unit takes `unit_flops`. Tile × block of that work is cut so that what units leave (4 bytes a target and block, 8
/// a permutation and tile) is least.
PermutationLayout permutation_layout(Config const& config, Inputs const& in, Layout const& l, Costs const& costs,
                                     std::size_t first, std::size_t count) {
  PermutationLayout p;
  p.first = first;
  p.n = count;
  if (p.n == 0) return p;
  double flops = permutation_flops(config, in, costs);
  bool const joint = in.layers.size() == 1 || config.permutation.best_layer;
  p.groups = joint ? 1 : in.layers.size();
  flops /= static_cast<double>(p.groups);
  double const of_unit = config.permutation.scheme == "fixed_model" ? unit_flops : flops_of_unit(config);
  double work = std::max(1.0, of_unit / flops);  // targets × permutations of a unit
  if (config.keeps_maps()) work = std::min(work, unit_scores / static_cast<double>(joint ? in.layers.size() : 1));
  if (config.permutation.spatial()) {
    p.maps = in.layers.size();
    p.map_block = static_cast<std::size_t>(std::clamp(unit_scores / static_cast<double>(l.t), 1.0, 64.0));
    p.map_blocks = (p.n + p.map_block - 1) / p.map_block;
  }
  p.refits = refits(config, in);
  if (p.refits) return whole_permutations(config, in, l, costs, p);
  p.tile = l.tile;
  while (p.tile % 2 == 0 && p.tile > 32 && static_cast<double>(p.tile * p.tile) > 2 * work) p.tile /= 2;
  if (config.permutation.fits_targets()) {  // a longer block keeps a smaller share of its scores
    double const wanted = std::min<double>(4 * kept_tail, static_cast<double>(p.n));
    while (p.tile % 2 == 0 && p.tile > 64 && work / static_cast<double>(p.tile) < wanted) p.tile /= 2;
  }
  p.tiles = (l.t + p.tile - 1) / p.tile;
  auto const block = std::clamp(work / static_cast<double>(p.tile), 1.0, static_cast<double>(p.n));
  p.block = static_cast<std::size_t>(block);
  p.blocks = (p.n + p.block - 1) / p.block;
  return p;
}

BootstrapLayout bootstrap_layout(Config const& config, Inputs const& in, Layout const& l) {
  auto const n = static_cast<std::size_t>(config.bootstrap.n);
  if (n == 0) return {};
  auto const layers = static_cast<double>(in.layers.size()), rows = static_cast<double>(heldout_rows(in));
  double const bytes = 4 * rows * (2 + 4 * layers) + 4 * layers * static_cast<double>(config.scores.size() * n);
  return draw_layout(l, n, bytes, bootstrap_flops(config, in), unit_flops);
}

}  // namespace

BootstrapLayout draw_layout(Layout const& l, std::size_t n, double bytes, double flops, double most_flops) {
  BootstrapLayout b{n, l.tile, 0};
  auto const most = [&](double of, double limit) { return of * static_cast<double>(b.tile) > limit; };
  while (b.tile % 2 == 0 && b.tile > 8 && (most(bytes, unit_bytes) || most(flops, most_flops))) b.tile /= 2;
  b.tiles = (l.t + b.tile - 1) / b.tile;
  return b;
}

std::size_t score_rows(Config const& config, Inputs const& in) {
  return config.outer() ? in.folds : inner_rows(in.passes[0]);
}

Layout make_layout(Config const& config, Inputs const& in) {
  Layout l;
  l.t = in.t();
  l.tile = static_cast<std::size_t>(config.target_tile.value_or(engine_width(config)));
  Costs const costs = cost_of(config, in, 1e15);
  while (!config.target_tile && l.tile > 32 &&
         costs.flops_per_target * static_cast<double>(l.tile) > flops_of_unit(config))
    l.tile /= 2;
  l.tiles = (l.t + l.tile - 1) / l.tile;
  l.layers = in.layers.size();
  l.passes = in.passes.size();
  l.stages = shares_alpha(config, in) ? 2 : 1;
  l.noise_tiles = in.stimulus_of_volume.empty() ? 0 : l.tiles;
  l.between_tiles = in.subjects == 0 ? 0 : l.tiles;
  l.permutation = permutation_layout(config, in, l, costs, 0, static_cast<std::size_t>(config.permutation.n));
  l.bootstrap = bootstrap_layout(config, in, l);
  l.unique = unique_layout(config, in, l);
  return l;
}

Layout permutations_alone(Config const& config, Inputs const& in, std::size_t first, std::size_t count) {
  Layout l = make_layout(config, in);
  l.passes = l.noise_tiles = l.between_tiles = 0;
  l.permutation = permutation_layout(config, in, l, cost_of(config, in, 1e15), first, count);
  l.bootstrap = l.unique = {};
  return l;
}

std::vector<std::string> Layout::ceilings() const {
  std::vector<std::string> names;
  if (noise_tiles > 0) names.insert(names.end(), repeat_ceilings.begin(), repeat_ceilings.end());
  if (between_tiles > 0) names.insert(names.end(), subject_ceilings.begin(), subject_ceilings.end());
  return names;
}

ResultSpec result_spec(Config const& config, Inputs const& in, Layout const& layout,
                       nlohmann::ordered_json const& identity) {
  using h5::Dtype;
  ResultSpec spec;
  auto& d = spec.datasets;
  std::size_t const t = layout.t, k = score_rows(config, in), w = layout.tile;
  std::vector<std::string> names;
  ModelRow const& model = *find_model(config.model.type);
  auto const made = model.make(model_options(config, in));
  auto const extras = made->extras();
  for (LayerInput const& l : in.layers) {
    std::string const root = "/" + l.name;
    names.push_back(l.name);
    for (auto const& s : config.scores) {
      d.push_back({root + "/score/" + s, Dtype::f64, {t}, 0});
      d.push_back({root + "/score/" + s + "_fold", Dtype::f64, {k, t}, w});
      if (layout.noise_tiles > 0 && normalises(s))
        d.push_back({root + "/score/" + s + "_normalized", Dtype::f64, {t}, 0});
    }
    d.push_back({fmt::format("{}/{}", root, model.chooses), Dtype::f64, {in.folds, t}, w});
    for (auto const& extra : extras) {
      d.push_back({fmt::format("{}/{}", root, extra), Dtype::f64, {in.folds, t}, w});
      if (made->averages_extras()) d.push_back({fmt::format("{}/mean/{}", root, extra), Dtype::f64, {t}, 0});
    }
    if (made->variates() > 0) d.push_back({root + "/" + variates_name, Dtype::f64, {in.folds, made->variates()}, 0});
    if (config.saves("coefficients")) {
      d.push_back({root + "/coef", Dtype::f32, {l.units, t}, w});
      d.push_back({root + "/intercept", Dtype::f64, {t}, w});
      if (in.refits()) d.push_back({fmt::format("{}/coef_{}", root, model.chooses), Dtype::f64, {t}, w});
    }
    if (config.saves("predictions")) d.push_back({root + "/prediction", Dtype::f32, {in.n(), t}, w});
    if (config.aggregate == "concat") d.push_back({moments_name(l.name), Dtype::f64, {moment_rows * in.folds, t}, w});
  }
  d.push_back({"/targets/index", Dtype::u64, {t}, 0});
  if (config.saves("coefficients"))
    for (char const* name : {"/targets/mean", "/targets/sd"}) d.push_back({name, Dtype::f64, {t}, w});
  d.push_back({"/best/layer", Dtype::i32, {t}, 0});
  d.push_back({"/best/score", Dtype::f64, {t}, 0});
  for (auto const& name : layout.ceilings()) d.push_back({"/noise_ceiling/" + name, Dtype::f64, {t}, w});
  d.push_back({"/.striate/fold", Dtype::i32, {in.n()}, 0});
  for (auto const& of :
       {permutation_results(config, in, layout, layout.permutation.n), permutation_working(config, in, layout),
        bootstrap_datasets(config, in, layout), unique_datasets(config, in, layout), choice_working(config, in, layout)})
    d.insert(d.end(), of.begin(), of.end());
  d.push_back({counts_name, Dtype::u64, {layout.units(), counts}, 0});
  d.push_back({report_name, Dtype::u64, {layout.layers * layout.passes, founds}, 0});
  spec.texts = {{"/layers", names}, {"/.striate/stimulus_id", in.columns.id}};
  std::vector<std::string> bands;
  for (auto const& band : in.bands) bands.push_back(band.name);
  if (joins(config)) spec.texts.push_back({fmt::format("/{}/bands", joint_name), bands});
  add_gradients(config, in, layout, spec);
  auto const shares = partition_datasets(config, in);
  d.insert(d.end(), shares.begin(), shares.end());
  spec.attributes = {{"command", config.partition ? "partition" : "encode"},
                     {"aggregate", config.aggregate},
                     {"best_by", config.scores[0]}};
  spec.tiles = layout.units();
  spec.identity = identity;
  spec.identity["inputs"] = in.identity;
  return spec;
}

double bytes_of(ResultSpec const& spec) {
  double bytes = 0;
  for (auto const& d : spec.datasets) bytes += static_cast<double>(h5::volume(d.shape) * h5::size_of(d.type));
  return bytes;
}

Costs cost_of(Config const& config, Inputs const& in, double budget) {
  Costs all;
  ModelOptions options = model_options(config, in);
  auto const scoring = find_model(config.model.type)->make(options);
  options.coefficients = true;
  if (!config.inner_folds() || !config.model.alpha_per_target) options.scores.clear();  // as the engine has it
  auto const refitting = find_model(config.model.type)->make(options);
  bool const again = refits(config, in);
  for (LayerInput const& l : in.layers) {
    Transform const transform = transform_of(config, in, l);
    ModelCost greatest;
    double kept = 0;
    for (std::size_t p = 0; p < in.passes.size(); ++p) {
      bool const refit = p >= in.folds;
      // Folds are alike: of many, the first speaks for all.
      if (p > 0 && !refit && in.folds > 16) continue;
      auto const& model = refit ? refitting : scoring;
      ModelCost c;
      try {
        c = model->cost(in.n(), l.units, in.t(), in.passes[p], transform.standardize, transform.pca, budget);
      } catch (Error const& error) {
        throw Error(error.code(), fmt::format("cv: fold {}: {}", p, error.what()));
      }
      double const times = !refit && in.folds > 16 ? static_cast<double>(in.folds) : 1;
      bool const writes = refit || (!config.outer() && config.saves("coefficients"));
      double const coefficients = writes ? 2.0 * static_cast<double>(in.n()) * static_cast<double>(l.units) : 0;
      auto const t = static_cast<double>(in.t());
      all.flops += times * (c.prepare_flops + (c.flops_per_target + coefficients) * t);
      all.work += times * (c.prepare_work + (c.work_per_target + coefficients) * t);
      if (!refit) {
        all.folds_flops += times * c.prepare_flops, all.folds_work += times * c.prepare_work;
        kept += times * (again ? c.features_bytes : c.shared_kept_bytes);
      }
      all.read_bytes += times * c.read_bytes;
      all.private_bytes = std::max(all.private_bytes, c.private_bytes + delay_bytes(in, l));
      all.thread_bytes = std::max({all.thread_bytes, c.thread_bytes, again && !refit ? c.refit_bytes : 0});
      all.shared_bytes = std::max(all.shared_bytes, c.shared_bytes);
      all.flops_per_target = std::max(all.flops_per_target, c.flops_per_target + coefficients);
      if (p == 0 || c.shared_bytes > greatest.shared_bytes) greatest = c;
    }
    all.prior_bytes = std::max(all.prior_bytes, prior_bytes(in, all.layer.size()));
    all.flops += prior_flops(in, all.layer.size());
    all.work += prior_flops(in, all.layer.size());
    all.layer.push_back(greatest);
    all.kept.push_back(kept);
  }
  return all;
}

Memory divide_memory(Inputs const& in, Layout const& layout, Costs const& least, Costs const& most, double budget,
                     int ranks, int threads) {
  double const node = budget * ranks, rank = most.private_bytes + threads * most.thread_bytes;
  double const room = node - ranks * rank - most.prior_bytes, row = 4.0 * static_cast<double>(in.read_rows());
  double const y = row * static_cast<double>(in.t());
  double const spare = room - least.shared_bytes;  // what responses may take without being in the way of the fits
  auto const block =
      static_cast<std::size_t>(std::max(0.0, std::min(room / 4, spare)) / row) / layout.tile * layout.tile;
  Memory m;
  bool const whole = layout.permutation.refits;  // threads read all responses as they like
  m.target_block = whole || y <= std::min(room / 2, spare) ? in.t() : std::max(layout.tile, block);
  double const kept = std::min(y, row * static_cast<double>(m.target_block)), rest = room - kept;
  if (rest < least.shared_bytes)
    fail(
        Exit::limit,
        "memory: a node needs {:.3g} GiB ({:.3g} shared by its {} ranks for the fits, {:.3g} for responses, "
        "{:.3g} for each of them with {} threads) but has {:.3g} GiB; raise memory, or use fewer threads or more nodes",
        (least.shared_bytes + most.prior_bytes + kept + ranks * rank) / gib,
        (least.shared_bytes + most.prior_bytes) / gib, ranks, kept / gib, rank / gib, threads, node / gib);
  double const held = whole ? held_folds_bytes(layout, least) : 0;
  if (held > rest)
    fail(Exit::limit,
         "memory: permutations that are fitted anew share {:.3g} GiB a node (features of all folds{}), but {:.3g} GiB "
         "are left for that; raise memory, or use fewer folds or inner folds{}",
         held / gib, layout.permutation.groups == 1 && layout.layers > 1 ? " of all layers" : "", rest / gib,
         layout.permutation.groups == 1 && layout.layers > 1 ? ", or permutation.best_layer: false" : "");
  double widest = 0;
  for (LayerInput const& l : in.layers) widest = std::max(widest, in.bytes_of(l));
  // The fits come first (they take six tenths for Gram matrices): what they leave over keeps layers.
  m.layer = std::min(widest, std::max(0.0, rest - std::max(most.shared_bytes / 0.6, held)));
  m.model = rest - m.layer;
  m.per_rank = rank;
  m.per_node = std::min(std::max(most.shared_bytes, held_folds_bytes(layout, most)), m.model) + kept + m.layer +
               most.prior_bytes;
  return m;
}

}  // namespace striate::encode
