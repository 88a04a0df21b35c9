#pragma once
/// Coordinate descent for the elastic net of one target, on a working set of coordinates:
///   minimise ½ wᵀG w − cᵀw + l1·‖w‖₁ + ½ l2·‖w‖²,  G = XᵀX/n, c = Xᵀy/n
/// with covariance updates (Friedman, Hastie & Tibshirani 2010) on the compact Gram matrix of the working set. Where plain
/// descent is slow (collinear features, small penalties: thousands of passes), a projected Newton step on the active
/// coordinates every so many passes (Bertsekas 1982; within an orthant as in Andrew & Gao 2007) ends it in a few.
///
/// Every target goes its own way: no target's numbers depend on another's. Vectors run along the coordinates of one
/// target, for the active sets of targets differ: lanes of 16 targets would spend most of their work on zeros.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "striate/math/buffer.hpp"

namespace striate::detail {

/// A symmetric matrix of order p in panels of `gram_rows` rows: [panel][column][row], rows past the end zero.
inline constexpr std::size_t gram_rows = 32;
struct PanelGram {
  double const* data = nullptr;
  std::size_t p = 0;
  [[nodiscard]] std::size_t panels() const { return (p + gram_rows - 1) / gram_rows; }
  [[nodiscard]] std::size_t padded() const { return panels() * gram_rows; }
  [[nodiscard]] static std::size_t doubles(std::size_t p) { return (p + gram_rows - 1) / gram_rows * gram_rows * p; }
  [[nodiscard]] double at(std::size_t i, std::size_t j) const {
    return data[i / gram_rows * gram_rows * p + j * gram_rows + i % gram_rows];
  }
};

[[nodiscard]] inline std::size_t inverse_stride(std::size_t p) { return (p + 7) / 8 * 8; }

/// Coordinates that are not zero.
struct Sparse {
  std::vector<std::uint32_t> index;
  std::vector<double> value;
};

/// Penalties of one fit, and the duality gap at which it counts as solved.
struct Penalty {
  double l1 = 0, l2 = 0, gap = 0;
};

class Descent {
 public:
  /// Order of the matrix that a working set of `count` coordinates has memory for, grown one by one.
  [[nodiscard]] static std::size_t reserved(std::size_t count);
  /// All zero, nothing in the working set. yy = ‖y‖²/n. `inverse`: of the Gram matrix (rows of inverse_stride doubles),
  /// for penalties without l2, or null.
  void start(PanelGram const& gram, double const* inverse, double const* c, double yy);
  /// Further coordinates for the working set, none of which is in it.
  void add(std::span<std::uint32_t const> coordinates);
  [[nodiscard]] bool holds(std::size_t j) const { return held_[j] != 0; }
  /// Minimises over the working set. `scratch` is kept from call to call.
  void solve(Penalty const& penalty, Buffer<double>& scratch);
  /// Takes c − G w over all coordinates (of a sparse product): what rounding added up is forgotten. Returns whether the
  /// duality gap over all coordinates is at most penalty.gap, and what enters next where it is not.
  bool finished(double const* gradient, Penalty const& penalty, std::vector<std::uint32_t>& enter);
  /// Coordinates out of the working set whose gradient is beyond l1: all, or the strongest where they are many.
  void violators(double const* gradient, double l1, std::vector<std::uint32_t>& enter) const;
  /// Active coordinates, in order of entry.
  void active(Sparse& out) const;

 private:
  void reserve(std::size_t count);
  [[nodiscard]] double gap(Penalty const& penalty, double outside) const;
  [[nodiscard]] std::size_t patience() const;
  [[nodiscard]] bool by_inverse(std::size_t active) const { return inverse_ != nullptr && 2 * active > gram_.p; }
  void exact_step(Penalty const& penalty, Buffer<double>& scratch);
  void gradient(Penalty const& penalty, double* out) const;
  bool newton(Penalty const& penalty, double* direction, double* matrix) const;
  bool inverse_newton(double* direction, Buffer<double>& scratch) const;
  bool search(Penalty const& penalty, double const* direction, double* change, double* product);
  [[nodiscard]] bool falls(Penalty const& penalty, double length, double const* direction, double* change,
                           double* product) const;
  [[nodiscard]] double first_zero(double const* direction) const;

  PanelGram gram_;
  double const* inverse_ = nullptr;
  double const* all_c_ = nullptr;
  double yy_ = 0;
  std::size_t count_ = 0, stride_ = 0;
  std::vector<std::uint32_t> coordinate_;
  std::vector<std::uint32_t> active_;  ///< places in the working set, while stepping
  std::vector<std::uint8_t> held_;
  Buffer<double> matrix_, w_, q_, c_, diagonal_, step_, line_;
};

}  // namespace striate::detail
