#include "responses.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/math/panel_product.hpp"

namespace striate::detail {
namespace {

TargetFlag load_target(RowPlan const& rows, float const* y, std::size_t t, Responses& r) {
  float* out = r.y + t * r.used;
  float zero = 0;
  for (std::size_t i = 0; i < r.used; ++i) {
    out[i] = y[rows.row[i]];
    zero += out[i] * 0.0F;
  }
  if (!(zero == 0.0F)) {
    return TargetFlag::not_finite;
  }
  auto const& blocks = rows.blocks;
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
  for (std::size_t set = 0; set < rows.sets.size(); ++set) {
    float l = std::numeric_limits<float>::infinity(), h = -l;
    for (auto b : blocks.sets[set]) {
      l = std::min(l, low[b]);
      h = std::max(h, high[b]);
    }
    auto const& test = rows.sets[set].test;
    // A single held-out row has no variance to explain; it is still predicted (leave-one-out, scored when
    // concatenated).
    bool const single = test.size() == 1 && set == rows.inner();
    bool const varies =
        test.empty() || single || std::any_of(test.begin(), test.end(), [&](auto i) { return out[i] != out[test[0]]; });
    if (!(h > l) || !varies) {
      return TargetFlag::constant;
    }
  }
  auto const n = static_cast<double>(rows.n_train);
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
  for (std::size_t i = rows.n_train; i < r.used; ++i) {
    out[i] = static_cast<float>(static_cast<double>(out[i]) - mean);
  }
  r.mean[t] = mean;
  r.sd[t] = std::sqrt(square / n);
  return TargetFlag::ok;
}

}  // namespace

void load_responses(RowPlan const& rows, MatrixView<float const> Y, TargetFlag* flags, Responses& r,
                    Buffer<float>& memory) {
  r.targets = Y.cols;
  r.width = padded_cols(Y.cols);
  r.used = rows.row.size();
  r.blocks = rows.blocks.blocks();
  r.y = memory.grow(r.used * r.width);
  r.mean.assign(r.targets, 0);
  r.sd.assign(r.targets, 1);
  r.block_sum.assign(r.targets * r.blocks, 0);
  std::fill(r.y + r.used * r.targets, r.y + r.used * r.width, 0.0F);
  for (std::size_t t = 0; t < r.targets; ++t) {
    TargetFlag const flag = load_target(rows, Y.col(t), t, r);
    flags[t] = flag;
    if (flag != TargetFlag::ok) {  // its neighbours never see it
      std::fill_n(r.y + t * r.used, r.used, 0.0F);
      std::fill_n(r.block_sum.begin() + static_cast<std::ptrdiff_t>(t * r.blocks), r.blocks, 0.0);
    }
  }
}

double training_mean(RowPlan const& rows, Responses const& r, std::size_t t, std::size_t set) {
  double sum = 0;
  for (auto b : rows.blocks.sets[set]) {
    sum += r.block_sum[t * r.blocks + b];
  }
  return sum / static_cast<double>(rows.sets[set].train.size());
}

float const* training_responses(RowPlan const& rows, Responses const& r, std::size_t set, std::size_t& ld,
                                Buffer<float>& memory) {
  if (set == rows.inner()) {  // its rows come first
    ld = r.used;
    return r.y;
  }
  ld = rows.sets[set].train.size();
  float* const out = memory.grow(ld * r.width);
  for (std::size_t t = 0; t < r.width; ++t) {
    float* to = out + t * ld;
    for (auto b : rows.blocks.sets[set]) {
      auto const from = rows.blocks.begin[b], end = rows.blocks.begin[b + 1];
      to = std::copy(r.y + t * r.used + from, r.y + t * r.used + end, to);
    }
  }
  return out;
}

}  // namespace striate::detail
