#include "reduce_source.hpp"

#include <algorithm>

#include "striate/base/log.hpp"
#include "striate/math/gram.hpp"
#include "striate/par/together.hpp"

namespace striate::reduce {

StorePanels::StorePanels(Comm const& comm, Team& team, StopFlag const& stop, ActReader const& store, std::string layer,
                         std::vector<std::size_t> rows, double bytes)
    : comm_(comm),
      team_(team),
      stop_(stop),
      store_(store),
      layer_(std::move(layer)),
      rows_(std::move(rows)),
      units_(store.layer(layer_).units) {
  auto const fit = [&](std::size_t other, std::size_t all) {
    auto const most = static_cast<std::size_t>(bytes / (4 * static_cast<double>(std::max<std::size_t>(1, other))));
    std::size_t const wanted = std::max<std::size_t>(1, most / gram_panel) * gram_panel;
    return std::min(wanted, (all + gram_panel - 1) / gram_panel * gram_panel);
  };
  width_ = std::max(gram_panel, fit(rows_.size(), units_));
  height_ = std::max(gram_panel, fit(units_, rows_.size()));
}

float* StorePanels::memory(std::size_t floats) {
  if (floats > held_) {
    data_.reset();
    data_ = team_.shared(floats * 4);
    held_ = floats;
  }
  return reinterpret_cast<float*>(data_.get());
}

void StorePanels::shared_fill(std::size_t count, std::function<void(std::size_t, std::size_t)> const& fill) {
  Comm const node = comm_.node();
  node.barrier();  // nobody reads the panel before any more
  auto const r = static_cast<std::size_t>(node.rank()), ranks = static_cast<std::size_t>(node.size());
  std::size_t const first = count * r / ranks, last = count * (r + 1) / ranks;
  together(comm_, [&] {
    if (first < last) fill(first, last - first);
  });
  node.barrier();
}

CentredPanel StorePanels::panel(std::size_t first, std::size_t count) {
  std::size_t const n = rows_.size();
  float* const x = memory(n * std::min(width_, units_));
  if (!moments_) moments_ = team_.shared(2 * std::min(width_, units_) * 8);
  auto* const mean = reinterpret_cast<double*>(moments_.get());
  double* const squares = mean + std::min(width_, units_);
  shared_fill(count, [&](std::size_t from, std::size_t some) {
    store_.read(layer_, rows_, first + from, some, MatrixView<float>(x + from * n, n, some));
    constexpr std::size_t at_once = 64;
    team_.local((some + at_once - 1) / at_once, [&](std::size_t i) {
      std::size_t const c = from + i * at_once, columns = std::min(at_once, from + some - c);
      centre_columns(x + c * n, n, columns, mean + c, squares + c);
    });
  });
  return {x, mean, squares};
}

float const* StorePanels::block(std::size_t first, std::size_t count) {
  float* const x = memory(count * units_);
  auto const rows = std::span(rows_).subspan(first, count);
  shared_fill(units_, [&](std::size_t from, std::size_t some) {
    store_.read(layer_, rows, from, some, MatrixView<float>(x + from * count, count, some));
  });
  return x;
}

float const* StorePanels::columns(std::vector<std::size_t> const& firsts, std::size_t count) {
  std::size_t const n = rows_.size();
  float* const x = memory(n * count * firsts.size());
  shared_fill(firsts.size(), [&](std::size_t from, std::size_t some) {
    for (std::size_t i = from; i < from + some; ++i)
      store_.read(layer_, rows_, firsts[i], count, MatrixView<float>(x + i * count * n, n, count));
  });
  return x;
}

void StorePanels::progress(double share) {
  if (share < last_share_) ++pass_;
  last_share_ = share;
  auto const now = std::chrono::steady_clock::now();
  if (now - spoke_ > std::chrono::minutes(1)) {
    spoke_ = now;
    log::info("  {}: pass {}, {:.0f} %", layer_, pass_, 100 * share);
  }
  if (comm_.max(std::int64_t{stop_.requested() ? 1 : 0}) > 0) throw Stopped();
}

}  // namespace striate::reduce
