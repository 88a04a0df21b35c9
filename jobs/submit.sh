#!/usr/bin/env bash
# Submits one striate command with the site's account, partition, geometry and time; prints the job id.
#   usage: jobs/submit.sh [--dry-run] [SBATCH OPTION]... extract|encode|permute CONFIG [--set KEY=VALUE]...
#   e.g.   jobs/submit.sh --time=01:00:00 encode configs/encode.yaml --set cv.folds=10
set -euo pipefail
STRIATE_HOME=${STRIATE_HOME:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
STRIATE_SITE=${STRIATE_SITE:-$STRIATE_HOME/jobs/site.env}
usage() { sed -n '2,4s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 64; }

given=() dry=
while (($#)) && [[ $1 == -* ]]; do
  if [ "$1" = --dry-run ]; then dry=yes; else given+=("$1"); fi
  shift
done
(($# >= 2)) || usage
command=$1 config=$2
shift 2
script=$STRIATE_HOME/jobs/$command.sbatch
[ -f "$script" ] || { echo "submit.sh: no jobs/$command.sbatch; there are: $(cd "$STRIATE_HOME/jobs" && echo *.sbatch)" >&2; exit 64; }
[ -f "$config" ] || { echo "submit.sh: config $config does not exist" >&2; exit 66; }
config=$(realpath "$config")

if [ -f "$STRIATE_SITE" ]; then
  SLURM_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-} # the file may name it in LAUNCH; it has a value only inside a job
  # shellcheck source=/dev/null
  source "$STRIATE_SITE"
else
  echo "submit.sh: no $STRIATE_SITE; using the cluster's defaults (copy jobs/site.env.example to jobs/site.env)" >&2
fi
geometry=${command^^}_GEOMETRY
options=()
# shellcheck disable=SC2206  # lists of options, split on purpose
options+=(${!geometry:-} ${SBATCH_EXTRA:-})
[ -z "${ACCOUNT:-}" ] || options+=(--account="$ACCOUNT")
[ -z "${PARTITION:-}" ] || options+=(--partition="$PARTITION")
[ -z "${QOS:-}" ] || options+=(--qos="$QOS")
[ -z "${MEM_PER_CPU:-}" ] || options+=(--mem-per-cpu="$MEM_PER_CPU")
[ -z "${TIME:-}" ] || options+=(--time="$TIME")
# mpirun's ranks are no SLURM step of their own: the signal goes to the batch shell, which passes it on.
[[ ${LAUNCH:-srun} == srun* ]] || options+=(--signal=B:USR1@120)
[[ " ${given[*]:-} " == *" --array"* ]] || options+=(--output=logs/%x-%j.out)

export STRIATE_HOME STRIATE_SITE
run=(sbatch --parsable "${options[@]}" "${given[@]}" "$script" "$config" "$@")
if [ "$dry" ]; then
  printf '%q ' "${run[@]}"
  echo
else
  mkdir -p logs # SLURM does not create it, and a job without a log file fails
  "${run[@]}" | cut -d';' -f1
fi
