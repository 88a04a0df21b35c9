#include "striate/math/team.hpp"

#include <sys/mman.h>

#include "striate/base/error.hpp"

namespace striate {
namespace {

class SerialTeam : public Team {
 public:
  std::shared_ptr<std::byte> shared(std::size_t bytes) override {
    std::size_t const size = bytes + 64;
    void* whole =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);  // zero pages on first touch
    if (whole == MAP_FAILED) {
      fail(Exit::limit, "{} bytes cannot be had (out of memory); use a machine with more, or fewer rows", bytes);
    }
#ifdef MADV_HUGEPAGE
    (void)madvise(whole, size, MADV_HUGEPAGE);
#endif
    return {static_cast<std::byte*>(whole), [size](std::byte* p) { munmap(p, size); }};
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
