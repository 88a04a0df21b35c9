striate_test(test_math_kernels FILES unit/math_kernels.cpp ROOMS math)
striate_test(test_math_units FILES unit/math_units.cpp ROOMS math)
striate_test(test_math_reduce FILES unit/math_projection.cpp unit/math_pca.cpp ROOMS math)
