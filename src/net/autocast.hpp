#pragma once
/// LibTorch's automatic half precision on this thread, for as long as the object lives.
#include <c10/core/Device.h>

#include <string>

namespace striate::net {

class Autocast {
 public:
  /// `how`: none | bf16 | fp16. Throws Error(Exit::config) for fp16 on the CPU.
  Autocast(std::string const& how, c10::Device device);
  ~Autocast();
  Autocast(Autocast const&) = delete;
  Autocast& operator=(Autocast const&) = delete;

 private:
  bool on_ = false;
  c10::Device device_;
};

}  // namespace striate::net
