#include <gtest/gtest.h>

#include "../store_temp.hpp"
#include "store_digest.hpp"
#include "store_job.hpp"
#include "striate/par/together.hpp"

using namespace striate;

namespace {

/// One folder for all ranks, named by rank 0.
struct SharedFolder {
  explicit SharedFolder(std::string const& name) : comm(Comm::world()) {
    std::string full = name + "_" + std::to_string(getpid());
    comm.broadcast(full, 0);
    folder = std::make_unique<TempFolder>(full, comm.root());
    comm.barrier();
  }
  ~SharedFolder() { comm.barrier(); }
  std::filesystem::path operator/(std::string const& n) const { return *folder / n; }
  Comm comm;
  std::unique_ptr<TempFolder> folder;
};

bool extract(Comm const& comm, std::filesystem::path const& path, ActSpec const& spec, bool close = true) {
  StopFlag stop(false);
  auto const w = ActWriter::open(comm, path, spec);
  if (w->state() == StoreState::complete) return true;
  job::Extract work(*w, spec);
  bool const all = run_tiles(comm, w->done(), stop, work, {.threads = 2});
  if (all && close) w->finish();
  return all;
}

}  // namespace

TEST(ActStore, SameContentAtAnyRankCount) {
  SharedFolder dir("act");
  for (std::size_t batch : {4u, 16u}) {
    ActSpec const spec = job::act_spec(37, batch);
    std::string const name = std::to_string(batch);
    EXPECT_TRUE(extract(dir.comm, dir / (name + "p.act.h5"), spec));
    if (dir.comm.root()) {
      EXPECT_TRUE(extract(Comm(), dir / (name + "s.act.h5"), spec));  // without MPI
      EXPECT_EQ(digest(dir / (name + "p.act.h5")), digest(dir / (name + "s.act.h5")));
      ActReader const r((dir / (name + "p.act.h5")).string());
      EXPECT_EQ(r.first_damage(), "");
      EXPECT_TRUE(std::isnan(r.row_sum("fc6")[5]));  // the skipped stimulus
      EXPECT_FALSE(std::isnan(r.unit_mean("fc6")[0]));
      std::vector<float> v(37 * 1000);
      r.read("fc6", 0, 1000, {v.data(), 37, 1000});
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < 37; ++i)
        for (std::size_t u = 0; u < 1000; ++u)
          wrong += i == 5 ? !std::isnan(v[i + u * 37]) : v[i + u * 37] != job::act_value(2, i, u);
      EXPECT_EQ(wrong, 0u);
    }
  }
}

TEST(ActStore, PastTheCacheOrThroughItIsTheSameFile) {
  SharedFolder dir("direct");
  ActSpec spec = job::act_spec(37, 16);
  // Maps so large that a chunk holds fewer rows than a batch; lengths that fit no page.
  spec.layers.push_back({"large", {3, 301, 307}, "channel row column", h5::Dtype::f32});
  spec.layers.push_back({"tiny", {5, 1, 1}, "feature row column", h5::Dtype::f16});
  std::map<ActIo, std::uint32_t> digests;
  for (ActIo const io : {ActIo::cached, ActIo::direct, ActIo::automatic}) {
    spec.io = io;
    auto const path = dir / (std::to_string(int(io)) + ".act.h5");
    try {
      EXPECT_TRUE(extract(dir.comm, path, spec));
    } catch (Error const& e) {  // a folder on a file system without it
      EXPECT_EQ(io, ActIo::direct) << e.what();
      continue;
    }
    if (!dir.comm.root()) continue;
    digests[io] = digest(path);
    EXPECT_EQ(digests[io], digests[ActIo::cached]);
    ActReader const r(path.string());
    EXPECT_EQ(r.first_damage(), "");
    double sum = 0, mean = 0;
    for (std::size_t u = 0; u < 3 * 301 * 307; ++u) sum += double(job::act_value(3, 36, u));
    EXPECT_NEAR(r.row_sum("large")[36], sum, 1e-6);
    for (std::size_t i = 0; i < 37; ++i)
      if (i != 5) mean += double(job::act_value(3, i, 999)) / 36;
    EXPECT_NEAR(r.unit_mean("large")[999], mean, 1e-7);
  }
}

