// Which engine makes the products of `encode`, and what it asks of the other settings.
#include "encode_run.hpp"
#include "striate/base/error.hpp"
#include "striate/base/log.hpp"
#include "striate/par/together.hpp"

namespace striate::encode {

/// A GPU wants wide products.
std::size_t engine_width(Config const& config) {
  return config.engine == "torch" ? static_cast<std::size_t>(config.target_tile.value_or(4 * target_tile))
                                  : target_tile;
}

void check_engine(Config const& c, EncodingModel const& model) {
  if (c.engine == "blas" && c.device == "cuda")
    fail(Exit::config, "device: cuda is of engine: torch, but engine is blas; set engine: torch, or remove device");
  if (c.engine != "blas" && !model.takes_engine())
    fail(Exit::config, "engine: {} is there for ridge, ols and banded_ridge, but model.type is {}; use engine: blas",
         c.engine, c.model.type);
}

std::shared_ptr<Engine const> make_engine(Context& context, Config const& config) {
  std::shared_ptr<Engine const> engine(&blas_engine(), [](Engine const*) {});
  together(context.comm, [&] {
    if (config.engine == "blas") return;
    if (!context.torch_engine) fail(Exit::internal, "engine: torch is asked of a program without LibTorch");
    engine = context.torch_engine(config.device, context.comm);
  });
  bool const gpu = engine->device() == "cuda";
  if (context.comm.max(std::int64_t{gpu}) != context.comm.min(std::int64_t{gpu}))
    fail(Exit::config, "device: auto is a GPU for some ranks and the CPU for others; set device: cuda or cpu");
  // Not what `auto` means, but what it came to: a GPU's last digits are others than a CPU's.
  context.identity["device"] = engine->device();
  context.details["engine"] = engine->text();
  if (config.engine != "blas") log::info("engine: {}", engine->text());
  return engine;
}

}  // namespace striate::encode
