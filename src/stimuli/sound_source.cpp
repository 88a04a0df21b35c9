// Sounds: waveforms and mel spectrograms.
#include <cmath>
#include <mutex>
#include <unordered_map>

#include "check.hpp"
#include "mel.hpp"
#include "resampler.hpp"
#include "sound.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/stimuli/source.hpp"

namespace striate {
namespace {

constexpr std::size_t headers_kept = 4096;
constexpr double slack = 0.01;  // seconds that a sound may be longer than the input: rounding of times and rates

[[noreturn]] void too_long(StimulusRow const& row, double seconds, InputForm const& form) {
  double const takes = static_cast<double>(form.samples) / form.rate;
  fail(Exit::data,
       "{} has {:.3f} s of sound from {:.3f} s on, but the network takes {:.4g} s; cut it into windows (stimuli: "
       "{{table: "
       "FILE, window: {{length: {:.4g}, step: {:.4g}}}}}), or give columns start and end",
       row.file.string(), seconds, row.start, takes, takes, takes);
}

class SoundSource final : public StimulusSource {
 public:
  SoundSource(std::vector<StimulusRow> rows, InputForm form) : rows_(std::move(rows)), form_(std::move(form)) {
    require_media("sound");
  }
  [[nodiscard]] std::size_t size() const override { return rows_.size(); }
  [[nodiscard]] std::vector<std::size_t> shape() const override { return input_shape(form_, {}); }
  [[nodiscard]] nlohmann::ordered_json describe() const override { return to_json(form_, {}); }
  [[nodiscard]] bool sequential() const override { return true; }
  [[nodiscard]] std::filesystem::path file(std::size_t place) const override { return rows_[place].file; }
  [[nodiscard]] std::unique_ptr<Reader> reader() const override { return std::make_unique<Decoder>(*this); }
  /// By headers; what compressed files estimate counts where it is far off.
  [[nodiscard]] std::vector<std::pair<std::size_t, Error>> check(std::size_t first, std::size_t last,
                                                                 int threads) const override {
    return check_places(first, last, threads, [this](std::size_t place) {
      StimulusRow const& row = rows_[place];
      SoundHeader const header = header_of(row.file);
      if (header.seconds <= 0) return;
      if (row.start > header.seconds * 1.05 + 0.3) starts_late(row, header.seconds);
      double const seconds = std::min(row.end, header.seconds) - row.start;
      if (seconds > 1.05 * static_cast<double>(form_.samples) / form_.rate + 0.3) too_long(row, seconds, form_);
    });
  }

 private:
  /// Opening a file costs milliseconds, and rows may be many windows of one.
  [[nodiscard]] SoundHeader header_of(std::filesystem::path const& file) const {
    {
      std::lock_guard const lock(mutex_);
      if (auto const known = headers_.find(file.native()); known != headers_.end()) return known->second;
    }
    SoundHeader const header = probe_sound(file);
    std::lock_guard const lock(mutex_);
    if (headers_.size() >= headers_kept) headers_.clear();
    headers_.emplace(file.native(), header);
    return header;
  }
  [[noreturn]] static void starts_late(StimulusRow const& row, double seconds) {
    fail(Exit::data, "{} lasts {:.3f} s, but sound from {:.3f} s on is asked for", row.file.string(), seconds,
         row.start);
  }

  class Decoder final : public Reader {
   public:
    explicit Decoder(SoundSource const& source) : source_(source), wave_(source.form_.samples) {
      if (source.form_.kind == InputForm::Kind::mel)
        mel_ = std::make_unique<MelSpectrogram>(source.form_.mel, source.form_.rate);
    }
    void load(std::size_t place, float* out) override {
      InputForm const& form = source_.form_;
      take_wave(source_.rows_[place]);
      for (float& x : wave_) x = static_cast<float>(static_cast<double>(x) * form.scale);
      if (form.kind == InputForm::Kind::audio) return normalise(out);
      spectrogram_.resize(form.mel.frames * form.mel.mels);
      mel_->run(wave_, spectrogram_);
      for (std::size_t t = 0; t < form.mel.frames; ++t)
        for (std::size_t b = 0; b < form.mel.mels; ++b) {
          double const mean = form.mean[form.mean.size() > 1 ? b : 0], sd = form.std[form.std.size() > 1 ? b : 0];
          double const value = (static_cast<double>(spectrogram_[t * form.mel.mels + b]) - mean) / sd;
          out[form.frame_first ? t * form.mel.mels + b : b * form.mel.frames + t] = static_cast<float>(value);
        }
    }

