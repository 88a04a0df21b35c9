#include "striate/net/network.hpp"

#include <torch/cuda.h>
#include <torch/script.h>

#include <algorithm>
#include <mutex>

#include "autocast.hpp"
#include "deliver.hpp"
#include "device.hpp"
#include "load.hpp"
#include "memory.hpp"
#include "plan.hpp"
#include "striate/base/error.hpp"

namespace striate {

using net::Plan;

std::size_t CapturedLayer::units() const {
  std::size_t n = 1;
  for (std::size_t const extent : shape) n *= extent;
  return n;
}

struct Network::Impl {
  std::string file;
  torch::jit::Module module;
  Plan plan;
  std::vector<CapturedLayer> layers;
  std::vector<std::int64_t> input;  ///< shape of one stimulus
  NetworkOptions options;
  std::vector<Pool> pools;          ///< by layer
  c10::Device device = c10::kCPU;
  bool channels_last = false;
  double bytes_per_stimulus = 0;
  std::mutex gpu;                  ///< one pass at a time
  std::vector<at::Tensor> pinned;  ///< by layer: where a GPU's copies arrive
  at::Tensor pinned_pixels;

  using Sink = std::function<void(std::size_t, float const*)>;
  using Hand = std::function<void(std::size_t, at::Tensor const&)>;

  void learn(std::vector<LayerRequest> const& requests);
  void set_layout(bool channels_last_wanted);
  void pass(at::Tensor pixels, Hand const& hand) const;
  void check_shape(std::size_t layer, at::Tensor const& value, std::size_t rows) const;
  void describe(std::size_t rows);
  double peak_of_pass(std::size_t rows);
  void move_to_gpu(std::filesystem::path const& weights, std::vector<LayerRequest> const& requests);
  void forward_cpu(float const* pixels, std::size_t rows, Sink const& sink) const;
  void forward_gpu(float const* pixels, std::size_t rows, Sink const& sink);
  [[nodiscard]] std::vector<std::int64_t> sizes(std::size_t rows) const {
    std::vector<std::int64_t> all{static_cast<std::int64_t>(rows)};
    all.insert(all.end(), input.begin(), input.end());
    return all;
  }
  [[nodiscard]] at::Tensor zeros(std::size_t rows) const { return at::zeros(sizes(rows)); }
};

namespace {

/// Hands each wanted output of a pass on.
class Deliverer : public net::TapListener {
 public:
  Deliverer(Plan const& plan, std::function<void(std::size_t, at::Tensor const&)> const& hand)
      : plan_(plan), hand_(hand), calls_(plan.keys.size()) {}
  void tapped(std::size_t key, std::size_t, c10::IValue const& value) override {
    int const call = calls_[key]++;
    for (auto const& want : plan_.wants[key])
      if (want.call == call) hand_(want.layer, net::pick(value, plan_.requests[want.layer]));
  }

 private:
  Plan const& plan_;
  std::function<void(std::size_t, at::Tensor const&)> const& hand_;
  std::vector<int> calls_;
};

[[noreturn]] void fail_pass(std::string const& file, std::size_t rows, std::exception const& error) {
  std::string const what = net::brief(error);
  if (what.find("out of memory") != std::string::npos || dynamic_cast<std::bad_alloc const*>(&error) != nullptr)
    fail(Exit::limit, "network: out of memory with {} stimuli in a batch; take a smaller `batch`", rows);
  fail(Exit::data, "weights: {}: the forward pass of {} stimuli failed: {}", file, rows, what);
}

}  // namespace

void Network::Impl::pass(at::Tensor pixels, Hand const& hand) const {
  c10::InferenceMode const no_autograd;
  net::Autocast const autocast(options.autocast, device);
  auto const rows = static_cast<std::size_t>(pixels.size(0));
  if (channels_last && pixels.dim() == 4) pixels = pixels.contiguous(at::MemoryFormat::ChannelsLast);
  std::vector<c10::IValue> inputs{module._ivalue(), std::move(pixels)};
  inputs.insert(inputs.end(), plan.defaults.begin(), plan.defaults.end());
  Deliverer deliverer(plan, hand);
  try {
    net::run_tapped(plan.code, std::move(inputs), deliverer);
  } catch (Error const&) {
    throw;
  } catch (std::exception const& error) {
    fail_pass(file, rows, error);
  }
}

/// Convolutions on the CPU are faster on pixels whose channels lie together; their weights are laid out likewise.
void Network::Impl::set_layout(bool channels_last_wanted) {
  channels_last = channels_last_wanted;
  auto const format = channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  at::NoGradGuard const no_autograd;
  for (auto parameter : module.parameters())
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(format));
}

void Network::Impl::check_shape(std::size_t layer, at::Tensor const& value, std::size_t rows) const {
  auto const now = net::describe_layer(value, rows, pools[layer], layers[layer].name, layers[layer].path);
  if (now.shape == layers[layer].shape) return;
  fail(Exit::data, "layers: {}: its shape changes from batch to batch; ask for another layer", layers[layer].path);
}

void Network::Impl::describe(std::size_t rows) {
  std::vector<CapturedLayer> found(plan.requests.size());
  pass(zeros(rows), [&](std::size_t layer, at::Tensor const& value) {
    auto const& request = plan.requests[layer];
    found[layer] = net::describe_layer(value, rows, pools[layer], request.name, request.asked);
  });
  layers = std::move(found);
}

double Network::Impl::peak_of_pass(std::size_t rows) {
  std::int64_t const before = net::tensor_bytes_in_use();
  (void)net::take_peak();
  forward_cpu(std::vector<float>(static_cast<std::size_t>(zeros(rows).numel())).data(), rows,
              [](std::size_t, float const*) {});
  return static_cast<double>(net::take_peak() - before);
}

