#pragma once
/// What a network is shown, stimulus by stimulus, as it takes them: pictures; others are one file each in src/stimuli.
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "striate/stimuli/image.hpp"

namespace striate {

class StimulusSource {
 public:
  /// Decodes; one for each thread, so that it may keep a decoder open between calls.
  class Reader {
   public:
    virtual ~Reader() = default;
    /// Stimulus `place` → `out`, floats of the source's shape. Throws Error(Exit::no_input | Exit::data | Exit::io)
    /// naming the file.
    virtual void load(std::size_t place, float* out) = 0;
  };

  virtual ~StimulusSource() = default;
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// Of one stimulus: {channels, height, width}, {channels, frames, height, width}, {samples} …
  [[nodiscard]] virtual std::vector<std::size_t> shape() const = 0;
  /// What is done to a stimulus: for the store's attribute `preprocessing` and the resume check.
  [[nodiscard]] virtual nlohmann::ordered_json describe() const = 0;
  [[nodiscard]] virtual std::unique_ptr<Reader> reader() const = 0;
  /// The file that holds stimulus `place`; empty where none is its own.
  [[nodiscard]] virtual std::filesystem::path file(std::size_t place) const { return (void)place, std::filesystem::path(); }
  /// Looks at the stimuli [first, last) before a job computes, cheaply: places in order, and what is wrong with them.
  /// Throws only for trouble that is no stimulus' fault (Exit::io, Exit::limit).
  [[nodiscard]] virtual std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                         int threads) const = 0;
};

/// Pictures, preprocessed to channels × height × width.
[[nodiscard]] std::shared_ptr<StimulusSource> image_source(std::vector<std::filesystem::path> files, Preprocessing how);

}  // namespace striate
