/// `striate simulate`: responses with a known answer, from an activation store. Rank 0 computes and writes; the
/// others wait, so the result cannot depend on their number.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include <fmt/ranges.h>

#include "fingerprint.hpp"
#include "frame.hpp"
#include "simulate_signal.hpp"
#include "striate/base/error.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/hash.hpp"
#include "striate/base/log.hpp"
#include "striate/brain/maps.hpp"
#include "striate/brain/nifti.hpp"
#include "striate/brain/npy.hpp"
#include "striate/brain/responses.hpp"
#include "striate/brain/space.hpp"
#include "striate/commands/command.hpp"
#include "striate/par/together.hpp"
#include "striate/stimuli/stim_table.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

struct SimulatedFeatures {
  fs::path store;
  std::optional<fs::path> stimuli;
  std::vector<std::string> layers;
};
void describe(Schema& s, SimulatedFeatures& f) {
  s("store", f.store,
    {.doc = "activation store whose layers are planted", .required = true, .identity = false, .example = "act.h5"});
  s("stimuli", f.stimuli, {.doc = "the rows' ids, where the store carries none", .identity = false});
  s("layers", f.layers, {.doc = "without regions: one region of 50 voxels a layer; default all layers"});
}

struct Region {
  std::string name, layer;
  std::int64_t voxels = 50;
  std::optional<std::int64_t> label;
  double snr = 1;
  std::optional<double> noise_ceiling;
};
void describe(Schema& s, Region& r) {
  s("name", r.name, {.doc = "name of the region", .required = true});
  s("layer", r.layer, {.doc = "layer that its responses read out linearly", .required = true});
  s("voxels", r.voxels, {.doc = "number of voxels, where no label image is given", .min = 1});
  s("label", r.label, {.doc = "its number in the label image; default its place in the list, from 1"});
  s("snr", r.snr,
    {.doc = "variance of the signal over that of the noise, in one presentation; 0 is noise alone", .min = 0});
  s("noise_ceiling", r.noise_ceiling,
    {.doc = "instead of snr: highest correlation a model can reach with the mean over the repeats",
     .min = 0,
     .max = 0.9999});
}

struct SimulateConfig {
  SimulatedFeatures features;
  std::vector<Region> regions;
  std::optional<fs::path> labels;
  std::int64_t repeats = 1, seed = 0;
  std::optional<double> memory;
  std::string format = "nifti";
  fs::path output;
};
void declare(Schema& s, SimulateConfig& c) {
  s("features", c.features, {.doc = "where the signals come from"});
  s("regions", c.regions,
    {.doc = "regions of the simulated brain, each with its planted layer",
     .example = "[{name: early, layer: conv1, voxels: 60, snr: 1.0}]"});
  s("labels", c.labels,
    {.doc = "label image that says where the regions lie; default: boxes in a new volume of 2 mm", .identity = false});
  s("repeats", c.repeats, {.doc = "presentations of every stimulus, one volume each", .min = 1});
  s("format", c.format, {.doc = "responses.nii.gz or responses.npy (n × t)", .choices = {"nifti", "npy"}});
  s("memory", c.memory,
    {.doc = "of the first rank, which computes; default: its share of what the job was given",
     .unit = "GiB",
     .min = 0.05,
     .identity = false});
  s("seed", c.seed, {.doc = "of the readout weights and the noise", .min = 0});
  s("output", c.output,
    {.doc = "directory for responses, mask, labels, stimuli and truth", .required = true, .identity = false});
}

/// A region with its place in the brain.
struct Planted {
  Region region;
  std::int64_t label = 0;
  double snr = 0;
  std::vector<std::uint64_t> places;
};

class Simulate final : public Job {
 public:
  void describe(Schema& schema) override { declare(schema, config_); }
  [[nodiscard]] fs::path output() const override { return config_.output; }
  [[nodiscard]] bool output_is_directory() const override { return true; }
  void plan(Context& context, Plan& plan) override;
  bool run(Context& context) override;
  [[nodiscard]] Progress progress() const override {
    bool there = fs::exists(config_.output / "truth.h5");
    return {there ? 1U : 0U, fs::exists(config_.output) ? 1U : 0U, there};
  }

 private:
  void prepare();
  void place_regions();
  void read_ids();
  bool finished_before(Context const& context) const;
  bool compute(Context& context);
  void write() const;
  void write_responses() const;
  void write_truth(Context const& context) const;
  [[nodiscard]] nlohmann::ordered_json settings(Context const& context) const;
  [[nodiscard]] std::size_t rows() const { return store_->rows() * static_cast<std::size_t>(config_.repeats); }

