/// The commands. To add one: one file, one row here.
#include <algorithm>

#include "striate/commands/command.hpp"

namespace striate {

std::unique_ptr<Job> make_extract();
std::unique_ptr<Job> make_reduce();
std::unique_ptr<Job> make_convolve();
std::unique_ptr<Job> make_convert();
std::unique_ptr<Job> make_encode();
std::unique_ptr<Job> make_partition();
std::unique_ptr<Job> make_permute();
std::unique_ptr<Job> make_predict();
std::unique_ptr<Job> make_simulate();

namespace {

char const* const extract_example =
    "stimuli: images.stim.csv\n"
    "network: alexnet\n"
    "weights: alexnet.ts.pt\n"
    "layers: [conv1, conv5, fc1]\n"
    "output: act.h5\n";
char const* const reduce_example =
    "features: {store: act.h5, layers: [conv1, conv5]}\n"
    "method: pca\n"
    "components: 100\n"
    "output: reduced.act.h5\n";
char const* const convolve_example =
    "features: {store: act.h5, layers: [conv1, conv5]}\n"
    "events: events.tsv\n"
    "tr: 2\n"
    "volumes: 180\n"
    "hrf: spm\n"
    "output: bold.act.h5\n";
char const* const convert_example =
    "operation: merge\n"
    "input: [part-1.act.h5, part-2.act.h5]\n"
    "rows: images.stim.csv\n"
    "output: act.h5\n";
char const* const encode_example =
    "features: {store: act.h5}\n"
    "responses: {data: betas.nii.gz, mask: vtc.nii.gz, stimuli: images.stim.csv}\n"
    "model: {type: ridge}\n"
    "cv: {folds: 5}\n"
    "output: out/encode\n";
char const* const partition_example =
    "features:\n"
    "  - {name: network, store: act.h5, layers: [conv5]}\n"
    "  - {name: semantics, store: words.act.h5}\n"
    "responses: {data: betas.nii.gz, mask: vtc.nii.gz, stimuli: images.stim.csv}\n"
    "output: out/partition\n";
char const* const permute_example =
    "encode: encode.yaml\n"
    "permutation: {n: 10000, scheme: refit}\n"
    "part: 1/10\n"
    "output: out/permute\n";
char const* const predict_example =
    "encode: encode.yaml\n"
    "features: {store: new.act.h5}\n"
    "responses: {data: new-betas.nii.gz, stimuli: new-images.stim.csv}\n"
    "output: out/predict\n";
char const* const simulate_example =
    "features: {store: act.h5}\n"
    "regions:\n"
    "  - {name: early, layer: conv1, voxels: 60, snr: 1.0}\n"
    "  - {name: late, layer: fc1, voxels: 60, snr: 1.0}\n"
    "output: brain\n";

}  // namespace

std::vector<Command> const& commands() {
  static std::vector<Command> const table{
      {"extract", "stimuli × network × layers → activation store", extract_example, make_extract},
      {"reduce", "activations → fewer values a layer: components, projections, histograms, spectra; clusters", reduce_example,
       make_reduce},
      {"convolve", "activations × events → time series of scan volumes (HRF or delays)", convolve_example, make_convolve},
      {"convert", "between stores and files of NumPy, MATLAB, DNNBrain …; parts merged, stores cut, pooled, subtracted",
       convert_example, make_convert},
      {"encode", "features → brain: cross-validated fits per target, scores, maps", encode_example, make_encode},
      {"partition", "variance of responses that feature spaces explain alone and together", partition_example,
       make_partition},
      {"permute", "more permutations for a finished encode; a share a job, merged exactly", permute_example, make_permute},
      {"predict", "coefficients of a finished encode × features of new stimuli → predicted responses", predict_example,
       make_predict},
      {"simulate", "responses with a known answer: planted layers at a given signal-to-noise ratio", simulate_example,
       make_simulate},
  };
  return table;
}

Command const* find_command(std::string const& name) {
  auto const found = std::ranges::find_if(commands(), [&](Command const& c) { return name == c.name; });
  return found == commands().end() ? nullptr : &*found;
}

}  // namespace striate
