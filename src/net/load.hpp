#pragma once
/// TorchScript files: opening them, and saying what else a file is.
#include <torch/script.h>

#include <exception>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace striate::net {

/// In evaluation mode. Throws Error(Exit::no_input | Exit::data).
[[nodiscard]] torch::jit::Module load_module(std::filesystem::path const& file, c10::Device device = c10::kCPU);

/// Paths and class names of the modules below `module`, in order of registration.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> paths_of(torch::jit::Module const& module);

/// A frozen file: its modules are dissolved into constants of one graph.
[[nodiscard]] bool is_frozen(torch::jit::Module const& module);

/// What LibTorch says, on one line, without its traceback.
[[nodiscard]] std::string brief(std::exception const& error);

}  // namespace striate::net
