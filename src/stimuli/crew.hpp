#pragma once
/// A few threads for one piece of work.
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <vector>

#include "striate/base/error.hpp"

namespace striate {

/// Threads that leave requests to stop to the main thread.
class Crew {
 public:
  template <class Work>
  Crew(int threads, Work work) {
    sigset_t requests, before;
    sigemptyset(&requests);
    for (int const signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) sigaddset(&requests, signal);
    pthread_sigmask(SIG_BLOCK, &requests, &before);
    try {
      for (int i = 0; i < std::max(1, threads); ++i) threads_.emplace_back(work);
    } catch (std::system_error const&) {
      if (threads_.empty()) {
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        fail(Exit::limit, "no thread can be started to decode stimuli; use fewer threads (--threads)");
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  void join() {
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace striate
