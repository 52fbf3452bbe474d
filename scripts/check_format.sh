#!/usr/bin/env bash
# Checks that all sources are formatted by .clang-format: scripts/check_format.sh [--fix]
# --fix formats them.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(--dry-run --Werror)
[[ "${1:-}" == "--fix" ]] && mode=(-i)
git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format "${mode[@]}"
