#pragma once
/// Decodes and preprocesses stimuli on threads, ahead of the network.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "striate/stimuli/source.hpp"

namespace striate {

struct LoadedBatch {
  std::size_t batch = 0, rows = 0;
  std::vector<float> pixels;                             ///< rows × the source's shape; NaN rows of bad stimuli
  std::vector<std::pair<std::size_t, std::string>> bad;  ///< place in the list, what is wrong; only with `skip_bad`
  std::vector<std::size_t> missing;                      ///< places of `bad` whose file is not there
};

/// Batches of consecutive places of a source, prefetched in a given order by threads of its own. Batch b holds
/// the places [b × batch, (b + 1) × batch), the last one what is left.
class StimulusLoader {
 public:
  /// `order`: batches that will be asked for, first to last, each once. `ahead`: batches in memory that nobody has
  /// taken yet, finished or not (at least 1); more are begun only where a `take` waits for one that is further ahead.
  /// `skip_bad`: a stimulus that is missing or unreadable (Exit::no_input, Exit::data) becomes a NaN row; any
  /// other trouble, and without `skip_bad` every one, is thrown by the `take` of its batch.
  StimulusLoader(std::shared_ptr<StimulusSource const> source, std::size_t batch, std::vector<std::size_t> order,
                 int threads, std::size_t ahead, bool skip_bad);
  /// Of pictures.
  StimulusLoader(std::vector<std::filesystem::path> files, Preprocessing how, std::size_t batch,
                 std::vector<std::size_t> order, int threads, std::size_t ahead, bool skip_bad);
  ~StimulusLoader();  ///< ends after the stimuli that are being decoded; no `take` may be waiting
  StimulusLoader(StimulusLoader const&) = delete;
  StimulusLoader& operator=(StimulusLoader const&) = delete;
  /// Waits for the batch. Any thread, several at once, in any order; each batch of `order` once. Throws the Error of
  /// the first bad stimulus, "stimulus 12: /data/a.jpg is truncated …", counted from 1.
  [[nodiscard]] LoadedBatch take(std::size_t batch);
  void give_back(LoadedBatch&& used);              ///< its memory is used again
  [[nodiscard]] double waited_seconds() const;     ///< that `take` had to wait in all, summed over its threads
  [[nodiscard]] std::size_t batches_held() const;  ///< begun and not yet taken

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace striate
