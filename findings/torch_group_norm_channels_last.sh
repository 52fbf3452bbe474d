#!/usr/bin/env bash
# torch.nn.GroupNorm on a CPU can be 1,000 times less accurate, or worse, in channels_last memory format.
#
# Version:  PyTorch 2.15.0 and 2.11.0.
# Expected: the same result in channels_last as in NCHW, except for the last bits.
# Actual:   with mean 100 and standard deviation 1, the error is 1.6e-2 in channels_last and 1.3e-5 in NCHW. With standard
#           deviation 0.01, where float32 still resolves a thousandth of it, the errors are 41 and 9e-4 (correct values are
#           within +-5). There is no warning.
# Output (torch 2.15.0; 2.11.0 prints the same), error against float64:
#   mean   0 deviation 1    NCHW 3.0e-07  channels_last 9.2e-07
#   mean 100 deviation 1    NCHW 1.3e-05  channels_last 1.6e-02
#   mean 100 deviation 0.01 NCHW 9.4e-04  channels_last 4.1e+01
#
# Needs python3 with venv. Installs torch from PyPI (3 GB with its CUDA libraries; nothing runs on a GPU) into a temporary
# folder. Exits with 1 if PyTorch behaves differently.
#   findings/torch_group_norm_channels_last.sh [TORCH_VERSION]
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "torch==${1:-2.15.0}" numpy==2.4.6
"$folder/venv/bin/python" - << 'END'
import sys
import torch

torch.manual_seed(0)
norm = torch.nn.GroupNorm(8, 64, eps=1e-6)
errors = {}
for mean, deviation in ((0, 1), (100, 1), (100, 0.01)):
    x = mean + deviation * torch.randn(2, 64, 32, 32)
    right = torch.nn.GroupNorm(8, 64, eps=1e-6).double()(x.double())
    for name, form in (("NCHW", torch.contiguous_format), ("channels_last", torch.channels_last)):
        errors[mean, deviation, name] = (norm(x.to(memory_format=form)) - right).abs().max().item()
    print(f"mean {mean:3} deviation {deviation:<4} NCHW {errors[mean, deviation, 'NCHW']:.1e}"
          f"  channels_last {errors[mean, deviation, 'channels_last']:.1e}")
still = errors[100, 1, "channels_last"] > 100 * errors[100, 1, "NCHW"] and errors[100, 0.01, "channels_last"] > 1
print("PyTorch still behaves as described" if still else "PyTorch no longer behaves as described")
sys.exit(0 if still else 1)
END
