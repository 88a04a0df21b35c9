#include "deliver.hpp"

#include "striate/base/error.hpp"

namespace striate::net {
namespace {

/// Over the last two axes. l1 and l2 are norms of the map as a vector.
at::Tensor pooled(at::Tensor const& x, Pool pool) {
  std::vector<std::int64_t> const space{-2, -1};
  switch (pool) {
    case Pool::none: return x;
    case Pool::max: return x.amax(space, true);
    case Pool::mean: return x.mean(space, true);
    case Pool::l1: return at::linalg_vector_norm(x, 1, at::OptionalIntArrayRef(space), true);
    case Pool::l2: return at::linalg_vector_norm(x, 2, at::OptionalIntArrayRef(space), true);
    case Pool::median: break;
  }
  // The mean of the two in the middle of an even number, as NumPy; at::median takes the lower.
  at::Tensor const sorted = std::get<0>(x.flatten(-2).sort(-1));
  std::int64_t const n = sorted.size(-1);
  at::Tensor const middle = (sorted.select(-1, (n - 1) / 2) + sorted.select(-1, n / 2)) / 2;
  return middle.unsqueeze(-1).unsqueeze(-1);
}

bool has_space(std::int64_t rank) { return rank == 4 || rank == 5; }

std::string sizes_text(at::Tensor const& value) {
  std::string out;
  for (auto const size : value.sizes()) out += (out.empty() ? "" : " × ") + std::to_string(size);
  return out.empty() ? "a single number" : out;
}

}  // namespace

CapturedLayer describe_layer(at::Tensor const& value, std::size_t rows, Pool pool, std::string const& name,
                             std::string const& path) {
  if (value.dim() == 0 || value.size(0) != static_cast<std::int64_t>(rows))
    fail(Exit::data,
         "layers: {}: its output is {} for a batch of {}, so that its first axis is not the batch; ask for a layer that "
         "keeps the stimuli apart",
         path, sizes_text(value), rows);
  if (value.is_complex() || value.is_sparse())
    fail(Exit::data, "layers: {}: its output is {}, which cannot be stored as floats", path,
         value.is_complex() ? "complex" : "sparse");
  CapturedLayer out{name, path, {}, ""};
  for (std::int64_t axis = 1; axis < value.dim(); ++axis) out.shape.push_back(static_cast<std::size_t>(value.size(axis)));
  if (pool != Pool::none && has_space(value.dim())) out.shape.end()[-1] = out.shape.end()[-2] = 1;
  switch (value.dim()) {
    case 1: out.shape = {1, 1, 1}, out.axes = "feature row column"; break;
    case 2: out.shape = {out.shape[0], 1, 1}, out.axes = "feature row column"; break;
    case 3: out.axes = "token feature"; break;
    case 4: out.axes = "channel row column"; break;
    case 5: out.axes = "channel frame row column"; break;
    default:
      fail(Exit::data, "layers: {}: its output has {} axes ({}); layers of 1 to 4 axes beside the batch can be stored",
           path, value.dim(), sizes_text(value));
  }
  if (out.units() == 0) fail(Exit::data, "layers: {}: its output is empty ({})", path, sizes_text(value));
  return out;
}

at::Tensor as_stored(at::Tensor const& value, Pool pool) {
  at::Tensor out = value.to(at::kFloat);
  if (out.is_mkldnn()) out = out.to_dense();
  if (has_space(out.dim())) out = pooled(out, pool);
  return out.contiguous();
}

}  // namespace striate::net
