# The body of every batch script: run one striate command to its end, over as many attempts as that takes.
# Sourced by *.sbatch, which set STRIATE_HOME; not run by itself.
# shellcheck shell=bash

load_site() {
  STRIATE_SITE=${STRIATE_SITE:-$STRIATE_HOME/jobs/site.env}
  set +u # what sites write, here and in their modules, may name variables that nobody has set
  # shellcheck source=/dev/null
  if [ -f "$STRIATE_SITE" ]; then source "$STRIATE_SITE"; fi
  set -u
  STRIATE=${STRIATE:-$STRIATE_HOME/build/striate}
  LAUNCH=${LAUNCH:-srun --mpi=pmix --kill-on-bad-exit=1 --cpu-bind=cores}
  MAX_REQUEUES=${MAX_REQUEUES:-20}
}

# An array runs over subjects: element i takes line i of the file SUBJECTS, seen by configs as ${SUBJECT}.
pick_subject() {
  [ -n "${SUBJECTS:-}" ] && [ -n "${SLURM_ARRAY_TASK_ID:-}" ] || return 0
  SUBJECT=$(sed -n "${SLURM_ARRAY_TASK_ID}p" "$SUBJECTS")
  [ -n "$SUBJECT" ] || { echo "job.sh: $SUBJECTS has no line $SLURM_ARRAY_TASK_ID"; exit 66; }
  export SUBJECT
}

# Batch shells are no login shells and may lack the module function.
find_module() {
  local file
  for file in "$MODULE_INITS"/{modules,lmod,z00_lmod,z01_lmod}.sh "${LMOD_PKG:-}/init/bash" "${MODULESHOME:-}/init/bash"; do
    if type module >/dev/null 2>&1; then return; fi
    # shellcheck source=/dev/null  # may end in a failed test of its own
    if [ -f "$file" ]; then source "$file" || true; fi
  done
  type module >/dev/null 2>&1
}

load_modules() {
  [ -n "${MODULES:-}" ] || return 0
  MODULE_INITS=${MODULE_INITS:-/etc/profile.d} # elsewhere in tests only
  set +u
  find_module || { echo "job.sh: MODULES is set, but there is no \`module\` here: source what defines it in $STRIATE_SITE"; exit 78; }
  module purge
  # shellcheck disable=SC2086  # a list of module names
  module load $MODULES || { echo "job.sh: \`module load $MODULES\` failed; see MODULES in $STRIATE_SITE"; exit 78; }
  set -u
}

# Units of work on disk; 0 where nothing has begun.
units_done() {
  local n
  n=$("$STRIATE" status "$@" --count 2>/dev/null) || true
  [[ $n =~ ^[0-9]+$ ]] && echo "$n" || echo 0
}

# run_job COMMAND CONFIG [OPTION...]: never returns.
run_job() {
  local command=$1 before after code=0 pid
  local -a launch
  load_site
  pick_subject
  load_modules

  # Since SLURM 22.05 srun does not inherit --cpus-per-task from sbatch: without this every rank gets one core.
  if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi
  # striate sets its own threads from SLURM_CPUS_PER_TASK; libraries below it must not start more on their own.
  export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
  # Outside a user's account (test machines, containers) Open MPI asks for this.
  if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

  before=$(units_done "$@")
  echo "$(date -u +%FT%TZ) $command: attempt $((${SLURM_RESTART_COUNT:-0} + 1)), $before units done, nodes ${SLURM_JOB_NODELIST:-?}${SUBJECT:+, subject $SUBJECT}"

  # In the background, because bash runs a trap only between commands or during `wait`. srun and mpirun both pass
  # USR1 on to the ranks; SLURM signals srun's ranks by itself (--signal without B:), mpirun's through this trap.
  read -r -a launch <<<"$LAUNCH"
  "${launch[@]}" "$STRIATE" "$@" &
  pid=$!
  local ended=no
  trap 'kill -USR1 "$pid" 2>/dev/null' USR1
  # TERM is scancel, preemption or the time limit: stop tidily, and leave requeueing to whoever sent it.
  trap 'ended=yes; kill -USR1 "$pid" 2>/dev/null' TERM
  while true; do # wait returns early, with more than 128, when a trap ran
    code=0
    wait "$pid" || code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  trap - USR1

  # The output, not the launcher's exit code, says what is done: ranks killed while leaving can turn a 75 into a 137.
  local state=0
  # An output of another config, or one that another job holds, may well be complete: this job is not.
  if ((code == 73)); then exit 73; fi
  "$STRIATE" status "$@" || state=$?
  case $state in
    0) echo "$(date -u +%FT%TZ) $command: complete"; exit 0 ;;
    75) # Trying again would only repeat these errors, whether or not a full disk let the program note them.
      case $code in 6[4-9] | 7[0-4] | 78) exit "$code" ;; esac ;;
    76) # the last attempt ended in an error: trying again would only repeat it
      ((code != 0)) || code=76
      exit "$code" ;;
    *) exit "$state" ;;
  esac
  [ "$ended" = no ] || { echo "$command: the job was told to end; submit it again to go on"; exit 75; }
  [ -n "${SLURM_JOB_ID:-}" ] || exit 75
  after=$(units_done "$@")
  if ((after <= before)); then
    echo "$command: no unit was finished in this attempt (exit $code): not requeued; ask for a longer --time"
    exit "$(((code == 0 || code == 75) ? 75 : code))"
  fi
  if ((${SLURM_RESTART_COUNT:-0} >= MAX_REQUEUES)); then
    echo "$command: $MAX_REQUEUES requeues used up at $after units: not requeued; raise MAX_REQUEUES and submit again"
    exit 75
  fi
  # ARRAY_ELEMENT, because the last element of an array has the array's own id, and requeueing that means all elements.
  local job=$SLURM_JOB_ID
  if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
  # A job that is being cancelled is COMPLETING or CANCELLED by now, and must not come back.
  local now
  now=$(squeue -h -j "$job" -o %T)
  [ "$now" = RUNNING ] || { echo "$command: the job is ${now:-gone}, not requeued"; exit 75; }
  echo "$(date -u +%FT%TZ) $command: $before -> $after units, requeued"
  # Same job id, so that afterok chains stay. SLURM ends this script during the sleep.
  scontrol requeue "$job"
  sleep 120
  exit 75
}
