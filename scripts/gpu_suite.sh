#!/usr/bin/env bash
# Builds what scripts/gpu_run.sh runs, and packs it for a machine that cannot build: scripts/gpu_suite.sh build|bundle...
#
#   build     the programs, in build/release, for this machine's GPU (none: compute capability 9.0); needs nvcc and
#             cuDNN, but no GPU
#   bundle    build/gpu-bundle.tar.xz: programs, tests, the libraries that they need beyond the system's and CUDA's, the
#             scripts and a Python to run them, the peers and their wheel
#
# Options:
#   --architecture N  build for compute capability N without its dot: 80, 90
#   --bin DIR         programs of another build (build/release/bin)
#   --run 1|2|3|4     what that run needs, and no more
#   --faces FILE.zip  images for run 4 (ddpm_data export makes such a file); without it run 4 trains on synthetic faces
#   --out FILE        instead of build/gpu-bundle.tar.xz
#   --no-wheel        without diffusers: PyTorch's machine has it
#
# There: tar -xJf gpu-bundle.tar.xz && gpu-bundle/scripts/gpu_run.sh 1 --out results
# (python3 -m tarfile -e gpu-bundle.tar.xz . where tar knows no xz)
set -euo pipefail
cd "$(dirname "$0")/.."

bin=build/release/bin architecture="" run="" faces="" out=build/gpu-bundle.tar.xz wheel=true parts=()
mistake() { echo "gpu_suite: $1; the head of scripts/gpu_suite.sh tells the usage" >&2; exit 2; }
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
    *) mistake "unknown part '$1': build or bundle" ;;
  esac
  shift
done
((${#parts[@]})) || mistake "say build, bundle or both"
[[ "$run" =~ ^[1-4]?$ ]] || mistake "--run $run: 1, 2, 3 or 4"
[[ "$architecture" =~ ^[0-9]*$ ]] || mistake "--architecture $architecture: a number such as 90"
[[ -z "$faces" || -f "$faces" ]] || mistake "--faces $faces: there is no such file"
# All of them run by the file's name: what is missing is found here, not on the other machine.
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
    [[ -x "$bin/$program" ]] || { echo "gpu_suite: $bin/$program is missing: scripts/gpu_suite.sh build" >&2; exit 1; }
    strip -o "$to/bin/$program" "$bin/$program"
  done
  python3 scripts/pack_python.py "$to/python"
  # What is not the system's C and C++ libraries, nor CUDA's, which the other machine has.
  LC_ALL=C ldd "${programs[@]/#/$bin/}" "$to"/python/bin/python3 "$to"/python/lib/*/lib-dynload/*.so | awk '$3 ~ "^/" {print $3}' | sort -u |
    grep -Ev '/(libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|librt|libcu[^/]*|libnv[^/]*)\.so' |
    while read -r library; do cp -L "$library" "$to/lib/"; done
  # The old kind of run path holds for the libraries' libraries too: gpu_run links CUDA's into lib.
  for program in "$to"/bin/*; do patchelf --force-rpath --set-rpath "\$ORIGIN/../lib" "$program"; done
  patchelf --force-rpath --set-rpath "\$ORIGIN/../../lib" "$to/python/bin/python3"
  chmod u+w "$to"/lib/*
  strip --strip-unneeded "$to"/lib/* "$to"/python/bin/python3 "$to"/python/lib/*/lib-dynload/*.so
  cp -r scripts/gpu_run scripts/gpu_run.sh scripts/benchmark_table.py "$to/scripts/"
  cp -r bench/peers "$to/bench/"
  find "$to" -name __pycache__ -prune -exec rm -r {} +
  [[ -z "$faces" ]] || cp "$faces" "$to/data/faces64.zip"
  if $wheel; then
    python3 -m pip download --quiet --no-deps --dest "$to/wheels" "$(grep -oE '^diffusers==[0-9.]+' bench/peers/requirements.txt)"
  fi
  # The programs hold the same kernels: a dictionary that reaches from one to the next makes them a third of the size.
  tar --create --directory "$(dirname "$to")" gpu-bundle | xz --threads=1 --lzma2=preset=1,dict=64MiB > "$out.part"
  mv "$out.part" "$out"
  echo "$out: $(($(stat -c %s "$out") * 10 >> 20))" | sed -E 's/([0-9])$/.\1 MiB/'
}

for part in "${parts[@]}"; do "run_$part"; done
