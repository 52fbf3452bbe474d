"""Times ours and PyTorch alternately on one machine; writes all figures and prints the ratios.

    python side_by_side.py --bin ../../build/gpu/bin --data ../../celeba64.npy --networks ddim-celeba-64 --batches 64 128
    python side_by_side.py --bin ../../build/release/bin --device cpu --smoke      # only that it runs

Ours runs first, then the variants in the given order: if --seconds run out, the last are missing. Before ours a short
unmeasured run chooses its plans, whose trials would otherwise count as memory. Variants that check_gradients.py found
wrong (--gradients FILE) are skipped; programs that hang are cut off after --timeout.

Both sides are programs that write one line of images/s per window of steps; the first window, with compilation,
algorithm choices and graph capture, counts only as startup. Startup: from the program's start to the end of the first
window, minus a later window's time. Memory: the peak GPU memory in use while the program ran, minus that before it. The
shares of the bf16 peak and of the copy bandwidth are relative to what PyTorch reaches in the same run; for both sides
they count the FLOPs of the network's convolutions and GEMMs and the ideal traffic of our program.
"""

import argparse
import dataclasses
import itertools
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import programs
from programs import HERE, Deadline, query_gpu, run_limited
from variants import VARIANTS

OURS = "ours"
WARM_UP_STEPS = 2  # the first runs eagerly, the second as a CUDA graph
# The options that turn one of our presets into a network of networks/ that is not a preset.
OUR_NETWORKS = {"smoke-8": ["--preset", "tiny-32", "--image-size", "8", "--block-out-channels", "32", "--attention",
                            "false", "--layers-per-block", "1"]}


@dataclasses.dataclass
class Run:
    """One program's run: its settings and measurements."""

    side: str  # ours, or the name of a variant
    mode: str
    network: str
    batch: int
    round: int
    images_per_second: list[float] = dataclasses.field(default_factory=list)  # by window
    startup_seconds: float | None = None
    peak_memory_bytes: int | None = None
    summary: dict = dataclasses.field(default_factory=dict)
    error: str | None = None
    verdict: str | None = None  # measured, cut off, failed, wrong, not run or needs a GPU
    gradients: str | None = None  # check_gradients.py's verdict on a variant; None if unchecked

    def fail(self, verdict: str, error: str) -> None:
        self.verdict, self.error = verdict, error

    def median(self) -> float | None:
        return statistics.median(self.images_per_second) if self.images_per_second else None


class MemoryWatch:
    """Samples the GPU memory in use five times per second while a program runs."""

    def __enter__(self):
        self._before = self._used()
        self._most, self._done = self._before, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    @property
    def peak_bytes(self) -> int | None:
        return None if self._before is None else (self._most - self._before) << 20

    @staticmethod
    def _used() -> int | None:
        text = query_gpu("memory.used")
        return int(text) if text and text.isdigit() else None  # a MIG slice may report [N/A]

    def _watch(self) -> None:
        while self._before is not None and not self._done.wait(0.2):
            self._most = max(self._most, self._used() or 0)


def read_windows(path: pathlib.Path) -> list[float]:
    if not path.exists():
        return []
    return [json.loads(line)["images_per_second"] for line in path.read_text().splitlines() if line.endswith("}")]


def execute(command: list, windows_file: pathlib.Path, run: Run, window_images: float,
            options: argparse.Namespace) -> None:
    """Runs the program and fills in its measurements. If it is cut off, its windows are kept."""
    begin = time.monotonic()
    first_window = None

    def look() -> None:
        nonlocal first_window
        if first_window is None and read_windows(windows_file):
            first_window = time.monotonic() - begin

    with MemoryWatch() as memory:
        _, error = run_limited(command, options.deadline.left(), options.environment, look)
    run.peak_memory_bytes = memory.peak_bytes
    run.images_per_second = read_windows(windows_file)[1:]
    if first_window is not None and run.images_per_second:
        run.startup_seconds = first_window - window_images / run.median()
    if error:
        run.fail("cut off" if error.startswith("cut off") else "failed", error)
    elif not run.images_per_second:
        run.fail("failed", "no window was measured")
    else:
        run.verdict = "measured"


