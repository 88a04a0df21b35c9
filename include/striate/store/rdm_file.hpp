#pragma once
/// DNNBrain's `.rdm.h5`: representational dissimilarity matrices as the upper triangle without the diagonal, row by row
/// ((0,1), (0,2) …), float64. The root attribute `type` is bRDM (a dataset a region: (pairs)) or dRDM (a dataset a
/// layer: (iterations, pairs)). Ours add the attribute `metric` and `/.striate/items`, the names of the conditions;
/// DNNBrain takes every root object for an RDM, so a plain file goes without the latter. Serial.
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/store/h5.hpp"

namespace striate {

struct RdmShape {
  std::string name;
  bool iterated = true;  ///< two axes: dRDM
  std::size_t iterations = 1;
};

class RdmReader {
 public:
  /// Error(Exit::no_input | Exit::data): no RDMs, a number of pairs that is no triangle.
  explicit RdmReader(std::filesystem::path const& path);
  [[nodiscard]] std::string const& type() const { return type_; }      ///< "bRDM" | "dRDM"
  [[nodiscard]] std::string const& metric() const { return metric_; }  ///< "" where unknown
  [[nodiscard]] std::size_t items() const { return items_; }           ///< conditions
  [[nodiscard]] std::size_t pairs() const { return items_ * (items_ - 1) / 2; }
  [[nodiscard]] std::vector<std::string> const& names() const { return names_; }  ///< of the items, or empty
  [[nodiscard]] std::vector<RdmShape> const& rdms() const { return rdms_; }
  /// (pairs)
  [[nodiscard]] std::vector<double> read(std::string const& rdm, std::size_t iteration) const;

 private:
  h5::File file_;
  std::string type_, metric_;
  std::size_t items_ = 0;
  std::vector<std::string> names_;
  std::vector<RdmShape> rdms_;
};

class RdmWriter {
 public:
  /// `names`: of the items, or empty. Written beside, renamed by close(). Error(Exit::cant_create | Exit::data).
  RdmWriter(std::filesystem::path const& path, std::string const& type, std::string const& metric, std::size_t items,
            std::vector<std::string> const& names, std::vector<RdmShape> const& rdms);
  ~RdmWriter();
  RdmWriter(RdmWriter const&) = delete;
  RdmWriter& operator=(RdmWriter const&) = delete;
  void write(std::string const& rdm, std::size_t iteration, std::span<double const> pairs);
  void close();

 private:
  std::filesystem::path path_, draft_;
  h5::File file_;
  std::size_t pairs_;
  bool done_ = false;
};

/// n from n (n − 1) / 2; 0 where there is none.
[[nodiscard]] std::size_t items_of_pairs(std::size_t pairs);

}  // namespace striate
