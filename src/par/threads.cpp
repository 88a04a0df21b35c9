#include "striate/par/threads.hpp"

#include <dlfcn.h>
#include <sched.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#ifdef STRIATE_HAVE_OPENBLAS
extern "C" void openblas_set_num_threads(int);
#endif

namespace striate {
namespace {

std::atomic<int> told{1};

/// CPUs of the cgroup's quota, 0 where there is none (version 2, then 1).
double cgroup_cpus() {
  std::ifstream two("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (two >> quota >> period) return quota == "max" || period <= 0 ? 0 : std::atof(quota.c_str()) / period;
  std::ifstream q("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), p("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  double limit = 0;
  return (q >> limit) && (p >> period) && limit > 0 && period > 0 ? limit / period : 0;
}

/// The CPUs that this process may run on, as a bit mask for any machine size.
std::string affinity_mask() {
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {  // the kernel refuses a mask smaller than its own
    cpu_set_t* set = CPU_ALLOC(static_cast<std::size_t>(cpus));
    std::size_t const bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    bool const fine = sched_getaffinity(0, bytes, set) == 0;
    std::string mask(reinterpret_cast<char const*>(set), bytes);
    CPU_FREE(set);
    if (fine) return mask;
  }
  return "\x01";
}

bool has_cpu(std::string const& mask, std::size_t cpu) {
  return cpu / 8 < mask.size() && (static_cast<unsigned char>(mask[cpu / 8]) >> (cpu % 8) & 1);
}

}  // namespace

int allowed_threads(Comm const& comm) {
  Comm const node = comm.node();
  std::vector<std::string> const masks = node.gather_strings(affinity_mask());
  std::string const& mine = masks[static_cast<std::size_t>(node.rank())];
  double share = 0;
  for (std::size_t cpu = 0; cpu < mine.size() * 8; ++cpu)
    if (has_cpu(mine, cpu))
      share += 1.0 / static_cast<double>(std::ranges::count_if(masks, [&](auto const& m) { return has_cpu(m, cpu); }));
  if (double const quota = cgroup_cpus(); quota > 0) share = std::min(share, quota / node.size());
  if (char const* slurm = std::getenv("SLURM_CPUS_PER_TASK"); slurm && std::atoi(slurm) > 0)
    return std::atoi(slurm);
  return std::max(1, static_cast<int>(share + 1e-6));
}

void set_threads(int n) {
  static std::unique_ptr<tbb::global_control> control;
  told = std::max(1, n);
  control.reset();
  control = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                  static_cast<std::size_t>(told.load()));
#ifdef STRIATE_HAVE_OPENBLAS
  openblas_set_num_threads(1);
#endif
  // OpenMP comes with LibTorch, below in the list of rooms: set it where it is loaded.
  if (void* f = dlsym(RTLD_DEFAULT, "omp_set_num_threads")) reinterpret_cast<void (*)(int)>(f)(told.load());
}

int current_threads() noexcept { return told.load(); }

}  // namespace striate
