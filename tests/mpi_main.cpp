/// GoogleTest's main for tests under mpiexec: a barrier after every test, a failure on any rank fails all ranks, and a
/// run in which no test was executed is a failure. Between collectives use EXPECT, not ASSERT: a rank that leaves a
/// test early leaves the others waiting.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

#include "striate/par/comm.hpp"
#include "striate/par/mpi.hpp"

namespace {

class Together : public testing::EmptyTestEventListener {
  void OnTestEnd(testing::TestInfo const& info) override {
    striate::Comm const world = striate::Comm::world();
    bool const failed = info.result()->Failed();
    std::int64_t const any = world.max(std::int64_t{failed});  // also the barrier
    if (any && !failed && world.root())
      std::fprintf(stderr, "%s.%s failed on another rank\n", info.test_suite_name(), info.name());
  }
};

}  // namespace

int main(int argc, char** argv) {
  // A test that plays a child process of its own (killed on purpose) must not touch gtest's output.
  striate::Mpi mpi(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  striate::Comm const world = striate::Comm::world();
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (!world.root()) delete listeners.Release(listeners.default_result_printer());
  struct Failures : testing::EmptyTestEventListener {  // the other ranks speak only of failures
    void OnTestPartResult(testing::TestPartResult const& result) override {
      if (result.failed())
        std::fprintf(stderr, "rank %d: %s:%d: %s\n", striate::Comm::world().rank(),
                     result.file_name() ? result.file_name() : "?", result.line_number(), result.summary());
    }
  };
  if (!world.root()) listeners.Append(new Failures);
  listeners.Append(new Together);
  int code = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    if (world.root()) std::fprintf(stderr, "no test was executed\n");
    code = 1;
  }
  return static_cast<int>(world.max(std::int64_t{code}));
}
