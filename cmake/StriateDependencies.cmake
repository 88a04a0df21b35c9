# Every library striate stands on, each with one clear line where it is missing.
function(striate_need found what debian)
  if(NOT ${found})
    message(FATAL_ERROR "striate needs ${what}. Debian/Ubuntu: apt-get install ${debian}; "
                        "clusters: load its module or add its folder to CMAKE_PREFIX_PATH.")
  endif()
endfunction()

find_package(Threads REQUIRED)
find_package(PkgConfig QUIET)
striate_need(PKG_CONFIG_FOUND "pkg-config" "pkg-config")

find_package(fmt QUIET)
striate_need(fmt_FOUND "fmt" "libfmt-dev")
find_package(spdlog QUIET)
striate_need(spdlog_FOUND "spdlog" "libspdlog-dev")
find_package(yaml-cpp QUIET)
striate_need(yaml-cpp_FOUND "yaml-cpp" "libyaml-cpp-dev")
find_package(nlohmann_json QUIET)
striate_need(nlohmann_json_FOUND "nlohmann-json" "nlohmann-json3-dev")
find_package(CLI11 QUIET)
striate_need(CLI11_FOUND "CLI11" "libcli11-dev")
find_package(Eigen3 QUIET NO_MODULE)
striate_need(Eigen3_FOUND "Eigen 3" "libeigen3-dev")
find_package(TBB QUIET)
striate_need(TBB_FOUND "oneTBB" "libtbb-dev")
find_package(OpenSSL QUIET COMPONENTS Crypto)
striate_need(OPENSSL_FOUND "OpenSSL's libcrypto" "libssl-dev")
find_package(ZLIB QUIET)
striate_need(ZLIB_FOUND "zlib" "zlib1g-dev")
find_package(PNG QUIET)
striate_need(PNG_FOUND "libpng" "libpng-dev")
pkg_check_modules(TURBOJPEG QUIET IMPORTED_TARGET libturbojpeg)
striate_need(TURBOJPEG_FOUND "libjpeg-turbo (TurboJPEG API)" "libturbojpeg0-dev")

# Video and sound: clusters may lack it, and pictures and arrays do without.
if(NOT STRIATE_FFMPEG STREQUAL OFF)
  pkg_check_modules(FFMPEG QUIET IMPORTED_TARGET libavformat>=58 libavcodec>=58 libavutil>=56 libswscale>=5)
  if(STRIATE_FFMPEG STREQUAL ON)
    striate_need(FFMPEG_FOUND "FFmpeg's libraries (4.0 or newer; or -DSTRIATE_FFMPEG=OFF)"
                 "libavformat-dev libavcodec-dev libswscale-dev")
  elseif(NOT FFMPEG_FOUND)
    message(STATUS "striate: no FFmpeg libraries found; video and sound cannot be read")
  endif()
endif()

find_package(MPI QUIET COMPONENTS CXX)
striate_need(MPI_CXX_FOUND "MPI" "libopenmpi-dev openmpi-bin")

# HDF5: only a parallel build can write one store from many ranks.
set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 QUIET COMPONENTS C)
striate_need(HDF5_FOUND "parallel HDF5" "libhdf5-openmpi-dev")
if(NOT HDF5_IS_PARALLEL)
  message(FATAL_ERROR "the HDF5 found (${HDF5_C_LIBRARIES}) was built without MPI; striate writes one store "
                      "from many ranks and needs a parallel build (Debian/Ubuntu: libhdf5-openmpi-dev; clusters: "
                      "the hdf5-mpi module; or set HDF5_ROOT to a parallel one).")
endif()
add_library(striate_hdf5 INTERFACE)
target_include_directories(striate_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_compile_definitions(striate_hdf5 INTERFACE ${HDF5_C_DEFINITIONS})
target_link_libraries(striate_hdf5 INTERFACE ${HDF5_C_LIBRARIES})

# BLAS + LAPACK. Only the Fortran interface is assumed: dpotrf_, sgemm_ …
find_package(BLAS QUIET)
striate_need(BLAS_FOUND "a BLAS (OpenBLAS is recommended)" "libopenblas-pthread-dev")
find_package(LAPACK QUIET)
striate_need(LAPACK_FOUND "LAPACK" "libopenblas-pthread-dev")
add_library(striate_blas INTERFACE)
target_link_libraries(striate_blas INTERFACE LAPACK::LAPACK BLAS::BLAS)
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_LIBRARIES ${BLAS_LIBRARIES})
check_cxx_source_compiles("extern \"C\" void openblas_set_num_threads(int); int main(){openblas_set_num_threads(1);}" STRIATE_HAVE_OPENBLAS)
unset(CMAKE_REQUIRED_LIBRARIES)
if(STRIATE_HAVE_OPENBLAS)
  target_compile_definitions(striate_blas INTERFACE STRIATE_HAVE_OPENBLAS)
endif()

find_package(NiftiClib QUIET)
striate_need(NiftiClib_FOUND "nifti_clib" "libnifti-dev")

# LibTorch's config runs find_package on its own dependencies and overwrites CMAKE_CXX_FLAGS: keep it last and wrapped.
find_package(Torch QUIET)
striate_need(Torch_FOUND "LibTorch (set CMAKE_PREFIX_PATH to its folder, cxx11 ABI)" "libtorch-dev")
add_library(striate_torch INTERFACE)
target_include_directories(striate_torch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(striate_torch INTERFACE ${TORCH_LIBRARIES})
