#pragma once
/// The settings of `striate convolve`.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store_source.hpp"
#include "striate/base/config.hpp"
#include "striate/math/hrf.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate::convolve {

/// `volumes:` a number, one a run, or {from: the images}.
struct Volumes {
  std::vector<std::int64_t> counts;         ///< one for all runs, or one each
  std::vector<std::filesystem::path> from;  ///< images whose volumes are counted; not with `counts`
};

struct Source : StoreSource {};

struct Config {
  Source features;
  std::vector<std::filesystem::path> events;
  std::optional<std::string> stimulus, amplitude;
  std::string run = "run";
  double tr = 0;
  Volumes volumes;
  std::string hrf = "spm", derivatives = "none", sample = "start", dtype = "float32";
  std::vector<std::int64_t> delays{1, 2, 3, 4};
  std::optional<double> memory;
  std::filesystem::path output;
};
void declare(Schema& s, Config& c);
/// What the declaration cannot say. Throws Error(Exit::config).
void check(Config const& c);

/// A block of units of the output.
struct Block {
  std::string name;  ///< hrf, time, dispersion, or delay-3
  Regressor regressor;
};
[[nodiscard]] std::vector<Block> blocks_of(Config const& c);

}  // namespace striate::convolve

namespace striate {
template <>
struct ConfigType<convolve::Volumes> {
  static convolve::Volumes read(YAML::Node const& node, ConfigPlace const& place);
  static nlohmann::json write(convolve::Volumes const& volumes);
  static std::string name() { return "integer | [integer, …] | {from: [path, …]}"; }
};
}  // namespace striate
