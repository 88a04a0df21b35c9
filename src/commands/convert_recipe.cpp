#include "convert_recipe.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <unordered_map>

#include "convert_stages.hpp"
#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"

namespace striate::convert {
namespace {

// Below 16 rows the moments are not kept by batch; above, little is gained.
constexpr std::size_t good_batch = 16, largest_batch = 64;
constexpr double batch_bytes_wanted = 64 << 20, batch_bytes_allowed = 512 << 20;

std::vector<std::string> wanted_layers(Config const& c, Source const& source) {
  std::vector<std::string> names;
  if (c.layers != std::vector<std::string>{"all"}) return c.layers;
  for (auto const& layer : source.layers()) names.push_back(layer.name);
  return names;
}

/// A layer that the config names.
std::size_t asked(Source const& source, std::string const& name) {
  try {
    return source.layer(name);
  } catch (Error const& error) {
    throw Error(error.code(), std::string("layers: ") + error.what());
  }
}

std::string shape_text(ActLayer const& layer) { return h5::text_of(layer.shape); }

/// In what two layers of one shape differ: "" where unit by unit they mean the same, as far as both know.
std::string difference_of(Source const& a, std::size_t at, Source const& b, std::size_t there) {
  auto const &mine = a.layers()[at], &theirs = b.layers()[there];
  if (!mine.axes.empty() && !theirs.axes.empty() && mine.axes != theirs.axes && a.batch() > 0 && b.batch() > 0)
    return fmt::format("axes ({} and {})", mine.axes, theirs.axes);
  LayerRecord const one = a.record(at), other = b.record(there);
  for (std::string const name : {"full_shape", "full_axes", "stages"}) {
    auto const of = [&](LayerRecord const& record) {
      auto const found = record.attributes.find(name);
      return found == record.attributes.end() ? std::string("none") : found->second;
    };
    if (a.batch() > 0 && b.batch() > 0 && of(one) != of(other))
      return fmt::format("{} ({} and {})", name, of(one), of(other));
  }
  if (a.batch() > 0 && b.batch() > 0 && one.selected != other.selected) return "units that were kept";
  return "";
}

/// Layer `name` of `other`, with the same shape, axes and units; `strict`: where units differ that is an Error, else a
/// warning.
std::size_t same_layer(Source const& first, std::size_t layer, Source const& other, std::string const& why,
                       bool strict) {
  auto const& mine = first.layers()[layer];
  std::size_t const found = other.layer(mine.name);
  auto const& theirs = other.layers()[found];
  if (mine.shape != theirs.shape)
    fail(Exit::data, "layer {} is {} in {} but {} in {}; {}", mine.name, shape_text(mine), first.name(),
         shape_text(theirs), other.name(), why);
  if (auto const what = difference_of(first, layer, other, found); !what.empty()) {
    if (strict)
      fail(Exit::data, "layer {}: {} of {} and {} differ; {}", mine.name, what, first.name(), other.name(), why);
    log::warn("layer {}: {} of {} and {} differ; the output carries those of the first", mine.name, what, first.name(),
              other.name());
  }
  return found;
}

class Maker {
 public:
  explicit Maker(Config const& config) : c_(config) {}

  Recipe make() {
    open();
    if (c_.operation == "concatenate" && c_.along == "layers")
      beside();
    else if (c_.operation == "concatenate" || c_.operation == "merge")
      behind();
    else
      single();
    take_rows();
    carry_rows();
    finish_layers();
    r_.batch = batch();
    carry_attributes();
    return std::move(r_);
  }

 private:
  void open() {
    auto paths = c_.input;
    if (auto const* second = std::get_if<std::filesystem::path>(&c_.with)) paths.push_back(*second);
    if (auto const* number = std::get_if<double>(&c_.with)) r_.number = *number;
    if (is_arithmetic(c_.operation)) r_.arithmetic = c_.operation;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      try {
        r_.sources.push_back(open_source(paths[i], c_.layout));
      } catch (Error const& error) {
        throw Error(error.code(), std::string(i < c_.input.size() ? "input: " : "with: ") + error.what());
      }
      r_.sources.back()->give_ids(c_.stimuli);
    }
  }

  [[nodiscard]] std::vector<std::string> ids_of(std::size_t source) const {
    auto const& s = *r_.sources[source];
    if (!s.ids().empty()) return s.ids();
    if (r_.sources.size() == 1) {  // nothing to match: numbers will do
      std::vector<std::string> ids;
      for (std::size_t i = 0; i < s.rows(); ++i) ids.push_back(fmt::format("row-{:06}", i + 1));
      log::warn("{} carries no stimulus ids; its rows are called row-000001 … (stimuli: names them)", s.name());
      return ids;
    }
    fail(Exit::data,
         "{}: carries no stimulus ids, and rows are matched by id; name the .stim.csv of its rows as stimuli:",
         s.name());
  }

