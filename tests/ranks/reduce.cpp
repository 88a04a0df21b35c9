// `striate reduce` as a job: values against the stages' own, the same bits at any number of ranks and threads,
// resuming, messages.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>

#include "../../src/commands/reduce.hpp"
#include "../unit/encode_common.hpp"
#include "striate/store/reduction_file.hpp"

namespace {
using namespace striate;
using namespace encode_test;

constexpr std::size_t stimuli = 60;
struct Layer {
  char const* name;
  LayerShape shape;
};
std::vector<Layer> const layers{{"conv", {{6, 3, 2}, "channel row column"}},
                                {"fc", {{90, 1, 1}, "feature row column"}},
                                {"tokens", {{3, 8}, "token feature"}}};

/// Of few directions and some noise.
float activation(std::size_t layer, std::size_t stimulus, std::size_t unit) {
  double value = 0.1 * std::sin(static_cast<double>(1 + 977 * stimulus + 131 * unit * unit + layer));
  for (std::size_t k = 1; k < 9; ++k)
    value += std::sin(static_cast<double>(stimulus * k * k + 7 * k)) * std::cos(static_cast<double>(unit * k + layer)) /
             static_cast<double>(k);
  return static_cast<float>(value);
}

/// A store of three layers whose row 7 was skipped, and a list with the column `half`.
class Reduce : public ::testing::Test {
 protected:
  Reduce() : folder_(shared_name("reduce"), Comm::world().root()) {
    Comm const comm = Comm::world();
    comm.barrier();
    if (comm.root()) make();
    comm.barrier();
  }
  ~Reduce() override { Comm::world().barrier(); }

  void make(std::string const& network = "tiny", std::string const& preprocessing = "{}") {
    ActSpec spec;
    for (auto const& l : layers) spec.layers.push_back({l.name, l.shape.shape, l.shape.axes});
    std::string list = "type=image\npath=.\ndata=stimID,half\n";
    for (std::size_t s = 0; s < stimuli; ++s) {
      spec.stimulus_ids.push_back("s" + std::to_string(s));
      list += "s" + std::to_string(s) + (s % 3 == 0 ? ",test\n" : ",train\n");
    }
    write("images.stim.csv", list);
    spec.batch = 7;
    spec.attributes = {{"network", network}, {"preprocessing", preprocessing}};
    auto const store = ActWriter::open(Comm(), folder_ / "act.h5", spec);
    for (std::size_t b = 0; b < store->batches(); ++b) {
      for (std::size_t l = 0; l < layers.size(); ++l) {
        std::vector<float> values;
        for (std::size_t r = 0; r < store->rows(b); ++r)
          for (std::size_t u = 0; u < layers[l].shape.units(); ++u) {
            std::size_t const s = store->first_row(b) + r;
            values.push_back(s == 7 ? std::numeric_limits<float>::quiet_NaN() : activation(l, s, u));
          }
        store->write_batch(l, b, values.data());
      }
      std::size_t const done[] = {b};
      store->flush(), store->mark(done);
    }
    store->finish();
  }

  void write(std::string const& name, std::string const& text) { std::ofstream(folder_ / name) << text; }
  Outcome run(std::vector<std::string> const& sets, Options o = {}, Comm const& comm = Comm::world()) {
    o.sets = sets;
    return run_job(make_reduce(), comm, folder_ / "reduce.yaml",
                   "features: {store: act.h5, stimuli: images.stim.csv}\noutput: out.act.h5\n", o);
  }
  std::vector<float> values(std::string const& file, std::string const& layer) {
    return h5::File::open(folder_ / file).dataset(layer).read<float>();
  }

