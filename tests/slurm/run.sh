#!/usr/bin/env bash
# The shipped batch scripts on a real SLURM with two virtual nodes: extract, then encode as an array over two subjects,
# one forced requeue, and outputs that must equal those of a plain mpiexec run. Plus a chain that must break.
#   usage: tests/slurm/run.sh [--keep]      (STRIATE = the program, default build/striate) Skips loudly where SLURM cannot run.
set -uo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$home/tests/slurm
striate=${STRIATE:-$home/build/striate}
keep=${1:-}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1

[ -x "$striate" ] || { echo "run.sh: no $striate; build first" >&2; exit 1; }
work=$(mktemp -d /tmp/striate-slurm.XXXXXX)
failures=0
finish() {
  local code=$?
  "$here/stop.sh" "$work/slurm"
  if [ "$failures" = 0 ] && [ "$code" = 0 ] && [ "$keep" != --keep ]; then rm -rf "$work"; else echo "slurm: everything is in $work"; fi
}
trap finish EXIT
fail() { echo "FAIL slurm: $*"; failures=$((failures + 1)); }
ok() { echo "ok   slurm: $*"; }

"$here/start.sh" "$work/slurm"
code=$?
if [ "$code" = 77 ]; then exit 0; fi
[ "$code" = 0 ] || { failures=1; exit 1; }
# shellcheck source=/dev/null
source "$work/slurm/env"

# --- data: patches of photographs, a seeded network, two simulated subjects ------------------------------------------
data=$work/data
mkdir -p "$data"
python=/usr/bin/python3
$python "$home/tools/make_patches.py" "$data" --n 160 --size 224 || exit 1
$python "$home/tools/export_network.py" squeezenet1_0 --seed 1 --out "$data/squeezenet1_0.ts.pt" || exit 1
cat >"$data/extract.yaml" <<YAML
stimuli: patches.stim.csv
network: squeezenet1_0
weights: squeezenet1_0.ts.pt
layers: [pool1, fire4, fire6, fire9]
batch: 4
output: \${OUT}/act.h5
YAML
cat >"$data/simulate.yaml" <<YAML
features: {store: reference/act.h5}
regions:
  - {name: early, layer: pool1, voxels: 60}
  - {name: late, layer: fire9, voxels: 60}
seed: \${SUBJECT}
output: sub-\${SUBJECT}
YAML
cat >"$data/encode.yaml" <<YAML
features: {store: \${OUT}/act.h5, layers: [pool1, fire9]}
responses: {data: sub-\${SUBJECT}/responses.nii.gz, mask: sub-\${SUBJECT}/mask.nii.gz, stimuli: sub-\${SUBJECT}/responses.stim.csv}
model: {type: ridge}
cv: {folds: 4}
output: \${OUT}/encode-\${SUBJECT}
YAML

# --- the reference: mpiexec -------------------------------------------------------------------------------------------
cd "$data" || exit 1
reference() { OUT=reference mpiexec --bind-to none -n 2 "$striate" "$@" --quiet || { fail "mpiexec striate $*"; exit 1; }; }
mkdir -p reference slurm
reference extract extract.yaml
for subject in 1 2; do
  SUBJECT=$subject reference simulate simulate.yaml
  SUBJECT=$subject reference encode encode.yaml
done

# --- SLURM: the site's file, then the pipeline as a user types it -----------------------------------------------------
cat >"$work/site.env" <<ENV
PARTITION=main
MEM_PER_CPU=500M
TIME=00:20:00
EXTRACT_GEOMETRY="--nodes=2 --ntasks-per-node=1 --cpus-per-task=1"
ENCODE_GEOMETRY="--nodes=2 --ntasks-per-node=1 --cpus-per-task=1"
STRIATE=$striate
# two virtual nodes share this machine's cores: binding would put both ranks on the first one
LAUNCH="srun --mpi=pmix --kill-on-bad-exit=1"
MAX_REQUEUES=5
ENV
export STRIATE_SITE=$work/site.env
field() { scontrol show job "$1" 2>/dev/null | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1; }
logs() { tail -n 40 "$data"/logs/*"$1"* 2>/dev/null | sed 's/^/    /'; }
state_is() { # JOB STATE WHAT
  local state
  state=$(field "$1" JobState)
  if [ "$state" = "$2" ]; then ok "$3 is $state"; else fail "$3 is ${state:-unknown} instead of $2"; logs "$1"; fi
}
# Waits until no element of the job is pending, running or completing; at most $2 seconds.
wait_for() {
  local until=$((SECONDS + $2))
  while squeue -h -j "$1" -o %T 2>/dev/null | grep -q .; do
    ((SECONDS < until)) || { fail "job $1 not finished after $2 s: $(squeue -h -j "$1" -o '%T %r')"; logs "$1"; return 1; }
    sleep 0.5
  done
}

printf '1\n2\n' >subjects.txt
export OUT=slurm
# shellcheck disable=SC2207
jobs=($("$home/jobs/pipeline.sh" --subjects subjects.txt extract.yaml encode.yaml))
[ ${#jobs[@]} = 2 ] || { fail "pipeline.sh printed '${jobs[*]:-}' instead of two job ids"; exit 1; }
ok "submitted extract ${jobs[0]} and encode ${jobs[1]} (array of 2, afterok)"

# Ask the ranks to stop as soon as the store is there: its ranks are then at work and listen to signals.
for _ in $(seq 240); do
  [ -f slurm/act.h5 ] && break
  sleep 0.25
done
sleep 1
scancel --signal=USR1 "${jobs[0]}"
wait_for "${jobs[0]}" 300
state_is "${jobs[0]}" COMPLETED extract
restarts=$(field "${jobs[0]}" Restarts)
if [ "${restarts:-0}" -ge 1 ]; then ok "extract was requeued $restarts time(s) after a signal"; else fail "extract was not requeued"; logs "${jobs[0]}"; fi
grep -q 'units, requeued' logs/*"${jobs[0]}"* || fail "extract's log tells of no requeue"

wait_for "${jobs[1]}" 300
for element in 1 2; do
  state_is "${jobs[1]}_$element" COMPLETED "encode of subject $element"
done

same() {
  if "$striate" info --compare "reference/$1" "slurm/$1" >"$work/compare.txt" 2>&1; then ok "$1 equals the mpiexec run's"; else
    fail "$1 differs from the mpiexec run's"; sed 's/^/    /' "$work/compare.txt"; fi
}
same act.h5
same encode-1/result.h5
same encode-2/result.h5
if "$striate" info --compare reference/encode-1/result.h5 slurm/encode-2/result.h5 >/dev/null 2>&1; then
  fail "the two subjects' results are the same: the comparison sees nothing"
fi
OUT=slurm "$striate" status extract extract.yaml >/dev/null || fail "status of a complete extract is $?"

# --- a chain that must break: an error is not requeued, and what waits for it leaves the queue ------------------------
sed 's/fire6/no_such_layer/; s/act.h5/broken.h5/' extract.yaml >broken.yaml
# shellcheck disable=SC2207
jobs=($("$home/jobs/pipeline.sh" broken.yaml encode.yaml --set output=slurm/never))
wait_for "${jobs[0]}" 60
wait_for "${jobs[1]}" 60
state_is "${jobs[0]}" FAILED "extract of a layer that does not exist"
[ "$(field "${jobs[0]}" Restarts)" = 0 ] || fail "it was requeued"
state_is "${jobs[1]}" CANCELLED "encode that waited for it"

((failures == 0)) || { echo "slurm: $failures failures"; exit 1; }
echo "slurm: all passed"