  /// One store, or the arithmetic of two.
  void single() {
    auto const& first = *r_.sources[0];
    r_.ids = ids_of(0);
    std::vector<Place> places;
    for (std::size_t i = 0; i < first.rows(); ++i) places.push_back({0, i});
    r_.rows.push_back(std::move(places));
    bool const two = r_.sources.size() == 2;
    if (two) r_.rows.push_back(matched(1, r_.ids));
    for (auto const& name : wanted_layers(c_, first)) {
      std::size_t const at = asked(first, name);
      OutputLayer layer = from(first, at);
      layer.operands = {{0, {at}}};
      if (two) layer.operands.push_back({1, {0, same_layer(first, at, *r_.sources[1], "arithmetic is by unit", true)}});
      r_.layers.push_back(std::move(layer));
    }
  }

  /// Rows of the inputs, one input after the other.
  void behind() {
    auto const& first = *r_.sources[0];
    auto const names = wanted_layers(c_, first);
    for (auto const& name : names) {
      std::size_t const at = asked(first, name);
      OutputLayer layer = from(first, at);
      layer.operands = {{0, {}}};
      for (auto const& other : r_.sources)
        layer.operands[0].layers.push_back(
            same_layer(first, at, *other, "stores are put behind each other where their layers are alike",
                       c_.operation == "merge"));
      r_.layers.push_back(std::move(layer));
    }
    check_alike();
    std::unordered_map<std::string, std::size_t> seen;
    std::vector<Place> places;
    for (std::uint32_t k = 0; k < r_.sources.size(); ++k) {
      auto const ids = ids_of(k);
      for (std::size_t i = 0; i < ids.size(); ++i) {
        auto const [at, is_new] = seen.emplace(ids[i], k);
        if (!is_new)
          fail(Exit::data,
               "stimulus {} is in {} and in {}; a store holds a stimulus once, take it from one of them (rows:)",
               ids[i], r_.sources[at->second]->name(), r_.sources[k]->name());
        places.push_back({k, i});
        r_.ids.push_back(ids[i]);
      }
    }
    r_.rows.push_back(std::move(places));
  }

  /// Layers of the inputs, one input after the other, of the rows of the first.
  void beside() {
    r_.ids = ids_of(0);
    for (std::uint32_t k = 0; k < r_.sources.size(); ++k) {
      r_.rows.push_back(matched(k, r_.ids));
      if (k > 0 && r_.sources[k]->rows() != r_.ids.size())
        fail(Exit::data,
             "{} has {} stimuli but {} has {}; layers are put beside each other of the same stimuli (slice the "
             "larger one first, rows:)",
             r_.sources[k]->name(), r_.sources[k]->rows(), r_.sources[0]->name(), r_.ids.size());
    }
    std::set<std::string> taken;
    for (std::size_t k = 0; k < r_.sources.size(); ++k) {
      auto const& source = *r_.sources[k];
      for (auto const& l : source.layers()) {
        if (c_.layers != std::vector<std::string>{"all"} && std::ranges::find(c_.layers, l.name) == c_.layers.end())
          continue;
        std::size_t const at = source.layer(l.name);
        OutputLayer layer = from(source, at);
        layer.operands = {{k, std::vector<std::size_t>(r_.sources.size(), at)}};
        if (!c_.prefix.empty()) layer.spec.name = c_.prefix[k] + layer.spec.name;
        r_.layers.push_back(std::move(layer));
        taken.insert(l.name);
      }
    }
    for (auto const& name : c_.layers)
      if (name != "all" && !taken.contains(name)) (void)asked(*r_.sources[0], name);
  }

  /// Rows of source k that have these ids.
  [[nodiscard]] std::vector<Place> matched(std::uint32_t k, std::vector<std::string> const& ids) const {
    auto const theirs = ids_of(k);
    std::unordered_map<std::string, std::size_t> rows;
    for (std::size_t i = 0; i < theirs.size(); ++i) rows.emplace(theirs[i], i);
    std::vector<Place> places;
    for (auto const& id : ids) {
      auto const found = rows.find(id);
      if (found == rows.end())
        fail(Exit::data, "{}: lacks the stimulus {}, which {} has; rows are matched by id", r_.sources[k]->name(), id,
             r_.sources[0]->name());
      places.push_back({k, found->second});
    }
    return places;
  }

