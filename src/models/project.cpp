// Responses of a tile, checked and centred, and what the hats of a training set multiply.
#include <algorithm>
#include <cmath>
#include <limits>

#include "fitted.hpp"
#include "striate/math/panel_product.hpp"

namespace striate::detail {

void Fitted::load(MatrixView<float const> Y, std::size_t first, TileResult& out, Responses& r, Workspace& work) const {
  r.targets = Y.cols;
  r.width = padded_cols(Y.cols);
  r.used = s_.rows.row.size();
  r.blocks = s_.rows.blocks.blocks();
  r.y = work.y.grow(r.used * r.width);
  r.mean.assign(r.targets, 0);
  r.sd.assign(r.targets, 1);
  r.block_sum.assign(r.targets * r.blocks, 0);
  std::fill(r.y + r.used * r.targets, r.y + r.used * r.width, 0.0F);
  for (std::size_t t = 0; t < r.targets; ++t) {
    TargetFlag const flag = load_target(Y.col(t), t, r);
    out.flag[first + t] = flag;
    if (flag != TargetFlag::ok) {  // its neighbours never see it
      std::fill_n(r.y + t * r.used, r.used, 0.0F);
      std::fill_n(r.block_sum.begin() + static_cast<std::ptrdiff_t>(t * r.blocks), r.blocks, 0.0);
    }
  }
}

TargetFlag Fitted::load_target(float const* y, std::size_t t, Responses& r) const {
  float* out = r.y + t * r.used;
  float zero = 0;
  for (std::size_t i = 0; i < r.used; ++i) {
    out[i] = y[s_.rows.row[i]];
    zero += out[i] * 0.0F;
  }
  if (!(zero == 0.0F)) {
    return TargetFlag::not_finite;
  }
  auto const& blocks = s_.rows.blocks;
  std::vector<float> low(r.blocks), high(r.blocks);
  double sum = 0;
  for (std::size_t b = 0; b < r.blocks; ++b) {
    low[b] = high[b] = out[blocks.begin[b]];
    for (std::size_t i = blocks.begin[b]; i < blocks.begin[b + 1]; ++i) {
      low[b] = std::min(low[b], out[i]);
      high[b] = std::max(high[b], out[i]);
      sum += out[i];
    }
  }
  for (std::size_t set = 0; set < s_.rows.sets.size(); ++set) {
    float l = std::numeric_limits<float>::infinity(), h = -l;
    for (auto b : blocks.sets[set]) {
      l = std::min(l, low[b]);
      h = std::max(h, high[b]);
    }
    auto const& test = s_.rows.sets[set].test;
    // A single held-out row has no variance to explain; it is still predicted (leave-one-out, scored when
    // concatenated).
    bool const single = test.size() == 1 && set == s_.rows.inner();
    bool const varies =
        test.empty() || single || std::any_of(test.begin(), test.end(), [&](auto i) { return out[i] != out[test[0]]; });
    if (!(h > l) || !varies) {
      return TargetFlag::constant;
    }
  }
  auto const n = static_cast<double>(s_.rows.n_train);
  double const mean = sum / n;
  double square = 0;
  for (std::size_t b = 0; b < r.blocks; ++b) {
    double part = 0;
    for (std::size_t i = blocks.begin[b]; i < blocks.begin[b + 1]; ++i) {
      out[i] = static_cast<float>(static_cast<double>(out[i]) - mean);
      part += out[i];
      square += static_cast<double>(out[i]) * out[i];
    }
    r.block_sum[t * r.blocks + b] = part;
  }
  for (std::size_t i = s_.rows.n_train; i < r.used; ++i) {
    out[i] = static_cast<float>(static_cast<double>(out[i]) - mean);
  }
  r.mean[t] = mean;
  r.sd[t] = std::sqrt(square / n);
  return TargetFlag::ok;
}

double Fitted::training_mean(Responses const& r, std::size_t t, std::size_t set) const {
  double sum = 0;
  for (auto b : s_.rows.blocks.sets[set]) {
    sum += r.block_sum[t * r.blocks + b];
  }
  return sum / static_cast<double>(s_.rows.sets[set].train.size());
}

/// z of a set: what its hats multiply. depth × width. `fresh`: the first call for these responses.
float const* Fitted::project(Responses const& r, std::size_t set, bool fresh, std::size_t& ld, Workspace& work) const {
  auto const& hats = s_.sets[set];
  float const* z = r.y;
  ld = r.used;
  if (s_.form == Form::primal) {
    z = feature_products(r, set, fresh, work);
    ld = padded_rows(s_.p);
  } else if (set < s_.rows.inner()) {
    ld = s_.rows.sets[set].train.size();
    float* rows = work.rows.grow(ld * r.width);
    for (std::size_t t = 0; t < r.width; ++t) {
      float* to = rows + t * ld;
      for (auto b : s_.rows.blocks.sets[set]) {
        auto const from = s_.rows.blocks.begin[b], end = s_.rows.blocks.begin[b + 1];
        to = std::copy(r.y + t * r.used + from, r.y + t * r.used + end, to);
      }
    }
    z = rows;
  }
  if (is_spectral(s_.form)) {
    float* c = work.result.grow(padded_rows(hats.depth) * r.width);
    panel_product(hats.basis, hats.depth, hats.basis_rows, z, ld, r.width, c, work.slivers);
    z = c;
    ld = padded_rows(hats.depth);
  }
  return z;
}

/// Xᵀ(y − ȳ) over the training rows of a set: sums of per-block products, which all sets share.
float const* Fitted::feature_products(Responses const& r, std::size_t set, bool fresh, Workspace& work) const {
  std::size_t const ld = padded_rows(s_.p), size = ld * r.width, width = stats_size(s_.rows.sets.size());
  auto const& blocks = s_.rows.blocks;
  if (fresh) {
    float* c = work.products.grow(size * (r.blocks + 1));
    for (std::size_t b = 0; b < r.blocks; ++b) {
      panel_product(s_.x[b], s_.p, blocks.begin[b + 1] - blocks.begin[b], r.y + blocks.begin[b], r.used, r.width,
                    c + (b + 1) * size, work.slivers);
    }
    std::copy_n(c + size, size, c);  // slot 0: the sum of all blocks
    for (std::size_t b = 1; b < r.blocks; ++b) {
      float const* part = c + (b + 1) * size;
      for (std::size_t i = 0; i < size; ++i) {
        c[i] += part[i];
      }
    }
  }
  float const* all = work.products.data();
  auto const& mine = blocks.sets[set];
  if (mine.size() == r.blocks) {
    return all;
  }
  float* z = work.rows.grow(size);
  bool const few = mine.size() * 2 <= r.blocks;  // add what is in, or take away what is out
  auto const n = static_cast<double>(s_.rows.sets[set].train.size());
  std::vector<float> mean(s_.p);
  for (std::size_t j = 0; j < s_.p; ++j) {
    mean[j] = static_cast<float>(n * s_.stats[j * width + 1 + 2 * set]);
  }
  for (std::size_t t = 0; t < r.width; ++t) {
    float* column = z + t * ld;
    auto const centre = t < r.targets ? static_cast<float>(training_mean(r, t, set)) : 0.0F;
    for (std::size_t j = 0; j < s_.p; ++j) {
      column[j] = (few ? 0.0F : all[t * ld + j]) - mean[j] * centre;
    }
    for (std::uint32_t b = 0; b < r.blocks; ++b) {
      bool const in = std::binary_search(mine.begin(), mine.end(), b);
      float const* part = all + (b + 1) * size + t * ld;
      if (in == few) {
        float const sign = few ? 1.0F : -1.0F;
        for (std::size_t j = 0; j < s_.p; ++j) {
          column[j] += sign * part[j];
        }
      }
    }
  }
  return z;
}

}  // namespace striate::detail
