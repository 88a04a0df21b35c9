#include "striate/brain/responses.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "striate/base/error.hpp"
#include "striate/brain/array.hpp"

namespace striate {

void describe(Schema& schema, ResponsesConfig& config) {
  schema("data", config.data,
         {.doc = "what to predict: NIfTI, .npy, \"f.h5:/dataset\" or .roi.h5, n × t; a list is concatenated along rows",
          .required = true,
          .identity = false,
          .example = "betas.nii.gz"});
  schema("transpose", config.transpose, {.doc = "arrays are stored t × n"});
  schema("mask", config.mask,
         {.doc = "non-zero = in: an image on the same grid, or a 1-D array of length t; default: voxels with any "
                 "non-zero value, all columns of an array",
          .identity = false,
          .example = "vtc.nii.gz"});
  schema("stimuli", config.stimuli,
         {.doc = "the .stim.csv with one row per volume; matched to the features by stimID",
          .identity = false,
          .example = "images.stim.csv"});
  schema("standardize", config.standardize,
         {.doc = "scale each target by mean and deviation of each fold's training rows"});
  schema("repeats", config.repeats,
         {.doc = "several volumes of one stimulus: averaged to one row, or kept as rows that no fold splits",
          .choices = {"average", "keep"}});
}

namespace {

std::unique_ptr<ImageReader> open_source(std::filesystem::path const& path, bool transpose, std::string const& key) {
  if (find_brain_format(path) != nullptr) return open_image(path, key);
  try {
    return open_array(path, transpose);
  } catch (Error const& error) {
    throw Error(error.code(), key + ": " + error.what());
  }
}

std::vector<std::uint64_t> every_place(Space const& space) {
  std::vector<std::uint64_t> places(space.size());
  std::iota(places.begin(), places.end(), 0);
  return places;
}

}  // namespace

Responses::Responses(ResponsesConfig const& config, std::string key) : key_(std::move(key)) {
  open_sources(config);
  find_targets(config);
}
Responses::Responses(ResponsesConfig const& config, Responses const& like, std::string key)
    : key_(std::move(key)), index_(like.index_) {
  open_sources(config);
  check_same_grid(space_, like.space_, key_, space_.is_volume() ? "image" : "array");
}
Responses::~Responses() = default;
Responses::Responses(Responses&&) noexcept = default;
Responses& Responses::operator=(Responses&&) noexcept = default;

void Responses::open_sources(ResponsesConfig const& config) {
  if (config.data.empty()) fail(Exit::config, "{}.data: no file is named", key_);
  for (auto const& path : config.data) {
    auto source = open_source(path, config.transpose, key_ + ".data");
    if (sources_.empty()) {
      space_ = source->space();
      if (config.transpose && space_.is_volume())
        fail(Exit::config, "{}.transpose: {} is an image, whose order is known; remove the key", key_, space_.source);
    } else if (!space_.is_volume() && source->space().format == "array" && source->space().shape != space_.shape) {
      fail(Exit::data, "{}.data: {} has {} targets but {} has {}; all files need the same ones", key_,
           source->space().source, source->space().shape_text(), space_.source, space_.shape_text());
    } else {
      check_same_grid(source->space(), space_, key_ + ".data", "image");
    }
    volumes_ += source->volumes();
    auto h5 = split_h5_name(path);
    inputs_.push_back(h5 ? h5->first : path);
    sources_.push_back(std::move(source));
  }
}

std::vector<std::size_t> Responses::volumes_of_files() const {
  std::vector<std::size_t> counts;
  for (auto const& source : sources_) counts.push_back(source->volumes());
  return counts;
}

void Responses::find_targets(ResponsesConfig const& config) {
  std::vector<std::uint8_t> in(space_.size(), space_.is_volume() ? 0 : 1);
  if (config.mask) {
    auto mask = read_map(*config.mask, space_, key_ + ".mask", "mask");
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = mask[i] != 0 && !std::isnan(mask[i]) ? 1 : 0;
    inputs_.push_back(*config.mask);
  } else if (space_.is_volume()) {
    auto places = every_place(space_);
    for (auto const& source : sources_)
      source->scan(places, [&](std::size_t, std::span<float const> values) {
        for (std::size_t i = 0; i < values.size(); ++i)
          if (values[i] != 0 && std::isfinite(values[i])) in[i] = 1;
      });
  }
  for (std::size_t i = 0; i < in.size(); ++i)
    if (in[i] != 0) index_.push_back(i);
  if (!index_.empty()) return;
  if (config.mask)
    fail(Exit::data, "{}.mask: {} holds no non-zero value (nothing is left to predict); check the mask", key_,
         config.mask->filename().string());
  fail(Exit::data, "{}.data: {} holds nothing but zeros; check the file", key_, space_.source);
}

namespace {

/// Volumes gathered 32 at a time and added to Y target by target: writing Y row by row would miss the cache at
/// every value.
class BlockAdder {
 public:
  BlockAdder(RowPlan const& rows, MatrixView<float> y) : rows_(rows), y_(y), block_(depth * y.cols) {}
  void take(std::size_t volume, std::span<float const> values) {
    std::size_t row = rows_.row_of_volume.at(volume);
    if (row == RowPlan::no_row) return;
    std::copy(values.begin(), values.end(), block_.begin() + static_cast<std::ptrdiff_t>(held_ * y_.cols));
    row_[held_] = row;
    if (++held_ == depth) flush();
  }
  void flush() {
    for (std::size_t j = 0; j < y_.cols; ++j) {
      float* column = y_.col(j);
      for (std::size_t b = 0; b < held_; ++b) column[row_[b]] += block_[b * y_.cols + j];
    }
    held_ = 0;
  }

