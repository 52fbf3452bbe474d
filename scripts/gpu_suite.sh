#!/usr/bin/env bash
# All that needs a GPU, part by part (docs/measuring.md): scripts/gpu_suite.sh [OPTION...] [PART...]
#
# Parts (no name: all but bundle):
#   build         what the others run, in build/gpu, for this machine's GPU (none: 9.0); they need it, or --bin
#   device        the GPU and the CUDA libraries; cuDNN's own description of the GPU
#   tests         the GPU tests
#   memcheck, racecheck, initcheck, synccheck    compute-sanitizer over the GPU tests; all four: sanitizers
#   kernels       the kernels' benchmarks and their table
#   products-cifar10, products-celeba, products-celebahq    the convolutions and matrix products of a step, and their
#                 tables; all: products
#   validate      ddpm_validate for three networks in fp32 and bf16
#   determinism   same seed, same bytes; stop and resume, same bytes; memcheck over training and sampling
#   profile       time by operation of a training of two networks
#   peers-train-cifar10, peers-train-celeba, peers-sample-cifar10, peers-sample-celeba    side by side with PyTorch;
#                 all four: peers. With -autotune at the end: torch.compile's autotuning instead; all: peers-autotune
#   train         trains --preset for --train-seconds (again: goes on), draws a grid
#   bundle        programs and libraries into build/gpu-bundle and gpu-bundle.tar.gz beside it, for a machine that cannot
#                 build: --bin gpu-bundle/bin there
#
# Options:
#   --bin DIR            a ready build's folder of programs, instead of build/gpu/bin
#   --results DIR        instead of bench/results/<gpu>-<commit>
#   --work DIR           data sets, runs and caches; a part finds what another left there (build/gpu-work)
#   --data FILE.npy      what `train` trains on (default: CelebA in $DDPM_TEST_DATA, else synthetic faces)
#   --preset NAME        what `train` trains (ddim-celeba-64)
#   --train-seconds N    480
#   --seconds N          a part stops starting things, and ends what runs, after this time (570)
#   --tests GLOB         which tests `tests` and the sanitizers run (gpu_*_test)
#   --python PROGRAM     with PyTorch and diffusers, for the peers (python3)
#   --commit TEXT        where git cannot tell
#   --device cpu         determinism and train without a GPU, on a small network: to try the suite out
#   --dry-run            print the commands
#
# Each part but build and bundle writes PART.json with the GPU, driver, CUDA and cuDNN versions, the commit and what
# became of its commands. Without a GPU it says so and ends with 0; build and bundle need none. Ends with 1 where a
# command failed; the others are run all the same.
set -euo pipefail
cd "$(dirname "$0")/.."

sanitizers=(memcheck racecheck initcheck synccheck)
products=(products-cifar10 products-celeba products-celebahq)
peers=(peers-train-cifar10 peers-train-celeba peers-sample-cifar10 peers-sample-celeba)
programs=(ddpm_data ddpm_inspect ddpm_sample ddpm_train ddpm_validate gpu_description group_norm_benchmark
  kernels_benchmark products_benchmark)
all=(build device tests "${sanitizers[@]}" kernels "${products[@]}" validate determinism profile "${peers[@]}"
  "${peers[@]/%/-autotune}" train)

bin="" results="" work=build/gpu-work data="" preset=ddim-celeba-64 train_seconds=480 seconds=570 python=python3
tests="gpu_*_test" commit="" device=cuda dry_run=false parts=()
mistake() { echo "gpu_suite: $1; the head of scripts/gpu_suite.sh tells the usage" >&2; exit 2; }
while (($#)); do
  case "$1" in
    --bin | --results | --work | --data | --preset | --train-seconds | --seconds | --tests | --python | --commit | \
      --device)
      (($# > 1)) || mistake "$1 needs a value"
      name="${1#--}"
      printf -v "${name//-/_}" %s "$2"
      shift
      ;;
    --dry-run) dry_run=true ;;
    -*) mistake "unknown option '$1'" ;;
    sanitizers) parts+=("${sanitizers[@]}") ;;
    products) parts+=("${products[@]}") ;;
    peers) parts+=("${peers[@]}") ;;
    peers-autotune) parts+=("${peers[@]/%/-autotune}") ;;
    *) [[ " ${all[*]} bundle " == *" $1 "* ]] || mistake "unknown part '$1'"; parts+=("$1") ;;
  esac
  shift
