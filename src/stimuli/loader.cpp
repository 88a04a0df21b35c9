#include "striate/stimuli/loader.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "crew.hpp"

namespace striate {
namespace {

constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

}  // namespace

struct StimulusLoader::Impl {
  /// One batch of the order, from when it is begun until it is taken.
  struct Slot {
    LoadedBatch batch;
    std::size_t next = 0, open = 0;  ///< rows handed out; rows not finished
    std::size_t bad_row = none;      ///< lowest row with an error to throw
    std::exception_ptr error;
    [[nodiscard]] bool ready() const { return open == 0; }
  };

  std::shared_ptr<StimulusSource const> source;
  std::size_t batch, row_size, ahead;
  std::size_t run_length = 1;  ///< rows that a thread takes at once
  std::vector<std::size_t> order;
  bool skip_bad;
  std::unordered_map<std::size_t, std::size_t> position;  ///< batch → place in the order

  mutable std::mutex mutex;
  std::condition_variable work, finished;
  std::map<std::size_t, Slot> slots;  ///< by place in the order
  std::size_t begun = 0;              ///< places begun: slots exist for those that are not taken
  std::size_t feeding = none;         ///< the slot whose rows are being handed out
  std::size_t wanted = 0;             ///< places below this are waited for
  std::vector<bool> taken;
  std::vector<std::vector<float>> spare;
  double waited = 0;
  bool stop = false;
  std::optional<Crew> crew;

  [[nodiscard]] bool may_begin() const { return begun < order.size() && (slots.size() < ahead || begun < wanted); }

  /// With the lock held.
  void begin_next() {
    Slot& slot = slots[begun];
    slot.batch.batch = order[begun];
    slot.batch.rows = std::min(batch, source->size() - order[begun] * batch);
    std::size_t const place = begun++;
    if (!spare.empty()) {
      slot.batch.pixels = std::move(spare.back());
      spare.pop_back();
    }
    try {
      slot.batch.pixels.resize(slot.batch.rows * row_size);
    } catch (std::bad_alloc const&) {  // for the one who takes the batch
      slot.error = std::current_exception();
      finished.notify_all();
      return;
    }
    slot.open = slot.batch.rows;
    feeding = place;
  }

  void run() {
    auto const reader = source->reader();
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [&] { return stop || feeding != none || may_begin(); });
      if (stop) return;
      if (feeding == none) begin_next();
      if (feeding == none) continue;
      Slot& slot = slots.at(feeding);  // stays where it is: nobody takes it while a row is open
      std::size_t const first = slot.next, last = std::min(first + run_length, slot.batch.rows);
      slot.next = last;
      if (slot.next == slot.batch.rows) feeding = none;
      work.notify_one();
      for (std::size_t row = first; row < last; ++row) {
        if (slot.bad_row == none && !stop) load(slot, row, *reader, lock);  // else the batch is lost already
        --slot.open;
      }
      if (slot.open == 0) finished.notify_all();
    }
  }

  /// Gives the lock up while it decodes.
  void load(Slot& slot, std::size_t row, StimulusSource::Reader& reader, std::unique_lock<std::mutex>& lock) {
    std::size_t const place = slot.batch.batch * batch + row;
    float* const out = slot.batch.pixels.data() + row * row_size;
    std::exception_ptr error;
    std::optional<std::string> skipped;
    bool missing = false;
    lock.unlock();
    try {
      reader.load(place, out);
    } catch (Error const& trouble) {
      if (skip_bad && (trouble.code() == Exit::data || trouble.code() == Exit::no_input))
        skipped = trouble.what(), missing = trouble.code() == Exit::no_input;
      else
        error =
            std::make_exception_ptr(Error(trouble.code(), fmt::format("stimulus {}: {}", place + 1, trouble.what())));
    } catch (...) {
      error = std::current_exception();
    }
    if (skipped) std::fill_n(out, row_size, std::numeric_limits<float>::quiet_NaN());
    lock.lock();
    if (skipped) slot.batch.bad.emplace_back(place, *skipped);
    if (missing) slot.batch.missing.push_back(place);
    if (error && row < slot.bad_row) slot.bad_row = row, slot.error = error;
  }
};

StimulusLoader::StimulusLoader(std::vector<std::filesystem::path> files, Preprocessing how, std::size_t batch,
                               std::vector<std::size_t> order, int threads, std::size_t ahead, bool skip_bad)
    : StimulusLoader(image_source(std::move(files), std::move(how)), batch, std::move(order), threads, ahead,
                     skip_bad) {}

StimulusLoader::StimulusLoader(std::shared_ptr<StimulusSource const> source, std::size_t batch,
                               std::vector<std::size_t> order, int threads, std::size_t ahead, bool skip_bad)
    : impl_(std::make_unique<Impl>()) {
  if (batch == 0) throw std::logic_error("StimulusLoader: a batch holds at least one stimulus");
  std::size_t const batches = (source->size() + batch - 1) / batch;
  for (std::size_t i = 0; i < order.size(); ++i)
    if (order[i] >= batches || !impl_->position.emplace(order[i], i).second)
      throw std::logic_error("StimulusLoader: the order names a batch twice, or one that is not there");
  impl_->source = std::move(source), impl_->order = std::move(order);
  impl_->batch = batch, impl_->ahead = std::max<std::size_t>(1, ahead), impl_->skip_bad = skip_bad;
  impl_->row_size = 1;
  for (std::size_t const extent : impl_->source->shape()) impl_->row_size *= extent;
  // Every thread has a share of what may be held, in as few runs as that allows.
  if (impl_->source->sequential())
    impl_->run_length =
        std::clamp<std::size_t>(batch * impl_->ahead / static_cast<std::size_t>(std::max(1, threads)), 1, batch);
  impl_->taken.resize(impl_->order.size());
  impl_->crew.emplace(threads, [impl = impl_.get()] { impl->run(); });
}

StimulusLoader::~StimulusLoader() {
  {
    std::lock_guard const lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->work.notify_all();
  impl_->crew->join();
}

LoadedBatch StimulusLoader::take(std::size_t batch) {
  Impl& impl = *impl_;
  std::unique_lock lock(impl.mutex);
  auto const found = impl.position.find(batch);
  if (found == impl.position.end() || impl.taken[found->second])
    throw std::logic_error("StimulusLoader::take: the batch was not announced, or is taken");
  std::size_t const place = found->second;
  impl.taken[place] = true;
  impl.wanted = std::max(impl.wanted, place + 1);
  impl.work.notify_all();
  auto ready = [&] {
    auto const slot = impl.slots.find(place);
    return slot != impl.slots.end() && slot->second.ready();
  };
  if (!ready()) {
    auto const start = std::chrono::steady_clock::now();
    impl.finished.wait(lock, ready);
    impl.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  Impl::Slot slot = std::move(impl.slots.at(place));
  impl.slots.erase(place);
  impl.work.notify_all();
  if (slot.error) std::rethrow_exception(slot.error);
  std::ranges::sort(slot.batch.bad);
  return std::move(slot.batch);
}

void StimulusLoader::give_back(LoadedBatch&& used) {
  std::lock_guard const lock(impl_->mutex);
  if (impl_->spare.size() < impl_->ahead) impl_->spare.push_back(std::move(used.pixels));
}

double StimulusLoader::waited_seconds() const {
  std::lock_guard const lock(impl_->mutex);
  return impl_->waited;
}

std::size_t StimulusLoader::batches_held() const {
  std::lock_guard const lock(impl_->mutex);
  return impl_->slots.size();
}

}  // namespace striate
