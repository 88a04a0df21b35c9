#include "striate/net/self_test.hpp"

#include <torch/script.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "load.hpp"
#include "striate/base/error.hpp"
#include "striate/base/hash.hpp"

namespace striate {
namespace {

float noise(std::size_t i) {
  std::uint32_t h = (static_cast<std::uint32_t>(i) + 12345U) * 2654435761U;
  h ^= h >> 15U;
  h *= 2246822519U;
  return static_cast<float>(static_cast<double>(h >> 16U) / 32768.0 - 1.0);
}

std::string short_sum(std::string const& sum) { return sum.substr(0, 12) + "…"; }

void add_tensor(std::string const& name, at::Tensor const& tensor, Sha256& sum) {
  std::string line = name + ":";
  for (std::int64_t d = 0; d < tensor.dim(); ++d) line += fmt::format("{}{}", d > 0 ? "x" : "", tensor.size(d));
  sum.update(line + "\n");
  at::Tensor const values = tensor.to(at::kCPU, tensor.is_floating_point() ? at::kFloat : at::kLong).contiguous();
  sum.update(values.data_ptr(), values.nbytes());
}

/// The first `count` numbers of what the network gives for the check's input.
std::vector<float> give(CardCheck const& check, Card const& card, std::filesystem::path const& weights,
                        NetworkOptions options) {
  options.pool = Pool::none;
  Network const network(weights, resolve_layers({check.layer}, card), check.shape, options);
  std::size_t floats = 1;
  for (std::size_t const extent : check.shape) floats *= extent;
  std::size_t const units = network.layers().front().units(), count = check.outputs.size();
  if (count > units)
    fail(Exit::config, "{}: check.outputs: {} numbers, but {} gives {}", card.file.string(), count, check.layer, units);
  std::vector<float> out;
  network.forward(check_input(check.input, floats, card.preprocessing).data(), 1,
                  [&](std::size_t, float const* values) { out.assign(values, values + count); });
  return out;
}

/// Why a copy of a card that was changed cannot show its network the check's picture; "" where it can.
std::string cannot_show(CardCheck const& check, Card const& card) {
  if (check.input != "picture") return "";
  auto const& how = card.preprocessing;
  if (check.shape != std::vector<std::size_t>{how.channels(), how.height, how.width})
    return "the check's picture has another size than the card's input";
  try {
    check_size({test_picture().width, test_picture().height}, how);
  } catch (Error const&) {
    return "the card's preprocessing does not make its input of the check's picture";
  }
  return "";
}

std::string compare(CardCheck const& check, Card const& card, std::filesystem::path const& weights,
                    NetworkOptions const& options) {
  if (std::string const why = cannot_show(check, card); !why.empty()) return "skipped: " + why;
  std::vector<float> const got = give(check, card, weights, options);
  double scale = 0, worst = 0;
  std::size_t where = 0;
  for (double const expected : check.outputs) scale = std::max(scale, std::abs(expected));
  for (std::size_t i = 0; i < got.size(); ++i) {
    double const difference = std::abs(static_cast<double>(got[i]) - check.outputs[i]);
    if (!(difference <= worst)) worst = difference, where = i;  // NaN counts
  }
  double const relative = worst / std::max(scale, 1e-30);
  if (relative <= check.tolerance)
    return fmt::format("passed: {} numbers of {} for the input `{}` are the card's to {:.1e} of the largest",
                       got.size(), check.layer, check.input, relative);
  fail(Exit::data,
       "network: the self-test failed: for the input `{}`, number {} of {} is {:.6g} but the card says {:.6g} (off by "
       "{:.1e} of the largest; {} is allowed); the weights are those of the card, so this LibTorch {} computes "
       "something "
       "else, or the card or the network's code was changed; `self_test: false` goes on all the same",
       check.input, where, check.layer, got[where], check.outputs[where], relative, check.tolerance, torch_version());
}

}  // namespace

Image test_picture() {
  Image out{320, 240, std::vector<std::uint8_t>(std::size_t{320} * 240 * 3)};
  std::uint8_t* to = out.rgb.data();
  for (std::size_t y = 0; y < out.height; ++y)
    for (std::size_t x = 0; x < out.width; ++x) {
      *to++ = static_cast<std::uint8_t>(255 * x / 319);
      *to++ = static_cast<std::uint8_t>(255 * y / 239);
      *to++ = static_cast<std::uint8_t>(x ^ y);
    }
  return out;
}

std::vector<float> check_input(std::string const& kind, std::size_t floats, Preprocessing const& how) {
  std::vector<float> out(floats);
  if (kind == "picture") {
    if (floats != how.channels() * how.height * how.width)
      fail(Exit::config, "check: `input: picture` is for networks that take pictures of {} × {} × {}", how.channels(),
           how.height, how.width);
    preprocess(test_picture(), how, out.data());
    return out;
  }
  double const last = std::max<double>(1, static_cast<double>(floats) - 1);
  for (std::size_t i = 0; i < floats; ++i)
    out[i] = kind == "noise" ? noise(i) : static_cast<float>(2 * static_cast<double>(i) / last - 1);
  return out;
}

std::string state_sha256(std::filesystem::path const& weights) {
  torch::jit::Module const module = net::load_module(weights);
  std::map<std::string, at::Tensor> state;
  for (auto const& parameter : module.named_parameters()) state.emplace(parameter.name, parameter.value);
  for (auto const& buffer : module.named_buffers()) state.emplace(buffer.name, buffer.value);
  Sha256 sum;
  for (auto const& [name, tensor] : state)
    if (!name.ends_with("num_batches_tracked")) add_tensor(name, tensor, sum);
  return sum.hex();
}

std::optional<bool> transform_input_of(std::filesystem::path const& weights) {
  torch::jit::Module const module = net::load_module(weights);
  constexpr char const* name = "transform_input";
  if (module.hasattr(name) && module.attr(name).isBool()) return module.attr(name).toBool();
  if (auto const constant = module.type()->findConstant(name); constant && constant->isBool())
    return constant->toBool();
  return std::nullopt;
}

std::string self_test(Card const& card, std::filesystem::path const& weights, std::string const& weights_sha256,
                      NetworkOptions const& options) {
  if (card.checks.empty()) return "none in the card";
  for (auto const& check : card.checks)
    if (check.weights_sha256 == weights_sha256) return compare(check, card, weights, options);
  bool const by_state =
      std::any_of(card.checks.begin(), card.checks.end(), [](auto const& c) { return !c.state_sha256.empty(); });
  std::string const state = by_state ? state_sha256(weights) : "";
  for (auto const& check : card.checks)
    if (by_state && check.state_sha256 == state) return compare(check, card, weights, options);
  return fmt::format("skipped: the card's numbers are for other weights (file sha256 {} here)",
                     short_sum(weights_sha256));
}

}  // namespace striate