def run_peer(run: Run, options: argparse.Namespace, folder: pathlib.Path) -> None:
    command = [sys.executable, str(HERE / "peer.py"), run.mode, "--network", run.network, "--variant", run.side,
               "--batch", str(run.batch), "--out", str(folder), "--device", options.device,
               "--windows", str(options.windows), "--window-steps", str(options.window_steps),
               "--sampling-steps", str(options.sampling_steps), "--benchmark-limit", str(options.benchmark_limit)]
    if run.mode == "train":
        command += ["--data", options.data]
    images = run.batch * options.window_steps / (options.sampling_steps if run.mode == "sample" else 1)
    execute(command, folder / "metrics.jsonl", run, images, options)
    run.summary = programs.read_json(folder / "summary.json") or {}


def our_network(name: str) -> list[str]:
    return OUR_NETWORKS.get(name, ["--preset", name])


def our_training(run: Run, options: argparse.Namespace, out: pathlib.Path, steps: int, log_every: int) -> list[str]:
    return [str(options.bin / "ddpm_train"), *our_network(run.network), "--data", options.data, "--out", str(out),
            "--batch", str(run.batch), "--steps", str(steps), "--log-every", str(log_every),
            "--device", options.device, "--sample-every", "0", "--checkpoint-every", str(10**9),
            *options.our_options]


def our_sampling(run: Run, options: argparse.Namespace, model: pathlib.Path, folder: pathlib.Path, batches: int,
                 steps: int) -> list[str]:
    """One window is one batch."""
    return [str(options.bin / "ddpm_sample"), "--checkpoint", str(model), "--count", str(batches * run.batch),
            "--batch", str(run.batch), "--sampler", "ddim", "--steps", str(steps), "--device", options.device,
            "--npz", str(folder / "images.npz"), "--metrics", str(folder / "metrics.jsonl"), *options.our_options]


def make_model(run: Run, options: argparse.Namespace, out: pathlib.Path) -> str | None:
    """Trains a network for sampling; its quality does not affect the time. Returns an error message, if any."""
    if run.mode == "train":
        return None
    return run_limited(our_training(run, options, out, 0, 1), options.deadline.left())[1]


