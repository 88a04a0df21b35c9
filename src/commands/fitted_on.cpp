#include "fitted_on.hpp"

#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/store/reduction_file.hpp"

namespace striate {

void check_fitted_on(std::filesystem::path const& file, std::map<std::string, std::string> const& here) {
  auto const fitted = read_reduction_file(file).attributes;
  auto const of = [](std::map<std::string, std::string> const& all, std::string const& name) {
    auto const at = all.find(name);
    std::string text = at == all.end() ? "" : at->second;
    // Convert says so, extract does not.
    if (std::string const end = " (dnnbrain)"; name == "pool" && text.ends_with(end)) text.resize(text.size() - end.size());
    return text;
  };
  std::string const method = of(fitted, "method");
  if (method == "gaussian" || method == "sparse" || method == "psd") return;
  auto const brief = [](std::string const& text) { return text.size() > 40 ? text.substr(0, 37) + "..." : text; };
  for (std::string const name : {"network", "weights_sha256", "pool", "preprocessing"}) {
    std::string const then = of(fitted, name), now = of(here, name);
    if (then.empty() || now.empty() || then == now) continue;
    if (name == "preprocessing")
      log::warn("{} was fitted on other preprocessing: {}, but here it is {}", file.filename().string(), then, now);
    else
      fail(Exit::data, "{} was fitted on another {}: {}, but here it is {}; fit it on such activations",
           file.filename().string(), name, brief(then), brief(now));
  }
}

}  // namespace striate
