#include "encode_inputs.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

#include "encode_gradient.hpp"
#include "encode_joint.hpp"
#include "encode_prior.hpp"
#include "encode_series.hpp"
#include "fingerprint.hpp"
#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/array.hpp"
#include "striate/par/together.hpp"

namespace striate::encode {
namespace {

namespace fs = std::filesystem;

/// The list of stimuli that rules the order of volumes.
struct RowList {
  std::string source;              ///< file name, for messages
  std::optional<StimTable> table;  ///< nothing where a store's own ids rule
  std::vector<std::string> ids;    ///< one a volume
};

std::string key_of(Config const& config, std::size_t store) {
  return config.features.size() == 1 ? "features" : fmt::format("features[{}]", store);
}

std::string file_name(fs::path const& path) { return path.filename().string(); }

/// The last two axes of three or more are rows and columns, those before them channels (and frames); what has fewer
/// axes, or a single pixel, has no maps.
std::vector<std::size_t> map_of(ActLayer const& layer) {
  std::size_t const axes = layer.shape.size();
  if (axes < 3) return {layer.units, 1, 1};
  std::size_t const rows = layer.shape[axes - 2], columns = layer.shape[axes - 1];
  return {layer.units / std::max<std::size_t>(1, rows * columns), rows, columns};
}

/// Works on the first rank alone.
class Loader {
 public:
  Loader(Config const& config, Inputs& inputs) : config_(config), in_(inputs) {}

  void load() {
    in_.root.responses = std::make_unique<Responses>(config_.responses);
    in_.index = in_.root.responses->index();
    if (in_.root.responses->space().is_volume()) in_.grid = in_.root.responses->space().shape;
    for (auto const& file : in_.root.responses->inputs()) in_.root.files.push_back(file);
    open_stores();
    find_rows();
    find_columns();
    for (std::size_t s = 0; s < stores_.size(); ++s) match(s), find_layers(s);
    join_layers(config_, in_);
    find_rois();
    in_.root.gradients = load_gradients(config_, in_);
    if (auto const h5 = config_.gradient.values ? split_h5_name(*config_.gradient.values) : std::nullopt)
      in_.root.files.push_back(h5->first);
    else if (config_.gradient.values)
      in_.root.files.push_back(*config_.gradient.values);
    find_repeats();
    find_others(config_, list_.ids, list_.source, in_);
    identify();
    find_priors(config_, in_);
  }

 private:
  void open_stores() {
    for (std::size_t s = 0; s < config_.features.size(); ++s) {
      FeatureSet const& f = config_.features[s];
      try {
        stores_.emplace_back(f.store.string());
      } catch (Error const& error) {
        throw Error(error.code(), key_of(config_, s) + ".store: " + error.what());
      }
      tables_.emplace_back();
      if (!f.stimuli.empty()) tables_.back() = load_stimuli(f.stimuli);
      ids_.push_back(stores_.back().ids());
      if (!ids_.back().empty()) continue;
      if (!tables_.back())
        fail(Exit::config, "{}.stimuli: {} carries no stimulus ids; name the .stim.csv of its rows", key_of(config_, s),
             file_name(f.store));
      ids_.back() = tables_.back()->ids();
      if (ids_.back().size() != stores_.back().rows())
        fail(Exit::data, "{}.stimuli: {} has {} rows but {} has {}; one row per stimulus of the store is needed",
             key_of(config_, s), file_name(f.stimuli.path), ids_.back().size(), file_name(f.store),
             stores_.back().rows());
    }
  }

  /// Which volume shows which stimulus.
  void find_rows() {
    if (config_.responses.stimuli) {
      list_ = {file_name(*config_.responses.stimuli), read_stim_table(*config_.responses.stimuli), {}};
      list_.ids = list_.table->ids();
      in_.root.files.push_back(*config_.responses.stimuli);
    } else {
      assume_order();
    }
    in_.root.rows = plan_rows(*in_.root.responses, config_.responses, list_.ids);
    if (config_.responses.run) find_series();
    in_.columns.id = in_.root.rows.ids;
    in_.columns.rows = in_.columns.id.size();
  }

  void find_series() {
    in_.series = find_runs(words(*config_.responses.run, "responses.run"), *config_.responses.run, list_.source);
    check_runs(config_.responses, in_.series, in_.root.responses->volumes_of_files());
    in_.root.rows = plan_volumes(config_.responses, in_.series, list_.ids, config_.responses.repeats == "keep");
  }

