#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over the sources of a configured build: scripts/check_tidy.sh [BUILD_DIR]
# Sources that the build does not compile (the CUDA part of a build without CUDA) are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
build="${1:-build/release}"
# Remove flags that only g++ knows from the compile commands.
mkdir -p build/tidy
sed 's/-Wno-restrict//g; s#/usr/bin/ccache ##g' "$build/compile_commands.json" > build/tidy/compile_commands.json
comm -12 \
  <(git ls-files '*.cpp' | grep -E '^(support|device|kernels/(reference|cpu)|runtime|model|data|apps)/' | sort) \
  <(sed -n "s#.*\"file\": \"$PWD/\(.*\)\".*#\1#p" build/tidy/compile_commands.json | sort -u) |
  xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/tidy
