#include "extract_stages.hpp"

#include <algorithm>
#include <map>

#include "striate/base/hash.hpp"
#include "striate/math/pool_stage.hpp"
#include "striate/math/projection.hpp"
#include "striate/math/unit_selection.hpp"
#include "striate/store/reduction_file.hpp"

namespace striate {

void LayerPath::apply(float const* values, std::size_t rows, std::function<void(float const*)> const& sink) const {
  std::vector<float> from, to;
  for (auto const& stage : stages_) {
    to.resize(rows * stage->output().units());
    stage->apply(values, rows, to.data());
    from.swap(to);
    values = from.data();
  }
  sink(values);
}

double LayerPath::work_bytes(std::size_t rows) const {
  double most = 0;
  std::size_t before = 0;
  for (auto const& stage : stages_) {
    std::size_t const after = stage->output().units();
    most = std::max(most, 4.0 * static_cast<double>(rows * (before + after)) + stage->work_bytes(rows));
    before = after;
  }
  return most;
}

namespace {

struct Names {
  std::map<std::string, SpacePool> pools{{"max", SpacePool::max},
                                         {"mean", SpacePool::mean},
                                         {"median", SpacePool::median},
                                         {"l1", SpacePool::l1},
                                         {"l2", SpacePool::l2}};
  std::map<std::string, TokenChoice> tokens{{"cls", TokenChoice::cls},
                                            {"mean", TokenChoice::mean},
                                            {"patch_mean", TokenChoice::patch_mean},
                                            {"cls+patch_mean", TokenChoice::cls_and_patch_mean}};
};

/// One layer's stages, put together one by one.
class PathMaker {
 public:
  PathMaker(ExtractConfig const& config, CapturedLayer const& layer)
      : config_(config), name_(layer.name), full_{layer.unpooled, layer.axes}, now_{layer.shape, layer.axes} {}

  void mask(ChosenUnits const* chosen) {
    if (chosen == nullptr || chosen->layer.selection.whole()) return;
    auto const& selection = chosen->layer.selection;
    if (auto const wrong = misfit(selection, now_))
      fail(Exit::data, "{}: {} {}", chosen->where(wrong->word), chosen->layer.name, wrong->what);
    auto& record = log_.emplace_back(nlohmann::ordered_json{{"stage", "mask"}});
    for (auto const& axis : selection_axes()) {
      auto const& list = selection.*axis.list;
      if (list.empty()) continue;
      record[axis.name] = list.size();
      selected_.emplace_back(axis.name, std::vector<std::uint64_t>(list.begin(), list.end()));
    }
    add(select_stage(now_, selection), "mask");
  }

  void pool() {
    if (config_.pool == "none") return;
    bool const done = start_.shape != full_.shape;  // by the network; where a map is one point, once more does no harm
    bool const matrix = config_.compat == "dnnbrain";
    std::string what = config_.pool;
    if (matrix && what == "l1") what = "column_sum";
    if (matrix && what == "l2") what = "spectral";
    nlohmann::ordered_json const record{{"stage", "pool"}, {"of", what}, {"over", config_.pool_over}};
    if (done) {
      words_ += (words_.empty() ? "" : ", ") + ("pool " + what);
      log_.push_back(record);
      return;
    }
    PoolOptions options{names_.pools.at(config_.pool), config_.pool_over == "all", matrix};
    if (what == "column_sum") options.how = SpacePool::column_sum;
    if (what == "spectral") options.how = SpacePool::spectral;
    auto stage = pool_stage(now_, options);
    if (stage == nullptr) return;
    log_.push_back(record);
    add(std::move(stage), "pool " + what);
  }

  void tokens() {
    if (config_.tokens == "all") return;
    try {
      auto stage = token_stage(now_, names_.tokens.at(config_.tokens));
      if (stage == nullptr) return;
      log_.push_back({{"stage", "tokens"}, {"of", config_.tokens}});
      add(std::move(stage), "tokens " + config_.tokens);
    } catch (Error const& error) {
      fail(error.code(), "tokens: {}: {}: {}", config_.tokens, name_, error.what());
    }
  }

