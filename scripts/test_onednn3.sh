#!/usr/bin/env bash
# Builds and tests the code that calls oneDNN against oneDNN 3: scripts/test_onednn3.sh For Debian 12, whose oneDNN is
# 2.6; Debian 13 and Ubuntu 24.04 have version 3 with a different C++ API. The library comes from PyPI and is installed
# in build/onednn3; 3.2 is the newest one there with headers and GNU OpenMP.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build/onednn3
venv=$build/venv
[[ -e $venv/lib/libdnnl.so ]] || {
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet onednn-cpu-gomp==2023.2.0 onednn-devel-cpu-gomp==2023.2.0
}
cmake --preset release -B "$build" -DDDPM_CUDA=OFF -DDDPM_BUILD_BENCH=OFF \
  -DDNNL_INCLUDE_DIR="$PWD/$venv/include" -DDNNL_LIBRARY="$PWD/$venv/lib/libdnnl.so" > "$build/configure.log" ||
  { cat "$build/configure.log"; exit 1; }
cmake --build "$build" --target onednn_ops_test
OMP_WAIT_POLICY=passive "$build/bin/onednn_ops_test" --gtest_brief=1
