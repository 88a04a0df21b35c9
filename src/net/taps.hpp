#pragma once
/// Forward hooks for TorchScript: the graph of `forward` is inlined call by call, remembering which module each call
/// belongs to, and an operator that hands its input to a listener is put behind the calls that were asked for. LibTorch
/// itself offers nothing of the kind.
#include <torch/script.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/interpreter.h>

namespace striate::net {

/// The key of a tap: a module path ("features.0"), an operator ("aten::relu"), or empty for the network's own output.
using TapKey = std::string;

/// Called by the taps of a pass, on the thread that runs it. An exception ends the pass and comes out of run_tapped.
class TapListener {
 public:
  virtual ~TapListener() = default;
  /// `key`: index into the keys; `site`: index into the sites. What `value` holds may be overwritten by operators that
  /// work in place as soon as this returns.
  virtual void tapped(std::size_t key, std::size_t site, c10::IValue const& value) = 0;
};

struct TappedGraph {
  std::shared_ptr<torch::jit::Graph> graph;  ///< inlined; inputs: the module, the pixels, further arguments
  std::vector<torch::jit::Node*> sites;      ///< the tap operators, in order of the graph
  std::vector<std::pair<std::string, int>>
      operators;  ///< operators that a key may name, and how often each stands there
};

/// The graph of `module.forward` with a tap at every place where one of the keys is called: calls in branches and loops
/// too, and every call of a module that is called several times.
[[nodiscard]] TappedGraph tap_graph(torch::jit::Module const& module, std::vector<TapKey> const& keys);

/// Drops what runs after the last of the sites, and what nothing else needs.
void cut_behind(TappedGraph& tapped, std::set<std::size_t> const& sites);

/// Ready to run: interpreted as it stands, without profiling, fusion or autograd.
[[nodiscard]] torch::jit::Code compile(TappedGraph const& tapped);

/// One pass. Throws what the listener threw, or what LibTorch threw.
void run_tapped(torch::jit::Code const& code, std::vector<c10::IValue> inputs, TapListener& listener);

}  // namespace striate::net
