#!/usr/bin/env bash
# Installs what is missing, configures and builds striate into build/. Run it again at any time: it does only what is left.
#   usage: ./setup.sh [--with-demo | --with-tests] [--no-build] [--jobs N] [-- CMAKE OPTION...]
# --with-demo adds the Python packages of jobs/demo.sh, --with-tests those and SLURM as well.
# With apt and root (or sudo) the Debian packages that are missing are installed; elsewhere (a cluster's login node) it
# checks what is there and says, a line each, what to load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

extra=none build=yes jobs=''
while (($#)); do
  case $1 in
    --with-demo) extra=demo ;;
    --with-tests) extra=tests ;;
    --no-build) build=no ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --jobs=*) jobs=${1#*=} ;;
    --) shift; break ;;
    *) sed -n '2,5s/^# *//p' "$0" >&2; exit 64 ;;
  esac
  shift
done
cmake_options=("$@")

packages=(g++ cmake ninja-build ccache pkg-config git ca-certificates xz-utils libtorch-dev libopenmpi-dev openmpi-bin
  libhdf5-openmpi-dev hdf5-tools libnifti-dev libtbb-dev libeigen3-dev libgtest-dev libbenchmark-dev libyaml-cpp-dev
  libcli11-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libopenblas-pthread-dev libturbojpeg0-dev libpng-dev libssl-dev
  zlib1g-dev libavformat-dev libavcodec-dev libswscale-dev)