  /// Each row of the store is what the saved stage makes of it.
  void expect_stage(std::string const& out, std::string const& model) {
    for (std::size_t l = 0; l < layers.size(); ++l) {
      auto const stage = saved_stage(folder_ / model, layers[l].name, layers[l].shape);
      auto const got = values(out, layers[l].name);
      std::size_t const units = layers[l].shape.units(), width = stage->output().units();
      ASSERT_EQ(got.size(), stimuli * width);
      std::vector<float> x(units), y(width);
      for (std::size_t s = 0; s < stimuli; ++s) {
        if (s == 7) {
          EXPECT_TRUE(std::isnan(got[s * width]));
          continue;
        }
        for (std::size_t u = 0; u < units; ++u) x[u] = activation(l, s, u);
        stage->apply(x.data(), 1, y.data());
        ASSERT_EQ(0, std::memcmp(y.data(), &got[s * width], width * 4)) << layers[l].name << " row " << s;
      }
    }
  }

  TempFolder folder_;
};

std::vector<std::vector<std::string>> const methods{
    {"method=pca", "components=5"},
    {"method=pca", "components=0.8", "whiten=true", "fit={half: train}"},
    {"method=pca", "components=3", "axis=channel"},
    {"method=pca", "components=0.9", "axis=position"},
    {"method=randomized_pca", "components=4", "oversample=6", "iterations=3"},
    {"method=incremental_pca", "components=4", "batch=17"},
    {"method=gaussian", "components=20", "seed=3"},
    {"method=sparse", "components=20", "density=0.2"},
    {"method=hist", "components=5", "axis=channel"},
    {"method=hist", "components=4", "range=common", "fit={half: train}"},
    {"method=psd", "components=4"},
    {"method=zscore"},
    {"method=zscore", "each=channel"},
    {"method=zscore", "each=stimulus"}};

/// The fit itself: variances of what comes out are those that were saved; only the rows asked for count.
TEST_F(Reduce, FitsOnTheRowsAskedFor) {
  ASSERT_TRUE(run({"method=pca", "components=4", "fit={half: train}"}).finished);
  if (!Comm::world().root()) return;
  auto const y = values("out.act.h5", "fc");
  auto const saved = read_reduction(folder_ / "out.pca.h5", "fc");
  double sum[4] = {}, squares[4] = {}, n = 0;
  for (std::size_t s = 0; s < stimuli; ++s) {
    if (s == 7 || s % 3 == 0) continue;
    ++n;
    for (std::size_t k = 0; k < 4; ++k) {
      auto const v = static_cast<double>(y[s * 4 + k]);
      sum[k] += v, squares[k] += v * v;
    }
  }
  EXPECT_EQ(saved.fits[0].samples, static_cast<std::size_t>(n));
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_NEAR(sum[k] / n, 0, 1e-5);
    EXPECT_NEAR(squares[k] / (n - 1) / saved.fits[0].variance[k], 1, 1e-5);
  }
}

/// Means 0 and deviations 1 of what was asked for; counts that add up.
TEST_F(Reduce, ZScoresAndHistogramsOverStimuli) {
  ASSERT_TRUE(run({"method=zscore", "each=channel", "features.layers=conv"}).finished);
  ASSERT_TRUE(run({"method=hist", "components=6", "range=common", "features.layers=conv", "output=h.act.h5"}).finished);
  if (!Comm::world().root()) return;
  auto const z = values("out.act.h5", "conv"), h = values("h.act.h5", "conv");
  for (std::size_t c = 0; c < 6; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t s = 0; s < stimuli; ++s)
      for (std::size_t u = 0; u < 6 && s != 7; ++u) {
        auto const v = static_cast<double>(z[s * 36 + c * 6 + u]);
        sum += v, squares += v * v;
      }
    EXPECT_NEAR(sum / 354, 0, 1e-5);
    EXPECT_NEAR(squares / 354, 1, 1e-5);
  }
  double low = 1e9, high = -1e9;
  for (std::size_t s = 0; s < stimuli; ++s)
    for (std::size_t u = 0; u < 36 && s != 7; ++u) {
      low = std::min(low, static_cast<double>(activation(0, s, u)));
      high = std::max(high, static_cast<double>(activation(0, s, u)));
    }
  auto const saved = read_reduction(folder_ / "h.fit.h5", "conv");
  EXPECT_EQ(saved.ranges, (std::vector<double>{low, high}));
  for (std::size_t s = 0; s < stimuli; ++s) {
    double sum = 0;
    for (std::size_t b = 0; b < 6; ++b) sum += static_cast<double>(h[s * 6 + b]);
    if (s != 7) EXPECT_EQ(sum, 36);
  }
}

