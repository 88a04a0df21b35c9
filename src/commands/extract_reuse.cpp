#include "extract_reuse.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "striate/base/error.hpp"
#include "striate/store/h5.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

// May differ between a store and one that takes rows over: which stimuli, and how the work is cut and written.
constexpr char const* free_keys[] = {"stimuli",         "batch",        "part",  "identify",
                                     "on_bad_stimulus", "on_duplicate", "layers"};

nlohmann::ordered_json what_must_agree(nlohmann::ordered_json identity) {
  for (char const* key : free_keys) identity.erase(key);
  return identity;
}

/// Throws where rows of the one store would be others in the other.
void check_identity(fs::path const& path, nlohmann::ordered_json const& then, nlohmann::ordered_json const& now) {
  if (then.is_object() && then.contains("operation") && then.contains("inputs"))
    fail(Exit::data,
         "reuse: {}: was written by convert, which keeps less than extract of how its rows were made; name "
         "a store of extract, or leave reuse: out",
         path.string());
  if (then.is_discarded() || !then.is_object() || !then.contains("layers"))
    fail(Exit::data, "reuse: {}: was not written by extract", path.string());
  if (std::string const key = first_difference(what_must_agree(then), what_must_agree(now)); !key.empty())
    fail(Exit::data, "reuse: {}: was made with another config ({} differs); leave reuse: out", path.string(), key);
  auto const& layers = then.at("layers");
  for (auto const& layer : now.at("layers"))
    if (std::ranges::find(layers, layer) == layers.end())
      fail(Exit::data, "reuse: {}: holds no layer {}; leave reuse: out", path.string(), layer.get<std::string>());
}

}  // namespace

struct ReusedRows::Impl {
  fs::path path;
  std::vector<std::size_t> row;  ///< (n) in the earlier store, where it is held
  h5::File file;
  std::vector<h5::Dataset> layers;
  std::vector<std::vector<double>> sums, squares;  ///< by layer: of the earlier rows
};

ReusedRows::~ReusedRows() = default;

ReusedRows::ReusedRows(fs::path const& path, ActSpec const& spec) : impl_(std::make_unique<Impl>()) {
  ActReader const old(path.string());
  impl_->path = path;
  impl_->file = h5::File::open(path);
  check_identity(path, nlohmann::ordered_json::parse(impl_->file.read_text(".striate/identity"), nullptr, false),
                 spec.identity);
  std::vector<std::uint8_t> usable(old.rows(), 1);
  for (LayerSpec const& layer : spec.layers) {
    ActLayer const& there = old.layer(layer.name);
    if (there.shape != layer.shape || there.dtype != h5::name_of(layer.dtype))
      fail(Exit::data, "reuse: {}: layer {} is {} {} there but {} {} now; leave reuse: out", path.string(), layer.name,
           there.dtype, h5::text_of(there.shape), h5::name_of(layer.dtype), h5::text_of(layer.shape));
    impl_->layers.push_back(impl_->file.dataset(layer.name));
    impl_->sums.push_back(old.row_sum(layer.name));
    impl_->squares.push_back(old.row_sum_squares(layer.name));
    for (std::size_t i = 0; i < usable.size(); ++i)  // a skipped stimulus may have been mended
      if (std::isnan(impl_->sums.back().at(i))) usable[i] = 0;
  }
  auto const sha256 = old.stimulus_sha256();
  bool const compare = !sha256.empty() && !spec.stimulus_sha256.empty();
  if (sha256.empty() && !spec.stimulus_sha256.empty())
    fail(Exit::data, "reuse: {}: keeps no sha256 of its stimuli; set identify: name to trust their names",
         path.string());
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t i = 0; i < old.ids().size(); ++i) place.emplace(old.ids()[i], i);
  impl_->row.resize(spec.stimulus_ids.size());
  held_.resize(spec.stimulus_ids.size());
  for (std::size_t i = 0; i < held_.size(); ++i) {
    auto const found = place.find(spec.stimulus_ids[i]);
    if (found == place.end() || !usable[found->second]) continue;
    if (compare && sha256[found->second] != spec.stimulus_sha256[i]) continue;  // the file is another now
    held_[i] = 1, impl_->row[i] = found->second;
  }
}

std::size_t ReusedRows::count() const { return static_cast<std::size_t>(std::ranges::count(held_, 1)); }

void ReusedRows::read(std::size_t layer, std::size_t first, std::size_t rows, float* values) const {
  h5::Dataset const& from = impl_->layers[layer];
  std::size_t const units = h5::volume(from.shape()) / from.shape()[0];
  for (std::size_t i = 0, end = 0; i < rows; i = std::max(end, i + 1)) {  // runs that lie together there too
    if (!held_[first + i]) continue;
    for (end = i + 1; end < rows && held_[first + end] && impl_->row[first + end] == impl_->row[first + end - 1] + 1;)
      ++end;
    h5::Shape start(from.shape().size(), 0), count = from.shape();
    start[0] = impl_->row[first + i], count[0] = end - i;
    from.read(start, count, h5::type_id(h5::Dtype::f32), values + i * units);
  }
}

void ReusedRows::check(ActBlock const& block, std::size_t first) const {
  for (std::size_t i = 0; i < block.row_sum.size(); ++i) {
    if (!held_[first + i]) continue;
    std::size_t const row = impl_->row[first + i];
    double const units = static_cast<double>(h5::volume(impl_->layers[block.layer].shape())) /
                         static_cast<double>(impl_->layers[block.layer].shape()[0]);
    double const squares = impl_->squares[block.layer][row];
    // Sums of the same values, in another order where chunks lie otherwise.
    bool const same =
        !(std::abs(block.row_sum_squares[i] - squares) > 1e-10 * squares) &&
        !(std::abs(block.row_sum[i] - impl_->sums[block.layer][row]) > 1e-10 * std::sqrt(units * squares));
    if (!same)
      fail(Exit::data, "reuse: {}: {}: row {} is damaged (its sum is not the one that was stored)",
           impl_->path.string(), impl_->layers[block.layer].name(), row + 1);
  }
}

}  // namespace striate
