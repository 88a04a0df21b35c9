#pragma once
/// CRC32C over every dataset of a file, by name: files of equal content agree whatever wrote them.
#include <cstdint>
#include <string>

#include "striate/base/hash.hpp"
#include "striate/store/h5.hpp"

inline void digest_group(striate::h5::File const& file, std::string const& group, std::uint32_t& sum) {
  using namespace striate;
  for (std::string const& name : file.names(group.empty() ? "/" : group)) {
    std::string const full = group.empty() ? name : group + "/" + name;
    sum = crc32c(full.data(), full.size(), sum);
    if (!file.is_dataset(full)) {
      digest_group(file, full, sum);
      continue;
    }
    h5::Dataset const d = file.dataset(full);
    if (!d.numeric()) {
      for (std::string const& t : d.read_strings()) sum = crc32c(t.data(), t.size() + 1, sum);
    } else if (d.is_float16()) {
      std::vector<std::uint16_t> v(h5::volume(d.shape()));
      d.read(h5::Shape(d.shape().size(), 0), d.shape(), h5::type_id(h5::Dtype::f16), v.data());
      sum = crc32c(v.data(), v.size() * 2, sum);
    } else {
      auto const v = d.read<double>();
      sum = crc32c(v.data(), v.size() * 8, sum);
    }
  }
}

inline std::uint32_t digest(std::filesystem::path const& path) {
  striate::h5::File const file = striate::h5::File::open(path);
  std::uint32_t sum = 0;
  digest_group(file, "", sum);
  for (std::string const& a : file.attribute_names("/")) {
    std::string const text = a + "=" + file.attribute("/", a);
    sum = striate::crc32c(text.data(), text.size(), sum);
  }
  return sum;
}
