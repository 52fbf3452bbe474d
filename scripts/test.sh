#!/usr/bin/env bash
# Installs what is missing, builds and runs the tests: scripts/test.sh [PRESET]
# PRESET is release (default), dev, asan, tsan or ci: see CMakePresets.json.
# Tests on real images need DDPM_TEST_DATA, the folder that holds celeba/, cifar-10-batches-bin/ and mnist/.
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-release}"

scripts/install_dependencies.sh
cmake --preset "$preset"
cmake --build --preset "$preset"
ctest --preset "$preset"
