/// `identify: sha256` and `part:` of `striate extract`.
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <map>

#include "extract_stimuli.hpp"
#include "striate/base/hash.hpp"
#include "striate/par/together.hpp"
#include "striate/stimuli/part_source.hpp"
#include "striate/store/h5.hpp"

namespace striate {

void take_part(ExtractStimuli& stimuli, std::size_t first, std::size_t last) {
  auto const at = [&](std::size_t i) { return stimuli.ids.begin() + static_cast<std::ptrdiff_t>(i); };
  stimuli.source = part_source(stimuli.source, first, last - first);
  stimuli.ids = std::vector<std::string>(at(first), at(last));
}

void hash_stimuli(Context const& context, ExtractConfig const& config, ExtractStimuli& stimuli) {
  std::size_t const n = stimuli.ids.size(), ranks = static_cast<std::size_t>(context.comm.size()),
                    r = static_cast<std::size_t>(context.comm.rank()), first = n * r / ranks,
                    last = n * (r + 1) / ranks;
  std::vector<std::string> mine(last - first);
  together(context.comm, [&] {
    if (n > 0 && stimuli.source->file(0).empty())
      fail(Exit::config, "identify: sha256 is of stimuli that are files of their own; use identify: name");
    std::map<std::filesystem::path, std::string> sums;  // frames and windows share their file
    std::vector<std::pair<std::filesystem::path const, std::string>*> files;
    for (std::size_t i = first; i < last; ++i)
      if (auto const [at, is_new] = sums.emplace(stimuli.source->file(i), std::string()); is_new) files.push_back(&*at);
    tbb::task_arena arena(std::max(1, context.threads));
    arena.execute([&] {
      tbb::parallel_for(std::size_t{0}, files.size(), [&](std::size_t i) {
        try {
          files[i]->second = sha256_file(files[i]->first);
        } catch (Error const& error) {
          if (config.on_bad_stimulus != "skip" || error.code() != Exit::no_input) throw;
          files[i]->second = std::string(64, '0');
        }
      });
    });
    for (std::size_t i = first; i < last; ++i) mine[i - first] = sums.at(stimuli.source->file(i));
  });
  stimuli.file_sha256.clear();
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    std::string text;
    if (rank == r)
      for (auto const& sum : mine) text += sum;
    context.comm.broadcast(text, static_cast<int>(rank));
    for (std::size_t i = 0; i + 64 <= text.size(); i += 64) stimuli.file_sha256.push_back(text.substr(i, 64));
  }
}

void check_unchanged(Context const& context, std::filesystem::path const& path, ExtractStimuli const& stimuli,
                     std::vector<std::uint8_t> const& done, std::size_t batch) {
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    std::string const absent(64, '0');
    auto const stored = h5::File::open(path).dataset(".striate/stimulus_sha256").read_strings();
    for (std::size_t i = 0; i < stored.size(); ++i)
      if (stored[i] != stimuli.file_sha256.at(i) && (stored[i] != absent || done.at(i / batch) != 0))
        fail(Exit::data,
             "stimuli: row {} ({}): the file has changed since {} was begun (its sha256 differs); bring the old one "
             "back, or use --fresh",
             i + 1, stimuli.ids[i], path.string());
  });
}

}  // namespace striate
