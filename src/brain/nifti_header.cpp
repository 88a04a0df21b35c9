#include "nifti_header.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "striate/brain/nifti.hpp"

namespace striate {
namespace nifti {

Affine affine_of(nifti_image const& image) {
  Affine affine{};
  if (image.sform_code > 0 || image.qform_code > 0) {
    auto const& m = image.sform_code > 0 ? image.sto_xyz : image.qto_xyz;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 4; ++j) affine[i][j] = m.m[i][j];
    return affine;
  }
  std::array<double, 3> edge{image.dx, image.dy, image.dz};
  std::array<std::int64_t, 3> count{image.nx, image.ny, image.nz};
  for (int i = 0; i < 3; ++i) {
    double e = edge[i] == 0 ? 1 : edge[i];
    affine[i][i] = i == 0 ? -e : e;
    affine[i][3] = -affine[i][i] * static_cast<double>(count[i] - 1) / 2;
  }
  return affine;
}

std::string header_of(nifti_image const& image, int version) {
  if (version == 2) {
    nifti_2_header h{};
    nifti_convert_nim2n2hdr(&image, &h);
    return {reinterpret_cast<char const*>(&h), sizeof h};
  }
  nifti_1_header h{};
  nifti_convert_nim2n1hdr(&image, &h);
  return {reinterpret_cast<char const*>(&h), sizeof h};
}

namespace {

nifti_2_header widened(nifti_1_header const& a) {
  nifti_2_header b{};
  b.sizeof_hdr = 540;
  for (int i = 0; i < 8; ++i) b.dim[i] = a.dim[i], b.pixdim[i] = a.pixdim[i];
  b.qform_code = a.qform_code, b.sform_code = a.sform_code;
  b.quatern_b = a.quatern_b, b.quatern_c = a.quatern_c, b.quatern_d = a.quatern_d;
  b.qoffset_x = a.qoffset_x, b.qoffset_y = a.qoffset_y, b.qoffset_z = a.qoffset_z;
  std::copy(std::begin(a.srow_x), std::end(a.srow_x), b.srow_x);
  std::copy(std::begin(a.srow_y), std::end(a.srow_y), b.srow_y);
  std::copy(std::begin(a.srow_z), std::end(a.srow_z), b.srow_z);
  b.xyzt_units = a.xyzt_units, b.toffset = a.toffset;
  b.intent_code = a.intent_code, b.intent_p1 = a.intent_p1, b.intent_p2 = a.intent_p2, b.intent_p3 = a.intent_p3;
  std::memcpy(b.intent_name, a.intent_name, sizeof b.intent_name);
  std::memcpy(b.descrip, a.descrip, sizeof b.descrip);
  return b;
}

/// What a float32 statistical map says of itself, in either version.
template <class Header>
void make_map(Header& h, Space const& space, std::size_t maps) {
  using Dim = std::remove_reference_t<decltype(h.dim[0])>;
  h.dim[0] = maps > 1 ? 4 : 3;
  for (int i = 0; i < 3; ++i) h.dim[i + 1] = static_cast<Dim>(space.shape[i]);
  h.dim[4] = static_cast<Dim>(maps);
  for (int i = 5; i < 8; ++i) h.dim[i] = 1;
  h.datatype = NIFTI_TYPE_FLOAT32, h.bitpix = 32;
  h.scl_slope = 1, h.scl_inter = 0, h.cal_min = 0, h.cal_max = 0;
  // The responses' intent stays, but for statistics: viewers would compute p-values from scores as if they were t or z.
  if (h.intent_code >= NIFTI_FIRST_STATCODE && h.intent_code <= NIFTI_LAST_STATCODE) {
    h.intent_code = 0, h.intent_p1 = 0, h.intent_p2 = 0, h.intent_p3 = 0;
    std::memset(h.intent_name, 0, sizeof h.intent_name);
  }
  std::memset(h.aux_file, 0, sizeof h.aux_file);
  h.slice_code = 0, h.slice_start = 0, h.slice_end = 0, h.slice_duration = 0, h.dim_info = 0;
}

}  // namespace

std::string header_for_maps(Space const& space, std::size_t maps) {
  std::uint64_t widest = std::max<std::uint64_t>(maps, *std::max_element(space.shape.begin(), space.shape.end()));
  bool is_one = space.header.size() == sizeof(nifti_1_header);
  nifti_1_header one{};
  nifti_2_header two{};
  if (is_one) std::memcpy(&one, space.header.data(), sizeof one);
  if (is_one && widest <= 32767) {
    make_map(one, space, maps);
    one.sizeof_hdr = 348, one.vox_offset = 352, one.regular = 'r';
    std::memcpy(one.magic, "n+1", 4);
    return {reinterpret_cast<char const*>(&one), sizeof one};
  }
  if (is_one)
    two = widened(one);
  else
    std::memcpy(&two, space.header.data(), std::min(sizeof two, space.header.size()));
  make_map(two, space, maps);
  two.sizeof_hdr = 540, two.vox_offset = 544;
  std::memcpy(two.magic, "n+2\0\r\n\032\n", 8);
  return {reinterpret_cast<char const*>(&two), sizeof two};
}

}  // namespace nifti

Space make_nifti_space(std::array<std::uint64_t, 3> shape, Affine const& affine, std::string const& extension) {
  Space space;
  space.format = "nifti", space.source = "", space.shape = {shape[0], shape[1], shape[2]};
  space.affine = affine, space.oriented = true, space.extension = extension;
  nifti_1_header h{};
  h.sizeof_hdr = 348, h.regular = 'r';
  h.qform_code = h.sform_code = NIFTI_XFORM_SCANNER_ANAT;
  h.xyzt_units = NIFTI_UNITS_MM | NIFTI_UNITS_SEC;
  nifti_dmat44 m{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j) m.m[i][j] = affine[i][j];
  m.m[3][3] = 1;
  double b, c, d, x, y, z, dx, dy, dz, qfac;
  nifti_dmat44_to_quatern(m, &b, &c, &d, &x, &y, &z, &dx, &dy, &dz, &qfac);
  h.quatern_b = static_cast<float>(b), h.quatern_c = static_cast<float>(c), h.quatern_d = static_cast<float>(d);
  h.qoffset_x = static_cast<float>(x), h.qoffset_y = static_cast<float>(y), h.qoffset_z = static_cast<float>(z);
  h.pixdim[0] = static_cast<float>(qfac), h.pixdim[1] = static_cast<float>(dx);
  h.pixdim[2] = static_cast<float>(dy), h.pixdim[3] = static_cast<float>(dz), h.pixdim[4] = 1;
  for (int j = 0; j < 4; ++j) {
    h.srow_x[j] = static_cast<float>(affine[0][j]);
    h.srow_y[j] = static_cast<float>(affine[1][j]);
    h.srow_z[j] = static_cast<float>(affine[2][j]);
  }
  space.header.assign(reinterpret_cast<char const*>(&h), sizeof h);
  return space;
}

}  // namespace striate
