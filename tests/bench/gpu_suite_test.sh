#!/usr/bin/env bash
# scripts/gpu_suite.sh where there is no GPU: gpu_suite_test.sh BIN. What it would run; what it refuses; and its
# comparison of checkpoints on the CPU, which must find two runs alike, and two runs of different seeds not.
set -euo pipefail
bin="$(realpath "$1")"
cd "$(dirname "$0")/../.."
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $1" >&2; exit 1; }

# Every part prints what it would run: a line that begins with the part, and commands under it.
scripts/gpu_suite.sh --dry-run --bin "$bin" --work "$work" > "$work/plan"
for part in build device tests memcheck racecheck initcheck synccheck kernels products-cifar10 \
  products-celeba products-celebahq validate determinism profile \
  peers-{train,sample}-{cifar10,celeba}{,-autotune} train; do
  grep -A1 "^$part:" "$work/plan" | grep -q '^  ' || fail "no command under part $part"
done

# code_of COMMAND...: its exit code; what it printed is in $work/said.
code_of() { local code=0; "$@" > "$work/said" 2>&1 || code=$?; echo "$code"; }
for wrong in "no-such-part" "--no-such-option" "--device gpu" "--seconds soon" "--device cpu kernels" "--data"; do
  # shellcheck disable=SC2086  # several words
  [[ "$(code_of scripts/gpu_suite.sh --dry-run --work "$work" $wrong)" == 2 ]] || fail "accepted: $wrong"
  [[ "$(wc -l < "$work/said")" == 1 ]] || fail "not one sentence about: $wrong"
done

suite=(scripts/gpu_suite.sh --device cpu --work "$work" --results "$work/results" determinism)
[[ "$(code_of "${suite[@]}" --bin "$bin")" == 0 ]] || { cat "$work/said"; fail "determinism on the CPU"; }
python3 - "$work/results/determinism.json" << 'END' || fail "the outcomes"
import json, sys
found = json.load(open(sys.argv[1]))
assert found["gpu"] == "cpu" and found["commit"]
assert len(found["outcomes"]) == 10 and all(entry["outcome"] == "passed" for entry in found["outcomes"].values()), found
END

# A training that is not the same twice.
mkdir "$work/bin"
ln -s "$bin"/ddpm_* "$work/bin/"
rm "$work/bin/ddpm_train"
printf '#!/bin/sh\nexec "%s/ddpm_train" "$@" --seed "$$"\n' "$bin" > "$work/bin/ddpm_train"
chmod +x "$work/bin/ddpm_train"
[[ "$(code_of "${suite[@]}" --bin "$work/bin")" == 1 ]] || fail "two seeds passed for one"
grep -q 'same seed, same bytes: failed' "$work/said" || fail "does not say what failed"
grep -q 'same images' "$work/results/determinism.json" || fail "stopped at the first failure"
