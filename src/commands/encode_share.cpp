// What the first rank found of the inputs of `encode`, to everybody.
#include "encode_inputs.hpp"

namespace striate::encode {
namespace {

void share(Comm const& comm, std::vector<std::string>& words) {
  std::uint64_t count = words.size();
  comm.broadcast(count, 0);
  std::string text;
  for (auto const& word : words) text += word, text += '\0';
  comm.broadcast(text, 0);
  words.clear();
  for (std::size_t at = 0; words.size() < count; at = text.find('\0', at) + 1)
    words.push_back(text.substr(at, text.find('\0', at) - at));
}

}  // namespace

void share(Comm const& comm, Inputs& in) {
  share(comm, in.columns.id);
  share(comm, in.columns.group);
  share(comm, in.columns.split);
  share(comm, in.exchange);
  share(comm, in.resample);
  std::uint64_t regions = in.regions.size();
  comm.broadcast(regions, 0);
  in.regions.resize(regions);
  for (auto& region : in.regions) comm.broadcast(region, 0);
  share(comm, in.columns.stratify);
  std::uint64_t columns = in.columns.file.size();
  comm.broadcast(columns, 0);
  in.columns.file.resize(columns);
  for (auto& column : in.columns.file) share(comm, column);
  in.columns.rows = in.columns.id.size();
  std::uint64_t count = in.store_rows.size();
  comm.broadcast(count, 0);
  in.store_rows.resize(count);
  for (auto& rows : in.store_rows) comm.broadcast(rows, 0);
  share(comm, in.series.run);
  comm.broadcast(in.series.first, 0);
  in.lags.resize(count);
  for (auto& lags : in.lags) comm.broadcast(lags.rows, 0), comm.broadcast(lags.place, 0);
  comm.broadcast(in.index, 0);
  comm.broadcast(in.grid, 0);
  comm.broadcast(in.stimulus_of_volume, 0);
  comm.broadcast(in.subjects, 0);
  comm.broadcast(in.stimuli, 0);
  nlohmann::ordered_json small{{"identity", in.identity}};
  std::pair<char const*, std::vector<LayerInput>*> const lists[] = {{"layers", &in.layers}, {"bands", &in.bands}};
  for (auto const& [name, list] : lists) {
    small[name] = nlohmann::json::array();
    for (auto const& l : *list) small[name].push_back({l.store, l.layer, l.name, l.units, l.parts, l.map});
  }
  small["priors"] = nlohmann::json::array();
  for (auto const& prior : in.priors) small["priors"].push_back({prior.file, prior.matrix});
  std::string text = small.dump();
  comm.broadcast(text, 0);
  small = nlohmann::ordered_json::parse(text);
  in.identity = small["identity"];
  in.priors.clear();
  for (auto const& prior : small["priors"]) in.priors.push_back({prior[0], prior[1]});
  for (auto const& [name, list] : lists) {
    list->clear();
    for (auto const& l : small[name]) list->push_back({l[0], l[1], l[2], l[3], l[4], l[5]});
  }
}

}  // namespace striate::encode
