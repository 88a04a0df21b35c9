#include "permute_merge.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "striate/base/fsio.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

class Merger {
 public:
  explicit Merger(Merge const& merge) : m_(merge), layout_(encode::permutations_alone(m_.config, m_.inputs, 0, m_.n)) {}

  void run() {
    encode::Null null = m_.earlier;
    for (std::size_t i = 1; i <= m_.parts; ++i) {
      Part const part{i, m_.parts};
      auto const [first, last] = part.range(m_.from, m_.n);
      auto const layout = encode::permutations_alone(m_.config, m_.inputs, first, last - first);
      auto one = encode::read_null(m_.config, m_.inputs, layout, *open_part(part, layout));
      one.tails = {{layout.permutation, nullptr, part.file_in(m_.folder)}};
      null.append(one);
    }
    write_result(null);
    write_maps();
    log::info("{}: {} permutations", m_.folder.string(), null.n);
  }

 private:
  [[nodiscard]] std::unique_ptr<ResultFile> open_part(Part const& part, encode::Layout const& layout) const {
    ResultSpec spec;
    spec.tiles = layout.units();
    spec.identity = m_.identity;
    spec.identity["part"] = fmt::format("{}/{}", part.i, part.k);
    return ResultFile::open(Comm(), part.file_in(m_.folder), spec);
  }

  void write_result(encode::Null const& null) {
    ResultSpec spec;
    spec.datasets = encode::permutation_results(m_.config, m_.inputs, layout_, null.n);
    spec.datasets.push_back({"/targets/index", h5::Dtype::u64, {m_.inputs.t()}, 0});
    std::vector<std::string> names;
    for (auto const& l : m_.inputs.layers) names.push_back(l.name);
    spec.texts = {{"/layers", names}};
    spec.attributes = {{"command", "permute"}, {"permutations", std::to_string(null.n)}};
    spec.identity = m_.identity;
    fs::path const made = m_.folder / fmt::format(".result.{}.h5", ::getpid());  // another part may merge as well
    auto const file = ResultFile::open(Comm(), made, spec, true);
    file->write("/targets/index", std::span<std::uint64_t const>(m_.inputs.index));
    encode::write_permutation(m_.config, m_.inputs, null, m_.observed.score, m_.team, *file);
    file->finish([](ResultFile&) {});
    fs::rename(made, m_.folder / "result.h5");
    sync_folder(m_.folder);
  }

  [[nodiscard]] std::vector<double> read(std::string const& layer, std::string const& score, std::string const& stat) const {
    return h5::File::open(m_.folder / "result.h5").dataset(encode::permutation_name(layer, score, stat)).read<double>();
  }
  void map(std::vector<double> const& values, fs::path const& stem) const {
    write_map(m_.inputs.root.responses->space(), m_.inputs.index, std::span<double const>(values), stem);
  }

  void write_maps() const {
    make_folder(m_.folder / "maps");
    auto const stats = encode::permutation_stats(m_.config);
    std::vector<std::string> names;
    for (auto const& l : m_.inputs.layers) names.push_back(l.name);
    auto const safe = file_safe_names(names);
    std::string table = "layer\troi\tscore\ttargets\tvalid";
    auto const spatial = encode::spatial_p(m_.config);
    for (auto const& stat : stats) table += fmt::format("\t{}_below_0.05", stat);
    for (auto const& stat : spatial) table += fmt::format("\t{}_below_0.05", stat);
    table += "\n";
    std::vector<Roi> regions{{"all", 0, {}}};
    regions[0].targets.resize(m_.inputs.t());
    std::iota(regions[0].targets.begin(), regions[0].targets.end(), std::size_t{0});
    for (auto const& roi : m_.inputs.root.rois) regions.push_back(roi);
    for (std::size_t l = 0; l < names.size(); ++l)
      for (auto const& score : m_.config.scores) {
        std::vector<std::vector<double>> values;
        for (auto const& stat : stats) {
          values.push_back(read(names[l], score, stat));
          map(values.back(), map_stem(m_.folder, safe[l], score + "_" + stat));
        }
        bool const first = score == m_.config.scores[0];
        for (auto const& stat : first ? encode::spatial_stats(m_.config) : std::vector<std::string>())
          map(read(names[l], score, stat), map_stem(m_.folder, safe[l], score + "_" + stat));
        for (auto const& stat : spatial) values.push_back(first ? read(names[l], score, stat) : std::vector<double>());
        for (Roi const& region : regions) table += row(names[l], region, score, values);
      }
    for (auto const& stat : encode::best_permutation_stats(m_.config, layout_))
      map(read("best", m_.config.scores[0], stat), m_.folder / "maps" / ("best-score_" + stat));
    write_atomically(m_.folder / "summary.tsv", table);
  }

  static std::string row(std::string const& layer, Roi const& region, std::string const& score,
                         std::vector<std::vector<double>> const& values) {
    auto const count = [&](std::vector<double> const& p, auto const& wanted) {
      return std::ranges::count_if(region.targets, [&](std::size_t j) { return wanted(p[j]); });
    };
    std::string text = fmt::format("{}\t{}\t{}\t{}\t{}", layer, region.name, score, region.targets.size(),
                                   count(values[0], [](double p) { return !std::isnan(p); }));
    for (auto const& p : values)  // maps are of the first score alone
      text += p.empty() ? "\tn/a" : fmt::format("\t{}", count(p, [](double v) { return v <= 0.05; }));
    return text + "\n";
  }

  Merge const& m_;
  encode::Layout layout_;
};

}  // namespace

void merge_parts(Merge const& merge) {
  std::size_t missing = 0;
  for (std::size_t i = 1; i <= merge.parts; ++i) missing += read_ledger(Part{i, merge.parts}.file_in(merge.folder)).complete ? 0 : 1;
  if (missing > 0) {
    log::info("{} of {} parts are not done yet; the last one to end writes {}", missing, merge.parts,
              (merge.folder / "result.h5").string());
    return;
  }
  Merger(merge).run();
}

}  // namespace striate
