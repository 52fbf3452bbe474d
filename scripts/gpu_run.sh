#!/usr/bin/env bash
# One of four prepared runs on a machine with a GPU, each within eight and a half minutes (docs/measuring.md):
#
#   scripts/gpu_run.sh 1 --out DIR    # is it right?
#   scripts/gpu_run.sh 2 --out DIR    # is it fast?
#   scripts/gpu_run.sh 3 --out DIR    # where does the time go?
#   scripts/gpu_run.sh 4 --out DIR    # faces
#
# --help tells the options; --rehearse goes through every step on a machine without a GPU. Needs Python 3.9 or newer and
# nothing else: runs in a build's tree and in an unpacked bundle (scripts/gpu_suite.sh bundle) alike.
set -euo pipefail
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}:/usr/local/cuda/bin"
command -v python3 > /dev/null || { echo "gpu_run: python3 is missing: install Python 3.9 or newer" >&2; exit 2; }
exec python3 "$(dirname "${BASH_SOURCE[0]}")/gpu_run" "$@"
