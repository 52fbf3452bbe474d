#!/usr/bin/env bash
# All that needs a GPU, in one call: scripts/gpu_suite.sh [tests] [sanitizers] [benchmarks]   (no argument: all three)
# Builds build/gpu for the first GPU of this machine and writes JSON files, each with the GPU, driver, CUDA and cuDNN
# versions and the commit, to bench/results/<gpu>-<commit>/. On a machine without a GPU it says so and ends with 0.
# Ends with 1 where a test failed or a sanitizer reported anything; the parts after it are run all the same.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=("$@")
((${#parts[@]})) || parts=(tests sanitizers benchmarks)
for part in "${parts[@]}"; do
  [[ "$part" =~ ^(tests|sanitizers|benchmarks)$ ]] || { echo "gpu_suite: unknown part '$part'" >&2; exit 2; }
done

if ! command -v nvidia-smi > /dev/null || ! nvidia-smi > /dev/null 2>&1; then
  echo "gpu_suite: no GPU on this machine, nothing was run"
  exit 0
fi
PATH="$PATH:/usr/local/cuda/bin"

query() { nvidia-smi --id=0 --query-gpu="$1" --format=csv,noheader; }
cudnn_version() {
  echo '#include <cudnn_version.h>' | c++ -E -dM -x c++ -I/usr/local/cuda/include - 2> /dev/null |
    awk '/define CUDNN_(MAJOR|MINOR|PATCHLEVEL) / {v[$2] = $3}
         END {print length(v) ? v["CUDNN_MAJOR"] "." v["CUDNN_MINOR"] "." v["CUDNN_PATCHLEVEL"] : "none"}'
}
gpu="$(query name)"
declare -A machine=(
  [gpu]="$gpu"
  [driver]="$(query driver_version)"
  [cuda]="$(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
  [cudnn]="$(cudnn_version)"
  [commit]="$(git describe --always --dirty --abbrev=12 2> /dev/null || echo unknown)"
)

results="bench/results/$(tr -cs 'A-Za-z0-9\n' '-' <<< "$gpu" | tr 'A-Z' 'a-z')-${machine[commit]}"
build=build/gpu
mkdir -p "$results"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDDPM_CUDA=ON -DDDPM_BUILD_BENCH=ON \
  -DCMAKE_CUDA_ARCHITECTURES="$(query compute_cap | tr -d .)"
cmake --build "$build"

failed=0
# outcome NAME COMMAND...: runs it and notes in the part's list whether it succeeded.
outcome() {
  local name="$1" word=passed
  shift
  "$@" || { word=failed; failed=1; }
  list+="${list:+,}"$'\n'"    \"$name\": \"$word\""
}
# write_outcomes FILE: the list, with what it was found on.
write_outcomes() {
  {
    echo "{"
    for key in gpu driver cuda cudnn commit; do echo "  \"$key\": \"${machine[$key]}\","; done
    echo "  \"outcomes\": {$list"
    echo "  }"
    echo "}"
  } > "$results/$1"
}

run_tests() {
  outcome ctest ctest --test-dir "$build" --label-regex gpu --no-tests=error --output-on-failure
}
run_sanitizers() {
  local tool test
  for tool in memcheck racecheck initcheck synccheck; do
    for test in "$build"/bin/gpu_*_test; do
      echo "== compute-sanitizer $tool, $(basename "$test")"
      outcome "$tool $(basename "$test")" compute-sanitizer --tool "$tool" --error-exitcode 1 "$test" --gtest_brief=1
    done
  done
}
run_benchmarks() {
  local name context=""
  for key in "${!machine[@]}"; do context+="${context:+,}$key=${machine[$key]}"; done
  for name in kernels_benchmark group_norm_benchmark; do
    outcome "$name" "$build/bin/$name" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true \
      --benchmark_context="$context" --benchmark_out="$results/$name.json" --benchmark_out_format=json
  done
}

for part in "${parts[@]}"; do
  list=""
  "run_$part"
  write_outcomes "$part.json"
done
echo "gpu_suite: results are in $results"
exit "$failed"