 private:
  static constexpr std::size_t depth = 32;
  RowPlan const& rows_;
  MatrixView<float> y_;
  std::vector<float> block_;
  std::array<std::size_t, depth> row_{};
  std::size_t held_ = 0;
};

}  // namespace

void Responses::fill(RowPlan const& rows, std::size_t first, MatrixView<float> y) const {
  if (y.rows != rows.size() || first + y.cols > index_.size() || rows.row_of_volume.size() != volumes_)
    throw std::logic_error("Responses::fill: the shape of y does not fit");
  for (std::size_t j = 0; j < y.cols; ++j) std::fill_n(y.col(j), y.rows, 0.0F);
  BlockAdder adder(rows, y);
  std::span<std::uint64_t const> places(index_.data() + first, y.cols);
  std::size_t before = 0;
  for (auto const& source : sources_) {
    try {
      source->scan(places, [&](std::size_t v, std::span<float const> values) { adder.take(before + v, values); });
    } catch (Error const& error) {
      throw Error(error.code(), key_ + ".data: " + error.what());
    }
    before += source->volumes();
  }
  adder.flush();
  for (std::size_t j = 0; j < y.cols; ++j)
    for (std::size_t i = 0; i < y.rows; ++i)
      if (rows.count[i] > 1) y(i, j) /= static_cast<float>(rows.count[i]);
}

RowPlan plan_rows(std::vector<std::string> const& ids, bool keep) {
  RowPlan plan;
  std::unordered_map<std::string, std::size_t> row_of_id;
  for (std::size_t v = 0; v < ids.size(); ++v) {
    std::size_t row = plan.ids.size();
    if (!keep) row = row_of_id.try_emplace(ids[v], row).first->second;
    if (row == plan.ids.size()) {
      plan.ids.push_back(ids[v]);
      plan.first_volume.push_back(v);
      plan.count.push_back(0);
    }
    ++plan.count[row];
    plan.row_of_volume.push_back(row);
  }
  return plan;
}

RowPlan plan_rows(Responses const& responses, ResponsesConfig const& config, std::vector<std::string> const& ids) {
  if (ids.size() != responses.volumes()) {
    Space const& space = responses.space();
    std::string data =
        config.data.size() == 1 ? space.source : fmt::format("the {} files of responses.data", config.data.size());
    bool turned = !space.is_volume() && space.size() == ids.size() && !config.transpose;
    fail(Exit::data, "responses.stimuli: {} has {} rows but {} {} {} {}; {}",
         config.stimuli ? config.stimuli->filename().string() : "the stimuli file", ids.size(), data,
         config.data.size() == 1 ? "has" : "have", responses.volumes(), space.is_volume() ? "volumes" : "rows",
         turned ? "its columns would fit: set responses.transpose: true"
                : fmt::format("one row per {} is needed", space.is_volume() ? "volume" : "row of the data"));
  }
  return plan_rows(ids, config.repeats == "keep");
}

std::vector<double> read_map(std::filesystem::path const& path, Space const& space, std::string const& key,
                             std::string const& what) {
  if (!space.is_volume() && find_brain_format(path) == nullptr) {
    std::vector<double> values;
    try {
      values = read_vector(path);
    } catch (Error const& error) {
      throw Error(error.code(), key + ": " + error.what());
    }
    Space line = space;
    line.source = path.filename().string(), line.shape = {values.size()};
    check_same_grid(line, space, key, what);
    return values;
  }
  auto image = open_image(path, key);
  check_same_grid(image->space(), space, key, what);
  if (image->volumes() != 1)
    fail(Exit::data, "{}: {} has {} volumes; a {} has one", key, image->space().source, image->volumes(), what);
  std::vector<double> values;
  try {
    image->scan(every_place(space), [&](std::size_t, std::span<float const> v) { values.assign(v.begin(), v.end()); });
  } catch (Error const& error) {
    throw Error(error.code(), key + ": " + error.what());
  }
  return values;
}

}  // namespace striate
