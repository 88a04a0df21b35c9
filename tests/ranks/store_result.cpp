#include <gtest/gtest.h>

#include "../store_temp.hpp"
#include "store_digest.hpp"
#include "store_job.hpp"

using namespace striate;

namespace {

std::string shared_name(std::string const& name) {
  std::string full = name + "_" + std::to_string(getpid());
  Comm::world().broadcast(full, 0);
  return full;
}

void encode(Comm const& c, std::filesystem::path const& path) {
  StopFlag stop(false);
  auto const r = ResultFile::open(c, path, job::result_spec());
  if (r->state() == StoreState::complete) return;
  job::Encode work(*r);
  EXPECT_TRUE(run_tiles(c, r->done(), stop, work, {.threads = 2}));
  r->finish(job::derive);
}

}  // namespace

TEST(ResultFile, SameContentAtAnyRankCount) {
  Comm const c = Comm::world();
  TempFolder dir(shared_name("result"), c.root());
  c.barrier();
  encode(c, dir / "result.h5");
  if (c.root()) {
    encode(Comm(), dir / "serial.h5");
    EXPECT_EQ(digest(dir / "result.h5"), digest(dir / "serial.h5"));
    h5::File const f = h5::File::open(dir / "result.h5");
    EXPECT_EQ(f.dataset(".striate/complete").read<std::uint8_t>(), std::vector<std::uint8_t>{1});
    EXPECT_EQ(f.dataset("conv1/score/pearson_fold").chunk(), (h5::Shape{3, 64}));
    auto const s = f.dataset("vgg/fc6/score/pearson_fold").read<double>();
    for (std::size_t k = 0; k < job::folds; ++k)
      for (std::size_t t = 0; t < job::targets; ++t) EXPECT_EQ(s[k * job::targets + t], job::score(1, k, t));
    auto const coef = f.dataset("conv1/coef").read<float>();
    EXPECT_EQ(coef[16 * job::targets + 1002], 161002.f);
    EXPECT_EQ(f.dataset("layers").read_strings()[1], "vgg/fc6");
    EXPECT_EQ(f.dataset("targets/index").read<std::uint64_t>()[500], 1000u);
  }
  c.barrier();
  auto const again = ResultFile::open(c, dir / "result.h5", job::result_spec());
  EXPECT_EQ(again->state(), StoreState::complete);
  EXPECT_EQ(again->read<double>("/best/score").size(), job::targets);
  c.barrier();
}

TEST(ResultFile, ResumesAfterAStop) {
  Comm const c = Comm::world();
  TempFolder dir(shared_name("result_stop"), c.root());
  c.barrier();
  {
    StopFlag stop(false);
    auto const r = ResultFile::open(c, dir / "result.h5", job::result_spec());
    struct Stopping : job::Encode {
      Stopping(ResultFile& f, StopFlag& s) : Encode(f), flag(s) {}
      void progress(std::size_t done) override {
        if (done > 3 && Comm::world().rank() == Comm::world().size() - 1) flag.request();
      }
      StopFlag& flag;
    } work(*r, stop);
    EXPECT_FALSE(run_tiles(c, r->done(), stop, work, {.threads = 1}));
  }
  LedgerState const state = read_ledger(dir / "result.h5");
  EXPECT_GT(state.done, 3u);
  EXPECT_LT(state.done, state.total);
  c.barrier();
  encode(c, dir / "result.h5");
  encode(c, dir / "whole.h5");
  if (c.root()) {
    EXPECT_EQ(digest(dir / "result.h5"), digest(dir / "whole.h5"));
  }
  c.barrier();
}

TEST(ResultFile, FailsTogether) {
  Comm const c = Comm::world();
  TempFolder dir(shared_name("result_fail"), c.root());
  c.barrier();
  auto const r = ResultFile::open(c, dir / "result.h5", job::result_spec());
  Error e = error_of([&] { r->finish([](ResultFile&) { fail(Exit::data, "no best layer"); }); });
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_STREQ(e.what(), "no best layer");
  EXPECT_FALSE(read_ledger(dir / "result.h5").complete);
  c.barrier();
  ResultSpec other = job::result_spec();
  other.identity["model"]["type"] = "ols";
  e = error_of([&] { ResultFile::open(c, dir / "result.h5", other); });
  EXPECT_EQ(e.code(), Exit::cant_create);
  EXPECT_NE(std::string(e.what()).find("type"), std::string::npos) << e.what();
  auto const again = ResultFile::open(c, dir / "result.h5", job::result_spec());
  EXPECT_EQ(again->state(), StoreState::resumed);
  EXPECT_EQ(error_of([&] { again->write<double>("/not/declared", std::vector<double>{1}); }).code(), Exit::internal);
  EXPECT_EQ(error_of([&] { again->write_slice<double>("/conv1/score/pearson", 0, 1000, std::vector<double>(4)); }).code(),
            Exit::internal);
  c.barrier();
}
