#include "extract_stimuli.hpp"

#include <map>
#include <sstream>

#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

/// Keeps the first row of each id, or says which stands twice.
void keep_distinct(StimTable& table, bool once) {
  std::map<std::string, std::size_t> first;
  std::vector<std::string> kept;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    auto const [it, is_new] = first.emplace(table.ids()[row], row);
    if (is_new)
      kept.push_back(table.ids()[row]);
    else if (!once)
      fail(Exit::data,
           "stimuli: {}: {} stands in rows {} and {}, but a store holds a stimulus once (responses may repeat it); "
           "list it "
           "once, or set on_duplicate: once",
           table.file.filename().string(), it->first, it->second + 1, row + 1);
  }
  if (kept.size() != table.rows())
    log::info("{} rows hold {} distinct stimuli; each is extracted once", table.rows(), kept.size());
  table.values.resize(1), table.columns.resize(1);
  table.values[0] = std::move(kept);
}

}  // namespace

ExtractStimuli read_stimuli(Context const& context, ExtractConfig const& config, Card const& card) {
  if (card.input.kind != InputForm::Kind::image)
    fail(Exit::config, "network: {} takes stimuli of kind {}, which extract cannot make of pictures",
         card.file.filename().string(), name_of(card.input.kind));
  std::string ids, folder;
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    StimTable table = load_stimuli(config.stimuli);
    if (table.type != "image")
      fail(Exit::data, "stimuli: {} is of type {}; extract takes pictures (type=image)", table.file.filename().string(),
           table.type);
    keep_distinct(table, config.on_duplicate == "once");
    if (table.rows() == 0) fail(Exit::data, "stimuli: {} lists no stimulus", table.file.filename().string());
    folder = table.folder.string();
    for (auto const& id : table.ids()) ids += id + "\n";
  });
  context.comm.broadcast(ids, 0);
  context.comm.broadcast(folder, 0);
  ExtractStimuli stimuli;
  stimuli.sha256 = sha256(ids);
  std::vector<fs::path> files;
  std::istringstream lines(ids);
  for (std::string id; std::getline(lines, id);) stimuli.ids.push_back(id), files.push_back(fs::path(folder) / id);
  stimuli.source = image_source(std::move(files), card.preprocessing);
  return stimuli;
}

void check_stimuli(Context const& context, ExtractConfig const& config, ExtractStimuli const& stimuli) {
  std::size_t const n = stimuli.ids.size(), ranks = static_cast<std::size_t>(context.comm.size()),
                    r = static_cast<std::size_t>(context.comm.rank());
  std::size_t const first = n * r / ranks, last = n * (r + 1) / ranks;
  together(context.comm, [&] {
    auto const problems = stimuli.source->check(first, last, context.threads);
    if (problems.empty() || config.on_bad_stimulus == "skip") return;
    auto const& [place, what] = problems.front();
    fail(what.code(), "stimuli: row {} ({}): {}{}; mend it, or set on_bad_stimulus: skip", place + 1,
         stimuli.ids[place], what.what(),
         problems.size() > 1 ? std::string(" (it is not the only one)") : std::string());
  });
}

}  // namespace striate