demo_packages=(python3-torch python3-torchvision python3-sklearn python3-skimage python3-pil python3-h5py)
test_packages=("${demo_packages[@]}" python3-scipy python3-nibabel slurm-wlm munge)

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
can_install() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null || return 1
  [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

install_packages() {
  local -a missing=()
  local name state
  for name in "$@"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$name")
  done
  if [ ${#missing[@]} = 0 ]; then echo "setup: all $# packages are installed"; return; fi
  echo "setup: installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "setup: apt-get could not install ${missing[*]} (its last lines are above; all of it in $log)" >&2
    exit 1
  fi
  rm -f "$log"
}

# --- no apt, or no right to use it: look, and say what to load --------------------------------------------------------
problems=0
check() { # WHAT HOW TEST...
  local what=$1 how=$2
  shift 2
  if "$@" >/dev/null 2>&1; then echo "  found    $what"; else echo "  MISSING  $what: $how"; problems=$((problems + 1)); fi
}
compiles() { # LANGUAGE SOURCE OPTION... : does the source compile, with the module's include paths in the environment?
  local compiler=$1 source=$2
  shift 2
  echo "$source" | "$compiler" -std=c++20 -x c++ -fsyntax-only "$@" -
}
in_prefixes() { # FILE...: is one of them below CMAKE_PREFIX_PATH or the system's prefixes?
  local prefix file loaded=${CMAKE_PREFIX_PATH:-}:${CPATH:-}
  loaded=${loaded//\/include/}
  for prefix in ${loaded//[:;]/ } /usr /usr/local; do
    for file in "$@"; do
      compgen -G "$prefix/$file" && return 0
    done
  done
  return 1
}
torch_found() { in_prefixes 'share/cmake/Torch/TorchConfig.cmake' 'lib*/cmake/Torch/TorchConfig.cmake' 'lib/*/cmake/Torch/TorchConfig.cmake'; }
parallel_hdf5() {
  command -v h5pcc >/dev/null && return 0
  compiles mpicxx '#include <hdf5.h>
#ifndef H5_HAVE_PARALLEL
#error serial
#endif'
}
blas_and_lapack() { # does one of the usual pairs link, from where the loaded modules keep their libraries?
  local folder folders=${LIBRARY_PATH:-}:${LD_LIBRARY_PATH:-}:${MKLROOT:+$MKLROOT/lib:$MKLROOT/lib/intel64} names out
  local -a where=()
  for folder in ${CMAKE_PREFIX_PATH:+${CMAKE_PREFIX_PATH//[:;]/ }}; do folders+=:$folder/lib:$folder/lib64; done
  for folder in ${folders//:/ }; do where+=("-L$folder" "-Wl,-rpath-link,$folder"); done
  out=$(mktemp)
  for names in '' -lopenblas -lflexiblas -lmkl_rt '-llapack -lblas' '-llapack -lblis'; do # none: Cray's compilers link theirs
    # shellcheck disable=SC2086  # one option or two
    if echo 'extern "C" { void dpotrf_(); void sgemm_(); } int main() { dpotrf_(); sgemm_(); }' |
      "${CXX:-c++}" -x c++ - -o "$out" "${where[@]}" $names; then rm -f "$out"; return 0; fi
  done
  rm -f "$out"
  return 1
}
check_by_hand() {
  echo "setup: no apt or no root here; checking what is loaded:"
  check "a C++20 compiler" "load GCC 11 or newer (or Clang 14), e.g. module load gcc/12" compiles "${CXX:-c++}" '#include <span>
#include <concepts>
int main() {}'
  check "CMake >= 3.20" "module load cmake" bash -c "v=\$(cmake --version | sed -n '1s/[^0-9]*//p') && [ \"\$(printf '3.20\\n%s\\n' \"\$v\" | sort -V | head -n1)\" = 3.20 ]"
  check "Ninja" "module load ninja" command -v ninja
  check "pkg-config" "module load pkgconf (or pkg-config)" command -v pkg-config
  check "pkg-config's libturbojpeg" "module load libjpeg-turbo, or add the folder of its libturbojpeg.pc to PKG_CONFIG_PATH" \
    pkg-config --exists libturbojpeg
  pkg-config --exists libavformat libavcodec libswscale ||
    echo "  note     FFmpeg's libraries: without them video and sound cannot be read; module load ffmpeg"
  check "BLAS and LAPACK" "module load openblas (or flexiblas, or MKL with -- -DBLA_VENDOR=Intel10_64lp)" blas_and_lapack
  check "MPI (mpicxx, mpiexec)" "module load openmpi (or MPICH, Intel MPI)" command -v mpicxx
  check "parallel HDF5" "module load hdf5-mpi, or set HDF5_ROOT to a build with MPI; a serial one is refused" parallel_hdf5
  check "LibTorch" "unpack libtorch-cxx11-abi-shared-with-deps (pytorch.org) and export CMAKE_PREFIX_PATH=/path/to/libtorch" torch_found
  local entry
  for entry in "oneTBB:oneapi/tbb.h tbb/tbb.h:module load tbb" "Eigen 3:eigen3/Eigen/Dense Eigen/Dense:module load eigen" \
    "yaml-cpp:yaml-cpp/yaml.h:module load yaml-cpp" "CLI11:CLI/CLI.hpp:module load cli11" \
    "nlohmann-json:nlohmann/json.hpp:module load nlohmann_json" "fmt:fmt/core.h:module load fmt" \
    "spdlog:spdlog/spdlog.h:module load spdlog" "TurboJPEG:turbojpeg.h:module load libjpeg-turbo" \
    "zlib:zlib.h:module load zlib" "OpenSSL:openssl/evp.h:module load openssl" "libpng:png.h libpng16/png.h:module load libpng" "nifti_clib:nifti/nifti2_io.h nifti2_io.h:build github.com/NIFTI-Imaging/nifti_clib" \
    "GoogleTest:gtest/gtest.h:module load googletest, or configure with -DSTRIATE_TESTS=OFF"; do
    local what=${entry%%:*} rest=${entry#*:}
    local -a headers=()
    local header
    for header in ${rest%%:*}; do headers+=("include/$header" "include/*/$header"); done
    check "$what" "${rest#*:}, or add its folder to CMAKE_PREFIX_PATH" in_prefixes "${headers[@]}"
  done
  if ((problems)); then
    echo "setup: $problems things are missing; load them (module spider NAME finds modules) and run setup.sh again" >&2
    exit 1
  fi
}

if can_install; then
  wanted=("${packages[@]}")
  case $extra in
    demo) wanted+=("${demo_packages[@]}") ;;
    tests) wanted+=("${test_packages[@]}") ;;
  esac
  install_packages "${wanted[@]}"
else
  check_by_hand
fi

[ "$build" = yes ] || exit 0
# A core needs about 1.5 GB while it compiles LibTorch's headers.
if [ -z "$jobs" ]; then
  jobs=$(env -u OMP_NUM_THREADS nproc) # nproc heeds that variable
  by_memory=$(awk '/MemAvailable/{n = int($2 / 1.5e6); print n < 1 ? 1 : n}' /proc/meminfo)
  if ((by_memory < jobs)); then jobs=$by_memory; fi
fi
echo "setup: configuring and building into build/ with $jobs jobs"
cmake --preset release ${cmake_options[0]:+"${cmake_options[@]}"} >build.log 2>&1 || { grep -A4 'CMake Error' build.log >&2 || tail -n 20 build.log >&2; echo "setup: configuring failed (all of it in build.log)" >&2; exit 1; }
cmake --build build -j "$jobs" || { echo "setup: the build failed" >&2; exit 1; }
rm -f build.log
echo "setup: done: $(build/striate --version 2>/dev/null | head -n 1) in build/striate"
