#!/usr/bin/env bash
# Builds what scripts/gpu_run.sh runs and packs it for a machine that cannot build: scripts/gpu_suite.sh build|bundle...
#
#   build     the programs, in build/release, for this machine's GPU (without one: compute capability 9.0); needs nvcc
#             and cuDNN but no GPU
#   bundle    build/gpu-bundle.tar.xz: programs, tests, the libraries they need beyond the system's and CUDA's, the
#             scripts and a Python to run them, the peers and their wheel
#
# Options:
#   --architecture N  build for compute capability N, without the dot: 80, 90
#   --bin DIR         pack the programs of another build (default: build/release/bin)
#   --run 1|2|3|4     only what that run needs
#   --faces FILE.zip  images for run 4, made by ddpm_data export (default: synthetic faces)
#   --out FILE        instead of build/gpu-bundle.tar.xz
#   --no-wheel        without diffusers, if the target machine has it
#
# On the other machine: tar -xJf gpu-bundle.tar.xz && gpu-bundle/scripts/gpu_run.sh 1 --out results
# (if tar does not support xz: python3 -m tarfile -e gpu-bundle.tar.xz .)
set -euo pipefail
cd "$(dirname "$0")/.."

bin=build/release/bin architecture="" run="" faces="" out=build/gpu-bundle.tar.xz wheel=true parts=()
mistake() { echo "gpu_suite: $1; see the top of scripts/gpu_suite.sh for usage" >&2; exit 2; }
while (($#)); do
  case "$1" in
    --architecture | --bin | --run | --faces | --out)
      (($# > 1)) || mistake "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    --no-wheel) wheel=false ;;
    build | bundle) parts+=("$1") ;;
    -*) mistake "unknown option '$1'" ;;
    *) mistake "unknown command '$1': expected build or bundle" ;;
  esac
  shift
done
((${#parts[@]})) || mistake "expected build, bundle or both"
[[ "$run" =~ ^[1-4]?$ ]] || mistake "--run: expected 1, 2, 3 or 4, got '$run'"
[[ "$architecture" =~ ^[0-9]*$ ]] || mistake "--architecture: expected a number such as 90, got '$architecture'"
[[ -z "$faces" || -f "$faces" ]] || mistake "--faces: cannot find $faces"
# The programs of the run by name, so that a missing one is found here and not on the other machine.
mapfile -t programs < <(python3 scripts/gpu_run --programs "${run:-all}")

run_build() {
  scripts/install_dependencies.sh
  [[ -n "$architecture" ]] ||
    architecture="$(nvidia-smi --id=0 --query-gpu=compute_cap --format=csv,noheader 2> /dev/null | tr -d . || true)"
  cmake --preset release -DDDPM_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES="${architecture:-90}"
  cmake --build --preset release --target "${programs[@]}"
}

run_bundle() {
  local to program library
  scripts/install_dependencies.sh --bundle
  to="$(mktemp -d)/gpu-bundle"
  trap 'rm -rf "$(dirname "'"$to"'")"' EXIT
  mkdir -p "$to"/{bin,lib,scripts,bench,data,wheels}
  git describe --always --dirty --abbrev=12 > "$to/commit"
  for program in "${programs[@]}"; do
    [[ -x "$bin/$program" ]] || { echo "gpu_suite: $bin/$program is missing: run scripts/gpu_suite.sh build" >&2; exit 1; }
    strip -o "$to/bin/$program" "$bin/$program"
  done
  python3 scripts/pack_python.py "$to/python"
  # All libraries but the C and C++ runtime and CUDA's, which the other machine has.
  LC_ALL=C ldd "${programs[@]/#/$bin/}" "$to"/python/bin/python3 "$to"/python/lib/*/lib-dynload/*.so |
    awk '$3 ~ "^/" {print $3}' | sort -u |
    grep -Ev '/(libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|librt|libcu[^/]*|libnv[^/]*)\.so' |
    while read -r library; do cp -L "$library" "$to/lib/"; done
  # RPATH, unlike RUNPATH, also applies to the libraries' own dependencies: gpu_run links CUDA's libraries into lib.
  for program in "$to"/bin/*; do patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" "$program"; done
  patchelf --force-rpath --set-rpath "\$ORIGIN/../../lib" "$to/python/bin/python3"
  chmod u+w "$to"/lib/*
  strip --strip-unneeded "$to"/lib/* "$to"/python/bin/python3 "$to"/python/lib/*/lib-dynload/*.so
  cp -r scripts/gpu_run scripts/gpu_run.sh scripts/benchmark_table.py "$to/scripts/"
  cp -r bench/peers "$to/bench/"
  find "$to" -name __pycache__ -prune -exec rm -r {} +
  [[ -z "$faces" ]] || cp "$faces" "$to/data/faces64.zip"
  if $wheel; then
    python3 -m pip download --quiet --no-deps --dest "$to/wheels" \
      "$(grep -oE '^diffusers==[0-9.]+' bench/peers/requirements.txt)"
  fi
  # The programs share their kernels: a dictionary that spans several programs shrinks the archive to a third.
  tar --create --directory "$(dirname "$to")" gpu-bundle | xz --threads=1 --lzma2=preset=1,dict=64MiB > "$out.part"
  mv "$out.part" "$out"
  echo "$out: $(($(stat -c %s "$out") * 10 >> 20))" | sed -E 's/([0-9])$/.\1 MiB/'
}

for part in "${parts[@]}"; do "run_$part"; done
