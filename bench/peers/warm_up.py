"""Compiles PyTorch's variants in advance, so that timed runs find everything in --cache.

    python warm_up.py --networks ddim-celeba-64 --modes train --variants compile-graph --batch 128 --cache CACHE

Compilation runs on the CPU, so this may run next to other GPU programs: it needs the GPU only for one forward and
backward pass per program, at the batch size that will be timed. If it is cut off, finished parts stay in the cache.
"""

import argparse
import pathlib
import sys
import tempfile
import time

import programs
from programs import HERE, Deadline, run_limited
from variants import VARIANTS


def warm(mode: str, network: str, variant: str, options: argparse.Namespace) -> dict:
    entry = {"mode": mode, "network": network, "variant": variant, "batch": options.batch, "seconds": 0.0, "error": None}
    why = programs.why_not_here(variant, options.device)
    if why:
        return entry | {"outcome": programs.NEEDS_GPU, "error": why}
    if options.deadline.is_up():
        return entry | {"outcome": "not run", "error": "the time was up"}
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as out:
        _, error = run_limited([sys.executable, HERE / "peer.py", mode, "--network", network, "--variant", variant,
                                "--batch", options.batch, "--device", options.device, "--out", out, "--compile-only",
                                "--sampling-steps", options.sampling_steps],
                               options.deadline.left(), options.environment)
    outcome = "warm" if error is None else "cut off" if error.startswith("cut off") else "failed"
    return entry | {"outcome": outcome, "seconds": round(time.monotonic() - begin, 2), "error": error}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["ddpm-cifar10-32"])
    parser.add_argument("--modes", nargs="+", choices=["train", "sample"], default=["train", "sample"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--sampling-steps", type=int, default=50, help="as in the timed run, since it is compiled in")
    programs.add_common_options(parser, timeout=600)
    options = parser.parse_args()
    if options.cache is None:
        parser.error("--cache is needed: it is what this fills")
    if options.smoke:
        options.networks, options.batch, options.sampling_steps = ["smoke-8"], 4, 2
    return options


def main() -> int:
    """1 if a program failed; being cut off or not started in time is not a failure."""
    options = parse_options()
    programs.check_libraries("warm_up.py")
    options.deadline = Deadline(options.seconds, options.timeout)
    options.environment = programs.environment_with_caches(options.cache)
    entries = []
    for network in options.networks:
        for mode in options.modes:
            for variant in (name for name in options.variants if VARIANTS[name].compile_mode):
                entries.append(warm(mode, network, variant, options))
                print("{network:18} {mode:6} {variant:20} {outcome:12} {seconds:7.1f} s".format(**entries[-1]), flush=True)
                if options.results:
                    programs.write_json(options.results, {
                        "about": programs.describe_machine(), "programs": entries,
                        "cache_bytes": sum(path.stat().st_size for path in options.cache.rglob("*") if path.is_file())})
    for entry in entries:
        if entry["outcome"] == "failed":
            print(entry["error"], file=sys.stderr)
    return 1 if any(entry["outcome"] == "failed" for entry in entries) else 0


if __name__ == "__main__":
    sys.exit(main())
