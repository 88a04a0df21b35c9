#include "convolve_design.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "convolve_events.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/space.hpp"

namespace striate::convolve {
namespace {

constexpr char const* stimulus_columns[] = {"stimID", "stim_file", "stimulus", "trial_type"};

std::string stimulus_column(Config const& config, EventTable const& table) {
  if (config.stimulus) return *config.stimulus;
  for (auto const* name : stimulus_columns)
    if (table.has(name)) return name;
  fail(Exit::data, "events: {} has no column stimID, stim_file, stimulus or trial_type; name its column of stimuli in "
                   "`stimulus:`", table.name());
}

/// Adds the events of a table to its runs.
class Gatherer {
 public:
  Gatherer(Config const& config, std::vector<std::string> const& ids) : config_(config) {
    for (std::size_t i = 0; i < ids.size(); ++i) row_of_[ids[i]] = i;
  }

  void add(std::filesystem::path const& file, std::size_t number) {
    EventTable const table(file);
    bool const several = config_.events.size() > 1;
    bool const labelled = table.has(config_.run);
    if (!labelled && !several && config_.run != Config{}.run) (void)table.column(config_.run);  // says what there is
    auto const& ids = table.column(stimulus_column(config_, table));
    std::set<std::string> runs_here;
    for (std::size_t line = 0; line < table.rows(); ++line) {
      std::string const label = labelled ? table.column(config_.run)[line] : std::to_string(number + 1);
      if (label.empty()) fail(Exit::data, "events: {} line {} names no run", table.name(), table.line(line));
      if (runs_here.insert(label).second && !labels_.insert({label, runs_.size()}).second && several)
        fail(Exit::data, "events: run {} stands in two files ({} is the second); name it in one", label, table.name());
      if (labels_.at(label) == runs_.size()) runs_.push_back({label, 0, {}});
      if (ids[line].empty() || ids[line] == "n/a") continue;  // fixation, a response …
      add_event(table, line, ids[line], runs_[labels_.at(label)]);
    }
  }

  std::vector<Run> runs() {
    if (!missing_.empty()) {
      std::string three;
      for (std::size_t i = 0; i < std::min<std::size_t>(3, missing_.size()); ++i)
        three += (i == 0 ? "" : ", ") + missing_[i];
      fail(Exit::data,
           "features.store: {} lacks {} of the stimuli that events show ({}{}); extract them, name another column in "
           "`stimulus:`, or write n/a for events without one",
           config_.features.store.filename().string(), missing_.size(), three, missing_.size() > 3 ? ", …" : "");
    }
    return std::move(runs_);
  }

 private:
  void add_event(EventTable const& table, std::size_t line, std::string const& id, Run& run) {
    auto const row = row_of_.find(id);
    if (row == row_of_.end() && told_.insert(id).second) missing_.push_back(id);
    Event e;
    e.onset = table.number("onset", line);
    e.duration = table.number("duration", line);
    if (e.duration < 0)
      fail(Exit::data, "events: {} line {} has a duration of {} s; it is 0 (an impulse) or more", table.name(),
           table.line(line), e.duration);
    if (config_.amplitude) e.amplitude = table.number(*config_.amplitude, line);
    e.stimulus = row == row_of_.end() ? 0 : row->second;
    run.events.push_back(e);
  }

