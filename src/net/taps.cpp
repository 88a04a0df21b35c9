#include "taps.hpp"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inline_fork_wait.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/shape_analysis.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <cctype>
#include <exception>
#include <map>
#include <unordered_map>

namespace striate::net {
namespace {

namespace jit = torch::jit;

char const* const tap_name = "striate::tap";

/// The pass that this thread is running.
struct Running {
  TapListener* listener = nullptr;
  std::exception_ptr thrown;  ///< the interpreter would turn the listener's exception into text
};
thread_local Running* running = nullptr;

void tap(jit::Stack& stack) {
  auto const site = static_cast<std::size_t>(jit::pop(stack).toInt());
  auto const key = static_cast<std::size_t>(jit::pop(stack).toInt());
  c10::IValue const value = jit::pop(stack);
  TORCH_CHECK(running != nullptr, "striate: a layer was computed on a thread of LibTorch's own");
  try {
    running->listener->tapped(key, site, value);
  } catch (...) {
    running->thrown = std::current_exception();
    TORCH_CHECK(false, "striate: stopped by a tap");
  }
}

void register_tap() {
  // Conservative: no pass may drop, merge or move it past an operator that writes. By hand rather than by a static
  // object, which the linker would drop from a static library.
  static jit::RegisterOperators const once{{jit::Operator(std::string(tap_name) + "(t x, int key, int site) -> ()", tap,
                                                          c10::AliasAnalysisKind::CONSERVATIVE)}};
}

/// forward; forward1, forward2 … for repeated calls in traced graphs; forward__0 for overloads.
bool is_forward(std::string const& method) {
  if (method.rfind("forward", 0) != 0) return false;
  return std::all_of(method.begin() + 7, method.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0 || c == '_'; });
}

class Rewriter {
 public:
  Rewriter(jit::Module const& module, std::vector<TapKey> const& keys) {
    for (std::size_t k = 0; k < keys.size(); ++k) keys_.emplace(keys[k], k);
    graph_ = module.get_method("forward").graph()->copy();
    jit::InlineForkWait(graph_);
    paths_[graph_->inputs()[0]] = "";
  }

  TappedGraph run() {
    walk(graph_->block());
    jit::Inline(*graph_);  // what is left are plain functions
    std::map<std::string, int> counts;
    tap_operators(graph_->block(), counts);
    if (auto const key = keys_.find(""); key != keys_.end()) {
      jit::WithInsertPoint const here(graph_->return_node());
      insert_tap(graph_->outputs()[0], key->second);
    }
    TappedGraph out;
    out.graph = graph_;
    out.operators.assign(counts.begin(), counts.end());
    collect(graph_->block(), out.sites);
    return out;
  }

