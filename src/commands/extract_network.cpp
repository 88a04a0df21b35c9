#include "extract_network.hpp"

#include <map>

#include "striate/base/hash.hpp"
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
std::string from_the_card(std::string const& message, ExtractConfig const& config, Card const& card) {
  if (message.find("is no layer of") == std::string::npos) return "";
  std::vector<std::string> names;
  for (auto const& layer : card.layers) names.push_back(layer.first);
  for (auto const& asked : config.layers.value_or(std::vector<std::string>{}))
    if (std::string const near = nearest(asked, names); message.starts_with("layers: " + asked + " ") && !near.empty())
      return fmt::format(" (the card has `{}`)", near);
  return fmt::format(" (`striate info {}` lists the card's names)", card.file.string());
}

}  // namespace

Card find_card(Context const& context, ExtractConfig const& config) {
  Card card;
  together(context.comm, [&] { card = find_card(config.network, context.config_file.parent_path()); });
  return card;
}

ExtractNetwork load_network(Context const& context, ExtractConfig const& config, Card card,
                            std::vector<std::size_t> const& input) {
  ExtractNetwork loaded;
  loaded.card = std::move(card);
  together(context.comm, [&] {
    loaded.weights = weights_file(context, config, loaded.card);
    NetworkOptions options;
    options.device = config.device;
    options.local_rank = context.comm.node().rank();
    std::map<std::string, Pool> const pools{{"none", Pool::none},     {"max", Pool::max}, {"mean", Pool::mean},
                                            {"median", Pool::median}, {"l1", Pool::l1},   {"l2", Pool::l2}};
    options.pool = pools.at(config.pool);
    try {
      loaded.network =
          std::make_unique<Network>(loaded.weights, resolve_layers(config.layers.value_or(std::vector<std::string>{"all"}), loaded.card), input, options);
    } catch (Error const& error) {
      throw Error(error.code(), error.what() + from_the_card(error.what(), config, loaded.card));
    }
    if (context.comm.root()) loaded.weights_sha256 = sha256_file(loaded.weights);
  });
  context.comm.broadcast(loaded.weights_sha256, 0);
  return loaded;
}

}  // namespace striate
