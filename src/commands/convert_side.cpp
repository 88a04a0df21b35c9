#include "convert_side.hpp"

#include <unistd.h>

#include <algorithm>

#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/base/version.hpp"
#include "striate/par/together.hpp"

namespace striate::convert {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::optional<Json> read_side(fs::path const& side) {
  std::error_code code;
  if (!fs::exists(side, code)) return std::nullopt;
  auto json = Json::parse(read_text(side), nullptr, false);
  if (!json.is_object() || !json.contains("identity")) return std::nullopt;
  return json;
}

/// Whether there is something that striate did not write.
bool foreign(fs::path const& output, bool folder) {
  if (!folder || !fs::exists(output)) return fs::exists(output);
  for (auto const& entry : fs::directory_iterator(output)) {
    std::string const name = entry.path().filename().string();
    if (!name.starts_with(".") && name != "log.txt" && name != "provenance.json") return true;
  }
  return false;
}

/// True where nothing is left to do.
bool look(fs::path const& output, bool folder, Json const& identity, bool fresh) {
  if (!folder && fs::is_directory(output))
    fail(Exit::cant_create, "{}: is a directory, but the output is a file; choose another output", output.string());
  auto const there = read_side(side_file(output, folder));
  if (!there) {
    if (foreign(output, folder))
      fail(Exit::cant_create, "{}: exists and was not written by striate; move it away or choose another output",
           output.string());
    return false;
  }
  if (fresh) return false;
  if (auto const key = first_difference((*there)["identity"], identity); !key.empty())
    fail(Exit::cant_create,
         "{}: was made with another config ({} differs); use --fresh to discard it, or another output", output.string(),
         key);
  return there->value("complete", false) && fs::exists(output);
}

/// Layers that a folder's last convert.json lists and the new one does not.
void remove_stale(fs::path const& folder, Json const& content) {
  auto const there = read_side(side_file(folder, true));
  if (!there || !there->contains("layers")) return;
  auto const files = [](Json const& json) {
    std::vector<std::string> names;
    if (json.contains("layers") && json["layers"].is_array())
      for (auto const& layer : json["layers"])
        if (layer.is_object() && layer.contains("file") && layer["file"].is_string()) names.push_back(layer["file"]);
    return names;
  };
  auto const now = files(content);
  for (auto const& name : files(*there)) {
    std::error_code trouble;
    if (std::ranges::find(now, name) == now.end() && name.ends_with(".npy") && fs::path(name).filename() == name)
      fs::remove(folder / name, trouble);
  }
}

}  // namespace

fs::path side_file(fs::path const& output, bool folder) {
  return folder ? output / "convert.json" : output.parent_path() / (output.filename().string() + ".json");
}

Progress side_progress(fs::path const& output, bool folder) {
  auto const there = read_side(side_file(output, folder));
  if (!there) return {};
  bool const complete = there->value("complete", false);
  return {complete ? 1U : 0U, 1, complete};
}

bool write_beside(Context& context, fs::path const& output, bool folder, Json const& identity, Json const& content,
                  std::function<bool()> const& make) {
  Comm const& comm = context.comm;
  std::int64_t state = 0;  // 0: to do, 1: nothing to do
  together(comm, [&] {
    if (comm.root() && look(output, folder, identity, context.fresh)) state = 1;
  });
  if (comm.max(state) == 1) {
    log::info("nothing to do: {} is complete", output.string());
    return true;
  }
  auto const note = [&](bool complete) {
    Json side{{"striate_version", std::string(version())}, {"complete", complete}};
    for (auto const& [key, value] : content.items()) side[key] = value;
    side["identity"] = identity;
    write_atomically(side_file(output, folder), side.dump(1) + "\n");
  };
  std::int64_t stopped = 0;
  together(comm, [&] {
    if (!comm.root()) return;
    make_folder(folder ? output : output.parent_path().empty() ? fs::path(".") : output.parent_path());
    if (folder) remove_stale(output, content);
    note(false);
    if (!make()) stopped = 1;
  });
  if (comm.max(stopped) == 1) return false;
  if (folder) context.write_provenance();
  together(comm, [&] {
    if (comm.root()) note(true);
  });
  return true;
}

}  // namespace striate::convert
