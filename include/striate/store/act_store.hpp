#pragma once
/// The activation store `*.act.h5` (a superset of DNNBrain's; layout in docs/formats.md).
///
/// One dataset a layer at the root, (n, shape…), float32 or float16, C order. A unit's index within a layer is its
/// C-order position in `shape`. Beside them, under /.striate: stimulus_id (n), identity (JSON), done (batches) uint8,
/// crc32c (batches, layers), row_sum and row_sum_squares (layers, n) float64, and after finish unit_mean/LAYER and
/// unit_m2/LAYER (units) float64: mean and sum of squared deviations over the rows that are not NaN.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "striate/math/block_report.hpp"
#include "striate/math/matrix.hpp"
#include "striate/par/comm.hpp"
#include "striate/store/h5.hpp"

namespace striate {

/// What was done to a layer before it was stored.
struct LayerRecord {
  std::map<std::string, std::string> attributes = {};  ///< of its dataset: stages, full_shape, full_axes
  /// /.striate/selection/LAYER/AXIS: indices from 0 that were kept of an axis of the full layer.
  std::vector<std::pair<std::string, std::vector<std::uint64_t>>> selected = {};
};

struct LayerSpec {
  std::string name;                 ///< as asked for; no '/'
  std::vector<std::size_t> shape;   ///< of one stimulus: {c,h,w} | {f,1,1} | {tokens,width} | {c,t,h,w}
  std::string axes;                 ///< "channel row column", "feature row column", "token feature" …
  h5::Dtype dtype = h5::Dtype::f32; ///< f32 or f16
  LayerRecord record = {};
};

/// How values go to the disk; the file is the same. Auto: direct on file systems where that is sound and faster.
enum class ActIo { automatic, cached, direct };

struct ActSpec {
  std::vector<LayerSpec> layers;               ///< in layer_order
  std::vector<std::string> stimulus_ids;       ///< n, unique
  std::size_t batch = 32;                      ///< rows of a batch: the unit of work, of the ledger and of the chunks
  std::map<std::string, std::string> attributes;  ///< root attributes: network, weights_sha256, preprocessing, stimuli_sha256 …
  nlohmann::ordered_json identity;             ///< what must agree on resume
  ActIo io = ActIo::automatic;
  std::vector<std::string> stimulus_sha256;    ///< (n) of the stimulus files, or empty
  bool may_skip = false;                       ///< keep a list of rows that hold no stimulus
};

/// Why a row of a store is NaN.
enum class Skipped : std::uint8_t { no = 0, missing = 1, damaged = 2 };

/// Whole pages that are not set to zero first: pages that nobody has touched cost as much as the disk.
class ActBytes {
 public:
  static constexpr std::align_val_t page{4096};
  ActBytes() = default;
  explicit ActBytes(std::size_t size) : data_(static_cast<std::byte*>(::operator new(size, page))), size_(size) {}
  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, page); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

/// A batch of a layer as it will stand in the file; made on any thread.
struct ActBlock {
  std::size_t layer = 0, batch = 0;
  ActBytes bytes;                              ///< from `begin`: whole chunks, one after the other; at least as many as needed
  std::size_t begin = 0;                       ///< the same place within a page as in the file
  std::uint32_t crc = 0;                       ///< CRC32C of the stored values, row by row
  std::vector<double> row_sum, row_sum_squares;  ///< (rows) of the stored values
  std::vector<float> mean, m2;                 ///< (units) over the rows of the batch that are not NaN
  BlockReport report;
  std::vector<std::uint8_t> above;             ///< a bit a unit: above 0 in a row of the batch; where moments are kept
  std::size_t overflow = 0;                    ///< finite values that float16 made infinite: warn with the layer's name
};

enum class StoreState { created, resumed, complete };

/// Writes a store from all ranks. The file appears under its name only with all its metadata on disk; from then on only
/// values change, so a kill at any moment leaves a store that opens, whose flagged batches are right.
class ActWriter {
 public:
  /// Creates, or resumes one with the same identity. Collective. Throws Error(Exit::cant_create) where the place cannot
  /// be written, holds another kind of file, or (without `fresh`) a store of another identity: the key is named.
  /// `fresh` replaces a store of ours; it never deletes a file that striate did not write.
  static std::unique_ptr<ActWriter> open(Comm const& comm, std::filesystem::path const& path, ActSpec const& spec,
                                         bool fresh = false);
  ~ActWriter();

  [[nodiscard]] StoreState state() const;
  [[nodiscard]] std::size_t batches() const;
  [[nodiscard]] std::size_t first_row(std::size_t batch) const;
  [[nodiscard]] std::size_t rows(std::size_t batch) const;      ///< the last one may be shorter
  [[nodiscard]] std::vector<std::uint8_t> const& done() const;  ///< (batches), as found at opening; equal on all ranks

