striate_test(test_stats_folds FILES unit/stats_folds.cpp ROOMS stats)
striate_test(test_stats_scores FILES unit/stats_scores.cpp ROOMS stats)
striate_test(test_stats_permute FILES unit/stats_permute.cpp ROOMS stats)
striate_test(test_stats_golden FILES unit/stats_golden.cpp ROOMS stats)
