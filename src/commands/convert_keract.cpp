/// keract's persist_to_json_file: {layer: nested lists}, stimuli first, channels last.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "convert_array_source.hpp"
#include "striate/base/error.hpp"

namespace striate::convert {
namespace {

using Array = ArraySource::Array;

/// Numbers as they come, so that no tree of values is built.
class Handler final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Handler(std::string file) : file_(std::move(file)) {}
  std::vector<Array> take() { return std::move(arrays_); }

  bool null() override { return wrong("null"); }
  bool boolean(bool) override { return wrong("true or false"); }
  bool string(string_t&) override { return wrong("a text"); }
  bool binary(binary_t&) override { return wrong("bytes"); }
  bool number_integer(number_integer_t v) override { return add(static_cast<double>(v)); }
  bool number_unsigned(number_unsigned_t v) override { return add(static_cast<double>(v)); }
  bool number_float(number_float_t v, string_t const&) override { return add(v); }
  bool start_object(std::size_t) override {
    if (depth_ > 0 || inside_) return wrong("an object");
    inside_ = true;
    return true;
  }
  bool end_object() override { return true; }
  bool key(string_t& name) override {
    name_ = name;
    return true;
  }
  bool start_array(std::size_t) override {
    if (!inside_) return wrong("a list");
    if (depth_ == 0) counts_.clear(), extents_.clear(), values_.clear();
    if (counts_.size() <= depth_) counts_.push_back(0), extents_.push_back(-1);
    counts_[depth_++] = 0;
    return true;
  }
  bool end_array() override {
    --depth_;
    auto const count = static_cast<std::int64_t>(counts_[depth_]);
    if (extents_[depth_] >= 0 && extents_[depth_] != count)
      fail(Exit::data, "{}: {}: lists of {} and of {} stand side by side; an array has one length an axis", file_,
           name_, extents_[depth_], count);
    extents_[depth_] = count;
    if (depth_ > 0) {
      ++counts_[depth_ - 1];
      return true;
    }
    Array array;
    array.name = name_;
    for (std::size_t a = 1; a < extents_.size(); ++a) array.shape.push_back(static_cast<std::size_t>(extents_[a]));
    if (values_.size() != h5::volume(array.shape) * static_cast<std::size_t>(count))
      fail(Exit::data, "{}: {}: numbers and lists stand side by side", file_, name_);
    array.add(static_cast<std::size_t>(count), std::move(values_));
    arrays_.push_back(std::move(array));
    values_ = {};
    return true;
  }
  bool parse_error(std::size_t at, std::string const&, nlohmann::detail::exception const& error) override {
    fail(Exit::data, "{}: is no JSON at byte {} ({}); NaN and Infinity are none", file_, at,
         std::string(error.what()).substr(0, 80));
  }

 private:
  bool wrong(std::string const& what) {
    fail(Exit::data,
         "{}: holds {} where {{layer: lists of numbers}} is needed, as keract's persist_to_json_file writes", file_,
         what);
  }
  bool add(double value) {
    if (depth_ == 0) return wrong("a number");
    ++counts_[depth_ - 1];
    values_.push_back(static_cast<float>(value));
    return true;
  }
  std::string file_, name_;
  bool inside_ = false;
  std::size_t depth_ = 0;
  std::vector<std::size_t> counts_;
  std::vector<std::int64_t> extents_;
  std::vector<float> values_;
  std::vector<Array> arrays_;
};

}  // namespace

std::unique_ptr<Source> open_keract(std::filesystem::path const& path, std::string const& layout) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(Exit::no_input, "{} cannot be read; check the path", path.string());
  Handler handler(path.filename().string());
  nlohmann::json::sax_parse(in, &handler);
  auto arrays = handler.take();
  for (auto& array : arrays) array.layout = layout == "auto" ? "channels_last" : layout;
  return std::make_unique<ArraySource>(path.filename().string(), std::vector<std::filesystem::path>{path},
                                       std::move(arrays), std::vector<std::string>{});
}

}  // namespace striate::convert