void Network::Impl::learn(std::vector<LayerRequest> const& requests) {
  {
    c10::InferenceMode const no_autograd;
    plan = net::make_plan(module, requests, zeros(1), file);
  }
  for (auto const& request : plan.requests) {
    bool const whole = std::ranges::any_of(
        options.whole, [&](auto const& layer) { return layer.name == request.name || layer.path == request.asked; });
    pools.push_back(whole ? Pool::none : options.pool);
  }
  describe(1);
  auto const has_maps = [&] {
    for (auto const& parameter : module.parameters())
      if (parameter.dim() == 4) return true;
    return false;
  };
  std::vector<CapturedLayer> const one = layers;
  if (device.is_cpu() && has_maps()) {
    set_layout(true);
    try {
      describe(2);
    } catch (Error const&) {  // a view() in the network's code does not like this layout
      set_layout(false);
    }
  }
  // Two images: whether the batch is the first axis, and whether a traced file froze the size of its batch.
  if (!channels_last) describe(2);
  for (std::size_t i = 0; i < one.size(); ++i)
    if (one[i].shape != layers[i].shape)
      fail(Exit::data,
           "layers: {}: its shape depends on the size of the batch, so that it cannot be stored; ask for "
           "another layer",
           one[i].path);
}

/// Loaded anew rather than moved, so that constants inside a traced graph land there too.
void Network::Impl::move_to_gpu(std::filesystem::path const& weights, std::vector<LayerRequest> const& requests) {
  c10::InferenceMode const no_autograd;
  module = net::load_module(weights, device);
  plan = net::make_plan(module, requests, zeros(1).to(device), file);
  pinned.resize(layers.size());
}

void Network::Impl::forward_cpu(float const* pixels, std::size_t rows, Sink const& sink) const {
  net::use_one_thread();
  at::Tensor const x = at::from_blob(const_cast<float*>(pixels), sizes(rows));
  pass(x, [&](std::size_t layer, at::Tensor const& value) {
    check_shape(layer, value, rows);
    at::Tensor const stored = net::as_stored(value, pools[layer]);
    sink(layer, stored.data_ptr<float>());
  });
}

void Network::Impl::forward_gpu(float const* pixels, std::size_t rows, Sink const& sink) {
  std::lock_guard const lock(gpu);
  auto const page_locked = [](at::Tensor& kept, at::IntArrayRef wanted) {
    if (!kept.defined() || kept.sizes() != wanted)
      kept = at::empty(wanted, at::TensorOptions().dtype(at::kFloat).pinned_memory(true));
    return kept;
  };
  auto const all = sizes(rows);
  at::Tensor const x = page_locked(pinned_pixels, all);
  x.copy_(at::from_blob(const_cast<float*>(pixels), all));
  // The copies back run behind the computing; one wait at the end is cheaper than one a layer.
  std::vector<std::size_t> order;
  pass(x.to(device, at::kFloat, true), [&](std::size_t layer, at::Tensor const& value) {
    check_shape(layer, value, rows);
    at::Tensor const stored = net::as_stored(value, pools[layer]);
    page_locked(pinned[layer], stored.sizes()).copy_(stored, true);
    order.push_back(layer);
  });
  torch::cuda::synchronize(device.index());
  for (std::size_t const layer : order) sink(layer, pinned[layer].data_ptr<float>());
}

Network::Network(std::filesystem::path const& weights, std::vector<LayerRequest> const& layers,
                 Preprocessing const& input, NetworkOptions const& options)
    : Network(weights, layers, std::vector<std::size_t>{input.channels(), input.height, input.width}, options) {}

Network::Network(std::filesystem::path const& weights, std::vector<LayerRequest> const& layers,
                 std::vector<std::size_t> const& input, NetworkOptions const& options)
    : impl_(std::make_unique<Impl>()) {
  net::set_up_torch();
  Impl& my = *impl_;
  if (layers.empty()) fail(Exit::config, "layers: none is asked for; name at least one");
  my.device = net::choose_device(options.device, options.local_rank);
  my.file = weights.filename().string();
  my.module = net::load_module(weights);
  my.input.assign(input.begin(), input.end());
  my.options = options;
  my.learn(layers);
  // Half as much again: blocks that are kept for the next pass.
  double const two = my.peak_of_pass(2);
  my.bytes_per_stimulus =
      1.5 * std::max((my.peak_of_pass(4) - two) / 2, 4.0 * static_cast<double>(my.zeros(1).numel()));
  if (my.device.is_cuda()) my.move_to_gpu(weights, layers);
  net::release_kept_memory();
}

Network::~Network() = default;

std::vector<CapturedLayer> const& Network::layers() const { return impl_->layers; }
std::string Network::device() const { return net::device_text(impl_->device); }
bool Network::on_gpu() const { return impl_->device.is_cuda(); }
double Network::bytes_per_stimulus() const { return impl_->bytes_per_stimulus; }

void Network::forward(float const* pixels, std::size_t rows,
                      std::function<void(std::size_t layer, float const* values)> const& sink) const {
  if (rows == 0) return;
  if (on_gpu())
    impl_->forward_gpu(pixels, rows, sink);
  else
    impl_->forward_cpu(pixels, rows, sink);
}

void limit_tensor_memory(double bytes) { net::limit_memory(static_cast<std::int64_t>(bytes)); }

std::vector<std::pair<std::string, std::string>> module_paths(std::filesystem::path const& weights) {
  net::set_up_torch();
  return net::paths_of(net::load_module(weights));
}

}  // namespace striate