TEST_F(Reduce, TheSameBitsAtAnyNumberOfRanksAndThreads) {
  for (auto const& method : methods) {
    auto many = method, one = method;
    many.push_back("output=many.act.h5"), one.push_back("output=one.act.h5");
    std::string const only = method.back() == "axis=position" ? "features.layers=conv" : "features.layers=all";
    many.push_back(only), one.push_back(only);
    auto const done = run(many, {.threads = 3, .fresh = true});
    ASSERT_TRUE(done.finished) << method[0] << ": " << done.message;
    if (!Comm::world().root()) continue;
    bool const random = method[0] == "method=gaussian" || method[0] == "method=sparse";
    bool const pca = method[0].find("pca") != std::string::npos;
    if (only == "features.layers=all")
      expect_stage("many.act.h5", random ? "many.proj.h5" : pca ? "many.pca.h5" : "many.fit.h5");
    ActReader const store((folder_ / "many.act.h5").string());
    EXPECT_EQ(store.ids()[59], "s59");
    EXPECT_EQ(store.attribute("network"), "tiny");
    EXPECT_EQ(store.first_damage(), "");
    for (auto const& entry : fs::directory_iterator(folder_.path))
      EXPECT_EQ(entry.path().filename().string().find(".layer-"), std::string::npos) << "a part was left";
    ASSERT_TRUE(run(one, {.fresh = true}, Comm::self()).finished);
    for (auto const& l : layers) {
      if (only == "features.layers=conv" && std::string(l.name) != "conv") continue;
      auto const a = values("many.act.h5", l.name), b = values("one.act.h5", l.name);
      ASSERT_EQ(a.size(), b.size());
      EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * 4)) << l.name << " " << method[0];
    }
  }
}

TEST_F(Reduce, SortsStimuliAndUnits) {
  for (std::string const method : {"kmeans", "hierarchical"})
    for (std::string const what : {"stimuli", "units"})
      for (std::string const metric : {"euclidean", "correlation"}) {
        std::vector<std::string> const sets{"method=" + method, "components=3", "cluster=" + what, "metric=" + metric,
                                            "features.layers=fc"};
        auto many = sets, one = sets;
        many.push_back("output=many.h5"), one.push_back("output=one.h5");
        auto const done = run(many, {.threads = 2, .fresh = true});
        ASSERT_TRUE(done.finished) << done.message;
        if (!Comm::world().root()) continue;
        ASSERT_TRUE(run(one, {.fresh = true}, Comm::self()).finished);
        ASSERT_TRUE(run(one, {}, Comm::self()).finished);  // nothing to do
        auto const a = h5::File::open(folder_ / "many.h5"), b = h5::File::open(folder_ / "one.h5");
        auto const labels = a.dataset("fc/label").read<std::int32_t>();
        EXPECT_EQ(labels, b.dataset("fc/label").read<std::int32_t>());
        EXPECT_EQ(labels.size(), what == "units" ? 90U : 60U);
        EXPECT_EQ(*std::ranges::max_element(labels), 3);
        EXPECT_EQ(*std::ranges::min_element(labels), what == "units" ? 1 : 0);
        if (what == "stimuli") EXPECT_EQ(labels[7], 0);  // skipped
        std::string const numbers = method == "kmeans" ? "fc/centre" : "fc/linkage";
        EXPECT_EQ(a.dataset(numbers).read<double>(), b.dataset(numbers).read<double>());
        std::ifstream table(folder_ / "many.tsv");
        std::string line;
        std::getline(table, line);
        EXPECT_EQ(line, what == "units" ? "layer\tunit\tcluster" : "stimulus\tfc");
        std::getline(table, line);
        if (what == "units") EXPECT_EQ(line, "fc\t1\t" + std::to_string(labels[0]));
      }
}

