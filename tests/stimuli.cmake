striate_test(test_stimuli_images FILES unit/stimuli_images.cpp unit/stimuli_preprocess.cpp ROOMS stimuli)
striate_test(test_stimuli_loader FILES unit/stimuli_loader.cpp ROOMS stimuli)
striate_test(test_stimuli_table FILES unit/stimuli_table.cpp ROOMS stimuli)
striate_test(test_stimuli_media FILES unit/stimuli_video.cpp unit/stimuli_sound.cpp unit/stimuli_arrays.cpp ROOMS brain stimuli)
