#!/usr/bin/env bash
# Builds the fuzz targets and runs each for the given time: scripts/fuzz.sh [SECONDS] [TARGET...]
# SECONDS is 60 by default; TARGET is a folder of fuzz/corpus (default: all). An input that makes a reader misbehave stays
# in build/fuzz/findings: once it is mended, put the input into fuzz/corpus/TARGET, where every test run replays it.
# New inputs that reach new code gather in build/fuzz/corpus and are not committed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
shift || true
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(ls fuzz/corpus)

command -v clang++ >/dev/null || { echo "clang++ is missing: scripts/install_dependencies.sh --fuzz" >&2; exit 2; }
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz

failed=()
for target in "${targets[@]}"; do
  found="build/fuzz/corpus/$target" log="build/fuzz/$target.log"
  mkdir -p "$found" build/fuzz/findings
  echo "== $target: $seconds s"
  # 20000: room for a few records of CIFAR-10, the largest well-formed inputs.
  build/fuzz/bin/"fuzz_$target" -max_total_time="$seconds" -max_len=20000 -timeout=30 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/findings/$target-" \
    "$found" "fuzz/corpus/$target" >"$log" 2>&1 || failed+=("$target")
  grep -E "stat::number_of_executed_units|stat::average|stat::peak|ERROR|SUMMARY|error:|Test unit written" "$log"
done
[[ ${#failed[@]} -eq 0 ]] || { echo "findings, told in build/fuzz/TARGET.log: ${failed[*]}" >&2; exit 1; }
