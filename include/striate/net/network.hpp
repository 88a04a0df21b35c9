#pragma once
/// A TorchScript network whose internal layers are captured in one forward pass (graph taps). This header shows nothing
/// of LibTorch.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "striate/net/card.hpp"

namespace striate {

struct CapturedLayer {
  std::string name;                ///< as asked for
  std::string path;                ///< module path (with #k), or the key of a dict output
  std::vector<std::size_t> shape;  ///< of one stimulus, as stored: {c,h,w} | {f,1,1} | {tokens,width} | {c,t,h,w}
  std::string axes;  ///< "channel row column" | "feature row column" | "token feature" | "channel frame row column"
  std::vector<std::size_t> unpooled = {};  ///< shape before pooling
  [[nodiscard]] std::size_t units() const;
};

enum class Pool { none, max, mean, median, l1, l2 };  ///< over space; l1, l2: vector norms

struct NetworkOptions {
  std::string device = "auto";  ///< auto | cpu | cuda; auto: the GPU of `local_rank`, if any
  int local_rank = 0;
  Pool pool = Pool::none;  ///< {c,h,w} → {c,1,1}; layers without space are left as they are
  std::vector<LayerRequest> whole = {};  ///< layers that are not pooled, by their name or their path
  std::string autocast = "none";         ///< none | bf16 | fp16 (GPU alone): LibTorch's half precision where it has one
};

class Network {
 public:
  /// Loads, rewrites the graph with taps at the requested layers and drops what lies behind the deepest one, and runs
  /// one stimulus of zeros (1 × `input`) to learn shapes. Throws Error(Exit::no_input | Exit::data):
  /// missing; not TorchScript (advice: tools/export_network.py); frozen (its modules are gone: export again without
  /// freeze); unknown layer (nearest named); a layer that is never executed; an output that is no tensor.
  Network(std::filesystem::path const& weights, std::vector<LayerRequest> const& layers,
          std::vector<std::size_t> const& input, NetworkOptions const& options);
  /// Of pictures.
  Network(std::filesystem::path const& weights, std::vector<LayerRequest> const& layers, Preprocessing const& input,
          NetworkOptions const& options);
  ~Network();
  Network(Network const&) = delete;
  Network& operator=(Network const&) = delete;

  [[nodiscard]] std::vector<CapturedLayer> const& layers() const;  ///< in order of the requests
  [[nodiscard]] std::string device() const;                        ///< "cpu", "cuda:0 (NVIDIA …)"
  [[nodiscard]] bool on_gpu() const;
  /// Bytes of memory that a forward pass of one more stimulus takes, roughly (measured on the CPU with images of
  /// zeros).
  [[nodiscard]] double bytes_per_stimulus() const;
  /// pixels: rows × input. sink(layer, values): rows × units floats, row-major, valid during the
  /// call; called once for each layer of layers(), in order of execution. Thread-safe on CPU, where a call uses one
  /// thread (results do not depend on the number of threads); one call at a time on a GPU. On the CPU, batches of 16
  /// and more are faster: below, LibTorch computes 1 × 1 convolutions without oneDNN. The same batch gives the same
  /// bits; the same stimulus in a batch of another size may differ in the last ones.
  void forward(float const* pixels, std::size_t rows,
               std::function<void(std::size_t layer, float const* values)> const& sink) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Every module path of a network in order of registration, with the class name: for `info`, `layers: all` and
/// messages.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> module_paths(std::filesystem::path const& weights);

/// What LibTorch's tensors in main memory may take together, in bytes; beyond it a pass throws Error(Exit::limit) as if
/// there were no memory. 0: no limit.
void limit_tensor_memory(double bytes);

/// "1.13.1", whether CUDA is compiled in, and the number of devices seen.
[[nodiscard]] std::string torch_version();
[[nodiscard]] bool torch_has_cuda();
[[nodiscard]] int torch_devices();

}  // namespace striate