 private:
  void walk(jit::Block* block) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
      jit::Node* node = *it;
      ++it;
      if (node->kind() == c10::prim::GetAttr) {
        follow(node);
      } else if (node->kind() == c10::prim::CallMethod) {
        // The call's own body comes next, so that what it calls is met with its path known.
        if (jit::Node* before = inline_call(node, *it)) it = ++jit::graph_node_list_iterator(before, 0);
      } else {
        for (jit::Block* inner : node->blocks()) walk(inner);
      }
    }
  }

  /// Notes the path of a submodule that is taken out of a module.
  void follow(jit::Node* node) {
    if (!node->output()->type()->cast<c10::ClassType>()) return;
    auto const owner = paths_.find(node->input());
    if (owner == paths_.end()) return;
    std::string const name = node->s(c10::attr::name);
    paths_[node->output()] = owner->second.empty() ? name : owner->second + "." + name;
  }

  /// Returns the node before what was inlined, or null where the call stays.
  jit::Node* inline_call(jit::Node* node, jit::Node* next) {
    auto const owner = node->input(0)->type()->cast<c10::ClassType>();
    if (!owner) return nullptr;
    std::string const method = node->s(c10::attr::name);
    jit::GraphFunction* function = jit::tryToGraphFunction(owner->getMethod(method));
    if (function == nullptr) return nullptr;
    function->ensure_defined();
    auto const found = paths_.find(node->input(0));
    std::string const path = found == paths_.end() ? "" : found->second;
    jit::Node* before = node->prev();
    auto const outputs = jit::inlineCallTo(node, function, function->graph().get());
    auto const key = path.empty() || !is_forward(method) ? keys_.end() : keys_.find(path);
    if (key != keys_.end() && outputs.size() == 1) {
      jit::WithInsertPoint const here(next);
      insert_tap(outputs[0], key->second);
    }
    return before;
  }

  void insert_tap(jit::Value* value, std::size_t key) {
    jit::Value* key_value = graph_->insertConstant(static_cast<std::int64_t>(key));
    jit::Value* site_value = graph_->insertConstant(std::int64_t{-1});  // numbered by collect()
    graph_->insertNode(graph_->create(c10::Symbol::fromQualString(tap_name), {value, key_value, site_value}, 0));
  }

  void tap_operators(jit::Block* block, std::map<std::string, int>& counts) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
      jit::Node* node = *it;
      ++it;
      for (jit::Block* inner : node->blocks()) tap_operators(inner, counts);
      if (!node->kind().is_aten() || node->outputs().size() != 1) continue;
      if (!node->output()->type()->isSubtypeOf(*c10::TensorType::get())) continue;
      std::string const name = node->kind().toQualString();
      ++counts[name];
      if (auto const key = keys_.find(name); key != keys_.end()) {
        jit::WithInsertPoint const here(*it);
        insert_tap(node->output(), key->second);
      }
    }
  }

  void collect(jit::Block* block, std::vector<jit::Node*>& sites) {
    for (jit::Node* node : block->nodes()) {
      for (jit::Block* inner : node->blocks()) collect(inner, sites);
      if (node->kind() != c10::Symbol::fromQualString(tap_name)) continue;
      jit::WithInsertPoint const here(node);
      node->replaceInput(2, graph_->insertConstant(static_cast<std::int64_t>(sites.size())));
      sites.push_back(node);
    }
  }

  std::shared_ptr<jit::Graph> graph_;
  std::unordered_map<jit::Value*, std::string> paths_;
  std::map<TapKey, std::size_t> keys_;
};

/// The node of the graph's own block that holds `node`.
jit::Node* outermost(jit::Node* node, jit::Graph const& graph) {
  while (node->owningBlock() != graph.block()) node = node->owningBlock()->owningNode();
  return node;
}

}  // namespace

TappedGraph tap_graph(torch::jit::Module const& module, std::vector<TapKey> const& keys) {
  register_tap();
  return Rewriter(module, keys).run();
}

void cut_behind(TappedGraph& tapped, std::set<std::size_t> const& sites) {
  jit::Graph& graph = *tapped.graph;
  std::set<jit::Node*> keep;
  for (std::size_t const site : sites) keep.insert(outermost(tapped.sites[site], graph));
  {  // Nobody asks for the value of the pass: the taps have handed out what was wanted.
    jit::WithInsertPoint const here(graph.block()->nodes().front());
    jit::Value* none = graph.insertConstant(c10::IValue());
    while (!graph.outputs().empty()) graph.eraseOutput(graph.outputs().size() - 1);
    graph.registerOutput(none);
  }
  while (keep.count(graph.return_node()->prev()) == 0 && graph.return_node()->prev()->kind() != c10::prim::Param &&
         graph.return_node()->prev() != graph.outputs()[0]->node())
    graph.return_node()->prev()->destroy();
  jit::EliminateDeadCode(tapped.graph);
}

torch::jit::Code compile(TappedGraph const& tapped) {
  auto graph = tapped.graph->copy();
  jit::EraseShapeInformation(graph);  // a traced file carries the shapes of its example
  jit::runRequiredPasses(graph);
  return jit::Code(graph, "striate");
}

void run_tapped(torch::jit::Code const& code, std::vector<c10::IValue> inputs, TapListener& listener) {
  Running mine;
  mine.listener = &listener;
  Running* const outer = std::exchange(running, &mine);
  try {
    jit::InterpreterState(code).run(inputs);
  } catch (...) {
    running = outer;
    if (mine.thrown) std::rethrow_exception(mine.thrown);
    throw;
  }
  running = outer;
}

}  // namespace striate::net
