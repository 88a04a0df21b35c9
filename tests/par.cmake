striate_test(test_par_ranks FILES ranks/par_comm.cpp ranks/par_together.cpp ranks/par_tiles.cpp ranks/par_shared.cpp
             ROOMS par RANKS 1 2 3)
striate_test(test_par_serial FILES unit/par_serial.cpp ROOMS par)
# The program that the tests below start and watch dying or being stopped.
add_executable(par_child ranks/par_child.cpp)
target_link_libraries(par_child PRIVATE striate::par)
striate_test(test_par_process FILES unit/par_process.cpp ROOMS par)
target_compile_definitions(test_par_process PRIVATE CHILD="$<TARGET_FILE:par_child>" MPIEXEC="${MPIEXEC_EXECUTABLE}")
add_dependencies(test_par_process par_child)
