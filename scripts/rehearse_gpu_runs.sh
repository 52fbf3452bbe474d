#!/usr/bin/env bash
# Rehearses the GPU runs on a machine without a GPU: scripts/rehearse_gpu_runs.sh [OPTION of gpu_run...]
#
# Installs PyTorch into build/peers-venv (unless --without-pytorch or --python is given), packs the bundle from
# build/release, unpacks it elsewhere, hides the build, and takes all four runs from another folder with an empty
# environment. Fails if the bundle is too large to transfer, a step cannot start, or its results cannot be read or are
# not in the archive.
set -euo pipefail
cd "$(dirname "$0")/.."
sources="$PWD"
most_bytes=$((44 << 20))   # together with a copy of the sources it must fit into 64 MiB

put_back() {
  cd "$sources"
  [[ ! -d build/release.out-of-sight ]] || mv build/release.out-of-sight build/release
  [[ -z "${elsewhere:-}" ]] || rm -rf "$elsewhere"
}
put_back   # in case an earlier rehearsal was killed
trap put_back EXIT

[[ -x build/release/bin/ddpm_train ]] || { echo "rehearse_gpu_runs: build/release is missing: run scripts/test.sh" >&2; exit 2; }
if [[ ! -x build/release/bin/ddpm_validate ]]; then
  echo "rehearse_gpu_runs: build/release has no GPU programs (nvcc or cuDNN is missing): nothing to rehearse"
  exit 0
fi
options=("$@")
if [[ " $* " != *" --without-pytorch "* && " $* " != *" --python "* ]]; then
  scripts/install_peers.sh build/peers-venv
  options+=(--python "$sources/build/peers-venv/bin/python")
fi
elsewhere="$(mktemp -d)"
scripts/gpu_suite.sh bundle --out "$elsewhere/gpu-bundle.tar.xz"
(($(stat -c %s "$elsewhere/gpu-bundle.tar.xz") <= most_bytes)) || { echo "rehearse_gpu_runs: the bundle exceeds 44 MiB" >&2; exit 1; }
mv build/release build/release.out-of-sight
cd "$elsewhere"
python3 -m tarfile -e gpu-bundle.tar.xz .
for run in 1 2 3 4; do
  env -i "$BASH" gpu-bundle/scripts/gpu_run.sh "$run" --rehearse --out "$elsewhere/run$run" "${options[@]}"
done