  void project() {
    if (!config_.project || now_.units() <= static_cast<std::size_t>(config_.project->components)) return;
    ProjectionOptions options;
    options.kind = config_.project->kind == "sparse" ? ProjectionKind::sparse : ProjectionKind::gaussian;
    options.components = static_cast<std::size_t>(config_.project->components);
    options.density = config_.project->density.value_or(0);
    options.seed = static_cast<std::uint64_t>(config_.seed);
    options.layer = name_;
    nlohmann::ordered_json record{{"stage", "project"},
                                  {"kind", config_.project->kind},
                                  {"components", options.components},
                                  {"units", now_.units()},
                                  {"seed", options.seed}};
    if (options.kind == ProjectionKind::sparse) record["density"] = ProjectionEntries(options, now_.units()).density();
    add(projection_stage(now_, options), config_.project->kind + " projection");
    log_.push_back(std::move(record));
  }

  void pca(std::string const& sha256) {
    if (!config_.pca) return;
    try {
      add(saved_stage(*config_.pca, name_, now_), "saved reduction");
    } catch (Error const& error) {
      fail(error.code(), "pca: {}", error.what());
    }
    log_.push_back({{"stage", "reduction"}, {"file", config_.pca->filename().string()}, {"sha256", sha256}});
  }

  LayerPath finish() {
    LayerPath path(start_, std::move(stages_));
    path.words = words_;
    if (log_.empty()) return path;
    path.record.attributes = {{"stages", nlohmann::ordered_json(log_).dump()}, {"full_axes", full_.axes}};
    std::string shape;
    for (std::size_t const extent : full_.shape) shape += (shape.empty() ? "" : " ") + std::to_string(extent);
    path.record.attributes["full_shape"] = shape;
    path.record.selected = std::move(selected_);
    return path;
  }

 private:
  void add(std::unique_ptr<LayerStage> stage, std::string const& word) {
    now_ = stage->output();
    stages_.push_back(std::move(stage));
    words_ += (words_.empty() ? "" : ", ") + word;
  }

  ExtractConfig const& config_;
  Names names_;
  std::string name_;
  LayerShape full_, now_, start_ = now_;
  std::vector<std::unique_ptr<LayerStage>> stages_;
  std::vector<nlohmann::ordered_json> log_;
  std::vector<std::pair<std::string, std::vector<std::uint64_t>>> selected_;
  std::string words_;
};

void check_use(ExtractConfig const& config, ExtractNetwork const& network) {
  auto const& layers = network.network->layers();
  if (config.tokens != "all" && std::ranges::none_of(layers, [](auto const& l) { return l.axes == "token feature"; }))
    fail(Exit::config, "tokens: {}: none of the layers holds tokens (axes `token feature`); take the key out",
         config.tokens);
  if (config.pool == "none" && config.pool_over == "all")
    fail(Exit::config, "pool_over: all goes with `pool`, which is none; set pool: mean");
  if (config.compat == "dnnbrain" && config.pool_over == "all")
    fail(Exit::config, "pool_over: all: DNNBrain has no video layers; take out compat: dnnbrain");
  if (config.project && config.project->density && config.project->kind != "sparse")
    fail(Exit::config, "project.density goes with kind: sparse; take it out");
}

}  // namespace

std::vector<LayerPath> make_paths(ExtractConfig const& config, ExtractNetwork const& network, UnitChoice const& units) {
  check_use(config, network);
  std::vector<LayerPath> paths;
  auto const& layers = network.network->layers();
  auto const chosen = units.of_layers(layers, network.card);
  std::string const sha256 = config.pca ? sha256_file(*config.pca) : "";
  for (std::size_t l = 0; l < layers.size(); ++l) {
    PathMaker maker(config, layers[l]);
    maker.mask(chosen[l]);
    maker.pool();
    maker.tokens();
    maker.project();
    maker.pca(sha256);
    paths.push_back(maker.finish());
  }
  return paths;
}

}  // namespace striate