  /// Without responses.stimuli there must be one list of stimuli only, as long as there are volumes.
  void assume_order() {
    auto const list_of = [&](std::size_t s) { return tables_[s] ? tables_[s]->ids() : ids_[s]; };
    FeatureSet const& f = config_.features[0];
    list_ = {tables_[0] ? file_name(f.stimuli.path) : file_name(f.store), tables_[0], list_of(0)};
    std::size_t const volumes = in_.root.responses->volumes();
    std::string const data = in_.root.responses->space().source;
    if (list_.ids.size() != volumes)
      fail(Exit::data,
           "responses.stimuli: is needed, because {} lists {} stimuli but {} has {} rows (which row shows "
           "which stimulus?); name the .stim.csv with one row per volume",
           list_.source, list_.ids.size(), data, volumes);
    for (std::size_t s = 1; s < stores_.size(); ++s)
      if (list_of(s) != list_.ids)
        fail(Exit::data,
             "responses.stimuli: is needed, because the stores list their stimuli in different orders; name "
             "the .stim.csv with one row per volume of {}",
             data);
    log::warn("responses.stimuli is not given: the {} rows of {} are taken to be in the order of {}", volumes, data,
              list_.source);
  }

  void find_columns() {
    if (config_.cv.group) in_.columns.group = column(*config_.cv.group, "cv.group");
    if (config_.cv.split) in_.columns.split = column(*config_.cv.split, "cv.split");
    if (config_.cv.stratify) in_.columns.stratify = column(*config_.cv.stratify, "cv.stratify");
    if (config_.permutation.exchange) in_.exchange = column(*config_.permutation.exchange, "permutation.exchange");
    if (config_.bootstrap.n > 0 && config_.bootstrap.over != "stimuli")
      in_.resample = column(config_.bootstrap.over, "bootstrap.over");
    if (!config_.cv.file) return;
    in_.columns.file = read_fold_file(*config_.cv.file, in_.columns.id);
    in_.root.files.push_back(*config_.cv.file);
  }

  /// A column of the ruling list, a word a volume.
  std::vector<std::string> const& words(std::string const& name, std::string const& key) const {
    if (!list_.table)
      fail(Exit::config, "{}: {} is a column of a stimuli file, but there is none; set responses.stimuli", key, name);
    try {
      return list_.table->column(name);
    } catch (Error const& error) {
      throw Error(error.code(), key + ": " + error.what());
    }
  }

  /// The same for the rows of Y.
  std::vector<std::string> column(std::string const& name, std::string const& key) const {
    auto const& all = words(name, key);
    RowPlan const& rows = in_.root.rows;
    std::vector<std::string> values;
    for (std::size_t v : rows.first_volume) values.push_back(all[v]);
    for (std::size_t v = 0; v < all.size(); ++v) {
      std::size_t const r = rows.row_of_volume[v];
      if (r == RowPlan::no_row || all[v] == values[r]) continue;
      fail(Exit::data,
           "{}: the volumes of {} differ in {} ('{}' and '{}'), so their average belongs to neither; set "
           "responses.repeats: keep and use a column in which repeats agree",
           key, rows.ids[r], name, values[r], all[v]);
    }
    return values;
  }

  /// Rows of a store by id.
  void match(std::size_t s) {
    std::unordered_map<std::string, std::size_t> row_of;
    for (std::size_t i = 0; i < ids_[s].size(); ++i)
      if (!row_of.try_emplace(ids_[s][i], i).second)
        fail(Exit::data, "{}.stimuli: {} stands twice, so its row in the store is ambiguous; make the ids unique",
             key_of(config_, s), ids_[s][i]);
    std::vector<std::string> missing;
    std::set<std::string> told;
    auto const row = [&](std::string const& id) {
      auto const at = row_of.find(id);
      if (at == row_of.end() && told.insert(id).second) missing.push_back(id);
      return at == row_of.end() ? 0 : at->second;
    };
    auto const& delays = config_.features[s].delays;
    in_.lags.push_back(delays.empty() ? Lags{}
                                      : find_lags(delays, in_.series, in_.root.rows, list_.ids, key_of(config_, s)));
    for (std::size_t v : in_.lags[s].volumes) in_.lags[s].rows.push_back(row(list_.ids[v]));
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < in_.n() && delays.empty(); ++i) rows.push_back(row(in_.columns.id[i]));
    if (!missing.empty())
      fail(Exit::data,
           "{}.store: {} lacks {} of the stimuli that {} names ({}); extract them, or leave their volumes out",
           key_of(config_, s), file_name(config_.features[s].store), missing.size(), list_.source,
           first_three(missing));
    in_.store_rows.push_back(std::move(rows));
  }

