#include "predict_inputs.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "encode_inputs.hpp"
#include "encode_series.hpp"
#include "fingerprint.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/par/together.hpp"
#include "striate/stats/scores.hpp"

namespace striate::predict {
namespace {

namespace fs = std::filesystem;

std::string key_of(Config const& c, std::size_t s) {
  return c.features.size() == 1 ? "features" : fmt::format("features[{}]", s);
}

/// The same on every rank, from small reads.
class Loader {
 public:
  Loader(Config const& config, Inputs& inputs) : c_(config), in_(inputs) {}

  void load(std::string const& encode_text) {
    check_scores();
    Schema schema;
    encode::declare(schema, in_.encode);
    read_config(schema, {c_.encode_file.string(), encode_text, {}});
    encode::check(in_.encode);
    check_series();
    open_encode(resolved(schema, true));
    open_stores();
    for (auto const& name : file_.dataset("/layers").read_strings()) find_layer(name);
  }

  /// First rank.
  void load_truth() {
    if (!c_.responses) return;
    Truth const& t = *c_.responses;
    ResponsesConfig one{.data = t.data, .transpose = t.transpose, .mask = t.mask, .stimuli = t.stimuli};
    if (!one.mask) one.mask = in_.encode.responses.mask;
    in_.responses = std::make_unique<Responses>(one);
    if (in_.responses->index() != in_.index)
      fail(Exit::data,
           "responses: {} has {} targets, but not the {} that the encode was fitted to; give responses.mask the mask "
           "of the encode, on the same grid",
           in_.responses->space().source, in_.responses->targets(), in_.t());
    in_.files = in_.responses->inputs();
    match_truth(one, t);
  }

  void identify(nlohmann::ordered_json const& of_encode) {
    auto& j = in_.identity;
    j["encode"] = of_encode;
    for (std::size_t s = 0; s < stores_.size(); ++s)
      j["features"][fmt::format("store {}", s)] = {{"content_sha256", fingerprint(stores_[s])}, {"ids_sha256", joined(ids_[s])}};
    if (c_.run) j["runs_sha256"] = joined(runs_), j["volumes_sha256"] = joined(in_.ids);
    if (!c_.responses) return;
    for (std::size_t i = 0; i < c_.responses->data.size(); ++i)
      j["responses"][fmt::format("data {}", i)] = fingerprint(c_.responses->data[i]);
    j["responses"]["stimuli_sha256"] = joined(in_.rows.ids);
  }
  [[nodiscard]] nlohmann::ordered_json const& encode_identity() const { return stored_; }

 private:
  static std::string joined(std::vector<std::string> const& words) {
    Sha256 sum;
    for (auto const& word : words) sum.update(word.data(), word.size()), sum.update("\n", 1);
    return sum.hex();
  }

  void check_scores() const {
    if (c_.scores.empty()) fail(Exit::config, "scores: the list is empty; name at least one");
    for (auto const& name : c_.scores)
      if (std::ranges::count(c_.scores, name) > 1) fail(Exit::config, "scores: {} stands twice; keep one", name);
    if (c_.features.empty()) fail(Exit::config, "features: the list is empty; name at least one store");
  }

  /// Neither delays nor what is taken out of runs can be told from stimuli alone.
  void check_series() const {
    bool const delayed = std::ranges::any_of(in_.encode.features, [](auto const& f) { return !f.delays.empty(); });
    if (delayed && !c_.run)
      fail(Exit::config,
           "run: is needed, because {} delays its features within runs (features.delays); name the column of volumes "
           "(or features.stimuli) that says the run of each",
           c_.encode_file.string());
    if (!delayed && (c_.run || c_.volumes))
      fail(Exit::config, "{}: is there for features with delays, which {} does not have; remove it",
           c_.run ? "run" : "volumes", c_.encode_file.string());
    if (c_.responses && in_.encode.responses.cleans())
      fail(Exit::config,
           "responses: {} takes drift out of runs or z-scores them (responses.detrend, zscore_runs), which is not done "
           "to "
           "new responses; leave them out, or hold runs out in the encode (cv.split)",
           c_.encode_file.string());
  }

