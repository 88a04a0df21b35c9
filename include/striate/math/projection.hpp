#pragma once
/// Random projection of a layer to a few dimensions that keeps distances (Johnson and Lindenstrauss 1984), Gaussian or
/// sparse (Achlioptas 2003; Li, Hastie and Church 2006, "Very sparse random projections"). The matrix is never stored:
/// its entries are a function of (seed, layer, unit, component), made a tile at a time.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "striate/math/layer_stage.hpp"

namespace striate {

enum class ProjectionKind { gaussian, sparse };

struct ProjectionOptions {
  ProjectionKind kind = ProjectionKind::gaussian;
  std::size_t components = 0;
  double density = 0;  ///< of sparse: share of entries that are not 0, in (0, 1]; 0: 1/√units
  std::uint64_t seed = 0;
  std::string layer = {};  ///< name of the layer: another layer gets another matrix
};

/// Components that keep all distances between `samples` points within 1 ± eps with high probability: 4 ln n /
/// (ε²/2 − ε³/3), cut to a whole number, as scikit-learn's johnson_lindenstrauss_min_dim. Error(Exit::config) where eps
/// is not between 0 and 1, or there is no sample.
[[nodiscard]] std::size_t johnson_lindenstrauss_min_dim(std::size_t samples, double eps);

/// The matrix, a piece at a time.
class ProjectionEntries {
 public:
  /// Error(Exit::config) where components is 0 or the density is not in (0, 1].
  ProjectionEntries(ProjectionOptions const& options, std::size_t units);
  [[nodiscard]] double density() const { return density_; }  ///< 1 for Gaussian
  /// By which sums over units are multiplied: 1/√components, or 1/√(density · components).
  [[nodiscard]] double factor() const { return factor_; }
  /// Before the factor: normal numbers, or −1, 0, 1. Units [first, first + count) of components [16 group, 16 group +
  /// 16): out[u · 16 + c]. The same numbers on every CPU.
  void make(std::size_t first, std::size_t count, std::size_t group, float* out) const;

 private:
  std::uint32_t key_[2], name_[2];
  bool gaussian_;
  double density_, factor_;
};

/// `in` → {components, 1, 1} "feature row column". Products in float32 over panels of 1024 units, which are added in
/// float64. Errors as above.
[[nodiscard]] std::unique_ptr<LayerStage> projection_stage(LayerShape in, ProjectionOptions const& options);

/// Bytes that such a stage holds: entries of a sparse matrix that is thin and small enough; else 0.
[[nodiscard]] double projection_bytes(std::size_t units, ProjectionOptions const& options);

}  // namespace striate
