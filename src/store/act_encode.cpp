#include "act_encode.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "striate/base/hash.hpp"
#include "striate/math/clones.hpp"
#include "striate/store/half.hpp"

namespace striate {
namespace {

// A block of all rows stays in the first caches while it is copied, summed and looked at again: memory is read once.
constexpr std::size_t block_units = 512, lanes = 8;

typedef float Floats __attribute__((vector_size(lanes * sizeof(float))));
typedef double Doubles __attribute__((vector_size(lanes * sizeof(double))));

/// Sums of a row in lanes: fast, and always in the same order.
struct RowSums {
  double sum[lanes] = {}, squares[lanes] = {};
};

double total(double const* s) { return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])); }

/// Adds n values to the sums of their row, and each to the sum of its column.
STRIATE_CLONES void add_row(float const* v, std::size_t n, RowSums& row, double* column) {
  Doubles s, q;
  std::memcpy(&s, row.sum, sizeof s);
  std::memcpy(&q, row.squares, sizeof q);
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    Floats x;
    Doubles c;
    std::memcpy(&x, v + i, sizeof x);
    std::memcpy(&c, column + i, sizeof c);
    Doubles const d = __builtin_convertvector(x, Doubles);
    s += d;
    q += d * d;
    c += d;
    std::memcpy(column + i, &c, sizeof c);
  }
  std::memcpy(row.sum, &s, sizeof s);
  std::memcpy(row.squares, &q, sizeof q);
  for (std::size_t k = 0; i < n; ++i, ++k) {
    auto const d = static_cast<double>(v[i]);
    row.sum[k] += d;
    row.squares[k] += d * d;
    column[i] += d;
  }
}

STRIATE_CLONES void add_deviations(float const* v, std::size_t n, double const* mean, double* squares) {
  for (std::size_t i = 0; i < n; ++i) {
    double const d = static_cast<double>(v[i]) - mean[i];
    squares[i] += d * d;
  }
}

STRIATE_CLONES void take_greatest(float const* v, std::size_t n, float* most) {
  for (std::size_t i = 0; i < n; ++i) most[i] = v[i] > most[i] ? v[i] : most[i];
}

class Encoder {
 public:
  Encoder(ActLayout const& layout, std::size_t rows, float const* values, std::byte* out, BlockReporter& reporter)
      : l_(layout), rows_(rows), values_(values), out_(out), reporter_(reporter), sums_(rows), crc_(rows, 0) {}

  /// Units [first, first + count) of all rows; they lie in chunk column `piece`.
  void columns(std::size_t piece, std::size_t first, std::size_t count, ActBlock& block, bool with_moments) {
    double mean[block_units] = {}, squares[block_units] = {};
    float const* seen = values_ + first;
    std::size_t stride = l_.units;
    if (l_.element == 2) {
      rounded_.resize(rows_ * block_units);
      seen = rounded_.data(), stride = block_units;
    }
    for (std::size_t r = 0; r < rows_; ++r) {
      std::byte* const to = place(r, piece, first);
      float const* const from = values_ + r * l_.units + first;
      if (l_.element == 2) {  // a reader will see the rounded values
        auto* const halves = reinterpret_cast<std::uint16_t*>(to);
        block.overflow += to_half(from, count, halves);
        from_half(halves, count, rounded_.data() + r * block_units);
      } else {
        std::memcpy(to, from, count * sizeof(float));
      }
      crc_[r] = crc32c(to, count * l_.element, crc_[r]);
      add_row(seen + r * stride, count, sums_[r], mean);
      reporter_.add(r, seen + r * stride, count);
    }
    if (!with_moments) return;
    for (std::size_t j = 0; j < count; ++j) mean[j] /= static_cast<double>(rows_);
    float most[block_units] = {};
    for (std::size_t r = 0; r < rows_; ++r) {
      add_deviations(seen + r * stride, count, mean, squares);
      take_greatest(seen + r * stride, count, most);
    }
    for (std::size_t j = 0; j < count; ++j)
      block.above[(first + j) / 8] |= static_cast<std::uint8_t>((most[j] > 0) << ((first + j) % 8));
    for (std::size_t j = 0; j < count; ++j) {
      block.mean[first + j] = static_cast<float>(mean[j]);
      block.m2[first + j] = static_cast<float>(squares[j]);
    }
  }

