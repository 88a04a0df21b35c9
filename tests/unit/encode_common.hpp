#pragma once
/// Drives the encode Job in this process, as the program would; and small problems for it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "../../src/commands/encode.hpp"
#include "../store_temp.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"
#include "striate/math/engine.hpp"
#include "striate/par/team.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"

namespace encode_test {
using namespace striate;
namespace fs = std::filesystem;

struct Outcome {
  Exit code = Exit::ok;
  std::string message;
  bool finished = false;
  Plan plan;
};

/// Counts the shared pieces of work of a job and calls `at` before the one numbered `when`: a clock that does not
/// depend on the machine.
class TickingTeam final : public Team {
 public:
  TickingTeam(Team& inner, std::size_t when, std::function<void()> at)
      : inner_(inner), when_(when), at_(std::move(at)) {}
  std::shared_ptr<std::byte> shared(std::size_t bytes) override { return inner_.shared(bytes); }
  void run(std::byte* b, std::span<Slot const> slots, std::function<void(std::size_t)> const& f) override {
    tick();
    inner_.run(b, slots, f);
  }
  void run(std::byte* b, std::span<std::vector<Slot> const> slots, std::function<void(std::size_t)> const& f) override {
    tick();
    inner_.run(b, slots, f);
  }
  void local(std::size_t count, std::function<void(std::size_t)> const& f) override { inner_.local(count, f); }
  [[nodiscard]] int threads() const override { return inner_.threads(); }

 private:
  void tick() {
    if (++ticks_ == when_) at_();
  }
  Team& inner_;
  std::size_t when_, ticks_ = 0;
  std::function<void()> at_;
};

struct Options {
  std::vector<std::string> sets = {};
  std::size_t when = 0;  ///< of `at`, see TickingTeam
  std::function<void()> at = {};
  std::function<void()> provenance = [] {};
  int threads = 1;
  bool fresh = false, only_plan = false;
  StopFlag* stop = nullptr;
  double memory = 4e9;
  decltype(Context::torch_engine) torch_engine = {};
};

/// One run of a job with the config `yaml`, as if it stood in `file`, over the ranks of `comm`. Collective.
inline Outcome run_job(std::unique_ptr<Job> const& job, Comm const& comm, fs::path const& file, std::string const& yaml,
                       Options const& o = {}) {
  Outcome out;
  log::set_up(std::getenv("ENCODE_TALK") != nullptr ? log::Level::verbose : log::Level::quiet, comm.root());
  try {
    Schema schema;
    job->describe(schema);
    read_config(schema, {file.string(), yaml, o.sets});
    auto const plain = mpi_team(comm, o.threads);
    TickingTeam team(*plain, o.when, o.at);
    StopFlag none(false);
    Context context{comm,
                    team,
                    o.stop != nullptr ? *o.stop : none,
                    o.threads,
                    o.memory,
                    o.fresh,
                    file,
                    resolved(schema),
                    resolved(schema, true)};
    context.memory_budget = memory_of(context.resolved, o.memory);
    context.write_provenance = o.provenance;
    context.torch_engine = o.torch_engine;
    job->plan(context, out.plan);
    if (o.only_plan) return out;
    out.finished = job->run(context);
    Progress const p = job->progress();
    EXPECT_EQ(p.complete, out.finished);
  } catch (Error const& error) {
    out.code = error.code(), out.message = error.what();
  }
  return out;
}

inline Outcome run_encode(Comm const& comm, fs::path const& folder, std::string const& yaml, Options const& o = {}) {
  return run_job(make_encode(), comm, folder / "encode.yaml", yaml, o);
}

/// A name that all ranks of this run share.
inline std::string shared_name(std::string const& name) {
  std::string full = name + "_" + std::to_string(getpid());
  Comm::world().broadcast(full, 0);
  return full;
}

inline std::vector<double> read(fs::path const& file, std::string const& dataset) {
  return h5::File::open(file).dataset(dataset).read<double>();
}

/// Relative where numbers are above 1; NaN in the same places.
inline void expect_close(std::vector<double> const& mine, std::vector<double> const& theirs, double tolerance,
                         std::string const& what) {
  ASSERT_EQ(mine.size(), theirs.size()) << what;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    EXPECT_EQ(std::isnan(mine[i]), std::isnan(theirs[i])) << what << " at " << i << ": " << mine[i] << " " << theirs[i];
    if (std::isnan(theirs[i])) continue;
    EXPECT_NEAR(mine[i], theirs[i], tolerance * std::max(1.0, std::abs(theirs[i]))) << what << " at " << i;
  }
}

