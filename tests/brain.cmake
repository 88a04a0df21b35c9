striate_test(test_brain_nifti FILES unit/brain_nifti.cpp unit/brain_nifti_write.cpp ROOMS brain)
striate_test(test_brain_npy FILES unit/brain_npy.cpp ROOMS brain)
striate_test(test_brain_responses FILES unit/brain_responses.cpp unit/brain_rois.cpp ROOMS brain)
# The commands' own sources, so that these tests need neither LibTorch nor the program.
set(info_sources ${PROJECT_SOURCE_DIR}/src/commands/info.cpp ${PROJECT_SOURCE_DIR}/src/commands/info_print.cpp
    ${PROJECT_SOURCE_DIR}/src/commands/info_compare.cpp ${PROJECT_SOURCE_DIR}/src/commands/info_join.cpp)
striate_test(test_info FILES unit/info_compare.cpp ${info_sources} ROOMS brain)
striate_test(test_info_simulate FILES unit/info_simulate.cpp ${PROJECT_SOURCE_DIR}/src/commands/simulate_signal.cpp ROOMS brain)