/// Points without a direction have no correlation with anything: they are in no cluster, and the others are sorted as
/// if they were not there.
TEST_F(Reduce, LeavesOutWhatHasNoDirection) {
  constexpr std::size_t rows = 12, units = 9;
  auto const dead = [](std::size_t unit) { return unit == 0 || unit == 4 || unit == 8; };
  auto const make_store = [&](char const* file, bool with_dead, bool only_dead) {
    ActSpec spec;
    spec.layers.push_back({"fc", {with_dead ? units : units - 3, 1, 1}, "feature row column"});
    for (std::size_t s = 0; s < rows; ++s) spec.stimulus_ids.push_back("s" + std::to_string(s));
    spec.batch = rows;
    auto const store = ActWriter::open(Comm(), folder_ / file, spec);
    std::vector<float> x;
    for (std::size_t s = 0; s < rows; ++s)
      for (std::size_t u = 0; u < units; ++u)
        if (only_dead || dead(u)) {
          if (with_dead) x.push_back(0.1F);
        } else {
          x.push_back(activation(1, s, u));
        }
    store->write_batch(0, 0, x.data());
    std::size_t const done[] = {0};
    store->flush(), store->mark(done), store->finish();
  };
  if (Comm::world().root()) {
    make_store("dead.h5", true, false), make_store("live.h5", false, false), make_store("none.h5", true, true);
  }
  Comm::world().barrier();
  for (std::string const method : {"kmeans", "hierarchical"}) {
    auto const sets = [&](std::string const& store) -> std::vector<std::string> {
      return {"method=" + method, "components=3",          "cluster=units",           "metric=correlation",
              "linkage=average",  "features.stimuli=null", "features.store=" + store, "output=of_" + store};
    };
    auto with = sets("dead.h5"), without = sets("live.h5"), none = sets("none.h5");
    if (method == "kmeans")
      for (auto* s : {&with, &without, &none}) s->erase(s->begin() + 4);
    auto const done = run(with, {.threads = 2, .fresh = true});
    ASSERT_TRUE(done.finished) << done.message;
    ASSERT_TRUE(run(without, {.fresh = true}).finished);
    auto const refused = run(none, {.fresh = true});
    EXPECT_EQ(refused.code, Exit::data);
    EXPECT_NE(refused.message.find("9 of 9 units are constant (first: unit 0)"), std::string::npos) << refused.message;
    if (!Comm::world().root()) continue;
    auto const a = h5::File::open(folder_ / "of_dead.h5"), b = h5::File::open(folder_ / "of_live.h5");
    auto const labels = a.dataset("fc/label").read<std::int32_t>(), live = b.dataset("fc/label").read<std::int32_t>();
    ASSERT_EQ(labels.size(), units);
    for (std::size_t u = 0, i = 0; u < units; ++u) EXPECT_EQ(labels[u], dead(u) ? 0 : live[i++]) << method << " " << u;
    EXPECT_EQ(a.dataset("fc/left_out").read<std::int32_t>(), (std::vector<std::int32_t>{0, 4, 8}));
    std::string const numbers = method == "kmeans" ? "fc/centre" : "fc/linkage";
    EXPECT_EQ(a.dataset(numbers).read<double>(), b.dataset(numbers).read<double>());
    std::ifstream table(folder_ / "of_dead.tsv");
    std::string line;
    std::getline(table, line), std::getline(table, line);
    EXPECT_EQ(line, "fc\t1\tn/a");
  }
}

TEST_F(Reduce, AppliesASavedModelToOtherStimuli) {
  ASSERT_TRUE(run({"method=pca", "components=5", "fit={half: train}", "model=train.pca.h5"}).finished);
  ASSERT_TRUE(run({"apply=train.pca.h5", "output=again.act.h5"}).finished);
  auto const refused = run({"apply=train.pca.h5", "features.layers=[fc7]", "output=b.act.h5"});
  EXPECT_EQ(refused.code, Exit::data) << refused.message;
  if (!Comm::world().root()) return;
  for (auto const& l : layers) {
    auto const a = values("out.act.h5", l.name), b = values("again.act.h5", l.name);
    EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * 4));
  }
}