  SimulateConfig config_;
  std::unique_ptr<ActReader> store_;  // rank 0 only, as everything below
  std::vector<std::string> ids_;
  std::vector<Planted> regions_;
  Space space_;
  std::vector<std::uint64_t> index_;    // (t) ascending
  std::vector<std::size_t> region_of_;  // (t)
  std::vector<float> responses_;        // rows × t, column-major
};

void Simulate::prepare() {
  store_ = std::make_unique<ActReader>(config_.features.store.string());
  if (config_.regions.empty()) {
    auto layers = config_.features.layers;
    if (layers.empty() || layers == std::vector<std::string>{"all"}) {
      layers.clear();
      for (auto const& layer : store_->layers()) layers.push_back(layer.name);
    }
    for (auto const& layer : layers) {
      Region region;
      region.name = region.layer = layer;
      config_.regions.push_back(region);
    }
  }
  std::set<std::string> names;
  std::set<std::int64_t> labels;
  regions_.clear();
  for (std::size_t r = 0; r < config_.regions.size(); ++r) {
    Region const& region = config_.regions[r];
    (void)store_->layer(region.layer);  // says which layers there are
    if (region.noise_ceiling && region.snr != Region{}.snr)
      fail(Exit::config, "regions[{}]: both snr and noise_ceiling are given; keep one", r);
    Planted planted{region, region.label.value_or(static_cast<std::int64_t>(r) + 1), region.snr, {}};
    if (region.noise_ceiling)
      planted.snr = simulate::snr_of(*region.noise_ceiling, static_cast<std::size_t>(config_.repeats));
    if (!names.insert(region.name).second) fail(Exit::config, "regions: the name {} stands twice", region.name);
    if (planted.label == 0 || !labels.insert(planted.label).second)
      fail(Exit::config, "regions.{}: label {} is {}", region.name, planted.label,
           planted.label == 0 ? "outside by convention; number the regions from 1" : "taken by another region");
    regions_.push_back(planted);
  }
  read_ids();
  place_regions();
}

void Simulate::read_ids() {
  ids_ = store_->ids();
  if (!ids_.empty()) return;
  if (!config_.features.stimuli)
    fail(Exit::config, "features.stimuli: {} carries no stimulus ids; name the .stim.csv of its rows",
         config_.features.store.filename().string());
  ids_ = read_stim_table(*config_.features.stimuli).ids();
  if (ids_.size() != store_->rows())
    fail(Exit::data, "features.stimuli: {} has {} rows but {} has {}", config_.features.stimuli->filename().string(),
         ids_.size(), config_.features.store.filename().string(), store_->rows());
}

void Simulate::place_regions() {
  if (config_.labels) {
    auto image = open_image(*config_.labels, "labels");
    space_ = image->space();
    space_.extension = ".nii.gz";
    auto values = read_map(*config_.labels, space_, "labels", "label image");
    for (auto& r : regions_) {
      for (std::size_t i = 0; i < values.size(); ++i)
        if (values[i] == static_cast<double>(r.label)) r.places.push_back(i);
      if (r.places.empty())
        fail(Exit::data, "regions.{}: no voxel of {} has label {}", r.region.name, space_.source, r.label);
    }
  } else {
    std::vector<std::size_t> counts;
    for (auto const& r : regions_) counts.push_back(static_cast<std::size_t>(r.region.voxels));
    auto boxes = simulate::boxes_of(counts);
    Affine affine{};
    for (std::size_t i = 0; i < 3; ++i) affine[i][i] = 2, affine[i][3] = -static_cast<double>(boxes.shape[i]) + 1;
    space_ = make_nifti_space(boxes.shape, affine);
    for (std::size_t r = 0; r < regions_.size(); ++r) regions_[r].places = boxes.places[r];
  }
  std::map<std::uint64_t, std::size_t> region_of;
  for (std::size_t r = 0; r < regions_.size(); ++r)
    for (std::uint64_t place : regions_[r].places) region_of[place] = r;
  index_.clear(), region_of_.clear();
  for (auto const& [place, r] : region_of) index_.push_back(place), region_of_.push_back(r);
}

