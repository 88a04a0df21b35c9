#pragma once
/// Which stimuli make which scan volumes, with which weights. Not collective; small beside the activations.
#include <string>
#include <vector>

#include "convolve_config.hpp"

namespace striate::convolve {

struct Run {
  std::string label;
  std::size_t volumes = 0;
  std::vector<Event> events;  ///< in the order of the table; Event::stimulus is a row of the store
};

/// The runs of the tables, in order of first appearance. `ids`: of the rows of the store; columns of times are in s.
/// Throws Error(Exit::data | Exit::no_input | Exit::config), naming file and line.
[[nodiscard]] std::vector<Run> read_runs(Config const& config, std::vector<std::string> const& ids);

/// A volume of the output.
struct Volume {
  std::string id;  ///< run-1_vol-0001
  std::size_t run = 0, number = 0;
};
[[nodiscard]] std::vector<Volume> volumes_of(std::vector<Run> const& runs);

/// Weights of a batch of volumes.
struct BatchDesign {
  std::vector<std::size_t> stimuli;  ///< rows of the store that reach it, ascending
  struct Weight {
    std::size_t place;  ///< in `stimuli`
    double value;
  };
  std::vector<std::vector<std::vector<Weight>>> weights;  ///< [block][volume of the batch]
};

class Design {
 public:
  Design(Config const& config, std::vector<Run> runs, std::size_t batch);
  [[nodiscard]] std::vector<Run> const& runs() const { return runs_; }
  [[nodiscard]] std::vector<Volume> const& volumes() const { return volumes_; }
  [[nodiscard]] std::vector<Block> const& blocks() const { return blocks_; }
  [[nodiscard]] std::size_t batches() const { return (volumes_.size() + batch_ - 1) / batch_; }
  [[nodiscard]] BatchDesign of_batch(std::size_t batch) const;
  [[nodiscard]] double time(Volume const& volume) const;  ///< since the run's first volume, at which it is sampled

 private:
  std::vector<Run> runs_;
  std::vector<Volume> volumes_;
  std::vector<Block> blocks_;
  double tr_, offset_;
  std::size_t batch_;
};

/// The volumes as a list of stimuli: stimID, run, volume (from 1), time (s).
[[nodiscard]] StimTable table_of(Design const& design);

}  // namespace striate::convolve
