#!/usr/bin/env bash
# Stops the SLURM that start.sh started in STATE_DIR, by the process ids it wrote there, and nothing else.
#   usage: tests/slurm/stop.sh STATE_DIR
set -uo pipefail
state=${1:?usage: stop.sh STATE_DIR}
[ -f "$state/slurm.conf" ] || exit 0
export SLURM_CONF=$state/slurm.conf
timeout 10 scancel --quiet --full --user=root 2>/dev/null
sleep 1
pids=()
for file in "$state/n1/pid" "$state/n2/pid" "$state/ctld/pid" "$state/munge/pid"; do
  [ -s "$file" ] && pids+=("$(cat "$file")")
done
for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
for _ in $(seq 40); do
  alive=0
  for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null && alive=1; done
  [ "$alive" = 0 ] && break
  sleep 0.25
done
for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null; done
rm -f "$state/env"
exit 0