void Simulate::plan(Context& context, Plan& plan) {
  std::vector<double> numbers(4);
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    prepare();
    double n = static_cast<double>(store_->rows()), t = static_cast<double>(index_.size());
    for (auto const& r : regions_) {
      double units = static_cast<double>(store_->layer(r.region.layer).units);
      numbers[0] += 2 * n * units * static_cast<double>(r.places.size());
      numbers[1] += 4 * n * units;
      plan.lines.emplace_back("region " + r.region.name, fmt::format("{} targets, layer {} ({} units), snr {:.3g}",
                                                                     r.places.size(), r.region.layer, units, r.snr));
    }
    numbers[2] = 4 * static_cast<double>(rows()) * t;
    numbers[3] = numbers[2] + 8 * n * t + (64 << 20);
    plan.lines.emplace_back("responses", fmt::format("{} volumes × {} targets", rows(), index_.size()));
    double const budget = context.memory_budget;
    if (numbers[3] > budget)
      fail(Exit::limit,
           "{} volumes × {} targets take {}, but the first rank may use {}; simulate fewer voxels or give more memory",
           rows(), index_.size(), bytes_text(numbers[3]), bytes_text(budget));
  });
  context.comm.broadcast(numbers, 0);
  plan.flops = numbers[0], plan.bytes_read = numbers[1], plan.bytes_written = numbers[2],
  plan.memory_per_rank = numbers[3];
  plan.units = 1;
}

/// What decides about the numbers; inputs by their content.
nlohmann::ordered_json Simulate::settings(Context const& context) const {
  auto out = context.identity;
  out["inputs"] = {{"features", fingerprint(*store_)}, {"stimuli", sha256(fmt::format("{}", fmt::join(ids_, "\n")))}};
  if (config_.labels) out["inputs"]["labels"] = fingerprint(*config_.labels);
  return out;
}

bool Simulate::finished_before(Context const& context) const {
  auto truth = config_.output / "truth.h5";
  if (!fs::exists(truth) || context.fresh) return false;
  auto file = h5::File::open(truth);
  if (!file.has_attribute("/", "config"))
    fail(Exit::cant_create, "{} was not written by striate simulate; choose another output", truth.string());
  auto stored = nlohmann::ordered_json::parse(file.attribute("/", "config"), nullptr, false);
  std::string key = first_difference(stored, settings(context));
  if (!key.empty())
    fail(Exit::cant_create, "{} holds the result of another config ({} differs); choose another output or use --fresh",
         config_.output.string(), key);
  return true;
}

bool Simulate::run(Context& context) {
  enum { finished_already, stopped, computed };
  std::int64_t outcome = computed;
  together(context.comm, [&] {
    if (!context.comm.root()) return;
    if (finished_before(context)) {
      log::info("nothing to do: {} is complete", config_.output.string());
      outcome = finished_already;
      return;
    }
    std::error_code code;
    fs::create_directories(config_.output, code);
    fs::remove(config_.output / "truth.h5", code);  // what marks it complete
    if (!compute(context))
      outcome = stopped;
    else
      write();
    context.inputs = {config_.features.store};
    if (config_.labels) context.inputs.push_back(*config_.labels);
  });
  context.comm.broadcast(outcome, 0);
  if (outcome != computed) return outcome == finished_already;
  context.write_provenance();
  together(context.comm, [&] {
    if (context.comm.root()) write_truth(context);  // last: it marks the output complete
  });
  return true;
}

bool Simulate::compute(Context& context) {
  std::size_t n = store_->rows(), repeats = static_cast<std::size_t>(config_.repeats);
  responses_.resize(rows() * index_.size());
  for (std::size_t r = 0; r < regions_.size(); ++r) {
    Planted const& planted = regions_[r];
    auto signal = simulate::planted_signals(*store_, planted.region.layer, planted.places,
                                            static_cast<std::uint64_t>(config_.seed), context.team,
                                            [&](std::size_t) { return !context.stop.requested(); });
    if (signal.empty()) return false;
    context.team.local(planted.places.size(), [&](std::size_t j) {
      auto column = std::lower_bound(index_.begin(), index_.end(), planted.places[j]) - index_.begin();
      simulate::add_noise(signal.data() + j * n, n, repeats, planted.snr, static_cast<std::uint64_t>(config_.seed),
                          planted.places[j], responses_.data() + static_cast<std::size_t>(column) * rows());
    });
    log::info("planted {} in {} targets of region {}", planted.region.layer, planted.places.size(),
              planted.region.name);
  }
  return true;
}