   private:
    /// The row's samples at the network's rate: as the whole file's would be, from `start`; zeros behind its end.
    void take_wave(StimulusRow const& row) {
      InputForm const& form = source_.form_;
      open(row.file);
      auto const first = static_cast<std::int64_t>(std::llround(row.start * form.rate));
      auto const extra = static_cast<std::size_t>(std::ceil(slack * form.rate)) + 1;
      auto const wanted = form.samples + extra;
      auto const range = resampler_->needs(first, wanted);
      native_.resize(static_cast<std::size_t>(range.end - range.begin));
      std::int64_t const there = range.begin + static_cast<std::int64_t>(file_->read(range.begin, native_));
      // Known only where the end was met.
      std::int64_t length = there < range.end ? resampler_->length(there) : first + static_cast<std::int64_t>(wanted);
      if (length <= first) starts_late(row, probe_sound(row.file).seconds);
      if (std::isfinite(row.end))
        length = std::min(length, static_cast<std::int64_t>(std::llround(row.end * form.rate)));
      if (length >= first + static_cast<std::int64_t>(wanted)) {
        double seconds = row.end - row.start;
        if (!std::isfinite(seconds))
          seconds = std::max(probe_sound(row.file).seconds - row.start, static_cast<double>(wanted) / form.rate);
        too_long(row, seconds, form);
      }
      resampler_->run(first, std::span(native_).first(needed(first)), wave_);
      if (length < first + static_cast<std::int64_t>(form.samples))
        std::fill(wave_.begin() + (length - first), wave_.end(), 0.0F);
    }
    [[nodiscard]] std::size_t needed(std::int64_t first) const {
      auto const range = resampler_->needs(first, wave_.size());
      return static_cast<std::size_t>(range.end - range.begin);
    }
    void open(std::filesystem::path const& file) {
      if (file_ && file_->path() == file) return;
      file_.reset();
      file_ = std::make_unique<SoundFile>(file);
      if (resampler_ && rate_ == file_->rate()) return;
      rate_ = file_->rate();
      resampler_ = std::make_unique<Resampler>(rate_, static_cast<int>(source_.form_.rate));
    }
    void normalise(float* out) const {
      InputForm const& form = source_.form_;
      double mean = form.mean[0], sd = form.std[0];
      if (form.normalise) {
        double sum = 0, squares = 0;
        for (float const x : wave_) sum += static_cast<double>(x);
        double const m = sum / static_cast<double>(wave_.size());
        for (float const x : wave_) squares += (static_cast<double>(x) - m) * (static_cast<double>(x) - m);
        sd = std::sqrt(squares / static_cast<double>(wave_.size()) + 1e-7), mean = m;
      }
      for (std::size_t i = 0; i < wave_.size(); ++i)
        out[i] = static_cast<float>((static_cast<double>(wave_[i]) - mean) / sd);
    }

    SoundSource const& source_;
    std::unique_ptr<SoundFile> file_;
    int rate_ = 0;
    std::unique_ptr<Resampler> resampler_;
    std::unique_ptr<MelSpectrogram> mel_;
    std::vector<float> native_, wave_, spectrogram_;
  };

  std::vector<StimulusRow> rows_;
  InputForm form_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, SoundHeader> headers_;
};

}  // namespace

std::shared_ptr<StimulusSource> sound_source(std::vector<StimulusRow> rows, InputForm form) {
  return std::make_shared<SoundSource>(std::move(rows), std::move(form));
}

}  // namespace striate