done
((${#parts[@]})) || parts=("${all[@]}")
[[ "$device" == cuda || "$device" == cpu ]] || mistake "--device $device: cuda or cpu"
[[ "$train_seconds" =~ ^[0-9]+$ && "$seconds" =~ ^[0-9]+$ ]] || mistake "seconds are whole numbers"
needs_gpu=false needs_results=false
for part in "${parts[@]}"; do
  [[ "$device" == cuda || "$part" =~ ^(build|bundle|determinism|train)$ ]] || mistake "$part needs a GPU"
  [[ "$part" =~ ^(build|bundle)$ ]] || needs_results=true
  [[ "$device" == cpu ]] || needs_gpu=$needs_results
done

PATH="$PATH:/usr/local/cuda/bin"
if $needs_gpu && ! $dry_run && ! nvidia-smi > /dev/null 2>&1; then
  echo "gpu_suite: no GPU on this machine, nothing was run"
  exit 0
fi

# ---- The machine

query() { nvidia-smi --id=0 --query-gpu="$1" --format=csv,noheader 2> /dev/null || true; }

# What a bundle was built from stands beside it.
if [[ -z "$commit" && -n "$bin" && -f "$bin/../commit" ]]; then commit="$(< "$bin/../commit")"; fi
[[ -n "$commit" ]] || commit="$(git describe --always --dirty --abbrev=12 2> /dev/null || echo unknown)"

declare -A machine
# After the build: its programs know the libraries' versions.
describe_machine() {
  local description="" key
  if [[ "$device" == cuda ]]; then
    description="$("$bin/gpu_description" 2> /dev/null || true)"
    machine[gpu]="$(query name)"
    machine[gpu]="${machine[gpu]:-none}"
    machine[driver]="$(query driver_version)"
  else
    machine[gpu]=cpu
    machine[driver]=none
  fi
  for key in cuda cudnn; do
    machine[$key]="$(sed -n "s/^ *\"$key\": \"\([^\"]*\)\".*/\1/p" <<< "$description")"
    [[ -n "${machine[$key]}" ]] || machine[$key]=unknown
  done
  machine[commit]="$commit"
  if [[ -z "$results" ]]; then
    results="bench/results/$(tr -cs 'A-Za-z0-9\n' '-' <<< "${machine[gpu]}" | tr 'A-Z' 'a-z')-$commit"
  fi
}

# Else the tests would skip themselves, and pass: a driver that is too old for the programs, say.
programs_see_gpu() { [[ "${machine[cuda]}" != unknown ]]; }

# The libraries that a bundle's programs miss here, from where Python's packages or the toolkit have them.
link_missing_libraries() {
  local library found folder packages missing
  packages="$("$python" -c 'import site; print(site.getsitepackages()[0])' 2> /dev/null || true)"
  missing="$(ldd "$bin"/{ddpm_train,products_benchmark} 2> /dev/null | awk '/not found/ {print $1}' || true)"
  for library in $missing; do
    found="$(find /usr/local/cuda*/ "${packages:-/nowhere}" -name "$library" 2> /dev/null | head -n 1 || true)"
    [[ -n "$found" ]] || { echo "gpu_suite: $library is missing on this machine" >&2; continue; }
    folder="$(dirname "$found")"
    mkdir -p "$bin/../lib"
    # With its neighbours: cuDNN's library loads the others of its folder.
    ln -sf "$folder"/lib*.so* "$bin/../lib/"
  done
}

# ---- Running commands

failed=0 list="" deadline=0
# outcome NAME COMMAND...: runs it within the part's time and notes what became of it. Variables before it: `output` is
# the file that its output goes to.
outcome() {
  local name="$1" word=passed begin=$SECONDS left=$((deadline - SECONDS)) code=0 limit=()
  shift
  if $dry_run; then
    printf '  %s:' "$name"; printf ' %q' "$@"; echo "${output:+ > $output}"
    return
  fi
  [[ "$(type -t "$1")" == function ]] || limit=(timeout --signal=INT --kill-after=20 "$left")
  if ((left < 5)); then
    word="not run: the part's time was up"
  else
    echo "== $name"
    if [[ -n "${output:-}" ]]; then
      "${limit[@]}" "$@" > "$output" || code=$?
      if [[ -s "$output" ]]; then cat "$output"; else rm "$output"; fi
    else
      "${limit[@]}" "$@" || code=$?
    fi
    ((code == 0)) || word="failed with $code"
    ((code != 124 && code != 137)) || word="stopped after $left s"
  fi
  [[ "$word" == passed ]] || { failed=1; echo "gpu_suite: $name: $word" >&2; }
  list+="${list:+,}"$'\n'"    \"$name\": {\"outcome\": \"$word\", \"seconds\": $((SECONDS - begin))}"
}
# write_outcomes FILE: the list, with what it was found on.
write_outcomes() {
  {
    echo "{"
    for key in gpu driver cuda cudnn commit; do echo "  \"$key\": \"${machine[$key]}\","; done
    echo "  \"outcomes\": {$list"
    echo "  }"
    echo "}"
  } > "$results/$1"
}

# ---- Data

# make_data SIZE: data_file becomes a set of SIZE x SIZE images. CelebA where it is at hand, else synthetic faces.
make_data() {
  local celeba="${DDPM_TEST_DATA:-}/celeba" command
  if [[ -n "${DDPM_TEST_DATA:-}" && -e "$celeba/img_align_celeba.zip" ]]; then
    data_file="$work/celeba$1.npy"
    command=("$bin/ddpm_data" prepare --source celeba --input "$celeba/img_align_celeba.zip" --annotations "$celeba"
      --split all --crop ddim --size "$1" --out "$data_file")
  else
    data_file="$work/synthetic$1.npy"
    command=("$bin/ddpm_data" synthetic-faces --count 10000 --size "$1" --out "$data_file")
  fi
  [[ -e "$data_file" ]] || outcome "data $1" "${command[@]}"
}

# ---- Parts

run_build() {
  local architecture
  architecture="$(query compute_cap | tr -d .)"
  # Old-style run paths hold for the libraries of libraries too: what lies in ../lib, as a bundle has it, is found.
  outcome configure cmake -S . -B build/gpu -G Ninja -DCMAKE_BUILD_TYPE=Release -DDDPM_CUDA=ON -DDDPM_BUILD_BENCH=ON \
    -DCMAKE_CUDA_ARCHITECTURES="${architecture:-90}" -DCMAKE_BUILD_RPATH="\$ORIGIN/../lib" \
    -DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags
  local targets=("${programs[@]}")
  $dry_run || mapfile -t -O ${#targets[@]} targets < <(
    cmake --build build/gpu --target help | grep -oE '^gpu_\w+_test\b')
  outcome build cmake --build build/gpu --parallel "$(nproc)" --target "${targets[@]}"
}
run_device() {
  output="$results/gpu.json" outcome gpu "$bin/gpu_description"
  output="$results/cudnn-device.json" outcome "cuDNN's description" "$bin/gpu_description" --cudnn
}
each_gpu_test() {
  local test
  # shellcheck disable=SC2231  # a pattern
  for test in "$bin"/$tests; do "$@" "$test"; done
}
run_tests() {
  one_test() { outcome "$(basename "$1")" "$1" --gtest_brief=1; }
  each_gpu_test one_test
}
# run_sanitizer TOOL [SKIPPED]: over all GPU tests but those whose names match the pattern.
run_sanitizer() {
  local tool="$1" skipped="${2:-}"
  check_test() {
    # shellcheck disable=SC2053  # a pattern
    [[ "$(basename "$1")" != $skipped ]] || return 0
    outcome "$tool $(basename "$1")" compute-sanitizer --tool "$tool" --error-exitcode 1 "$1" --gtest_brief=1
  }
  each_gpu_test check_test
}
# What cuDNN and cuBLASLt do in their own shared memory and workspace is theirs, and takes long to follow.
libraries_tests="gpu_@(executor|hot_loop|products)_test"
run_memcheck() { run_sanitizer memcheck; }
run_racecheck() { run_sanitizer racecheck "$libraries_tests"; }
run_initcheck() { run_sanitizer initcheck "$libraries_tests"; }
run_synccheck() { run_sanitizer synccheck; }

# run_benchmark RESULT PROGRAM ARGUMENTS...: JSON and table.
run_benchmark() {
  local name="$1" context="" key
  for key in driver cuda cudnn commit; do context+="${context:+,}$key=${machine[$key]}"; done
  outcome "$name" "$bin/$2" "${@:3}" --benchmark_repetitions=5 --benchmark_report_aggregates_only=true \
    --benchmark_context="$context" --benchmark_out="$results/$name.json" --benchmark_out_format=json
  output="$results/$name.md" outcome "$name, table" python3 scripts/benchmark_table.py "$results/$name.json"
}
run_kernels() {
  run_benchmark kernels-all kernels_benchmark
  run_benchmark kernels-group-norm group_norm_benchmark
}
run_products_cifar10() { run_benchmark products-ddpm-cifar10-32 products_benchmark --network ddpm-cifar10-32:128; }
run_products_celeba() { run_benchmark products-ddim-celeba-64 products_benchmark --network ddim-celeba-64:128; }
run_products_celebahq() { run_benchmark products-ddpm-celebahq-256 products_benchmark --network ddpm-celebahq-256:16; }
run_validate() {
  local network precision
  for network in tiny-32:16 ddpm-cifar10-32:8 ddim-celeba-64:4; do
    for precision in fp32 bf16; do
      outcome "${network%%:*} $precision" "$bin/ddpm_validate" --preset "${network%%:*}" --batch "${network#*:}" \
        --precision "$precision" --json "$results/validate-${network%%:*}-$precision.json"
    done
  done
}

# ---- Determinism

# same_checkpoint A B: whether the newest checkpoints of two runs hold the same bytes.
same_checkpoint() {
  local file
  for file in model ema optimizer; do
    cmp "$1/checkpoints/$(< "$1/checkpoints/latest")/$file.safetensors" \
      "$2/checkpoints/$(< "$2/checkpoints/latest")/$file.safetensors" || return 1
  done
}
# Deterministic training of one network: two runs, and one that is stopped in the middle.
check_determinism() {
  local preset="$1" precision="$2" batch="$3" name="$1 $2"
  local runs="$work/determinism/$preset-$precision"
  local train=("$bin/ddpm_train" --preset "$preset" --data "$work/faces32.npy" --batch "$batch" --seed 7
    --device "$device" --precision "$precision" --sample-every 0 --checkpoint-every 1000 --tensorboard false)
  local sample=("$bin/ddpm_sample" --checkpoint "$runs/first" --count 8 --batch 8 --steps 4 --seed 3
    --device "$device" --precision "$precision")
  $dry_run || { rm -rf "$runs"; mkdir -p "$runs"; }
  outcome "$name first run" "${train[@]}" --out "$runs/first" --steps 6
  outcome "$name second run" "${train[@]}" --out "$runs/second" --steps 6
  outcome "$name same seed, same bytes" same_checkpoint "$runs/first" "$runs/second"
  outcome "$name stopped" "${train[@]}" --out "$runs/resumed" --steps 3
  outcome "$name resumed" "${train[@]}" --out "$runs/resumed" --steps 6 --resume
  outcome "$name stopped and resumed, same bytes" same_checkpoint "$runs/first" "$runs/resumed"
  outcome "$name sampling" "${sample[@]}" --npz "$runs/a.npz"
  outcome "$name sampling again" "${sample[@]}" --npz "$runs/b.npz"
  outcome "$name same images" cmp "$runs/a.npz" "$runs/b.npz"
  [[ "$device" == cuda ]] || return 0
  # The plans are in the cache by now: their trials are not what is to be checked.
  local memcheck=(compute-sanitizer --tool memcheck --error-exitcode 1)
  outcome "$name memcheck of training" "${memcheck[@]}" "${train[@]}" --out "$runs/checked" --steps 3
  outcome "$name memcheck of sampling" "${memcheck[@]}" "${sample[@]}" --npz "$runs/checked.npz"
}
run_determinism() {
  [[ -e "$work/faces32.npy" ]] ||
    outcome "data" "$bin/ddpm_data" synthetic-faces --count 256 --size 32 --out "$work/faces32.npy"
  if [[ "$device" == cpu ]]; then
    check_determinism tiny-32 fp32 4
    return
  fi
  check_determinism tiny-32 bf16 16
  check_determinism tiny-32 fp32 16
  check_determinism ddpm-cifar10-32 bf16 16
  check_determinism ddpm-cifar10-32 fp32 16
}

# ---- Whole networks

run_profile() {
  local network
  for network in ddpm-cifar10-32 ddim-celeba-64; do
    make_data "${network##*-}"
    output="$results/profile-$network.txt" outcome "$network" "$bin/ddpm_train" --preset "$network" \
      --data "$data_file" --batch 128 --steps 30 --seed 1 --device cuda --precision bf16 --sample-every 0 \
      --tensorboard false --profile --out "$work/profile-$network"
  done
}

# The likely best first: what the time does not allow is left out. torch.compile's autotuning takes minutes.
standard_variants=(compile-graph eager-graph compile eager eager-fp32)
autotuned_variants=(max-autotune-graph max-autotune)
# run_side_by_side MODE NETWORK VARIANTS...
run_side_by_side() {
  make_data "${2##*-}"
  # It ends by itself before the part does, and writes what it has.
  outcome "$part" "$python" bench/peers/side_by_side.py --bin "$bin" --data "$data_file" --networks "$2" --modes "$1" \
    --batches 128 --variants "${@:3}" --rounds 1 --seconds $((deadline - SECONDS - 30)) --commit "${machine[commit]}" \
    --our-options=--precision=bf16 --results "$results/$part-runs.json"
}
run_peers_train_cifar10() { run_side_by_side train ddpm-cifar10-32 "${standard_variants[@]}"; }
run_peers_train_celeba() { run_side_by_side train ddim-celeba-64 "${standard_variants[@]}"; }
run_peers_sample_cifar10() { run_side_by_side sample ddpm-cifar10-32 "${standard_variants[@]}"; }
run_peers_sample_celeba() { run_side_by_side sample ddim-celeba-64 "${standard_variants[@]}"; }
run_peers_train_cifar10_autotune() { run_side_by_side train ddpm-cifar10-32 "${autotuned_variants[@]}"; }
run_peers_train_celeba_autotune() { run_side_by_side train ddim-celeba-64 "${autotuned_variants[@]}"; }
run_peers_sample_cifar10_autotune() { run_side_by_side sample ddpm-cifar10-32 "${autotuned_variants[@]}"; }
run_peers_sample_celeba_autotune() { run_side_by_side sample ddim-celeba-64 "${autotuned_variants[@]}"; }

# describe_training RUN DATA: what metrics.jsonl tells, as JSON.
describe_training() {
  python3 - "$1/metrics.jsonl" "$preset" "$(basename "$2")" << 'END'
import json, statistics, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
last = lines[-max(1, len(lines) // 20):]
print(json.dumps({"preset": sys.argv[2], "data": sys.argv[3], "steps": lines[-1]["step"],
                  "images_per_second": statistics.median(line["images_per_second"] for line in lines),
                  "last_losses_mean": statistics.fmean(line["loss"] for line in last),
                  "last_losses_of_steps": [last[0]["step"], last[-1]["step"]]}, indent=1))
END
}
run_train() {
  local run="$work/train-$preset" sampling_steps=100
  [[ "$device" == cuda ]] || sampling_steps=10
  if [[ -n "$data" ]]; then
    data_file="$data"
  elif [[ "$preset" =~ -([0-9]+)$ ]]; then
    make_data "${BASH_REMATCH[1]}"
  else
    make_data 32
  fi
  # Ends by an interrupt, upon which it writes a checkpoint and succeeds. --ema-ramp: the average of a short run must
  # not remember how the weights began.
  outcome "training for $train_seconds s" timeout --signal=INT --preserve-status "$train_seconds" "$bin/ddpm_train" \
    --preset "$preset" --data "$data_file" --out "$run" --resume --steps 1000000000 --seed 1 --device "$device" \
    --ema-ramp true --sample-every 0 --checkpoint-every 1000000 --log-every 20
  output="$results/train-figures.json" outcome figures describe_training "$run" "$data_file"
  outcome "loss curve" cp "$run/loss.svg" "$results/train-loss.svg"
  outcome "grid" "$bin/ddpm_sample" --checkpoint "$run" --count 64 --batch 64 --sampler ddim --steps "$sampling_steps" \
    --seed 1 --device "$device" --grid "$results/train-samples.png"
}

# ---- A bundle

run_bundle() {
  local to=build/gpu-bundle program
  $dry_run || { rm -rf "$to"; mkdir -p "$to/bin" "$to/lib"; echo "$commit" > "$to/commit"; }
  for program in "${programs[@]}" "$bin"/gpu_*_test; do
    program="$(basename "$program")"
    outcome "$program" strip -o "$to/bin/$program" "$bin/$program"
  done
  outcome "libraries" copy_libraries "$to"
  outcome "archive" tar --create --gzip --file "$to.tar.gz" --directory build gpu-bundle
  $dry_run || du -sh "$to" "$to.tar.gz"
}
# What is not the system's C and C++ libraries, nor CUDA's, which the other machine has.
copy_libraries() {
  ldd "$1"/bin/* | awk '$3 ~ "^/" {print $3}' | sort -u |
    grep -Ev '/(libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|librt|libcu[^/]*|libnv[^/]*)\.so' |
    while read -r library; do cp -L "$library" "$1/lib/"; done
}

# ---- All of it

[[ -n "$bin" ]] && link_libraries=true || link_libraries=false
bin="$(realpath -m "${bin:-build/gpu/bin}")"
mkdir -p "$work"
work="$(realpath "$work")"
export XDG_CACHE_HOME="$work/cache"   # the plans that were measured
export TORCHINDUCTOR_CACHE_DIR="$work/torchinductor"
if $link_libraries && ! $dry_run; then link_missing_libraries; fi
for part in "${parts[@]}"; do
  list="" deadline=$((SECONDS + seconds))
  describe_machine
  if $dry_run; then echo "$part:"; elif $needs_results; then mkdir -p "$results"; fi
  if $dry_run || [[ "$device" == cpu || "$part" =~ ^(build|bundle)$ ]] || programs_see_gpu; then
    "run_${part//-/_}"
  else
    outcome "the programs see the GPU" programs_see_gpu
  fi
  [[ "$part" =~ ^(build|bundle)$ ]] || $dry_run || write_outcomes "$part.json"
done
if $needs_results && ! $dry_run; then echo "gpu_suite: results are in $results"; fi
exit "$failed"
