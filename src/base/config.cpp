#include "striate/base/config.hpp"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <set>

#include "striate/base/error.hpp"

namespace striate {
namespace {

/// Keys that --set gave in the config being read, so that a message says where a value came from.
thread_local std::vector<std::string> set_keys;
thread_local std::vector<std::string> top_keys;  // of the config that is being read, for hints

bool covers(std::string const& outer, std::string const& key) {
  return key == outer || (key.size() > outer.size() && key.starts_with(outer) &&
                          (key[outer.size()] == '.' || key[outer.size()] == '['));
}

ConfigPlace inside(ConfigPlace const& place, std::string const& name, YAML::Node const& node) {
  ConfigPlace here = place;
  here.key = place.key.empty() ? name : place.key + "." + name;
  if (node.Mark().line >= 0) here.line = node.Mark().line + 1;
  for (auto const& key : set_keys)
    if (covers(key, here.key)) here.file = "--set", here.line = 0;
  return here;
}

std::vector<std::string> names_of(Schema const& schema) {
  std::vector<std::string> names;
  for (auto const& s : schema.settings()) names.push_back(s.name);
  return names;
}

std::string listed(std::vector<std::string> const& words) {
  std::string text;
  for (auto const& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// Where a key is unknown here but known in a mapping one level down, its full name helps more than a near word.
std::string deeper(Schema const& schema, std::string const& name) {
  for (auto const& s : schema.settings())
    if (s.nested)
      for (auto const& inner : s.nested->settings())
        if (inner.name == name) return s.name + "." + name;
  return "";
}

void need_required(Schema const& schema, ConfigPlace const& place) {
  for (auto const& s : schema.settings()) {
    ConfigPlace here = place;
    here.key = place.key.empty() ? s.name : place.key + "." + s.name;
    if (s.meta.required) config_error(here, "is missing: " + s.meta.doc);
    if (s.nested && s.type == "mapping" && !s.keep_alive) need_required(*s.nested, here);
  }
}

// While YAML is parsed the braces of ${NAME} are these characters of Unicode's private use area: a brace in a plain
// scalar ends a mapping in flow style, {store: ${OUT}/act.h5}.
constexpr std::string_view opening = "\xee\x80\x80", closing = "\xee\x80\x81";

std::string with_variables_marked(std::string const& text) {
  static std::regex const variable(R"((\$?)\$\{([A-Za-z_][A-Za-z0-9_]*(?::-[^}\n]*)?)\})");
  std::string out;
  auto rest = text.begin();
  for (auto it = std::sregex_iterator(text.begin(), text.end(), variable); it != std::sregex_iterator(); ++it) {
    out.append(rest, text.begin() + it->position());
    rest = text.begin() + it->position() + it->length();
    if ((*it)[1].length() > 0)
      out += it->str();  // $${ stands for ${
    else
      out.append(opening).append((*it)[2].str()).append(closing);
  }
  return out.append(rest, text.end());
}

/// Replaces ${NAME} and ${NAME:-default}; $${ stands for ${.
std::string expanded(std::string const& text, ConfigPlace const& place) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 3, "$${") == 0) {
      out += "${", i += 2;
      continue;
    }
    std::size_t const end = text.compare(i, opening.size(), opening) == 0 ? text.find(closing, i) : std::string::npos;
    if (end == std::string::npos) {
      out += text[i];
      continue;
    }
    std::string name = text.substr(i + opening.size(), end - i - opening.size()), fallback;
    bool const has_fallback = name.find(":-") != std::string::npos;
    if (has_fallback) fallback = name.substr(name.find(":-") + 2), name.resize(name.find(":-"));
    char const* value = std::getenv(name.c_str());
    if (value == nullptr && !has_fallback)
      config_error(place,
                   "the environment variable " + name + " is not set; export it, or write ${" + name + ":-default}");
    out += value != nullptr && (*value != '\0' || !has_fallback) ? value : fallback;
    i = end + closing.size() - 1;
  }
  return out;
}

bool wants_expansion(std::string const& text) {
  return text.find(opening) != std::string::npos || text.find("$${") != std::string::npos;
}

void expand_variables(YAML::Node node, ConfigPlace const& place) {
  if (node.IsScalar() && wants_expansion(node.Scalar())) {
    std::string const tag = node.Tag();
    node = expanded(node.Scalar(), place);
    if (!tag.empty()) node.SetTag(tag);
  } else if (node.IsMap()) {
    for (auto entry : node) expand_variables(entry.second, inside(place, entry.first.Scalar(), entry.second));
  } else if (node.IsSequence()) {
    for (std::size_t i = 0; i < node.size(); ++i)
      expand_variables(node[i], inside(place, "[" + std::to_string(i) + "]", node[i]));
  }
}

YAML::Node parse(std::string const& text, std::string const& name) {
  try {
    return YAML::Load(with_variables_marked(text));
  } catch (YAML::Exception const& error) {
    std::string where = error.mark.line >= 0 && name != "--set" ? fmt::format("line {}: ", error.mark.line + 1) : "";
    fail(Exit::config, "{}: {}{}", name, where, error.msg);
  }
}

bool is_index(std::string const& word) {
  return !word.empty() && std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
}

