#include "striate/par/stop.hpp"

#include <signal.h>

#include <stdexcept>

namespace striate {
namespace {

std::atomic<StopFlag*> listener{nullptr};
struct sigaction old_term, old_usr1, old_int;

extern "C" void striate_on_stop(int) {
  if (StopFlag* flag = listener.load()) flag->request();
}

}  // namespace

StopFlag::StopFlag(bool listen) : listens_(listen) {
  if (!listens_) return;
  StopFlag* none = nullptr;
  if (!listener.compare_exchange_strong(none, this)) throw std::logic_error("two StopFlags listen to signals");
  struct sigaction action = {};
  action.sa_handler = striate_on_stop;
  action.sa_flags = SA_RESTART;  // a read or write in progress goes on
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, &old_term);
  sigaction(SIGUSR1, &action, &old_usr1);
  action.sa_flags |= SA_RESETHAND;  // Ctrl-C stops tidily; a second one kills
  sigaction(SIGINT, &action, &old_int);
}

StopFlag::~StopFlag() {
  if (!listens_) return;
  sigaction(SIGTERM, &old_term, nullptr);
  sigaction(SIGUSR1, &old_usr1, nullptr);
  sigaction(SIGINT, &old_int, nullptr);
  listener = nullptr;
}

bool StopFlag::requested() const noexcept { return set_.load(std::memory_order_relaxed); }
void StopFlag::request() noexcept { set_.store(true, std::memory_order_relaxed); }

}  // namespace striate
