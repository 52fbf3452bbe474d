#!/usr/bin/env bash
# pip install --target leaves out a wheel's shared libraries, and reports success.
#
# Version:  pip 26.3; wheel onednn-cpu-gomp 2023.2.0 (oneDNN 3.2, for Linux on x86-64), as PyPI has them.
# Guess:    `pip install --target DIR WHEEL` puts every file of the wheel below DIR, or fails.
# Behavior: the wheel holds libdnnl.so as data, in NAME.data/data/lib/. pip unpacks that into a temporary prefix beside
#           lib/python, and then moves the top folders of the prefix into DIR, except for those that contain
#           site-packages: all of lib/ is passed over, share/ is moved. pip exits with 0, prints no warning, lists the
#           libraries in RECORD, and `pip check` finds nothing wrong. The same wheel in a virtual environment is whole.
# Seen:     installed with --target, exit code 0: 0 files named libdnnl.so*, RECORD lists 3, files of share/: 3
#           installed in the environment: 3 files named libdnnl.so*
#
# Needs python3 with venv and PyPI (20 MB), writes to a temporary folder only. Fails if the behavior is another.
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
  echo "pip behaves differently from what is written above" >&2
  exit 1
}
