#include "request.hpp"

#include <algorithm>
#include <charconv>

#include "striate/base/config.hpp"
#include "striate/base/error.hpp"

namespace striate::net {
namespace {

std::optional<int> whole_number(std::string const& text) {
  int value = 0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::string listed(std::vector<std::string> const& words) {
  std::string out;
  for (auto const& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

/// The parts of a list or tuple, or nothing where the value has no numbered parts.
std::optional<std::vector<c10::IValue>> parts_of(c10::IValue const& value) {
  if (value.isTuple()) {
    auto const& elements = value.toTupleRef().elements();
    return std::vector<c10::IValue>(elements.begin(), elements.end());
  }
  if (value.isList()) return value.toListRef().vec();
  return std::nullopt;
}

/// An attention that was not asked for its weights gives a tuple with a tensor that is none, which has no type.
bool has_type(c10::IValue const& tuple) {
  auto const& elements = tuple.toTupleRef().elements();
  return std::none_of(elements.begin(), elements.end(), [](c10::IValue const& element) {
    return element.isTensor() ? !element.toTensor().defined() : element.isTuple() && !has_type(element);
  });
}

c10::IValue step_into(c10::IValue const& value, std::string const& element, Request const& request) {
  auto const names = names_in(value);
  if (auto const at = std::find(names.begin(), names.end(), element); at != names.end()) {
    if (value.isGenericDict()) return value.toGenericDict().at(element);
    return value.toTupleRef().elements()[static_cast<std::size_t>(at - names.begin())];
  }
  if (auto const parts = parts_of(value)) {
    auto const index = whole_number(element);
    if (index && static_cast<std::size_t>(*index) < parts->size()) return (*parts)[static_cast<std::size_t>(*index)];
    fail(Exit::data, "layers: {}: there is no element `{}`; ask for :0 to :{}", request.asked, element,
         parts->size() - 1);
  }
  if (!names.empty())
    fail(Exit::data, "layers: {}: the output has no key `{}`; its keys are {}", request.asked, element, listed(names));
  fail(Exit::data, "layers: {}: its output is one tensor; leave `:{}` out", request.asked, element);
}

}  // namespace

Request parse_request(LayerRequest const& layer, std::vector<std::string> const& modules) {
  Request out{layer.name, layer.path, layer.path, std::nullopt, {}};
  auto const is_module = [&](std::string const& path) {
    return std::find(modules.begin(), modules.end(), path) != modules.end();
  };
  if (is_module(out.key)) return out;  // whatever characters it holds
  std::string base = layer.path;
  std::size_t const colon = base.find(':', base.rfind("aten::", 0) == 0 ? 6 : 0);
  std::string rest = colon == std::string::npos ? "" : base.substr(colon + 1);
  if (colon != std::string::npos) base.resize(colon);
  if (auto const hash = base.rfind('#'); hash != std::string::npos) {
    out.call = whole_number(base.substr(hash + 1));
    if (!out.call) fail(Exit::data, "layers: {}: `#` must be followed by the number of the call, from 0", layer.path);
    base.resize(hash);
  }
  while (colon != std::string::npos) {
    std::size_t const next = rest.find(':');
    out.element.push_back(rest.substr(0, next));
    if (next == std::string::npos) break;
    rest.erase(0, next + 1);
  }
  out.key = base;
  if (is_module(base) || base.rfind("aten::", 0) == 0) return out;
  out.key.clear();
  if (base != "output") out.element.insert(out.element.begin(), base);
  return out;
}

std::vector<std::string> names_in(c10::IValue const& value) {
  std::vector<std::string> out;
  if (value.isGenericDict()) {
    for (auto const& entry : value.toGenericDict())
      if (entry.key().isString()) out.push_back(entry.key().toStringRef());
  } else if (value.isTuple() && has_type(value)) {
    auto const type = value.type()->cast<c10::TupleType>();
    if (type && type->schema())
      for (auto const& field : type->schema()->arguments()) out.push_back(field.name());
  }
  return out;
}

at::Tensor pick(c10::IValue const& value, Request const& request) {
  c10::IValue now = value;
  for (auto const& element : request.element) now = step_into(now, element, request);
  while (now.isTuple() || now.isList()) {
    auto const parts = parts_of(now);
    if (parts->empty()) break;
    now = c10::IValue(parts->front());
  }
  if (now.isTensor() && now.toTensor().defined()) return now.toTensor();
  if (auto const names = names_in(now); !names.empty())
    fail(Exit::data, "layers: {} gives a dict; ask for one of its keys, as `{}:{}` (keys: {})", request.asked,
         request.asked, names.front(), listed(names));
  fail(Exit::data, "layers: {} gives no tensor but {}; ask for another layer", request.asked,
       now.isNone() ? "None" : now.tagKind());
}

}  // namespace striate::net
