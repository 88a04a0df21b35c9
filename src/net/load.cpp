#include "load.hpp"

#include <caffe2/serialize/inline_container.h>
#include <torch/version.h>

#include <fstream>

#include "striate/base/error.hpp"

namespace striate::net {
namespace {

constexpr char const* how_to_export = "make the TorchScript file with tools/export_network.py";

/// What a file that is no zip archive looks like, by its first bytes.
std::string looks_like(std::string const& head) {
  if (head.empty()) return "empty";
  if (head.rfind("\x89HDF", 0) == 0) return "an HDF5 file (Keras weights?)";
  if (head[0] == '\x80' && head.size() > 1 && head[1] <= 5) return "a pickle (an old torch.save checkpoint?)";
  if (head.find("ustar") == 257) return "a tar archive (an old torch.save checkpoint?)";
  if (head.rfind("\xfd"
                 "7zXZ",
                 0) == 0)
    return "compressed with xz; unpack it first: xz -dk FILE. If it is not TorchScript inside";
  if (head.rfind("\x1f\x8b", 0) == 0) return "compressed with gzip; unpack it first. If it is not TorchScript inside";
  if (head.size() > 9 && head[8] == '{' && head[7] == 0) return "a safetensors file (weights without code)";
  if (head.find("pytorch") != std::string::npos && head.find('\0') != std::string::npos) return "an ONNX file";
  for (unsigned char const c : head)
    if (c < 9 || (c > 13 && c < 32)) return "of no known kind";
  return "text";
}

void check_archive(std::filesystem::path const& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) fail(Exit::no_input, "weights: {} cannot be opened; check its permissions", file.string());
  std::string head(512, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(in.gcount()));
  if (head.rfind("PK\x03\x04", 0) != 0)
    fail(Exit::data, "weights: {} is not TorchScript but {}; {}", file.string(), looks_like(head), how_to_export);
  bool script = false, checkpoint = false;
  try {
    caffe2::serialize::PyTorchStreamReader reader(file.string());
    script = reader.hasRecord("constants.pkl");
    checkpoint = reader.hasRecord("data.pkl");
  } catch (std::exception const&) {
    fail(Exit::data, "weights: {} is cut off or corrupt (its zip archive cannot be read); copy or export it again",
         file.string());
  }
  if (script) return;
  if (checkpoint)
    fail(Exit::data,
         "weights: {} is a checkpoint of torch.save (a state_dict, without the network's code), not TorchScript; {} "
         "NAME --state-dict {} --out NAME.ts.pt",
         file.string(), how_to_export, file.filename().string());
  fail(Exit::data, "weights: {} is a zip archive but not TorchScript; {}", file.string(), how_to_export);
}

}  // namespace

torch::jit::Module load_module(std::filesystem::path const& file, c10::Device device) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    fail(Exit::no_input, "weights: {} does not exist; {}", file.string(), how_to_export);
  if (std::filesystem::is_directory(file, ignored))
    fail(Exit::no_input, "weights: {} is a folder; name the TorchScript file in it", file.string());
  check_archive(file);
  try {
    torch::jit::Module module = torch::jit::load(file.string(), device);
    module.eval();
    if (!module.find_method("forward")) fail(Exit::data, "weights: {} has no method forward", file.string());
    return module;
  } catch (Error const&) {
    throw;
  } catch (std::exception const& error) {
    fail(Exit::data, "weights: {} cannot be loaded by LibTorch {}: {}", file.string(), TORCH_VERSION, brief(error));
  }
}

std::vector<std::pair<std::string, std::string>> paths_of(torch::jit::Module const& module) {
  std::vector<std::pair<std::string, std::string>> out;
  for (auto const& child : module.named_modules()) {
    if (child.name.empty()) continue;
    auto const name = child.value.type()->name();
    std::string type = name ? name->name() : "";
    out.emplace_back(child.name, type);
  }
  return out;
}

bool is_frozen(torch::jit::Module const& module) {
  for (auto const& child : module.named_children()) {
    (void)child;
    return false;
  }
  for (torch::jit::Node* node : module.get_method("forward").graph()->nodes())
    if (node->kind() == c10::prim::Constant && node->output()->type()->isSubtypeOf(*c10::TensorType::get()) &&
        node->hasAttribute(c10::attr::value) && node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t)
      return true;
  return false;
}

std::string brief(std::exception const& error) {
  auto const* torch_error = dynamic_cast<c10::Error const*>(&error);
  std::string const text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  // The interpreter's text is a traceback of the network's code that ends in "RuntimeError: what happened".
  std::string line = text;
  if (auto const at = text.rfind("Error: "); at != std::string::npos) line = text.substr(at + 7);
  std::string out;
  for (char const c : line) {
    if (c == '\n' && out.size() > 40) break;
    bool const blank = c == '\n' || c == ' ' || c == '\t';
    if (!blank)
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out.substr(0, 300);
}

}  // namespace striate::net
