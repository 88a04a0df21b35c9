// The predict Job: the products that coefficients stand for, the same bits on any ranks and whatever else is predicted,
// scores against new responses, and what is refused.
#include "../unit/encode_common.hpp"

namespace striate {
std::unique_ptr<Job> make_predict();
}

using namespace encode_test;

namespace {

std::vector<std::size_t> some_stimuli() {
  std::vector<std::size_t> stimuli;
  for (std::size_t i = 0; i < 70; ++i) stimuli.push_back(200 + 3 * i);
  return stimuli;
}

/// A store of other stimuli with the layers of World, of which "wide" may be cut.
void write_store(fs::path const& file, std::vector<std::size_t> const& stimuli, std::size_t last_width = 3) {
  ActSpec spec;
  spec.layers = World::layers();
  spec.layers[2].shape[2] = last_width;
  spec.batch = 16;
  for (std::size_t s : stimuli) spec.stimulus_ids.push_back(World::id(s));
  auto store = ActWriter::open(Comm(), file, spec);
  std::vector<std::size_t> batches;
  for (std::size_t b = 0; b < store->batches(); ++b) {
    for (std::size_t l = 0; l < 3; ++l) {
      std::size_t const units = h5::volume(spec.layers[l].shape);
      std::vector<float> values(store->rows(b) * units);
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = World::feature(l, stimuli[store->first_row(b) + i / units], i % units);
      (void)store->write_batch(l, b, values.data());
    }
    batches.push_back(b);
  }
  store->flush();
  store->mark(batches);
  store->finish();
}

struct Place {
  TempFolder folder;
  Comm world = Comm::world();
  explicit Place(std::string const& name) : folder(shared_name(name), Comm::world().root()) {
    on_root([&] {
      World const w(folder.path);
      auto const stimuli = some_stimuli();
      write_store(folder / "new.h5", stimuli);
      write_store(folder / "few.h5", {stimuli[5], stimuli[40], stimuli[3]});
      Affine affine{};
      affine[0] = {-2, 0, 0, 11}, affine[1] = {0, 2.5, 0, -7}, affine[2] = {0, 0, 3, 4};
      std::vector<float> y;
      std::string table = "type=image\npath=.\ndata=stimID\n";
      for (std::size_t i = 70; i-- > 10;) {  // another order than the store's, and not all of it
        table += World::id(stimuli[i]) + "\n";
        for (std::size_t x = 0; x < w.voxels; ++x) y.push_back(100 + w.response(x, stimuli[i]));
      }
      write_nifti(folder / "new.nii.gz", make_nifti_space(w.grid, affine, ".nii.gz"), y, 60);
      write_atomically(folder / "new.stim.csv", table);
    });
  }
  ~Place() { world.barrier(); }
  void on_root(std::function<void()> const& f) const {
    if (world.root()) f();
    world.barrier();
  }
  /// An encode with coefficients, as NAME.yaml; `model`: its block.
  void encode(std::string const& name, std::string const& model, std::vector<std::string> const& lines = {}) const {
    std::string text = World::yaml();
    text.replace(text.find("output: out\n"), 12, "output: " + name + "\nsave: coefficients\n");
    text.replace(text.find("{alphas: {logspace: [0, 3, 4]}}"), 31, model);
    for (auto const& line : lines) text += line + "\n";
    on_root([&] { write_atomically(folder / (name + ".yaml"), text); });
    auto const done = run_encode(world, folder.path, text);
    ASSERT_EQ(done.code, Exit::ok) << done.message;
  }
  [[nodiscard]] Outcome predict(std::string const& text, Options const& o = {}, bool alone = false) const {
    return run_job(make_predict(), alone ? Comm() : world, folder / "predict.yaml", text, o);
  }
  [[nodiscard]] std::vector<double> get(std::string const& name, std::string const& dataset) const {
    return read(folder / name / "result.h5", dataset);
  }
};

std::string const truth = "responses: {data: new.nii.gz, stimuli: new.stim.csv}\n";

/// x · coef + intercept of target j, in double.
double product(std::vector<double> const& coef, std::vector<double> const& intercept, std::vector<std::size_t> const& layers,
               std::size_t stimulus, std::size_t j) {
  std::size_t const units[] = {12, 10, 180}, t = intercept.size();
  double sum = intercept[j];
  std::size_t row = 0;
  for (std::size_t l : layers)
    for (std::size_t u = 0; u < units[l]; ++u, ++row) {
      float x = World::feature(l, stimulus, u);
      if (l == 2) x = static_cast<float>(static_cast<_Float16>(x));
      sum += static_cast<double>(x) * coef[row * t + j];
    }
  return sum;
}

TEST(PredictRanks, IsWhatCoefficientsStandFor) {
  Place const place("predict_products");
  auto const stimuli = some_stimuli();
  struct Setting {
    char const* name;
    char const* model;
    std::vector<std::pair<std::string, std::vector<std::size_t>>> layers;
    char const* units;
    std::vector<std::string> lines;
  };
  std::vector<std::pair<std::string, std::vector<std::size_t>>> const three{{"a", {0}}, {"b", {1}}, {"wide", {2}}};
  for (Setting const& s :
       {Setting{"ridge", "{alphas: {logspace: [0, 3, 4]}}", three, "deviations", {}},
        Setting{"units", "{alphas: {logspace: [0, 3, 4]}}", three, "responses", {}},
        Setting{"univariate", "{type: univariate, sign: signed}", three, "responses", {}},
        Setting{"banded", "{type: banded_ridge, n_iter: 5}", {{"joint", {0, 1, 2}}}, "deviations", {}}}) {
    place.encode(s.name, s.model, s.lines);
    std::string const out = std::string("out_") + s.name;
    auto const done = place.predict(fmt::format("encode: {}.yaml\nfeatures: {{store: new.h5}}\nunits: {}\n{}output: {}\n",
                                                s.name, s.units, truth, out));
    ASSERT_EQ(done.code, Exit::ok) << done.message;
    auto const mean = place.get(s.name, "/targets/mean"), sd = place.get(s.name, "/targets/sd");
    std::size_t const t = mean.size();
    bool const back = std::string(s.units) == "responses";
    for (auto const& [layer, parts] : s.layers) {
      auto const coef = place.get(s.name, "/" + layer + "/coef"), intercept = place.get(s.name, "/" + layer + "/intercept"),
                 got = place.get(out, "/" + layer + "/prediction");
      ASSERT_EQ(got.size(), 70 * t);
      std::size_t without = 0;
      for (std::size_t j = 0; j < t; ++j) {
        without += std::isnan(got[j]) ? 1 : 0;
        for (std::size_t i = 0; i < 70; ++i) {
          double const want = product(coef, intercept, parts, stimuli[i], j);
          if (std::isnan(want))
            EXPECT_TRUE(std::isnan(got[i * t + j]));
          else
            EXPECT_NEAR(got[i * t + j], back ? want * sd[j] + mean[j] : want, back ? 3e-5 : 2e-6) << s.name << layer << j;
        }
      }
      EXPECT_EQ(without, 2U);  // a constant target and one that holds NaN
    }
  }
}

/// Two runs of new volumes, some stimuli in both; the same on any ranks, with a band that is not delayed beside.
TEST(PredictRanks, LooksBackWithinRuns) {
  Place const place("predict_delays");
  auto const stimuli = some_stimuli();
  std::vector<std::size_t> shown;
  place.on_root([&] {
    std::string table = "type=image\npath=.\ndata=stimID,run\n";
    for (std::size_t v = 0; v < 40; ++v) table += fmt::format("{},{}\n", World::id(v), v / 20);
    write_atomically(place.folder / "runs.stim.csv", table);
    std::vector<float> y;
    for (std::size_t v = 0; v < 40; ++v)
      for (std::size_t x = 0; x < 9; ++x) y.push_back(World::feature(1, v, x) + World::feature(0, v, x));
    write_npy(place.folder / "y.npy", y, {40, 9});
  });
  std::string table = "type=image\npath=.\ndata=stimID,run\n";
  for (std::size_t v = 0; v < 30; ++v) {
    shown.push_back(stimuli[v * 7 % 23]);
    table += fmt::format("{},{}\n", World::id(shown[v]), v < 13 ? "a" : "b");
  }
  std::string const fits =
      "features: [{name: x, store: act.h5, layers: b, delays: [2, 0]}, {name: z, store: act.h5, layers: a}]\n"
      "responses: {data: y.npy, stimuli: runs.stim.csv, run: run}\ncv: {group: run, inner: {folds: 2}}\n"
      "model: {type: banded_ridge, n_iter: 4, alphas: [1, 10]}\nsave: coefficients\noutput: fits\n";
  place.on_root([&] {
    write_atomically(place.folder / "fits.yaml", fits);
    write_atomically(place.folder / "new-runs.stim.csv", table);
  });
  auto const encoded = run_encode(place.world, place.folder.path, fits);
  ASSERT_EQ(encoded.code, Exit::ok) << encoded.message;
  std::string const yaml =
      "encode: fits.yaml\nfeatures: [{name: x, store: new.h5, stimuli: new-runs.stim.csv}, "
      "{name: z, store: new.h5}]\nrun: run\nunits: deviations\noutput: many\n";
  auto const done = place.predict(yaml);
  ASSERT_EQ(done.code, Exit::ok) << done.message;
  auto const coef = place.get("fits", "joint/coef"), intercept = place.get("fits", "joint/intercept"),
             got = place.get("many", "joint/prediction");
  ASSERT_EQ(coef.size(), (2 * 10 + 12) * 9U);
  ASSERT_EQ(got.size(), 30 * 9U);
  for (std::size_t v = 0; v < 30; ++v)
    for (std::size_t j = 0; j < 9; ++j) {
      double want = intercept[j];
      for (std::size_t u = 0; u < 10; ++u) {
        if (v >= (v < 13 ? 2U : 15U)) want += World::feature(1, shown[v - 2], u) * coef[u * 9 + j];
        want += World::feature(1, shown[v], u) * coef[(10 + u) * 9 + j];
      }
      for (std::size_t u = 0; u < 12; ++u) want += World::feature(0, shown[v], u) * coef[(20 + u) * 9 + j];
      EXPECT_NEAR(got[v * 9 + j], want, 2e-5) << v << " " << j;
    }
  if (place.world.root()) {
    auto const alone = place.predict(yaml, {.sets = {"output=alone"}}, true);
    ASSERT_EQ(alone.code, Exit::ok) << alone.message;
    auto const same = place.get("alone", "joint/prediction");
    EXPECT_EQ(std::memcmp(same.data(), got.data(), got.size() * sizeof(double)), 0);
  }
  place.world.barrier();
}

TEST(PredictRanks, ScoresAreThoseOfThePredictions) {
  Place const place("predict_scores");
  place.encode("fits", "{alphas: {logspace: [0, 3, 4]}}", {});
  auto const yaml = [](char const* units) {
    return fmt::format("encode: fits.yaml\nfeatures: {{store: new.h5}}\nscores: [spearman, pearson, r2, mse]\nunits: {}\n{}output: {}\n",
                       units, truth, units);
  };
  for (char const* units : {"responses", "deviations"}) {
    auto const done = place.predict(yaml(units));
    ASSERT_EQ(done.code, Exit::ok) << done.message;
  }
  auto const index = place.get("responses", "/targets/index"), predicted = place.get("responses", "/b/prediction"),
             pearson = place.get("responses", "/b/score/pearson"), r2 = place.get("responses", "/b/score/r2"),
             mse = place.get("responses", "/b/score/mse"), sd = place.get("fits", "/targets/sd");
  std::size_t const t = index.size();
  TempFolder const own("predict_world_" + std::to_string(getpid()));
  World const w(own.path);
  auto const stimuli = some_stimuli();
  std::size_t good = 0;
  for (std::size_t j = 0; j < t; ++j) {
    if (std::isnan(sd[j])) {
      EXPECT_TRUE(std::isnan(pearson[j]));
      continue;
    }
    double f = 0, ff = 0, y = 0, yy = 0, fy = 0, rest = 0;
    for (std::size_t i = 10; i < 70; ++i) {
      auto const value = static_cast<double>(100 + w.response(index[j], stimuli[i]));
      double const guess = predicted[i * t + j];
      f += guess / 60, y += value / 60;
      rest += (value - guess) * (value - guess);
    }
    for (std::size_t i = 10; i < 70; ++i) {
      double const a = 100 + w.response(index[j], stimuli[i]) - y, b = predicted[i * t + j] - f;
      ff += b * b, yy += a * a, fy += a * b;
    }
    EXPECT_NEAR(pearson[j], fy / std::sqrt(ff * yy), 1e-4);
    EXPECT_NEAR(r2[j], 1 - rest / yy, 1e-4 * std::max(1.0, rest / yy));
    EXPECT_NEAR(mse[j], rest / 60, 1e-4 * rest / 60 + 1e-5);
    EXPECT_NEAR(place.get("deviations", "/b/score/mse")[j], mse[j] / sd[j] / sd[j], 1e-9);
    good += index[j] < 60 && pearson[j] > 0.7 ? 1 : 0;
  }
  EXPECT_GT(good, 25U);  // those that read out layer b
  for (char const* name : {"spearman", "pearson", "r2"})
    EXPECT_EQ(std::memcmp(place.get("responses", std::string("/b/score/") + name).data(),
                          place.get("deviations", std::string("/b/score/") + name).data(), t * 8), 0);
  EXPECT_TRUE(fs::exists(place.folder / "responses/maps/layer-b_stat-pearson.nii.gz"));
  EXPECT_NE(read_text(place.folder / "responses/summary.tsv").find("wide\tmse"), std::string::npos);
}

TEST(PredictRanks, BitsDependOnNothingElse) {
  Place const place("predict_bits");
  place.encode("fits", "{alphas: {logspace: [0, 3, 4]}}", {});
  std::string const yaml = "encode: fits.yaml\nfeatures: {store: new.h5}\n" + truth + "output: all\n";
  ASSERT_EQ(place.predict(yaml).code, Exit::ok);
  place.on_root([&] {
    EXPECT_EQ(place.predict(yaml, {.sets = {"output=alone"}, .threads = 3}, true).code, Exit::ok);
    expect_same(place.folder / "all", place.folder / "alone");
  });
  // A stimulus among few or many.
  ASSERT_EQ(place.predict("encode: fits.yaml\nfeatures: {store: few.h5}\noutput: few\n").code, Exit::ok);
  for (char const* layer : {"/a/prediction", "/b/prediction", "/wide/prediction"}) {
    auto const all = place.get("all", layer), few = place.get("few", layer);
    std::size_t const t = few.size() / 3, rows[] = {5, 40, 3};
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_EQ(std::memcmp(few.data() + i * t, all.data() + rows[i] * t, t * 8), 0) << layer;
  }
  // Stopped at once, then resumed; and a finished output has nothing to do.
  StopFlag stop(false);
  stop.request();
  EXPECT_FALSE(place.predict(yaml, {.sets = {"output=stopped"}, .stop = &stop}).finished);
  EXPECT_TRUE(place.predict(yaml, {.sets = {"output=stopped"}}).finished);
  EXPECT_TRUE(place.predict(yaml, {.sets = {"output=stopped"}}).finished);
  place.on_root([&] { expect_same(place.folder / "all", place.folder / "stopped"); });
}

TEST(PredictRanks, Refusals) {
  Place const place("predict_refusals");
  place.encode("fits", "{alphas: {logspace: [0, 3, 4]}}", {});
  place.on_root([&] {
    std::string plain = read_text(place.folder / "fits.yaml"), other = plain + "seed: 4\n";
    plain.replace(plain.find("save: coefficients\n"), 19, "");
    write_atomically(place.folder / "plain.yaml", plain);
    write_atomically(place.folder / "other.yaml", other);
    other.replace(other.find("output: fits"), 12, "output: none");
    write_atomically(place.folder / "unrun.yaml", other);
    write_store(place.folder / "narrow.h5", some_stimuli(), 2);
    Affine const affine{};
    write_nifti(place.folder / "small.nii.gz", make_nifti_space({3, 5, 4}, affine), std::vector<float>(60 * 60, 1.0F), 60);
    write_atomically(place.folder / "strange.stim.csv", "type=image\npath=.\ndata=stimID\n" + [] {
      std::string rows;
      for (int i = 0; i < 60; ++i) rows += fmt::format("no{}.png\n", i);
      return rows;
    }());
  });
  auto const refused = [&](std::string const& text, Exit code, std::string const& word) {
    auto const out = place.predict(text + "output: x\n");
    EXPECT_EQ(static_cast<int>(out.code), static_cast<int>(code)) << text << out.message;
    EXPECT_NE(out.message.find(word), std::string::npos) << out.message;
    EXPECT_FALSE(fs::exists(place.folder / "x/result.h5"));
  };
  std::string const store = "features: {store: new.h5}\n", fits = "encode: fits.yaml\n";
  refused("encode: none.yaml\n" + store, Exit::no_input, "none.yaml");
  refused("encode: plain.yaml\n" + store, Exit::config, "save: coefficients");
  refused("encode: other.yaml\n" + store, Exit::cant_create, "seed differs");
  refused("encode: unrun.yaml\n" + store, Exit::no_input, "run striate encode");
  refused(fits + "features: {store: gone.h5}\n", Exit::no_input, "features.store");
  refused(fits + "features: {store: narrow.h5}\n", Exit::data, "has 120 units, but the encode was fitted to 180");
  refused(fits + "features: [{name: x, store: new.h5}, {name: y, store: new.h5}]\n", Exit::config, "the encode has 1");
  refused(fits + store + "responses: {data: new.nii.gz}\n", Exit::data, "responses.stimuli");
  refused(fits + store + "responses: {data: new.nii.gz, stimuli: strange.stim.csv}\n", Exit::data, "lacks 60");
  refused(fits + store + "responses: {data: new.nii.gz, stimuli: new.stim.csv, mask: labels.nii.gz}\n", Exit::data, "the mask");
  refused(fits + store + "scores: [r2, r2]\n", Exit::config, "stands twice");
  auto const little = place.predict(fits + store + "output: x\n", {.memory = 1e5});
  EXPECT_EQ(little.code, Exit::limit);
  EXPECT_NE(little.message.find("raise memory"), std::string::npos) << little.message;
}

}  // namespace