void apply_set(YAML::Node const& root, std::string const& text) {
  auto const equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    fail(Exit::usage, "--set {}: needs the form KEY=VALUE, e.g. --set cv.folds=10", text);
  std::string const key = text.substr(0, equals);
  YAML::Node const value = parse(text.substr(equals + 1), "--set");
  std::vector<YAML::Node> chain{root};  // nodes are handles: assigning to one would change the tree
  std::size_t begin = 0;
  while (true) {
    auto const dot = key.find('.', begin);
    std::string const word = key.substr(begin, dot == std::string::npos ? dot : dot - begin);
    YAML::Node parent = chain.back();
    if (word.empty()) fail(Exit::usage, "--set {}: the key has an empty part", text);
    bool const by_number = parent.IsSequence() && is_index(word);
    if (parent.IsSequence() && !by_number)
      fail(Exit::usage, "--set {}: {} follows a list; name the element by its number, from 0", text, word);
    if (parent.IsScalar()) fail(Exit::usage, "--set {}: what stands before `{}` holds a single value", text, word);
    std::size_t const index = by_number ? std::stoul(word) : 0;
    if (by_number && index >= parent.size())
      fail(Exit::usage, "--set {}: the list has {} elements, so there is no {}", text, parent.size(), word);
    if (dot == std::string::npos) {
      if (by_number)
        parent[index] = value;
      else
        parent[word] = value;
      break;
    }
    if (!by_number && (!parent[word].IsDefined() || parent[word].IsNull()))
      parent[word] = YAML::Node(YAML::NodeType::Map);
    chain.push_back(by_number ? parent[index] : parent[word]);
    begin = dot + 1;
  }
  set_keys.push_back(key);
}

}  // namespace

std::string ConfigPlace::text() const {
  std::string out = file;
  if (line > 0) out += ": line " + std::to_string(line);
  if (!key.empty()) out += ": " + key;
  return out;
}

void config_error(ConfigPlace const& place, std::string const& message) {
  fail(Exit::config, "{}: {}", place.text(), message);
}

namespace config_detail {

void check_mapping(YAML::Node const& node, ConfigPlace const& place) {
  if (!node.IsMap()) config_error(place, "needs a mapping (key: value lines below it)");
  std::set<std::string> seen;
  for (auto const& entry : node) {
    if (!entry.first.IsScalar()) config_error(place, "has a key that is no word");
    std::string const name = entry.first.Scalar();
    if (!seen.insert(name).second) config_error(inside(place, name, entry.first), "stands twice; keep one of them");
  }
}

void read_mapping(Schema& schema, YAML::Node const& node, ConfigPlace const& place) {
  if (node.IsNull()) return need_required(schema, place);
  check_mapping(node, place);
  auto const names = names_of(schema);
  for (auto const& entry : node) {
    std::string const name = entry.first.Scalar();
    if (std::ranges::find(names, name) != names.end()) continue;
    if (!place.key.empty() && std::ranges::find(top_keys, name) != top_keys.end())
      config_error(inside(place, name, entry.first),
                   fmt::format("is not a key here; `{}` stands at the top level, beside `{}`", name,
                               place.key.substr(0, place.key.find_first_of(".["))));
    std::string better = nearest(name, names);
    if (std::string const below = deeper(schema, name); !below.empty()) better = below;
    config_error(inside(place, name, entry.first), better.empty()
                                                       ? "is not a key here; known are " + listed(names)
                                                       : "is not a key here; did you mean `" + better + "`?");
  }
  for (auto const& s : schema.settings()) {
    YAML::Node const value = node[s.name];
    ConfigPlace const here = inside(place, s.name, value.IsDefined() ? value : node);
    bool const given = value.IsDefined() && !value.IsNull();
    if (given)
      s.read(value, here);
    else if (s.meta.required)
      config_error(place, "`" + s.name + "` is missing: " + s.meta.doc);
    else if (s.nested && s.type == "mapping" && !s.keep_alive)
      need_required(*s.nested, here);
  }
}

nlohmann::ordered_json write_mapping(Schema const& schema, bool identity_only) {
  auto out = nlohmann::ordered_json::object();
  for (auto const& s : schema.settings())
    if (!identity_only || s.meta.identity) out[s.name] = s.write(identity_only);
  return out;
}

}  // namespace config_detail

void read_config(Schema& schema, ConfigText const& text) {
  namespace fs = std::filesystem;
  set_keys.clear();
  top_keys = names_of(schema);
  ConfigPlace place{fs::path(text.file).filename().string(), fs::absolute(text.file).parent_path(), "", 0};
  YAML::Node root = parse(text.text, place.file);
  if (root.IsNull() || !root.IsDefined()) root = YAML::Node(YAML::NodeType::Map);
  if (!root.IsMap()) config_error(place, "a config is one YAML mapping (key: value lines)");
  for (auto const& set : text.sets) apply_set(root, set);
  expand_variables(root, place);
  config_detail::read_mapping(schema, root, place);
}

nlohmann::ordered_json resolved(Schema const& schema, bool identity_only) {
  return config_detail::write_mapping(schema, identity_only);
}

std::string first_difference(nlohmann::ordered_json const& stored, nlohmann::ordered_json const& now) {
  if (stored == now) return "";
  if (!stored.is_object() || !now.is_object()) return "config";
  std::vector<std::string> keys;
  for (auto const& [key, value] : now.items()) keys.push_back(key);
  for (auto const& [key, value] : stored.items())
    if (!now.contains(key)) keys.push_back(key);
  for (auto const& key : keys) {
    if (!stored.contains(key) || !now.contains(key)) return key;
    auto const &a = stored[key], &b = now[key];
    if (a == b) continue;
    if (a.is_object() && b.is_object()) return key + "." + first_difference(a, b);
    if (!a.is_array() || !b.is_array() || a.size() != b.size()) return key;
    for (std::size_t i = 0; i < a.size(); ++i)
      if (a[i] != b[i])
        return a[i].is_object() && b[i].is_object() ? fmt::format("{}[{}].{}", key, i, first_difference(a[i], b[i]))
                                                    : key;
  }
  return "";  // the same values in another order
}

}  // namespace striate
