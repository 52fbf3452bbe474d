#!/usr/bin/env bash
# Creates a virtual environment that runs bench/peers on the CPU: scripts/install_peers.sh DIR [TORCH_VERSION]
# DIR/bin/python then has PyTorch (default: the version of bench/peers/requirements.txt) and diffusers. Stubs
# (bench/peers/stub_cuda.py) replace the 2 GB of CUDA libraries that pip would download; with them PyTorch sees no GPU.
# For a GPU: pip install -r bench/peers/requirements.txt. Needs Python 3.11 or newer (PYTHON), g++ and binutils. Does
# nothing if DIR already has these versions.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ $# -lt 1 || "$1" == -* ]]; then
  sed -n '2,7s/^# //p' "$0" >&2
  exit 2
fi
folder="$1"
pinned() { sed -n "s/^$1==\([^ ]*\).*/\1/p" bench/peers/requirements.txt; }
version="${2:-$(pinned torch)}"
wanted="torch $version, diffusers $(pinned diffusers), huggingface_hub $(pinned huggingface_hub)"
if [[ -f "$folder/made" && "$(< "$folder/made")" == "$wanted" ]]; then exit 0; fi

begin=$SECONDS
rm -rf "$folder"
"${PYTHON:-python3}" -m venv "$folder"
pip=("$folder/bin/pip" --disable-pip-version-check --quiet)
# Without their dependencies: CUDA (PyTorch), images and downloads (diffusers). The second call installs
# what both import.
"${pip[@]}" install --no-deps --no-cache-dir "torch==$version" "diffusers==$(pinned diffusers)"
"${pip[@]}" install "huggingface_hub==$(pinned huggingface_hub)" "safetensors==$(pinned safetensors)" \
  "numpy==$(pinned numpy)" setuptools sympy networkx jinja2 2> "$folder/pip.log" || { cat "$folder/pip.log" >&2; exit 1; }
site="$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
"${PYTHON:-python3}" bench/peers/stub_cuda.py "$site"
"$folder/bin/python" -c '
import torch
x = torch.ones(2, 2, requires_grad=True)
(x @ x).sum().backward()
assert not torch.cuda.is_available() and x.grad.sum() == 16, x.grad'
echo "$wanted" > "$folder/made"
echo "$wanted: $((SECONDS - begin)) s, $(du -sm "$folder" | cut -f 1) MB in $folder"
