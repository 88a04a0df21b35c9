// Rows of a dataset, read from the file beside HDF5, which only the main thread may call.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "h5_chunks.hpp"
#include "numbers.hpp"
#include "striate/store/h5.hpp"
#include "striate/store/row_array.hpp"

namespace striate {
namespace {

constexpr std::size_t most_in_memory = std::size_t{1} << 28;

/// How numbers stand in the file; width 0 where only HDF5 can tell.
struct NumberForm {
  char kind = 'f';
  int width = 0;
  bool swapped = false;
};

NumberForm form_of(h5::Dataset const& data) {
  h5::Id const type(H5Dget_type(data.id()), H5Tclose);
  auto const width = static_cast<int>(H5Tget_size(type.get()));
  NumberForm form;
  form.swapped = width > 1 && H5Tget_order(type.get()) == H5T_ORDER_BE;
  bool const whole = H5Tget_class(type.get()) == H5T_INTEGER &&
                     H5Tget_precision(type.get()) == 8 * static_cast<std::size_t>(width) &&
                     (width == 1 || width == 2 || width == 4 || width == 8);
  bool const real = H5Tequal(type.get(), H5T_IEEE_F32LE) > 0 || H5Tequal(type.get(), H5T_IEEE_F32BE) > 0 ||
                    H5Tequal(type.get(), H5T_IEEE_F64LE) > 0 || H5Tequal(type.get(), H5T_IEEE_F64BE) > 0 ||
                    data.is_float16();
  if (whole) form.kind = H5Tget_sign(type.get()) == H5T_SGN_NONE ? 'u' : 'i';
  if (whole || real) form.width = width;
  return form;
}

/// Of a piece of a file.
class FilePiece final : public RowArray {
 public:
  FilePiece(std::string name, std::filesystem::path const& file, h5::Dataset const& data, NumberForm form)
      : pieces_(file, data), form_(form) {
    name_ = std::move(name);
    shape_.assign(data.shape().begin() + 1, data.shape().end());
    rows_ = data.shape().front();
    bytes_ = form.kind == 'u' && form.width == 1;
    together_ = pieces_.rows_together();
  }
  void read(std::size_t row, std::span<float> out) const override { read_as(row, out); }
  void read(std::size_t row, std::span<std::uint8_t> out) const override { read_as(row, out); }

 private:
  template <class T>
  void read_as(std::size_t row, std::span<T> out) const {
    thread_local std::vector<std::byte> raw;
    raw.resize(out.size() * static_cast<std::size_t>(form_.width));
    pieces_.read_row(row, raw.data());
    convert_numbers(form_.kind, form_.width, raw.data(), form_.swapped, out);
  }
  h5::Pieces pieces_;
  NumberForm form_;
};

/// What is small and lies in a way that only HDF5 knows.
class InMemory final : public RowArray {
 public:
  InMemory(std::string name, h5::Dataset const& data) : values_(data.read<float>()) {
    name_ = std::move(name);
    shape_.assign(data.shape().begin() + 1, data.shape().end());
    rows_ = data.shape().front();
    bytes_ = data.type_name() == "uint8";
  }
  void read(std::size_t row, std::span<float> out) const override {
    std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(row * out.size()), out.size(), out.begin());
  }
  void read(std::size_t row, std::span<std::uint8_t> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(values_[row * out.size() + i]);
  }

 private:
  std::vector<float> values_;
};

h5::Dataset dataset_of(h5::File const& file, std::string const& name) {
  if (!file.is_dataset(name)) {
    std::string listed;
    for (auto const& other : file.names())
      if (file.is_dataset(other)) listed += (listed.empty() ? "" : ", ") + other;
    fail(Exit::data, "{} has no dataset {}{}", file.path().string(), name,
         listed.empty() ? "" : " (it has " + listed + ")");
  }
  return file.dataset(name);
}

}  // namespace

std::shared_ptr<RowArray const> open_h5_rows(std::filesystem::path const& path, std::string const& dataset) {
  h5::File const file = h5::File::open(path);
  h5::Dataset const data = dataset_of(file, dataset);
  std::string name = path.string() + ":" + (dataset.starts_with('/') ? "" : "/") + dataset;
  if (!data.numeric()) fail(Exit::data, "{} holds values of type {}; numbers are needed", name, data.type_name());
  if (data.shape().empty() || h5::volume(data.shape()) == 0)
    fail(Exit::data, "{} has shape {}; n rows of at least one number are needed", name, h5::text_of(data.shape()));
  NumberForm const form = form_of(data);
  if (form.width > 0 && h5::Pieces::can_read(data)) return std::make_shared<FilePiece>(name, path, data, form);
  if (h5::volume(data.shape()) * sizeof(float) > most_in_memory)
    fail(Exit::data,
         "{} is stored in a way that only HDF5 itself can read, and is too large to hold in memory; rewrite it "
         "(h5repack -f GZIP=1 FILE OUT)",
         name);
  return std::make_shared<InMemory>(name, data);
}

std::vector<std::string> h5_row_names(std::filesystem::path const& path, std::string const& ids, std::size_t rows) {
  h5::File const file = h5::File::open(path);
  std::string from = ids;
  for (auto const* usual : {"stimID", "stimulus_id", ".striate/stimulus_id"})
    if (from.empty() && file.is_dataset(usual)) from = usual;
  std::vector<std::string> names;
  if (from.empty()) {
    for (std::size_t r = 0; r < rows; ++r) names.push_back(std::to_string(r + 1));
    return names;
  }
  h5::Dataset const data = dataset_of(file, from);
  if (!data.numeric()) {
    names = data.read_strings();
  } else {
    for (double const value : data.read<double>()) names.push_back(fmt::format("{}", value));
  }
  if (names.size() != rows)
    fail(Exit::data, "{}: {} names {} rows, but there are {}", path.string(), from, names.size(), rows);
  return names;
}

}  // namespace striate
