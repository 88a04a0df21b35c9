/// `striate doctor`: is this machine fit for work.
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstring>
#include <iostream>
#include <thread>

#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/provenance.hpp"
#include "striate/net/network.hpp"
#include "striate/par/memory.hpp"
#include "striate/par/mpi.hpp"
#include "striate/par/threads.hpp"
#include "striate/par/together.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Report {
 public:
  explicit Report(bool prints) : prints_(prints) {}
  void fine(std::string const& what, std::string const& text) { line("ok", what, text); }
  void note(std::string const& what, std::string const& text) { line("note", what, text); }
  void bad(std::string const& what, std::string const& text) {
    ++failures_;
    line("BAD", what, text);
  }
  [[nodiscard]] int failures() const { return failures_; }

 private:
  void line(char const* verdict, std::string const& what, std::string const& text) const {
    if (prints_) std::cout << fmt::format("{:<5} {:<14} {}", verdict, what, text) << std::endl;
  }
  bool prints_;
  int failures_ = 0;
};

void check_mpi(Comm const& comm, Report& report) {
  report.fine("MPI", fmt::format("{}, {} ranks on {} nodes, MPI-IO by {}", Mpi::library(), comm.size(), comm.nodes(),
                                 Mpi::io_choice()));
  std::int64_t const sum = comm.sum(std::int64_t{comm.rank()} + 1), ranks = comm.size();
  if (sum != ranks * (ranks + 1) / 2) report.bad("MPI", "a sum over ranks came out wrong; the installation is broken");
}

void check_threads(Comm const& comm, Report& report) {
  int const threads = allowed_threads(comm);
  report.fine("threads",
              fmt::format("{} a rank ({} CPUs in the machine)", threads, std::thread::hardware_concurrency()));
  if (comm.size() > 1 && comm.node().size() * threads > static_cast<int>(std::thread::hardware_concurrency()))
    report.note("threads", "more threads than CPUs: ranks slow each other down; start fewer, or bind them");
}

void check_memory(Comm const& comm, Report& report) {
  report.fine("memory", bytes_text(allowed_memory(comm)) + " a rank");
  struct statvfs shm {};
  if (statvfs("/dev/shm", &shm) != 0) return report.note("/dev/shm", "is not there; ranks of a node cannot share data");
  double const bytes = static_cast<double>(shm.f_bavail) * static_cast<double>(shm.f_frsize);
  if (bytes < 256e6)
    report.note("/dev/shm", bytes_text(bytes) +
                                " free: too little for ranks to share large data; in a container, start "
                                "it with --shm-size");
  else
    report.fine("/dev/shm", bytes_text(bytes) + " free");
}

/// A store written by all ranks, read back and checked.
void check_store(Comm const& comm, fs::path const& folder, Report& report) {
  fs::path const file = folder / fmt::format(".striate-doctor-{}.act.h5", comm.root() ? ::getpid() : 0);
  std::string name = file.string();
  comm.broadcast(name, 0);
  ActSpec spec;
  spec.layers = {{"layer", {512, 1, 1}, "feature row column", h5::Dtype::f32}};
  spec.batch = 4;
  for (int i = 0; i < 4 * comm.size(); ++i) spec.stimulus_ids.push_back(std::to_string(i));
  try {
    auto store = ActWriter::open(comm, name, spec, true);
    std::vector<float> values(4 * 512, static_cast<float>(comm.rank() + 1));
    auto const mine = static_cast<std::size_t>(comm.rank());
    together(comm, [&] { store->write_batch(0, mine, values.data()); });
    together(comm, [&] { store->flush(); });
    std::size_t const batch[] = {mine};
    together(comm, [&] { store->mark(batch); });
    together(comm, [&] { store->finish(); });
    store.reset();
    together(comm, [&] {
      if (!comm.root()) return;
      ActReader const reader(name);
      if (auto const damage = reader.first_damage(); !damage.empty()) fail(Exit::io, "damaged at {}", damage);
    });
    report.fine("HDF5", fmt::format("{}, parallel; a store written by {} ranks in {} reads back whole", h5::version(),
                                    comm.size(), folder.string()));
  } catch (Error const& error) {
    report.bad("HDF5", fmt::format("writing a store in {} failed: {}", folder.string(), error.what()));
  }
  comm.barrier();
  if (comm.root()) fs::remove(name);
}

void check_locks(fs::path const& folder, Report& report) {
  fs::path const output = folder / fmt::format("striate-doctor-{}", ::getpid());
  try {
    auto lock = OutputLock::take(output, "doctor", 0);
    bool refused = false;
    try {
      auto const second = OutputLock::take(output, "doctor", 0);
    } catch (Error const&) {
      refused = true;
    }
    lock.remove_file();
    if (refused)
      report.fine("file locks", "two jobs cannot write one output");
    else
      report.note("file locks", "do not work on this file system: nothing keeps two jobs off one output");
  } catch (Error const& error) {
    report.bad("folder", error.what());
  }
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) == 0)
    report.fine("disk", bytes_text(static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize)) +
                            " free in " + folder.string());
}

void check_devices(Report& report) {
  if (!torch_has_cuda()) return report.note("GPU", "LibTorch " + torch_version() + " is built without CUDA: CPUs only");
  if (torch_devices() == 0) return report.note("GPU", "none is visible to this process; networks run on CPUs");
  report.fine("GPU", fmt::format("LibTorch {} sees {}", torch_version(), torch_devices()));
}

void check_media(Report& report) {
  if (media_libraries().empty())
    report.note("FFmpeg", "striate is built without its libraries: video and sound cannot be read");
  else
    report.fine("FFmpeg", media_libraries());
}

}  // namespace

int run_doctor(std::vector<std::string> const& args, int argc, char** argv) {
  fs::path folder = fs::current_path();
  for (auto const& arg : args) {
    if (arg == "--help" || arg == "-h") {
      std::cout << "striate doctor [FOLDER]: checks this machine, and FOLDER (default: here) as a place for outputs.\n"
                   "Start it as jobs are started: mpiexec -n 4 striate doctor, srun striate doctor.\n";
      return 0;
    }
    if (arg.starts_with("-")) fail(Exit::usage, "doctor: unknown option {}; see striate doctor --help", arg);
    folder = fs::absolute(arg);
  }
  if (!fs::is_directory(folder)) fail(Exit::no_input, "doctor: {} is no folder", folder.string());
  Mpi const mpi(argc, argv);
  Comm const comm = Comm::world();
  if (comm.root()) print_version(std::cout);
  Report report(comm.root());
  check_mpi(comm, report);
  check_threads(comm, report);
  check_memory(comm, report);
  check_store(comm, folder, report);
  if (comm.root()) check_locks(folder, report);
  check_devices(report);
  check_media(report);
  auto const failures = comm.max(std::int64_t{report.failures()});
  if (comm.root()) std::cout << (failures == 0 ? "fit for work" : "NOT fit for work: see BAD above") << std::endl;
  return failures == 0 ? 0 : static_cast<int>(Exit::limit);
}

}  // namespace striate
