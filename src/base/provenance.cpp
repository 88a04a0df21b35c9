#include "striate/base/provenance.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "striate/base/fsio.hpp"
#include "striate/base/version.hpp"

namespace striate {

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto const seconds = [](timeval t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string utc_now() {
  std::time_t const now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32] = {};
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

void write_provenance(std::filesystem::path const& path, Provenance const& p) {
  nlohmann::ordered_json out;
  out["command"] = p.command;
  out["striate"] = {{"version", version()}, {"git_commit", git_commit()}, {"build", build_type()}};
  out["finished"] = utc_now();
  out["config"] = p.config;
  out["libraries"] = p.libraries;
  out["ranks"] = p.ranks;
  out["threads_per_rank"] = p.threads;
  out["hosts"] = p.hosts;
  out["wall_seconds"] = p.wall_seconds;
  out["cpu_seconds"] = p.cpu_seconds;
  out["peak_bytes_per_rank"] = p.peak_bytes;
  out["inputs_sha256"] = p.inputs;
  out["warnings"] = p.warnings;
  if (!p.details.is_null()) out["details"] = p.details;
  auto attempts = nlohmann::ordered_json::array();
  if (std::ifstream before(path); before) {
    auto const old = nlohmann::ordered_json::parse(before, nullptr, false);
    if (old.is_object() && old.contains("attempts")) attempts = old["attempts"];
  }
  attempts.push_back(
      {{"finished", out["finished"]}, {"wall_seconds", p.wall_seconds}, {"ranks", p.ranks}, {"hosts", p.hosts}});
  out["attempts"] = attempts;
  write_atomically(path, out.dump(2) + "\n");
}

}  // namespace striate
