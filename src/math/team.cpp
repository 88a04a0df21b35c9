#include "striate/math/team.hpp"

#include <cstdlib>
#include <cstring>

#include "striate/base/error.hpp"

namespace striate {
namespace {

class SerialTeam : public Team {
 public:
  std::shared_ptr<std::byte> shared(std::size_t bytes) override {
    std::size_t const rounded = (bytes + 63) / 64 * 64 + 64;
    auto* p = static_cast<std::byte*>(std::aligned_alloc(64, rounded));
    if (p == nullptr) {
      fail(Exit::limit, "{} bytes cannot be had (out of memory); use a machine with more, or fewer rows", rounded);
    }
    std::memset(p, 0, rounded);
    return {p, [](std::byte* q) { std::free(q); }};
  }
  void run(std::byte*, std::span<Slot const> slots, std::function<void(std::size_t)> const& compute) override {
    local(slots.size(), compute);
  }
  void run(std::byte*, std::span<std::vector<Slot> const> slots,
           std::function<void(std::size_t)> const& compute) override {
    local(slots.size(), compute);
  }
  void local(std::size_t count, std::function<void(std::size_t)> const& f) override {
    for (std::size_t i = 0; i < count; ++i) {
      f(i);
    }
  }
  [[nodiscard]] int threads() const override { return 1; }
};

}  // namespace

std::unique_ptr<Team> serial_team() { return std::make_unique<SerialTeam>(); }

}  // namespace striate
