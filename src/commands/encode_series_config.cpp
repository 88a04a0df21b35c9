#include "encode_series_config.hpp"

#include <yaml-cpp/yaml.h>

#include <cmath>
#include <set>

#include "encode_config.hpp"
#include "striate/base/error.hpp"

namespace striate {
namespace encode {

void describe(Schema& s, SeriesConfig& c) {
  describe(s, static_cast<ResponsesConfig&>(c));
  s("run", c.run,
    {.doc =
         "column of the stimuli file that names the runs of time series, one volume a row; makes the keys below, and "
         "features.delays, possible",
     .example = "run"});
  s("detrend", c.detrend,
    {.doc = "slow drift taken out of every run by least squares, its mean included: polynomials up to an order, or a "
            "high-pass of cosines (DCT, as SPM) with the longest period that is kept",
     .example = "{cosine: 128}"});
  s("tr", c.tr, {.doc = "time between volumes, for detrend: {cosine: …}", .unit = "s", .example = "2"});
  s("zscore_runs", c.zscore_runs,
    {.doc = "then scale every run of a target to mean 0 and standard deviation 1 (ddof 0)"});
  s("trim", c.trim,
    {.doc = "volumes then dropped at the beginning and the end of every run, from features and responses alike; one "
            "number: at both",
     .unit = "volumes",
     .example = "[5, 0]"});
}

namespace {

std::string key_of(Config const& c, std::size_t store) {
  return c.features.size() == 1 ? "features" : fmt::format("features[{}]", store);
}

void check_delays(Config const& c) {
  for (std::size_t i = 0; i < c.features.size(); ++i) {
    FeatureSet const& f = c.features[i];
    if (f.delays.empty()) continue;
    if (!c.responses.run)
      fail(Exit::config,
           "{}.delays: no volume may look back beyond the beginning of its run; name the column of runs in "
           "responses.run (of a single run, a column with one value)",
           key_of(c, i));
    if (std::set<std::int64_t>(f.delays.begin(), f.delays.end()).size() != f.delays.size())
      fail(Exit::config, "{}.delays: a delay stands twice; keep one", key_of(c, i));
    if (f.iterate != "layer")
      fail(Exit::config,
           "{}.delays: are not there with iterate: {}; remove one, or let striate convolve delay (hrf: fir)",
           key_of(c, i), f.iterate);
  }
}

}  // namespace

void check_series(Config const& c) {
  SeriesConfig const& r = c.responses;
  check_delays(c);
  char const* const idle = r.detrend.kind != Drift::Kind::none ? "detrend"
                           : r.zscore_runs                     ? "zscore_runs"
                           : r.trim.first + r.trim.last > 0    ? "trim"
                                                               : nullptr;
  if (!r.run && idle != nullptr)
    fail(Exit::config, "responses.{}: works run by run; name the column of runs in responses.run", idle);
  if (r.detrend.kind == Drift::Kind::cosine && !r.tr)
    fail(Exit::config,
         "responses.tr: is missing; detrend: {{cosine: {:g}}} counts in seconds, so give those between volumes",
         r.detrend.cutoff);
  if (r.tr && !(*r.tr > 0 && std::isfinite(*r.tr)))
    fail(Exit::config, "responses.tr: is {}; it is a number of seconds above 0", *r.tr);
  if (r.tr && *r.tr > 30)
    fail(Exit::config, "responses.tr: is {} s between volumes; give seconds, not milliseconds", *r.tr);
  if (r.run && !c.other_subjects.data.empty())
    fail(Exit::config,
         "other_subjects: their runs are not cleaned, so responses.run and a noise ceiling between subjects do not go "
         "together; remove one");
}

}  // namespace encode

namespace {

char const* const drift_forms = "needs none, {polynomial: 2} or {cosine: 128}";

}  // namespace

Drift ConfigType<Drift>::read(YAML::Node const& node, ConfigPlace const& place) {
  Drift d;
  if (node.IsScalar() && node.Scalar() == "none") return d;
  if (!node.IsMap() || node.size() != 1) config_error(place, drift_forms);
  std::string const kind = node.begin()->first.Scalar();
  ConfigPlace here = place;
  here.key += "." + kind;
  if (kind == "polynomial") {
    constexpr std::int64_t most = 20;
    std::int64_t const order = ConfigType<std::int64_t>::read(node.begin()->second, here);
    if (order < 0 || order > most)
      config_error(here, fmt::format("is {}; an order is 0 (the mean alone) to {}", order, most));
    d.kind = Drift::Kind::polynomial;
    d.degree = static_cast<std::size_t>(order);
    return d;
  }
  if (kind != "cosine") {
    std::string const near = nearest(kind, {"polynomial", "cosine"});
    config_error(here, near.empty() ? drift_forms : "is not a key here; did you mean `" + near + "`?");
  }
  d.kind = Drift::Kind::cosine;
  d.cutoff = ConfigType<double>::read(node.begin()->second, here);
  if (!(d.cutoff > 0 && std::isfinite(d.cutoff)))
    config_error(here, fmt::format("is {}; a period is a number of seconds above 0, e.g. 128", d.cutoff));
  return d;
}

nlohmann::json ConfigType<Drift>::write(Drift const& d) {
  if (d.kind == Drift::Kind::none) return "none";
  if (d.kind == Drift::Kind::polynomial) return {{"polynomial", d.degree}};
  return {{"cosine", d.cutoff}};
}

encode::Trim ConfigType<encode::Trim>::read(YAML::Node const& node, ConfigPlace const& place) {
  auto const ends = ConfigType<std::vector<std::int64_t>>::read(node, place);
  if (ends.empty() || ends.size() > 2) config_error(place, "needs a number of volumes, or two: [first, last]");
  for (std::int64_t count : ends)
    if (count < 0 || count > 1000000) config_error(place, fmt::format("holds {}; give 0 or more volumes", count));
  return {ends.front(), ends.back()};
}

nlohmann::json ConfigType<encode::Trim>::write(encode::Trim const& t) { return {t.first, t.last}; }

}  // namespace striate
