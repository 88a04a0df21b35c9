#include "striate/stats/folds.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>

#include "fold_units.hpp"
#include "striate/base/error.hpp"
#include "striate/base/philox.hpp"

namespace striate {

using namespace detail;

namespace {

bool as_number(std::string const& s, double& value) {
  char* end = nullptr;
  value = std::strtod(s.c_str(), &end);
  return !s.empty() && *end == '\0';
}

/// Distinct labels, sorted: as numbers where every one is a number, as numpy.unique would sort them.
std::vector<std::string> sorted_labels(std::vector<std::string> const& labels) {
  std::vector<std::string> names(labels);
  bool numbers = true;
  double x = 0, y = 0;
  for (auto const& s : names) {
    numbers = numbers && as_number(s, x);
  }
  std::sort(names.begin(), names.end(), [&](auto const& a, auto const& b) {
    return numbers && as_number(a, x) && as_number(b, y) && x != y ? x < y : a < b;
  });
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::map<std::string, std::size_t> index_of(std::vector<std::string> const& names) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < names.size(); ++i) {
    index[names[i]] = i;
  }
  return index;
}

/// numpy.argsort of counts with its default kind: introsort, which leaves equal counts in an order of its own. A port of
/// numpy 1.24's aquicksort_ and aheapsort_ (numpy/core/src/npysort/{quicksort,heapsort}.cpp).
class Argsort {
 public:
  static std::vector<std::size_t> of(std::vector<std::size_t> const& count) {
    Argsort sort(count);
    sort.run();
    return std::move(sort.order_);
  }

 private:
  using At = std::ptrdiff_t;
  struct Part {
    At first, last;
    int depth;
  };

  explicit Argsort(std::vector<std::size_t> const& count) : count_(count), order_(count.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }
  std::size_t& at(At i) { return order_[static_cast<std::size_t>(i)]; }
  std::size_t value(At i) { return count_[at(i)]; }
  void swap(At i, At j) { std::swap(at(i), at(j)); }

  void run() {
    constexpr At small = 15;  // 16 elements or fewer are inserted
    auto const n = static_cast<At>(order_.size());
    std::vector<Part> stack{{0, n - 1, 2 * (static_cast<int>(std::bit_width(order_.size())) - 1)}};
    while (!stack.empty()) {
      auto [first, last, depth] = stack.back();
      stack.pop_back();
      if (depth < 0) {
        heapsort(first, last - first + 1);
        continue;
      }
      while (last - first > small) {
        At const cut = partition(first, last);
        --depth;
        if (cut - first < last - cut) {  // the longer part waits
          stack.push_back({cut + 1, last, depth});
          last = cut - 1;
        } else {
          stack.push_back({first, cut - 1, depth});
          first = cut + 1;
        }
      }
      insertion(first, last);
    }
  }

  At partition(At first, At last) {  // about the median of three
    At const middle = first + ((last - first) >> 1);
    if (value(middle) < value(first)) {
      swap(middle, first);
    }
    if (value(last) < value(middle)) {
      swap(last, middle);
    }
    if (value(middle) < value(first)) {
      swap(middle, first);
    }
    std::size_t const pivot = value(middle);
    At i = first, j = last - 1;
    swap(middle, j);
    while (true) {
      while (value(++i) < pivot) {
      }
      while (pivot < value(--j)) {
      }
      if (i >= j) {
        break;
      }
      swap(i, j);
    }
    swap(i, last - 1);
    return i;
  }

  void insertion(At first, At last) {
    for (At i = first + 1; i <= last; ++i) {
      std::size_t const mine = at(i);
      At j = i;
      for (; j > first && count_[mine] < value(j - 1); --j) {
        at(j) = at(j - 1);
      }
      at(j) = mine;
    }
  }

  void heapsort(At first, At n) {
    auto sift = [&](At i, std::size_t mine) {  // nodes count from 1
      for (At j = 2 * i; j <= n;) {
        if (j < n && value(first + j - 1) < value(first + j)) {
          ++j;
        }
        if (!(count_[mine] < value(first + j - 1))) {
          break;
        }
        at(first + i - 1) = at(first + j - 1);
        i = j;
        j *= 2;
      }
      at(first + i - 1) = mine;
    };
    for (At l = n / 2; l > 0; --l) {
      sift(l, at(first + l - 1));
    }
    while (n > 1) {
      std::size_t const mine = at(first + n - 1);
      at(first + n - 1) = at(first);
      --n;
      sift(1, mine);
    }
  }

  std::vector<std::size_t> const& count_;
  std::vector<std::size_t> order_;
};

}  // namespace

std::vector<std::uint32_t> number_labels(std::span<std::string const> labels) {
  std::map<std::string, std::uint32_t> number;
  std::vector<std::uint32_t> out;
  for (auto const& l : labels) {
    out.push_back(number.emplace(l, static_cast<std::uint32_t>(number.size())).first->second);
  }
  return out;
}

