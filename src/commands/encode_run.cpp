#include "encode_run.hpp"

#include <algorithm>
#include <optional>

#include "encode_bootstrap.hpp"
#include "encode_choice.hpp"
#include "encode_joint.hpp"
#include "encode_permute.hpp"
#include "encode_prior.hpp"
#include "encode_series.hpp"
#include "encode_spatial.hpp"
#include "encode_unique.hpp"
#include "encode_whole.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/models/table.hpp"
#include "striate/par/together.hpp"

namespace striate::encode {
namespace {

class Work {
 public:
  Work(Context& context, Config const& config, Inputs const& inputs, Layout const& layout, Memory const& memory,
       Engine const& engine, ResultFile& result)
      : context_(context),
        config_(config),
        in_(inputs),
        layout_(layout),
        memory_(memory),
        shared_{config, inputs, layout, result, context.team, pools_},
        done_(result.done()),
        progress_("encode", "units", layout.units(), finished()) {
    ModelOptions options = model_options(config, inputs);
    options.engine = &engine;
    scoring_ = find_model(config.model.type)->make(options);
    options.coefficients = true;
    options.predictions = false;
    if (!config.inner_folds() || !config.model.alpha_per_target) options.scores.clear();  // nothing but coefficients is wanted
    refitting_ = find_model(config.model.type)->make(options);
  }

  bool go() {
    if (pending(0, layout_.noise_tiles) && !noise()) return false;
    if (pending(layout_.noise_tiles, layout_.ceiling_tiles()) && !between()) return false;
    if (!pending(layout_.ceiling_tiles(), layout_.units())) return true;
    auto y = target_block(context_.comm, config_, in_, in_.root.rows, in_.n(), memory_.target_block);
    open_stores();
    for (std::size_t l = 0; l < layout_.layers; ++l)
      if (pending(layout_.choice_unit(l, 0, 0), layout_.choice_unit(l + 1, 0, 0)) && !layer(l, y)) return false;
    if (pending(layout_.fits(), layout_.tests())) {
      shared_.result.flush();  // scores that other ranks wrote
      if (!permute(y, read_observed(context_.comm, config_, in_, shared_.result))) return false;
    }
    return spatial() && bootstrap(y) && unique(y);
  }

  /// The test of scores that are known.
  bool go(Observed const& observed) {
    if (!pending(0, layout_.units())) return true;
    auto y = target_block(context_.comm, config_, in_, in_.root.rows, in_.n(), memory_.target_block);
    open_stores();
    return permute(y, observed) && spatial();
  }

 private:
  [[nodiscard]] std::size_t finished() const {
    return static_cast<std::size_t>(std::ranges::count(done_, std::uint8_t{1}));
  }
  [[nodiscard]] bool pending(std::size_t from, std::size_t to) const {
    return std::find(done_.begin() + static_cast<std::ptrdiff_t>(from), done_.begin() + static_cast<std::ptrdiff_t>(to),
                     std::uint8_t{0}) != done_.begin() + static_cast<std::ptrdiff_t>(to);
  }
  /// Whether a stop came on any rank. Collective.
  [[nodiscard]] bool stopping() const { return context_.comm.max(std::int64_t{context_.stop.requested() ? 1 : 0}) > 0; }

  void open_stores() {
    together(context_.comm, [&] {
      for (FeatureSet const& f : config_.features) stores_.push_back(std::make_unique<ActReader>(f.store.string()));
    });
  }

  /// Runs the pending tiles whose units begin at `base`, block of targets by block. A tile of `width` targets is cut
  /// into `parts` units, numbered one after the other; with `before` the parts go in order, and it is called before each.
  bool tiles(std::size_t base, TargetBlock& y, TileWork& work, std::size_t width, std::size_t parts,
             std::function<void(std::size_t)> const& before = {}) {
    std::size_t const all = (in_.t() + width - 1) / width;
    for (std::size_t b = 0; b < y.blocks(); ++b) {
      std::size_t const from = b * y.width() / width * parts,
                        to = std::min(all, ((b + 1) * y.width() + width - 1) / width) * parts;
      if (!pending(base + from, base + to)) continue;
      y.load(b);
      for (std::size_t part = 0; part < (before ? parts : 1); ++part) {
        std::vector<std::uint8_t> others(all * parts, 1);
        for (std::size_t u = from; u < to; ++u)
          if (!before || u % parts == part) others[u] = done_[base + u];
        if (std::ranges::count(others, std::uint8_t{0}) == 0) continue;
        if (stopping()) return false;
        if (before) before(part);
        before_ = finished();
        known_ = static_cast<std::size_t>(std::ranges::count(others, std::uint8_t{1}));
        if (!run_tiles(context_.comm, others, context_.stop, work, {.threads = context_.threads})) return false;
        for (std::size_t u = from; u < to; ++u)
          if (others[u] == 0) done_[base + u] = 1;
      }
    }
    return true;
  }
  std::function<void(std::size_t)> saying() {
    return [this](std::size_t done) { progress_.update(before_ + done - known_); };
  }

