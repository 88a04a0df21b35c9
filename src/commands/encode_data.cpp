#include "encode_data.hpp"

#include <algorithm>
#include <cstring>

#include "striate/par/together.hpp"

namespace striate::encode {
namespace {

constexpr double read_bytes = 32e6;  ///< of one read of a column panel

}  // namespace

LayerSource::LayerSource(Comm const& comm, ActReader const& reader, LayerInput const& layer,
                         std::vector<std::size_t> const& rows, double room)
    : comm_(comm), reader_(reader), layer_(layer), rows_(rows) {
  double const bytes = 4.0 * static_cast<double>(rows.size()) * static_cast<double>(layer.units);
  keeps_ = bytes <= room;
}

void LayerSource::read_alone(std::size_t first, std::size_t count, float* out) const {
  if (loaded_) {
    auto const* const all = reinterpret_cast<float const*>(bytes_->data());
    std::memcpy(out, all + first * rows_.size(), rows_.size() * count * 4);
    return;
  }
  reader_.read(layer_.layer, rows_, first, count, MatrixView<float>(out, rows_.size(), count));
}

/// Columns [first, first + count) to the start of the node's memory, each rank of the node its part. Collective.
void LayerSource::load(std::size_t first, std::size_t count) const {
  std::size_t const n = rows_.size();
  if (bytes_ == nullptr || bytes_->size() < n * count * 4) {
    bytes_.reset();
    bytes_ = std::make_unique<SharedBytes>(comm_, n * count * 4);
  }
  Comm const node = comm_.node();
  together(comm_, [&] {
    auto* const all = reinterpret_cast<float*>(bytes_->data());
    auto const wanted = static_cast<std::size_t>(read_bytes / (4.0 * static_cast<double>(n)));
    auto const bounds = reader_.panels(layer_.layer, std::max<std::size_t>(1, wanted));  // whole chunks
    for (std::size_t b = 0, mine = 0; b + 1 < bounds.size(); ++b) {
      std::size_t const lo = std::max(bounds[b], first), hi = std::min(bounds[b + 1], first + count);
      if (lo >= hi) continue;
      if (mine++ % static_cast<std::size_t>(node.size()) != static_cast<std::size_t>(node.rank())) continue;
      read_alone(lo, hi - lo, all + (lo - first) * n);
    }
  });
  bytes_->synchronise();
}

void LayerSource::read(std::size_t first, std::size_t count, float* out) const {
  std::size_t const n = rows_.size();
  if (!keeps_ && comm_.size() == 1) return read_alone(first, count, out);
  if (!keeps_)
    load(first, count);
  else if (!loaded_)
    load(0, layer_.units), loaded_ = true;
  if (loaded_) return read_alone(first, count, out);
  std::memcpy(out, bytes_->data(), n * count * 4);
  bytes_->synchronise();  // before the next panel takes its place
}

TargetBlock::TargetBlock(Comm const& comm, Responses const* responses, RowPlan const* plan, std::size_t rows,
                         std::size_t targets, std::size_t width)
    : TargetBlock(
          comm, [=](std::size_t first, MatrixView<float> y) { responses->fill(*plan, first, y); }, rows, targets,
          width) {}

TargetBlock::TargetBlock(Comm const& comm, Fill fill, std::size_t rows, std::size_t targets, std::size_t width,
                         std::size_t depth)
    : comm_(comm),
      fill_(std::move(fill)),
      rows_(rows),
      targets_(targets),
      width_(std::min(width, targets)),
      bytes_(std::make_unique<SharedBytes>(comm, std::max(rows, depth) * width_ * 4)) {}

void TargetBlock::load(std::size_t b) {
  if (b == present_) return;
  std::size_t const first = b * width_, count = std::min(width_, targets_ - first);
  auto* const y = reinterpret_cast<float*>(bytes_->data());
  bytes_->synchronise();  // nobody reads the old block any more
  together(comm_, [&] {
    if (comm_.root()) fill_(first, MatrixView<float>(y, rows_, count));
  });
  if (comm_.nodes() > 1 && comm_.node().root()) comm_.leaders().broadcast(static_cast<void*>(y), rows_ * count * 4, 0);
  bytes_->synchronise();
  present_ = b;
}

MatrixView<float const> TargetBlock::columns(std::size_t first, std::size_t count) const {
  auto const* const y = reinterpret_cast<float const*>(bytes_->data());
  return {y + (first - present_ * width_) * rows_, rows_, count};
}

void ResponseSource::read(std::size_t first, std::size_t count, float* out) const {
  for (std::size_t at = first; at < first + count;) {
    std::size_t const b = at / block_.width();
    std::size_t const end = std::min(first + count, (b + 1) * block_.width());
    block_.load(b);
    MatrixView<float const> const y = block_.columns(at, end - at);
    std::memcpy(out + (at - first) * rows_, y.data, rows_ * y.cols * 4);
    at = end;
  }
}

}  // namespace striate::encode
