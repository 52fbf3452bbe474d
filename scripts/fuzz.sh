#!/usr/bin/env bash
# Builds the fuzz targets and runs each for SECONDS (default 60): scripts/fuzz.sh [SECONDS] [TARGET...]
# TARGET is a folder of fuzz/corpus (default: all). Inputs that crash a parser are kept in build/fuzz/findings: once the
# bug is fixed, move the input to fuzz/corpus/TARGET, where every test run replays it. Inputs that reach new code are
# collected in build/fuzz/corpus and not committed.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
shift || true
targets=("$@")
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(ls fuzz/corpus)

command -v clang++ >/dev/null || { echo "fuzz: clang++ is missing: run scripts/install_dependencies.sh --fuzz" >&2; exit 2; }
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz

failed=()
for target in "${targets[@]}"; do
  found="build/fuzz/corpus/$target" log="build/fuzz/$target.log"
  mkdir -p "$found" build/fuzz/findings
  echo "== $target: $seconds s"
  # 20000 bytes hold a few CIFAR-10 records, the largest well-formed inputs.
  build/fuzz/bin/"fuzz_$target" -max_total_time="$seconds" -max_len=20000 -timeout=30 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/findings/$target-" \
    "$found" "fuzz/corpus/$target" >"$log" 2>&1 || failed+=("$target")
  grep -E "stat::number_of_executed_units|stat::average|stat::peak|ERROR|SUMMARY|error:|Test unit written" "$log"
done
[[ ${#failed[@]} -eq 0 ]] || { echo "fuzz: findings in ${failed[*]}: see build/fuzz/TARGET.log" >&2; exit 1; }