void Simulate::write_responses() const {
  fs::path const& out = config_.output;
  std::size_t t = index_.size();
  std::vector<float> labels(t);
  for (std::size_t j = 0; j < t; ++j) labels[j] = static_cast<float>(regions_[region_of_[j]].label);
  if (config_.format == "npy") {
    std::vector<float> c_order(responses_.size());
    for (std::size_t v = 0; v < rows(); ++v)
      for (std::size_t j = 0; j < t; ++j) c_order[v * t + j] = responses_[j * rows() + v];
    write_npy(out / "responses.npy", c_order, {rows(), t});
    std::vector<std::int32_t> numbers(labels.begin(), labels.end());
    write_npy(out / "labels.npy", numbers, {t});
    return;
  }
  NiftiWriter writer(out / "responses.nii.gz", space_, rows());
  std::vector<float> volume(space_.size());
  for (std::size_t v = 0; v < rows(); ++v) {
    for (std::size_t j = 0; j < t; ++j) volume[index_[j]] = responses_[j * rows() + v];
    writer.add(volume);
  }
  writer.finish();
  write_map(space_, index_, std::vector<float>(t, 1.0F), out / "mask");
  write_map(space_, index_, labels, out / "labels");
}

void Simulate::write() const {
  write_responses();
  std::string stimuli = "type=image\npath=.\ntitle=simulated responses, one row per volume\ndata=stimID,presentation\n";
  for (std::int64_t r = 0; r < config_.repeats; ++r)
    for (auto const& id : ids_) stimuli += fmt::format("{},{}\n", id, r + 1);
  write_atomically(config_.output / "responses.stim.csv", stimuli);
  std::string names = "index\tname\n",
              truth = "region\tlabel\tlayer\ttargets\tsnr\tnoise_ceiling\tnoise_ceiling_single\n";
  for (auto const& r : regions_) {
    names += fmt::format("{}\t{}\n", r.label, r.region.name);
    truth += fmt::format("{}\t{}\t{}\t{}\t{:.6g}\t{:.6g}\t{:.6g}\n", r.region.name, r.label, r.region.layer,
                         r.places.size(), r.snr, simulate::ceiling_of(r.snr, static_cast<std::size_t>(config_.repeats)),
                         simulate::ceiling_of(r.snr, 1));
  }
  write_atomically(config_.output / "labels.tsv", names);
  write_atomically(config_.output / "truth.tsv", truth);
}

void Simulate::write_truth(Context const& context) const {
  std::size_t t = index_.size();
  std::vector<std::string> names, layers;
  std::vector<double> snr, ceiling, single;
  std::vector<std::int64_t> labels;
  for (std::size_t j = 0; j < t; ++j) {
    Planted const& r = regions_[region_of_[j]];
    names.push_back(r.region.name), layers.push_back(r.region.layer);
    snr.push_back(r.snr), labels.push_back(r.label);
    ceiling.push_back(simulate::ceiling_of(r.snr, static_cast<std::size_t>(config_.repeats)));
    single.push_back(simulate::ceiling_of(r.snr, 1));
  }
  auto temp = config_.output / ".tmp-truth.h5";
  auto file = h5::File::create(Comm(), temp);
  std::vector<std::uint64_t> columns(t);
  for (std::size_t j = 0; j < t; ++j) columns[j] = j;
  auto const& index = config_.format == "npy" ? columns : index_;
  file.create_dataset("/targets/index", h5::Dtype::u64, {t}).write(std::span<std::uint64_t const>(index));
  file.write_strings("/region", names);
  file.write_strings("/layer", layers);
  file.create_dataset("/label", h5::Dtype::i64, {t}).write(std::span<std::int64_t const>(labels));
  file.create_dataset("/snr", h5::Dtype::f64, {t}).write(std::span<double const>(snr));
  file.create_dataset("/noise_ceiling", h5::Dtype::f64, {t}).write(std::span<double const>(ceiling));
  file.create_dataset("/noise_ceiling_single", h5::Dtype::f64, {t}).write(std::span<double const>(single));
  file.set_attribute("/", "config", settings(context).dump());
  file.close();
  std::error_code code;
  fs::rename(temp, config_.output / "truth.h5", code);
  if (code)
    fail(Exit::cant_create, "{} cannot be written ({})", (config_.output / "truth.h5").string(), code.message());
  sync_folder(config_.output);
}

}  // namespace

std::unique_ptr<Job> make_simulate() { return std::make_unique<Simulate>(); }

}  // namespace striate
