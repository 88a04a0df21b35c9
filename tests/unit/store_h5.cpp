#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

#include "../store_temp.hpp"
#include "striate/store/h5.hpp"

using namespace striate;
using h5::Dtype;

namespace {
std::string pid() { return std::to_string(getpid()); }
}  // namespace

TEST(H5, NumbersTextsAndAttributesComeBack) {
  TempFolder dir("h5_" + pid());
  {
    h5::File f = h5::File::create({}, dir / "a.h5");
    std::vector<double> const v{1, 2, 3, 4, 5, 6};
    f.create_dataset("deep/er/values", Dtype::f64, {2, 3}).write(std::span(v));
    f.create_dataset("chunked", Dtype::f32, {5, 7}, {.chunk = {2, 3}}).write({1, 2}, {2, 3}, h5::type_id(Dtype::f64), v.data());
    f.create_dataset("nothing", Dtype::u8, {0});
    f.create_dataset("scalar", Dtype::u64, {}).write(std::span<std::uint64_t const>(std::vector<std::uint64_t>{7}));
    f.write_strings("names", {"Straße", "", "abc"});
    f.write_strings("no_names", {});
    f.write_text("text", "one long text");
    f.set_attribute("/", "network", std::string("alexnet"));
    f.set_attribute("/", "complete", std::int64_t{0});
    f.set_attribute("/", "complete", std::int64_t{1});
    f.set_attribute("/", "network", std::string("a longer name than before"));
    f.set_attribute("chunked", "scale", 0.5);
    f.set_attribute("/", "order", std::vector<std::string>{"conv1", "conv10", "conv2"});
    f.set_attribute("/", "none", std::vector<std::string>{});
    f.set_attribute("/", "long", std::string(200000, 'x'));  // above 64 KiB
    f.close();
  }
  h5::File const f = h5::File::open(dir / "a.h5");
  EXPECT_EQ(f.dataset("deep/er/values").read<double>(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(f.dataset("deep/er/values").read<std::int32_t>()[5], 6);
  EXPECT_EQ(f.dataset("chunked").read<float>()[1 * 7 + 4], 3.f);
  EXPECT_EQ(f.dataset("chunked").chunk(), (h5::Shape{2, 3}));
  EXPECT_TRUE(f.dataset("nothing").read<std::uint8_t>().empty());
  EXPECT_EQ(f.dataset("scalar").read<std::uint64_t>(), std::vector<std::uint64_t>{7});
  EXPECT_EQ(f.dataset("names").read_strings(), (std::vector<std::string>{"Straße", "", "abc"}));
  EXPECT_TRUE(f.dataset("no_names").read_strings().empty());
  EXPECT_EQ(f.read_text("text"), "one long text");
  EXPECT_EQ(f.attribute("/", "network"), "a longer name than before");
  EXPECT_EQ(f.attribute("/", "complete"), "1");
  EXPECT_EQ(f.attribute("chunked", "scale"), "0.5");
  EXPECT_EQ(f.attribute_strings("/", "order"), (std::vector<std::string>{"conv1", "conv10", "conv2"}));
  EXPECT_TRUE(f.attribute_strings("/", "none").empty());
  EXPECT_EQ(f.attribute("/", "long").size(), 200000u);
  EXPECT_TRUE(f.has("deep/er"));
  EXPECT_FALSE(f.has("deep/est/values"));
  EXPECT_FALSE(f.is_dataset("deep"));
  EXPECT_EQ(f.names("deep"), std::vector<std::string>{"er"});
}

TEST(H5, ErrorsCarryFileObjectAndReason) {
  TempFolder dir("h5e_" + pid());
  Error e = error_of([&] { static_cast<void>(h5::File::open(dir / "none.h5")); });
  EXPECT_EQ(e.code(), Exit::no_input);
  EXPECT_NE(std::string(e.what()).find("No such file"), std::string::npos) << e.what();

  std::ofstream(dir / "text.h5") << "this is not HDF5";
  EXPECT_EQ(error_of([&] { static_cast<void>(h5::File::open(dir / "text.h5")); }).code(), Exit::data);
  EXPECT_EQ(error_of([&] { static_cast<void>(h5::File::open(dir.path)); }).code(), Exit::no_input);

  e = error_of([&] { static_cast<void>(h5::File::create({}, dir / "no/such/folder.h5")); });
  EXPECT_EQ(e.code(), Exit::cant_create);
  e = error_of([&] { static_cast<void>(h5::File::create({}, "/proc/striate.h5")); });
  EXPECT_EQ(e.code(), Exit::cant_create) << e.what();

  h5::File f = h5::File::create({}, dir / "b.h5");
  h5::Dataset d = f.create_dataset("x", Dtype::f32, {4});
  float const v[4] = {};
  e = error_of([&] { d.write({2}, {4}, h5::type_id(Dtype::f32), v); });
  EXPECT_EQ(e.code(), Exit::io);
  EXPECT_NE(std::string(e.what()).find("b.h5: x: cannot write ("), std::string::npos) << e.what();
  EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
  EXPECT_EQ(error_of([&] { static_cast<void>(f.dataset("y")); }).code(), Exit::data);
  EXPECT_EQ(error_of([&] { static_cast<void>(f.attribute("/", "y")); }).code(), Exit::data);
}

TEST(H5, TruncatedFileIsBadData) {
  TempFolder dir("h5t_" + pid());
  {
    h5::File f = h5::File::create({}, dir / "c.h5");
    std::vector<float> const v(100000, 1.f);
    f.create_dataset("x", Dtype::f32, {v.size()}).write(std::span(v));
    f.close();
  }
  std::filesystem::resize_file(dir / "c.h5", 3000);
  Error const e = error_of([&] { static_cast<void>(h5::File::open(dir / "c.h5")); });
  EXPECT_EQ(e.code(), Exit::data);
  EXPECT_NE(std::string(e.what()).find("damaged"), std::string::npos) << e.what();
}

TEST(H5, NamesOfTypes) {
  for (Dtype t : {Dtype::f16, Dtype::f32, Dtype::f64, Dtype::u8, Dtype::u32, Dtype::u64, Dtype::i32, Dtype::i64})
    EXPECT_EQ(h5::dtype_of_name(h5::name_of(t)), t);
  EXPECT_EQ(error_of([&] { static_cast<void>(h5::dtype_of_name("float8")); }).code(), Exit::config);
}
