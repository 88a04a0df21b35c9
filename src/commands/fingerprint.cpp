#include "fingerprint.hpp"

#include "striate/base/hash.hpp"
#include "striate/brain/array.hpp"
#include "striate/store/h5.hpp"

namespace striate {

std::string fingerprint(std::filesystem::path const& file) {
  auto const in_h5 = split_h5_name(file);
  return in_h5 ? sha256_file(in_h5->first) + ":" + in_h5->second : sha256_file(file);
}

std::optional<std::string> checksums_sha256(std::filesystem::path const& store) {
  auto const file = h5::File::open(store);
  if (!file.is_dataset(".striate/crc32c")) return std::nullopt;
  auto const checksums = file.dataset(".striate/crc32c").read<std::uint32_t>();
  Sha256 sum;
  sum.update(checksums.data(), checksums.size() * sizeof(std::uint32_t));
  return sum.hex();
}

std::string fingerprint(ActReader const& store) {
  if (!store.ours()) return fingerprint(std::filesystem::path(store.path()));
  Sha256 sum;
  auto const add = [&](std::string const& text) { sum.update(text.data(), text.size()), sum.update("\n", 1); };
  for (auto const* name : {"network", "weights_sha256", "preprocessing", "stimuli_sha256", "pool"})
    add(store.attribute(name));
  for (auto const& layer : store.layers()) add(layer.name + " " + layer.dtype);
  add(checksums_sha256(store.path()).value_or(""));
  return sum.hex();
}

}  // namespace striate
