striate_test(test_store_ranks FILES ranks/store_act.cpp ranks/store_result.cpp ROOMS store RANKS 1 2 3)
striate_test(test_store_serial FILES unit/store_half.cpp unit/store_h5.cpp unit/store_reader.cpp unit/store_reduction.cpp ROOMS store)
# The program that the crash tests start under mpiexec and kill.
add_executable(store_child ranks/store_child.cpp)
target_link_libraries(store_child PRIVATE striate::store)
striate_test(test_store_crash FILES unit/store_crash.cpp ROOMS store TIMEOUT 300)
target_compile_definitions(test_store_crash PRIVATE STORE_CHILD="$<TARGET_FILE:store_child>" MPIEXEC="${MPIEXEC_EXECUTABLE}")
add_dependencies(test_store_crash store_child)
