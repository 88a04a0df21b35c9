/// Noise ceilings: tiles from repeats and between subjects, and how other subjects' rows are found.
#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "encode_tiles.hpp"
#include "striate/base/error.hpp"

namespace striate::encode {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Which volumes of another subject make the rows of this one's stimuli. Stimuli beyond them do not count.
RowPlan rows_as(RowPlan const& mine, std::vector<std::string> const& ids, std::string const& data,
                std::string const& source, std::string const& key) {
  std::unordered_map<std::string, std::size_t> row_of;
  for (std::size_t r = 0; r < mine.size(); ++r) row_of[mine.ids[r]] = r;
  RowPlan plan{
      mine.ids, std::vector<std::size_t>(mine.size(), RowPlan::no_row), {}, std::vector<std::size_t>(mine.size(), 0)};
  for (std::size_t v = 0; v < ids.size(); ++v) {
    auto const at = row_of.find(ids[v]);
    plan.row_of_volume.push_back(at == row_of.end() ? RowPlan::no_row : at->second);
    if (at == row_of.end()) continue;
    if (plan.count[at->second]++ == 0) plan.first_volume[at->second] = v;
  }
  std::vector<std::string> missing;
  for (std::size_t r = 0; r < mine.size(); ++r)
    if (plan.count[r] == 0) missing.push_back(mine.ids[r]);
  if (!missing.empty())
    fail(Exit::data, "{}: {} lacks {} of this subject's stimuli ({}), says {}; leave the subject out", key, data,
         missing.size(), first_three(missing), source);
  return plan;
}

}  // namespace

void find_others(Config const& config, std::vector<std::string> const& ids, std::string const& source, Inputs& in) {
  OtherSubjects const& o = config.other_subjects;
  if (o.data.empty()) return;
  in.root.average = plan_rows(ids, false);
  if (in.root.average.size() < 3)
    fail(Exit::data, "other_subjects: {} stimuli are too few for a noise ceiling (3 are needed); leave it out",
         in.root.average.size());
  for (std::size_t s = 0; s < o.data.size(); ++s) {
    std::string const key = fmt::format("other_subjects.data[{}]", s);
    ResponsesConfig one;
    one.data = {o.data[s]};
    one.transpose = config.responses.transpose;
    auto responses = std::make_unique<Responses>(one, *in.root.responses, key);
    std::string list = source;
    std::vector<std::string> theirs = ids;
    if (!o.stimuli.empty()) {
      auto const& file = o.stimuli[o.stimuli.size() == 1 ? 0 : s];
      theirs = read_stim_table(file).ids();
      list = file.filename().string();
      in.root.files.push_back(file);
    }
    std::string const data = responses->space().source;
    if (theirs.size() != responses->volumes())
      fail(Exit::data,
           "{}: {} has {} rows but {} lists {} stimuli; name the .stim.csv of each in "
           "other_subjects.stimuli",
           key, data, responses->volumes(), list, theirs.size());
    in.root.other_rows.push_back(rows_as(in.root.average, theirs, data, list, key));
    in.root.files.insert(in.root.files.end(), responses->inputs().begin(), responses->inputs().end());
    in.root.others.push_back(std::move(responses));
  }
  in.subjects = 1 + o.data.size();
  in.stimuli = in.root.average.size();
}

void CeilingTiles::write(std::vector<Ready> const& tiles) {
  for (Ready const& ready : tiles) {
    for (std::size_t k = 0; k < names_.size(); ++k)
      s_.result.write_slice(std::string("/noise_ceiling/") + names_[k], 0, ready.first,
                            std::span<double const>(ready.made->ceiling[k]));
    std::uint64_t const nothing[counts] = {};
    s_.result.write_slice(counts_name, base_ + ready.tile, 0, std::span<std::uint64_t const>(nothing));
  }
}

NoiseTiles::NoiseTiles(Shared const& shared, TargetBlock const& y, std::function<void(std::size_t)> said)
    : CeilingTiles(shared, y, 0, repeat_ceilings, std::move(said)),
      halves_(half_splits(shared.inputs.stimulus_of_volume, static_cast<std::uint64_t>(shared.config.seed))),
      shown_(presentations(shared.inputs.stimulus_of_volume, shared.config.responses.repeats != "keep")) {}

void NoiseTiles::compute(std::size_t, MatrixView<float const> y, Made& made, Workspace&) {
  for (auto& values : made.ceiling) values.assign(y.cols, nan);
  auto& [reliability, pearson, snr, percent, row] = made.ceiling;
  split_half_reliability(halves_, y, reliability);
  ncsnr(s_.inputs.stimulus_of_volume, y, snr);
  for (std::size_t c = 0; c < y.cols; ++c) {
    percent[c] = noise_ceiling_percent(snr[c], shown_.row);
    if (std::isnan(reliability[c])) continue;
    pearson[c] = std::sqrt(std::max(0.0, reliability[c]));
    row[c] = spearman_brown(reliability[c], shown_.row / shown_.repeated);
  }
}

void BetweenTiles::compute(std::size_t, MatrixView<float const> y, Made& made, Workspace&) {
  for (std::size_t k = 0; k < subject_ceilings.size(); ++k) made.ceiling[k].assign(y.cols, nan);
  between_subjects(y, s_.inputs.subjects, made.ceiling[0], made.ceiling[1]);
}

}  // namespace striate::encode
