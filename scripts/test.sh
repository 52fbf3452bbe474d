#!/usr/bin/env bash
# Installs missing packages, builds, and runs the tests: scripts/test.sh [PRESET]
# PRESET is release (default), dev, asan or tsan: see CMakePresets.json.
# Tests on real images need DDPM_TEST_DATA, a folder with celeba/, cifar-10-batches-bin/ and mnist/.
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-release}"

scripts/install_dependencies.sh
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset"
