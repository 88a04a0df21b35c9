#include "device.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/csrc/jit/passes/tensorexpr_fuser.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <mutex>

#include "memory.hpp"
#include "striate/base/error.hpp"
#include "striate/math/blas.hpp"
#include "striate/net/network.hpp"

namespace striate {

std::string torch_version() { return TORCH_VERSION; }
bool torch_has_cuda() { return at::globalContext().hasCUDA(); }
int torch_devices() { return torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0; }

namespace net {
namespace {

/// The GPU's name by the CUDA driver, which a LibTorch built without CUDA has no call for; empty where it does not say.
std::string gpu_name(int index) {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return "";
  auto const init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  auto const get = reinterpret_cast<int (*)(int*, int)>(dlsym(driver, "cuDeviceGet"));
  auto const name = reinterpret_cast<int (*)(char*, int, int)>(dlsym(driver, "cuDeviceGetName"));
  char text[128] = "";
  int device = 0;
  if (init == nullptr || get == nullptr || name == nullptr || init(0) != 0 || get(&device, index) != 0 ||
      name(text, sizeof text, device) != 0)
    return "";
  return text;
}

}  // namespace

void set_up_torch() {
  static std::once_flag once;
  std::call_once(once, [] {
    keep_tensor_memory();
    // LibTorch 2.6 has spent minutes compiling a small network; the fused kernels differ in the last bits besides.
    torch::jit::setTensorExprFuserEnabled(false);
    torch::jit::getProfilingMode() = false;
    torch::jit::getExecutorMode() = false;
    auto& context = at::globalContext();
    context.setAllowTF32CuBLAS(false);
    context.setAllowTF32CuDNN(false);
    context.setDeterministicCuDNN(true);
    context.setBenchmarkCuDNN(false);
    blas::single_thread();
  });
  use_one_thread();
}

void use_one_thread() {
  if (at::get_num_threads() != 1) at::set_num_threads(1);
}

c10::Device choose_device(std::string const& asked, int local_rank) {
  int const devices = asked == "cpu" ? 0 : torch_devices();
  if (devices > 0) return {c10::kCUDA, static_cast<c10::DeviceIndex>(local_rank % devices)};
  if (asked == "cuda")
    fail(Exit::config, "device: cuda is asked for, but {}; use `device: auto` or `cpu`",
         torch_has_cuda() ? "no GPU is visible to this process (see nvidia-smi and CUDA_VISIBLE_DEVICES)"
                          : "the LibTorch that striate is built with has no CUDA");
  return c10::kCPU;
}

double free_memory(c10::Device device) {
  (void)at::empty({1}, at::TensorOptions().device(device));  // makes the device this thread's
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return 0;
  auto const info = reinterpret_cast<int (*)(std::size_t*, std::size_t*)>(dlsym(driver, "cuMemGetInfo_v2"));
  std::size_t free = 0, total = 0;
  return info == nullptr || info(&free, &total) != 0 ? 0 : static_cast<double>(free);
}

std::string device_text(c10::Device device) {
  if (!device.is_cuda()) return "cpu";
  std::string const name = gpu_name(device.index());
  return device.str() + (name.empty() ? "" : " (" + name + ")");
}

}  // namespace net
}  // namespace striate
