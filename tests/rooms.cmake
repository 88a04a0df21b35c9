# The direction of includes between rooms, and that the check itself notices a wrong one.
add_test(NAME test_rooms COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/CheckRooms.cmake)
set(bad ${CMAKE_CURRENT_BINARY_DIR}/bad_rooms)
file(WRITE ${bad}/src/math/upwards.cpp "#include \"striate/store/h5.hpp\"\n")
file(WRITE ${bad}/src/models/library.cpp "#include <mpi.h>\n")
add_test(NAME test_rooms_notices COMMAND ${CMAKE_COMMAND} -DSOURCE=${bad} -P ${PROJECT_SOURCE_DIR}/cmake/CheckRooms.cmake)
set_tests_properties(test_rooms_notices PROPERTIES
  PASS_REGULAR_EXPRESSION "math may not include store.*models/library.cpp: only par,store may see that library")
set_tests_properties(test_rooms test_rooms_notices PROPERTIES LABELS unit TIMEOUT 60)
