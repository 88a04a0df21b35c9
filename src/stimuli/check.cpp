#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "crew.hpp"
#include "striate/stimuli/image.hpp"

namespace striate {

std::vector<std::pair<std::size_t, Error>> check_images(std::span<std::filesystem::path const> files, int threads,
                                                        Preprocessing const* how) {
  std::vector<std::pair<std::size_t, Error>> problems;
  std::exception_ptr trouble;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  auto check = [&](std::size_t place) {
    try {
      ImageSize const size = probe_image(files[place]);
      if (how == nullptr) return;
      try {
        check_size(size, *how);
      } catch (Error const& error) {
        throw Error(error.code(), files[place].string() + " " + error.what());
      }
    } catch (Error const& error) {
      if (error.code() != Exit::data && error.code() != Exit::no_input) throw;
      std::lock_guard const lock(mutex);
      problems.emplace_back(place, error);
    }
  };
  std::size_t const most = std::max<std::size_t>(1, std::min<std::size_t>(files.size(), 64));
  Crew crew(static_cast<int>(std::min<std::size_t>(most, static_cast<std::size_t>(std::max(1, threads)))), [&] {
    try {
      for (std::size_t place = next++; place < files.size(); place = next++) check(place);
    } catch (...) {
      std::lock_guard const lock(mutex);
      trouble = std::current_exception();
      next = files.size();
    }
  });
  crew.join();
  if (trouble) std::rethrow_exception(trouble);
  std::ranges::sort(problems, {}, [](auto const& problem) { return problem.first; });
  return problems;
}

}  // namespace striate