  void open_encode(nlohmann::ordered_json const& now) {
    std::string const place = in_.encode.output.string();
    in_.result = in_.encode.output / "result.h5";
    if (!in_.encode.saves("coefficients"))
      fail(Exit::config, "encode: {} does not save coefficients, with which predictions are made; run it with save: "
           "coefficients", c_.encode_file.string());
    if (!read_ledger(in_.result).complete)
      fail(Exit::no_input, "encode: {} is not complete; run striate encode {} first", place, c_.encode_file.string());
    file_ = h5::File::open(in_.result);
    stored_ = nlohmann::ordered_json::parse(file_.read_text("/.striate/identity"));
    auto settings = stored_;
    settings.erase("inputs");
    if (now.contains("device")) settings["device"] = now["device"];  // what it came to is there, not what was asked for
    std::string const key = first_difference(settings, now);
    if (!key.empty())
      fail(Exit::cant_create, "encode: {} was made by another config ({} differs); name the config that made it", place, key);
    in_.index = file_.dataset("/targets/index").read<std::uint64_t>();
    if (!file_.has("/targets/mean"))
      fail(Exit::data, "encode: {} holds no /targets/mean, as an older version wrote it; run it again with --fresh", place);
    in_.mean = file_.dataset("/targets/mean").read<double>();
    in_.sd = file_.dataset("/targets/sd").read<double>();
  }

  void open_stores() {
    std::size_t const wanted = in_.encode.features.size();
    if (c_.features.size() != wanted)
      fail(Exit::config, "features: {} stores are given, but the encode has {}; name one of new stimuli for each",
           c_.features.size(), wanted);
    for (std::size_t s = 0; s < wanted; ++s) {
      Features const& f = c_.features[of_encode(s)];
      std::string const key = key_of(c_, of_encode(s));
      try {
        stores_.emplace_back(f.store.string());
      } catch (Error const& error) {
        throw Error(error.code(), key + ".store: " + error.what());
      }
      in_.stores.push_back(f.store);
      ids_.push_back(stores_.back().ids());
      if (ids_.back().empty() && f.stimuli.empty())
        fail(Exit::config, "{}.stimuli: {} carries no stimulus ids; name the .stim.csv of its rows", key,
             f.store.filename().string());
      if (ids_.back().empty()) ids_.back() = load_stimuli(f.stimuli).ids();
      if (ids_.back().size() != stores_.back().rows())
        fail(Exit::data, "{}.stimuli: {} stimuli for the {} rows of {}; one row per stimulus is needed", key,
             ids_.back().size(), stores_.back().rows(), f.store.filename().string());
      if (s == 0) in_.ids = ids_[0];
      if (s == 0 && c_.run) find_runs(f, key);
      in_.store_rows.push_back(rows_of(in_.ids, ids_.back(), key + ".store", f.store.filename().string()));
    }
  }

  /// What is predicted is then a row of the list each, in time.
  void find_runs(Features const& f, std::string const& key) {
    if (!c_.volumes && f.stimuli.empty())
      fail(Exit::config, "{}.stimuli: is needed, because run: {} is a column of it; name it, or the list as volumes",
           key, *c_.run);
    StimTable const list = c_.volumes ? read_stim_table(*c_.volumes) : load_stimuli(f.stimuli);
    in_.ids = list.ids();
    try {
      runs_ = list.column(*c_.run);
    } catch (Error const& error) {
      throw Error(error.code(), fmt::format("run: {}", error.what()));
    }
    in_.series =
        encode::find_runs(runs_, *c_.run, (c_.volumes ? *c_.volumes : f.stimuli.path).filename().string(), "run");
  }

  /// The store of this job for store `s` of the encode: by name, where there are several.
  [[nodiscard]] std::size_t of_encode(std::size_t s) const {
    if (c_.features.size() == 1) return 0;
    std::string const& name = in_.encode.features[s].name;
    for (std::size_t i = 0; i < c_.features.size(); ++i)
      if (c_.features[i].name == name) return i;
    fail(Exit::config, "features: none has the name {}, which a store of the encode has; give each its name there", name);
  }

