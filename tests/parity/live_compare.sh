#!/usr/bin/env bash
# Compares the built programs with diffusers on a full-size network with random weights, in both directions:
#   tests/parity/live_compare.sh PRESET [STEPS]     PRESET: ddpm-cifar10-32, ddim-celeba-64 or ddpm-celebahq-256
# PYTHON is an interpreter with scripts/requirements-parity.txt installed (default: python3), BIN the folder of the
# programs. Prints the errors; exit code 1 if one exceeds its bound. STEPS (default 10) is the number of DDIM steps.
set -euo pipefail
cd "$(dirname "$0")/../.."
preset="$1" steps="${2:-10}"
python="${PYTHON:-python3}" bin="${BIN:-build/release/bin}"
compare=("$python" tests/parity/live_compare.py)
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

echo "== diffusers -> here: its weights, its answer"
"${compare[@]}" make --preset "$preset" --batch 1 --out "$work/theirs"
inputs=(--input "$work/theirs/input.npy" --timesteps "$work/theirs/timesteps.npy")
"$bin/ddpm_forward" --checkpoint "$work/theirs" "${inputs[@]}" --output "$work/ours.npy"
"${compare[@]}" forward --model "$work/theirs" "${inputs[@]}" --output "$work/ours.npy"

echo "== here -> diffusers: our weights, exported"
size="${preset##*-}"
"$bin/ddpm_data" synthetic-faces --count 2 --size "$size" --out "$work/faces.npy" >"$work/log"
"$bin/ddpm_train" --preset "$preset" --initialisation pytorch --data "$work/faces.npy" --out "$work/run" \
  --steps 0 --batch 1 --seed 7 >>"$work/log"
"$bin/ddpm_convert" --checkpoint "$work/run" --to-diffusers "$work/exported"
"$bin/ddpm_forward" --checkpoint "$work/run" "${inputs[@]}" --output "$work/ours.npy"
"${compare[@]}" forward --model "$work/exported" "${inputs[@]}" --output "$work/ours.npy"

echo "== the same images from the same noise, $steps steps of DDIM"
"$python" -c "
import numpy as np
noise = np.random.default_rng(5).standard_normal((1, 3, $size, $size)).astype(np.float32)
np.save('$work/noise.npy', noise)"
"$bin/ddpm_sample" --checkpoint "$work/run" --count 1 --batch 1 --sampler ddim --steps "$steps" \
  --initial-noise "$work/noise.npy" --npz "$work/ours.npz" --grid "$work/ours.png" >>"$work/log"
"${compare[@]}" sample --model "$work/exported" --noise "$work/noise.npy" --images "$work/ours.npz" --steps "$steps"