TEST_F(Reduce, ResumesAndRefusesAnotherConfig) {
  std::vector<std::string> const method{"method=pca", "components=5"};
  auto const with = [&](std::string const& more) {
    auto sets = method;
    sets.push_back(more);
    return sets;
  };
  StopFlag stop(false);
  stop.request();
  Options halted;
  halted.stop = &stop;
  EXPECT_FALSE(run(method, halted).finished);  // during the fit
  StopFlag later(false);
  Options cut;
  cut.stop = &later;
  cut.when = 5, cut.at = [&] { later.request(); };
  EXPECT_FALSE(run(method, cut).finished);
  auto const done = run(method);
  ASSERT_TRUE(done.finished) << done.message;
  ASSERT_TRUE(run(with("output=whole.act.h5")).finished);
  if (Comm::world().root())
    for (auto const& l : layers)
      EXPECT_TRUE(values("out.act.h5", l.name).size() == values("whole.act.h5", l.name).size() &&
                  std::memcmp(values("out.act.h5", l.name).data(), values("whole.act.h5", l.name).data(), 5 * 4 * 6) ==
                      0);
  auto const other = run({"method=pca", "components=4"});
  EXPECT_EQ(other.code, Exit::cant_create);
  EXPECT_NE(other.message.find("components"), std::string::npos) << other.message;
  auto const model = run({"method=pca", "components=4", "output=c.act.h5", "model=out.pca.h5"});
  EXPECT_EQ(model.code, Exit::cant_create);
  EXPECT_NE(model.message.find("model: "), std::string::npos) << model.message;
  EXPECT_TRUE(run(method).finished);  // complete: nothing to do
}

TEST_F(Reduce, KMeansStopsBetweenItsPasses) {
  std::vector<std::string> const sets{"method=kmeans", "components=3", "starts=10", "features.layers=fc", "output=k.h5"};
  StopFlag stop(false);
  Options cut;
  cut.stop = &stop, cut.when = 20, cut.at = [&] { stop.request(); };  // two runs load the points
  EXPECT_FALSE(run(sets, cut).finished);
  EXPECT_TRUE(stop.requested());
  EXPECT_FALSE(fs::exists(folder_ / "k.h5"));
  EXPECT_TRUE(run(sets).finished);
}