std::vector<Split> kfold(std::size_t n, std::size_t k, Units unit) {
  auto const units = rows_of_units(n, unit);
  check_count(k, units.size(), unit.empty() ? "rows" : "distinct stimuli");
  return from_assignment(n, units, contiguous(units.size(), k), k);
}

std::vector<Split> shuffled_kfold(std::size_t n, std::size_t k, std::uint64_t seed, std::uint64_t repeat, Units unit) {
  constexpr std::uint64_t purpose = 0x666f6c6473;  // "folds"
  auto const units = rows_of_units(n, unit);
  check_count(k, units.size(), unit.empty() ? "rows" : "distinct stimuli");
  auto const order = permutation(seed, purpose, repeat, units.size());
  auto const fold = contiguous(units.size(), k);
  std::vector<int> of_unit(units.size());
  for (std::size_t i = 0; i < units.size(); ++i) {
    of_unit[static_cast<std::size_t>(order[i])] = fold[i];
  }
  return from_assignment(n, units, of_unit, k);
}

std::vector<Split> leave_one_out(std::size_t n, Units unit) {
  auto const units = rows_of_units(n, unit);
  check_count(units.size(), units.size(), "rows");
  return from_assignment(n, units, contiguous(units.size(), units.size()), units.size());
}

std::vector<Split> group_kfold(std::span<std::string const> group, std::size_t k, Units unit) {
  auto const units = rows_of_units(group.size(), unit);
  auto const label = labels_of(units, group, "group");
  auto const names = sorted_labels(label);
  auto const index = index_of(names);
  check_count(k, names.size(), "groups");
  std::vector<std::size_t> size(names.size(), 0);  // in rows, as scikit-learn counts
  for (auto const& l : group) {
    ++size[index.at(l)];
  }
  // scikit-learn takes numpy.argsort(size)[::-1]: the largest first, and equal sizes as numpy happens to leave them.
  auto order = Argsort::of(size);
  std::reverse(order.begin(), order.end());
  std::vector<std::size_t> load(k, 0);
  std::vector<int> fold_of(names.size());
  for (auto g : order) {
    auto const lightest = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    load[lightest] += size[g];
    fold_of[g] = static_cast<int>(lightest);
  }
  std::vector<int> fold;
  for (auto const& l : label) {
    fold.push_back(fold_of[index.at(l)]);
  }
  return from_assignment(group.size(), units, fold, k);
}

std::vector<Split> leave_one_group_out(std::span<std::string const> group, Units unit) {
  auto const units = rows_of_units(group.size(), unit);
  auto const label = labels_of(units, group, "group");
  auto const names = sorted_labels(label);
  auto const index = index_of(names);
  check_count(names.size(), names.size(), "groups");
  std::vector<int> fold;
  for (auto const& l : label) {
    fold.push_back(static_cast<int>(index.at(l)));
  }
  return from_assignment(group.size(), units, fold, names.size());
}

std::vector<Split> predefined(std::span<std::string const> column, Units unit) {
  auto const units = rows_of_units(column.size(), unit);
  auto const word = labels_of(units, column, "split");
  bool const words = std::any_of(word.begin(), word.end(), [](auto const& w) { return w == "train" || w == "test"; });
  std::vector<int> fold;
  if (words) {
    bool test = false, train = false;
    for (std::size_t u = 0; u < word.size(); ++u) {
      if (word[u] != "train" && word[u] != "test" && !word[u].empty()) {
        fail(Exit::data, "the split column holds '{}' in row {} (train, test or nothing); mend it", word[u],
             units[u][0]);
      }
      test = test || word[u] == "test";
      train = train || word[u] == "train";
      fold.push_back(word[u] == "test" ? 0 : word[u] == "train" ? -1 : -2);
    }
    if (!test || !train) {
      fail(Exit::data, "the split column has no row of '{}' (both are needed); mend it", test ? "train" : "test");
    }
    return from_assignment(column.size(), units, fold, 1);
  }
  std::vector<double> number(word.size());
  std::vector<double> names;
  for (std::size_t u = 0; u < word.size(); ++u) {
    if (word[u].empty()) {
      continue;
    }
    if (!as_number(word[u], number[u])) {
      fail(Exit::data,
           "the split column holds '{}' in row {} (train and test, or fold numbers, are understood); mend it", word[u],
           units[u][0]);
    }
    if (number[u] >= 0) {
      names.push_back(number[u]);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) {
    fail(Exit::data, "the split column names no test rows; give rows to be tested a fold number of 0 or more");
  }
  for (std::size_t u = 0; u < word.size(); ++u) {
    auto const at = std::lower_bound(names.begin(), names.end(), number[u]) - names.begin();
    fold.push_back(word[u].empty() ? -2 : number[u] < 0 ? -1 : static_cast<int>(at));
  }
  return from_assignment(column.size(), units, fold, names.size());
}

}  // namespace striate
