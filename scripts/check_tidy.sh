#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy) over the sources of a configured build: scripts/check_tidy.sh [BUILD_DIR]
# What that build does not compile (CUDA's part, where there is no CUDA) is passed over.
set -euo pipefail
cd "$(dirname "$0")/.."
build="${1:-build/release}"
# Flags that g++ knows and clang does not are dropped from the compile commands.
mkdir -p build/tidy
sed 's/-Wno-restrict//g; s#/usr/bin/ccache ##g' "$build/compile_commands.json" > build/tidy/compile_commands.json
comm -12 \
  <(git ls-files 'support/*.cpp' 'device/*.cpp' 'kernels/reference/*.cpp' 'kernels/cpu/*.cpp' 'runtime/*.cpp' 'model/*.cpp' 'data/*.cpp' 'apps/*.cpp' | sort) \
  <(sed -n "s#.*\"file\": \"$PWD/\(.*\)\".*#\1#p" build/tidy/compile_commands.json | sort -u) |
  xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/tidy
