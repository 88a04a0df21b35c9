#pragma once
/// Decodes and preprocesses stimuli on threads, ahead of the network.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "striate/stimuli/image.hpp"

namespace striate {

struct LoadedBatch {
  std::size_t batch = 0, rows = 0;
  std::vector<float> pixels;  ///< rows × channels × height × width; NaN rows of bad stimuli
  std::vector<std::pair<std::size_t, std::string>>
      bad;  ///< row of the table, what is wrong; only where bad ones are skipped
};

/// Batches of consecutive rows of a list of files, prefetched in a given order by threads of its own.
class StimulusLoader {
 public:
  /// `order`: batches that will be asked for, first to last. `ahead`: batches decoded before they are asked for.
  /// `skip_bad`: a stimulus that cannot be read becomes a NaN row; else `take` throws its Error.
  StimulusLoader(std::vector<std::filesystem::path> files, Preprocessing how, std::size_t batch,
                 std::vector<std::size_t> order, int threads, std::size_t ahead, bool skip_bad);
  ~StimulusLoader();
  StimulusLoader(StimulusLoader const&) = delete;
  StimulusLoader& operator=(StimulusLoader const&) = delete;
  /// Waits for the batch. Any thread; each batch of `order` once, in any order that does not run more than `ahead` past
  /// what was taken.
  [[nodiscard]] LoadedBatch take(std::size_t batch);
  void give_back(LoadedBatch&& used);           ///< its memory is used again
  [[nodiscard]] double waited_seconds() const;  ///< that `take` had to wait in all

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate
