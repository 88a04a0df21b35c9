#include "encode_series.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <unordered_map>

#include "striate/base/error.hpp"
#include "striate/base/log.hpp"

namespace striate::encode {
namespace {

/// Runs without their drift, for every length that runs have.
class Cleaners {
 public:
  Cleaners(SeriesConfig const& config, Series const& series) : series_(series) {
    for (std::size_t r = 0; r < series.runs(); ++r) {
      std::size_t const rows = series.length(r);
      if (config.cleans() && !by_length_.contains(rows))
        by_length_.try_emplace(rows, rows, config.detrend, config.tr.value_or(0), config.zscore_runs);
    }
  }
  void clean(std::span<float> volumes) const {
    for (std::size_t r = 0; !by_length_.empty() && r < series_.runs(); ++r)
      by_length_.at(series_.length(r)).clean(volumes.subspan(series_.first[r], series_.length(r)));
  }

 private:
  Series const& series_;
  std::map<std::size_t, RunCleaner> by_length_;
};

RowPlan every_volume(std::size_t volumes) {
  RowPlan all{std::vector<std::string>(volumes), {}, {}, std::vector<std::size_t>(volumes, 1)};
  all.first_volume.resize(volumes);
  std::iota(all.first_volume.begin(), all.first_volume.end(), std::size_t{0});
  all.row_of_volume = all.first_volume;
  return all;
}

/// Rows of one target: means of the kept volumes.
void gather(RowPlan const& plan, std::span<float const> volumes, float* y) {
  std::vector<double> sum(plan.size(), 0);
  for (std::size_t v = 0; v < volumes.size(); ++v)
    if (plan.row_of_volume[v] != RowPlan::no_row) sum[plan.row_of_volume[v]] += static_cast<double>(volumes[v]);
  for (std::size_t r = 0; r < sum.size(); ++r) y[r] = static_cast<float>(sum[r] / static_cast<double>(plan.count[r]));
}

/// "run 3", or the word itself where it says so.
std::string run_text(std::string const& label) { return label.starts_with("run") ? label : "run " + label; }

bool kept(SeriesConfig const& config, Series const& series, std::size_t run, std::size_t volume) {
  return volume >= series.first[run] + static_cast<std::size_t>(config.trim.first) &&
         volume + static_cast<std::size_t>(config.trim.last) < series.first[run + 1];
}

}  // namespace

std::size_t Series::run_of(std::size_t volume) const {
  return static_cast<std::size_t>(std::ranges::upper_bound(first, volume) - first.begin()) - 1;
}

Series find_runs(std::vector<std::string> const& column, std::string const& name, std::string const& source,
                 std::string const& key) {
  Series s;
  std::map<std::string, std::size_t> began;
  for (std::size_t v = 0; v < column.size(); ++v) {
    std::string const& label = column[v];
    if (label.empty())
      fail(Exit::data, "{}: row {} of {} names no {}; every volume belongs to a run", key, v + 1, source, name);
    if (!s.run.empty() && label == s.run.back()) continue;
    if (auto const [at, is_new] = began.try_emplace(label, v); !is_new)
      fail(Exit::data,
           "{}: {} of {} begins in row {} and again in row {}; rows of a run must follow one another (sort "
           "volumes by run and time, or give runs of different sessions names of their own)",
           key, run_text(label), source, at->second + 1, v + 1);
    s.run.push_back(label);
    s.first.push_back(v);
  }
  s.first.push_back(column.size());
  return s;
}

void check_runs(SeriesConfig const& config, Series const& series, std::vector<std::size_t> const& in_file) {
  std::size_t const trimmed = static_cast<std::size_t>(config.trim.first + config.trim.last);
  for (std::size_t r = 0; r < series.runs(); ++r) {
    if (series.length(r) <= trimmed)
      fail(Exit::data, "responses.trim: {} has {} volumes, of which {} would be dropped; trim less",
           run_text(series.run[r]), series.length(r), trimmed);
    if (!config.cleans()) continue;
    try {
      RunCleaner const tried(series.length(r), config.detrend, config.tr.value_or(0), config.zscore_runs);
    } catch (Error const& error) {
      throw Error(error.code(), fmt::format("responses.{}: {}: {}",
                                            config.detrend.kind == Drift::Kind::none ? "zscore_runs" : "detrend",
                                            run_text(series.run[r]), error.what()));
    }
  }
  std::size_t end = 0;
  for (std::size_t f = 0; f + 1 < in_file.size(); ++f) {
    end += in_file[f];
    if (std::ranges::find(series.first, end) == series.first.end())
      log::warn(
          "responses.run: file {} of responses.data ends in the midst of {}; are files and rows in the same order?",
          f + 1, run_text(series.run[series.run_of(end)]));
  }
}

RowPlan plan_volumes(SeriesConfig const& config, Series const& series, std::vector<std::string> const& ids, bool keep) {
  std::vector<std::size_t> volumes;
  std::vector<std::string> shown;
  for (std::size_t r = 0; r < series.runs(); ++r)
    for (std::size_t v = series.first[r]; v < series.first[r + 1]; ++v)
      if (kept(config, series, r, v)) volumes.push_back(v), shown.push_back(ids[v]);
  RowPlan const among = plan_rows(shown, keep);
  RowPlan plan{among.ids, {}, std::vector<std::size_t>(ids.size(), RowPlan::no_row), among.count};
  for (std::size_t i : among.first_volume) plan.first_volume.push_back(volumes[i]);
  std::vector<std::size_t> latest(plan.size(), RowPlan::no_row);  // volume of each row
  for (std::size_t i = 0; i < volumes.size(); ++i) {
    std::size_t const v = volumes[i], row = among.row_of_volume[i];
    plan.row_of_volume[v] = row;
    std::size_t const before = std::exchange(latest[row], v);
    if (before != RowPlan::no_row && series.run_of(before) == series.run_of(v))
      fail(Exit::data,
           "responses.repeats: {} stands in rows {} and {} of the stimuli, both of {}: their average would be no time "
           "series; set responses.repeats: keep, or give every volume an id of its own",
           ids[v], before + 1, v + 1, run_text(series.run[series.run_of(v)]));
  }
  return plan;
}

Lags find_lags(std::vector<std::int64_t> const& delays, Series const& series, RowPlan const& rows,
               std::vector<std::string> const& ids, std::string const& key) {
  std::size_t const n = rows.size(), none = RowPlan::no_row;
  auto const before = [&](std::size_t volume, std::int64_t delay) {
    auto const d = static_cast<std::size_t>(delay);
    return volume < series.first[series.run_of(volume)] + d ? none : volume - d;
  };
  Lags lags;
  std::vector<std::size_t> seen;
  for (std::int64_t delay : delays) {
    std::vector<std::uint8_t> looks(series.runs(), 0);
    for (std::size_t r = 0; r < n; ++r) seen.push_back(before(rows.first_volume[r], delay));
    for (std::size_t v = 0; v < ids.size(); ++v) {
      std::size_t const r = rows.row_of_volume[v];
      if (r == none) continue;
      std::size_t const a = seen[seen.size() - n + r], b = before(v, delay);
      if (b != none) looks[series.run_of(v)] = 1;
      if ((a == none) != (b == none) || (a != none && ids[a] != ids[b]))
        fail(Exit::data,
             "{}.delays: {} TR before {} there are different stimuli in {} and {}, so the average over them has no "
             "delayed "
             "features; set responses.repeats: keep",
             key, delay, rows.ids[r], run_text(series.run[series.run_of(rows.first_volume[r])]),
             run_text(series.run[series.run_of(v)]));
    }
    for (std::size_t r = 0; r < series.runs(); ++r)
      if (looks[r] == 0)
        fail(Exit::data,
             "{}.delays: {} TR reach back beyond the beginning of {} ({} volumes) from every volume that is kept, so "
             "that this delay would be 0 all over it; use shorter delays, or leave the run out",
             key, delay, run_text(series.run[r]), series.length(r));
  }
  std::set<std::size_t> reached(seen.begin(), seen.end());
  reached.erase(none);
  lags.volumes.assign(reached.begin(), reached.end());
  std::unordered_map<std::size_t, std::size_t> place;
  for (std::size_t i = 0; i < lags.volumes.size(); ++i) place[lags.volumes[i]] = i;
  for (std::size_t v : seen) lags.place.push_back(v == none ? Lags::none : place[v]);
  return lags;
}

namespace {

/// Runs that `split` cuts through, by number.
std::vector<std::size_t> cut_runs(Inputs const& in, Split const& split) {
  std::vector<std::uint8_t> side(in.n(), 0), of_run(in.series.runs(), 0);
  for (auto r : split.train) side[r] |= 1;
  for (auto r : split.test) side[r] |= 2;
  for (std::size_t v = 0; v < in.series.volumes(); ++v)
    if (std::size_t const row = in.root.rows.row_of_volume[v]; row != RowPlan::no_row)
      of_run[in.series.run_of(v)] |= side[row];
  std::vector<std::size_t> cut;
  for (std::size_t r = 0; r < of_run.size(); ++r)
    if (of_run[r] == 3) cut.push_back(r);
  return cut;
}

}  // namespace

void warn_of_split_runs(Config const& config, Inputs const& in) {
  if (in.series.runs() == 0 || (!config.responses.cleans() && config.cv.purge > 0)) return;
  char const* const why =
      config.responses.cleans()
          ? "its mean, drift and scale were taken from its test rows, too, so scores are not those of "
            "unseen data"
          : "neighbouring volumes are correlated, so scores are optimistic";
  std::string const column = config.responses.run.value_or("");
  for (std::size_t f = 0; f < in.folds; ++f) {
    auto const cut = cut_runs(in, in.passes[f].outer);
    if (cut.empty()) continue;
    log::warn("cv: fold {} trains on one part of {}{} and tests on another: {}; use cv.group: {}", f,
              run_text(in.series.run[cut[0]]), cut.size() > 1 ? fmt::format(" (and of {} more)", cut.size() - 1) : "",
              why, column);
    return;
  }
  if (config.cv.group) return;  // inner folds by run, or parts of the only one, which was said
  for (auto const& pass : in.passes)
    for (Split const& inner : pass.inner)
      if (auto const cut = cut_runs(in, inner); !cut.empty())
        return log::warn(
            "cv.inner: folds cut through runs (e.g. {}), so penalties are chosen on rows that resemble the "
            "training rows; with cv.group: {} inner folds hold whole runs, too",
            run_text(in.series.run[cut[0]]), column);
}

TargetBlock target_block(Comm const& comm, Config const& config, Inputs const& in, RowPlan const& plan,
                         std::size_t rows, std::size_t width) {
  if (in.series.runs() == 0) return {comm, in.root.responses.get(), &plan, rows, in.t(), width};
  auto const cleaners = std::make_shared<Cleaners>(config.responses, in.series);
  std::size_t const volumes = in.series.volumes();
  auto const fill = [=, &in, &plan](std::size_t first, MatrixView<float> y) {
    MatrixView<float> const all(y.data, volumes, y.cols);  // the block has memory for this, too
    in.root.responses->fill(every_volume(volumes), first, all);
    std::vector<float> column(volumes);
    for (std::size_t j = 0; j < y.cols; ++j) {  // column j of y lies before column j of `all`, or is that
      std::copy_n(all.col(j), volumes, column.begin());
      cleaners->clean(column);
      gather(plan, column, y.col(j));
    }
  };
  return {comm, fill, rows, in.t(), width, volumes};
}

}  // namespace striate::encode
