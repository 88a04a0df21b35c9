#pragma once
/// Where a network runs, and LibTorch's switches that decide about sameness of results.
#include <torch/script.h>

#include <string>

namespace striate::net {

/// Once a process: tensor memory kept, no profiling, no fusing, no TF32, deterministic cuDNN, one thread for a pass.
void set_up_torch();

/// This thread computes with one thread from here on (OpenMP counts by thread).
void use_one_thread();

/// `asked`: auto | cpu | cuda. Throws Error(Exit::config) where cuda is asked for and there is none.
[[nodiscard]] c10::Device choose_device(std::string const& asked, int local_rank);
/// Bytes free on a GPU now, by the CUDA driver; 0 where it does not say.
[[nodiscard]] double free_memory(c10::Device device);
[[nodiscard]] std::string device_text(c10::Device device);  ///< "cpu", "cuda:0 (NVIDIA H100)"

}  // namespace striate::net
