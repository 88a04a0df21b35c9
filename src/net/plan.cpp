#include "plan.hpp"

#include <algorithm>

#include "load.hpp"
#include "striate/base/config.hpp"
#include "striate/base/error.hpp"

namespace striate::net {
namespace {

struct Event {
  std::size_t key, site;
  int call;
  c10::IValue value;
};

/// Keeps all that the taps of one pass over one image hand out.
class Recorder : public TapListener {
 public:
  explicit Recorder(std::size_t keys) : calls_(keys) {}
  void tapped(std::size_t key, std::size_t site, c10::IValue const& value) override {
    events.push_back({key, site, calls_[key]++, value});
  }
  [[nodiscard]] int calls(std::size_t key) const { return calls_[key]; }
  std::vector<Event> events;

 private:
  std::vector<int> calls_;
};

std::vector<std::string> first_of(std::vector<std::pair<std::string, std::string>> const& pairs) {
  std::vector<std::string> out;
  for (auto const& pair : pairs) out.push_back(pair.first);
  return out;
}

std::vector<c10::IValue> defaults_of_forward(torch::jit::Module const& module, std::string const& file) {
  auto const& arguments = module.get_method("forward").function().getSchema().arguments();
  if (arguments.size() < 2) fail(Exit::data, "weights: {}: its forward takes no input", file);
  std::vector<c10::IValue> out;
  for (std::size_t i = 2; i < arguments.size(); ++i) {
    if (!arguments[i].default_value())
      fail(Exit::data,
           "weights: {}: its forward wants a further input `{}`; export a network whose forward takes images alone",
           file, arguments[i].name());
    out.push_back(*arguments[i].default_value());
  }
  return out;
}

class Planner {
 public:
  Planner(torch::jit::Module const& module, at::Tensor const& zeros, std::string file)
      : module_(module), zeros_(zeros), file_(std::move(file)), types_(paths_of(module)), modules_(first_of(types_)) {}

  Plan run(std::vector<LayerRequest> const& layers) {
    plan_.defaults = defaults_of_forward(module_, file_);
    std::vector<std::string> patterns;
    for (auto const& layer : layers)
      if (is_pattern(layer.path))
        patterns.push_back(layer.path);
      else
        plan_.requests.push_back(parse_request(layer, modules_));
    collect_keys(patterns);
    TappedGraph tapped = tap_graph(module_, plan_.keys);
    for (auto const& request : plan_.requests) check_operator(request, tapped);
    Recorder recorder(plan_.keys.size());
    probe(tapped, recorder);
    for (auto const& pattern : patterns) add_modules(pattern, recorder);
    plan_.wants.resize(plan_.keys.size());
    std::set<std::size_t> needed;
    for (std::size_t i = 0; i < plan_.requests.size(); ++i) needed.insert(settle(i, recorder));
    cut_behind(tapped, needed);
    plan_.code = compile(tapped);
    return std::move(plan_);
  }

 private:
  void collect_keys(std::vector<std::string> const& patterns) {
    for (auto const& request : plan_.requests)
      if (key_index(request.key) == plan_.keys.size()) plan_.keys.push_back(request.key);
    for (auto const& path : modules_)
      if (std::ranges::any_of(patterns, [&](auto const& pattern) { return matches(pattern, path); }) &&
          key_index(path) == plan_.keys.size())
        plan_.keys.push_back(path);
  }

  [[nodiscard]] std::size_t key_index(TapKey const& key) const {
    return static_cast<std::size_t>(std::find(plan_.keys.begin(), plan_.keys.end(), key) - plan_.keys.begin());
  }

  void check_operator(Request const& request, TappedGraph const& tapped) const {
    if (request.key.rfind("aten::", 0) != 0) return;
    std::vector<std::string> known;
    for (auto const& [name, count] : tapped.operators) known.push_back(name);
    if (std::find(known.begin(), known.end(), request.key) != known.end()) return;
    std::string const near = nearest(request.key, known);
    fail(Exit::data, "layers: {}: the network has no operator {}{}", request.asked, request.key,
         near.empty() ? "" : "; did you mean `" + near + "`?");
  }

  void probe(TappedGraph const& tapped, Recorder& recorder) const {
    std::vector<c10::IValue> inputs{module_._ivalue(), zeros_};
    inputs.insert(inputs.end(), plan_.defaults.begin(), plan_.defaults.end());
    try {
      run_tapped(compile(tapped), inputs, recorder);
    } catch (Error const&) {
      throw;
    } catch (std::exception const& error) {
      fail(Exit::data, "weights: {} does not take an input of {} × {} × {} ({}); check `input` of the network's card",
           file_, zeros_.size(1), zeros_.size(2), zeros_.size(3), brief(error));
    }
  }

