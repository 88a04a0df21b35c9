#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>
#include <numeric>
#include <random>

#include "../store_temp.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/half.hpp"

using namespace striate;
using h5::Dtype;

namespace {

std::string pid() { return std::to_string(getpid()); }

float value(std::size_t row, std::size_t unit) { return std::sin(float(row) * 1.7f + float(unit) * 0.013f); }

/// A file as DNNBrain writes it: chunked by h5py's guess, compressed, no attributes.
void write_foreign(std::filesystem::path const& path, std::vector<std::string> const& layers, h5::Shape const& shape) {
  h5::init();
  hid_t const f = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  for (std::string const& name : layers) {
    std::vector<hsize_t> dims(shape.begin(), shape.end()), chunk;
    for (hsize_t d : dims) chunk.push_back(std::max<hsize_t>(1, d / 2));
    hid_t const space = H5Screate_simple(int(dims.size()), dims.data(), nullptr), dcpl = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(dcpl, int(chunk.size()), chunk.data());
    H5Pset_deflate(dcpl, 4);
    hid_t const d = H5Dcreate2(f, name.c_str(), H5T_IEEE_F64LE, space, H5P_DEFAULT, dcpl, H5P_DEFAULT);
    std::size_t const units = h5::volume(shape) / shape[0];
    std::vector<float> v(h5::volume(shape));
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = value(i / units, i % units);
    H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, v.data());
    H5Dclose(d), H5Sclose(space), H5Pclose(dcpl);
  }
  H5Fclose(f);
}

ActSpec small_spec(Dtype dtype) {
  ActSpec s;
  s.layers = {{"conv2", {3, 4, 5}, "channel row column", dtype}, {"conv10", {700, 30, 30}, "channel row column", dtype},
              {"fc", {11, 1, 1}, "feature row column", dtype}, {"token", {7, 6}, "token feature", dtype},
              {"video", {2, 3, 4, 5}, "channel frame row column", dtype}};
  for (int i = 0; i < 21; ++i) s.stimulus_ids.push_back("s" + std::to_string(i));
  s.batch = 8;
  s.attributes = {{"network", "toy"}};
  s.identity = {{"network", "toy"}};
  return s;
}

void write_store(std::filesystem::path const& path, ActSpec const& spec) {
  auto const w = ActWriter::open({}, path, spec);
  std::vector<std::size_t> all;
  for (std::size_t b = 0; b < w->batches(); ++b) {
    all.push_back(b);
    for (std::size_t l = 0; l < spec.layers.size(); ++l) {
      std::size_t const units = h5::volume(spec.layers[l].shape);
      std::vector<float> v(w->rows(b) * units);
      for (std::size_t i = 0; i < v.size(); ++i) v[i] = value(w->first_row(b) + i / units, i % units);
      w->write_batch(l, b, v.data());
    }
  }
  w->flush();
  w->mark(all);
  w->finish();
}

/// Reads many boxes of many row lists and compares every value.
void check_reads(ActReader const& r, std::string const& layer, float tolerance) {
  std::mt19937 random(3);
  std::size_t const units = r.layer(layer).units, n = r.rows();
  for (int turn = 0; turn < 60; ++turn) {
    std::size_t const first = random() % units, count = 1 + random() % std::min<std::size_t>(units - first, 3000);
    std::vector<std::size_t> rows(1 + random() % n);
    for (auto& x : rows) x = random() % n;  // any order, repeats
    std::vector<float> out(rows.size() * count, -9);
    r.read(layer, rows, first, count, {out.data(), rows.size(), count});
    std::size_t wrong = 0;
    for (std::size_t j = 0; j < count; ++j)
      for (std::size_t i = 0; i < rows.size(); ++i)
        wrong += !(std::abs(out[i + j * rows.size()] - value(rows[i], first + j)) <= tolerance);
    ASSERT_EQ(wrong, 0u) << layer << " units " << first << "+" << count;
  }
}

}  // namespace

