#include "act_report.hpp"

namespace striate {
namespace {

constexpr char const* counts_name = ".striate/batch_report";
constexpr char const* channel_name = ".striate/top_channel";
constexpr char const* value_name = ".striate/top_channel_value";
std::string bits_name(std::string const& layer) { return ".striate/batch_above/" + layer; }
std::string above_name(std::string const& layer) { return ".striate/unit_above/" + layer; }

}  // namespace

void ActReport::create(h5::File& file, ActSpec const& spec, std::size_t batches, bool keeps_bits) {
  std::size_t const layers = spec.layers.size(), n = spec.stimulus_ids.size();
  file.create_dataset(counts_name, h5::Dtype::f64, {batches, layers, BlockReport::counts});
  file.create_dataset(channel_name, h5::Dtype::i32, {layers, n, BlockReport::columns});
  file.create_dataset(value_name, h5::Dtype::f32, {layers, n, BlockReport::columns});
  for (LayerSpec const& l : spec.layers) {
    std::size_t const units = h5::volume(l.shape);
    file.create_dataset(above_name(l.name), h5::Dtype::u8, {units});
    if (keeps_bits) file.create_dataset(bits_name(l.name), h5::Dtype::u8, {batches, (units + 7) / 8});
  }
}

void ActReport::open(h5::File const& file, ActSpec const& spec, bool keeps_bits) {
  counts_ = file.dataset(counts_name);
  channel_ = file.dataset(channel_name);
  value_ = file.dataset(value_name);
  for (LayerSpec const& l : spec.layers) {
    above_.push_back(file.dataset(above_name(l.name)));
    if (keeps_bits) bits_.push_back(file.dataset(bits_name(l.name)));
  }
}

void ActReport::write(ActBlock const& block, std::size_t first_row, std::size_t rows) {
  auto const& report = block.report;
  h5::Shape const first{block.layer, first_row, 0}, count{1, rows, BlockReport::columns};
  counts_.write({block.batch, block.layer, 0}, {1, 1, BlockReport::counts}, h5::type_id(h5::Dtype::f64),
                report.count.data());
  channel_.write(first, count, h5::type_id(h5::Dtype::i32), report.channel.data());
  value_.write(first, count, h5::type_id(h5::Dtype::f32), report.value.data());
  if (!bits_.empty())
    bits_[block.layer].write({block.batch, 0}, {1, block.above.size()}, h5::type_id(h5::Dtype::u8), block.above.data());
}

void ActReport::join_above(std::size_t layer, std::size_t batch, std::size_t first,
                           std::vector<std::uint8_t>& above) const {
  std::vector<std::uint8_t> bits((above.size() + 7) / 8);
  bits_[layer].read({batch, first / 8}, {1, bits.size()}, h5::type_id(h5::Dtype::u8), bits.data());
  for (std::size_t u = 0; u < above.size(); ++u) above[u] |= static_cast<std::uint8_t>(bits[u / 8] >> (u % 8) & 1U);
}

void ActReport::write_above(std::size_t layer, std::size_t first, std::vector<std::uint8_t> const& above) {
  above_[layer].write({first}, {above.size()}, h5::type_id(h5::Dtype::u8), above.data());
}

}  // namespace striate