  static std::vector<std::size_t> rows_of(std::vector<std::string> const& wanted, std::vector<std::string> const& ids,
                                          std::string const& key, std::string const& where) {
    std::unordered_map<std::string, std::size_t> row_of;
    for (std::size_t i = 0; i < ids.size(); ++i)
      if (!row_of.try_emplace(ids[i], i).second)
        fail(Exit::data, "{}: {} stands twice in {}; make the ids unique", key, ids[i], where);
    std::vector<std::size_t> rows;
    std::vector<std::string> missing;
    for (auto const& id : wanted) {
      auto const at = row_of.find(id);
      if (at == row_of.end()) missing.push_back(id);
      rows.push_back(at == row_of.end() ? 0 : at->second);
    }
    if (!missing.empty())
      fail(Exit::data, "{}: {} lacks {} of the stimuli ({}); extract them, or leave them out", key, where, missing.size(),
           encode::first_three(missing));
    return rows;
  }

  void find_layer(std::string const& name) {
    Layer layer{name, {}, file_.dataset("/" + name + "/coef").shape()[0]};
    std::vector<std::string> parts{name};
    if (file_.has("/" + name + "/bands")) parts = file_.dataset("/" + name + "/bands").read_strings();
    std::size_t units = 0;
    for (auto const& part : parts) {
      std::size_t store = 0;
      std::string inside = part;
      for (std::size_t s = 0; in_.encode.features.size() > 1 && s < in_.encode.features.size(); ++s)
        if (part.starts_with(in_.encode.features[s].name + "/"))
          store = s, inside = part.substr(in_.encode.features[s].name.size() + 1);
      std::string const key = key_of(c_, of_encode(store));
      std::vector<std::int64_t> delays = in_.encode.features[store].delays;
      if (delays.empty()) delays = {0};
      try {
        for (auto delay : delays)
          layer.parts.push_back({store, inside, stores_[store].layer(inside).units, static_cast<std::size_t>(delay)});
      } catch (Error const& error) {
        throw Error(error.code(), key + ".store: " + error.what());
      }
      units += delays.size() * layer.parts.back().units;
      check_values(store, inside, key);
    }
    if (units != layer.units)
      fail(Exit::data,
           "features: layer {} has {} units, but the encode was fitted to {}; extract the new stimuli with the same "
           "network, layers and pooling",
           name, units, layer.units);
    auto const chunk = file_.dataset("/" + name + "/coef").chunk();
    std::size_t const width = chunk.size() == 2 ? chunk[1] : 1;
    auto const wanted = static_cast<std::size_t>(in_.encode.target_tile.value_or(target_tile));
    in_.tile = std::max({in_.tile, width, wanted / width * width});
    in_.layers.push_back(std::move(layer));
  }

  void check_values(std::size_t store, std::string const& layer, std::string const& key) const {
    auto const sums = stores_[store].row_sum(layer);
    std::vector<std::string> empty;
    for (std::size_t i = 0; i < in_.n() && !sums.empty(); ++i)
      if (std::isnan(sums[in_.store_rows[store][i]])) empty.push_back(in_.ids[i]);
    if (!empty.empty())
      log::warn("{}.store: layer {} holds NaN for {} stimuli ({}); their predictions are NaN", key, layer, empty.size(),
                encode::first_three(empty));
  }

  void match_truth(ResponsesConfig const& one, Truth const& t) {
    std::string const known = c_.volumes ? "volumes" : key_of(c_, 0) + ".store";
    std::string list = known;
    std::vector<std::string> volumes = in_.ids;
    if (t.stimuli) {
      volumes = read_stim_table(*t.stimuli).ids();
      list = t.stimuli->filename().string();
      in_.files.push_back(*t.stimuli);
    } else if (volumes.size() != in_.responses->volumes()) {
      fail(Exit::data, "responses.stimuli: is needed, because there are {} new stimuli but {} volumes; name the .stim.csv "
           "with one row per volume", volumes.size(), in_.responses->volumes());
    } else {
      log::warn("responses.stimuli is not given: volumes are taken to be in the order of {}", list);
    }
    in_.rows = plan_rows(*in_.responses, one, volumes);
    in_.scored = rows_of(in_.rows.ids, in_.ids, "responses.stimuli", c_.volumes ? "volumes" : "the store of new stimuli");
  }