def warm_up_ours(run: Run, options: argparse.Namespace) -> dict:
    """Fills the plan cache with a few unmeasured steps."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        error = make_model(run, options, folder / "run")
        if error is None:
            command = our_training(run, options, folder / "run", WARM_UP_STEPS, 1) if run.mode == "train" else \
                our_sampling(run, options, folder / "run", folder, 1, WARM_UP_STEPS)
            _, error = run_limited(command, options.deadline.left())
    return {"mode": run.mode, "network": run.network, "batch": run.batch,
            "seconds": round(time.monotonic() - begin, 2), "error": error}


def run_ours(run: Run, options: argparse.Namespace, folder: pathlib.Path) -> None:
    out = folder / "run"
    error = make_model(run, options, out)
    if error:
        run.fail("failed", f"no network to sample: {error}")
    elif run.mode == "train":
        command = our_training(run, options, out, options.windows * options.window_steps, options.window_steps)
        execute(command, out / "metrics.jsonl", run, run.batch * options.window_steps, options)
    else:
        command = our_sampling(run, options, out, folder, options.windows, options.sampling_steps)
        execute(command, folder / "metrics.jsonl", run, run.batch, options)


def write_results(runs: list[Run], table: list[dict], options: argparse.Namespace) -> None:
    about = options.about | {"limits": options.limits, "cudnn_benchmark_limit": options.benchmark_limit,
                             "costs": options.costs, "warm_ups": options.warm_ups}
    programs.write_json(options.results, {"machine": about, "ratios": table,
                                          "runs": [dataclasses.asdict(run) for run in runs]})


def read_checks(path: pathlib.Path | None) -> dict[tuple[str, str, str], dict]:
    """The verdicts of check_gradients.py by network, mode and side."""
    checks = (programs.read_json(path) or {}).get("checks", []) if path else []
    return {(entry["network"], entry["mode"], entry["side"]): entry for entry in checks}


def measure_one(run: Run, options: argparse.Namespace) -> None:
    check = options.checks.get((run.network, run.mode, run.side), {})
    run.gradients = check.get("verdict")
    elsewhere = programs.why_not_here(run.side, options.device) if run.side != OURS else None
    if run.gradients == "wrong":
        run.fail("wrong", check["why"])
    elif elsewhere:
        run.fail(programs.NEEDS_GPU, elsewhere)
    elif options.deadline.is_up():
        run.fail("not run", f"the {options.deadline.seconds:.0f} s were up")
    else:
        kind = (run.mode, run.network, run.batch)
        if run.side == OURS and not any((done["mode"], done["network"], done["batch"]) == kind
                                        for done in options.warm_ups):
            options.warm_ups.append(warm_up_ours(run, options))
        with tempfile.TemporaryDirectory() as folder:
            (run_ours if run.side == OURS else run_peer)(run, options, pathlib.Path(folder))


def measure(runs: list[Run], options: argparse.Namespace) -> None:
    for i, run in enumerate(runs):
        measure_one(run, options)
        speed = f"{run.median():10.1f} images/s" if run.median() else ""
        note = f"{run.verdict}: {programs.last_line(run.error)}" if run.error else ""
        print(f"{run.mode:6} {run.network:18} batch {run.batch:4} round {run.round} {run.side:20} {speed} {note}",
              flush=True)
        if options.results:  # so that an interrupted run keeps its results
            write_results(runs[:i + 1], ratios(runs[:i + 1], options), options)


def smallest(values) -> float | None:
    return min((value for value in values if value is not None), default=None)


def cost_of(mode: str, network: str, batch: int, options: argparse.Namespace) -> dict | None:
    """FLOPs of the convolutions, GEMMs and attention per image, and the ideal traffic of our whole program."""
    inspect = options.bin / "ddpm_inspect"
    if not inspect.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "cost.json"
        program = "training" if mode == "train" else "sampling"
        done = subprocess.run([str(inspect), *our_network(network), "--batch", str(batch), "--precision", "bf16",
                               "--program", program, "--json", str(file)], capture_output=True)
        if done.returncode != 0:
            return None
        found = json.loads(file.read_text())
    products = sum(kind["flops"] for name, kind in found["kinds"].items()
                   if name.startswith(("conv2d", "upsample_conv2d", "linear", "attention")))
    evaluations = 1 if mode == "train" else options.sampling_steps
    return {"flops_per_image": evaluations * products / batch,
            "ideal_bytes_per_image": evaluations * found["total"]["bytes"] / batch}


def shares(row: dict, options: argparse.Namespace) -> dict:
    """Each side's shares of the bf16 peak and of the copy bandwidth."""
    cost = options.costs.get(f"{row['mode']} {row['network']} {row['batch']}")
    if not cost or not options.limits:
        return {}
    return {name: {side: speed * cost[per_image] / options.limits[limit]
                   for side, speed in row["images_per_second"].items()}
            for name, per_image, limit in (("share_of_bf16_peak", "flops_per_image", "bf16_flops_per_second"),
                                           ("share_of_copy", "ideal_bytes_per_image", "copy_bytes_per_second"))}


