# The command's own sources, so that these tests need neither LibTorch nor the program.
file(GLOB convolve_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/commands/convolve*.cpp)
add_library(convolve_command STATIC EXCLUDE_FROM_ALL ${convolve_sources} ${PROJECT_SOURCE_DIR}/src/commands/fingerprint.cpp
            ${PROJECT_SOURCE_DIR}/src/commands/dry_run.cpp ${PROJECT_SOURCE_DIR}/src/commands/store_source.cpp)
target_link_libraries(convolve_command PUBLIC striate::brain striate::stimuli)
target_compile_options(convolve_command PRIVATE -Wall -Wextra)
striate_test(test_convolve FILES ranks/convolve.cpp ROOMS brain stimuli RANKS 1 2 3)
target_link_libraries(test_convolve PRIVATE convolve_command)
striate_test(test_math_series FILES unit/math_series.cpp ROOMS math)
