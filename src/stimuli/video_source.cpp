// Videos: single frames as pictures, and clips of several.
#include <cmath>
#include <map>
#include <mutex>

#include "check.hpp"
#include "crop.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/stimuli/source.hpp"
#include "video.hpp"

namespace striate {
namespace {

constexpr std::size_t indices_kept = 256;

/// Indices of files, made once and shared by threads.
class Shelf {
 public:
  std::shared_ptr<VideoIndex const> get(std::filesystem::path const& file) {
    std::shared_ptr<Entry> entry;
    {
      std::lock_guard const lock(mutex_);
      auto& known = entries_[file.native()];
      if (!known) known = std::make_shared<Entry>();
      known->used = ++clock_;
      entry = known;
      if (entries_.size() > indices_kept) drop_oldest();
    }
    std::call_once(entry->made,
                   [&] { entry->index = index_video(file); });  // where it throws, the next one tries again
    return entry->index;
  }

 private:
  struct Entry {
    std::once_flag made;
    std::shared_ptr<VideoIndex const> index;
    std::size_t used = 0;
  };
  void drop_oldest() {
    auto oldest = entries_.begin();
    for (auto it = entries_.begin(); it != entries_.end(); ++it)
      if (it->second->used < oldest->second->used) oldest = it;
    entries_.erase(oldest);
  }

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
  std::size_t clock_ = 0;
};

/// What frames and clips have in common: rows, an open video a reader.
class VideoSource : public StimulusSource {
 public:
  VideoSource(std::vector<StimulusRow> rows, Preprocessing how) : rows_(std::move(rows)), how_(std::move(how)) {
    require_media("video");
  }
  [[nodiscard]] std::size_t size() const override { return rows_.size(); }
  [[nodiscard]] bool sequential() const override { return true; }
  [[nodiscard]] std::filesystem::path file(std::size_t place) const override { return rows_[place].file; }

 protected:
  class Open : public Reader {
   public:
    explicit Open(VideoSource const& source) : source_(source) {}

   protected:
    VideoFile& file_of(StimulusRow const& row) {
      if (!video_ || video_->path() != row.file) {
        video_.reset();
        video_ = std::make_unique<VideoFile>(row.file, source_.shelf_.get(row.file));
      }
      return *video_;
    }
    /// Frame `number` from 0 of the row's file, cut and preprocessed.
    void picture(StimulusRow const& row, std::size_t number, float* out) {
      file_of(row).frame(number, image_);
      crop_to_box(row, image_);
      try {
        preprocess(image_, source_.how_, out);
      } catch (Error const& error) {
        throw Error(error.code(), row.file.string() + " " + error.what());
      }
    }
    VideoSource const& source_;

   private:
    std::unique_ptr<VideoFile> video_;
    Image image_;
  };

  std::vector<StimulusRow> rows_;
  Preprocessing how_;
  mutable Shelf shelf_;
};

class FrameSource final : public VideoSource {
 public:
  using VideoSource::VideoSource;
  [[nodiscard]] std::vector<std::size_t> shape() const override { return {how_.channels(), how_.height, how_.width}; }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(how_); }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    return check_places(first, last, threads, [this](std::size_t place) {
      StimulusRow const& row = rows_[place];
      std::size_t const frames = shelf_.get(row.file)->frames();
      if (row.frame > frames)
        fail(Exit::data, "{} has {} frames, but frame {} is asked for", row.file.string(), frames, row.frame);
    });
  }

 private:
  class Decoder final : public Open {
   public:
    using Open::Open;
    void load(std::size_t place, float* out) override {
      StimulusRow const& row = static_cast<FrameSource const&>(source_).rows_[place];
      picture(row, row.frame - 1, out);
    }
  };
};

class ClipSource final : public VideoSource {
 public:
  ClipSource(std::vector<StimulusRow> rows, InputForm form, Preprocessing how)
      : VideoSource(std::move(rows), std::move(how)), form_(std::move(form)) {}
  [[nodiscard]] std::vector<std::size_t> shape() const override { return input_shape(form_, how_); }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(form_, how_); }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  /// Whole files by their headers; parts of files also by their times, for which a file is read once.
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    return check_places(first, last, threads, [this](std::size_t place) {
      StimulusRow const& row = rows_[place];
      if (row.start == 0 && std::isinf(row.end)) return probe_video(row.file);
      (void)numbers(row, *shelf_.get(row.file));
    });
  }

 private:
  /// Numbers, from 0, of the frames that make the row's clip. At a rate: what is on screen at start, start + 1/rate, …;
  /// without: spread evenly from the first frame to the last one, as PyTorchVideo's UniformTemporalSubsample does, but
  /// by time. A clip that ends early stands still on its last frame.
  [[nodiscard]] std::vector<std::size_t> numbers(StimulusRow const& row, VideoIndex const& index) const {
    if (row.start >= index.seconds())
      fail(Exit::data, "{} lasts {:.3f} s, but a clip from {:.3f} s on is asked for", row.file.string(),
           index.seconds(), row.start);
    if (std::isfinite(row.end) && row.end > index.seconds() + index.frame_seconds / 2 + 1e-3)
      fail(Exit::data, "{} lasts {:.3f} s, but a clip up to {:.3f} s is asked for", row.file.string(), index.seconds(),
           row.end);
    std::size_t const from = index.at(row.start);
    std::size_t last = index.frames() - 1;
    if (std::isfinite(row.end)) {  // the last one that begins before the end
      last = index.at(row.end);
      while (last > from && index.seconds_of(last) >= row.end - 1e-3) --last;
    }
    std::vector<std::size_t> out(form_.frames, from);
    auto const steps = static_cast<std::int64_t>(form_.frames) - 1;
    for (std::size_t i = 1; i < out.size(); ++i) {
      auto const step = static_cast<std::int64_t>(i);
      if (form_.rate > 0)
        out[i] = index.at(std::max(row.start, index.seconds_of(0)) + static_cast<double>(i) / form_.rate);
      else
        out[i] = index.before(index.shown[from] + (index.shown[last] - index.shown[from]) * step / steps);
      out[i] = std::min(out[i], last);
    }
    return out;
  }

  class Decoder final : public Open {
   public:
    using Open::Open;
    void load(std::size_t place, float* out) override {
      auto const& source = static_cast<ClipSource const&>(source_);
      StimulusRow const& row = source.rows_[place];
      auto const numbers = source.numbers(row, file_of(row).index());
      std::size_t const channels = source.how_.channels(), plane = source.how_.height * source.how_.width;
      one_.resize(channels * plane);
      for (std::size_t t = 0; t < numbers.size(); ++t) {
        if (t == 0 || numbers[t] != numbers[t - 1]) picture(row, numbers[t], one_.data());
        for (std::size_t c = 0; c < channels; ++c) {
          std::size_t const to = source.form_.frame_first ? t * channels + c : c * numbers.size() + t;
          std::copy_n(one_.data() + c * plane, plane, out + to * plane);
        }
      }
    }

   private:
    std::vector<float> one_;
  };

  InputForm form_;
};

}  // namespace

std::shared_ptr<StimulusSource> frame_source(std::vector<StimulusRow> rows, Preprocessing how) {
  return std::make_shared<FrameSource>(std::move(rows), std::move(how));
}

std::shared_ptr<StimulusSource> clip_source(std::vector<StimulusRow> rows, InputForm form, Preprocessing how) {
  return std::make_shared<ClipSource>(std::move(rows), std::move(form), std::move(how));
}

}  // namespace striate
