#include "striate/store/rdm_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "striate/store/plain.hpp"

namespace striate {

std::size_t items_of_pairs(std::size_t pairs) {
  auto n = static_cast<std::size_t>((1 + std::sqrt(1 + 8 * static_cast<double>(pairs))) / 2);
  while (n > 0 && n * (n - 1) / 2 > pairs) --n;
  while ((n + 1) * n / 2 <= pairs) ++n;
  return n * (n - 1) / 2 == pairs && n > 1 ? n : 0;
}

RdmReader::RdmReader(std::filesystem::path const& path) : file_(h5::File::open(path)) {
  std::string const file = path.filename().string();
  type_ = file_.has_attribute("/", "type") ? file_.attribute("/", "type") : "";
  metric_ = file_.has_attribute("/", "metric") ? file_.attribute("/", "metric") : "";
  if (type_ != "bRDM" && type_ != "dRDM")
    fail(Exit::data, "{}: is no .rdm.h5 (its attribute `type` is `{}`; known: bRDM, dRDM)", file, type_);
  for (auto const& name : file_.names()) {
    if (!file_.is_dataset(name)) continue;
    auto const data = file_.dataset(name);
    auto const& shape = data.shape();
    std::size_t const items = shape.empty() || shape.size() > 2 ? 0 : items_of_pairs(shape.back());
    if (!data.numeric() || items == 0)
      fail(Exit::data, "{}: {} is {} {}; an RDM is (pairs) or (iterations, pairs) with n (n - 1) / 2 pairs of n items",
           file, name, data.type_name(), h5::text_of(shape));
    if (items_ != 0 && items_ != items)
      fail(Exit::data, "{}: {} is of {} items but {} of {}; RDMs of a file share their items", file, name, items,
           rdms_[0].name, items_);
    items_ = items;
    rdms_.push_back({name, shape.size() == 2, shape.size() == 2 ? shape[0] : 1});
  }
  if (rdms_.empty()) fail(Exit::data, "{}: holds no RDM", file);
  if (!file_.is_dataset(".striate/items")) return;
  names_ = file_.dataset(".striate/items").read_strings();
  if (names_.size() != items_)
    fail(Exit::data, "{}: names {} items, but its RDMs have {}", file, names_.size(), items_);
}

std::vector<double> RdmReader::read(std::string const& rdm, std::size_t iteration) const {
  auto const data = file_.dataset(rdm);
  std::vector<double> values(pairs());
  auto const type = h5::type_id(h5::Dtype::f64);
  if (data.shape().size() == 2)
    data.read({iteration, 0}, {1, pairs()}, type, values.data());
  else
    data.read({0}, {pairs()}, type, values.data());
  return values;
}

RdmWriter::RdmWriter(std::filesystem::path const& path, std::string const& type, std::string const& metric,
                     std::size_t items, std::vector<std::string> const& names, std::vector<RdmShape> const& rdms)
    : path_(path),
      draft_(path.parent_path() / ("." + path.filename().string() + ".creating")),
      pairs_(items * (items - 1) / 2) {
  file_ = h5::File::create(Comm(), draft_);
  h5::set_variable_attribute(file_, "type", type);
  if (!metric.empty()) file_.set_attribute("/", "metric", metric);
  if (!names.empty()) file_.write_strings(".striate/items", names);
  for (auto const& rdm : rdms)
    file_.create_dataset(rdm.name, h5::Dtype::f64,
                         rdm.iterated ? h5::Shape{rdm.iterations, pairs_} : h5::Shape{pairs_});
}

RdmWriter::~RdmWriter() {
  if (!done_) ::unlink(draft_.c_str());
}

void RdmWriter::write(std::string const& rdm, std::size_t iteration, std::span<double const> pairs) {
  auto data = file_.dataset(rdm);
  auto const type = h5::type_id(h5::Dtype::f64);
  if (pairs.size() != pairs_) fail(Exit::internal, "{}: {} pairs of {}", path_.string(), pairs.size(), pairs_);
  if (data.shape().size() == 2)
    data.write({iteration, 0}, {1, pairs_}, type, pairs.data());
  else
    data.write({0}, {pairs_}, type, pairs.data());
}

void RdmWriter::close() {
  file_.close();
  h5::put_in_place(draft_, path_);
  done_ = true;
}

}  // namespace striate
