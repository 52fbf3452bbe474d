#!/usr/bin/env bash
# Builds what calls oneDNN against oneDNN 3 and tests it: scripts/test_onednn3.sh
# For a Debian 12, whose own oneDNN is 2.6: Debian 13 and Ubuntu 24.04 have 3, whose C++ API is another. The library
# comes from PyPI, into build/onednn3; the newest one there that has headers and GNU OpenMP is 3.2.
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
