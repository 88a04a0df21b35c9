#pragma once
/// Features at earlier volumes of the same run (finite impulse response).
#include <memory>

#include "encode_data.hpp"

namespace striate::encode {

/// Bytes of a rank, beside those of the layer, while delayed features of a layer are read.
[[nodiscard]] double delay_bytes(Inputs const& inputs, LayerInput const& layer);

/// Units in blocks, one a delay, each of all units of the layer; 0 where a volume would look back beyond the beginning
/// of its run. What is held or streamed is the layer, once: the delayed matrix never is.
class DelayedSource final : public NodeSource {
 public:
  /// `inner`: of the rows that `lags.rows` names; `lags` must outlive the source. `rows`: of Y.
  DelayedSource(std::unique_ptr<NodeSource> inner, Lags const& lags, std::size_t rows)
      : inner_(std::move(inner)), lags_(lags), rows_(rows) {}
  [[nodiscard]] std::size_t rows() const override { return rows_; }
  [[nodiscard]] std::size_t cols() const override { return inner_->cols() * (lags_.place.size() / rows_); }
  void read(std::size_t first, std::size_t count, float* out) const override;
  void read_alone(std::size_t first, std::size_t count, float* out) const override;

 private:
  template <class Read>
  void delayed(std::size_t first, std::size_t count, float* out, Read const& read) const;

  std::unique_ptr<NodeSource> inner_;
  Lags const& lags_;
  std::size_t rows_;
};

}  // namespace striate::encode
