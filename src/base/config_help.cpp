#include "striate/base/config.hpp"

#include "striate/base/error.hpp"

namespace striate {
namespace {

std::string default_text(Setting const& s) {
  if (s.meta.required) return "required";
  if (s.nested) return "";
  auto const& value = s.default_value;
  if (value.is_null() || (value.is_string() && value.get<std::string>().empty()) || (value.is_array() && value.empty()))
    return "";
  return "default " + (value.is_string() ? value.get<std::string>() : value.dump());
}

std::string type_text(Setting const& s) {
  if (s.meta.choices.empty()) return s.type;
  std::string text;
  for (auto const& choice : s.meta.choices) text += (text.empty() ? "" : " | ") + choice;
  return s.type.find('[') == std::string::npos ? text : text + ", or a list of them";
}

std::string facts(Setting const& s) {
  std::string text = type_text(s);
  if (!s.meta.unit.empty()) text += ", " + s.meta.unit;
  if (s.meta.min && s.meta.max)
    text += fmt::format(", {:g} to {:g}", *s.meta.min, *s.meta.max);
  else if (s.meta.min)
    text += fmt::format(", from {:g}", *s.meta.min);
  else if (s.meta.max)
    text += fmt::format(", up to {:g}", *s.meta.max);
  if (auto const d = default_text(s); !d.empty()) text += "; " + d;
  return text;
}

void add_help(Schema const& schema, std::string const& indent, std::string& out) {
  for (auto const& s : schema.settings()) {
    std::string const name = indent + s.name + ":";
    out += fmt::format("{:<24} {}\n{:<24}   ({}){}\n", name, s.meta.doc, "", facts(s),
                       s.meta.example.empty() ? "" : "  e.g. " + s.meta.example);
    if (s.nested) add_help(*s.nested, indent + (s.list_of_mappings ? "  - " : "  "), out);
  }
}

std::string escaped(std::string text) {
  std::string out;
  for (char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

void add_markdown(Schema const& schema, std::string const& prefix, std::string& out) {
  for (auto const& s : schema.settings()) {
    std::string const d = default_text(s);
    std::string range;
    if (s.meta.min) range += fmt::format(" ≥ {:g}", *s.meta.min);
    if (s.meta.max) range += fmt::format(" ≤ {:g}", *s.meta.max);
    out += fmt::format("| `{}{}` | {}{}{} | {} | {}{} |\n", prefix, s.name, escaped(type_text(s)), range,
                       s.meta.unit.empty() ? "" : " " + s.meta.unit,
                       d == "required" ? "required" : escaped(d.starts_with("default ") ? d.substr(8) : ""),
                       escaped(s.meta.doc), s.meta.example.empty() ? "" : ", e.g. `" + escaped(s.meta.example) + "`");
    if (s.nested) add_markdown(*s.nested, prefix + s.name + (s.list_of_mappings ? "[]." : "."), out);
  }
}

void add_yaml(Schema const& schema, std::string const& indent, std::string& out) {
  for (auto const& s : schema.settings()) {
    std::string value = s.meta.example;
    if (!s.nested && value.empty() && !s.default_value.is_null())
      value = s.default_value.is_string() ? s.default_value.get<std::string>() : s.default_value.dump();
    if (s.nested) value = "";
    out += fmt::format("{:<40} # {} ({})\n", indent + s.name + ":" + (value.empty() ? "" : " " + value), s.meta.doc,
                       facts(s));
    if (s.nested) add_yaml(*s.nested, indent + (s.list_of_mappings ? "  # - " : "  "), out);
  }
}

}  // namespace

std::string help_text(Schema const& schema) {
  std::string out;
  add_help(schema, "  ", out);
  return out;
}

std::string help_markdown(Schema const& schema) {
  std::string out = "| key | type | default | what |\n| --- | --- | --- | --- |\n";
  add_markdown(schema, "", out);
  return out;
}

std::string reference_yaml(Schema const& schema) {
  std::string out;
  add_yaml(schema, "", out);
  return out;
}

}  // namespace striate