  /// Converts, sums and checks a batch: `values` is rows × units, row-major, float32. Any thread, no HDF5.
  /// float16 by round to nearest even. A row whose sum is NaN (a skipped stimulus) stays out of the unit moments.
  [[nodiscard]] ActBlock encode(std::size_t layer, std::size_t batch, float const* values) const;
  /// Main thread; independent (not collective). `write_batch(layer, batch, values)` = write_batch(encode(…)), and
  /// returns the number of values that overflowed float16.
  void write_batch(ActBlock const& block);
  /// Row `row` of a store that may_skip is NaN; main thread, independent, before its batch is marked.
  void write_skipped(std::size_t row, Skipped why);
  /// Keeps the memory of a block that was written for the next of its layer. Any thread.
  void recycle(ActBlock&& block);
  std::size_t write_batch(std::size_t layer, std::size_t batch, float const* values);
  /// Reads a batch back and compares with its CRC32C. Independent.
  [[nodiscard]] bool verify_batch(std::size_t layer, std::size_t batch) const;

  void flush();                                         ///< collective; data on disk on return
  void mark(std::span<std::size_t const> batches);      ///< independent; only after flush
  /// Collective; when every batch is marked: merges the unit moments in batch order, then complete = 1 after fsync.
  /// Closes the file: nothing may be written afterwards. Error(Exit::internal) where a batch lacks its flag.
  /// `late`: root attributes whose values were not known before; each was made with a text of the same length.
  void finish(std::map<std::string, std::string> const& late = {});

 private:
  struct Impl;
  explicit ActWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Whether a complete store or result of this identity stands at `path`. Serial.
[[nodiscard]] bool is_finished(std::filesystem::path const& path, nlohmann::ordered_json const& identity);

/// Throws what ActWriter::open (not `fresh`) would where something else stands at `path`; for jobs that compute before
/// they open. Serial.
void check_place_of(std::filesystem::path const& path, nlohmann::ordered_json const& identity);

/// How much of a store or result file is there; read without disturbing a running writer.
struct LedgerState {
  std::size_t done = 0, total = 0;
  bool complete = false;
};
/// Of an .act.h5 or result.h5. {0,0,false} where there is no such file.
[[nodiscard]] LedgerState read_ledger(std::filesystem::path const& path);

struct ActLayer {
  std::string name;
  std::vector<std::size_t> shape;  ///< of one stimulus
  std::size_t units = 0;           ///< product of shape
  std::string axes;                ///< "" where the file has none
  std::string dtype;               ///< "float32" …
};

/// Reads a store of ours, a DNNBrain file, or one dataset of any HDF5 file ("f.h5:/name", n × …). Serial: every rank
/// opens its own; nothing is collective. Main thread only.
class ActReader {
 public:
  /// Error(Exit::no_input | Exit::data): missing, not HDF5, no layers, complete = 0 (says how to resume), an id twice.
  explicit ActReader(std::string const& path);
  ~ActReader();
  ActReader(ActReader&&) noexcept;

  [[nodiscard]] std::string const& path() const;            ///< as given
  [[nodiscard]] std::size_t rows() const;                   ///< n
  [[nodiscard]] bool ours() const;                          ///< has striate's attributes
  [[nodiscard]] std::vector<std::string> const& ids() const;  ///< (n), or empty where the store carries none
  [[nodiscard]] std::vector<ActLayer> const& layers() const;  ///< in layer_order; alphabetical in foreign files
  [[nodiscard]] ActLayer const& layer(std::string const& name) const;  ///< Error(Exit::data) naming the nearest
  [[nodiscard]] std::string attribute(std::string const& name) const;  ///< of the root; "" where there is none
  [[nodiscard]] std::vector<std::string> attribute_names() const;

  /// Rows `rows` (any order, repeats allowed) of units [first, first + count) into out (rows.size() × count).
  void read(std::string const& layer, std::span<std::size_t const> rows, std::size_t first, std::size_t count,
            MatrixView<float> out) const;
  /// All rows, in order.
  void read(std::string const& layer, std::size_t first, std::size_t count, MatrixView<float> out) const;
  /// Rows [first, first + count), all units, row-major: out (count × units).
  void read_rows(std::string const& layer, std::size_t first, std::size_t count, float* out) const;
  /// Unit panels that fit the chunks, each of about `units` units (at least one chunk column): boundaries 0 … units.
  [[nodiscard]] std::vector<std::size_t> panels(std::string const& layer, std::size_t units) const;
  /// Sums kept by striate's stores (empty where there are none): per row, per unit.
  [[nodiscard]] std::vector<double> row_sum(std::string const& layer) const;
  [[nodiscard]] std::vector<double> row_sum_squares(std::string const& layer) const;
  [[nodiscard]] std::vector<double> unit_mean(std::string const& layer) const;
  [[nodiscard]] std::vector<double> unit_m2(std::string const& layer) const;
  /// (n) of Skipped, or empty where the store keeps no such list.
  [[nodiscard]] std::vector<std::uint8_t> skipped() const;
  /// (n) SHA-256 of the stimulus files, or empty.
  [[nodiscard]] std::vector<std::string> stimulus_sha256() const;
  /// First batch whose CRC32C does not fit, as "layer NAME, rows a-b"; "" where all fit or there is no checksum.
  [[nodiscard]] std::string first_damage() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate
