#pragma once
/// How a working file (activation store, result) comes to be and is found again.
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "striate/par/comm.hpp"
#include "striate/store/act_store.hpp"
#include "striate/store/h5.hpp"

namespace striate {

constexpr char const* identity_name = ".striate/identity";
constexpr char const* done_name = ".striate/done";

/// True where a working file says that everything is on disk: the root attribute of a store, the dataset of a result.
[[nodiscard]] bool is_complete(h5::File const& file);

/// Finds or makes `path`. Made: `build` (collective) fills a file of another name, which is then closed, synced and
/// renamed, so that whatever stands under `path` is whole. Found: its identity must be `identity`.
/// Collective; the same answer or Error on all ranks. See ActWriter::open for what is refused.
[[nodiscard]] StoreState find_or_make(Comm const& comm, std::filesystem::path const& path,
                                      nlohmann::ordered_json const& identity, bool fresh,
                                      std::function<void(h5::File&)> const& build);

/// Reads the ledger on rank 0 and gives it to all.
[[nodiscard]] std::vector<std::uint8_t> shared_ledger(Comm const& comm, std::filesystem::path const& path);

/// Sets the flags of `units` in an open ledger, runs of neighbours in one write. Independent.
void set_flags(h5::Dataset& ledger, std::span<std::size_t const> units);

}  // namespace striate
