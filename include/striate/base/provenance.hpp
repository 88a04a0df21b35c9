#pragma once
/// What made an output: settings, seed, versions, machines, time and memory. Ranks and hosts are passed in as data.
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace striate {

struct Provenance {
  std::string command;
  nlohmann::ordered_json config;                 ///< resolved
  std::map<std::string, std::string> libraries;  ///< name → version
  std::vector<std::string> hosts;                ///< one a rank
  int ranks = 1, threads = 1;
  double wall_seconds = 0, cpu_seconds = 0;       ///< cpu: of all ranks
  double peak_bytes = 0;                          ///< of the largest rank
  std::map<std::string, std::string> inputs;      ///< path → sha256
  std::map<std::string, std::uint64_t> warnings;  ///< text → times, over all ranks
  nlohmann::ordered_json details;                 ///< what the command adds
};

/// provenance.json. `attempts` of an earlier file at the same place are kept: {started, wall, ranks, hosts}.
void write_provenance(std::filesystem::path const& path, Provenance const& provenance);

/// User and system time of this process, seconds; its greatest resident size, bytes.
[[nodiscard]] double cpu_seconds();
[[nodiscard]] double peak_bytes();
[[nodiscard]] std::string host_name();
[[nodiscard]] std::string utc_now();  ///< "2024-05-01T12:00:00Z"

}  // namespace striate
