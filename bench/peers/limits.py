"""Measures the machine's limits with PyTorch: a large bf16 GEMM and a copy. Prints JSON.

    python limits.py --device cuda
"""

import argparse
import json
import statistics
import time

import torch

WARM_UPS, RUNS = 5, 20


def median_seconds(work, device: torch.device) -> float:
    times = []
    for _ in range(WARM_UPS + RUNS):
        if device.type == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            work()
            end.record()
            end.synchronize()
            times.append(1e-3 * begin.elapsed_time(end))
        else:
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return statistics.median(times[WARM_UPS:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    device = torch.device(parser.parse_args().device)
    # Random values: on zeros a GPU draws less power and clocks higher.
    side = 8192 if device.type == "cuda" else 256
    a, b = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    result = torch.empty_like(a)
    from_bytes = torch.randint(256, (2**30 if device.type == "cuda" else 2**20,), dtype=torch.uint8, device=device)
    to_bytes = torch.empty_like(from_bytes)
    print(json.dumps({
        "bf16_flops_per_second": 2 * side**3 / median_seconds(lambda: torch.mm(a, b, out=result), device),
        "copy_bytes_per_second": 2 * from_bytes.numel() / median_seconds(lambda: to_bytes.copy_(from_bytes), device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None,
    }))


if __name__ == "__main__":
    main()
