#!/usr/bin/env bash
# What happens on the day that there is a GPU, rehearsed without one: scripts/rehearse_gpu_runs.sh [OPTION of gpu_run...]
#
# Makes an environment with PyTorch in build/peers-venv (not with --without-pytorch or --python), packs the bundle from build/release, unpacks it elsewhere, puts the build out of sight, and goes through all four runs
# from another folder and an empty environment. Fails where the bundle is too large to travel, a step cannot start, or
# what it leaves cannot be read or is not in the archive.
set -euo pipefail
cd "$(dirname "$0")/.."
sources="$PWD"
most_bytes=$((44 << 20))   # with a copy of the sources it is to fit into 64 MiB

put_back() {
  cd "$sources"
  [[ ! -d build/release.out-of-sight ]] || mv build/release.out-of-sight build/release
  [[ -z "${elsewhere:-}" ]] || rm -rf "$elsewhere"
}
put_back   # what a killed rehearsal left
trap put_back EXIT

[[ -x build/release/bin/ddpm_train ]] || { echo "rehearse_gpu_runs: build it first: scripts/test.sh" >&2; exit 2; }
if [[ ! -x build/release/bin/ddpm_validate ]]; then
  echo "rehearse_gpu_runs: build/release holds no GPU programs (no nvcc or no cuDNN): nothing to rehearse"
  exit 0
fi
options=("$@")
if [[ " $* " != *" --without-pytorch "* && " $* " != *" --python "* ]]; then
  scripts/install_peers.sh build/peers-venv
  options+=(--python "$sources/build/peers-venv/bin/python")
fi
elsewhere="$(mktemp -d)"
scripts/gpu_suite.sh bundle --out "$elsewhere/gpu-bundle.tar.xz"
(($(stat -c %s "$elsewhere/gpu-bundle.tar.xz") <= most_bytes)) || { echo "the bundle is above 44 MiB" >&2; exit 1; }
mv build/release build/release.out-of-sight
cd "$elsewhere"
python3 -m tarfile -e gpu-bundle.tar.xz .
for run in 1 2 3 4; do
  env -i "$BASH" gpu-bundle/scripts/gpu_run.sh "$run" --rehearse --out "$elsewhere/run$run" "${options[@]}"
done
