#include "targets.hpp"

#include <unistd.h>

#include <algorithm>

#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "../../src/stimuli/bytes.hpp"
#include "striate/base/config.hpp"
#include "striate/base/error.hpp"
#include "striate/stimuli/dmask.hpp"
#include "striate/stimuli/image.hpp"
#include "striate/stimuli/stim_table.hpp"
#include "striate/store/npy.hpp"

namespace striate::fuzz {
namespace {

/// The bytes as a file in memory, one for each process.
std::filesystem::path file_of(std::uint8_t const* data, std::size_t bytes, char const* ending) {
  static std::filesystem::path const folder =
      std::filesystem::exists("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  auto const path = folder / (".striate-fuzz-" + std::to_string(::getpid()) + ending);
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<char const*>(data), static_cast<std::streamsize>(bytes));
  return path;
}

template <class F>
void expecting_errors(F const& read) {
  try {
    read();
  } catch (Error const&) {
  }
}

void stim_table(std::uint8_t const* data, std::size_t bytes) {
  expecting_errors([&] {
    StimTable const table = read_stim_table(file_of(data, bytes, ".stim.csv"));
    if (table.columns.empty() || table.columns[0] != "stimID") __builtin_trap();
    for (auto const& column : table.values)
      if (column.size() != table.rows()) __builtin_trap();
  });
}

void dmask(std::uint8_t const* data, std::size_t bytes) {
  expecting_errors([&] { (void)read_dmask(file_of(data, bytes, ".dmask.csv")); });
}

void image(std::uint8_t const* data, std::size_t bytes) {
  for (auto const& decoder : image_decoders()) {
    if (!decoder.claims(data, bytes)) continue;
    expecting_errors([&] {
      MemoryBytes const source(data, bytes);
      ImageSize const size = decoder.probe(source);
      if (size.width * size.height > 1 << 22) return;  // nothing new, only slow
      Image picture;
      decoder.decode(data, bytes, picture);
      if (picture.rgb.size() != 3 * picture.width * picture.height) __builtin_trap();
    });
  }
}

void npy(std::uint8_t const* data, std::size_t bytes) {
  expecting_errors([&] {
    std::shared_ptr<std::byte> memory(new std::byte[bytes + 1], std::default_delete<std::byte[]>());
    std::copy_n(reinterpret_cast<std::byte const*>(data), bytes, memory.get());
    NpyFile const file("fuzz.npy", memory, bytes);
    std::vector<double> values(std::min<std::uint64_t>(file.size(), 1 << 16));
    file.read(0, values);
    file.read(file.size() - values.size(), values);
  });
}

struct Inner {
  std::int64_t folds = 5;
  bool shuffle = false;
};
void describe(Schema& s, Inner& c) {
  s("folds", c.folds, {.doc = "number", .min = 0, .max = 100});
  s("shuffle", c.shuffle, {.doc = "flag"});
}
struct Outer {
  std::string name = "a";
  std::filesystem::path path;
  std::optional<double> alpha;
  std::vector<double> alphas;
  std::vector<std::string> words;
  Inner inner;
  std::vector<Inner> list;
};
void describe(Schema& s, Outer& c) {
  s("name", c.name, {.doc = "word", .choices = {"a", "b"}});
  s("path", c.path, {.doc = "file"});
  s("alpha", c.alpha, {.doc = "number"});
  s("alphas", c.alphas, {.doc = "numbers"});
  s("words", c.words, {.doc = "words"});
  s("inner", c.inner, {.doc = "mapping"});
  s("list", c.list, {.doc = "list of mappings"});
}

void yaml(std::uint8_t const* data, std::size_t bytes) {
  expecting_errors([&] {
    Outer config;
    Schema schema;
    describe(schema, config);
    read_config(schema, {"fuzz.yaml", std::string(reinterpret_cast<char const*>(data), bytes), {}});
    (void)resolved(schema).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
}

}  // namespace

std::vector<Target> const& targets() {
  static std::vector<Target> const all{
      {"stim_table", stim_table}, {"dmask", dmask}, {"image", image}, {"npy", npy}, {"yaml", yaml}};
  return all;
}

}  // namespace striate::fuzz