TEST(ActStore, ResumesWhatIsMarked) {
  SharedFolder dir("resume");
  Comm const& c = dir.comm;
  ActSpec const spec = job::act_spec(40, 8);
  {
    auto const w = ActWriter::open(c, dir / "a.act.h5", spec);
    EXPECT_EQ(w->state(), StoreState::created);
    job::Extract work(*w, spec);
    std::vector<std::size_t> mine;
    for (std::size_t b : {1u, 3u})
      if (int(b) % c.size() == c.rank()) mine.push_back(b);
    for (std::size_t b : mine) work.compute(b);
    work.write(mine);
    w->flush();
    w->mark(mine);
    w->flush();
    for (std::size_t b : mine)
      for (std::size_t l = 0; l < 3; ++l) EXPECT_TRUE(w->verify_batch(l, b));
  }
  {
    auto const w = ActWriter::open(c, dir / "a.act.h5", spec);
    EXPECT_EQ(w->state(), StoreState::resumed);
    EXPECT_EQ(w->done(), (std::vector<std::uint8_t>{0, 1, 0, 1, 0}));
    EXPECT_EQ(error_of([&] { w->finish(); }).code(), Exit::internal);  // batches are missing
  }
  EXPECT_TRUE(extract(c, dir / "a.act.h5", spec));
  auto const w = ActWriter::open(c, dir / "a.act.h5", spec);
  EXPECT_EQ(w->state(), StoreState::complete);
  EXPECT_TRUE(read_ledger(dir / "a.act.h5").complete);
  EXPECT_TRUE(extract(c, dir / "b.act.h5", spec));
  if (c.root()) {
    EXPECT_EQ(digest(dir / "a.act.h5"), digest(dir / "b.act.h5"));
  }
}

TEST(ActStore, RefusesAnotherConfigAndOtherFiles) {
  SharedFolder dir("refuse");
  Comm const& c = dir.comm;
  ActSpec spec = job::act_spec(9, 4);
  { auto const w = ActWriter::open(c, dir / "a.act.h5", spec); }
  spec.identity["network"] = "vgg11";
  Error e = error_of([&] { ActWriter::open(c, dir / "a.act.h5", spec); });
  EXPECT_EQ(e.code(), Exit::cant_create);
  EXPECT_NE(std::string(e.what()).find("network"), std::string::npos) << e.what();
  {
    auto const w = ActWriter::open(c, dir / "a.act.h5", spec, true);
    EXPECT_EQ(w->state(), StoreState::created);
  }
  if (c.root()) std::filesystem::copy_file("/bin/true", dir / "true");
  for (bool fresh : {false, true}) {
    e = error_of([&] { ActWriter::open(c, dir / "true", spec, fresh); });
    EXPECT_EQ(e.code(), Exit::cant_create);
    EXPECT_NE(std::string(e.what()).find("not written by striate"), std::string::npos) << e.what();
  }
  EXPECT_EQ(error_of([&] { ActWriter::open(c, "/proc/no/a.act.h5", spec); }).code(), Exit::cant_create);
  EXPECT_EQ(error_of([&] { ActWriter::open(c, dir / "", spec); }).code(), Exit::cant_create);
  spec.layers[1].name = "a/b";
  EXPECT_EQ(error_of([&] { ActWriter::open(c, dir / "c.act.h5", spec); }).code(), Exit::config);
}

TEST(ActStore, ReportsOverflowOfFloat16) {
  SharedFolder dir("overflow");
  ActSpec spec = job::act_spec(4, 4);
  auto const w = ActWriter::open(dir.comm, dir / "a.act.h5", spec);
  std::vector<float> v(4 * 300 * 1600, 1.f);
  v[10] = 70000.f, v[11] = -1e9f, v[12] = std::numeric_limits<float>::infinity();
  if (dir.comm.root()) {
    EXPECT_EQ(w->write_batch(1, 0, v.data()), 2u);
    EXPECT_TRUE(w->verify_batch(1, 0));
  }
}