/// Every dataset of a result but the config, by name, as numbers; texts as the sums of their letters.
inline void gather_content(h5::File const& file, std::string const& group,
                           std::map<std::string, std::vector<double>>& out) {
  for (std::string const& name : file.names(group.empty() ? "/" : group)) {
    std::string const full = group.empty() ? name : group + "/" + name;
    if (full == ".striate/identity") continue;
    if (!file.is_dataset(full)) {
      gather_content(file, full, out);
      continue;
    }
    auto const d = file.dataset(full);
    if (d.numeric()) {
      out[full] = d.read<double>();
    } else {
      for (auto const& text : d.read_strings())
        for (char c : text + '\n') out[full].push_back(c);
    }
  }
}
inline std::map<std::string, std::vector<double>> content(fs::path const& result) {
  std::map<std::string, std::vector<double>> out;
  gather_content(h5::File::open(result), "", out);
  return out;
}

/// Bit for bit: datasets of result.h5, and the files beside it.
inline void expect_same(fs::path const& a, fs::path const& b) {
  auto const x = content(a / "result.h5"), y = content(b / "result.h5");
  EXPECT_EQ(x.size(), y.size());
  for (auto const& [name, values] : x) {
    auto const other = y.find(name);
    ASSERT_NE(other, y.end()) << name;
    ASSERT_EQ(values.size(), other->second.size()) << name;
    EXPECT_EQ(std::memcmp(values.data(), other->second.data(), values.size() * sizeof(double)), 0) << name;
  }
  std::size_t files = 0;
  for (auto const& entry : fs::recursive_directory_iterator(a)) {
    if (!entry.is_regular_file() || entry.path().filename() == "result.h5") continue;
    fs::path const other = b / fs::relative(entry.path(), a);
    ASSERT_TRUE(fs::exists(other)) << other;
    EXPECT_EQ(read_text(entry.path()), read_text(other)) << other;
    ++files;
  }
  EXPECT_GT(files, 5U);
}

/// Numbers in (-1.7, 1.7) that depend on their place alone.
inline float noise(std::size_t i, std::size_t j) {
  std::uint64_t x = (i * 0x9E3779B97F4A7C15ULL) ^ (j * 0xC2B2AE3D27D4EB4FULL + 0x165667B19E3779F9ULL);
  x ^= x >> 29, x *= 0xBF58476D1CE4E5B9ULL, x ^= x >> 32, x *= 0x94D049BB133111EBULL, x ^= x >> 29;
  return static_cast<float>((static_cast<double>(x >> 11) / 9007199254740992.0 - 0.5) * 3.4);
}

/// A store of three layers over n stimuli, and responses in a 6 × 5 × 4 volume of which 75 voxels are in the mask:
/// those with x < 3 read out layer "b", the others "wide"; volumes come in another order than the store, with repeats.
struct World {
  std::size_t n = 40, volumes = 60, voxels = 120;
  fs::path folder;
  std::array<std::uint64_t, 3> grid;

  explicit World(fs::path const& f, std::array<std::uint64_t, 3> shape = {6, 5, 4})
      : voxels(shape[0] * shape[1] * shape[2]), folder(f), grid(shape) {
    write_store();
    write_responses();
  }
  [[nodiscard]] static std::string id(std::size_t i) { return "im" + std::to_string(i) + ".png"; }
  [[nodiscard]] std::size_t shown(std::size_t v) const { return v < n ? (v * 7 + 3) % n : (v * 11) % (n / 2); }

