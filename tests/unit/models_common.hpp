#pragma once
/// Golden records, random problems and odd Teams for the tests of the models.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "striate/math/blas.hpp"
#include "striate/models/table.hpp"

namespace striate::testing {

inline std::string golden(std::string const& name) {
  char const* source = std::getenv("STRIATE_SOURCE");
  return std::string(source != nullptr ? source : ".") + "/tests/golden/" + name;
}

/// A record of make_ridge.py: row-major values.
struct Array {
  std::size_t rows = 0, cols = 0;
  std::vector<double> values;
  [[nodiscard]] double at(std::size_t i, std::size_t j) const { return values[i * cols + j]; }
};

inline std::map<std::string, Array> read_golden(std::string const& name, std::string const& folder = "ridge") {
  std::string const path = golden(folder + "/" + name + ".bin");
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << "no golden file " << path;
  std::map<std::string, Array> out;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    Array a;
    std::size_t width = 0;
    words >> key >> a.rows >> a.cols >> width;
    std::vector<char> raw(a.rows * a.cols * width);
    in.read(raw.data(), static_cast<std::streamsize>(raw.size()));
    for (std::size_t i = 0; i < a.rows * a.cols; ++i) {
      float f = 0;
      double d = 0;
      if (width == 4) {
        std::memcpy(&f, raw.data() + 4 * i, 4);
        d = f;
      } else {
        std::memcpy(&d, raw.data() + 8 * i, 8);
      }
      a.values.push_back(d);
    }
    out[key] = std::move(a);
  }
  return out;
}

/// Column-major floats of an array.
inline std::vector<float> columns(Array const& a) {
  std::vector<float> out(a.rows * a.cols);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.cols; ++j) {
      out[i + j * a.rows] = static_cast<float>(a.at(i, j));
    }
  }
  return out;
}

/// Runs units backwards, on threads, and gives every buffer back as its bytes: results must not notice.
class OddTeam : public Team {
 public:
  explicit OddTeam(int threads) : threads_(threads), serial_(serial_team()) {}
  std::shared_ptr<std::byte> shared(std::size_t bytes) override { return serial_->shared(bytes); }
  void run(std::byte*, std::span<Slot const> slots, std::function<void(std::size_t)> const& f) override {
    local(slots.size(), f);
  }
  void run(std::byte*, std::span<std::vector<Slot> const> slots, std::function<void(std::size_t)> const& f) override {
    local(slots.size(), f);
  }
  void local(std::size_t count, std::function<void(std::size_t)> const& f) override {
    std::vector<std::thread> pool;
    for (int k = 0; k < threads_; ++k) {
      pool.emplace_back([&, k] {
        for (std::size_t i = count; i-- > 0;) {
          if (static_cast<int>(i % static_cast<std::size_t>(threads_)) == k) {
            f(i);
          }
        }
      });
    }
    for (auto& t : pool) {
      t.join();
    }
  }
  [[nodiscard]] int threads() const override { return threads_; }

 private:
  int threads_;
  std::unique_ptr<Team> serial_;
};

/// A small random problem: X n × p (offset and scaled columns), Y n × t = X w + noise; column-major.
struct Problem {
  std::size_t n, p, t;
  std::vector<float> x, y;
  Problem(std::size_t rows, std::size_t features, std::size_t targets, unsigned seed = 1)
      : n(rows), p(features), t(targets) {
    std::uint64_t state = seed * 7919ULL + 17;
    auto draw = [&] {  // sum of uniforms: near normal, the same everywhere
      double sum = 0;
      for (int i = 0; i < 6; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        sum += static_cast<double>(state >> 11) / 9007199254740992.0 - 0.5;
      }
      return sum * 1.41;
    };
    x.resize(n * p);
    for (std::size_t j = 0; j < p; ++j) {
      double const scale = 0.3 + draw() * draw(), shift = 2 * draw();
      for (std::size_t i = 0; i < n; ++i) {
        x[i + j * n] = static_cast<float>(scale * draw() + shift);
      }
    }
    y.resize(n * t);
    for (std::size_t c = 0; c < t; ++c) {
      for (std::size_t i = 0; i < n; ++i) {
        double v = 2 * draw() + 5;
        for (std::size_t j = c % 3; j < p; j += 5) {
          v += 0.5 * x[i + j * n] * static_cast<double>(c % 7) / 7;
        }
        y[i + c * n] = static_cast<float>(v);
      }
    }
  }
  [[nodiscard]] MemorySource source() const { return MemorySource({x.data(), n, p}); }
  [[nodiscard]] MatrixView<float const> responses() const { return {y.data(), n, t}; }
};

/// Held-out R² of every target in one outer fold, unstandardised, in float64 throughout: (XXᵀ + αI)⁻¹, or XᵀX where
/// alpha is 0.
inline std::vector<double> reference_r2(Problem const& d, Split const& fold, double alpha) {
  std::size_t const n = fold.train.size(), e = fold.test.size(), p = d.p;
  std::vector<double> x(n * p), test(e * p), y(n * d.t), mean(d.t, 0.0);
  auto centred = [&](float const* from, double* train, double* held) {
    double m = 0;
    for (auto i : fold.train) {
      m += from[i] / static_cast<double>(n);
    }
    for (std::size_t i = 0; i < n; ++i) {
      train[i] = from[fold.train[i]] - m;
    }
    for (std::size_t i = 0; held != nullptr && i < e; ++i) {
      held[i] = from[fold.test[i]] - m;
    }
    return m;
  };
  for (std::size_t j = 0; j < p; ++j) {
    centred(d.x.data() + j * d.n, x.data() + j * n, test.data() + j * e);
  }
  for (std::size_t c = 0; c < d.t; ++c) {
    mean[c] = centred(d.y.data() + c * d.n, y.data() + c * n, nullptr);
  }
  bool const dual = alpha > 0;
  std::size_t const m = dual ? n : p;
  std::vector<double> g(m * m), z(m * d.t), w(p * d.t), f(e * d.t), out(d.t);
  blas::gemm(dual ? 'N' : 'T', dual ? 'T' : 'N', m, m, dual ? p : n, 1.0, x.data(), n, x.data(), n, 0.0, g.data(), m);
  for (std::size_t i = 0; i < m; ++i) {
    g[i * (m + 1)] += alpha;
  }
  EXPECT_TRUE(blas::cholesky(m, g.data(), m));
  if (dual) {
    z = y;
  } else {
    blas::gemm('T', 'N', p, d.t, n, 1.0, x.data(), n, y.data(), n, 0.0, z.data(), p);
  }
  blas::cholesky_solve(m, d.t, g.data(), m, z.data(), m);
  if (dual) {
    blas::gemm('T', 'N', p, d.t, n, 1.0, x.data(), n, z.data(), n, 0.0, w.data(), p);
  } else {
    w = z;
  }
  blas::gemm('N', 'N', e, d.t, p, 1.0, test.data(), e, w.data(), p, 0.0, f.data(), e);
  for (std::size_t c = 0; c < d.t; ++c) {
    double sum = 0, square = 0, residual = 0;
    for (std::size_t i = 0; i < e; ++i) {
      double const v = d.y[fold.test[i] + c * d.n] - mean[c], r = v - f[i + c * e];
      sum += v;
      square += v * v;
      residual += r * r;
    }
    out[c] = 1 - residual / (square - sum * sum / static_cast<double>(e));
  }
  return out;
}

inline constexpr double plenty = 4e9;  // bytes

inline bool same_bits(std::vector<double> const& a, std::vector<double> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}
inline bool same_bits(std::vector<float> const& a, std::vector<float> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace striate::testing
