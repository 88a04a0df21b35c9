/// The program that unit/par_process.cpp starts: `par_child MODE`.
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>

#include "striate/par/mpi.hpp"
#include "striate/par/stop.hpp"
#include "striate/par/threads.hpp"
#include "striate/par/tiles.hpp"
#include "striate/par/together.hpp"

using namespace striate;

namespace {

struct Sleeper : TileWork {
  void compute(std::size_t) override { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }
  void write(std::span<std::size_t const>) override {}
  void mark(std::span<std::size_t const> mine) override { marked += int(mine.size()); }
  void flush() override {}
  void progress(std::size_t n) override {
    if (n > 0 && !said && Comm::world().root()) std::printf("running\n"), std::fflush(stdout), said = true;
  }
  bool said = false;
  int marked = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Mpi mpi(argc, argv);
  Comm const world = Comm::world();
  std::string const mode = argc > 1 ? argv[1] : "";
  try {
    if (mode == "hello") {
      int const threads = allowed_threads(world);
      if (world.root()) std::printf("%d ranks, %s, %d threads\n", world.size(), Mpi::io_choice().c_str(), threads);
    } else if (mode == "busy") {  // the last rank fails, the others come to the agreement only after a minute
      together(world, [&] {
        if (world.rank() == world.size() - 1) fail(Exit::no_input, "nothing there");
        sleep(60);
      });
    } else if (mode == "tiles") {
      StopFlag stop;
      Sleeper work;
      bool const all = run_tiles(world, std::vector<std::uint8_t>(100000, 0), stop, work, {.threads = 1});
      std::int64_t const marked = world.sum(std::int64_t{work.marked});
      if (world.root()) std::printf("%s %d\n", all ? "all" : "stopped", int(marked));
      return all ? 0 : 75;
    } else if (mode == "throw") {  // one rank's exception escapes while the others wait
      if (world.root()) fail(Exit::data, "escaped");
      world.barrier();
    }
  } catch (Error const& e) {
    end_all(e);
  }
}
