#pragma once
/// `responses:` of a config: what is to be predicted, n rows × t targets, from images or arrays.
///
/// One rank (usually 0) constructs a Responses, tells the others n, t and index(), and fills node-shared memory by
/// ranges of targets. Nothing here is collective.
///
///   Responses responses(config.responses);                        // opens, checks, applies the mask
///   RowPlan rows = plan_rows(responses, config.responses, ids);   // ids of the rows of responses.stimuli
///   responses.fill(rows, 0, responses.targets(), y);              // y: rows.size() × t, column-major
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/config.hpp"
#include "striate/brain/space.hpp"
#include "striate/math/matrix.hpp"

namespace striate {

struct ResponsesConfig {
  std::vector<std::filesystem::path> data;  ///< images, .npy, "f.h5:/dataset", .roi.h5; concatenated along rows
  bool transpose = false;                   ///< arrays stored t × n
  std::optional<std::filesystem::path> mask;
  std::optional<std::filesystem::path> stimuli;  ///< .stim.csv, one row per volume
  bool standardize = true;                       ///< by training rows of each fold (the model's business)
  std::string repeats = "average";               ///< average | keep
};
void describe(Schema& schema, ResponsesConfig& config);

/// Which volumes make which row of Y.
struct RowPlan {
  std::vector<std::string> ids;            ///< of the rows of Y
  std::vector<std::size_t> first_volume;   ///< of each row: the first volume of it = its row in the stimuli file
  std::vector<std::size_t> row_of_volume;  ///< of each volume: its row, or no_row where not used
  std::vector<std::size_t> count;          ///< volumes of each row
  [[nodiscard]] std::size_t size() const { return ids.size(); }
  static constexpr std::size_t no_row = static_cast<std::size_t>(-1);
};

class Responses {
 public:
  /// Opens and checks everything: grids, affines, mask not empty, equal t of all files. Without a mask the targets of
  /// an image are the voxels with any non-zero finite value over the volumes (one pass over the data), of an
  /// array all columns. Voxels that hold NaN stay in. `key` starts the messages.
  /// Throws Error(Exit::data | Exit::no_input).
  explicit Responses(ResponsesConfig const& config, std::string key = "responses");
  /// The same targets as those of `like`, on the same grid; the config's mask does not count.
  Responses(ResponsesConfig const& config, Responses const& like, std::string key);
  ~Responses();
  Responses(Responses&&) noexcept;
  Responses& operator=(Responses&&) noexcept;

  [[nodiscard]] Space const& space() const { return space_; }
  [[nodiscard]] std::size_t volumes() const { return volumes_; }                    ///< rows of the files
  [[nodiscard]] std::vector<std::size_t> volumes_of_files() const;
  [[nodiscard]] std::size_t targets() const { return index_.size(); }               ///< t
  [[nodiscard]] std::vector<std::uint64_t> const& index() const { return index_; }  ///< ascending flat indices
  [[nodiscard]] std::vector<std::filesystem::path> const& inputs() const { return inputs_; }  ///< for sha256

  /// Targets [first, first + y.cols) into y (rows.size() × count). Row r is the mean of the volumes that `rows` gives
  /// it (NaN where one is NaN). Streams volume by volume: memory is one block of 32 volumes restricted to the range.
  /// A compressed image is decompressed whole at each call, so ask for wide ranges.
  void fill(RowPlan const& rows, std::size_t first, MatrixView<float> y) const;

 private:
  void open_sources(ResponsesConfig const& config);
  void find_targets(ResponsesConfig const& config);
  std::string key_;
  Space space_;
  std::size_t volumes_ = 0;
  std::vector<std::uint64_t> index_;
  std::vector<std::filesystem::path> inputs_;
  std::vector<std::unique_ptr<ImageReader>> sources_;
};

/// `ids`: stimulus id of each volume (rows of the stimuli file). `average`: a row per distinct id, in order of first
/// appearance; `keep`: a row per volume. Throws Error(Exit::data) naming both counts where ids and volumes differ:
///   "responses.stimuli: images.stim.csv has 990 rows but betas.nii.gz has 1000 volumes; one row per volume is needed"
[[nodiscard]] RowPlan plan_rows(Responses const& responses, ResponsesConfig const& config,
                                std::vector<std::string> const& ids);
/// The same by hand (`keep` = a row per volume), e.g. for noise ceilings from repeats while averaging for the fits.
[[nodiscard]] RowPlan plan_rows(std::vector<std::string> const& ids, bool keep);

/// A 1-D mask or label array (.npy, "f.h5:/dataset") or image as numbers by flat index of `space`; checks that it is on
/// the same grid (length of a plain array). `what`: "mask" or "label image".
[[nodiscard]] std::vector<double> read_map(std::filesystem::path const& path, Space const& space,
                                           std::string const& key, std::string const& what);

}  // namespace striate
