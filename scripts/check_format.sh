#!/usr/bin/env bash
# Fails where a source is not as .clang-format has it; scripts/check_format.sh --fix rewrites them.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=(--dry-run --Werror)
[[ "${1:-}" == "--fix" ]] && mode=(-i)
git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format "${mode[@]}"
