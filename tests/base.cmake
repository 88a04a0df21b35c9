striate_test(test_base FILES unit/base_config.cpp unit/base_random.cpp unit/base_fsio.cpp ROOMS base)
