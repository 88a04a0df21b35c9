# Version and git commit are compiled in, refreshed at every build without rebuilding more than one file.
set(STRIATE_VERSION_CPP ${PROJECT_BINARY_DIR}/generated/version.cpp)
add_custom_target(striate_version_stamp
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
          -DBUILD_TYPE=${CMAKE_BUILD_TYPE} -DOUT=${STRIATE_VERSION_CPP}
          -P ${PROJECT_SOURCE_DIR}/cmake/WriteVersion.cmake
  BYPRODUCTS ${STRIATE_VERSION_CPP})
add_library(striate_version STATIC ${STRIATE_VERSION_CPP})
set_source_files_properties(${STRIATE_VERSION_CPP} PROPERTIES GENERATED ON)
add_dependencies(striate_version striate_version_stamp)
add_library(striate::version ALIAS striate_version)
target_include_directories(striate_version PUBLIC ${PROJECT_SOURCE_DIR}/include)
