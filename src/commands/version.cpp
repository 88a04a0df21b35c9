/// Versions of everything that a result may depend on.
#include <spdlog/version.h>
#include <tbb/version.h>

#include "frame.hpp"
#include "striate/base/error.hpp"
#include "striate/base/version.hpp"
#include "striate/math/blas.hpp"
#include "striate/math/panel_product.hpp"
#include "striate/net/network.hpp"
#include "striate/par/mpi.hpp"
#include "striate/stimuli/media.hpp"
#include "striate/store/h5.hpp"

namespace striate {

std::map<std::string, std::string> library_versions() {
  return {
      {"LibTorch", torch_version() + (torch_has_cuda() ? " with CUDA" : " without CUDA")},
      {"HDF5", h5::version() + (h5::is_parallel() ? " parallel" : " serial")},
      {"MPI", Mpi::library()},
      {"BLAS", blas::description()},
      {"products", panel_product_kernel()},
      {"oneTBB", TBB_runtime_version()},
      {"MPI-IO", Mpi::io_choice()},
      {"FFmpeg", media_libraries().empty() ? "none: video and sound cannot be read" : media_libraries()},
  };
}

void print_version(std::ostream& out) {
  out << "striate " << version() << " (" << git_commit() << ", " << build_type() << ")\n";
  for (auto const& [name, text] : library_versions())
    if (!text.empty()) out << fmt::format("  {:<10} {}\n", name, text);
}

}  // namespace striate
