#!/usr/bin/env bash
# Everything that is checked, from a fresh clone: set up, build, ctest, then the shipped scripts on a real SLURM.
#   usage: ./tests/run.sh [--slow] [CTEST OPTION]...      --slow adds the tests labelled slow; -R NAME picks some
# STRIATE_DATA names the folder of real data (default: shared/data beside the checkout); tests that need it skip without.
set -uo pipefail
if [ -d "${STRIATE_DATA:-}" ]; then STRIATE_DATA=$(cd "$STRIATE_DATA" && pwd); export STRIATE_DATA; fi # seen from here
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
started=$SECONDS
labels=(-LE slow)
if [ "${1:-}" = --slow ]; then labels=(); shift; fi

# Open MPI refuses root and more ranks than cores unless told; containers and CI are both.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Ranks that share cores must sleep while they wait, or they steal the time of the ones that work.
export OMPI_MCA_mpi_yield_when_idle=1
if [ -z "${STRIATE_DATA:-}" ] && [ -d ../shared/data ]; then STRIATE_DATA=$(cd ../shared/data && pwd); export STRIATE_DATA; fi

./setup.sh --with-tests || exit 1
built=$SECONDS

failed=()
ctest --test-dir build --output-on-failure -j "$(env -u OMP_NUM_THREADS nproc)" "${labels[@]}" "$@" || failed+=(ctest)
tested=$SECONDS

slurm_log=$(mktemp)
if [ $# = 0 ]; then # a pick of some tests does not mean SLURM
  tests/slurm/run.sh 2>&1 | tee "$slurm_log"
  [ "${PIPESTATUS[0]}" = 0 ] || failed+=(tests/slurm/run.sh)
fi

# GoogleTest counts a skipped test as passed, and a passed one prints nothing: say here what was not looked at.
skips=$({
  grep -h -A1 ': Skipped$' build/Testing/Temporary/LastTest.log | grep -v -e ': Skipped$' -e '^--$'
  grep -h '^SKIP' build/Testing/Temporary/LastTest.log "$slurm_log"
} 2>/dev/null | sed 's/^ *//' | sort | uniq -c)
rm -f "$slurm_log"
if [ -n "$skips" ]; then
  printf '\n********** SKIPPED, so NOT checked here: **********\n%s\n***************************************************\n' "$skips"
fi
printf '\nset-up and build %d s, ctest %d s, SLURM %d s\n' $((built - started)) $((tested - built)) $((SECONDS - tested))
if [ ${#failed[@]} -gt 0 ]; then echo "FAILED: ${failed[*]}"; exit 1; fi
echo "all passed"
