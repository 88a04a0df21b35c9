#include "working_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>

#include "direct_file.hpp"
#include "striate/base/config.hpp"
#include "striate/base/fsio.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

/// What stands at `path`; throws where it is not ours or another job's. Rank 0 only.
enum class Found { nothing, unfinished, complete };

[[noreturn]] void not_ours(fs::path const& path) {
  fail(Exit::cant_create, "{}: exists and was not written by striate; move it away or choose another output", path.string());
}

void take_away(fs::path const& path) {
  if (::unlink(path.c_str()) != 0)
    fail(Exit::cant_create, "{}: cannot be replaced ({})", path.string(), std::strerror(errno));
}

/// An HDF5 file that does not open, but begins with the names of our side group.
bool is_damaged_one_of_ours(fs::path const& path) {
  try {
    (void)h5::File::open(path);
    return false;
  } catch (Error const&) {
    std::ifstream in(path, std::ios::binary);
    std::string head(std::size_t{1} << 20, '\0');
    in.read(head.data(), static_cast<std::streamsize>(head.size()));
    return head.find(".striate") != std::string::npos;
  }
}

Found look(fs::path const& path, nlohmann::ordered_json const& identity, bool fresh) {
  std::error_code trouble;
  if (!fs::exists(path, trouble)) return Found::nothing;
  if (fs::is_directory(path))
    fail(Exit::cant_create, "{}: is a directory, but the output is a file; choose another output", path.string());
  h5::init();
  htri_t const hdf5 = H5Fis_hdf5(path.c_str());
  H5Eclear2(H5E_DEFAULT);
  if (hdf5 <= 0) not_ours(path);
  if (fresh && is_damaged_one_of_ours(path)) return take_away(path), Found::nothing;
  h5::File file = h5::File::open(path);
  if (!file.is_dataset(identity_name)) not_ours(path);
  if (fresh) {
    file.close();
    return take_away(path), Found::nothing;
  }
  auto const stored = nlohmann::ordered_json::parse(file.read_text(identity_name), nullptr, false);
  if (std::string const key = first_difference(stored, identity); !key.empty())
    fail(Exit::cant_create, "{}: was made with another config ({} differs); use --fresh to discard it, or another output",
         path.string(), key);
  return is_complete(file) ? Found::complete : Found::unfinished;
}

void make(Comm const& comm, fs::path const& path, nlohmann::ordered_json const& identity,
          std::function<void(h5::File&)> const& build) {
  fs::path const parent = path.parent_path();
  fs::path const draft = parent / ("." + path.filename().string() + ".creating");
  together(comm, [&] {
    std::error_code trouble;
    if (comm.root() && !parent.empty()) fs::create_directories(parent, trouble);
    if (trouble)
      fail(Exit::cant_create, "{}: its folder cannot be made ({})", path.string(), trouble.message());
  });
  try {
    h5::File file = h5::File::create(comm, draft);
    together(comm, [&] {
      file.write_text(identity_name, identity.dump());
      build(file);
    });
    together(comm, [&] { file.close(); });
    together(comm, [&] {
      if (comm.root()) reserve(draft, fs::file_size(draft), path);
    });
  } catch (...) {
    if (comm.root()) ::unlink(draft.c_str());
    throw;
  }
  together(comm, [&] {
    if (!comm.root()) return;
    if (::rename(draft.c_str(), path.c_str()) != 0)
      fail(Exit::cant_create, "{}: cannot be created ({})", path.string(), std::strerror(errno));
    sync_folder(parent);
  });
}

}  // namespace

bool is_complete(h5::File const& file) {
  if (file.is_dataset(".striate/complete")) return file.dataset(".striate/complete").read<std::uint8_t>().at(0) == 1;
  return file.has_attribute("/", "complete") && file.attribute("/", "complete") == "1";
}

bool is_finished(fs::path const& path, nlohmann::ordered_json const& identity) {
  std::error_code trouble;
  if (!fs::is_regular_file(path, trouble)) return false;
  try {
    h5::File const file = h5::File::open(path);
    return file.is_dataset(identity_name) && is_complete(file) &&
           first_difference(nlohmann::ordered_json::parse(file.read_text(identity_name), nullptr, false), identity)
               .empty();
  } catch (Error const&) {  // whoever opens it to write says what is wrong
    return false;
  }
}

void check_place_of(fs::path const& path, nlohmann::ordered_json const& identity) { (void)look(path, identity, false); }

StoreState find_or_make(Comm const& comm, fs::path const& path, nlohmann::ordered_json const& identity, bool fresh,
                        std::function<void(h5::File&)> const& build) {
  int found = 0;
  together(comm, [&] {
    if (comm.root()) found = static_cast<int>(look(path, identity, fresh));
  });
  comm.broadcast(found, 0);
  if (static_cast<Found>(found) == Found::complete) return StoreState::complete;
  if (static_cast<Found>(found) == Found::unfinished) return StoreState::resumed;
  make(comm, path, identity, build);
  return StoreState::created;
}

std::vector<std::uint8_t> shared_ledger(Comm const& comm, fs::path const& path) {
  std::vector<std::uint8_t> done;
  together(comm, [&] {
    if (comm.root()) done = h5::File::open(path).dataset(done_name).read<std::uint8_t>();
  });
  comm.broadcast(done, 0);
  return done;
}

void set_flags(h5::Dataset& ledger, std::span<std::size_t const> units) {
  std::vector<std::size_t> sorted(units.begin(), units.end());
  std::ranges::sort(sorted);
  for (std::size_t i = 0, end = 0; i < sorted.size(); i = end) {
    end = i + 1;
    while (end < sorted.size() && sorted[end] == sorted[end - 1] + 1) ++end;
    std::vector<std::uint8_t> const ones(end - i, 1);
    ledger.write({sorted[i]}, {ones.size()}, h5::type_id(h5::Dtype::u8), ones.data());
  }
}

LedgerState read_ledger(fs::path const& path) {
  std::error_code trouble;
  if (!fs::exists(path, trouble)) return {};
  h5::File const file = h5::File::open(path);
  if (!file.is_dataset(done_name)) fail(Exit::data, "{}: has no ledger, so striate did not write it", path.string());
  auto const done = file.dataset(done_name).read<std::uint8_t>();
  return {static_cast<std::size_t>(std::ranges::count(done, 1)), done.size(), is_complete(file)};
}

}  // namespace striate
