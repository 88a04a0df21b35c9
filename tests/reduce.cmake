# The command's own sources, so that these tests need neither LibTorch nor the program.
file(GLOB reduce_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/commands/reduce*.cpp)
add_library(reduce_command STATIC EXCLUDE_FROM_ALL ${reduce_sources} ${PROJECT_SOURCE_DIR}/src/commands/fingerprint.cpp
            ${PROJECT_SOURCE_DIR}/src/commands/dry_run.cpp ${PROJECT_SOURCE_DIR}/src/commands/apart.cpp
            ${PROJECT_SOURCE_DIR}/src/commands/fitted_on.cpp ${PROJECT_SOURCE_DIR}/src/commands/store_source.cpp)
target_link_libraries(reduce_command PUBLIC striate::brain striate::stimuli)
target_compile_options(reduce_command PRIVATE -Wall -Wextra)
striate_test(test_reduce FILES ranks/reduce.cpp ROOMS brain stimuli RANKS 1 2 3 TIMEOUT 300)
target_link_libraries(test_reduce PRIVATE reduce_command)
