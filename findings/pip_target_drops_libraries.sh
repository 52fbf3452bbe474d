#!/usr/bin/env bash
# pip install --target omits a wheel's shared libraries and reports success.
#
# Version:  pip 26.3; wheel onednn-cpu-gomp 2023.2.0 (oneDNN 3.2, for Linux on x86-64), both from PyPI.
# Expected: `pip install --target DIR WHEEL` installs every file of the wheel under DIR, or fails.
# Actual:   the wheel contains libdnnl.so as data, in NAME.data/data/lib/. pip unpacks it into a temporary prefix, next to
#           lib/python, and then moves the prefix's top-level folders into DIR, except those that contain site-packages.
#           It therefore moves share/ but skips all of lib/. pip exits with 0, prints no warning, and lists the libraries
#           in RECORD; `pip check` reports no problem. In a virtual environment, the same wheel installs completely.
# Output:   installed with --target, exit code 0: 0 files named libdnnl.so*, RECORD lists 3, files of share/: 3
#           installed in the environment: 3 files named libdnnl.so*
#
# Needs python3 with venv, and PyPI (20 MB). Writes only to a temporary folder. Fails if pip behaves differently.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
wheel=onednn-cpu-gomp==2023.2.0

python3 -m venv "$folder/env"
pip=("$folder/env/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet pip==26.3
"${pip[@]}" --version | cut -d' ' -f1,2

libraries() { find "$1" -name 'libdnnl.so*' | wc -l; }
code=0
"${pip[@]}" install --quiet --no-deps --target "$folder/target" "$wheel" || code=$?
dropped=$(libraries "$folder/target")
recorded=$(grep -c 'libdnnl\.so' "$folder"/target/onednn_cpu_gomp-*.dist-info/RECORD)
shared=$(find "$folder/target/share" -type f | wc -l)
echo "installed with --target, exit code $code: $dropped files named libdnnl.so*," \
  "RECORD lists $recorded, files of share/: $shared"

PYTHONPATH="$folder/target" "${pip[@]}" check
"${pip[@]}" install --quiet --no-deps "$wheel"
whole=$(libraries "$folder/env/lib")
echo "installed in the environment: $whole files named libdnnl.so*"

[[ $code == 0 && $dropped == 0 && $recorded == 3 && $shared == 3 && $whole == 3 ]] || {
  echo "pip no longer behaves as described at the top of this script" >&2
  exit 1
}
