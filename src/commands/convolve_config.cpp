#include "convolve_config.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "striate/base/error.hpp"

namespace striate {
namespace convolve {

void describe(Schema& s, Source& f) {
  describe_store(s, f, "layers to convolve",
                 "the .stim.csv of its rows, where the store carries no ids");
}

void declare(Schema& s, Config& c) {
  s("features", c.features, {.doc = "activations, one row a stimulus"});
  s("events", c.events,
    {.doc = "what was shown when: a table with columns onset, duration (.tsv as in BIDS, .csv or .stim.csv) of all "
            "runs, or a list of one a run",
     .required = true,
     .identity = false,
     .example = "[run-1_events.tsv, run-2_events.tsv]"});
  s("stimulus", c.stimulus,
    {.doc = "column of stimulus ids; default: the first of stimID, stim_file, stimulus, trial_type"});
  s("amplitude", c.amplitude, {.doc = "column of numbers by which events are multiplied"});
  s("run", c.run, {.doc = "column of runs, where one table holds several"});
  s("tr", c.tr, {.doc = "time between volumes", .unit = "s", .required = true, .example = "2"});
  s("volumes", c.volumes,
    {.doc = "volumes of each run: a number for all, a list, or the images to count them in",
     .required = true,
     .identity = false,
     .example = "{from: [run-1_bold.nii.gz, run-2_bold.nii.gz]}"});
  s("hrf", c.hrf,
    {.doc = "haemodynamic response: SPM's, Glover's, or none (fir: one block of units a delay)",
     .choices = {"spm", "glover", "fir"}});
  s("derivatives", c.derivatives,
    {.doc = "further blocks of units: the derivative of the response by time, and by dispersion",
     .choices = {"none", "time", "time_dispersion"}});
  s("delays", c.delays, {.doc = "of hrf: fir", .unit = "TR", .min = 0, .max = 100});
  s("sample", c.sample,
    {.doc = "when in its TR a volume sees the response", .choices = {"start", "middle"}});
  s("dtype", c.dtype, {.doc = "type of the stored values", .choices = {"float32", "float16"}});
  s("memory", c.memory,
    {.doc = "of a rank; default: its share of what the job was given", .unit = "GiB", .min = 0.05, .identity = false});
  s("output", c.output,
    {.doc = "store of the time series; its .stim.csv is written beside it",
     .required = true,
     .identity = false,
     .example = "bold.act.h5"});
}

void check(Config const& c) {
  if (!(c.tr > 0) || !std::isfinite(c.tr)) fail(Exit::config, "tr: is {}; it is a number of seconds above 0", c.tr);
  if (c.tr > 30) fail(Exit::config, "tr: is {} s between volumes; give seconds, not milliseconds", c.tr);
  if (c.events.empty()) fail(Exit::config, "events: the list is empty; name the table of events");
  if (c.features.layers.empty()) fail(Exit::config, "features.layers: the list is empty; name layers, or `all`");
  if (c.hrf == "fir") {
    if (c.derivatives != "none")
      fail(Exit::config, "derivatives: {} are of an HRF, which hrf: fir does not have; remove the key", c.derivatives);
    if (c.sample != "start")
      fail(Exit::config, "sample: hrf: fir takes the mean over whole TRs, so middle has no meaning; remove the key");
    if (c.delays.empty()) fail(Exit::config, "delays: the list is empty; give at least one delay in TRs");
  }
  if (std::set<std::int64_t>(c.delays.begin(), c.delays.end()).size() != c.delays.size())
    fail(Exit::config, "delays: a delay stands twice; keep one");
}

std::vector<Block> blocks_of(Config const& c) {
  std::vector<Block> blocks;
  if (c.hrf == "fir") {
    for (std::int64_t delay : c.delays)
      blocks.push_back({fmt::format("delay-{}", delay), Regressor(static_cast<double>(delay) * c.tr, c.tr)});
    return blocks;
  }
  auto const kind = c.hrf == "spm" ? Hrf::Kind::spm : Hrf::Kind::glover;
  blocks.push_back({"hrf", Regressor(kind, Regressor::Part::hrf)});
  if (c.derivatives != "none") blocks.push_back({"time", Regressor(kind, Regressor::Part::time)});
  if (c.derivatives == "time_dispersion") blocks.push_back({"dispersion", Regressor(kind, Regressor::Part::dispersion)});
  return blocks;
}

}  // namespace convolve

convolve::Volumes ConfigType<convolve::Volumes>::read(YAML::Node const& node, ConfigPlace const& place) {
  convolve::Volumes v;
  if (node.IsMap()) {
    if (node.size() != 1 || node.begin()->first.Scalar() != "from")
      config_error(place, "needs a whole number, a list of them or {from: [run-1_bold.nii.gz, …]}");
    ConfigPlace here = place;
    here.key += ".from";
    v.from = ConfigType<std::vector<std::filesystem::path>>::read(node.begin()->second, here);
    if (v.from.empty()) config_error(here, "is an empty list; name an image a run");
    return v;
  }
  v.counts = ConfigType<std::vector<std::int64_t>>::read(node, place);
  if (v.counts.empty()) config_error(place, "is an empty list; give the number of volumes of each run");
  constexpr std::int64_t most = 1000000;
  for (auto const count : v.counts)
    if (count < 1 || count > most) config_error(place, fmt::format("holds {}; a run has 1 to {} volumes", count, most));
  return v;
}

nlohmann::json ConfigType<convolve::Volumes>::write(convolve::Volumes const& v) {
  if (v.from.empty()) return v.counts;
  return {{"from", ConfigType<std::vector<std::filesystem::path>>::write(v.from)}};
}

}  // namespace striate
