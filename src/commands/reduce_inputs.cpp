#include "reduce_inputs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>
#include <unordered_map>

#include "fingerprint.hpp"
#include "fitted_on.hpp"
#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/par/together.hpp"
#include "striate/store/reduction_file.hpp"

namespace striate::reduce {
namespace {

std::vector<std::string> distinct_ids(Config const& config, ActReader const& store) {
  auto ids = ids_of(config.features, store);
  if (std::set<std::string>(ids.begin(), ids.end()).size() != ids.size())
    fail(Exit::data, "features.stimuli: {} lists a stimulus twice, but a store holds it once",
         config.features.stimuli.path.filename().string());
  return ids;
}

/// Rows of the store whose ids are in the list, or whose column holds one of the words.
std::vector<std::size_t> fit_rows(Config const& config, std::vector<std::string> const& ids) {
  std::vector<std::size_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), std::size_t{0});
  if (config.fit.all()) return rows;
  std::unordered_map<std::string, std::size_t> row_of;
  for (std::size_t i = 0; i < ids.size(); ++i) row_of[ids[i]] = i;
  bool const by_column = !config.fit.column.empty();
  StimTable const table = load_stimuli(by_column ? config.features.stimuli : config.fit.list);
  std::set<std::size_t> wanted;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    if (by_column && std::ranges::find(config.fit.words, table.column(config.fit.column)[i]) == config.fit.words.end())
      continue;
    auto const found = row_of.find(table.ids()[i]);
    if (found == row_of.end())
      fail(Exit::data, "fit: {} row {}: {} is not in {}; extract it, or leave it out", table.file.filename().string(),
           i + 1, table.ids()[i], config.features.store.filename().string());
    wanted.insert(found->second);
  }
  if (wanted.empty())
    fail(Exit::data, "fit: no stimulus of {} has {}: {}", table.file.filename().string(), config.fit.column,
         nlohmann::json(config.fit.words).dump());
  return {wanted.begin(), wanted.end()};
}

std::vector<std::string> names_of(Config const& config, ActReader const& store) {
  bool const all = config.features.layers == std::vector<std::string>{"all"};
  return all && config.apply ? reduction_layers(*config.apply) : layer_names(config.features, store);
}

nlohmann::ordered_json look(Config const& config) {
  ActReader const store = open_store(config.features);
  auto const ids = distinct_ids(config, store);
  nlohmann::ordered_json j;
  std::string all;
  for (auto const& id : ids) all += id + "\n";
  j["ids"] = all;
  auto const rows = fit_rows(config, ids);
  j["fit"] = rows.size() == ids.size() ? nlohmann::ordered_json("all") : nlohmann::ordered_json(rows);
  for (auto const& name : names_of(config, store)) {
    auto const& layer = store.layer(name);
    auto skipped = nlohmann::ordered_json::array();
    auto const sums = store.row_sum(name);
    for (std::size_t i = 0; i < sums.size(); ++i)
      if (std::isnan(sums[i])) skipped.push_back(i);
    j["layers"].push_back({{"name", name}, {"shape", layer.shape}, {"axes", layer.axes}, {"skipped", skipped}});
  }
  j["store"] = fingerprint(store);
  if (config.apply) j["apply"] = fingerprint(*config.apply);
  auto const origin = origin_of(store);
  j["origin"] = origin;
  if (!config.apply) return j;
  try {
    check_fitted_on(*config.apply, origin);
  } catch (Error const& error) {
    throw Error(error.code(), std::string("apply: ") + error.what());
  }
  return j;
}

}  // namespace

std::vector<std::size_t> Inputs::rows_of(InputLayer const& layer) const {
  std::vector<std::size_t> rows;
  std::ranges::set_difference(fit, layer.skipped, std::back_inserter(rows));
  return rows;
}

Inputs read_inputs(Comm const& comm, Config const& config) {
  std::string text;
  together(comm, [&] {
    if (comm.root()) text = look(config).dump();
  });
  comm.broadcast(text, 0);
  auto const j = nlohmann::ordered_json::parse(text);
  Inputs in;
  std::string const all = j["ids"];
  in.ids_sha256 = sha256(all);
  std::istringstream lines(all);
  for (std::string id; std::getline(lines, id);) in.ids.push_back(id);
  if (j["fit"].is_string()) {
    in.fit.resize(in.ids.size());
    std::iota(in.fit.begin(), in.fit.end(), std::size_t{0});
  } else {
    in.fit = j["fit"].get<std::vector<std::size_t>>();
  }
  auto layers = nlohmann::ordered_json::array();
  for (auto const& l : j["layers"]) {
    in.layers.push_back({l["name"], {l["shape"], l["axes"]}, l["skipped"]});
    layers.push_back({{"name", l["name"]}, {"shape", l["shape"]}});
  }
  in.origin = j["origin"].get<std::map<std::string, std::string>>();
  in.identity = {{"store", j["store"]}, {"ids_sha256", in.ids_sha256}, {"layers", layers}};
  in.identity["fit"] = sha256(j["fit"].dump());
  if (j.contains("apply")) in.identity["apply"] = j["apply"];
  return in;
}

}  // namespace striate::reduce
