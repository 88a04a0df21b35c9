#pragma once
/// `striate convert` as a job in this process, on the files of tests/golden/convert.
#include "../../src/commands/convert.hpp"
#include "../unit/encode_common.hpp"

namespace convert_test {
using namespace striate;
using namespace encode_test;

inline fs::path golden(std::string const& name) {
  return fs::path(std::getenv("STRIATE_SOURCE")) / "tests/golden/convert" / name;
}

class Convert : public ::testing::Test {
 protected:
  Convert() : folder_(shared_name("convert"), Comm::world().root()) { Comm::world().barrier(); }
  ~Convert() override { Comm::world().barrier(); }

  Outcome run(std::string const& yaml, Options const& o = {}, Comm const& comm = Comm::world()) {
    return run_job(make_convert(), comm, folder_ / "convert.yaml", yaml, o);
  }
  /// A config on golden inputs; `more` after them.
  static std::string config(std::string const& inputs, std::string const& more) {
    std::string list;
    std::istringstream words(inputs);
    for (std::string word; words >> word;) list += (list.empty() ? "" : ", ") + golden(word).string();
    return "input: [" + list + "]\n" + more + "\n";
  }
  static std::vector<float> values(fs::path const& file, std::string const& layer) {
    return h5::File::open(file).dataset(layer).read<float>();
  }
  static std::vector<float> npy(fs::path const& path) {
    NpyFile const file(path);
    std::vector<float> out(file.size());
    file.read(0, std::span<float>(out));
    return out;
  }
  static std::vector<float> expected(std::string const& name) { return npy(golden("expected_" + name + ".npy")); }
  static void same(std::vector<float> const& mine, std::vector<float> const& theirs, double tolerance,
                   std::string const& what) {
    ASSERT_EQ(mine.size(), theirs.size()) << what;
    for (std::size_t i = 0; i < mine.size(); ++i) {
      double const a = static_cast<double>(mine[i]), b = static_cast<double>(theirs[i]);
      ASSERT_TRUE(a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance * std::abs(b))
          << what << " at " << i << ": " << a << " and " << b;
    }
  }

  TempFolder folder_;
};

}  // namespace convert_test