/// What plans count: a fit of each thread, panels as they are taken, the entries of sparse projections.
TEST_F(Reduce, PlansWhatItHolds) {
  constexpr double read = 96 << 20;
  auto const planned = [&](std::vector<std::string> const& sets, Options o) {
    o.only_plan = true;
    return run(sets, o, Comm::self());
  };
  if (!Comm::world().root()) return;
  std::vector<std::string> const parts{"method=pca", "components=3", "axis=position", "features.layers=conv"};
  double const one = planned(parts, {.threads = 1}).plan.memory_per_rank;
  double const four = planned(parts, {.threads = 4}).plan.memory_per_rank;
  double const gram = exact_pca_bytes(stimuli - 1, 6, {.count = 3});
  EXPECT_GE(one, read + gram);
  EXPECT_GE(four - one, 3 * gram);
  EXPECT_EQ(planned(parts, {.threads = 64}).plan.memory_per_rank, planned(parts, {.threads = 6}).plan.memory_per_rank);
  auto const refused = planned(parts, {.threads = 4, .memory = one + 1e5});
  EXPECT_EQ(refused.code, Exit::limit);
  EXPECT_NE(refused.message.find("fewer threads"), std::string::npos) << refused.message;

  auto const of = [&](char const* method) {
    return planned({std::string("method=") + method, "components=80", "features.layers=fc"}, {}).plan.memory_per_rank;
  };
  double const dense = of("gaussian");
  double const sparse = planned({"method=sparse", "components=80", "density=0.05", "features.layers=fc"}, {})
                            .plan.memory_per_rank;
  EXPECT_GE(sparse - dense, 4 * 0.05 * 90 * 80);

  constexpr std::size_t rows = 3000, units = 40;  // a panel has all rows
  ActSpec spec;
  spec.layers.push_back({"fc", {units, 1, 1}, "feature row column"});
  for (std::size_t s = 0; s < rows; ++s) spec.stimulus_ids.push_back("s" + std::to_string(s));
  spec.batch = rows;
  auto const store = ActWriter::open(Comm(), folder_ / "tall.h5", spec);
  std::vector<float> const x(rows * units, 1.0F);
  store->write_batch(0, 0, x.data());
  std::size_t const done[] = {0};
  store->flush(), store->mark(done), store->finish();
  for (std::string const method : {"zscore", "randomized_pca", "hist"}) {
    std::vector<std::string> sets{"method=" + method, "features.store=tall.h5", "features.stimuli=null"};
    if (method != "zscore") sets.emplace_back("components=4");
    if (method == "hist") sets.emplace_back("range=common");
    double const held = method == "randomized_pca" ? randomized_pca_bytes(rows, units, 14) + 4 * 40 * 6 : 2 * 64 * units;
    EXPECT_EQ(planned(sets, {.memory = read + held + 2 * 4 * rows * units * 0.9}).code, Exit::limit) << method;
    auto const enough = planned(sets, {.memory = read + held + 2 * 4 * rows * units * 1.01});
    EXPECT_EQ(enough.code, Exit::ok) << method << ": " << enough.message;
  }
}

/// A job that was killed when the model was written, its parts not yet removed.
TEST_F(Reduce, RemovesPartsThatWereLeft) {
  std::vector<std::string> const method{"method=pca", "components=5"};
  ASSERT_TRUE(run(method).finished);
  if (Comm::world().root()) {
    fs::remove(folder_ / "out.act.h5");
    write(".out.pca.h5.layer-0", "left"), write(".out.pca.h5.layer-11", "left"), write(".other.pca.h5.layer-0", "other");
  }
  Comm::world().barrier();
  ASSERT_TRUE(run(method).finished);
  EXPECT_FALSE(fs::exists(folder_ / ".out.pca.h5.layer-0"));
  EXPECT_FALSE(fs::exists(folder_ / ".out.pca.h5.layer-11"));
  EXPECT_TRUE(fs::exists(folder_ / ".other.pca.h5.layer-0"));
}

TEST_F(Reduce, NeverWritesOverWhatItReads) {
  if (Comm::world().root()) fs::copy_file(folder_ / "images.stim.csv", folder_ / "fit.stim.csv");
  Comm::world().barrier();
  ASSERT_TRUE(run({"method=pca", "components=2", "model=m.pca.h5"}).finished);
  std::vector<std::vector<std::string>> const cases{
      {"method=pca", "components=2", "output=act.h5"},
      {"method=pca", "components=2", "output=act.h5", "features.store=act.h5:/fc"},
      {"method=pca", "components=2", "output=new.act.h5", "model=act.h5"},
      {"method=pca", "components=2", "output=new.act.h5", "model=fit.stim.csv", "fit=fit.stim.csv"},
      {"method=pca", "components=2", "output=new.act.h5", "model=new.act.h5"},
      {"apply=m.pca.h5", "output=m.pca.h5"},
      {"method=kmeans", "components=2", "output=images.stim.csv"},
  };
  for (auto const& sets : cases) {
    auto const done = run(sets, {.fresh = true});
    EXPECT_EQ(done.code, Exit::config) << sets.back() << ": " << done.message;
    EXPECT_NE(done.message.find("is also "), std::string::npos) << sets.back() << ": " << done.message;
  }
  if (!Comm::world().root()) return;
  EXPECT_EQ(ActReader((folder_ / "act.h5").string()).first_damage(), "");
  EXPECT_NO_THROW((void)read_reduction_file(folder_ / "m.pca.h5"));
}