  /// A row per volume is needed only here, before anything else takes memory.
  bool noise() {
    std::size_t const volumes = in_.stimulus_of_volume.size();
    auto y = target_block(context_.comm, config_, in_, in_.root.volumes, volumes,
                          wide(std::max(volumes, in_.series.volumes())));
    NoiseTiles work(shared_, y, saying());
    return tiles(0, y, work, layout_.tile, 1);
  }
  /// Targets of `rows` values in half of the memory that the fits will have.
  [[nodiscard]] std::size_t wide(std::size_t rows) const {
    double const room = 0.5 * (memory_.model + memory_.layer) / (4.0 * static_cast<double>(rows));
    return std::max(layout_.tile, static_cast<std::size_t>(room) / layout_.tile * layout_.tile);
  }

  /// All subjects' rows, one subject below the other.
  bool between() {
    std::size_t const n = in_.stimuli, rows = in_.subjects * n;
    auto const fill = [&](std::size_t first, MatrixView<float> y) {
      in_.root.responses->fill(in_.root.average, first, {y.data, n, y.cols, y.stride});
      for (std::size_t s = 1; s < in_.subjects; ++s)
        in_.root.others[s - 1]->fill(in_.root.other_rows[s - 1], first, {y.data + s * n, n, y.cols, y.stride});
    };
    TargetBlock y(context_.comm, fill, rows, in_.t(), wide(rows));
    BetweenTiles work(shared_, y, saying());
    return tiles(layout_.noise_tiles, y, work, layout_.tile, 1);
  }

  [[nodiscard]] std::unique_ptr<NodeSource> open(std::size_t l) const {
    return open_with_prior(context_.comm, context_.team, in_, l, stores_, memory_.layer,
                           config_.saves("coefficients"));
  }

  bool layer(std::size_t l, TargetBlock& y) {
    auto const source = open(l);
    for (std::size_t p = 0; p < layout_.passes; ++p) {
      std::size_t const base = layout_.unit(l, p, 0), choice = layout_.choice_unit(l, p, 0);
      if (!pending(choice, base + layout_.tiles)) continue;
      if (stopping()) return false;
      auto const fold = prepare(l, p, *source, y, memory_.model);
      std::optional<double> alpha;
      if (layout_.stages > 1) {
        ChoiceTiles work(shared_, y, *fold, l, p, saying());
        if (!tiles(choice, y, work, layout_.tile, 1)) return false;
        alpha = shared_alpha(context_.comm, shared_, *fold, l, p);
      }
      FoldTiles work(shared_, y, *fold, *source, l, p, alpha, saying());
      if (!tiles(base, y, work, layout_.tile, 1)) return false;
    }
    return true;
  }

