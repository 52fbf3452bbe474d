#!/usr/bin/env bash
# One of four prepared runs on a machine with a GPU, each of which takes at most eight and a half minutes
# (docs/measuring.md):
#
#   scripts/gpu_run.sh 1 --out DIR    # is it right?
#   scripts/gpu_run.sh 2 --out DIR    # is it fast?
#   scripts/gpu_run.sh 3 --out DIR    # where does the time go?
#   scripts/gpu_run.sh 4 --out DIR    # faces
#
# --help lists the options; --rehearse takes every step on a machine without a GPU. Runs in the source tree and in an
# unpacked bundle (scripts/gpu_suite.sh bundle), with any Python from 3.9 on; a bundle includes one.
set -euo pipefail
export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}:/usr/local/cuda/bin"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
for python in python3 "$here/../python/bin/python3"; do
  if "$python" -c 'import sys, lzma; sys.exit(sys.version_info < (3, 9))' 2> /dev/null; then
    exec "$python" -B "$here/gpu_run" "$@"
  fi
done
echo "gpu_run: Python 3.9 or newer is missing: install it or run from a bundle, which includes one" >&2
exit 2
