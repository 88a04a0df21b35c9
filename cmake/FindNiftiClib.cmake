# Finds nifti_clib. Its own CMake config is broken on Debian 12 (it names a libznz that is not installed).
# Target: nifti::niftiio
find_path(NiftiClib_INCLUDE_DIR nifti2_io.h PATH_SUFFIXES nifti)
find_library(NiftiClib_IO_LIBRARY niftiio)
find_library(NiftiClib_NIFTI2_LIBRARY nifti2)
find_library(NiftiClib_ZNZ_LIBRARY znz)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NiftiClib DEFAULT_MSG NiftiClib_NIFTI2_LIBRARY NiftiClib_ZNZ_LIBRARY NiftiClib_INCLUDE_DIR)
if(NiftiClib_FOUND AND NOT TARGET nifti::niftiio)
  add_library(nifti::niftiio INTERFACE IMPORTED)
  set_target_properties(nifti::niftiio PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${NiftiClib_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${NiftiClib_NIFTI2_LIBRARY};${NiftiClib_ZNZ_LIBRARY}")
endif()
mark_as_advanced(NiftiClib_INCLUDE_DIR NiftiClib_IO_LIBRARY NiftiClib_NIFTI2_LIBRARY NiftiClib_ZNZ_LIBRARY)