def ratios(runs: list[Run], options: argparse.Namespace) -> list[dict]:
    """Ours over the best competing variant, by mode, network and batch; medians over all rounds' windows."""
    table = []
    for key, group in itertools.groupby(sorted(runs, key=lambda r: (r.mode, r.network, r.batch)),
                                        key=lambda r: (r.mode, r.network, r.batch)):
        group = list(group)
        speeds, memory, startup = {}, {}, {}
        for side in {run.side for run in group}:
            mine = [run for run in group if run.side == side]
            windows = [speed for run in mine for speed in run.images_per_second]
            if windows:
                speeds[side] = statistics.median(windows)
                memory[side] = smallest(run.peak_memory_bytes for run in mine)
                startup[side] = smallest(run.startup_seconds for run in mine)
        row = dict(zip(("mode", "network", "batch"), key)) | {"images_per_second": speeds, "peak_memory_bytes": memory,
                                                              "startup_seconds": startup}
        row["milliseconds_per_batch"] = {side: 1000 * row["batch"] / speed for side, speed in speeds.items()}
        row |= shares(row, options)
        left_out = {run.side: f"{run.verdict}: {run.error}" for run in group if run.error}
        if left_out:
            row["left_out"] = left_out
        unchecked = sorted({run.side for run in group
                            if run.side in speeds and run.side != OURS and run.gradients != "right"})
        if unchecked:
            row["gradients_not_checked"] = unchecked
        # A run that was cut off has valid windows; those of a failed run are not trustworthy.
        competing = {side: speed for side, speed in speeds.items() if side != OURS and VARIANTS[side].best
                     and not any(run.side == side and run.verdict in ("wrong", "failed") for run in group)}
        if OURS in speeds and competing:
            best = max(competing, key=competing.get)
            row |= {"best_peer": best, "speed_ratio": speeds[OURS] / speeds[best]}
            if memory[OURS] and memory[best]:
                row["memory_ratio"] = memory[OURS] / memory[best]
        table.append(row)
    return table


def print_ratios(table: list[dict]) -> None:
    for row in table:
        print(f"\n{row['mode']} {row['network']} batch {row['batch']}")
        for side, speed in sorted(row["images_per_second"].items(), key=lambda item: -item[1]):
            memory, startup = row["peak_memory_bytes"][side], row["startup_seconds"][side]
            milliseconds = row["milliseconds_per_batch"][side]
            peak = row.get("share_of_bf16_peak", {}).get(side)
            print(f"  {side:20} {speed:10.1f} images/s  {milliseconds:9.2f} ms a batch"
                  + (f"  {100 * peak:5.1f} % of the peak" if peak else "")
                  + (f"  {memory / 2**30:6.2f} GiB" if memory else "")
                  + (f"  start-up {startup:6.1f} s" if startup is not None else ""))
        if "speed_ratio" in row:
            memory = f", memory {row['memory_ratio']:.2f}" if "memory_ratio" in row else ""
            print(f"  ours / {row['best_peer']}: speed {row['speed_ratio']:.2f}{memory}")
        if "gradients_not_checked" in row:
            print(f"  gradients not checked: {', '.join(row['gradients_not_checked'])}")
        for side, why in row.get("left_out", {}).items():
            print(f"  {side}: {why.partition(':')[0]}: {programs.last_line(why.partition(': ')[2])}")


def machine(options: argparse.Namespace) -> dict:
    """Our version and PyTorch's packages; its CUDA and cuDNN versions are in the limits and in each run's summary."""
    git = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12"]
    commit = options.commit or subprocess.run(git, capture_output=True, text=True).stdout.strip()
    about = programs.describe_machine() | {"commit": commit or "unknown"}
    description = options.bin / "gpu_description"
    if description.exists():
        printed = subprocess.run([str(description)], capture_output=True, text=True).stdout
        if printed.startswith("{"):
            about |= {key: value for key, value in json.loads(printed).items() if key in ("cuda", "cudnn", "cublasLt")}
    return about


def measure_limits(options: argparse.Namespace) -> dict | None:
    """Measures only once if --limits-file is given."""
    if options.limits_file and (found := programs.read_json(options.limits_file)):
        return found
    printed, error = run_limited([sys.executable, HERE / "limits.py", "--device", options.device],
                                 options.deadline.left())
    if error is None:
        found = json.loads(printed[printed.index("{"):])
        if options.limits_file:
            programs.write_json(options.limits_file, found)
        return found
    print(f"the peak and the copy bandwidth could not be measured: {error[-500:]}", file=sys.stderr)
    return None


