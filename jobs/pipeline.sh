#!/usr/bin/env bash
# Submits extract and then encode, the second starting only when the first is complete (through all its requeues).
#   usage: jobs/pipeline.sh [--subjects FILE] [--at-once N] [--dry-run] EXTRACT.yaml ENCODE.yaml [--set KEY=VALUE]...
# --subjects FILE: one subject a line; encode runs as an array with ${SUBJECT} set for its config. The activations
# are extracted once for all, or once per subject where EXTRACT.yaml itself names ${SUBJECT}.
# --set goes to encode. Prints the job ids, one a line.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { sed -n '2,6s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 64; }

subjects='' at_once=8 dry=()
while (($#)) && [[ $1 == -* ]]; do
  case $1 in
    --subjects) subjects=${2:?--subjects needs a file}; shift ;;
    --at-once) at_once=${2:?--at-once needs a number}; shift ;;
    --dry-run) dry=(--dry-run) ;;
    *) usage ;;
  esac
  shift
done
(($# >= 2)) || usage
extract=$1 encode=$2
shift 2

array=() after=afterok
if [ -n "$subjects" ]; then
  [ -s "$subjects" ] || { echo "pipeline.sh: subjects file $subjects is missing or empty" >&2; exit 66; }
  SUBJECTS=$(realpath "$subjects")
  export SUBJECTS
  # %N: at most N elements at once, kind to the file system that all read the same store from
  array=(--array="1-$(grep -c '' "$SUBJECTS")%$at_once")
fi
extract_array=()
# shellcheck disable=SC2016  # the text ${SUBJECT} itself is meant
if [ -n "$subjects" ] && grep -q -F '${SUBJECT}' "$extract"; then
  extract_array=("${array[@]}")
  after=aftercorr # element i of encode waits for element i of extract alone
fi
first=$("$here/submit.sh" "${dry[@]}" "${extract_array[@]}" extract "$extract")
echo "$first"
[ ${#dry[@]} = 0 ] || first=JOBID
# kill-on-invalid-dep: an extract that failed takes encode out of the queue instead of leaving it there for ever
"$here/submit.sh" "${dry[@]}" "${array[@]}" --dependency="$after:$first" --kill-on-invalid-dep=yes encode "$encode" "$@"