  Config const& c_;
  Inputs& in_;
  h5::File file_;
  nlohmann::ordered_json stored_;  ///< identity of the encode
  std::vector<ActReader> stores_;  ///< in the order of the encode
  std::vector<std::vector<std::string>> ids_;
  std::vector<std::string> runs_;  ///< of each volume, with `run`
};

}  // namespace

void describe(Schema& s, Features& f) {
  s("name", f.name, {.doc = "where the encode has several stores: the name of the one that this stands for"});
  s("store", f.store,
    {.doc = "new stimuli: activation store, DNNBrain's file, or \"f.h5:/dataset\", with the layers of the encode",
     .required = true, .identity = false, .example = "new.act.h5"});
  s("stimuli", f.stimuli, {.doc = "the .stim.csv (or {folder: DIR}) of its rows, where the store carries no ids",
                           .identity = false});
}

void describe(Schema& s, Truth& t) {
  s("data", t.data,
    {.doc = "responses to new stimuli, on the grid of the encode's: predictions are scored against them",
     .required = true, .identity = false, .example = "new-betas.nii.gz"});
  s("transpose", t.transpose, {.doc = "arrays are stored t × n"});
  s("mask", t.mask, {.doc = "default: that of the encode", .identity = false});
  s("stimuli", t.stimuli, {.doc = "the .stim.csv with one row per volume; repeats are averaged", .identity = false});
}

void declare(Schema& s, Config& c) {
  s("encode", c.encode_file,
    {.doc = "config of a finished encode with save: coefficients", .required = true, .identity = false, .example = "encode.yaml"});
  s("features", c.features, {.doc = "new stimuli: a store for each of the encode's", .required = true});
  s("responses", c.responses, {.doc = "responses to new stimuli, where predictions are to be scored"});
  s("run", c.run,
    {.doc =
         "where the encode delays its features: column of `volumes` that says the run of each; delays do not cross it",
     .example = "run"});
  s("volumes", c.volumes,
    {.doc = "with run: the .stim.csv with one row per volume, in time; default: features.stimuli",
     .identity = false,
     .example = "new-bold.stim.csv"});
  s("units", c.units,
    {.doc = "of predictions and mse: those of the responses, or deviations from the target's mean in the encode, in its "
            "standard deviations",
     .choices = {"responses", "deviations"}});
  s("scores", c.scores, {.doc = "with responses: scores of the predictions", .choices = score_names()});
  s("memory", c.memory,
    {.doc = "of a rank; default: its share of what the job was given", .unit = "GiB", .min = 0.05, .identity = false});
  s("output", c.output, {.doc = "directory of the results", .required = true, .identity = false, .example = "out/predict"});
}

std::vector<std::size_t> Inputs::rows_of(Part const& part) const {
  auto const& now = store_rows[part.store];
  if (part.delay == 0) return now;
  std::vector<std::size_t> rows(n(), none);
  for (std::size_t r = 0; r < series.runs(); ++r)
    for (std::size_t v = series.first[r] + part.delay; v < series.first[r + 1]; ++v) rows[v] = now[v - part.delay];
  return rows;
}

Inputs load_inputs(Config const& config, Comm const& comm) {
  Inputs in;
  Loader loader(config, in);
  std::string text;
  together(comm, [&] {
    if (comm.root()) text = read_text(config.encode_file);
  });
  comm.broadcast(text, 0);
  together(comm, [&] { loader.load(text); });
  together(comm, [&] {
    if (!comm.root()) return;
    loader.load_truth();
    loader.identify(loader.encode_identity());
  });
  comm.broadcast(in.scored, 0);
  std::string identity = in.identity.dump();
  comm.broadcast(identity, 0);
  in.identity = nlohmann::ordered_json::parse(identity);
  return in;
}

}  // namespace striate::predict
