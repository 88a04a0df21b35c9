#pragma once
/// Which algorithm: a choice from shapes alone, so that it is the same on every machine and at every rank count.
#include <cstddef>

#include "rows.hpp"
#include "striate/models/model.hpp"

namespace striate::detail {

enum class Form { block_inverse, dual, primal, spectral_dual, spectral_primal };

[[nodiscard]] char const* name_of(Form form);
inline constexpr double refit_panel_bytes =
    16e6;  ///< of the responses that a thread reads at a time for PreparedFeatures
inline constexpr char const* kernel_pls = "kernel pls";  ///< what pls makes of spectral_dual
inline constexpr char const* kernel_cca = "kernel cca";  ///< and cca
[[nodiscard]] inline bool is_dual(Form f) {
  return f == Form::block_inverse || f == Form::dual || f == Form::spectral_dual;
}
[[nodiscard]] inline bool is_spectral(Form f) { return f == Form::spectral_dual || f == Form::spectral_primal; }

/// What is fitted; the last three on components, of the features (pcr) or of features and responses (pls, cca).
enum class Fit { ridge, ols, pcr, pls, cca };

struct Shape {
  std::size_t p = 0, alphas = 1, targets = 0;
  std::size_t bands = 0, candidates = 1;  ///< banded ridge: feature spaces (0: another model) and their weightings
  bool reduced = false;  ///< banded ridge: some bands by pca, so that each set has kernels of its own
  bool refine = false;  ///< banded ridge: operators of every set are kept
  bool standardize = true, spectral = false, coefficients = false;
  Selection selection = Selection::folds;  ///< ridge
  std::size_t width = target_tile;         ///< targets that are multiplied at once
  bool scored = true;                      ///< scores are wanted where there are no outer test rows
  double pca = 0;
  std::size_t components = 0;      ///< pcr, pls, cca: the most to choose among
  bool pls = false;                ///< pls, cca: needs a Gram of responses as well
  bool cca = false;                ///< of test rows, too
  std::size_t variants = 1;        ///< cca: penalties whose components are held until one is chosen
  [[nodiscard]] bool per_set() const { return standardize || reduced; }
  /// Whether there is something to refine, and inner folds to do it by.
  [[nodiscard]] bool refines(RowPlan const& rows) const {
    return refine && rows.inner() > 0 && (bands > 1 || (bands == 1 && alphas > 1));
  }
  bool response_per_set = false;   ///< pls, cca: responses are scaled by each training set
};

[[nodiscard]] Shape shape_of(std::size_t p, std::size_t targets, bool standardize, double pca,
                             ModelOptions const& options, Fit fit, std::size_t alphas);
/// Whether left-out training rows are predicted at every alpha, for which the left singular vectors are kept.
[[nodiscard]] bool predicts_left_out(RowPlan const& rows, Shape const& shape);
/// Numbers that cca keeps of a set and penalty: components, total, errors (0 … depth), correlations.
[[nodiscard]] inline std::size_t cca_numbers(std::size_t depth) { return 3 + 2 * depth; }
/// pls, cca: axes of the features that are kept of a training set, at most: all of cca, the leading ones of pls with
/// pca.
[[nodiscard]] std::size_t most_axes(Shape const& shape, std::size_t train);
/// pls, cca: doubles of what does not depend on responses in a training set, as side_in (prepare.hpp) places it.
[[nodiscard]] std::size_t side_doubles(Shape const& shape, SetRows const& rows);
/// Throws Error(Exit::config) for what is neither a share nor a number of components.
void check_pca(double pca);
/// Components kept at most, for a set with `train` rows.
[[nodiscard]] std::size_t most_components(Shape const& shape, std::size_t train);
/// Whether the Gram of rows is summed in float64 products throughout (narrow features, few rows) or in float32 panels.
[[nodiscard]] bool wide_gram(Shape const& shape, std::size_t rows);
[[nodiscard]] Form choose_form(RowPlan const& rows, Shape const& shape);
/// Bytes of the Gram matrices that stand together: of a training set, or of all where one serves all.
[[nodiscard]] double gram_bytes(RowPlan const& rows, Shape const& shape, Form form);
/// ModelCost::work_per_target where a target's components are shrunk at so many alphas, each then a product with the hats.
[[nodiscard]] double shrinking_work(RowPlan const& rows, Shape const& shape, double alphas);
/// Of one outer fold in a given form with q computed alphas.
[[nodiscard]] ModelCost cost_of(RowPlan const& rows, Shape const& shape, Form form, std::size_t q, double budget);

}  // namespace striate::detail