TEST_F(Reduce, ProjectsNoLayerToMoreThanItHas) {
  auto const done = run({"method=sparse", "components=30"});
  ASSERT_TRUE(done.finished) << done.message;
  auto const again = run({"apply=out.proj.h5", "output=again.act.h5"});
  ASSERT_TRUE(again.finished) << again.message;
  bool listed = false;
  for (auto const& [what, text] : again.plan.lines)
    listed = listed || (what == "layer tokens" && text.starts_with("24 units → 24, "));
  EXPECT_TRUE(listed);
  EXPECT_EQ(again.plan.bytes_written, 60 * (30 + 30 + 24) * 4);
  if (!Comm::world().root()) return;
  EXPECT_EQ(h5::File::open(folder_ / "out.act.h5").dataset("tokens").shape(), (h5::Shape{60, 3, 8}));
  EXPECT_EQ(h5::File::open(folder_ / "out.act.h5").dataset("fc").shape(), (h5::Shape{60, 30, 1, 1}));
  expect_stage("out.act.h5", "out.proj.h5");
  auto const kept = values("again.act.h5", "tokens"), before = values("act.h5", "tokens");
  EXPECT_EQ(0, std::memcmp(kept.data(), before.data(), 7 * 24 * 4));
}

TEST_F(Reduce, AsksWhatAModelWasFittedOn) {
  ASSERT_TRUE(run({"method=pca", "components=2", "model=m.pca.h5"}).finished);
  ASSERT_TRUE(run({"method=gaussian", "components=2", "model=m.proj.h5", "output=p.act.h5"}).finished);
  if (Comm::world().root()) {
    fs::remove(folder_ / "act.h5");
    make("other", "{}");
  }
  Comm::world().barrier();
  auto const other = run({"apply=m.pca.h5", "output=b.act.h5"});
  EXPECT_EQ(other.code, Exit::data);
  EXPECT_NE(other.message.find("apply: m.pca.h5 was fitted on another network: tiny, but here it is other"),
            std::string::npos)
      << other.message;
  EXPECT_TRUE(run({"apply=m.proj.h5", "output=b.act.h5"}).finished);
  Comm::world().barrier();
  if (Comm::world().root()) {
    fs::remove(folder_ / "act.h5");
    make("tiny", "{\"resize\":1}");
  }
  Comm::world().barrier();
  EXPECT_TRUE(run({"apply=m.pca.h5", "output=c.act.h5"}).finished);  // with a warning
}

TEST_F(Reduce, ReplacesNoFileOfAnother) {
  if (Comm::world().root())
    for (auto const* name : {"mine.tsv", "data.h5", "notes.pca.h5"}) write(name, "mine");
  Comm::world().barrier();
  std::vector<std::vector<std::string>> const cases{
      {"method=kmeans", "components=2", "output=mine.h5"},
      {"method=kmeans", "components=2", "output=data.h5"},
      {"method=pca", "components=2", "output=x.act.h5", "model=notes.pca.h5"},
      {"method=pca", "components=2", "output=data.h5"},
  };
  for (bool const fresh : {false, true})
    for (auto const& sets : cases) {
      auto const done = run(sets, {.fresh = fresh});
      EXPECT_EQ(done.code, Exit::cant_create) << sets.back() << ": " << done.message;
      EXPECT_NE(done.message.find("not written by striate"), std::string::npos) << done.message;
    }
  if (!Comm::world().root()) return;
  for (auto const* name : {"mine.tsv", "data.h5", "notes.pca.h5"}) EXPECT_EQ(fs::file_size(folder_ / name), 4U) << name;
}