  [[nodiscard]] OutputLayer from(Source const& source, std::size_t at) const {
    auto const& l = source.layers()[at];
    OutputLayer layer;
    layer.spec = {l.name, l.shape, l.axes, h5::Dtype::f32, source.record(at)};
    layer.units_read = l.units;
    bool const halves = l.dtype == "float16" && r_.arithmetic.empty();
    if (c_.dtype == "float16" || (c_.dtype == "keep" && halves)) layer.spec.dtype = h5::Dtype::f16;
    if (c_.dtype == "keep" && l.dtype != "float16" && l.dtype != "float32")
      log::warn("{}: layer {} is {}; it is kept as float32", source.name(), l.name, l.dtype);
    return layer;
  }

  /// Concatenated stores: what made them should agree; merged ones: must.
  void check_alike() const {
    bool const strict = c_.operation == "merge";
    auto const& first = *r_.sources[0];
    auto const of = [](Source const& s, std::string const& name) {
      auto const at = s.attributes().find(name);
      if (at != s.attributes().end()) return at->second;
      return name == "compat" ? compat_of(s) : std::string();
    };
    for (auto const& other : r_.sources) {
      for (std::string const name : {"network", "weights_sha256", "preprocessing", "pool", "compat", "autocast", "layer_order"}) {
        if (of(first, name) == of(*other, name)) continue;
        if (name == "layer_order" && !strict) continue;
        std::string const what = fmt::format("{} of {} ({}) and {} ({}) differ", name, first.name(),
                                             shortened(of(first, name)), other->name(), shortened(of(*other, name)));
        if (strict) fail(Exit::data, "{}; merge takes parts of one run (concatenate takes stores of any kind)", what);
        log::warn("{}; the output does not carry it", what);
      }
      for (auto const& layer : r_.layers)
        if (strict &&
            other->layers()[other->layer(layer.spec.name)].dtype != first.layers()[first.layer(layer.spec.name)].dtype)
          fail(Exit::data, "layer {} is {} in {} but {} in {}; merge takes parts of one run", layer.spec.name,
               first.layers()[first.layer(layer.spec.name)].dtype, first.name(),
               other->layers()[other->layer(layer.spec.name)].dtype, other->name());
    }
  }
  /// Extract keeps it in its config alone.
  static std::string compat_of(Source const& source) {
    auto const at = source.attributes().find("config");
    if (at == source.attributes().end()) return "none";
    auto const config = nlohmann::json::parse(at->second, nullptr, false);
    return config.is_object() && config.contains("compat") && config["compat"].is_string()
               ? config["compat"].get<std::string>()
               : "none";
  }
  static std::string shortened(std::string const& text) { return text.size() > 40 ? text.substr(0, 37) + "..." : text; }

  /// rows: … of what would be there without it.
  void take_rows() {
    if (c_.rows.all()) return;
    auto const kept =
        chosen_rows(c_.rows, r_.ids, r_.sources[0]->name() + (r_.sources.size() > 1 ? " or the other inputs" : ""));
    if (c_.operation == "merge" && kept.size() != r_.ids.size())
      fail(Exit::data,
           "rows: {} stimuli are taken but the inputs hold {}; merge keeps all (concatenate keeps those listed)",
           kept.size(), r_.ids.size());
    for (auto& list : r_.rows) {
      std::vector<Place> places;
      for (std::size_t i : kept) places.push_back(list[i]);
      list = std::move(places);
    }
    std::vector<std::string> ids;
    for (std::size_t i : kept) ids.push_back(r_.ids[i]);
    r_.ids = std::move(ids);
  }

  /// What the inputs know of their rows, where all that give rows know it.
  void carry_rows() {
    auto const& places = r_.rows[0];
    bool hashes = true, skips = false;
    for (auto const& place : places) {
      hashes = hashes && !r_.sources[place.source]->stimulus_sha256().empty();
      skips = skips || !r_.sources[place.source]->skipped().empty();
    }
    for (auto const& [source, row] : places) {
      if (hashes) r_.stimulus_sha256.push_back(r_.sources[source]->stimulus_sha256()[row]);
      auto const& skipped = r_.sources[source]->skipped();
      if (skips) r_.skipped.push_back(skipped.empty() ? 0 : skipped[row]);
    }
  }

