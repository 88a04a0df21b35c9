#!/usr/bin/env bash
# The whole program on a fresh clone, as the only command: installs and builds, then photographs -> network ->
# activation store -> a simulated brain whose answer is known -> encoding -> maps, under mpiexec with two ranks.
# Ends with what was planted and what was recovered; exits 1 where a planted layer is not found again.
#   usage: jobs/demo.sh [OUT_DIR]           (default demo-out/)   under 5 minutes once installed, 10 with the real part
# Where the folder STRIATE_DATA (default: shared/data beside the checkout) exists, a real part follows: 89 neurons of
# macaque V4, 1,200 photographs, pretrained SqueezeNet.
set -euo pipefail
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-$home/demo-out}
real=${STRIATE_DATA:-$home/../shared/data}
striate=$home/build/striate
python=/usr/bin/python3 # Debian's, which has the packages that setup.sh installs
say() { printf '\n=== %s\n' "$*"; }

[ -f "$real/brain/cowley_v4/responses_avg_201025.npy" ] && [ -f "$real/models/squeezenet1_0_imagenet.ts.pt" ] || real=
if [ -n "$real" ]; then real=$(cd "$real" && pwd); fi # the parts below run in folders of their own
mkdir -p "$out"
out=$(cd "$out" && pwd)
need=3
if [ -n "$real" ]; then need=8; fi
free=$(($(df -Pk "$out" | awk 'NR==2{print $4}') / 1048576))
((free >= need)) || { echo "demo.sh: $out has $free GB free, $need are needed; name another folder: jobs/demo.sh DIR" >&2; exit 74; }

say "1. set up"
"$home/setup.sh" --with-demo
started=$SECONDS

# Two ranks that share this machine's cores; each takes half of them as threads.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1
run() { echo "+ mpiexec -n 2 striate $*"; mpiexec --bind-to none -n 2 "$striate" "$@"; }

say "2. photographs cut into patches, and a network with seeded weights"
sim=$out/simulated
mkdir -p "$sim"
cd "$sim"
$python "$home/tools/make_patches.py" . --n 400
[ -f squeezenet1_0.ts.pt ] || $python "$home/tools/export_network.py" squeezenet1_0 --seed 1 --out squeezenet1_0.ts.pt

# fire7 is planted nowhere: a close neighbour of fire5 that must not be mistaken for it.
cat >extract.yaml <<'YAML'
stimuli: patches.stim.csv
network: squeezenet1_0
weights: squeezenet1_0.ts.pt
layers: [pool1, fire5, fire7, fire9]
output: act.h5
YAML
# A signal is a random linear readout of all units of its layer; snr 2: two thirds of a voxel's variance is signal.
cat >simulate.yaml <<'YAML'
features: {store: act.h5}
regions:
  - {name: early, layer: pool1, voxels: 200, snr: 2}
  - {name: middle, layer: fire5, voxels: 200, snr: 2}
  - {name: late, layer: fire9, voxels: 200, snr: 2}
  - {name: noise, layer: pool1, voxels: 200, snr: 0}
seed: 1
output: brain
YAML
# Not standardised: many units of these layers are silent but for a few pictures, and scaling would blow those few up.
cat >encode.yaml <<'YAML'
features: {store: act.h5, layers: all, transform: {standardize: false}}
responses: {data: brain/responses.nii.gz, mask: brain/mask.nii.gz, stimuli: brain/responses.stim.csv}
rois: {image: brain/labels.nii.gz, names: brain/labels.tsv}
model: {type: ridge, alphas: {relative: {logspace: [-5, 4, 20]}}}
output: encode
YAML
say "3. extract, simulate, encode"
run extract extract.yaml
run simulate simulate.yaml
run encode encode.yaml

say "4. what was planted, what was recovered"
verdict=0
$python "$home/jobs/demo_report.py" planted encode/result.h5 brain/truth.h5 || verdict=1
echo "maps: $sim/encode/maps"

if [ -n "$real" ]; then
  say "5. the real part: 89 V4 neurons, 1,200 photographs, pretrained SqueezeNet, every fire module at full size"
  v4=$out/v4
  mkdir -p "$v4/images"
  cd "$v4"
  [ -f images/image1200.jpg ] || $python -m zipfile -e "$real/brain/cowley_v4/images_201025.zip" images
  { printf 'type=image\npath=images\ndata=stimID\n'; (cd images && printf '%s\n' image*.jpg | sort); } >images.stim.csv
  # The photographs are 112 x 112 and are shown to the network as they are: the shipped card without its resizing.
  sed -e 's/resize: *[0-9]*/resize: none/; s/crop: *center/crop: none/; s/size: *\[224, 224\]/size: [112, 112]/' \
    "$home/configs/networks/squeezenet1_0.yaml" >squeezenet1_0_112.yaml
  cat >extract.yaml <<YAML
stimuli: images.stim.csv
network: squeezenet1_0_112.yaml
weights: $real/models/squeezenet1_0_imagenet.ts.pt
layers: [pool1, fire2, fire3, fire4, fire5, fire6, fire7, fire8, fire9]
output: act.h5
YAML
  cat >encode.yaml <<YAML
features: {store: act.h5, layers: all, transform: {standardize: false}}
responses: {data: $real/brain/cowley_v4/responses_avg_201025.npy, transpose: true, stimuli: images.stim.csv}
model: {type: ridge, alphas: {relative: {logspace: [-5, 4, 20]}}}
output: encode
YAML
  run extract extract.yaml
  run encode encode.yaml
  $python "$home/jobs/demo_report.py" profile encode/result.h5 \
    --reference pool1=.401 fire4=.491 fire6=.532 fire8=.505 fire9=.469 --middle fire4 fire5 fire6 fire7 fire8 || verdict=1
  echo "result: $v4/encode"
else
  say "5. the real part is left out: no V4 data in ${STRIATE_DATA:-$home/../shared/data}; set STRIATE_DATA"
fi

say "done in $((SECONDS - started)) s after set-up"
if [ "$verdict" = 0 ]; then echo "everything planted was recovered"; else echo "NOT everything was as it should be; see above"; fi
exit "$verdict"
