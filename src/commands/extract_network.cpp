#include "extract_network.hpp"

#include <map>

#include "striate/base/hash.hpp"
#include "striate/net/self_test.hpp"
#include "striate/par/together.hpp"

namespace striate {
namespace {

namespace fs = std::filesystem;

fs::path weights_file(Context const& context, ExtractConfig const& config, Card const& card) {
  if (!config.weights && card.weights.empty())
    fail(Exit::config, "weights: {} names no TorchScript file; set weights:", card.file.filename().string());
  fs::path const weights = config.weights ? *config.weights : fs::path(card.weights);
  if (weights.is_absolute()) return weights;
  fs::path const beside = context.config_file.parent_path() / weights;
  return fs::exists(beside) ? beside : card.file.parent_path() / weights;
}

/// The card's name that is nearest to a layer that the network does not have.
std::string from_the_card(std::string const& message, std::vector<std::string> const& layers, Card const& card) {
  if (message.find("is no layer of") == std::string::npos) return "";
  std::vector<std::string> names;
  for (auto const& layer : card.layers) names.push_back(layer.first);
  for (auto const& asked : layers)
    if (std::string const near = nearest(asked, names); message.starts_with("layers: " + asked + " ") && !near.empty())
      return fmt::format(" (the card has `{}`)", near);
  return fmt::format(" (`striate info {}` lists the card's names)", card.file.string());
}

/// transform_input: false and true, and what compat: dnnbrain makes of it.
void switch_transform(Context const& context, ExtractConfig const& config, Card& card) {
  std::int64_t inside = -1;
  together(context.comm, [&] {
    if (context.comm.root())
      if (auto const says = transform_input_of(weights_file(context, config, card))) inside = *says ? 1 : 0;
  });
  inside = context.comm.max(inside);
  if (inside >= 0)
    set_transform_input(card.preprocessing, inside == 1, card.transform_input.value_or(false));
  else if (card.transform_input)
    fail(Exit::config,
         "preprocessing.transform_input: {} does not say whether it converts its input, as torchvision's GoogLeNet and "
         "Inception v3 do; export one of these without --trace, or leave this key out",
         weights_file(context, config, card).filename().string());
}

}  // namespace

Card find_card(Context const& context, ExtractConfig const& config) {
  Card card;
  together(context.comm, [&] {
    card = find_card(config.network, context.config_file.parent_path());
    if (!config.preprocessing.keys.empty()) card = override_card(std::move(card), config.preprocessing.keys);
  });
  if (card.transform_input || card.undo_transform) switch_transform(context, config, card);
  return card;
}

ExtractNetwork load_network(Context const& context, ExtractConfig const& config, Card card,
                            std::vector<std::size_t> const& input, UnitChoice const& units) {
  ExtractNetwork loaded;
  loaded.card = std::move(card);
  together(context.comm, [&] {
    loaded.weights = weights_file(context, config, loaded.card);
    NetworkOptions options;
    options.device = config.device;
    options.autocast = config.autocast;
    options.local_rank = context.comm.node().rank();
    std::map<std::string, Pool> const pools{{"none", Pool::none},     {"max", Pool::max}, {"mean", Pool::mean},
                                            {"median", Pool::median}, {"l1", Pool::l1},   {"l2", Pool::l2}};
    // Where the network runs there is less to bring away; what only stages can do is left to them (make_paths).
    bool const pools_here = config.pool_over == "space" && config.compat == "none";
    options.pool = pools_here ? pools.at(config.pool) : Pool::none;
    options.whole = units.pooled_later(loaded.card);
    auto const layers = units.asked(config);
    try {
      loaded.network = std::make_unique<Network>(loaded.weights, resolve_layers(layers, loaded.card), input, options);
    } catch (Error const& error) {
      std::string const message = error.what() + from_the_card(error.what(), layers, loaded.card);
      throw Error(error.code(), config.layers ? message : units.explain(message));
    }
    if (!context.comm.root()) return;
    options.autocast = "none";  // what the card knows is of full precision
    loaded.weights_sha256 = sha256_file(loaded.weights);
    loaded.self_test = !config.self_test ? "left out, as the config says"
                                         : self_test(find_card(config.network, context.config_file.parent_path()),
                                                     loaded.weights, loaded.weights_sha256, options);
  });
  context.comm.broadcast(loaded.weights_sha256, 0);
  context.comm.broadcast(loaded.self_test, 0);
  return loaded;
}

}  // namespace striate