  void finish(ActBlock& block) const {
    block.row_sum.resize(rows_);
    block.row_sum_squares.resize(rows_);
    for (std::size_t r = 0; r < rows_; ++r) {
      block.row_sum[r] = total(sums_[r].sum);
      block.row_sum_squares[r] = total(sums_[r].squares);
    }
    std::uint32_t const shift = crc32c_shift(l_.units * l_.element);
    block.crc = crc_[0];
    for (std::size_t r = 1; r < rows_; ++r) block.crc = crc32c_join(block.crc, crc_[r], shift);
  }

 private:
  [[nodiscard]] std::byte* place(std::size_t row, std::size_t piece, std::size_t unit) const {
    std::size_t const chunk = row / l_.chunk_rows * l_.pieces() + piece, width = l_.chunk_channels * l_.map;
    return out_ + chunk * l_.chunk_bytes() + (row % l_.chunk_rows * width + unit - piece * width) * l_.element;
  }

  ActLayout const& l_;
  std::size_t rows_;
  float const* values_;
  std::byte* out_;
  BlockReporter& reporter_;
  std::vector<RowSums> sums_;
  std::vector<std::uint32_t> crc_;  ///< of each row so far
  std::vector<float> rounded_;
};

/// What a chunk holds beside values is in the file too, and must not differ from run to run.
void clear_padding(ActLayout const& l, std::size_t rows, std::byte* out) {
  std::size_t const per_row = l.chunk_channels * l.map * l.element;
  std::size_t const last_channels = l.channels - (l.pieces() - 1) * l.chunk_channels;
  for (std::size_t r = 0; r < l.chunks_down(rows) * l.chunk_rows; ++r)
    for (std::size_t p = 0; p < l.pieces(); ++p) {
      std::size_t const used = r >= rows ? 0 : (p + 1 < l.pieces() ? per_row : last_channels * l.map * l.element);
      std::byte* const start = out + (r / l.chunk_rows * l.pieces() + p) * l.chunk_bytes() + r % l.chunk_rows * per_row;
      std::memset(start + used, 0, per_row - used);
    }
}

/// Rows with NaN stay out of the moments: rare, so looked at once more.
void moments_of_valid_rows(ActLayout const& l, std::size_t rows, float const* values, ActBlock& block) {
  std::vector<std::uint8_t> valid;
  for (double const s : block.row_sum) valid.push_back(!std::isnan(s));
  if (std::ranges::count(valid, 0) == 0) return;
  std::vector<float> rounded;
  if (l.element == 2) {
    std::vector<std::uint16_t> halves(rows * l.units);
    (void)to_half(values, halves.size(), halves.data());
    rounded.resize(halves.size());
    from_half(halves.data(), halves.size(), rounded.data());
    values = rounded.data();
  }
  column_moments(values, rows, l.units, l.units, valid, block.mean.data(), block.m2.data());
}

}  // namespace

void encode_batch(ActLayout const& layout, std::size_t rows, float const* values, bool with_moments, std::byte* out,
                  ActBlock& block, BlockReporter& reporter) {
  if (with_moments) {
    block.mean.resize(layout.units), block.m2.resize(layout.units);
    block.above.assign((layout.units + 7) / 8, 0);
  }
  block.overflow = 0;
  Encoder encoder(layout, rows, values, out, reporter);
  for (std::size_t piece = 0; piece < layout.pieces(); ++piece) {
    std::size_t const begin = piece * layout.chunk_channels * layout.map;
    std::size_t const end = std::min(begin + layout.chunk_channels * layout.map, layout.units);
    for (std::size_t first = begin; first < end; first += block_units)
      encoder.columns(piece, first, std::min(block_units, end - first), block, with_moments);
  }
  encoder.finish(block);
  clear_padding(layout, rows, out);
  if (with_moments) moments_of_valid_rows(layout, rows, values, block);
}

}  // namespace striate
