#include "striate/stats/scores.hpp"

#include <array>
#include <cmath>
#include <limits>

namespace striate {
namespace {

struct Row {
  Score score;
  char const* name;
};
constexpr std::array<Row, 5> table{{{Score::pearson, "pearson"},
                                    {Score::r2, "r2"},
                                    {Score::explained_variance, "explained_variance"},
                                    {Score::mse, "mse"},
                                    {Score::spearman, "spearman"}}};

}  // namespace

std::optional<Score> score_of(std::string_view name) {
  for (auto const& row : table) {
    if (name == row.name) {
      return row.score;
    }
  }
  return std::nullopt;
}

char const* name_of(Score s) {
  for (auto const& row : table) {
    if (row.score == s) {
      return row.name;
    }
  }
  return "?";
}

std::vector<std::string> score_names() {
  std::vector<std::string> names;
  for (auto const& row : table) {
    names.emplace_back(row.name);
  }
  return names;
}

bool constant_prediction(Moments const& m) {
  double const spread = m.ff - m.f * m.f / m.n;
  return !(spread > 1e-12 * m.ff);  // a relative spread of 1e-6: below what float32 products resolve
}

double score(Score s, Moments const& m) {
  double const total = m.yy - m.y * m.y / m.n;
  double const residual = m.yy - 2 * m.yf + m.ff;
  double const bias = m.y - m.f;
  if (s == Score::mse) {
    return residual / m.n;
  }
  if (!of_moments(s) || m.n < 2 || !(total > 0)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  switch (s) {
    case Score::r2:
      return 1 - residual / total;
    case Score::explained_variance:
      return 1 - (residual - bias * bias / m.n) / total;
    default:
      break;
  }
  if (constant_prediction(m)) {
    return 0;
  }
  return (m.yf - m.y * m.f / m.n) / std::sqrt(total * (m.ff - m.f * m.f / m.n));
}

}  // namespace striate
