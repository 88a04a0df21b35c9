#pragma once
// What the races share: clocks, a Team of threads, .npy files.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "striate/base/error.hpp"
#include "striate/math/team.hpp"

namespace striate::bench {

inline double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
inline double cpu() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

class ThreadTeam : public Team {
 public:
  explicit ThreadTeam(int threads) : threads_(threads), serial_(serial_team()) {}
  std::shared_ptr<std::byte> shared(std::size_t bytes) override { return serial_->shared(bytes); }
  void run(std::byte*, std::span<Slot const> slots, std::function<void(std::size_t)> const& f) override {
    local(slots.size(), f);
  }
  void run(std::byte*, std::span<std::vector<Slot> const> slots, std::function<void(std::size_t)> const& f) override {
    local(slots.size(), f);
  }
  void local(std::size_t count, std::function<void(std::size_t)> const& f) override {
    std::atomic<std::size_t> next{0};
    auto work = [&] {
      for (std::size_t i = next++; i < count; i = next++) {
        f(i);
      }
    };
    std::vector<std::thread> pool;
    for (int k = 1; k < threads_; ++k) {
      pool.emplace_back(work);
    }
    work();
    for (auto& t : pool) {
      t.join();
    }
  }
  [[nodiscard]] int threads() const override { return threads_; }

 private:
  int threads_;
  std::unique_ptr<Team> serial_;
};

/// Float32 array of a version 1 .npy in C order, as column-major n × m.
inline std::vector<float> read_npy(std::string const& path, std::size_t& rows, std::size_t& cols) {
  std::ifstream in(path, std::ios::binary);
  char head[10];
  in.read(head, 10);
  std::uint16_t length = 0;
  std::memcpy(&length, head + 8, 2);
  std::string text(length, ' ');
  in.read(text.data(), length);
  if (!in || text.find("'<f4'") == std::string::npos || text.find("'fortran_order': False") == std::string::npos ||
      std::sscanf(text.c_str() + text.find('(') + 1, "%zu, %zu", &rows, &cols) != 2) {
    fail(Exit::no_input, "{} is no float32 array in C order; write it with race.py", path);
  }
  std::vector<float> raw(rows * cols), out(rows * cols);
  in.read(reinterpret_cast<char*>(raw.data()), static_cast<std::streamsize>(raw.size() * 4));
  constexpr std::size_t b = 64;
  for (std::size_t j0 = 0; j0 < cols; j0 += b) {
    for (std::size_t i0 = 0; i0 < rows; i0 += b) {
      for (std::size_t j = j0; j < std::min(cols, j0 + b); ++j) {
        for (std::size_t i = i0; i < std::min(rows, i0 + b); ++i) {
          out[i + j * rows] = raw[i * cols + j];
        }
      }
    }
  }
  return out;
}

template <class T>
void write_npy(std::string const& path, std::vector<T> const& x) {
  std::string text = "{'descr': '<f" + std::to_string(sizeof(T)) + "', 'fortran_order': False, 'shape': (" +
                     std::to_string(x.size()) + ",), }";
  text.resize((text.size() + 11 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  auto const length = static_cast<std::uint16_t>(text.size());
  std::ofstream out(path, std::ios::binary);
  out.write("\x93NUMPY\x01\x00", 8);
  out.write(reinterpret_cast<char const*>(&length), 2);
  out << text;
  out.write(reinterpret_cast<char const*>(x.data()), static_cast<std::streamsize>(x.size() * sizeof(T)));
}

}  // namespace striate::bench
