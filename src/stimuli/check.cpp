#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "check.hpp"
#include "crew.hpp"
#include "striate/stimuli/image.hpp"

namespace striate {

std::vector<std::pair<std::size_t, Error>> check_images(std::span<std::filesystem::path const> files, int threads,
                                                        Preprocessing const* how) {
  return check_places(0, files.size(), threads, [&](std::size_t place) {
    ImageSize const size = probe_image(files[place]);
    if (how == nullptr) return;
    try {
      check_size(size, *how);
    } catch (Error const& error) {
      throw Error(error.code(), files[place].string() + " " + error.what());
    }
  });
}

std::vector<std::pair<std::size_t, Error>> check_places(std::size_t first, std::size_t last, int threads,
                                                        std::function<void(std::size_t)> const& look) {
  std::vector<std::pair<std::size_t, Error>> problems;
  std::exception_ptr trouble;
  std::mutex mutex;
  std::atomic<std::size_t> next{first};
  auto check = [&](std::size_t place) {
    try {
      look(place);
    } catch (Error const& error) {
      if (error.code() != Exit::data && error.code() != Exit::no_input) throw;
      std::lock_guard const lock(mutex);
      problems.emplace_back(place, error);
    }
  };
  std::size_t const most = std::max<std::size_t>(1, std::min<std::size_t>(last - first, 64));
  Crew crew(static_cast<int>(std::min<std::size_t>(most, static_cast<std::size_t>(std::max(1, threads)))), [&] {
    try {
      for (std::size_t place = next++; place < last; place = next++) check(place);
    } catch (...) {
      std::lock_guard const lock(mutex);
      trouble = std::current_exception();
      next = last;
    }
  });
  crew.join();
  if (trouble) std::rethrow_exception(trouble);
  std::ranges::sort(problems, {}, [](auto const& problem) { return problem.first; });
  return problems;
}

}  // namespace striate
