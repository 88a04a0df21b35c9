# The whole program, driven from outside (tests/flow/*.py). Debian's Python, which has torch, h5py and nibabel.
find_program(STRIATE_TEST_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH)
foreach(name pipeline units convert docs predict series crash crash_jobs bad_input networks modalities extract_safety)
  add_test(NAME test_flow_${name} COMMAND ${STRIATE_TEST_PYTHON} ${PROJECT_SOURCE_DIR}/tests/flow/test_${name}.py)
  set_tests_properties(test_flow_${name} PROPERTIES LABELS flow TIMEOUT 600 RUN_SERIAL TRUE
    ENVIRONMENT "STRIATE_SOURCE=${PROJECT_SOURCE_DIR};STRIATE_PROGRAM=$<TARGET_FILE:striate>")
endforeach()
