#include "striate/par/memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace striate {
namespace {

constexpr double none = std::numeric_limits<double>::infinity();

double number_in(std::filesystem::path const& file) {
  std::ifstream in(file);
  double value = 0;
  return in >> value && value > 0 && value < 1e18 ? value : none;  // "max", and version 1's huge default, are no limit
}

/// The least limit on the way from this process's cgroup to the root.
double cgroup_limit() {
  double least = none;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    bool const two = line.starts_with("0::"), one = line.find(":memory:") != std::string::npos;
    if (!two && !one) continue;
    std::filesystem::path const root = two ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    char const* const name = two ? "memory.max" : "memory.limit_in_bytes";
    std::filesystem::path group = line.substr(line.rfind(':') + 1);
    for (; group.has_relative_path(); group = group.parent_path())
      least = std::min(least, number_in(root / group.relative_path() / name));
    least = std::min(least, number_in(root / name));
  }
  return least;
}

double free_on_node() {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  double kilobytes = 0;
  while (in >> name >> kilobytes >> unit)
    if (name == "MemAvailable:") return 1024 * kilobytes;
  return none;
}

double from_environment(char const* name) {
  char const* const text = std::getenv(name);
  double const megabytes = text != nullptr ? std::atof(text) : 0;
  return megabytes > 0 ? megabytes * 1048576 : none;
}

}  // namespace

double allowed_memory(Comm const& comm) {
  double const ranks = comm.node().size();
  double const cpus = std::getenv("SLURM_CPUS_PER_TASK") != nullptr ? std::atof(std::getenv("SLURM_CPUS_PER_TASK")) : 1;
  double const share = std::min({from_environment("SLURM_MEM_PER_NODE"), cgroup_limit(), 0.9 * free_on_node()}) / ranks;
  double const mine = std::min(share, from_environment("SLURM_MEM_PER_CPU") * std::max(cpus, 1.0));
  return mine == none ? 4.0 * (1 << 30) : mine;
}

}  // namespace striate
