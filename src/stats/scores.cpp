#include "striate/stats/scores.hpp"

#include <array>

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

}  // namespace striate
