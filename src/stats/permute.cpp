#include "striate/stats/permute.hpp"

#include <array>
#include <cmath>
#include <map>
#include <numeric>

#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"

namespace striate {
namespace {

constexpr std::uint64_t purpose = 0x7065726d757465;  // "permute"

struct Row {
  Shuffle shuffle;
  char const* name;
};
constexpr std::array<Row, 4> table{{{Shuffle::rows, "rows"},
                                    {Shuffle::blocks, "blocks"},
                                    {Shuffle::circular, "circular"},
                                    {Shuffle::sign, "sign"}}};

using Rows = std::vector<std::uint32_t>;

/// Rows of each label, in order of first appearance.
std::vector<Rows> by_label(std::vector<std::uint32_t> const& label, std::size_t n) {
  std::vector<Rows> groups;
  std::map<std::uint32_t, std::size_t> number;
  for (std::uint32_t i = 0; i < n; ++i) {
    auto const [at, fresh] = number.emplace(label.empty() ? 0 : label[i], groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].push_back(i);
  }
  return groups;
}

void check_labels(std::vector<std::uint32_t> const& label, std::size_t n, char const* what) {
  if (!label.empty() && label.size() != n)
    fail(Exit::internal, "permutation: {} {} labels for {} rows", label.size(), what, n);
}

}  // namespace

std::optional<Shuffle> shuffle_of(std::string_view name) {
  for (auto const& row : table)
    if (name == row.name) return row.shuffle;
  return std::nullopt;
}

std::vector<std::string> shuffle_names() {
  std::vector<std::string> names;
  for (auto const& row : table) names.emplace_back(row.name);
  return names;
}

Permuter::Permuter(PermutationSpec const& spec, std::size_t n)
    : n_(n), shuffle_(spec.shuffle), seed_(spec.seed), stream_(spec.stream) {
  check_labels(spec.block, n, "block");
  check_labels(spec.unit, n, "unit");
  auto const blocks = by_label(spec.block, n);
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> number;  // (block, size) → class
  auto const add = [&](std::size_t block, Piece piece) {
    auto const [at, fresh] = number.emplace(std::pair(block, piece.size()), classes_.size());
    if (fresh) classes_.emplace_back();
    classes_[at->second].push_back(std::move(piece));
  };
  if (shuffle_ == Shuffle::circular) {
    for (auto const& rows : blocks) {
      classes_.emplace_back();
      for (auto row : rows) classes_.back().push_back({row});
    }
  } else if (shuffle_ == Shuffle::rows) {
    for (std::size_t b = 0; b < blocks.size(); ++b) {
      std::map<std::uint32_t, std::size_t> seen;
      std::vector<Piece> pieces;
      for (auto row : blocks[b]) {
        auto const [at, fresh] = seen.emplace(spec.unit.empty() ? row : spec.unit[row], pieces.size());
        if (fresh) pieces.emplace_back();
        pieces[at->second].push_back(row);
      }
      for (auto& piece : pieces) add(b, std::move(piece));
    }
  } else if (shuffle_ == Shuffle::sign && spec.block.empty()) {
    for (std::uint32_t i = 0; i < n; ++i) add(0, {i});
  } else {
    for (auto const& rows : blocks) {
      std::size_t const step = spec.length > 0 ? spec.length : rows.size();
      for (std::size_t first = 0; first < rows.size(); first += step) {
        std::size_t const end = std::min(rows.size(), first + step);
        add(0, Piece(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.begin() + static_cast<std::ptrdiff_t>(end)));
      }
    }
  }
  if (!flips() && fixed_rows() == n)
    fail(Exit::data, "no two {} can change places, so there is nothing to permute",
         shuffle_ == Shuffle::blocks ? "blocks have the same number of rows" : "rows of a block");
}

void Permuter::make(std::uint64_t index, std::vector<std::uint32_t>& source, std::vector<float>& sign) const {
  source.resize(n_);
  sign.assign(n_, 1.0F);
  std::iota(source.begin(), source.end(), 0U);
  Philox draw(seed_, purpose + (stream_ << 56 | stream_ >> 8), index);
  for (Class const& pieces : classes_) {
    if (flips()) {
      for (Piece const& piece : pieces) {
        float const s = (draw.next() & 1U) != 0 ? -1.0F : 1.0F;
        for (auto row : piece) sign[row] = s;
      }
      continue;
    }
    std::size_t const m = pieces.size();
    std::vector<std::uint32_t> order(m);
    std::iota(order.begin(), order.end(), 0U);
    if (shuffle_ == Shuffle::circular) {
      auto const shift = static_cast<std::size_t>(draw.below(m));
      for (std::size_t i = 0; i < m; ++i) order[i] = static_cast<std::uint32_t>((i + m - shift) % m);
    } else {
      for (std::size_t i = m; i-- > 1;) std::swap(order[i], order[draw.below(i + 1)]);
    }
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t r = 0; r < pieces[i].size(); ++r) source[pieces[i][r]] = pieces[order[i]][r];
  }
}

double Permuter::log10_arrangements() const {
  double sum = 0;
  for (Class const& pieces : classes_) {
    auto const m = static_cast<double>(pieces.size());
    sum += flips() ? m * std::log10(2.0) : shuffle_ == Shuffle::circular ? std::log10(m) : std::lgamma(m + 1) / std::log(10.0);
  }
  return sum;
}

std::size_t Permuter::fixed_rows() const {
  std::size_t rows = 0;
  for (Class const& pieces : classes_)
    if (pieces.size() == 1 && !flips()) rows += pieces[0].size();
  return rows;
}

}  // namespace striate
