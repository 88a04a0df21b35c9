#pragma once
/// Plain views on column-major arrays: columns are targets or features, rows are stimuli (samples).
#include <cstddef>

namespace striate {

/// Column-major view: element (i, j) at data[i + j * stride]. Non-owning.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0, cols = 0, stride = 0;

  MatrixView() = default;
  MatrixView(T* d, std::size_t r, std::size_t c) : data(d), rows(r), cols(c), stride(r) {}
  MatrixView(T* d, std::size_t r, std::size_t c, std::size_t s) : data(d), rows(r), cols(c), stride(s) {}
  template <class U>
  MatrixView(MatrixView<U> const& o) : data(o.data), rows(o.rows), cols(o.cols), stride(o.stride) {}  // T* from U*

  T& operator()(std::size_t i, std::size_t j) const { return data[i + j * stride]; }
  [[nodiscard]] T* col(std::size_t j) const { return data + j * stride; }
  [[nodiscard]] MatrixView columns(std::size_t first, std::size_t count) const {
    return {data + first * stride, rows, count, stride};
  }
};

}  // namespace striate
