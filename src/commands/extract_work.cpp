#include "extract_work.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "striate/base/error.hpp"

namespace striate {

ExtractWork::ExtractWork(Network const& network, StimulusLoader& loader, ActWriter& store,
                         std::vector<std::string> const& ids, std::vector<LayerPath> const& paths,
                         std::size_t done_before)
    : network_(network),
      loader_(loader),
      store_(store),
      ids_(ids),
      paths_(paths),
      bar_("extract", "batches", store.batches(), done_before) {}

void ExtractWork::compute(std::size_t batch) {
  LoadedBatch loaded = loader_.take(batch);
  std::size_t const rows = loaded.rows, first = store_.first_row(batch);
  if (statistics_ != nullptr) statistics_->add(first, loaded);
  Result result;
  result.bad = loaded.bad;
  std::vector<std::size_t> holes;
  for (auto const& [row, what] : loaded.bad) {
    holes.push_back(row - first);
    std::size_t const pixels = loaded.pixels.size() / rows;
    std::fill_n(loaded.pixels.begin() + static_cast<std::ptrdiff_t>((row - first) * pixels), pixels, 0.0F);
  }
  result.blocks.resize(network_.layers().size());
  network_.forward(loaded.pixels.data(), rows, [&](std::size_t layer, float const* values) {
    paths_[layer].apply(values, rows, [&](float const* stored) {
      if (holes.empty()) {
        result.blocks[layer] = store_.encode(layer, batch, stored);
        return;
      }
      std::size_t const units = paths_[layer].stored().units();
      std::vector<float> patched(stored, stored + rows * units);
      for (std::size_t hole : holes)
        std::fill_n(patched.begin() + static_cast<std::ptrdiff_t>(hole * units), units,
                    std::numeric_limits<float>::quiet_NaN());
      result.blocks[layer] = store_.encode(layer, batch, patched.data());
    });
  });
  loader_.give_back(std::move(loaded));
  results_.give(batch, std::move(result));
}

void ExtractWork::write(std::span<std::size_t const> mine) {
  for (std::size_t batch : mine) {
    Result result = results_.take(batch);
    for (auto& block : result.blocks) {
      store_.write_batch(block);
      if (block.overflow > 0)
        log::warn("layer {} has values beyond float16 (they become infinite); use dtype: float32",
                  network_.layers()[block.layer].name);
      store_.recycle(std::move(block));
    }
    for (auto const& [row, what] : result.bad)
      log::warn("stimulus {} (row {}) is skipped: {}", ids_[row], row + 1, what);
  }
}

}  // namespace striate
