striate_test(test_stimuli_images FILES unit/stimuli_images.cpp unit/stimuli_preprocess.cpp ROOMS stimuli)
striate_test(test_stimuli_loader FILES unit/stimuli_loader.cpp ROOMS stimuli)
striate_test(test_stimuli_table FILES unit/stimuli_table.cpp ROOMS stimuli)
striate_test(test_stimuli_dmask FILES unit/stimuli_dmask.cpp ROOMS stimuli)
