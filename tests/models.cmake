striate_test(test_models_golden FILES unit/models_golden.cpp ROOMS models)
striate_test(test_models_properties FILES unit/models_properties.cpp ROOMS models)
striate_test(test_models_banded FILES unit/banded_golden.cpp unit/banded_properties.cpp ROOMS models)
striate_test(test_models_team FILES ranks/models_team.cpp ROOMS models RANKS 1 2 3)
