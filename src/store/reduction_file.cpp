#include "striate/store/reduction_file.hpp"

#include <algorithm>

#include "striate/base/config.hpp"
#include "striate/base/fsio.hpp"
#include "striate/base/version.hpp"
#include "striate/math/layer_summaries.hpp"
#include "striate/store/h5.hpp"
#include "working_file.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;
constexpr char const* format_name = "striate_reduction";

void write_fits(h5::File& file, SavedReduction const& r) {
  std::size_t const iterations = r.fits.size(), units = r.fits.at(0).units(), count = r.fits[0].count();
  auto const group = "/" + r.layer, at = group + "/";
  auto mean = file.create_dataset(at + "mean", h5::Dtype::f64, {iterations, units});
  auto components = file.create_dataset(at + "components", h5::Dtype::f32, {iterations, count, units});
  std::vector<double> variance, ratio, singular, total;
  std::vector<std::uint64_t> rank;
  for (std::size_t i = 0; i < iterations; ++i) {
    Pca const& p = r.fits[i];
    mean.write({i, 0}, {1, units}, h5::type_id(h5::Dtype::f64), p.mean.data());
    if (count > 0) components.write({i, 0, 0}, {1, count, units}, h5::type_id(h5::Dtype::f32), p.components.data());
    for (std::size_t k = 0; k < count; ++k) {
      variance.push_back(p.variance[k]), ratio.push_back(p.ratio(k)), singular.push_back(p.singular_value(k));
    }
    total.push_back(p.total_variance), rank.push_back(p.rank);
  }
  auto const table = [&](char const* name, std::vector<double> const& values) {
    auto d = file.create_dataset(at + name, h5::Dtype::f64, {iterations, count});
    d.write(std::span<double const>(values));
  };
  table("explained_variance", variance);
  table("explained_variance_ratio", ratio);
  table("singular_values", singular);
  file.create_dataset(at + "total_variance", h5::Dtype::f64, {iterations}).write(std::span<double const>(total));
  file.create_dataset(at + "rank", h5::Dtype::u64, {iterations}).write(std::span<std::uint64_t const>(rank));
  file.set_attribute(group, "n_samples", static_cast<std::int64_t>(r.fits[0].samples));
  file.set_attribute(group, "whiten", std::int64_t{r.whiten});
}

void write_summary(h5::File& file, SavedReduction const& r) {
  auto const group = "/" + r.layer;
  file.set_attribute(group, "count", static_cast<std::int64_t>(r.count));
  auto const values = [&](char const* name, std::vector<double> const& v, h5::Shape const& shape) {
    if (!v.empty()) file.create_dataset(group + "/" + name, h5::Dtype::f64, shape).write(std::span<double const>(v));
  };
  values("ranges", r.ranges, {r.ranges.size() / 2, 2});
  values("mean", r.mean, {r.mean.size()});
  values("scale", r.scale, {r.scale.size()});
}

void read_summary(h5::File const& file, std::string const& group, SavedReduction& r) {
  r.count = std::stoul(file.attribute(group, "count"));
  auto const values = [&](char const* name, std::vector<double>& v) {
    std::string const full = group + "/" + name;
    if (file.is_dataset(full)) v = file.dataset(full).read<double>();
  };
  values("ranges", r.ranges);
  values("mean", r.mean);
  values("scale", r.scale);
}

void write_layer(h5::File& file, SavedReduction const& r) {
  auto const group = "/" + r.layer, at = group + "/";
  std::vector<std::uint64_t> const shape(r.input.shape.begin(), r.input.shape.end());
  file.create_dataset(at + "input_shape", h5::Dtype::u64, {shape.size()}).write(std::span<std::uint64_t const>(shape));
  file.set_attribute(group, "input_axes", r.input.axes);
  file.set_attribute(group, "method", r.method);
  file.set_attribute(group, "axis", std::string(name_of(r.axis)));
  if (r.is_pca()) return write_fits(file, r);
  if (!r.is_projection()) return write_summary(file, r);
  ProjectionEntries const entries(r.projection, r.input.units());
  file.set_attribute(group, "components", static_cast<std::int64_t>(r.projection.components));
  file.set_attribute(group, "density", entries.density());
  file.set_attribute(group, "seed", std::to_string(r.projection.seed));
  file.set_attribute(group, "matrix_of", r.projection.layer);
}

h5::File open_file(fs::path const& path) {
  auto file = h5::File::open(path);
  if (!file.has_attribute("/", format_name))
    fail(Exit::data, "{} is no saved reduction (a .pca.h5 or .proj.h5 that striate reduce writes)", path.string());
  return file;
}

