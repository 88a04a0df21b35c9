# The batch scripts' decisions, without SLURM (tests/slurm/run.sh has the real one).
add_test(NAME test_jobs COMMAND ${PROJECT_SOURCE_DIR}/tests/slurm/job_logic.sh)
set_tests_properties(test_jobs PROPERTIES LABELS unit TIMEOUT 120)
