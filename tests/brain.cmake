striate_test(test_brain_nifti FILES unit/brain_nifti.cpp unit/brain_nifti_write.cpp ROOMS brain)
striate_test(test_brain_npy FILES unit/brain_npy.cpp ROOMS brain)
striate_test(test_brain_responses FILES unit/brain_responses.cpp unit/brain_rois.cpp ROOMS brain)
