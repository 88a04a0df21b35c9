#include "reduce_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "reduce_source.hpp"
#include "striate/base/log.hpp"
#include "striate/math/gram.hpp"
#include "striate/par/together.hpp"

namespace striate::reduce {
namespace {

namespace fs = std::filesystem;

/// One iteration's fit as it lies in shared memory: doubles {rank, total, variance (count), mean (units)}, then floats
/// (count × units).
struct FitSlot {
  std::size_t count, units;
  [[nodiscard]] std::size_t bytes() const { return (2 + count + units) * 8 + (count * units + 1) / 2 * 8; }
  void put(Pca const& p, std::byte* to) const {
    auto* const d = reinterpret_cast<double*>(to);
    d[0] = static_cast<double>(p.rank), d[1] = p.total_variance;
    std::ranges::copy(p.variance, d + 2);
    std::ranges::copy(p.mean, d + 2 + count);
    std::memcpy(d + 2 + count + units, p.components.data(), p.components.size() * 4);
  }
  [[nodiscard]] Pca get(std::byte const* from, std::size_t samples) const {
    auto const* const d = reinterpret_cast<double const*>(from);
    Pca p;
    p.samples = samples, p.rank = static_cast<std::size_t>(d[0]), p.total_variance = d[1];
    p.variance.assign(d + 2, d + 2 + count);
    p.mean.assign(d + 2 + count, d + 2 + count + units);
    p.components.resize(count * units);
    std::memcpy(p.components.data(), d + 2 + count + units, p.components.size() * 4);
    return p;
  }
};

/// Calls f(iteration, its rows × length) for every iteration of the axis, on the team; `slots` bytes each of `memory`.
template <class F>
void each_iteration(StorePanels& panels, AxisCut const& cut, Team& team, double bytes, std::size_t slot,
                    std::byte* memory, F const& f) {
  std::size_t const n = panels.rows();
  auto const some = static_cast<std::size_t>(bytes / (4.0 * static_cast<double>(n * cut.length)));
  std::size_t const group = std::clamp<std::size_t>(some, 1, cut.iterations);
  for (std::size_t i = 0; i < cut.iterations; i += group) {
    std::size_t const count = std::min(group, cut.iterations - i);
    // Iterations whose units lie side by side are columns one after the other; of the others neighbours are, at each
    // unit.
    bool const beside = cut.step == 1;
    std::vector<std::size_t> firsts;
    for (std::size_t k = 0; k < (beside ? count : cut.length); ++k)
      firsts.push_back(beside ? cut.first(i + k) : cut.first(i) + k * cut.step);
    float const* const x = panels.columns(firsts, beside ? cut.length : count);
    std::vector<Slot> slots;
    for (std::size_t k = 0; k < count; ++k) slots.push_back({(i + k) * slot, slot});
    team.run(memory, slots, [&](std::size_t k) {
      MatrixView<float const> const view = beside ? MatrixView<float const>(x + k * cut.length * n, n, cut.length)
                                                  : MatrixView<float const>(x + k * n, n, cut.length, count * n);
      f(i + k, view);
    });
    panels.progress(static_cast<double>(i + count) / static_cast<double>(cut.iterations));
  }
}

}  // namespace

Components components_of(Config const& config, Inputs const& inputs) {
  if (!config.components) return {};
  Amount const& a = *config.components;
  if (a.count == 0 && a.share == 0)
    return {.count = johnson_lindenstrauss_min_dim(inputs.ids.size(), config.distortion)};
  return {.count = static_cast<std::size_t>(a.count), .share = a.share};
}

std::size_t batch_of(Config const& config) {
  return static_cast<std::size_t>(config.batch.value_or(std::max<std::int64_t>(1000, 5 * config.components->count)));
}

FitCost cost_of(Config const& config, Inputs const& inputs, InputLayer const& layer) {
  FitCost c;
  if (!config.is_fitted()) return c;
  double const of_units = static_cast<double>(layer.shape.units()), some = gram_panel;
  double const stimuli = static_cast<double>(inputs.rows_of(layer).size());
  c.panel = 4 * stimuli * std::min(some, of_units);
  if (!config.is_pca()) {
    if (config.method == "hist") c.panel = std::max(c.panel, 4 * of_units * std::min(some, stimuli));
    double const values = static_cast<double>(inputs.rows_of(layer).size()) * static_cast<double>(layer.shape.units());
    c.passes = config.method == "hist" ? 2 : 1, c.flops = 4 * values;
    c.rank = c.node = 64 * static_cast<double>(layer.shape.units());
    return c;
  }
  AxisCut const cut(layer.shape, layer_axis(config.axis));
  std::size_t const n = inputs.rows_of(layer).size(), p = cut.length;
  auto const components = components_of(config, inputs);
  double const rows = static_cast<double>(n), units = static_cast<double>(p), least = std::min(rows, units);
  double const k = components.count > 0 ? static_cast<double>(components.count) : least;
  double const fits = static_cast<double>(cut.iterations);
  c.rank = 4 * fits * units * (k + 2);
  c.passes = 2;
  c.flops = fits * (rows * units * least + 2 * least * least * least + 2 * rows * units * k);
  if (config.method == "pca") {
    double const one = exact_pca_bytes(n, p, components);
    if (cut.axis() == LayerAxis::whole) {
      c.node = one;
      if (p <= n) c.panel = 4 * units * std::min(some, rows);
    } else {  // every thread has a fit of its own: it, its panel, and what LAPACK takes
      c.fits = fits, c.thread = one + 4 * rows * units + 16 * least * least;
      c.node = fits * (8 * (2 + units + k) + 4 * k * units);
      c.panel = 4 * rows * units;
    }
  } else if (config.method == "incremental_pca") {
    std::size_t const batch = std::min(n, batch_of(config));
    c.node = incremental_pca_bytes(batch, p, components.count);
    double const height = static_cast<double>(batch) + k;
    c.flops = rows / static_cast<double>(batch) * height * units * (height + 2 * k);
    c.passes = 1, c.panel = 0;  // a batch, counted above
  } else {
    std::size_t const l = components.count + static_cast<std::size_t>(config.oversample);
    c.node = randomized_pca_bytes(n, p, l);
    c.passes = 2 + static_cast<double>(config.iterations);
    c.flops = (4 * c.passes - 2) * rows * units * static_cast<double>(l);
  }
  return c;
}

Fit::Fit(Context& context, Config const& config, Inputs const& inputs, fs::path model, nlohmann::ordered_json identity,
         double bytes)
    : context_(context),
      config_(config),
      inputs_(inputs),
      model_(std::move(model)),
      identity_(std::move(identity)),
      bytes_(bytes) {}

fs::path Fit::part(std::size_t layer) const {
  return model_.parent_path() / fmt::format(".{}.layer-{}", model_.filename().string(), layer);
}

/// First rank: layers that are in the model's file now, or were of another attempt.
void Fit::remove_parts() const {
  std::string const start = fmt::format(".{}.layer-", model_.filename().string());
  std::vector<fs::path> parts;
  fs::path const folder = model_.parent_path();
  for (auto const& entry : fs::directory_iterator(folder.empty() ? fs::path(".") : folder)) {
    std::string const name = entry.path().filename().string();
    if (name.starts_with(start) && name.size() > start.size() &&
        name.find_first_not_of("0123456789", start.size()) == std::string::npos)
      parts.push_back(entry.path());
  }
  for (auto const& p : parts) fs::remove(p);
}

/// First rank: such a file of this fit is there; Error where it is another's.
bool Fit::there(fs::path const& file) const {
  if (context_.fresh || !fs::exists(file)) return false;
  auto const about = read_reduction_file(file);
  std::string const key = first_difference(about.identity, identity_);
  if (key.empty()) return true;
  if (file != model_) return false;  // of an earlier attempt with other settings
  fail(Exit::cant_create,
       "model: {} was fitted with another config ({} differs); use --fresh to replace it, or name "
       "another model:",
       file.string(), key);
}

void Fit::write(fs::path const& file, std::vector<SavedReduction> const& layers) const {
  auto attributes = inputs_.origin;
  attributes["method"] = config_.method;
  attributes["fit_store"] = config_.features.store.filename().string();
  attributes["fit_stimuli_sha256"] = inputs_.ids_sha256;
  auto config = context_.resolved;
  for (auto const* key : {"output", "memory", "model"}) config.erase(key);
  attributes["config"] = config.dump();
  write_reductions(file, layers, {attributes, identity_});
}

SavedReduction Fit::fit(InputLayer const& layer) const {
  SavedReduction r{.layer = layer.name,
                   .input = layer.shape,
                   .method = config_.method,
                   .axis = layer_axis(config_.axis),
                   .whiten = config_.whiten};
  auto const components = components_of(config_, inputs_);
  if (config_.is_projection() && layer.shape.units() <= components.count) {
    r.method = "none";  // as in extract: nothing would be saved
    return r;
  }
  if (config_.is_projection()) {
    r.projection = {.kind = config_.method == "sparse" ? ProjectionKind::sparse : ProjectionKind::gaussian,
                    .components = components.count,
                    .density = config_.method == "sparse" ? config_.density.value_or(0) : 0,
                    .seed = static_cast<std::uint64_t>(config_.seed),
                    .layer = layer.name};
    return r;
  }
  r.count = components.count;
  if (!config_.is_fitted()) return r;
  std::unique_ptr<ActReader> store;
  together(context_.comm, [&] { store = std::make_unique<ActReader>(config_.features.store.string()); });
  if (!config_.is_pca()) {
    fit_summary(*store, layer, r);
    return r;
  }
  if (r.axis != LayerAxis::whole) {
    fit_axis(*store, layer, r);
    return r;
  }
  StorePanels panels(context_.comm, context_.team, context_.stop, *store, layer.name, inputs_.rows_of(layer), bytes_);
  if (config_.method == "pca")
    r.fits.push_back(exact_pca(panels, components, context_.team));
  else if (config_.method == "incremental_pca")
    r.fits.push_back(incremental_pca(panels, components.count, batch_of(config_), context_.team));
  else
    r.fits.push_back(randomized_pca(panels, components.count,
                                    {.oversample = static_cast<std::size_t>(config_.oversample),
                                     .iterations = static_cast<std::size_t>(config_.iterations),
                                     .seed = static_cast<std::uint64_t>(config_.seed),
                                     .layer = layer.name},
                                    context_.team));
  return r;
}

/// Common ranges of histograms; means and deviations of units or channels.
void Fit::fit_summary(ActReader const& store, InputLayer const& layer, SavedReduction& out) const {
  StorePanels panels(context_.comm, context_.team, context_.stop, store, layer.name, inputs_.rows_of(layer), bytes_);
  std::size_t const n = panels.rows(), p = panels.units();
  if (n == 0) fail(Exit::data, "none of the stimuli to fit on has values");
  std::vector<double> low(p), high(p), mean(p), squares(p);
  for (std::size_t first = 0; first < p; first += panels.width()) {
    std::size_t const count = std::min(panels.width(), p - first);
    CentredPanel const panel = panels.panel(first, count);
    for (std::size_t c = 0; c < count; ++c)
      if (!std::isfinite(panel.squares[c]))
        fail(Exit::data, "unit {} has a value that is not finite (NaN or infinity); leave such stimuli out", first + c);
    std::copy_n(panel.mean, count, mean.begin() + static_cast<std::ptrdiff_t>(first));
    std::copy_n(panel.squares, count, squares.begin() + static_cast<std::ptrdiff_t>(first));
    panels.progress(static_cast<double>(first + count) / static_cast<double>(p));
  }
  for (std::size_t first = 0; config_.method == "hist" && first < n; first += panels.height()) {
    std::size_t const rows = std::min(panels.height(), n - first);
    float const* const x = panels.block(first, rows);
    context_.team.local(p, [&](std::size_t c) {
      auto const [least, greatest] = std::minmax_element(x + c * rows, x + (c + 1) * rows);
      low[c] = first == 0 ? *least : std::min<double>(low[c], *least);
      high[c] = first == 0 ? *greatest : std::max<double>(high[c], *greatest);
    });
    panels.progress(static_cast<double>(first + rows) / static_cast<double>(n));
  }
  if (config_.method == "hist") {
    AxisCut const cut(layer.shape, out.axis);
    for (std::size_t i = 0; i < cut.iterations; ++i) {
      double least = low[cut.first(i)], greatest = high[cut.first(i)];
      for (std::size_t u = 0; u < cut.length; ++u) {
        least = std::min(least, low[cut.first(i) + u * cut.step]);
        greatest = std::max(greatest, high[cut.first(i) + u * cut.step]);
      }
      out.ranges.insert(out.ranges.end(), {least, greatest});
    }
    return;
  }
  // Each group of units shares a mean and a deviation: itself alone, or its channel.
  AxisCut const cut(layer.shape, config_.each == "channel" ? LayerAxis::position : LayerAxis::whole);
  std::size_t const groups = config_.each == "channel" ? cut.iterations : p, width = p / groups;
  out.mean = mean, out.scale.assign(p, 0.0);
  for (std::size_t g = 0; g < groups; ++g) {
    auto const unit = [&](std::size_t u) { return config_.each == "channel" ? cut.first(g) + u * cut.step : g; };
    double centre = 0, sum = 0;
    for (std::size_t u = 0; u < width; ++u) centre += mean[unit(u)] / static_cast<double>(width);
    for (std::size_t u = 0; u < width; ++u)
      sum += squares[unit(u)] + static_cast<double>(n) * std::pow(mean[unit(u)] - centre, 2);
    double const sd = std::sqrt(sum / static_cast<double>(n * width));
    for (std::size_t u = 0; u < width; ++u) {
      out.mean[unit(u)] = centre;
      out.scale[unit(u)] = sd <= 1e-7 * std::abs(centre) ? 0 : 1 / sd;
    }
  }
}

/// All iterations keep as many components: where a share of the variance is asked for, as many as the neediest takes.
void Fit::fit_axis(ActReader const& store, InputLayer const& layer, SavedReduction& out) const {
  AxisCut const cut(layer.shape, out.axis);
  StorePanels panels(context_.comm, context_.team, context_.stop, store, layer.name, inputs_.rows_of(layer), bytes_);
  Team& team = context_.team;
  auto const one = [](MatrixView<float const> x, Components const& c) {
    return exact_pca(*memory_source(x), c, *serial_team());
  };
  Components components = components_of(config_, inputs_);
  if (components.share > 0) {
    auto const counts = team.shared(cut.iterations * 8);
    each_iteration(panels, cut, team, bytes_, 8, counts.get(), [&](std::size_t i, MatrixView<float const> x) {
      reinterpret_cast<std::uint64_t*>(counts.get())[i] = one(x, components).count();
    });
    auto const* const all = reinterpret_cast<std::uint64_t const*>(counts.get());
    components = {.count = *std::max_element(all, all + cut.iterations)};
  }
  FitSlot const slot{components.count, cut.length};
  auto const memory = team.shared(cut.iterations * slot.bytes());
  each_iteration(panels, cut, team, bytes_, slot.bytes(), memory.get(), [&](std::size_t i, MatrixView<float const> x) {
    slot.put(one(x, components), memory.get() + i * slot.bytes());
  });
  for (std::size_t i = 0; i < cut.iterations; ++i)
    out.fits.push_back(slot.get(memory.get() + i * slot.bytes(), panels.rows()));
}

bool Fit::make() {
  Comm const& comm = context_.comm;
  std::vector<std::int64_t> have(inputs_.layers.size() + 1, 0);  // the last: the whole file
  together(comm, [&] {
    if (!comm.root()) return;
    have.back() = there(model_) ? 1 : 0;
    if (have.back() > 0) remove_parts();  // of a job that was killed when all was written
    for (std::size_t l = 0; l < inputs_.layers.size() && have.back() == 0; ++l) have[l] = there(part(l)) ? 1 : 0;
  });
  comm.broadcast(have, 0);
  if (have.back() > 0) {
    log::info("the reduction was fitted before: {}", model_.string());
    return true;
  }
  try {
    for (std::size_t l = 0; l < inputs_.layers.size(); ++l) {
      if (have[l] > 0) continue;
      auto const& layer = inputs_.layers[l];
      if (config_.is_fitted())
        log::info("fitting {}: {} on {} stimuli", layer.name, config_.method, inputs_.rows_of(layer).size());
      SavedReduction const r = [&] {
        try {
          return fit(layer);
        } catch (Error const& error) {
          throw Error(error.code(), "layer " + layer.name + ": " + error.what());
        }
      }();
      together(comm, [&] {
        if (comm.root()) write(part(l), {r});
      });
      std::size_t least = r.fits.empty() ? 0 : r.fits[0].rank;
      for (Pca const& p : r.fits) least = std::min(least, p.rank);
      if (!r.fits.empty() && least < r.fits[0].count() && comm.root())
        log::warn("layer {}: only {} of {} components have a variance above what rounding makes{}; those beyond are 0",
                  layer.name, least, r.fits[0].count(), r.fits.size() > 1 ? ", in one of its parts" : "");
    }
  } catch (Stopped const&) {
    return false;
  }
  together(comm, [&] {
    if (!comm.root()) return;
    std::vector<SavedReduction> all;
    for (std::size_t l = 0; l < inputs_.layers.size(); ++l)
      all.push_back(read_reduction(part(l), inputs_.layers[l].name));
    write(model_, all);
    remove_parts();
  });
  return true;
}

}  // namespace striate::reduce
