#pragma once
/// `reuse:` rows of an earlier store that are copied, so that a longer list costs its new stimuli alone.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/commands/command.hpp"
#include "striate/store/act_store.hpp"

namespace striate {

class ReusedRows {
 public:
  /// Opens a finished store. `spec`: of the store that will be made. Throws Error where it was made by another network,
  /// from other preprocessing, or lacks a layer; names what differs. Serial; main thread.
  ReusedRows(std::filesystem::path const& path, ActSpec const& spec);
  ~ReusedRows();

  /// (n of spec) 1: this row is there, under the same id (and sha256, where both stores know it), and not NaN.
  [[nodiscard]] std::vector<std::uint8_t> const& held() const { return held_; }
  [[nodiscard]] std::size_t count() const;
  /// Rows [first, first + rows) of `spec` that are held → values (rows × units); others are left as they are.
  void read(std::size_t layer, std::size_t first, std::size_t rows, float* values) const;
  /// Throws Error(Exit::data) where a copied row's sum is not what the earlier store says.
  void check(ActBlock const& block, std::size_t first) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::vector<std::uint8_t> held_;
};

}  // namespace striate
