#pragma once
/// Records of tests/golden/make_reduce.py.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace striate::testing {

struct Record {
  std::size_t rows = 0, cols = 0;
  std::vector<double> values;  ///< row-major
  [[nodiscard]] double operator()(std::size_t r, std::size_t c) const { return values[r * cols + c]; }
  [[nodiscard]] std::vector<float> columns() const {  ///< column-major
    std::vector<float> x(values.size());
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t c = 0; c < cols; ++c) x[c * rows + r] = static_cast<float>((*this)(r, c));
    return x;
  }
  [[nodiscard]] std::vector<float> floats() const { return {values.begin(), values.end()}; }
};

inline std::map<std::string, Record> reduce_golden() {
  char const* const source = std::getenv("STRIATE_SOURCE");
  std::ifstream in(std::string(source != nullptr ? source : ".") + "/tests/golden/reduce/reduce.bin", std::ios::binary);
  EXPECT_TRUE(in.good());
  std::map<std::string, Record> all;
  std::string name;
  for (Record r; in >> name >> r.rows >> r.cols;) {
    in.get();
    r.values.resize(r.rows * r.cols);
    in.read(reinterpret_cast<char*>(r.values.data()), static_cast<std::streamsize>(r.values.size() * 8));
    all[name] = r;
  }
  return all;
}

}  // namespace striate::testing
