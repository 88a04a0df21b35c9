#pragma once
/// The settings of time series: `responses:` of `encode` and `partition`, whose rows may be the volumes of runs.
#include <cstdint>
#include <optional>
#include <string>

#include "striate/base/config.hpp"
#include "striate/brain/responses.hpp"
#include "striate/math/detrend.hpp"

namespace striate {
namespace encode {

/// Volumes that are dropped at both ends of every run.
struct Trim {
  std::int64_t first = 0, last = 0;
};

struct SeriesConfig : ResponsesConfig {
  std::optional<std::string> run;  ///< column of runs; nothing: no time series
  Drift detrend;
  std::optional<double> tr;  ///< s
  bool zscore_runs = false;
  Trim trim;
  /// Whether values of a run depend on the rest of it.
  [[nodiscard]] bool cleans() const { return detrend.kind != Drift::Kind::none || zscore_runs; }
};

void describe(Schema& s, SeriesConfig& c);

}  // namespace encode

template <>
struct ConfigType<Drift> {
  static Drift read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(Drift const& drift);
  static std::string name() { return "none | {polynomial: order} | {cosine: seconds}"; }
};

template <>
struct ConfigType<encode::Trim> {
  static encode::Trim read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(encode::Trim const& trim);
  static std::string name() { return "integer | [first, last]"; }
};

}  // namespace striate