def smoke_data(folder: str, network: str) -> str:
    """Noise images for the smoke network."""
    import numpy
    size = int(network.rpartition("-")[2])
    path = pathlib.Path(folder) / "noise.npy"
    numpy.save(path, numpy.random.default_rng(0).integers(0, 256, (64, size, size, 3), dtype=numpy.uint8))
    return str(path)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of ddpm_train and ddpm_sample")
    parser.add_argument("--data", help="NAME.npy of the networks' size, from ddpm_data")
    parser.add_argument("--networks", nargs="+", default=["ddpm-cifar10-32"])
    parser.add_argument("--batches", nargs="+", type=int, default=[128])
    parser.add_argument("--modes", nargs="+", choices=["train", "sample"], default=["train", "sample"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--window-steps", type=int, default=50)
    parser.add_argument("--sampling-steps", type=int, default=50)
    parser.add_argument("--gradients", type=pathlib.Path, help="results of check_gradients.py: wrong variants are skipped")
    parser.add_argument("--limits-file", type=pathlib.Path, help="cache of this machine's peak and copy bandwidth, "
                        "measured if missing")
    parser.add_argument("--commit", help="commit of the programs in --bin (default: from git)")
    parser.add_argument("--our-options", action="append", default=[], help="a further option for our programs, "
                        "repeatable: --our-options=--precision=bf16")
    programs.add_common_options(parser, timeout=1800)
    options = parser.parse_args()
    if options.smoke:
        options.data = None
        options.networks = [name if name in OUR_NETWORKS else "tiny-32" for name in options.networks[:1]]
        if options.networks == ["tiny-32"]:  # smoke-8 is small enough for torch.compile on a CPU
            options.variants = [name for name in options.variants if name != "compile"]
        options.batches, options.rounds, options.windows, options.window_steps, options.sampling_steps = [4], 1, 3, 2, 2
    elif not options.data:
        parser.error("--data is required: both sides train on it")
    return options


def main() -> int:
    """1 if a requested ratio could not be measured."""
    options = parse_options()
    programs.check_libraries("side_by_side.py")
    programs.check_programs("side_by_side.py", options.bin, "ddpm_train", "ddpm_sample")
    if options.gradients and not options.gradients.exists():
        print(f"side_by_side.py: --gradients: cannot find {options.gradients}", file=sys.stderr)
        return 2
    options.deadline = Deadline(options.seconds, options.timeout)
    options.environment = programs.environment_with_caches(options.cache)
    options.checks, options.warm_ups = read_checks(options.gradients), []
    options.about = machine(options)
    name = re.sub("[^a-z0-9]+", "-", (options.about["gpu"] or "cpu").lower())
    if not options.results and not options.smoke:
        options.results = HERE.parent / "results" / f"{name}-{options.about['commit']}" / "peers.json"
    options.limits = measure_limits(options)
    kinds = list(itertools.product(options.modes, options.networks, options.batches))
    options.costs = {" ".join(map(str, kind)): cost_of(*kind, options) for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        if options.smoke:
            options.data = smoke_data(folder, options.networks[0])
        # Alternately, so that clock drift or a warm GPU favors neither side.
        runs = [Run(side, mode, network, batch, turn)
                for mode, network, batch in kinds
                for turn in range(options.rounds) for side in [OURS, *options.variants]]
        measure(runs, options)
    table = ratios(runs, options)
    print_ratios(table)
    if options.results:
        print(f"\n{options.results}")
    wanted = any(VARIANTS[name].best and not programs.why_not_here(name, options.device) for name in options.variants)
    return 1 if wanted and not all("speed_ratio" in row for row in table) else 0


if __name__ == "__main__":
    sys.exit(main())
