striate_test(test_math_kernels FILES unit/math_kernels.cpp ROOMS math)
