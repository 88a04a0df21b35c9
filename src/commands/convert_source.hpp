#pragma once
/// What `striate convert` reads: stores of every kind as stimuli × layers of units.
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "convert_config.hpp"
#include "striate/store/act_store.hpp"

namespace striate::convert {

/// Serial: every rank opens its own. Main thread only.
class Source {
 public:
  virtual ~Source() = default;
  [[nodiscard]] std::string const& name() const { return name_; }  ///< for messages
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::vector<std::string> const& ids() const { return ids_; }  ///< (n); empty where it carries none
  [[nodiscard]] std::vector<ActLayer> const& layers() const { return layers_; }
  /// Error(Exit::data) naming the nearest.
  [[nodiscard]] std::size_t layer(std::string const& name) const;
  [[nodiscard]] std::map<std::string, std::string> const& attributes() const { return attributes_; }
  /// What was done to a layer before, and why rows are NaN: of stores of ours, else nothing.
  [[nodiscard]] LayerRecord record(std::size_t layer) const {
    return layer < records_.size() ? records_[layer] : LayerRecord();
  }
  [[nodiscard]] std::vector<std::uint8_t> const& skipped() const { return skipped_; }        ///< (n) or empty
  [[nodiscard]] std::vector<std::string> const& stimulus_sha256() const { return sha256_; }  ///< (n) or empty
  [[nodiscard]] std::size_t batch() const { return batch_; }  ///< rows of a batch of a store of ours; 0 elsewhere
  /// Bytes that it holds all the time.
  [[nodiscard]] virtual double held_bytes() const { return 0; }
  /// What decides about its values, wherever it lies.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
  /// rows.size() × units, row-major, float32.
  virtual void read(std::size_t layer, std::span<std::size_t const> rows, float* out) const = 0;
  /// The ids of a .stim.csv, where the source carries none; without it those that lie beside.
  void give_ids(StimuliConfig const& stimuli);
  /// Ids of a list that lies beside the source: they count where no .stim.csv is named.
  void offer_ids(std::vector<std::string> ids, std::string const& where) {
    offered_ = std::move(ids), offered_by_ = where;
  }

 protected:
  /// Error(Exit::data): not one a row, one that stands twice. `where`: what they come from.
  void take_ids(std::vector<std::string> ids, std::string const& where);

  std::string name_;
  std::size_t rows_ = 0, batch_ = 0;
  std::vector<std::string> ids_;
  std::vector<ActLayer> layers_;
  std::map<std::string, std::string> attributes_;
  std::vector<LayerRecord> records_;
  std::vector<std::uint8_t> skipped_;
  std::vector<std::string> sha256_;

 private:
  std::vector<std::string> offered_;
  std::string offered_by_;
};

/// Opens a file or folder of any kind that convert knows. `layout`: of foreign arrays.
/// Error(Exit::no_input | Exit::data).
[[nodiscard]] std::unique_ptr<Source> open_source(std::filesystem::path const& path, std::string const& layout);

/// Stores of ours, DNNBrain's files and foreign HDF5 files (thingsvision, Keras). convert_store.cpp.
[[nodiscard]] std::unique_ptr<Source> open_hdf5(std::filesystem::path const& path, std::string const& layout);
/// NumPy, MATLAB, JSON and text. convert_arrays.cpp.
[[nodiscard]] std::unique_ptr<Source> open_arrays(std::filesystem::path const& path, std::string const& layout);

/// Places in `ids` of the rows that `choice` takes, in its order. Error(Exit::config | Exit::data): beyond the end, an
/// id that is not there, one that is listed twice. `where`: for messages.
[[nodiscard]] std::vector<std::size_t> chosen_rows(RowChoice const& choice, std::vector<std::string> const& ids,
                                                   std::string const& where);

/// Shape of a stimulus as stores keep it, and the names of its axes: {f} → {f, 1, 1}.
struct Axes {
  std::vector<std::size_t> shape;
  std::string names;
};
[[nodiscard]] Axes stored_axes(std::vector<std::size_t> const& shape);

}  // namespace striate::convert