TEST(ActReader, ReadsOurStores) {
  TempFolder dir("act_" + pid());
  for (Dtype t : {Dtype::f32, Dtype::f16}) {
    ActSpec const spec = small_spec(t);
    auto const path = dir / (std::string(h5::name_of(t)) + ".act.h5");
    write_store(path, spec);
    ActReader const r(path.string());
    EXPECT_TRUE(r.ours());
    EXPECT_EQ(r.ids(), spec.stimulus_ids);
    EXPECT_EQ(r.attribute("network"), "toy");
    EXPECT_EQ(r.attribute("nothing"), "");
    ASSERT_EQ(r.layers().size(), 5u);
    for (std::size_t l = 0; l < 5; ++l) {
      EXPECT_EQ(r.layers()[l].name, spec.layers[l].name);  // layer_order, not the alphabet
      EXPECT_EQ(r.layers()[l].shape, spec.layers[l].shape);
      EXPECT_EQ(r.layers()[l].axes, spec.layers[l].axes);
      EXPECT_EQ(r.layers()[l].dtype, h5::name_of(t));
      check_reads(r, spec.layers[l].name, t == Dtype::f16 ? 5e-4f : 0.f);
      auto const bounds = r.panels(spec.layers[l].name, 1000);
      EXPECT_EQ(bounds.front(), 0u);
      EXPECT_EQ(bounds.back(), r.layers()[l].units);
      EXPECT_TRUE(std::is_sorted(bounds.begin(), bounds.end()));
    }
    EXPECT_EQ(r.first_damage(), "");
    ActReader const one(path.string() + ":/conv2");
    EXPECT_EQ(one.layers().size(), 1u);
    EXPECT_EQ(one.ids(), spec.stimulus_ids);
  }
}

TEST(ActReader, KeepsSumsAndMoments) {
  TempFolder dir("actm_" + pid());
  for (std::size_t batch : {4u, 16u}) {  // merged from the data; merged from kept moments
    ActSpec spec = small_spec(Dtype::f32);
    spec.batch = batch;
    auto const path = dir / ("m" + std::to_string(batch) + ".act.h5");
    write_store(path, spec);
    ActReader const r(path.string());
    auto const sum = r.row_sum("token"), squares = r.row_sum_squares("token"), mean = r.unit_mean("token"), m2 = r.unit_m2("token");
    ASSERT_EQ(sum.size(), 21u);
    ASSERT_EQ(mean.size(), 42u);
    for (std::size_t i = 0; i < 21; ++i) {
      double s = 0, q = 0;
      for (std::size_t u = 0; u < 42; ++u) s += double(value(i, u)), q += double(value(i, u)) * double(value(i, u));
      EXPECT_NEAR(sum[i], s, 1e-10);
      EXPECT_NEAR(squares[i], q, 1e-10);
    }
    for (std::size_t u = 0; u < 42; ++u) {
      double m = 0, q = 0;
      for (std::size_t i = 0; i < 21; ++i) m += double(value(i, u)) / 21;
      for (std::size_t i = 0; i < 21; ++i) q += (double(value(i, u)) - m) * (double(value(i, u)) - m);
      EXPECT_NEAR(mean[u], m, 1e-6);
      EXPECT_NEAR(m2[u], q, 1e-5);
    }
  }
}

TEST(ActReader, ReadsForeignFiles) {
  TempFolder dir("dnnbrain_" + pid());
  write_foreign(dir / "a.act.h5", {"conv2", "conv10", "conv1"}, {9, 4, 6, 5});
  ActReader const r((dir / "a.act.h5").string());
  EXPECT_FALSE(r.ours());
  EXPECT_TRUE(r.ids().empty());
  ASSERT_EQ(r.layers().size(), 3u);
  EXPECT_EQ(r.layers()[0].name, "conv1");  // alphabetical
  EXPECT_EQ(r.layers()[1].name, "conv10");
  EXPECT_TRUE(r.unit_mean("conv1").empty());
  EXPECT_EQ(r.first_damage(), "");
  for (auto const& l : r.layers()) check_reads(r, l.name, 0.f);
  ActReader const one((dir / "a.act.h5").string() + ":/conv10");
  check_reads(one, "conv10", 0.f);
  write_foreign(dir / "b.h5", {"flat"}, {9});
  ActReader const flat((dir / "b.h5").string() + ":/flat");
  EXPECT_EQ(flat.layers()[0].units, 1u);
  check_reads(flat, "flat", 0.f);
}