  void find_layers(std::size_t s) {
    FeatureSet const& f = config_.features[s];
    bool const all = f.layers == std::vector<std::string>{"all"};
    std::vector<std::string> names = f.layers;
    if (all) {
      names.clear();
      for (auto const& layer : stores_[s].layers()) names.push_back(layer.name);
    }
    std::set<std::string> const reserved{"targets", "best", "noise_ceiling", "layers", "gradient"};
    for (auto const& name : names) {
      LayerInput l;
      try {
        l = {s, name, stores_.size() > 1 ? f.name + "/" + name : name,
             stores_[s].layer(name).units * std::max<std::size_t>(1, f.delays.size())};
        l.map = map_of(stores_[s].layer(name));
        l.map[0] *= std::max<std::size_t>(1, f.delays.size());  // a delayed channel is a channel of its own
      } catch (Error const& error) {
        throw Error(error.code(), key_of(config_, s) + ".layers: " + error.what());
      }
      if (reserved.contains(l.name.substr(0, l.name.find('/'))))
        fail(Exit::config, "{}: `{}` is a name that result.h5 keeps for itself; rename the layer or the store",
             key_of(config_, s), l.name.substr(0, l.name.find('/')));
      for (auto const& other : in_.layers)
        if (other.name == l.name) fail(Exit::config, "{}.layers: {} stands twice; keep one", key_of(config_, s), name);
      check_values(s, name);
      in_.layers.push_back(l);
    }
  }

  /// Rows that a skipped stimulus left empty are known from the store's own row sums.
  void check_values(std::size_t s, std::string const& layer) {
    auto const sums = stores_[s].row_sum(layer);
    std::vector<std::string> empty;
    bool const lags = !config_.features[s].delays.empty();
    auto const& rows = lags ? in_.lags[s].rows : in_.store_rows[s];
    for (std::size_t i = 0; i < rows.size() && !sums.empty(); ++i)
      if (std::isnan(sums[rows[i]])) empty.push_back(lags ? list_.ids[in_.lags[s].volumes[i]] : in_.columns.id[i]);
    if (!empty.empty())
      fail(Exit::data,
           "{}.store: {}: layer {} holds NaN for {} of the stimuli ({}), which no model takes; extract them "
           "again or leave their volumes out",
           key_of(config_, s), file_name(config_.features[s].store), layer, empty.size(), first_three(empty));
  }

  void find_rois() {
    if (config_.rois.empty()) return;
    in_.root.rois = load_rois(config_.rois, in_.root.responses->space(), in_.index);
    for (auto const& roi : in_.root.rois)
      if (config_.bootstrap.n > 0) in_.regions.emplace_back(roi.targets.begin(), roi.targets.end());
    auto const h5 = split_h5_name(config_.rois.image);
    in_.root.files.push_back(h5 ? h5->first : config_.rois.image);
    if (!config_.rois.names_file.empty()) in_.root.files.push_back(config_.rois.names_file);
  }

  /// The noise ceiling needs three stimuli with repeats, or more.
  void find_repeats() {
    if (config_.noise_ceiling == "none") return;
    RowPlan volumes = in_.series.runs() == 0 ? plan_rows(list_.ids, true)
                                             : plan_volumes(config_.responses, in_.series, list_.ids, true);
    std::unordered_map<std::string, std::size_t> shown;
    for (auto const& id : volumes.ids) ++shown[id];
    auto const repeated = std::ranges::count_if(shown, [](auto const& entry) { return entry.second > 1; });
    if (repeated > 0 && repeated < 3)
      log::info("no noise ceiling: {} of the stimuli have repeats, 3 are needed", repeated);
    if (repeated < 3) return;
    in_.stimulus_of_volume = number_labels(volumes.ids);
    in_.root.volumes = std::move(volumes);
  }

