#pragma once
/// Principal components of layers that may be wider, or of more stimuli, than memory holds.
///
/// Signs: the entry of greatest magnitude of a component (the first of several) is positive, as scikit-learn's
/// svd_flip with u_based_decision=False does (PCA from 1.5 on, IncrementalPCA always). Variances have n − 1 in the
/// denominator. A component beyond the rank of the data is zero, and so is what it gives.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "striate/math/layer_axis.hpp"
#include "striate/math/layer_stage.hpp"
#include "striate/math/matrix.hpp"
#include "striate/math/team.hpp"

namespace striate {

struct Pca {
  std::size_t samples = 0;        ///< it was fitted on
  std::vector<double> mean;       ///< (units)
  std::vector<float> components;  ///< count × units, row-major
  std::vector<double> variance;   ///< (count), descending
  double total_variance = 0;      ///< of all units together
  std::size_t rank = 0;           ///< components that are not zero
  [[nodiscard]] std::size_t units() const { return mean.size(); }
  [[nodiscard]] std::size_t count() const { return variance.size(); }
  [[nodiscard]] double ratio(std::size_t k) const { return total_variance > 0 ? variance[k] / total_variance : 0; }
  [[nodiscard]] double singular_value(std::size_t k) const;
  void cut(std::size_t count);  ///< keeps the first `count`
};

/// How many components: a count, or the least number that explains more than a share of the variance (scikit-learn's
/// n_components below 1).
struct Components {
  std::size_t count = 0;
  double share = 0;  ///< in (0, 1), where count is 0
};

/// Columns of a panel, the mean taken off, and what was taken. Sum of squares: of the deviations.
struct CentredPanel {
  float const* x = nullptr;  ///< rows × count, column-major
  double const* mean = nullptr;
  double const* squares = nullptr;
};

/// rows × units, as far as it is asked for. Calls are collective: every rank makes the same ones; what is returned
/// stays until the next call.
class PanelSource {
 public:
  virtual ~PanelSource() = default;
  [[nodiscard]] virtual std::size_t rows() const = 0;
  [[nodiscard]] virtual std::size_t units() const = 0;
  /// How many units of a panel, and rows of a block, are best asked for; multiples of gram_panel.
  [[nodiscard]] virtual std::size_t width() const = 0;
  [[nodiscard]] virtual std::size_t height() const = 0;
  /// All rows of units [first, first + count).
  [[nodiscard]] virtual CentredPanel panel(std::size_t first, std::size_t count) = 0;
  /// All units of rows [first, first + count), count × units, column-major, as they are.
  [[nodiscard]] virtual float const* block(std::size_t first, std::size_t count) = 0;
  /// Called between panels; may throw to stop the work.
  virtual void progress(double share) { (void)share; }
};

/// Takes the mean off `count` columns in place.
void centre_columns(float* x, std::size_t rows, std::size_t count, double* mean, double* squares);

/// A matrix in memory (column-major); for tests and for the many small problems of an axis.
[[nodiscard]] std::unique_ptr<PanelSource> memory_source(MatrixView<float const> x, std::size_t width = 4096);

/// Bytes shared by the ranks of a node that a fit needs beside its panels.
[[nodiscard]] double exact_pca_bytes(std::size_t rows, std::size_t units, Components const& components);
[[nodiscard]] double randomized_pca_bytes(std::size_t rows, std::size_t units, std::size_t count);
[[nodiscard]] double incremental_pca_bytes(std::size_t batch, std::size_t units, std::size_t count);

/// Eigenvectors of the Gram matrix of rows (rows < units) or of units, whose products are made in float32 over panels
/// of 1024 units and added in float64 (small problems: in float64 throughout). Collective. Error(Exit::data) where
/// there are fewer than two rows, or a value is not finite; Error(Exit::config) where count > min(rows − 1, units).
[[nodiscard]] Pca exact_pca(PanelSource& source, Components const& components, Team& team);

struct RandomizedOptions {
  std::size_t oversample = 10, iterations = 4;
  std::uint64_t seed = 0;
  std::string layer = {};
};
/// Halko, Martinsson and Tropp 2011: power iterations over panels of units (iterations + 2 passes), an orthonormal
/// basis of the rows' space made anew after each; Gaussian test matrix by Philox. Collective. Errors as exact_pca.
[[nodiscard]] Pca randomized_pca(PanelSource& source, std::size_t count, RandomizedOptions const& options, Team& team);

/// Ross et al. 2008, as scikit-learn's IncrementalPCA: rows in batches of `batch` (a last one shorter than count joins
/// the one before it). batch >= count. Collective. Errors as exact_pca.
[[nodiscard]] Pca incremental_pca(PanelSource& source, std::size_t count, std::size_t batch, Team& team);

/// x ↦ components (x − mean), divided by the standard deviation of each with `whiten`; one Pca an iteration of the
/// axis, all of the same count. Errors: Exit::data where shapes do not fit.
[[nodiscard]] std::unique_ptr<LayerStage> pca_stage(LayerShape const& in, LayerAxis axis,
                                                    std::vector<Pca> const& fitted, bool whiten);

}  // namespace striate
