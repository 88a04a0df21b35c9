striate_test(test_stimuli_images FILES unit/stimuli_images.cpp unit/stimuli_preprocess.cpp ROOMS stimuli)
striate_test(test_stimuli_loader FILES unit/stimuli_loader.cpp ROOMS stimuli)
striate_test(test_stimuli_table FILES unit/stimuli_table.cpp ROOMS stimuli)
striate_test(test_stimuli_media FILES unit/stimuli_video.cpp unit/stimuli_sound.cpp unit/stimuli_arrays.cpp ROOMS brain stimuli)
striate_test(test_stimuli_dmask FILES unit/stimuli_dmask.cpp ROOMS stimuli)
# Inputs that libFuzzer's programs begin with, and fixed mutations of them (tests/fuzz).
striate_test(test_fuzz_corpus FILES unit/fuzz_corpus.cpp fuzz/targets.cpp ROOMS stimuli)
target_compile_definitions(test_fuzz_corpus PRIVATE FUZZ_CORPUS="${PROJECT_SOURCE_DIR}/tests/fuzz/corpus"
  GOLDEN_IMAGES="${PROJECT_SOURCE_DIR}/tests/golden/images")
