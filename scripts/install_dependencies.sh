#!/usr/bin/env bash
# Installs the build's dependencies on Debian or Ubuntu without prompting; does nothing if all are installed, and needs
# root or sudo only if some are missing. It does not install the CUDA Toolkit: with nvcc on PATH the build compiles the
# GPU code, too, otherwise only the CPU part.
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config ccache git
  libgtest-dev libgmock-dev libbenchmark-dev
  libcli11-dev libtomlplusplus-dev nlohmann-json3-dev libfmt-dev
  libturbojpeg0-dev libjpeg-dev libpng-dev libzip-dev zlib1g-dev libxxhash-dev
  libdnnl-dev libboost-context-dev
)
case "${1:-}" in
  --checks) packages+=(clang-format clang-tidy python3-venv) ;;        # for .ci/run
  --bundle) packages+=(patchelf xz-utils binutils python3-pip) ;;      # for scripts/gpu_suite.sh
  --fuzz) packages+=(clang libclang-rt-dev libomp-dev) ;;              # for scripts/fuzz.sh
esac

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  command -v sudo >/dev/null || { echo "cannot install without root or sudo: ${missing[*]}" >&2; exit 2; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
