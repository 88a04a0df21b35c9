#pragma once
namespace striate {
char const* version() noexcept;     ///< "0.1.0"
char const* git_commit() noexcept;  ///< short commit, "-dirty" where the tree had changes, or "unknown"
char const* build_type() noexcept;  ///< "Release", "Debug" …
}  // namespace striate
