/// The program that unit/store_crash.cpp starts and kills:
///   store_child act|result FILE MILLISECONDS_A_TILE [N BATCH]   writes, or goes on writing, and completes
///   store_child digest FILE                                     content of a file
///   store_child check FILE N BATCH                              every flagged batch of an unfinished store verifies
#include <cstdio>
#include <cstring>

#include "store_digest.hpp"
#include "store_job.hpp"
#include "striate/par/mpi.hpp"

using namespace striate;

namespace {

int act(Comm const& world, char** argv) {
  ActSpec const spec = job::act_spec(std::stoul(argv[4]), std::stoul(argv[5]));
  auto const w = ActWriter::open(world, argv[2], spec);
  if (w->state() == StoreState::complete) return 0;
  StopFlag stop;
  job::Extract work(*w, spec, std::atoi(argv[3]));
  if (!run_tiles(world, w->done(), stop, work, {.threads = 1, .flush_seconds = 0.05})) return 75;
  w->finish();
  return 0;
}

int result(Comm const& world, char** argv) {
  auto const r = ResultFile::open(world, argv[2], job::result_spec());
  if (r->state() == StoreState::complete) return 0;
  StopFlag stop;
  job::Encode work(*r, std::atoi(argv[3]));
  if (!run_tiles(world, r->done(), stop, work, {.threads = 1, .flush_seconds = 0.05})) return 75;
  r->finish(job::derive);
  return 0;
}

int check(char** argv) {
  ActSpec const spec = job::act_spec(std::stoul(argv[3]), std::stoul(argv[4]));
  auto const w = ActWriter::open({}, argv[2], spec);
  std::size_t flagged = 0;
  if (w->state() == StoreState::complete) return std::printf("complete\n"), 0;
  for (std::size_t b = 0; b < w->batches(); ++b)
    for (std::size_t l = 0; l < spec.layers.size() && w->done()[b]; ++l, ++flagged)
      if (!w->verify_batch(l, b)) return std::printf("batch %zu of layer %zu is flagged but wrong\n", b, l), 1;
  std::printf("%zu verified\n", flagged);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Mpi mpi(argc, argv);
  std::string const mode = argc > 2 ? argv[1] : "";
  try {
    if (mode == "digest") return std::printf("%08x\n", digest(argv[2])), 0;
    if (mode == "check") return check(argv);
    if (mode == "act") return act(Comm::world(), argv);
    if (mode == "result") return result(Comm::world(), argv);
  } catch (Error const& e) {
    if (Comm::world().root()) std::fprintf(stderr, "error: %s\n", e.what());
    abort_all(e.code());
  } catch (std::exception const& e) {
    std::fprintf(stderr, "bug: %s\n", e.what());
    abort_all(Exit::internal);
  }
  return 64;
}
