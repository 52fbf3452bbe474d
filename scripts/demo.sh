#!/usr/bin/env bash
# From nothing to generated faces in a few minutes: scripts/demo.sh [--short] [--out DIR]
# Installs missing packages, builds, draws cartoon faces, trains a small network on them (on a GPU if there is one) and
# samples. --short trains for only a few steps, to check that everything works; its samples are still noise.
set -euo pipefail
cd "$(dirname "$0")/.."

out=runs/demo
train=()
sample=(--count 64 --steps 50)
while [[ $# -gt 0 ]]; do
  case "$1" in
    --short) train=(--steps 20 --sample-every 0); sample=(--count 8 --steps 5) ;;
    --out) out="${2:?--out needs a folder}"; shift ;;
    *) echo "usage: scripts/demo.sh [--short] [--out DIR]" >&2; exit 2 ;;
  esac
  shift
done

scripts/install_dependencies.sh
cmake --preset release >/dev/null
cmake --build --preset release --target ddpm_data ddpm_train ddpm_sample
bin=build/release/bin

rm -rf "$out"
mkdir -p "$out"
"$bin/ddpm_data" synthetic-faces --count 5000 --size 32 --out "$out/faces32.npy"
"$bin/ddpm_train" --preset demo --data "$out/faces32.npy" --out "$out/run" --seed 1 "${train[@]}"
"$bin/ddpm_data" preview "$out/faces32.npy" --grid "$out/training-set.png" --count 64
"$bin/ddpm_sample" --checkpoint "$out/run" --seed 1 "${sample[@]}" \
  --grid "$out/samples.png" --process "$out/process.png" --animation "$out/process.apng" >/dev/null

cat <<END

The images:
  $out/training-set.png   faces from the training set
  $out/samples.png        generated faces
  $out/process.png        how they emerge from noise
  $out/process.apng       the same as an animation (open it in a browser)
  $out/run/loss.svg       the training loss
END
