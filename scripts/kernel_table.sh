#!/usr/bin/env bash
# Writes a Markdown table of the registers, static shared memory and spills of every kernel, from nvcc -Xptxas -v, into
# docs/kernels.md between its marker lines: scripts/kernel_table.sh [ARCHITECTURE...]   (default: 80 90)
# Each row is a kernel and a storage type, with the largest figures of its instances. Exit code 1 if a kernel spills.
set -euo pipefail
cd "$(dirname "$0")/.."
architectures=("$@")
[ $# -gt 0 ] || architectures=(80 90)
nvcc="${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

for architecture in "${architectures[@]}"; do
  for source in kernels/cuda/*.cu; do
    "$nvcc" -std=c++20 "-arch=sm_$architecture" -Xptxas -v -I. -c "$source" -o "$work/object.o" 2>&1 |
      c++filt | sed "s#^#sm_$architecture $(basename "$source") #"
  done
done > "$work/ptxas"

awk '
  /Compiling entry function/ {
    name = $0
    sub(/.*entry function \047/, "", name)
    type = name ~ /BFloat16/ ? "bf16" : "float"
    if (match(name, /[a-z0-9_]+_kernel/)) name = substr(name, RSTART, RLENGTH)
    row = $2 "|" name "|" type
  }
  /bytes spill stores/ {
    for (i = 1; i < NF; ++i) if ($(i + 1) == "bytes" && $(i + 2) == "spill") spills[$1 "|" row] += $i
  }
  /Used [0-9]+ registers/ {
    key = $1 "|" row
    if (!(row in seen)) { seen[row] = 1; order[++rows] = row }
    if (!($1 in column)) { column[$1] = 1; architectures[++columns] = $1 }
    ++instances[key]
    for (i = 1; i < NF; ++i) {
      if ($(i + 1) ~ /^registers/ && $i > registers[key]) registers[key] = $i
      if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/ && $i > shared[key]) shared[key] = $i
    }
  }
  END {
    line = "| source | kernel | storage | instances"
    rule = "|---|---|---|---"
    for (a = 1; a <= columns; ++a) {
      line = line " | " architectures[a] " registers | shared bytes | spill bytes"
      rule = rule "|---|---|---"
    }
    print line " |\n" rule "|"
    for (r = 1; r <= rows; ++r) {
      split(order[r], cell, "|")
      line = "| " cell[1] " | `" cell[2] "` | " cell[3] " | " instances[architectures[1] "|" order[r]]
      for (a = 1; a <= columns; ++a) {
        key = architectures[a] "|" order[r]
        line = line " | " registers[key] " | " shared[key] + 0 " | " spills[key] + 0
        if (spills[key] > 0) spilled = 1
      }
      print line " |"
    }
    exit spilled
  }' "$work/ptxas" > "$work/table" && status=0 || status=$?

awk -v table="$work/table" '
  /<!-- kernel table: end -->/ { inside = 0 }
  !inside { print }
  /<!-- kernel table: begin -->/ { inside = 1; while ((getline line < table) > 0) print line }' \
  docs/kernels.md > "$work/document"
cp "$work/document" docs/kernels.md
[ "$status" -eq 0 ] || echo "kernel_table: a kernel spills registers: see docs/kernels.md" >&2
exit "$status"