  /// Stages, names.
  void finish_layers() {
    add_stages(c_, r_.layers);
    std::set<std::string> names;
    for (auto& layer : r_.layers)
      if (auto const at = c_.rename.find(layer.spec.name); at != c_.rename.end()) layer.spec.name = at->second;
    for (auto const& entry : c_.rename)
      if (std::ranges::none_of(r_.layers, [&](auto const& l) { return l.spec.name == entry.second; }))
        (void)r_.sources[0]->layer(entry.first);
    for (auto const& layer : r_.layers) {
      if (!names.insert(layer.spec.name).second)
        fail(Exit::data, "two layers of the output are called {}; set {}", layer.spec.name,
             c_.along == "layers" ? "prefix: [a_, b_]" : "rename:");
      if (layer.spec.name.find('/') != std::string::npos || layer.spec.name == "." || layer.spec.name == ".striate")
        fail(Exit::data, "a layer of a store cannot be called {}; set rename: {{{}: …}}", layer.spec.name,
             layer.spec.name);
    }
  }

  /// From shapes and the inputs alone: the same on every machine.
  [[nodiscard]] std::size_t batch() const {
    if (c_.batch.stimuli > 0) return static_cast<std::size_t>(c_.batch.stimuli);
    if (std::size_t const theirs = r_.sources[0]->batch(); theirs > 0) return theirs;
    double units = 0;
    for (auto const& layer : r_.layers) units += static_cast<double>(layer.units_read * layer.operands.size());
    std::size_t rows = largest_batch;
    auto const bytes = [&] { return 4 * units * static_cast<double>(rows); };
    while (rows > good_batch && (bytes() > batch_bytes_wanted || rows * 16 > r_.ids.size())) rows /= 2;
    while (rows > 1 && bytes() > batch_bytes_allowed) rows /= 2;
    return rows;
  }

  /// Those that all inputs share, but for what is the output's own.
  void carry_attributes() {
    for (auto const& [name, value] : r_.sources[0]->attributes()) {
      static std::set<std::string> const own{"striate_version", "layer_order",    "complete",          "config",
                                             "history",         "stimuli_sha256", "striate_git_commit"};
      if (own.contains(name)) continue;
      bool const shared = std::ranges::all_of(r_.sources, [&](auto const& s) {
        auto const at = s->attributes().find(name);
        return at != s->attributes().end() && at->second == value;
      });
      if (shared) r_.attributes[name] = value;
    }
    if (c_.pool != "none") r_.attributes["pool"] = c_.compat == "dnnbrain" ? c_.pool + " (dnnbrain)" : c_.pool;
    Sha256 sum;
    for (auto const& id : r_.ids) sum.update(id + "\n");
    r_.attributes["stimuli_sha256"] = sum.hex();
    auto const& first = *r_.sources[0];  // of clips and crops it is more than the ids
    if (auto const at = first.attributes().find("stimuli_sha256"); at != first.attributes().end() && first.ids() == r_.ids)
      r_.attributes["stimuli_sha256"] = at->second;
  }

  Config const& c_;
  Recipe r_;
};

}  // namespace

Recipe make_recipe(Config const& config) { return Maker(config).make(); }

void read_operand(Recipe const& recipe, OutputLayer const& layer, std::size_t operand, std::size_t first,
                  std::size_t count, std::vector<float>& out) {
  auto const& [list, layers] = layer.operands[operand];
  auto const& places = recipe.rows[list];
  out.resize(count * layer.units_read);
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < count;) {
    auto const source = places[first + i].source;
    rows.clear();
    std::size_t const begin = i;
    for (; i < count && places[first + i].source == source; ++i) rows.push_back(places[first + i].row);
    recipe.sources[source]->read(layers[source], rows, out.data() + begin * layer.units_read);
  }
}

std::size_t apply(Recipe const& recipe, OutputLayer const& layer, std::vector<std::vector<float>>& operands,
                  std::size_t rows, std::vector<float>& out) {
  std::size_t const zeros = recipe.arithmetic.empty() ? 0 : calculate(recipe.arithmetic, operands, recipe.number);
  out.swap(operands[0]);
  for (auto const& stage : layer.stages) {
    std::vector<float> next(rows * stage->output().units());
    stage->apply(out.data(), rows, next.data());
    out.swap(next);
  }
  return zeros;
}

double bytes_of_row(Recipe const& recipe) {
  double bytes = 0, largest = 0;
  for (auto const& layer : recipe.layers) {
    double const read = 4.0 * static_cast<double>(layer.units_read),
                 made = 4.0 * static_cast<double>(h5::volume(layer.spec.shape));
    bytes +=
        2 * read * static_cast<double>(layer.operands.size()) + 2 * made;  // one batch is read while another is made
    largest = std::max(largest, read + made);
  }
  return bytes + largest;
}

}  // namespace striate::convert
