#include "apart.hpp"

#include "striate/base/error.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

fs::path file_of(fs::path const& path) {
  std::error_code trouble;
  std::string const text = path.string();
  if (auto const at = text.rfind(":/"); at != std::string::npos && !fs::exists(path, trouble)) return text.substr(0, at);
  return path;
}

/// By links of both kinds too.
bool same_file(fs::path const& a, fs::path const& b) {
  std::error_code trouble;
  if (fs::equivalent(a, b, trouble)) return true;
  auto const plain = [&](fs::path const& path) {
    auto const absolute = fs::weakly_canonical(path, trouble);
    return absolute.has_filename() ? absolute : absolute.parent_path();
  };
  return plain(a) == plain(b);
}

/// Whether `path` lies in the folder, at whatever depth.
bool lies_in(fs::path const& path, fs::path const& folder) {
  std::error_code trouble;
  if (!fs::is_directory(folder, trouble)) return false;
  auto const absolute = fs::weakly_canonical(path, trouble);
  for (fs::path up = absolute.parent_path(); !up.empty(); up = up.parent_path()) {
    if (fs::equivalent(up, folder, trouble)) return true;
    if (up == up.root_path()) break;
  }
  return false;
}

}  // namespace

void check_apart(Comm const& comm, std::vector<NamedPath> const& reads, std::vector<NamedPath> const& writes) {
  together(comm, [&] {
    if (!comm.root()) return;
    for (std::size_t i = 0; i < writes.size(); ++i) {
      auto const& out = writes[i];
      for (auto const& in : reads)
        if (same_file(file_of(in.path), out.path) || lies_in(file_of(in.path), out.path))
          fail(Exit::config, "{}: {} is also the input ({}: {}); choose another name", out.key, out.path.string(),
               in.key, in.path.string());
      for (std::size_t k = 0; k < i; ++k)
        if (same_file(writes[k].path, out.path))
          fail(Exit::config, "{}: {} is also written as {}; choose another name", out.key, out.path.string(),
               writes[k].key);
    }
  });
}

void add_stimuli(std::vector<NamedPath>& reads, std::string const& key, StimuliConfig const& stimuli) {
  if (!stimuli.empty() && !stimuli.is_folder) reads.push_back({key, stimuli.path});
}

}  // namespace striate