TEST(ActReader, RefusesWhatIsAmbiguous) {
  TempFolder dir("actr_" + pid());
  Error e = error_of([&] { ActReader((dir / "none.act.h5").string()); });
  EXPECT_EQ(e.code(), Exit::no_input);
  write_foreign(dir / "a.act.h5", {"conv1", "fc6"}, {3, 2, 2, 2});
  ActReader const r((dir / "a.act.h5").string());
  e = error_of([&] { static_cast<void>(r.layer("conv3")); });
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_NE(std::string(e.what()).find("did you mean 'conv1'"), std::string::npos) << e.what();
  EXPECT_EQ(error_of([&] { ActReader((dir / "a.act.h5").string() + ":/gone"); }).code(), Exit::data);

  ActSpec spec = small_spec(Dtype::f32);
  { auto const w = ActWriter::open({}, dir / "open.act.h5", spec); }
  e = error_of([&] { ActReader((dir / "open.act.h5").string()); });
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_NE(std::string(e.what()).find("0 of 3 batches"), std::string::npos) << e.what();
  EXPECT_NE(std::string(e.what()).find("striate extract"), std::string::npos);
  LedgerState const ledger = read_ledger(dir / "open.act.h5");
  EXPECT_EQ(ledger.done, 0u);
  EXPECT_EQ(ledger.total, 3u);
  EXPECT_FALSE(ledger.complete);
  EXPECT_EQ(read_ledger(dir / "none").total, 0u);

  spec.stimulus_ids[4] = spec.stimulus_ids[9];
  e = error_of([&] { ActWriter::open({}, dir / "twice.act.h5", spec); });
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_NE(std::string(e.what()).find("'s9'"), std::string::npos) << e.what();
  // A store that another program wrote with an id twice.
  write_foreign(dir / "twice.h5", {"conv1"}, {2, 2});
  {
    h5::File f = h5::File::open_for_writing({}, dir / "twice.h5");
    f.write_strings(".striate/stimulus_id", {"face", "face"});
    f.close();
  }
  e = error_of([&] { ActReader((dir / "twice.h5").string()); });
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_NE(std::string(e.what()).find("'face'"), std::string::npos) << e.what();
}

TEST(ActReader, DamageIsFound) {
  TempFolder dir("actd_" + pid());
  write_store(dir / "a.act.h5", small_spec(Dtype::f32));
  {
    h5::File f = h5::File::open_for_writing({}, dir / "a.act.h5");
    float const x = 77;
    f.dataset("fc").write({17, 3, 0, 0}, {1, 1, 1, 1}, h5::type_id(Dtype::f32), &x);
    f.close();
  }
  EXPECT_EQ(ActReader((dir / "a.act.h5").string()).first_damage(), "layer fc, rows 16-20");
}

TEST(ActReader, OpensInH5py) {
  if (std::system("/usr/bin/python3 -c 'import h5py' 2>/dev/null") != 0)
    GTEST_SKIP() << "SKIPPED: /usr/bin/python3 has no h5py, so its view of our stores is not checked";
  TempFolder dir("actpy_" + pid());
  write_store(dir / "a.act.h5", small_spec(Dtype::f16));
  std::string const script = R"(
import h5py, numpy as np, sys
f = h5py.File(sys.argv[1], 'r')
assert f['conv2'].dtype == np.float16 and f['conv2'].shape == (21, 3, 4, 5), f['conv2']
assert f['fc'].shape == (21, 11, 1, 1)
r, u = np.arange(21)[:, None], np.arange(60)[None]
want = np.sin(np.float32(r) * np.float32(1.7) + np.float32(u) * np.float32(0.013))
assert np.abs(f['conv2'][:].reshape(21, 60) - want).max() < 1e-3
assert [x.decode() for x in f['.striate/stimulus_id'][:2]] == ['s0', 's1']
assert [x.decode() for x in f.attrs['layer_order']] == ['conv2', 'conv10', 'fc', 'token', 'video']
assert f.attrs['complete'] == 1 and f.attrs['network'] in ('toy', b'toy'), dict(f.attrs)
assert f['.striate/done'][:].tolist() == [1, 1, 1]
assert sorted(k for k in f.keys() if not k.startswith('.')) == ['conv10', 'conv2', 'fc', 'token', 'video']
)";
  FILE* file = fopen((dir / "t.py").c_str(), "w");
  fputs(script.c_str(), file);
  fclose(file);
  EXPECT_EQ(std::system(("/usr/bin/python3 " + (dir / "t.py").string() + " " + (dir / "a.act.h5").string()).c_str()), 0);
}
