#include "encode_prior.hpp"

#include <algorithm>
#include <cmath>

#include "encode_joint.hpp"
#include "fingerprint.hpp"
#include "striate/base/error.hpp"
#include "striate/brain/array.hpp"
#include "striate/brain/npy.hpp"
#include "striate/par/together.hpp"
#include "striate/store/h5.hpp"

namespace striate::encode {
namespace {

constexpr double symmetric_to = 1e-5;  ///< of the root of the two variances
constexpr std::size_t early_order =
    2048;  ///< up to it positive semi-definiteness is checked before anything is computed

struct Values {
  std::vector<std::size_t> shape;
  std::vector<double> values;  ///< C order; of a symmetric matrix any order
};

Values read_values(std::filesystem::path const& path) {
  Values v;
  if (auto const h5 = split_h5_name(path)) {
    auto const d = h5::File::open(h5->first).dataset(h5->second);
    if (!d.numeric()) fail(Exit::data, "holds {}; numbers are needed", d.type_name());
    v.shape.assign(d.shape().begin(), d.shape().end());
    v.values = d.read<double>();
    return v;
  }
  if (path.extension() != ".npy") fail(Exit::config, "is no .npy file and no \"file.h5:/dataset\"; give one of these");
  NpyFile const file(path);
  v.shape.assign(file.shape().begin(), file.shape().end());
  v.values.resize(file.size());
  file.read(0, v.values);
  return v;
}

void check_values(Values const& v, std::size_t p) {
  auto const bad = std::ranges::find_if(v.values, [](double x) { return !std::isfinite(x); });
  if (bad != v.values.end())
    fail(Exit::data, "value {} is not finite (NaN or infinity); mend it", bad - v.values.begin());
  bool const matrix = v.shape.size() == 2;
  auto const variance = [&](std::size_t i) { return v.values[matrix ? i * (p + 1) : i]; };
  double greatest = 0;
  for (std::size_t i = 0; i < p; ++i) {
    if (variance(i) < 0) fail(Exit::data, "the variance of feature {} is {:g}; it must be 0 or more", i, variance(i));
    greatest = std::max(greatest, variance(i));
  }
  if (greatest == 0) fail(Exit::data, "every variance is 0, which leaves no weight; mend it");
  for (std::size_t i = 0; matrix && i < p; ++i)
    for (std::size_t j = 0; j < i; ++j) {
      double const a = v.values[i * p + j], b = v.values[j * p + i], unit = std::sqrt(variance(i) * variance(j));
      if (std::abs(a - b) > symmetric_to * unit)
        fail(Exit::data, "is not symmetric: {:g} at ({}, {}) but {:g} at ({}, {}); mend it", a, i, j, b, j, i);
      if (std::abs(a) > unit * (1 + symmetric_to))
        fail(Exit::data,
             "is not positive semi-definite: the covariance {:g} of features {} and {} exceeds the root of the product "
             "of their variances, {:g}; mend it",
             a, i, j, unit);
    }
}

template <class F>
void with_name(std::filesystem::path const& path, F const& f) {
  try {
    f();
  } catch (Error const& error) {
    throw Error(error.code(), fmt::format("model.prior: {}: {}", path.string(), error.what()));
  }
}

std::filesystem::path file_of(Config const& config, Inputs const& in, LayerInput const& layer) {
  Prior const& prior = *config.model.prior;
  if (prior.layers.empty()) {
    if (in.layers.size() > 1)
      fail(Exit::config,
           "model.prior: is one file, but there are {} layers; give a mapping {{{}: FILE, …}}, or one layer in "
           "features.layers",
           in.layers.size(), in.layers[0].name);
    return prior.file;
  }
  for (auto const& [name, file] : prior.layers)
    if (name == layer.name) return file;
  fail(Exit::config, "model.prior: has no file for layer {}; add it, or leave the layer out of features.layers",
       layer.name);
}

/// Names in the mapping that are no layers.
void check_names(Config const& config, Inputs const& in) {
  std::vector<std::string> names;
  for (auto const& l : in.layers) names.push_back(l.name);
  for (auto const& [name, file] : config.model.prior->layers)
    if (std::ranges::find(names, name) == names.end()) {
      std::string const near = nearest(name, names);
      fail(Exit::config, "model.prior: {} is not among the layers{}", name,
           near.empty() ? "; remove it" : fmt::format("; did you mean `{}`?", near));
    }
}

}  // namespace

void find_priors(Config const& config, Inputs& in) {
  if (!config.model.prior) return;
  check_names(config, in);
  for (LayerInput const& layer : in.layers) {
    auto const path = file_of(config, in, layer);
    with_name(path, [&] {
      Values const v = read_values(path);
      std::size_t const p = layer.units;
      bool const vector = v.shape == std::vector<std::size_t>{p}, matrix = v.shape == std::vector<std::size_t>{p, p};
      std::string shape;
      for (auto n : v.shape) shape += (shape.empty() ? "" : " × ") + std::to_string(n);
      if (!vector && !matrix)
        fail(Exit::data, "has shape {}, but layer {} has {} features; {} × {} covariances or {} variances are needed",
             shape.empty() ? "()" : shape, layer.name, p, p, p, p);
      check_values(v, p);
      if (matrix && p <= early_order) (void)root_of(v.values, p);
      in.priors.push_back({path.string(), matrix});
    });
    auto const h5 = split_h5_name(path);
    in.root.files.push_back(h5 ? h5->first : path);
    in.identity["prior_sha256"][layer.name] = fingerprint(path);
  }
}

double prior_bytes(Inputs const& in, std::size_t layer) {
  if (layer >= in.priors.size() || !in.priors[layer].matrix) return 0;
  auto const n = static_cast<double>(in.n()), p = static_cast<double>(in.layers[layer].units);
  return 2 * 4 * n * p + 3 * 8 * p * p;  // features, their products; the root, and what it is made of and from
}

double prior_flops(Inputs const& in, std::size_t layer) {
  if (layer >= in.priors.size() || !in.priors[layer].matrix) return 0;
  auto const n = static_cast<double>(in.n()), p = static_cast<double>(in.layers[layer].units);
  return p * p * p * 7 / 3 + 2 * n * p * p;
}

std::unique_ptr<NodeSource> open_with_prior(Comm const& comm, Team& team, Inputs const& in, std::size_t layer,
                                            std::vector<std::unique_ptr<ActReader>> const& stores, double room,
                                            bool coefficients) {
  if (in.priors.empty()) return open_source(comm, in, in.layers[layer], stores, room);
  PriorInput const& prior = in.priors[layer];
  std::size_t const p = in.layers[layer].units;
  auto source = open_source(comm, in, in.layers[layer], stores, prior.matrix ? 1e18 : room);
  std::vector<double> values;
  PriorRoot root;
  together(comm, [&] {
    if (!comm.root()) return;
    with_name(prior.file, [&] {
      values = read_values(prior.file).values;
      check_values({prior.matrix ? std::vector<std::size_t>{p, p} : std::vector<std::size_t>{p}, values}, p);
      if (prior.matrix) root = root_of(values, p);
    });
  });
  if (prior.matrix) return make_mixed(comm, team, *source, root, coefficients);
  comm.broadcast(values, 0);
  for (double& v : values) v = std::sqrt(v);
  return make_scaled(std::move(source), std::move(values));
}

}  // namespace striate::encode