  static std::vector<LayerSpec> layers() {
    return {{"a", {3, 2, 2}, "channel row column", h5::Dtype::f32},
            {"b", {10, 1, 1}, "feature row column", h5::Dtype::f32},
            {"wide", {20, 3, 3}, "channel row column", h5::Dtype::f16}};
  }
  static float feature(std::size_t layer, std::size_t stimulus, std::size_t unit) {
    return noise(stimulus, 1000 * (layer + 1) + unit) + (layer == 2 ? 0.5F * noise(stimulus, 77 + unit % 7) : 2.0F);
  }
  void write_store() const {
    ActSpec spec;
    spec.layers = layers();
    for (std::size_t i = 0; i < n; ++i) spec.stimulus_ids.push_back(id(i));
    spec.batch = 16;
    auto store = ActWriter::open(Comm(), folder / "act.h5", spec);
    std::vector<std::size_t> batches;
    for (std::size_t b = 0; b < store->batches(); ++b) {
      for (std::size_t l = 0; l < spec.layers.size(); ++l) {
        std::size_t const units = h5::volume(spec.layers[l].shape);
        std::vector<float> values(store->rows(b) * units);
        for (std::size_t i = 0; i < values.size(); ++i)
          values[i] = feature(l, store->first_row(b) + i / units, i % units);
        (void)store->write_batch(l, b, values.data());
      }
      batches.push_back(b);
    }
    store->flush();
    store->mark(batches);
    store->finish();
  }
  [[nodiscard]] float response(std::size_t voxel, std::size_t stimulus) const {
    std::size_t const layer = voxel < voxels / 2 ? 1 : 2, units = layer == 1 ? 10 : 180;
    double sum = 0;
    for (std::size_t u = 0; u < units; ++u) sum += feature(layer, stimulus, u) * noise(voxel, 5000 + u);
    return static_cast<float>(sum / std::sqrt(static_cast<double>(units)));
  }
  void write_responses() const {
    Affine affine{};
    affine[0] = {-2, 0, 0, 11}, affine[1] = {0, 2.5, 0, -7}, affine[2] = {0, 0, 3, 4};
    Space const space = make_nifti_space(grid, affine, ".nii.gz");
    std::vector<float> y, mask(voxels), labels(voxels);
    std::string table = "type=image\npath=.\ndata=stimID,session,part\n";
    for (std::size_t v = 0; v < volumes; ++v) {
      std::size_t const s = shown(v);
      table += fmt::format("{},{},{}\n", id(s), s % 4, s % 4 == 2 ? "test" : "train");
      for (std::size_t x = 0; x < voxels; ++x)
        y.push_back(x == 9 ? 3.0F : x == 17 && v == 5 ? std::nanf("") : 100 + response(x, s) + noise(v, 90000 + x));
    }
    for (std::size_t x = 0; x < voxels; ++x)
      mask[x] = x % 8 < 5 ? 1.0F : 0.0F, labels[x] = x < 40 ? 1.0F : x < 60 ? 0.0F : 4.0F;
    write_nifti(folder / "betas.nii.gz", space, y, volumes);
    write_nifti(folder / "mask.nii.gz", space, mask, 1);
    write_nifti(folder / "labels.nii.gz", space, labels, 1);
    write_atomically(folder / "images.stim.csv", table);
  }
  [[nodiscard]] static std::string yaml() {
    return "features: {store: act.h5}\n"
           "responses: {data: betas.nii.gz, mask: mask.nii.gz, stimuli: images.stim.csv}\n"
           "rois: {image: labels.nii.gz, names: {1: early, 4: late}}\n"
           "model: {alphas: {logspace: [0, 3, 4]}}\n"
           "cv: {folds: 3, inner: {folds: 3}}\n"
           "target_tile: 16\n"
           "output: out\n";
  }
};

/// A World that all ranks see, in a folder of this run.
struct SharedWorld {
  TempFolder folder;
  explicit SharedWorld(std::string const& name) : folder(shared_name(name), Comm::world().root()) {
    if (Comm::world().root()) World(folder.path);
    Comm::world().barrier();
  }
  ~SharedWorld() { Comm::world().barrier(); }
};

}  // namespace encode_test