void read_fits(h5::File const& file, std::string const& group, SavedReduction& r) {
  auto const at = group + "/";
  auto const mean = file.dataset(at + "mean"), components = file.dataset(at + "components");
  auto const shape = components.shape();
  if (shape.size() != 3 || mean.shape() != h5::Shape{shape[0], shape[2]})
    fail(Exit::data, "{}: {}components is {}; the file is damaged", file.path().string(), at, h5::text_of(shape));
  std::size_t const count = shape[1], units = shape[2];
  auto const variance = file.dataset(at + "explained_variance").read<double>(),
             total = file.dataset(at + "total_variance").read<double>();
  auto const rank = file.dataset(at + "rank").read<std::uint64_t>();
  if (variance.size() != shape[0] * count || total.size() != shape[0] || rank.size() != shape[0])
    fail(Exit::data, "{}: datasets of {} do not fit together; the file is damaged", file.path().string(), at);
  std::size_t const samples = std::stoul(file.attribute(group, "n_samples"));
  for (std::size_t i = 0; i < shape[0]; ++i) {
    Pca p;
    p.samples = samples;
    p.mean.resize(units), p.components.resize(count * units);
    mean.read({i, 0}, {1, units}, h5::type_id(h5::Dtype::f64), p.mean.data());
    if (count > 0) components.read({i, 0, 0}, {1, count, units}, h5::type_id(h5::Dtype::f32), p.components.data());
    auto const first = variance.begin() + static_cast<std::ptrdiff_t>(i * count);
    p.variance.assign(first, first + static_cast<std::ptrdiff_t>(count));
    p.total_variance = total[i], p.rank = rank[i];
    r.fits.push_back(std::move(p));
  }
  r.whiten = file.attribute(group, "whiten") != "0";
}

std::string text_of(LayerShape const& shape) {
  return h5::text_of(shape.shape) + (shape.axes.empty() ? "" : " (" + shape.axes + ")");
}

}  // namespace

void write_reductions(fs::path const& path, std::vector<SavedReduction> const& layers, ReductionFile const& about) {
  fs::path const part = path.parent_path() / ("." + path.filename().string() + ".part");
  {
    auto file = h5::File::create({}, part);
    file.set_attribute("/", format_name, std::string("1"));
    file.set_attribute("/", "striate_version", std::string(version()));
    for (auto const& [name, text] : about.attributes) file.set_attribute("/", name, text);
    std::vector<std::string> order;
    for (auto const& r : layers) order.push_back(r.layer), write_layer(file, r);
    file.set_attribute("/", "layer_order", order);
    file.write_text(identity_name, about.identity.dump());
    file.close();
  }
  std::error_code failed;
  fs::rename(part, path, failed);
  if (failed) fail(Exit::cant_create, "{} cannot be written ({})", path.string(), failed.message());
  sync_folder(path.parent_path());
}

ReductionFile read_reduction_file(fs::path const& path) {
  auto const file = open_file(path);
  ReductionFile about;
  for (auto const& name : file.attribute_names("/"))
    if (name != format_name && name != "layer_order") about.attributes[name] = file.attribute("/", name);
  about.identity = nlohmann::ordered_json::parse(file.read_text(identity_name));
  return about;
}

std::vector<std::string> reduction_layers(fs::path const& path) {
  return open_file(path).attribute_strings("/", "layer_order");
}

SavedReduction read_reduction(fs::path const& path, std::string const& layer) {
  auto const file = open_file(path);
  auto const known = file.attribute_strings("/", "layer_order");
  if (std::ranges::find(known, layer) == known.end()) {
    std::string list;
    for (auto const& name : known) list += (list.empty() ? "" : ", ") + name;
    std::string const near = nearest(layer, known);
    fail(Exit::data, "{} has no layer `{}`{} (it has: {})", path.filename().string(), layer,
         near.empty() ? "" : "; did you mean `" + near + "`?", list);
  }
  auto const group = "/" + layer;
  SavedReduction r;
  r.layer = layer;
  for (auto const extent : file.dataset(group + "/input_shape").read<std::uint64_t>()) r.input.shape.push_back(extent);
  r.input.axes = file.attribute(group, "input_axes");
  r.method = file.attribute(group, "method");
  r.axis = layer_axis(file.attribute(group, "axis"));
  if (r.is_pca()) read_fits(file, group, r);
  if (!r.is_pca() && !r.is_projection()) read_summary(file, group, r);
  if (!r.is_projection()) return r;
  r.projection.kind = r.method == "sparse" ? ProjectionKind::sparse : ProjectionKind::gaussian;
  r.projection.components = std::stoul(file.attribute(group, "components"));
  r.projection.density = r.method == "sparse" ? std::stod(file.attribute(group, "density")) : 0;
  r.projection.seed = std::stoull(file.attribute(group, "seed"));
  r.projection.layer = file.attribute(group, "matrix_of");
  return r;
}

std::unique_ptr<LayerStage> reduction_stage(SavedReduction const& r) {
  if (r.is_projection()) return projection_stage(r.input, r.projection);
  if (r.method == "none")  // times 1: the same bits
    return scale_stage(r.input, std::vector<double>(r.input.units(), 0.0), std::vector<double>(r.input.units(), 1.0));
  if (r.method == "hist") return histogram_stage(r.input, r.axis, r.count, r.ranges);
  if (r.method == "psd") return periodogram_stage(r.input, r.axis, r.count);
  if (r.method == "zscore" && r.mean.empty()) return zscore_stage(r.input, r.axis);
  if (r.method == "zscore") return scale_stage(r.input, r.mean, r.scale);
  return pca_stage(r.input, r.axis, r.fits, r.whiten);
}

std::unique_ptr<LayerStage> saved_stage(fs::path const& path, std::string const& layer, LayerShape const& in) {
  auto reduction = read_reduction(path, layer);
  if (reduction.input.shape != in.shape)
    fail(Exit::data, "{}: layer {} was fitted on {}, but here it is {}; fit it on such activations",
         path.filename().string(), layer, text_of(reduction.input), text_of(in));
  reduction.input.axes = in.axes.empty() ? reduction.input.axes : in.axes;
  return reduction_stage(reduction);
}

}  // namespace striate