  Config const& config_;
  std::map<std::string, std::size_t> row_of_, labels_;
  std::vector<Run> runs_;
  std::vector<std::string> missing_;
  std::set<std::string> told_;
};

void count_volumes(Config const& config, std::vector<Run>& runs) {
  std::vector<std::size_t> counts(config.volumes.counts.begin(), config.volumes.counts.end());
  for (auto const& file : config.volumes.from) counts.push_back(open_image(file, "volumes.from")->volumes());
  if (config.volumes.from.empty() && counts.size() == 1) counts.assign(runs.size(), counts[0]);
  if (counts.size() != runs.size())
    fail(Exit::data, "volumes: are given of {} runs but events name {}; give one number for all, or one a run",
         counts.size(), runs.size());
  for (std::size_t r = 0; r < runs.size(); ++r) runs[r].volumes = counts[r];
}

/// Onsets in milliseconds or of another run's clock are found here.
void check_times(Config const& config, std::vector<Run> const& runs) {
  std::size_t late = 0;
  for (Run const& run : runs) {
    double const end = static_cast<double>(run.volumes) * config.tr;
    auto const beyond = [&](Event const& e) { return e.onset >= end; };
    auto const here = static_cast<std::size_t>(std::ranges::count_if(run.events, beyond));
    if (here > 0 && here == run.events.size())
      fail(Exit::data,
           "events: all {} events of run {} begin after its last volume ({} volumes × {} s); onsets are in seconds "
           "from the first volume of the run",
           here, run.label, run.volumes, config.tr);
    late += here;
  }
  if (late > 0) log::warn("{} events begin after the last volume of their run and have no effect", late);
}

}  // namespace

std::vector<Run> read_runs(Config const& config, std::vector<std::string> const& ids) {
  Gatherer gatherer(config, ids);
  for (std::size_t f = 0; f < config.events.size(); ++f) gatherer.add(config.events[f], f);
  auto runs = gatherer.runs();
  count_volumes(config, runs);
  check_times(config, runs);
  return runs;
}

std::vector<Volume> volumes_of(std::vector<Run> const& runs) {
  std::vector<Volume> volumes;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    std::string const name = runs[r].label.starts_with("run-") ? runs[r].label : "run-" + runs[r].label;
    for (std::size_t v = 0; v < runs[r].volumes; ++v)
      volumes.push_back({fmt::format("{}_vol-{:04}", name, v + 1), r, v});
  }
  return volumes;
}

Design::Design(Config const& config, std::vector<Run> runs, std::size_t batch)
    : runs_(std::move(runs)),
      volumes_(volumes_of(runs_)),
      blocks_(blocks_of(config)),
      tr_(config.tr),
      offset_(config.sample == "middle" ? 0.5 : 0),
      batch_(batch) {}

double Design::time(Volume const& v) const { return (static_cast<double>(v.number) + offset_) * tr_; }

BatchDesign Design::of_batch(std::size_t batch) const {
  std::size_t const first = batch * batch_, last = std::min(first + batch_, volumes_.size());
  std::vector<std::vector<std::vector<std::pair<std::size_t, double>>>> all(blocks_.size());
  std::set<std::size_t> reached;
  for (std::size_t b = 0; b < blocks_.size(); ++b)
    for (std::size_t v = first; v < last; ++v) {
      all[b].push_back(weights_at(blocks_[b].regressor, runs_[volumes_[v].run].events, time(volumes_[v])));
      for (auto const& [stimulus, weight] : all[b].back()) reached.insert(stimulus);
    }
  BatchDesign design{{reached.begin(), reached.end()}, {}};
  std::map<std::size_t, std::size_t> place;
  for (std::size_t i = 0; i < design.stimuli.size(); ++i) place[design.stimuli[i]] = i;
  design.weights.resize(all.size());
  for (std::size_t b = 0; b < all.size(); ++b)
    for (auto const& row : all[b]) {
      auto& weights = design.weights[b].emplace_back();
      for (auto const& [stimulus, weight] : row) weights.push_back({place[stimulus], weight});
    }
  return design;
}

StimTable table_of(Design const& design) {
  StimTable table;
  table.folder = ".";
  table.header = {{"title", "scan volumes, one row a volume"}};
  table.columns = {"stimID", "run", "volume", "time"};
  table.values.resize(table.columns.size());
  for (Volume const& v : design.volumes()) {
    table.values[0].push_back(v.id);
    table.values[1].push_back(design.runs()[v.run].label);
    table.values[2].push_back(std::to_string(v.number + 1));
    table.values[3].push_back(fmt::format("{:.10g}", design.time(v)));
  }
  return table;
}

}  // namespace striate::convolve
