striate_test(test_math_kernels FILES unit/math_kernels.cpp ROOMS math)
striate_test(test_math_reduce FILES unit/math_projection.cpp unit/math_pca.cpp unit/math_summaries.cpp unit/math_cluster.cpp ROOMS math)
striate_test(test_math_units FILES unit/math_units.cpp ROOMS math)
