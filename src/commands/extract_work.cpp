#include "extract_work.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>

#include "striate/base/error.hpp"

namespace striate {

ExtractWork::ExtractWork(Network const& network, StimulusLoader& loader, ActWriter& store,
                         std::vector<std::string> const& ids, std::vector<LayerPath> const& paths,
                         std::size_t done_before, ReusedRows const* reused)
    : network_(network),
      loader_(loader),
      store_(store),
      ids_(ids),
      paths_(paths),
      reused_(reused),
      bar_("extract", "batches", store.batches(), done_before) {}

void ForwardGate::run(std::function<void()> const& pass) {
  while (true) {
    std::size_t allowed = 0;  // when this pass began: it was alone only where that was 1
    {
      std::unique_lock held(mutex_);
      left_.wait(held, [&] { return inside_ < allowed_; });
      ++inside_, allowed = allowed_;
    }
    std::exception_ptr trouble;
    bool no_memory = false;
    try {
      pass();
    } catch (Error const& error) {
      trouble = std::current_exception(), no_memory = error.code() == Exit::limit;
    } catch (std::bad_alloc const&) {
      trouble = std::current_exception(), no_memory = true;
    } catch (...) {
      trouble = std::current_exception();
    }
    std::lock_guard const held(mutex_);
    std::size_t const beside = --inside_;
    left_.notify_all();
    if (!trouble) return;
    if (!no_memory || allowed == 1) std::rethrow_exception(trouble);
    allowed_ = std::max<std::size_t>(1, std::min(allowed_, beside + 1) / 2);
    log::warn("memory ran out: from here on {} batch{} at once in the network of this rank", allowed_,
              allowed_ == 1 ? "" : "es");
  }
}

std::vector<std::size_t> ExtractWork::rows_to_compute(std::size_t first, std::size_t rows) const {
  std::vector<std::size_t> wanted;
  for (std::size_t r = 0; r < rows; ++r)
    if (reused_ == nullptr || !reused_->held()[first + r]) wanted.push_back(r);
  return wanted;
}

/// The first `rows` rows of `loaded`; rows `holes` of them are NaN.
void ExtractWork::forward(LoadedBatch const& loaded, std::size_t rows, std::vector<std::size_t> const& holes,
                          std::function<void(std::size_t layer, float const*)> const& sink) const {
  auto const captured = [&](std::size_t layer, float const* values) {
    paths_[layer].apply(values, rows, [&](float const* stored) {
      if (holes.empty()) return sink(layer, stored);
      std::size_t const units = paths_[layer].stored().units();
      std::vector<float> patched(stored, stored + rows * units);
      for (std::size_t hole : holes)
        std::fill_n(patched.begin() + static_cast<std::ptrdiff_t>(hole * units), units,
                    std::numeric_limits<float>::quiet_NaN());
      sink(layer, patched.data());
    });
  };
  gate_.run([&] { network_.forward(loaded.pixels.data(), rows, captured); });
}

void ExtractWork::compute(std::size_t batch) {
  LoadedBatch loaded = loader_.take(batch);
  std::size_t const first = store_.first_row(batch), pixels = loaded.pixels.size() / loaded.rows;
  if (statistics_ != nullptr) statistics_->add(first, loaded);
  Result result;
  result.bad = loaded.bad, result.missing = loaded.missing;
  for (auto const& [row, what] : loaded.bad)
    std::fill_n(loaded.pixels.begin() + static_cast<std::ptrdiff_t>((row - first) * pixels), pixels, 0.0F);
  auto const wanted = rows_to_compute(first, loaded.rows);
  std::vector<std::size_t> holes;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] != i)
      std::copy_n(loaded.pixels.begin() + static_cast<std::ptrdiff_t>(wanted[i] * pixels), pixels,
                  loaded.pixels.begin() + static_cast<std::ptrdiff_t>(i * pixels));
    for (auto const& [row, what] : loaded.bad)
      if (row - first == wanted[i]) holes.push_back(i);
  }
  if (wanted.size() == loaded.rows) {
    result.blocks.resize(paths_.size());
    forward(loaded, loaded.rows, holes, [&](std::size_t layer, float const* values) {
      result.blocks[layer] = store_.encode(layer, batch, values);
    });
  } else {
    result.fresh.resize(paths_.size());
    if (!wanted.empty())
      forward(loaded, wanted.size(), holes, [&](std::size_t layer, float const* values) {
        result.fresh[layer].assign(values, values + wanted.size() * paths_[layer].stored().units());
      });
  }
  loader_.give_back(std::move(loaded));
  results_.give(batch, std::move(result));
}

void ExtractWork::write_layer(ActBlock block) {
  store_.write_batch(block);
  if (block.overflow > 0)
    log::warn("layer {} has values beyond float16 (they become infinite); use dtype: float32",
              network_.layers()[block.layer].name);
  store_.recycle(std::move(block));
}

/// Here rather than in compute: only the main thread may read the earlier store.
void ExtractWork::write_with_reused(std::size_t batch, Result const& result) {
  std::size_t const first = store_.first_row(batch), rows = store_.rows(batch);
  auto const computed = rows_to_compute(first, rows);
  std::vector<float> values;
  for (std::size_t layer = 0; layer < paths_.size(); ++layer) {
    std::size_t const units = paths_[layer].stored().units();
    values.resize(rows * units);
    reused_->read(layer, first, rows, values.data());
    for (std::size_t i = 0; i < computed.size(); ++i)
      std::copy_n(result.fresh[layer].begin() + static_cast<std::ptrdiff_t>(i * units), units,
                  values.begin() + static_cast<std::ptrdiff_t>(computed[i] * units));
    ActBlock block = store_.encode(layer, batch, values.data());
    reused_->check(block, first);
    write_layer(std::move(block));
  }
}

void ExtractWork::write(std::span<std::size_t const> mine) {
  for (std::size_t batch : mine) {
    Result result = results_.take(batch);
    if (result.blocks.empty()) write_with_reused(batch, result);
    for (auto& block : result.blocks) write_layer(std::move(block));
    if (may_skip_)  // a run that was killed may have left marks of files that were mended since
      for (std::size_t row = 0; row < store_.rows(batch); ++row)
        store_.write_skipped(store_.first_row(batch) + row, Skipped::no);
    for (auto const& [row, what] : result.bad) {
      bool const missing = std::ranges::find(result.missing, row) != result.missing.end();
      store_.write_skipped(row, missing ? Skipped::missing : Skipped::damaged);
      log::warn("stimulus {} (row {}) is skipped: {}", ids_[row], row + 1, what);
    }
  }
}

}  // namespace striate
