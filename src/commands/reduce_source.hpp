#pragma once
/// Panels of a store's layer for the fit of a reduction: read once a node, each rank its share.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "striate/math/pca.hpp"
#include "striate/par/comm.hpp"
#include "striate/par/stop.hpp"
#include "striate/store/act_store.hpp"

namespace striate::reduce {

/// A stop signal came on some rank: the fit is given up.
struct Stopped {};

class StorePanels final : public PanelSource {
 public:
  /// `rows`: of the store, ascending. `bytes`: that a panel may take on a node.
  StorePanels(Comm const& comm, Team& team, StopFlag const& stop, ActReader const& store, std::string layer,
              std::vector<std::size_t> rows, double bytes);
  [[nodiscard]] std::size_t rows() const override { return rows_.size(); }
  [[nodiscard]] std::size_t units() const override { return units_; }
  [[nodiscard]] std::size_t width() const override { return width_; }
  [[nodiscard]] std::size_t height() const override { return height_; }
  [[nodiscard]] CentredPanel panel(std::size_t first, std::size_t count) override;
  [[nodiscard]] float const* block(std::size_t first, std::size_t count) override;
  /// Says once a minute how far it is.
  void progress(double share) override;

  /// Columns `count` units wide from each of `firsts`, side by side, as they are: rows × count · firsts, column-major.
  [[nodiscard]] float const* columns(std::vector<std::size_t> const& firsts, std::size_t count);

 private:
  float* memory(std::size_t floats);
  /// fill(first, count) on every rank for its share of [0, count); then all ranks of the node see it.
  void shared_fill(std::size_t count, std::function<void(std::size_t, std::size_t)> const& fill);

  Comm const& comm_;
  Team& team_;
  StopFlag const& stop_;
  ActReader const& store_;
  std::string layer_;
  std::vector<std::size_t> rows_;
  std::size_t units_, width_, height_;
  std::size_t held_ = 0;  ///< floats of data_
  std::size_t pass_ = 1;
  double last_share_ = 0;
  std::chrono::steady_clock::time_point spoke_ = std::chrono::steady_clock::now();
  std::shared_ptr<std::byte> data_, moments_;
};

}  // namespace striate::reduce
