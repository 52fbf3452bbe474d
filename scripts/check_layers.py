#!/usr/bin/env python3
"""Checks that sources include only headers of folders that their own folder may depend on: scripts/check_layers.py"""

import pathlib
import re
import subprocess
import sys

# Each folder, and the folders other than itself whose headers its sources may include. Bottom first, no cycles.
MAY_INCLUDE = {
    "support": "",
    "support/charts": "support",
    "data": "support",
    "device": "support",
    "device/cuda": "device support",
    "device/emulator": "device support",
    "kernels": "device",
    "kernels/reference": "kernels support",
    "kernels/cpu": "kernels kernels/reference support",
    "kernels/cuda": "kernels device support",
    "runtime/program": "kernels support",
    "runtime": "runtime/program kernels device support",
    "runtime/report": "runtime runtime/program support support/charts",
    "runtime/cpu": "runtime runtime/program kernels kernels/cpu kernels/reference support",
    "runtime/library": "runtime runtime/program kernels kernels/cuda device support",
    "runtime/gpu": "runtime runtime/library runtime/program kernels kernels/cuda kernels/reference device "
                   "device/emulator support",
    "runtime/choose_executor": "runtime runtime/cpu runtime/gpu support",
    "model/unet": "runtime/program kernels support",
    "model/sampling": "model/unet runtime runtime/program runtime/cpu kernels data support",
    "model/weights": "model/sampling model/unet runtime/program kernels data support",
    "model/training": "model/sampling model/unet model/weights runtime runtime/program runtime/report runtime/cpu kernels "
                      "device data support support/charts",
    "apps": "model/sampling model/training model/unet model/weights runtime runtime/choose_executor runtime/gpu "
            "runtime/program runtime/report data support support/charts",
}
# Files that form their own layer: the choice of an executor is above all executors.
OWN_LAYER = {"runtime/choose_executor.h", "runtime/choose_executor.cpp"}
UNCHECKED = ("bench/", "fuzz/", "tests/")  # may include anything

INCLUDE = re.compile(r'\s*#include "([^"]+)"')


def layer(path):
    return path.rsplit(".", 1)[0] if path in OWN_LAYER else path.rsplit("/", 1)[0]


def main():
    folders = list(MAY_INCLUDE)
    faults = [f"scripts/check_layers.py: {other} is listed below {folder}, which may include it"
              for folder, allowed in MAY_INCLUDE.items() for other in allowed.split()
              if folders.index(other) > folders.index(folder)]
    for path in subprocess.check_output(["git", "ls-files", "*.h", "*.cpp", "*.cu"], text=True).split():
        if path.startswith(UNCHECKED):
            continue
        if layer(path) not in MAY_INCLUDE:
            faults.append(f"{path}: its folder is not listed in scripts/check_layers.py")
            continue
        allowed = {layer(path), *MAY_INCLUDE[layer(path)].split()}
        for number, line in enumerate(pathlib.Path(path).read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            if include and layer(include[1]) not in allowed:
                faults.append(f"{path}:{number}: {layer(path)} must not include {include[1]}")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