TEST_F(Reduce, BadInput) {
  struct Case {
    std::vector<std::string> sets;
    Exit code;
    char const* part;
  };
  if (Comm::world().root()) {
    write("other.stim.csv", "type=image\npath=.\ndata=stimID\nq1\n");
    write("text.pca.h5", "text");
  }
  Comm::world().barrier();
  Case const cases[] = {
      {{"components=5"}, Exit::config, "method: is missing"},
      {{"method=pca"}, Exit::config, "components: pca needs it"},
      {{"method=pcs", "components=5"}, Exit::config, "pca"},
      {{"method=pca", "components=0"}, Exit::config, "components"},
      {{"method=pca", "components=1.5"}, Exit::config, "whole number"},
      {{"method=pca", "components=auto"}, Exit::config, "auto is for projections"},
      {{"method=gaussian", "components=0.5"}, Exit::config, "share of the variance is for method: pca"},
      {{"method=gaussian", "components=5", "axis=channel"}, Exit::config, "axis: channel is for pca"},
      {{"method=gaussian", "components=5", "fit={half: train}"}, Exit::config, "nothing is fitted"},
      {{"method=kmeans", "components=61"}, Exit::config, "layer conv: 59 points (stimuli) cannot make 61 clusters"},
      {{"method=kmeans", "components=3", "linkage=single"}, Exit::config, "linkage: is of method: hierarchical"},
      {{"method=pca", "components=3", "metric=cosine"}, Exit::config, "metric: is of kmeans"},
      {{"method=zscore", "components=5"}, Exit::config, "components: zscore keeps"},
      {{"method=zscore", "range=common"}, Exit::config, "range: is of method: hist"},
      {{"method=psd", "components=5", "each=channel"}, Exit::config, "each: is of method: zscore"},
      {{"method=psd", "components=60", "features.layers=fc"}, Exit::config, "46 coefficients, not 60"},
      {{"method=sparse", "components=5", "density=2"}, Exit::config, "density"},
      {{"method=pca", "components=5", "density=0.5"}, Exit::config, "density"},
      {{"method=incremental_pca", "components=5", "batch=4"}, Exit::config, "batch: 4 stimuli"},
      {{"method=pca", "components=59", "features.layers=fc"}, Exit::config, "layer fc: 59 stimuli of 90 units"},
      {{"method=pca", "components=3", "features.layers=fd"}, Exit::data, "did you mean 'fc'"},
      {{"method=pca", "components=3", "features.layers=[fc, fc]"}, Exit::config, "stands twice"},
      {{"method=pca", "components=3", "fit={halv: train}"}, Exit::data, "did you mean `half`"},
      {{"method=pca", "components=3", "fit={half: dev}"}, Exit::data, "no stimulus of images.stim.csv"},
      {{"method=pca", "components=3", "fit=other.stim.csv"}, Exit::data, "q1 is not in act.h5"},
      {{"method=pca", "components=3", "memory=0.0938"}, Exit::limit, "may use"},
      {{"apply=none.pca.h5"}, Exit::no_input, "none.pca.h5"},
      {{"apply=text.pca.h5"}, Exit::data, "text.pca.h5"},
      {{"apply=text.pca.h5", "method=pca"}, Exit::config, "apply:"},
  };
  for (auto const& c : cases) {
    auto const done = run(c.sets);
    EXPECT_EQ(done.code, c.code) << c.sets[0] << ": " << done.message;
    EXPECT_NE(done.message.find(c.part), std::string::npos) << c.sets[0] << ": " << done.message;
    EXPECT_EQ(done.message.find('\n'), std::string::npos) << done.message;
  }
  EXPECT_FALSE(fs::exists(folder_ / "out.act.h5"));
  std::vector<std::pair<std::vector<std::string>, char const*>> const limits{
      {{"method=pca", "components=7", "axis=channel"}, "layer conv: 59 stimuli of 6 channels (axis: channel)"},
      {{"method=psd", "components=5", "axis=position"}, "layer conv: a spectrum of 6 positions (axis: position)"},
      {{"method=kmeans", "components=37", "cluster=units"}, "layer conv: 36 points (units)"}};
  for (auto const& [sets, part] : limits) {
    auto const planned = run(sets, {.only_plan = true});
    EXPECT_EQ(planned.code, Exit::config) << planned.message;
    EXPECT_NE(planned.message.find(part), std::string::npos) << planned.message;
  }
}

}  // namespace