  bool permute(TargetBlock& y, Observed const& observed) {
    PermutationLayout const& p = layout_.permutation;
    for (std::size_t g = 0; g < p.groups; ++g) {
      std::size_t const base = layout_.fits() + g * p.tiles * p.blocks;
      if (!pending(base, base + p.tiles * p.blocks)) continue;
      if (!(p.refits ? fit_permutations(g, base, y, observed) : score_permutations(g, base, y, observed))) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t first_layer(std::size_t group) const { return layout_.permutation.groups == 1 ? 0 : group; }

  /// All folds of a group of layers at once: a trial needs every fold of a target. `one` prepares in so many bytes.
  template <class Fold, class One>
  bool all_folds(std::size_t group, std::vector<std::vector<std::unique_ptr<Fold>>>& folds, One const& one) {
    double held = 0;
    std::size_t const first = first_layer(group), last = layout_.permutation.groups == 1 ? layout_.layers : group + 1;
    for (std::size_t l = first; l < last; ++l) {
      auto const source = open(l);
      folds.emplace_back();
      for (std::size_t f = 0; f < in_.folds; ++f) {
        if (stopping()) return false;
        folds.back().push_back(one(l, f, *source, memory_.model - held));
        held += held_bytes(*folds.back().back());
      }
    }
    return true;
  }
  static double held_bytes(FittedFold const& fold) { return fold.report().shared_bytes; }
  static double held_bytes(PreparedFeatures const& features) { return features.shared_bytes(); }

  bool score_permutations(std::size_t group, std::size_t base, TargetBlock& y, Observed const& observed) {
    Folds folds;
    if (!all_folds(group, folds,
                   [&](auto l, auto f, auto const& source, double memory) { return prepare(l, f, source, y, memory); }))
      return false;
    PermutationTiles work(
        shared_, y, observed, group, folds.size(),
        [&] { return make_rescorer(shared_, observed, folds, first_layer(group)); }, saying());
    std::function<void(std::size_t)> advance;
    if (config_.permutation.stop.exceed > 0)
      advance = [&](std::size_t block) {
        shared_.result.flush();  // counts that other ranks wrote
        together(context_.comm, [&] { work.advance(block); });
      };
    return tiles(base, y, work, layout_.permutation.tile, layout_.permutation.blocks, advance);
  }

  /// Where fits read all responses: features are prepared once, and fitted to every permutation.
  bool fit_permutations(std::size_t group, std::size_t base, TargetBlock& y, Observed const& observed) {
    FoldFeatures features;
    if (!all_folds(group, features, [&](auto l, auto f, auto const& source, double memory) {
          return about(l, f, [&] {
            return scoring_->prepare_features(design_of(l, source, nullptr), in_.passes[f], context_.team, memory);
          });
        }))
      return false;
    y.load(0);
    auto const threads = static_cast<std::size_t>(context_.comm.sum(std::int64_t{context_.threads}));
    WholeTrials trials(shared_, y, features, threads);
    PermutationTiles work(
        shared_, y, observed, group, features.size(), [&] { return trials.rescorer(); }, saying());
    std::size_t const units = layout_.permutation.blocks;
    return rounds(base, units, 0, units, trials.blocks(), work, [&](auto const& done) { trials.make(done); });
  }

  /// Whole maps of permutations, whose tiles are all there by now.
  bool spatial() {
    std::size_t const base = layout_.tests(), units = layout_.maps() - base;
    if (!pending(base, base + units)) return true;
    shared_.result.flush();  // maps that other ranks wrote
    SpatialTiles work(shared_, saying());
    return loaded(base, units, 0, units, work);
  }

  bool bootstrap(TargetBlock& y) {
    std::size_t const base = layout_.maps(), units = layout_.bootstrap.tiles, width = layout_.bootstrap.tile;
    if (!pending(base, base + units)) return true;
    shared_.result.flush();  // scores and predictions that other ranks wrote
    Observed const observed = read_observed(context_.comm, config_, in_, shared_.result);
    BootstrapTiles work(shared_, y, observed, saying());
    return loaded_by_block(base, units, width, y, work);
  }

  bool unique(TargetBlock& y) {
    std::size_t const base = layout_.draws(), units = layout_.unique.tiles;
    if (!pending(base, base + units)) return true;
    shared_.result.flush();  // predictions that other ranks wrote
    UniqueTiles work(shared_, y, saying());
    return loaded_by_block(base, units, layout_.unique.tile, y, work);
  }

  /// Units that are tiles of `width` targets, block of targets by block.
  template <class Work>
  bool loaded_by_block(std::size_t base, std::size_t units, std::size_t width, TargetBlock& y, Work& work) {
    for (std::size_t b = 0; b < y.blocks(); ++b) {
      std::size_t const from = b * y.width() / width, to = std::min(units, ((b + 1) * y.width() + width - 1) / width);
      if (!pending(base + from, base + to)) continue;
      y.load(b);
      if (!loaded(base, units, from, to, work)) return false;
    }
    return true;
  }

  /// Units [from, to) of those that begin at `base`. Only this thread may read, so it reads what the next units need
  /// before they begin.
  template <class Work>
  bool loaded(std::size_t base, std::size_t units, std::size_t from, std::size_t to, Work& work) {
    Comm const& comm = context_.comm;
    int const threads = static_cast<int>(comm.max(std::int64_t{context_.threads}));
    std::size_t const room = static_cast<std::size_t>(threads) * static_cast<std::size_t>(comm.size());
    return rounds(base, units, from, to, room, work, [&](auto const& done) {
      together(comm, [&] {
        for (std::size_t unit : tile_order(done, threads, comm.rank(), comm.size())) work.load(unit);
      });
    });
  }

  /// The same, `room` units at a time; `before`, which is told those that are not to be done, makes what they need.
  template <class Before>
  bool rounds(std::size_t base, std::size_t units, std::size_t from, std::size_t to, std::size_t room, TileWork& work,
              Before const& before) {
    while (pending(base + from, base + to)) {
      if (stopping()) return false;
      std::vector<std::uint8_t> others(units, 1);
      std::size_t left = room;
      for (std::size_t u = from; u < to && left > 0; ++u)
        if (done_[base + u] == 0) others[u] = 0, --left;
      before(others);
      before_ = finished();
      known_ = static_cast<std::size_t>(std::ranges::count(others, std::uint8_t{1}));
      if (!run_tiles(context_.comm, others, context_.stop, work, {.threads = context_.threads})) return false;
      for (std::size_t u = 0; u < units; ++u)
        if (others[u] == 0) done_[base + u] = 1;
    }
    return true;
  }

  [[nodiscard]] Design design_of(std::size_t l, FeatureSource const& source, FeatureSource const* responses) const {
    Transform const transform = transform_of(config_, in_, in_.layers[l]);
    return {source, transform.standardize, transform.pca, in_.t(), responses, bands_of(config_, in_)};
  }
  /// What `make` returns; errors say of which fit.
  template <class Make>
  auto about(std::size_t l, std::size_t p, Make const& make) const {
    try {
      return make();
    } catch (Error const& error) {
      throw Error(error.code(), fmt::format("layer {}, {}: {}", in_.layers[l].name, name_of_pass(p), error.what()));
    }
  }
  [[nodiscard]] std::string name_of_pass(std::size_t p) const {
    return p < in_.folds ? fmt::format("fold {} of {}", p + 1, in_.folds) : "refit on all rows";
  }

  std::unique_ptr<FittedFold> prepare(std::size_t l, std::size_t p, FeatureSource const& source, TargetBlock& y,
                                      double memory) {
    LayerInput const& input = in_.layers[l];
    ResponseSource const responses(y, in_.n(), in_.t());
    auto fold = about(l, p, [&] {
      auto const design = design_of(l, source, scoring_->prepare_uses_responses() ? &responses : nullptr);
      return (p < in_.folds ? scoring_ : refitting_)->prepare(design, in_.passes[p], context_.team, memory);
    });
    FoldReport const& r = fold->report();
    log::detail("{}, {}: {} form, {} of {} settings computed", input.name, name_of_pass(p), r.form, r.skeleton,
                r.alphas.size());
    if (layout_.passes == 0) return fold;  // a test alone: the fits have been reported
    together(context_.comm, [&] {
      std::uint64_t const found[founds] = {r.constant_features, r.dropped_alphas.size(), r.skeleton, r.rank};
      if (context_.comm.root())
        shared_.result.write_slice(report_name, l * layout_.passes + p, 0, std::span<std::uint64_t const>(found));
      if (context_.comm.root() && p < in_.folds && !r.variates.empty())
        shared_.result.write_slice(fmt::format("/{}/{}", input.name, variates_name), p, 0,
                                   std::span<double const>(r.variates));
    });
    return fold;
  }

  Context& context_;
  Config const& config_;
  Inputs const& in_;
  Layout const& layout_;
  Memory const& memory_;
  Pools pools_;
  Shared shared_;
  std::vector<std::uint8_t> done_;
  log::Progress progress_;
  std::size_t before_ = 0, known_ = 0;  ///< units done before this run_tiles; tiles that it was told are done
  std::unique_ptr<EncodingModel> scoring_, refitting_;
  std::vector<std::unique_ptr<ActReader>> stores_;
};

}  // namespace

bool compute(Context& context, Config const& config, Inputs const& inputs, Layout const& layout, Memory const& memory,
             ResultFile& result, Engine const& engine) {
  return Work(context, config, inputs, layout, memory, engine, result).go();
}

bool compute_permutations(Context& context, Config const& config, Inputs const& inputs, Layout const& layout,
                          Memory const& memory, Observed const& observed, ResultFile& result, Engine const& engine) {
  return Work(context, config, inputs, layout, memory, engine, result).go(observed);
}

}  // namespace striate::encode
