# The command's own sources, so that these tests need neither LibTorch nor the program.
file(GLOB convert_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/commands/convert*.cpp)
add_library(convert_command STATIC EXCLUDE_FROM_ALL ${convert_sources} ${PROJECT_SOURCE_DIR}/src/commands/fingerprint.cpp
            ${PROJECT_SOURCE_DIR}/src/commands/dry_run.cpp ${PROJECT_SOURCE_DIR}/src/commands/apart.cpp ${PROJECT_SOURCE_DIR}/src/commands/batch_size.cpp
            ${PROJECT_SOURCE_DIR}/src/commands/info_compare.cpp)
target_link_libraries(convert_command PUBLIC striate::brain striate::stimuli)
# As the room has them, so that ccache knows the objects.
target_compile_options(convert_command PRIVATE -Wall -Wextra -Wno-unused-parameter
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
striate_test(test_convert FILES ranks/convert.cpp ranks/convert_files.cpp ROOMS brain stimuli RANKS 1 2 3)
target_link_libraries(test_convert PRIVATE convert_command)
