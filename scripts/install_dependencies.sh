#!/usr/bin/env bash
# Installs what the build needs on Debian or Ubuntu, without asking; does nothing where all of it is there.
# Needs root or sudo only where something is missing. The CUDA Toolkit is not installed: with nvcc on PATH the GPU code
# is compiled too, without it the CPU part is built.
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config ccache git
  libgtest-dev libgmock-dev libbenchmark-dev
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev
  libturbojpeg0-dev libjpeg-dev libpng-dev libzip-dev zlib1g-dev libxxhash-dev
  libdnnl-dev libboost-context-dev
)
case "${1:-}" in
  --checks) packages+=(clang-format clang-tidy python3-venv) ;;        # what .ci/run uses
  --bundle) packages+=(patchelf xz-utils binutils python3-pip) ;;      # what scripts/gpu_suite.sh packs with
  --fuzz) packages+=(clang libclang-rt-dev libomp-dev) ;;              # what scripts/fuzz.sh builds with
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "these packages are missing and there is no sudo: ${missing[*]}" >&2; exit 2; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
