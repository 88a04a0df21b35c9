#include "striate/base/error.hpp"
#include "striate/store/npy.hpp"
#include "striate/store/row_array.hpp"

namespace striate {
namespace {

class NpyRows final : public RowArray {
 public:
  NpyRows(std::filesystem::path const& file, bool whole) : file_(file) {
    name_ = file.string();
    shape_.assign(file_.shape().begin(), file_.shape().end());
    if (file_.fortran_order() && shape_.size() > 1)
      fail(Exit::data, "{} is in Fortran order; save it with numpy.save(f, numpy.ascontiguousarray(a))", name_);
    bytes_ = file_.dtype().ends_with("u1");
    rows_ = 1;
    if (whole) return;
    if (shape_.empty()) fail(Exit::data, "{} holds a single number, not an array of n rows", name_);
    rows_ = shape_.front();
    shape_.erase(shape_.begin());
  }
  void read(std::size_t row, std::span<float> out) const override { file_.read(row * row_size(), out); }
  void read(std::size_t row, std::span<std::uint8_t> out) const override { file_.read(row * row_size(), out); }

 private:
  NpyFile file_;
};

}  // namespace

std::size_t RowArray::row_size() const {
  std::size_t size = 1;
  for (std::size_t const extent : shape_) size *= extent;
  return size;
}

std::shared_ptr<RowArray const> open_npy_rows(std::filesystem::path const& file, bool whole) {
  return std::make_shared<NpyRows>(file, whole);
}

}  // namespace striate
