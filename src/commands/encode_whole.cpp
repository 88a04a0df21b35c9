#include "encode_whole.hpp"

#include <algorithm>

namespace striate::encode {
namespace {

/// Rearranged responses, as fits read them.
class Rearranged final : public FeatureSource {
 public:
  Rearranged(TargetBlock const& y, Rearranger const& how, std::size_t n, std::size_t t)
      : y_(y), how_(how), n_(n), t_(t) {}
  [[nodiscard]] std::size_t rows() const override { return n_; }
  [[nodiscard]] std::size_t cols() const override { return t_; }
  void read(std::size_t first, std::size_t count, float* out) const override {
    auto const from = y_.columns(first, count);
    for (std::size_t c = 0; c < count; ++c) how_.column(from.col(c), out + c * n_);
  }

 private:
  TargetBlock const& y_;
  Rearranger const& how_;
  std::size_t n_, t_;
};

}  // namespace

double trial_bytes(Config const& config, Inputs const& in) {
  FoldValues const values(config, in);
  std::size_t rows = 0;
  for (std::size_t f = 0; f < in.folds; ++f) rows += values.rows(f);
  return 8 * static_cast<double>(rows * in.t());
}

/// Averages over folds. One thread's.
class WholeTrials::Scored final : public Rescorer {
 public:
  explicit Scored(WholeTrials const& of) : of_(of), values_(of.s_.config, of.s_.inputs) {}
  void begin(TrialTile const&) override {}  // all targets, as ever
  void trial(std::uint64_t index, std::vector<double>& scores) override {
    std::size_t const one = of_.s_.config.scores.size() * of_.t_;
    scores.resize(of_.features_.size() * one);
    for (std::size_t l = 0; l < of_.features_.size(); ++l)
      values_.average(of_.values(index, l), of_.t_, std::span(scores).subspan(l * one, one));
  }
  std::vector<double> identity() override { return {}; }

 private:
  WholeTrials const& of_;
  FoldValues values_;
};

WholeTrials::WholeTrials(Shared const& shared, TargetBlock const& y, FoldFeatures const& features, std::size_t threads)
    : s_(shared), y_(y), features_(features), t_(shared.layout.t) {
  FoldValues const values(shared.config, shared.inputs);
  for (std::size_t f = 0; f < shared.inputs.folds; ++f) {
    places_.push_back({rows_, values.rows(f)});
    rows_ += places_.back().rows;
  }
  PermutationLayout const& p = shared.layout.permutation;
  std::size_t const pieces = p.block * features.size() * places_.size(),
                    block = p.block * features.size() * doubles() * sizeof(double);
  auto const fit = static_cast<std::size_t>(most_trials_bytes) / block;
  blocks_ = std::clamp<std::size_t>((2 * threads + pieces - 1) / pieces, 1, std::clamp<std::size_t>(fit, 1, p.blocks));
  bytes_ = shared.team.shared(blocks_ * block);
}

void WholeTrials::make(std::span<std::uint8_t const> done) {
  PermutationLayout const& p = s_.layout.permutation;
  made_.clear();
  for (std::size_t b = 0; b < done.size(); ++b)
    for (std::size_t i = b * p.block; done[b] == 0 && i < std::min(p.n, (b + 1) * p.block); ++i)
      made_.push_back(p.first + i);
  std::vector<Slot> slots;
  for (std::size_t one = 0; one < made_.size() * features_.size(); ++one)
    for (Place const& place : places_)
      slots.push_back({(one * rows_ + place.at) * t_ * sizeof(double), place.rows * t_ * sizeof(double)});
  s_.team.run(bytes_.get(), slots, [&](std::size_t unit) {
    auto worker = workers_.take();
    if (*worker == nullptr) *worker = std::make_unique<Worker>(s_.config, s_.inputs);
    piece(unit, **worker);
    workers_.give(std::move(worker));
  });
}

void WholeTrials::piece(std::size_t unit, Worker& w) const {
  std::size_t const fold = unit % places_.size(), one = unit / places_.size(), n = s_.inputs.n();
  w.how.make(made_[one / features_.size()]);
  Rearranged const source(y_, w.how, n, t_);
  auto const fitted = features_[one % features_.size()][fold]->fit(source);
  auto* const out = reinterpret_cast<double*>(bytes_.get()) + (one * rows_ + places_[fold].at) * t_;
  for (std::size_t first = 0; first < t_; first += target_tile) {
    std::size_t const T = std::min(target_tile, t_ - first);
    w.y.resize(n * T);
    source.read(first, T, w.y.data());
    MatrixView<float const> const y(w.y.data(), n, T);
    fitted->tile(y, w.result, w.work);
    w.out.clear();
    w.values.add(fold, y, w.result, w.out);
    for (std::size_t r = 0; r < places_[fold].rows; ++r) std::copy_n(w.out.data() + r * T, T, out + r * t_ + first);
  }
}

std::span<double const> WholeTrials::values(std::uint64_t index, std::size_t layer) const {
  auto const i = static_cast<std::size_t>(std::ranges::lower_bound(made_, index) - made_.begin());
  return {reinterpret_cast<double const*>(bytes_.get()) + (i * features_.size() + layer) * doubles(), doubles()};
}

std::unique_ptr<Rescorer> WholeTrials::rescorer() const { return std::make_unique<Scored>(*this); }

}  // namespace striate::encode