  /// Contents, not paths: a folder may be moved, and another file may come to stand under the same name.
  void identify() {
    auto joined = [](std::vector<std::string> const& words) {
      Sha256 sum;
      for (auto const& word : words) sum.update(word.data(), word.size()), sum.update("\n", 1);
      return sum.hex();
    };
    nlohmann::ordered_json j;
    Sha256 targets;
    targets.update(in_.index.data(), in_.index.size() * sizeof(std::uint64_t));
    std::vector<std::string> contents;
    for (auto const& file : config_.responses.data) contents.push_back(fingerprint(file));
    if (config_.responses.mask) contents.push_back(fingerprint(*config_.responses.mask));
    j["responses"] = {{"volumes", in_.root.responses->volumes()},
                      {"targets", in_.t()},
                      {"index_sha256", targets.hex()},
                      {"data_sha256", joined(contents)}};
    if (!config_.rois.empty()) {
      contents = {fingerprint(config_.rois.image)};
      if (!config_.rois.names_file.empty()) contents.push_back(fingerprint(config_.rois.names_file));
      j["rois_sha256"] = joined(contents);
    }
    if (config_.gradient.values) j["gradient_sha256"] = joined({fingerprint(*config_.gradient.values)});
    j["stimuli_sha256"] = joined(list_.ids);
    if (config_.responses.run) j["runs_sha256"] = joined(words(*config_.responses.run, "responses.run"));
    for (std::size_t s = 0; s < in_.root.others.size(); ++s) {
      std::vector<std::string> parts{fingerprint(config_.other_subjects.data[s])};
      for (std::size_t row : in_.root.other_rows[s].row_of_volume) parts.push_back(std::to_string(row));
      j["other_subjects_sha256"][fmt::format("subject {}", s)] = joined(parts);
    }
    for (auto const& c : {std::pair{"group_sha256", &in_.columns.group}, std::pair{"split_sha256", &in_.columns.split},
                          std::pair{"stratify_sha256", &in_.columns.stratify},
                          std::pair{"exchange_sha256", &in_.exchange},
                          std::pair{"resample_sha256", &in_.resample}})
      if (!c.second->empty()) j[c.first] = joined(*c.second);
    for (std::size_t f = 0; f < in_.columns.file.size(); ++f)
      j["folds_sha256"][fmt::format("column {}", f)] = joined(in_.columns.file[f]);
    for (std::size_t s = 0; s < stores_.size(); ++s) {
      j["features"][fmt::format("store {}", s)] = {
          {"rows", stores_[s].rows()}, {"ids_sha256", joined(ids_[s])}, {"content_sha256", fingerprint(stores_[s])}};
    }
    for (auto const& l : in_.layers) j["layers"][l.name] = l.units;
    for (auto const& b : in_.bands) j["bands"].push_back({b.name, b.units});
    in_.identity = j;
  }

  Config const& config_;
  Inputs& in_;
  std::vector<ActReader> stores_;
  std::vector<std::optional<StimTable>> tables_;  ///< features.stimuli of each store
  std::vector<std::vector<std::string>> ids_;     ///< of each store's rows
  RowList list_;
};

}  // namespace

std::string first_three(std::vector<std::string> const& words) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, words.size()); ++i) text += (i == 0 ? "" : ", ") + words[i];
  return words.size() > 3 ? text + ", …" : text;
}

double Inputs::bytes_of(LayerInput const& layer) const {
  if (!layer.parts.empty()) {
    double sum = 0;
    for (std::size_t b : layer.parts) sum += bytes_of(bands[b]);
    return sum;
  }
  Lags const& l = lags[layer.store];
  auto const rows = static_cast<double>(n());
  double const held =
      l.place.empty() ? rows : rows * static_cast<double>(l.rows.size()) / static_cast<double>(l.place.size());
  return 4 * held * static_cast<double>(layer.units);
}

std::vector<std::int32_t> Inputs::fold_of_row() const {
  std::vector<std::int32_t> fold(n(), -1);
  for (std::size_t f = folds; f-- > 0;)
    for (auto row : passes[f].outer.test) fold[row] = static_cast<std::int32_t>(f);
  return fold;
}

Inputs load_inputs(Config const& config, Comm const& comm) {
  Inputs inputs;
  together(comm, [&] {
    check(config);
    check_joint(config);
    if (comm.root()) Loader(config, inputs).load();
  });
  share(comm, inputs);
  together(comm, [&] { plan_folds(config, inputs); });
  if (comm.root()) warn_of_split_runs(config, inputs);
  return inputs;
}

}  // namespace striate::encode
