#!/usr/bin/env bash
# What jobs/job.sh decides after an attempt, checked without SLURM: squeue, scontrol and striate are replaced by scripts
# that say what the case needs. The real thing is tests/slurm/run.sh.
# shellcheck disable=SC2016  # single quotes on purpose: expanded by the inner bash
set -uo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin"
cat >"$work/bin/scontrol" <<'SH'
#!/bin/sh
echo "$@" >>"$CASE/scontrol"
SH
cat >"$work/bin/squeue" <<'SH'
#!/bin/sh
echo "${QUEUE_STATE:-RUNNING}"
SH
# SLURM kills the script in its sleep after a requeue; here the sleep just ends.
printf '#!/bin/sh\nexit 0\n' >"$work/bin/sleep"
# status: count and state from files; the job itself: sets both as the case says, and keeps its arguments.
cat >"$work/bin/striate" <<'SH'
#!/bin/sh
if [ "$1" = status ]; then
  case "$*" in *--count) cat "$CASE/count"; exit 0 ;; esac
  exit "$(cat "$CASE/state")"
fi
echo "$@ OMP=$OMP_NUM_THREADS CPUS=${SRUN_CPUS_PER_TASK:-} SUBJECT=${SUBJECT:-}" >"$CASE/ran"
[ "$1" = slow ] && { trap 'echo 7 >"$CASE/count"; exit 75' USR1; while :; do /bin/sleep 0.05; done; }
echo "$COUNT_AFTER" >"$CASE/count"
echo "$STATE_AFTER" >"$CASE/state"
exit "$JOB_EXIT"
SH
chmod +x "$work"/bin/*

failures=0
check() { if [ "$2" = "$3" ]; then echo "ok   $1"; else echo "FAIL $1: '$2' instead of '$3'"; failures=$((failures + 1)); fi; }
attempt() { # runs one attempt in a fresh case; leaves its exit code in $code
  CASE=$(mktemp -d "$work/case.XXXX")
  export CASE
  echo 0 >"$CASE/count"; echo 75 >"$CASE/state"; : >"$CASE/scontrol"
  code=0
  env PATH="$work/bin:$PATH" STRIATE_HOME="$home" STRIATE_SITE="$work/site.env" SLURM_JOB_ID=41 SLURM_CPUS_PER_TASK=3 "$@" \
    bash -c 'set -euo pipefail; source "$STRIATE_HOME/jobs/job.sh"; run_job "${COMMAND:-encode}" c.yaml --set a=1' \
    >"$CASE/log" 2>&1 || code=$?
}
cat >"$work/site.env" <<ENV
STRIATE=$work/bin/striate
LAUNCH="env"
MAX_REQUEUES=2
ENV
printf 'anna\nbert\n' >"$work/subjects"

attempt COUNT_AFTER=9 STATE_AFTER=0 JOB_EXIT=0
check "complete: exit" "$code" 0
check "complete: no requeue" "$(cat "$CASE/scontrol")" ""
check "the command line and threads" "$(cat "$CASE/ran")" "encode c.yaml --set a=1 OMP=1 CPUS=3 SUBJECT="
attempt COUNT_AFTER=5 STATE_AFTER=75 JOB_EXIT=75
check "progress: requeued" "$(cat "$CASE/scontrol")" "requeue 41"
attempt COUNT_AFTER=5 STATE_AFTER=75 JOB_EXIT=137
check "progress, killed while leaving: requeued all the same" "$(cat "$CASE/scontrol")" "requeue 41"
attempt COUNT_AFTER=5 STATE_AFTER=75 JOB_EXIT=75 SLURM_ARRAY_JOB_ID=40 SLURM_ARRAY_TASK_ID=2 SUBJECTS="$work/subjects"
check "array: one element requeued" "$(cat "$CASE/scontrol")" "requeue 40_2"
check "array: its subject" "$(grep -o 'SUBJECT=.*' "$CASE/ran")" "SUBJECT=bert"
attempt COUNT_AFTER=0 STATE_AFTER=75 JOB_EXIT=75
check "no progress: not requeued" "$(cat "$CASE/scontrol")/$code" "/75"
attempt COUNT_AFTER=0 STATE_AFTER=75 JOB_EXIT=71
check "no progress after an error: its code" "$(cat "$CASE/scontrol")/$code" "/71"
attempt COUNT_AFTER=5 STATE_AFTER=76 JOB_EXIT=65
check "an error: not requeued, its code" "$(cat "$CASE/scontrol")/$code" "/65"
attempt COUNT_AFTER=5 STATE_AFTER=75 JOB_EXIT=74
check "an error that could not be noted: not requeued, its code" "$(cat "$CASE/scontrol")/$code" "/74"
attempt COUNT_AFTER=5 STATE_AFTER=0 JOB_EXIT=74
check "an error after all was done: complete" "$(cat "$CASE/scontrol")/$code" "/0"
attempt COUNT_AFTER=5 STATE_AFTER=75 JOB_EXIT=75 SLURM_RESTART_COUNT=2
check "requeues used up" "$(cat "$CASE/scontrol")/$code" "/75"
attempt COUNT_AFTER=5 STATE_AFTER=75 JOB_EXIT=75 QUEUE_STATE=COMPLETING
check "being cancelled: not requeued" "$(cat "$CASE/scontrol")/$code" "/75"

# Modules: the function may have to be found, and neither it nor site.env must mind unset variables.
mkdir "$work/inits" "$work/lmod" "$work/lmod/init"
no_modules=(env -u LMOD_PKG -u MODULESHOME -u LMOD_CMD -u 'BASH_FUNC_module%%')
attempt "${no_modules[@]}" MODULE_INITS="$work/inits" MODULES="gcc mpi" COUNT_AFTER=9 STATE_AFTER=0 JOB_EXIT=0
check "no module function: said, not started" "$code/$(grep -c 'there is no `module` here' "$CASE/log")/$([ ! -e "$CASE/ran" ] || echo ran)" "78/1/"
echo 'module() { echo "$@ $NOBODY_SET_THIS" >>"$CASE/modules"; [ "$2" != wrong ]; }; [ -n "$NOR_THIS" ]' >"$work/lmod/init/bash"
attempt "${no_modules[@]}" LMOD_PKG="$work/lmod" MODULE_INITS="$work/inits" MODULES="gcc mpi" COUNT_AFTER=9 STATE_AFTER=0 JOB_EXIT=0
check "modules by LMOD_PKG" "$code/$(tr '\n' '|' <"$CASE/modules")" "0/purge |load gcc mpi |"
cp "$work/lmod/init/bash" "$work/inits/z00_lmod.sh"
echo ': $NOBODY_SET_THIS' >>"$work/site.env"
attempt "${no_modules[@]}" MODULE_INITS="$work/inits" MODULES=gcc COUNT_AFTER=9 STATE_AFTER=0 JOB_EXIT=0
check "modules by a file of /etc/profile.d" "$code/$(tr '\n' '|' <"$CASE/modules")" "0/purge |load gcc |"
attempt "${no_modules[@]}" MODULE_INITS="$work/inits" MODULES=wrong COUNT_AFTER=9 STATE_AFTER=0 JOB_EXIT=0
check "a module that fails to load: said, not started" "$code/$(grep -c 'module load wrong. failed' "$CASE/log")" "78/1"

# The signal to the batch shell (mpirun sites) reaches the program.
CASE=$(mktemp -d "$work/case.XXXX"); export CASE
echo 0 >"$CASE/count"; echo 75 >"$CASE/state"; : >"$CASE/scontrol"
env PATH="$work/bin:$PATH" STRIATE_HOME="$home" STRIATE_SITE="$work/site.env" SLURM_JOB_ID=41 \
  bash -c 'set -euo pipefail; source "$STRIATE_HOME/jobs/job.sh"; run_job slow c.yaml' >"$CASE/log" 2>&1 &
shell=$!
for _ in $(seq 100); do [ -s "$CASE/ran" ] && break; /bin/sleep 0.05; done
/bin/sleep 0.2
kill -USR1 "$shell"
wait "$shell"
check "USR1 forwarded, then requeued" "$(cat "$CASE/count")/$(cat "$CASE/scontrol")" "7/requeue 41"

# What is submitted. Options of the command line come after the site's, so that they win.
printf 'ACCOUNT=acc\nPARTITION=long\nTIME=02:00:00\nENCODE_GEOMETRY="--nodes=3"\nLAUNCH="mpirun -x A"\n' >"$work/site.env"
echo 'output: x' >"$work/c.yaml"
line=$(STRIATE_SITE="$work/site.env" "$home/jobs/submit.sh" --dry-run --time=5 encode "$work/c.yaml" --set b=2)
check "submit.sh" "$line" "sbatch --parsable --nodes=3 --account=acc --partition=long --time=02:00:00 --signal=B:USR1@120 --output=logs/%x-%j.out --time=5 $home/jobs/encode.sbatch $work/c.yaml --set b=2 "
for script in "$home"/setup.sh "$home"/jobs/*.sh "$home"/jobs/*.sbatch "$home"/tests/run.sh "$home"/tests/slurm/*.sh; do
  bash -n "$script" || failures=$((failures + 1))
done
if command -v shellcheck >/dev/null; then
  (cd "$home/jobs" && shellcheck -x -P .. -- *.sh *.sbatch ../setup.sh ../tests/slurm/*.sh ../tests/run.sh) || failures=$((failures + 1))
fi
exit "$((failures > 0))"