  /// Every call of every module of a pattern that gives a tensor of a rank that can be stored, in order of execution.
  void add_modules(std::string const& pattern, Recorder const& recorder) {
    bool met = false;
    for (auto const& event : recorder.events) {
      TapKey const& path = plan_.keys[event.key];
      if (path.empty() || path.rfind("aten::", 0) == 0 || !matches(pattern, path)) continue;
      met = true;
      std::string const name = recorder.calls(event.key) > 1 ? path + "#" + std::to_string(event.call) : path;
      Request request{name, name, path, event.call, {}};
      auto const taken = [&](Request const& other) { return other.name == name; };
      if (std::any_of(plan_.requests.begin(), plan_.requests.end(), taken)) continue;
      if (!event.value.isTensor() && !event.value.isTuple()) continue;
      try {
        at::Tensor const value = pick(event.value, request);
        if (value.dim() > 0 && value.dim() <= 5 && value.size(0) == 1) plan_.requests.push_back(request);
      } catch (Error const&) {  // gives no tensor: nothing to store
      }
    }
    if (!met)
      fail(Exit::data, "layers: {} is matched by no layer of the card and by no module of {} that is executed", pattern,
           file_);
  }

  /// Finds the call that a request means, and the tap that hands it out.
  std::size_t settle(std::size_t index, Recorder const& recorder) {
    Request& request = plan_.requests[index];
    std::size_t const key = key_index(request.key);
    int const calls = recorder.calls(key);
    if (calls == 0) never_executed(request);
    if (request.key.empty()) check_output(request, recorder);
    if (!request.call && calls > 1)
      fail(Exit::data, "layers: {} is called {} times in a pass; ask for {}#0 to {}#{}", request.key, calls,
           request.key, request.key, calls - 1);
    if (request.call && *request.call >= calls)
      fail(Exit::data, "layers: {}: {} is called {} {} in a pass; the last is {}#{}", request.asked, request.key, calls,
           calls == 1 ? "time" : "times", request.key, calls - 1);
    request.call = request.call.value_or(0);
    plan_.wants[key].push_back({*request.call, index});
    for (auto const& event : recorder.events) {
      if (event.key != key || event.call != *request.call) continue;
      (void)pick(event.value, request);
      return event.site;
    }
    fail(Exit::internal, "layers: {}: its tap is lost", request.asked);
  }

  [[noreturn]] void never_executed(Request const& request) const {
    for (auto const& [path, type] : types_) {
      if (path != request.key) continue;
      bool const container = type.rfind("Module", 0) == 0;  // ModuleList, ModuleDict
      fail(Exit::data, "layers: {} is never executed: {}", request.asked,
           container
               ? "it is a list of modules that the network calls one by one; ask for one of them"
               : "the network's forward does not come by it in evaluation mode (an auxiliary branch?); take it out");
    }
    fail(Exit::data, "layers: {} is never executed; take it out", request.asked);
  }

  /// A name that is no module must be a key of what forward returns, else it is unknown.
  void check_output(Request const& request, Recorder const& recorder) const {
    if (request.asked.rfind("output", 0) == 0 && (request.asked.size() == 6 || request.asked[6] == ':')) return;
    std::vector<std::string> known = modules_;
    for (auto const& event : recorder.events) {
      if (!plan_.keys[event.key].empty()) continue;
      auto const names = names_in(event.value);
      if (std::find(names.begin(), names.end(), request.element.front()) != names.end()) return;
      known.insert(known.end(), names.begin(), names.end());
    }
    if (is_frozen(module_))
      fail(Exit::data,
           "layers: {}: {} is frozen, so that its modules and their names are gone; export it again without "
           "torch.jit.freeze or optimize_for_inference (tools/export_network.py)",
           request.asked, file_);
    known.push_back("output");
    std::string const near = nearest(request.asked, known);
    std::string some;
    for (std::size_t i = 0; i < std::min<std::size_t>(known.size(), 6); ++i) some += (i ? ", " : "") + known[i];
    fail(Exit::data, "layers: {} is no layer of {}{}", request.asked, file_,
         near.empty() ? fmt::format("; some of its {} modules: {}", known.size(), some)
                      : "; did you mean `" + near + "`?");
  }

  torch::jit::Module const& module_;
  at::Tensor const& zeros_;
  std::string file_;
  std::vector<std::pair<std::string, std::string>> types_;
  std::vector<std::string> modules_;
  Plan plan_;
};

}  // namespace

Plan make_plan(torch::jit::Module const& module, std::vector<LayerRequest> const& layers, at::Tensor const& zeros,
               std::string const& file) {
  return Planner(module, zeros, file).run(layers);
}

}  // namespace striate::net
