#include "autocast.hpp"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

#include "striate/base/error.hpp"

namespace striate::net {
namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
void enable(c10::Device device, bool on) { at::autocast::set_autocast_enabled(device.type(), on); }
void set_type(c10::Device device, at::ScalarType type) { at::autocast::set_autocast_dtype(device.type(), type); }
#else
void enable(c10::Device device, bool on) {
  device.is_cuda() ? at::autocast::set_enabled(on) : at::autocast::set_cpu_enabled(on);
}
void set_type(c10::Device device, at::ScalarType type) {
  device.is_cuda() ? at::autocast::set_autocast_gpu_dtype(type) : at::autocast::set_autocast_cpu_dtype(type);
}
#endif

}  // namespace

Autocast::Autocast(std::string const& how, c10::Device device) : on_(how != "none"), device_(device) {
  if (!on_) return;
  if (how == "fp16" && !device.is_cuda()) fail(Exit::config, "autocast: fp16 needs a GPU; on the CPU set bf16 or none");
  set_type(device_, how == "bf16" ? at::kBFloat16 : at::kHalf);
  enable(device_, true);
}

Autocast::~Autocast() {
  if (!on_) return;
  at::autocast::clear_cache();  // of weights in half precision, kept by thread
  enable(device_, false);
}

}  // namespace striate::net
