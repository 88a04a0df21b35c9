#pragma once
/// What a network is shown, stimulus by stimulus, as it takes them: pictures, clips, sounds, arrays; a file each in
/// src/stimuli.
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "striate/stimuli/input.hpp"
#include "striate/stimuli/stim_table.hpp"

namespace striate {

class RowArray;

class StimulusSource {
 public:
  /// Decodes; one for each thread, so that it may keep a decoder open between calls.
  class Reader {
   public:
    virtual ~Reader() = default;
    /// Stimulus `place` → `out`, floats of the source's shape. Throws Error(Exit::no_input | Exit::data | Exit::io)
    /// naming the file.
    virtual void load(std::size_t place, float* out) = 0;
  };

  virtual ~StimulusSource() = default;
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// Of one stimulus: {channels, height, width}, {channels, frames, height, width}, {samples} …
  [[nodiscard]] virtual std::vector<std::size_t> shape() const = 0;
  /// What is done to a stimulus: for the store's attribute `preprocessing` and the resume check.
  [[nodiscard]] virtual nlohmann::ordered_json describe() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Reader> reader() const = 0;
  /// The file that holds stimulus `place`; empty where none is its own.
  [[nodiscard]] virtual std::filesystem::path file(std::size_t place) const { return (void)place, std::filesystem::path(); }
  /// Whether consecutive places are cheaper for one reader, as frames of a video are.
  [[nodiscard]] virtual bool sequential() const { return false; }
  /// Looks at the stimuli [first, last) before a job computes, cheaply: places in order, and what is wrong with them.
  /// Throws only for trouble that is no stimulus' fault (Exit::io, Exit::limit).
  [[nodiscard]] virtual std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                         int threads) const = 0;
};

/// PIL's crop box in pixels: left and top are inside, right and bottom outside.
struct CropBox {
  std::size_t left = 0, top = 0, right = 0, bottom = 0;
};

/// Where one stimulus lies.
struct StimulusRow {
  std::filesystem::path file;
  std::size_t frame = 0;                                            ///< of type video, from 1
  double start = 0, end = std::numeric_limits<double>::infinity();  ///< seconds of the file
  std::optional<CropBox> box;                                       ///< of its picture, before the preprocessing
};
/// Columns of a table that say where a stimulus lies: `file` (else stimID), `start`, `end`, `crop_left`, `crop_top`,
/// `crop_right`, `crop_bottom`; other columns are free.
[[nodiscard]] std::vector<std::string> const& place_columns();
/// A row each of the table's. Throws Error(Exit::data) naming file and row.
[[nodiscard]] std::vector<StimulusRow> stimulus_rows(StimTable const& table);

/// Pictures, preprocessed to channels × height × width.
[[nodiscard]] std::shared_ptr<StimulusSource> image_source(std::vector<std::filesystem::path> files, Preprocessing how);
[[nodiscard]] std::shared_ptr<StimulusSource> image_source(std::vector<StimulusRow> rows, Preprocessing how);
/// Frames of videos, each as a picture: the row's frame number.
[[nodiscard]] std::shared_ptr<StimulusSource> frame_source(std::vector<StimulusRow> rows, Preprocessing how);
/// Clips: frames between the row's start and end.
[[nodiscard]] std::shared_ptr<StimulusSource> clip_source(std::vector<StimulusRow> rows, InputForm form,
                                                          Preprocessing how);
/// Sounds, and sound tracks of videos, between the row's start and end: waveforms or spectrograms.
[[nodiscard]] std::shared_ptr<StimulusSource> sound_source(std::vector<StimulusRow> rows, InputForm form);
/// Arrays: row i of a dataset of `rows` × shape; uint8 pictures and clips are preprocessed. Throws
/// Error(Exit::data) where its shape or type does not fit the input.
[[nodiscard]] std::shared_ptr<StimulusSource> array_source(std::shared_ptr<RowArray const> rows, InputForm form,
                                                           Preprocessing how);
/// An array a file (.npy).
[[nodiscard]] std::shared_ptr<StimulusSource> array_file_source(std::vector<std::filesystem::path> files,
                                                                InputForm form, Preprocessing how);
/// What the files of a table become for a network of this input. Throws Error(Exit::data) where the one cannot be made
/// of the other.
[[nodiscard]] std::shared_ptr<StimulusSource> stimulus_source(StimTable const& table, InputForm const& form,
                                                              Preprocessing const& how);

}  // namespace striate
