#include "convert_source.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>
#include <unordered_map>
#include <utility>

#include "striate/base/error.hpp"
#include "striate/brain/array.hpp"

namespace striate::convert {

namespace fs = std::filesystem;

std::size_t Source::layer(std::string const& wanted) const {
  auto const at = std::ranges::find(layers_, wanted, &ActLayer::name);
  if (at != layers_.end()) return static_cast<std::size_t>(at - layers_.begin());
  std::vector<std::string> known;
  std::string list;
  for (auto const& l : layers_) {
    known.push_back(l.name);
    if (known.size() <= 12) list += (list.empty() ? "" : ", ") + l.name;
  }
  std::string const near = nearest(wanted, known);
  fail(Exit::data, "{}: has no layer '{}'{} (it has {}{})", name_, wanted,
       near.empty() ? "" : "; did you mean '" + near + "'?", list, known.size() > 12 ? ", …" : "");
}

void Source::take_ids(std::vector<std::string> ids, std::string const& where) {
  if (ids.empty()) return;
  if (ids.size() != rows_)
    fail(Exit::data, "{} has {} rows but {} has {}; one row per stimulus is needed, in the same order", where,
         ids.size(), name_, rows_);
  auto sorted = ids;
  std::ranges::sort(sorted);
  if (auto const twice = std::ranges::adjacent_find(sorted); twice != sorted.end())
    fail(Exit::data, "{}: {} stands twice, but a store holds a stimulus once", where, *twice);
  ids_ = std::move(ids);
}

void Source::give_ids(StimuliConfig const& stimuli) {
  if (!ids_.empty()) return;
  if (stimuli.empty()) return take_ids(std::move(offered_), offered_by_);
  take_ids(load_stimuli(stimuli).ids(), "stimuli: " + stimuli.path.filename().string());
}

std::vector<std::size_t> chosen_rows(RowChoice const& choice, std::vector<std::string> const& ids,
                                     std::string const& where) {
  std::vector<std::size_t> kept;
  if (choice.range) {
    auto const first = static_cast<std::size_t>(choice.range->first - 1);
    std::size_t last = static_cast<std::size_t>(choice.range->second);
    if (choice.range->second == std::numeric_limits<std::int64_t>::max()) last = ids.size();
    if (last > ids.size() || first >= last)
      fail(Exit::config, "rows: {} to {} asked for, but there are {} stimuli", first + 1, last, ids.size());
    for (std::size_t i = first; i < last; ++i) kept.push_back(i);
    return kept;
  }
  std::unordered_map<std::string, std::size_t> at;
  for (std::size_t i = 0; i < ids.size(); ++i) at.emplace(ids[i], i);
  std::vector<std::uint8_t> taken(ids.size(), 0);
  auto const wanted = choice.file.empty() ? choice.ids : read_stim_table(choice.file).ids();
  for (auto const& id : wanted) {
    auto const found = at.find(id);
    if (found == at.end()) fail(Exit::data, "rows: there is no stimulus {} in {}", id, where);
    if (std::exchange(taken[found->second], 1) != 0)
      fail(Exit::data, "rows: stimulus {} is listed twice; keep one", id);
    kept.push_back(found->second);
  }
  return kept;
}

Axes stored_axes(std::vector<std::size_t> const& shape) {
  switch (shape.size()) {
    case 0:
      return {{1, 1, 1}, "feature row column"};
    case 1:
      return {{shape[0], 1, 1}, "feature row column"};
    case 2:
      return {shape, "token feature"};
    case 3:
      return {shape, shape[1] * shape[2] == 1 ? "feature row column" : "channel row column"};
    case 4:
      return {shape, "channel frame row column"};
    default:
      return {shape, ""};
  }
}

std::unique_ptr<Source> open_source(fs::path const& path, std::string const& layout) {
  std::error_code ignored;
  bool const there = fs::exists(path, ignored);
  if (!there && !split_h5_name(path)) fail(Exit::no_input, "{} does not exist; check the path", path.string());
  char head[8] = {};
  bool const hdf5 = !there || (fs::is_regular_file(path) && std::ifstream(path, std::ios::binary).read(head, 8) &&
                               std::memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0);
  if (hdf5) return open_hdf5(path, layout);
  return open_arrays(path, layout);
}

}  // namespace striate::convert
