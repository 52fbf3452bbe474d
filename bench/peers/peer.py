"""Trains or samples with one PyTorch variant and records its speed.

OUT/metrics.jsonl gets one line per window of steps, like ddpm_train's; OUT/summary.json has the final results.
side_by_side.py runs it; standalone:
    python peer.py train --network tiny-32 --variant eager --batch 16 --device cpu --out OUT
"""

import argparse
import json
import pathlib
import time

import numpy
import torch

from network import NETWORKS, read_config, set_up_libraries
from programs import NEEDS_GPU, library_versions, write_json
from variants import VARIANTS


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def load_images(path: str | None, size: int) -> numpy.ndarray:
    """(count, H, W, 3) uint8; without a path noise, since the content does not affect the time."""
    if path:
        return numpy.load(path)
    return numpy.random.default_rng(0).integers(0, 256, (1024, size, size, 3), dtype=numpy.uint8)


def run_windows(step, images_per_step: float, options: argparse.Namespace, device: torch.device) -> list[float]:
    """Images per second of each window. The first includes lazy compilation and algorithm choices."""
    speeds = []
    with open(options.out / "metrics.jsonl", "w") as log:
        for window in range(1, options.windows + 1):
            begin = time.perf_counter()
            for _ in range(options.window_steps):
                step()
            synchronize(device)
            speed = images_per_step * options.window_steps / (time.perf_counter() - begin)
            speeds.append(speed)
            line = {"step": window * options.window_steps, "images_per_second": speed}
            print(json.dumps(line), file=log, flush=True)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["train", "sample"])
    parser.add_argument("--network", required=True, choices=sorted(p.stem for p in NETWORKS.glob("*.json")))
    parser.add_argument("--variant", required=True, choices=list(VARIANTS))
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", help="NAME.npy, uint8 (count, H, W, 3)")
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--window-steps", type=int, default=50)
    parser.add_argument("--sampling-steps", type=int, default=50, help="network evaluations per image")
    parser.add_argument("--benchmark-limit", type=int, default=0, help="number of cuDNN algorithms to try (0: none)")
    parser.add_argument("--compile-only", action="store_true", help="only fill torch.compile's caches")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    device, variant = torch.device(options.device), VARIANTS[options.variant]
    if device.type != "cuda" and variant.needs_gpu:
        parser.error(f"{variant.name} {NEEDS_GPU}: CUDA graphs are part of it")
    set_up_libraries(variant, options.benchmark_limit)
    if options.mode == "train":
        from training import Training
        images = load_images(options.data, read_config(options.network)["sample_size"])
        step, images_per_step = Training(options.network, variant, options.batch, images, device), options.batch
    else:
        from sampling import Sampling
        step = Sampling(options.network, variant, options.batch, options.sampling_steps, device)
        images_per_step = options.batch / options.sampling_steps

    begin, speeds = time.perf_counter(), []
    if options.compile_only:
        torch.backends.cudnn.benchmark = False  # any algorithm will do for one run
        step.compile()
        synchronize(device)
    else:
        speeds = run_windows(step, images_per_step, options, device)
        result, what = (step.loss, "loss") if options.mode == "train" else (step.x, "image")
        if not torch.isfinite(result).all():
            raise SystemExit(f"the {what} is not finite: this run measured nothing")
    summary = library_versions() | {
        "seconds": time.perf_counter() - begin,
        "parameters": sum(p.numel() for p in step.network.parameters()),
        "cuda": torch.version.cuda,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "windows": len(speeds),
    }
    if device.type == "cuda":
        summary["cudnn"] = torch.backends.cudnn.version()
        summary["peak_allocated_bytes"] = torch.cuda.max_memory_allocated(device)
        summary["peak_reserved_bytes"] = torch.cuda.max_memory_reserved(device)
    write_json(options.out / "summary.json", summary)


if __name__ == "__main__":
    main()
