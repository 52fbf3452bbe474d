"""Extract figures from the programs' output and files. Each reader raises Unreadable if they are not as expected."""

from __future__ import annotations

import json
import math
import pathlib
import re
import statistics

from steps import Unreadable


def load(path: pathlib.Path) -> dict:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path.name}: {error}") from error


def google_test(text: str, may_skip: bool) -> dict:
    """The counts of a GoogleTest program. may_skip: without a GPU its tests are skipped."""
    counts = {word: int(found.group(1)) if (found := re.search(rf"\[  {word} *\] (\d+) tests?", text)) else 0
              for word in ("PASSED", "SKIPPED", "FAILED")}
    figures = {name.lower(): count for name, count in counts.items() if count}
    if counts["FAILED"]:
        first = re.findall(r"\[  FAILED  \] (\w+[./]\S+)", text)
        figures["first"] = first[0].rstrip(",") if first else "?"
    ran = counts["PASSED"] + counts["FAILED"]
    if ran == 0 and not (may_skip and counts["SKIPPED"]):
        raise Unreadable("no test ran")
    if counts["SKIPPED"] and not may_skip:
        raise Unreadable(f"{counts['SKIPPED']} tests were skipped: they see no GPU")
    return figures


def sanitizer(text: str) -> dict:
    found = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: (\d+)", text)
    if not found:
        raise Unreadable("compute-sanitizer printed no summary")
    return {"errors": sum(map(int, found))}


def validation(path: pathlib.Path) -> dict:
    found = load(path)
    outputs = found.get("operations", [])
    if not outputs:
        raise Unreadable(f"{path.name} has no outputs")

    def part(entry: dict) -> float:  # error / bound; NaN counts as infinite
        if entry["error"] == 0:
            return 0.0
        ratio = entry["error"] / entry["bound"] if entry["bound"] else math.inf
        return math.inf if math.isnan(ratio) else ratio

    worst = max(outputs, key=part)
    figures = {"outputs": len(outputs), "worst": f"{100 * part(worst):.0f} % of its bound ({worst['name']})"}
    steps = found.get("steps", [])
    if steps:
        figures["losses"] = f"{100 * max(map(part, steps)):.0f} %"
    if not found.get("complete", True):
        figures["incomplete"] = "yes"
    return figures


def training(run: pathlib.Path) -> dict:
    """Steps, speed and loss from a run folder's metrics.jsonl."""
    try:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise Unreadable(f"metrics.jsonl: {error}") from error
    if not lines:
        raise Unreadable("metrics.jsonl is empty")
    last = lines[-max(1, len(lines) // 20):]
    return {"steps": lines[-1]["step"],
            "images/s": f"{statistics.median(line['images_per_second'] for line in lines):.0f}",
            "loss": f"{statistics.fmean(line['loss'] for line in last):.4f}"}


def same_files(pairs: list[tuple[pathlib.Path, pathlib.Path]]) -> dict:
    for a, b in pairs:
        if not a.exists() or not b.exists():
            raise Unreadable(f"{(a if not a.exists() else b).name} is missing")
        if a.read_bytes() != b.read_bytes():
            raise Unreadable(f"{a.name} differs between {a.parent.name} and {b.parent.name}")
    return {"identical files": len(pairs)}


def checkpoint(run: pathlib.Path) -> pathlib.Path:
    try:
        return run / "checkpoints" / (run / "checkpoints" / "latest").read_text().strip()
    except OSError as error:
        raise Unreadable(f"no checkpoint in {run.name}: {error}") from error


def same_checkpoints(runs: list[pathlib.Path]) -> dict:
    """Checks that the latest checkpoints of these runs are identical."""
    names = ("model", "ema", "optimizer")
    first, *others = [checkpoint(run) for run in runs]
    return same_files([(first / f"{name}.safetensors", other / f"{name}.safetensors")
                       for other in others for name in names])


def plans(text: str) -> dict:
    """What the programs logged about autotuning: how long it took, refusals and warnings."""
    lines = [line.strip() for line in text.splitlines()]
    chosen = [line for line in lines if re.match(r"(prepared|autotuning) ", line)]
    refused = sum(line.startswith("refused ") for line in lines)
    warned = sum(line.startswith("warning: ") for line in lines)
    return {**({"plans": chosen[-1][:220]} if chosen else {}), **({"plans refused": refused} if refused else {}),
            **({"plans warned about": warned} if warned else {})}


def warm_up(path: pathlib.Path) -> dict:
    """What bench/peers/warm_up.py compiled."""
    found = load(path)
    outcomes = [program["outcome"] for program in found.get("programs", [])]
    if not outcomes:
        raise Unreadable(f"{path.name} lists no programs")
    return {**{word: outcomes.count(word) for word in dict.fromkeys(outcomes)},
            "cache": f"{found.get('cache_bytes', 0) / 2**20:.0f} MiB"}


def gradients(path: pathlib.Path) -> dict:
    """Which PyTorch variants compute the right gradients (bench/peers/check_gradients.py)."""
    checks = load(path).get("checks", [])
    if not checks:
        raise Unreadable(f"{path.name} has no checks")
    figures = {}
    for check in checks:
        figures.setdefault(check["verdict"], []).append(f"{check['side']} {check['network']} {check['mode']}")
    return {verdict: f"{len(names)}" + (f" ({', '.join(names)})" if verdict in ("wrong", "failed") else "")
            for verdict, names in figures.items()}


def side_by_side(path: pathlib.Path) -> dict:
    """Ours against the best PyTorch variant (bench/peers/side_by_side.py): one mode, network and batch size."""
    found = load(path)
    if not found.get("ratios") or not found["ratios"][0].get("images_per_second"):
        raise Unreadable(f"{path.name} has no measurements")
    row = found["ratios"][0]
    figures = {}
    if "speed_ratio" in row:
        figures["ours / " + row["best_peer"]] = f"{row['speed_ratio']:.2f}"
    if row.get("memory_ratio"):
        figures["memory"] = f"{row['memory_ratio']:.2f}"
    for side, speed in sorted(row["images_per_second"].items(), key=lambda item: -item[1]):
        parts = [f"{speed:.0f} images/s", f"{row['milliseconds_per_batch'][side]:.1f} ms"]
        if memory := row["peak_memory_bytes"].get(side):
            parts.append(f"{memory / 2**30:.1f} GiB")
        if (start_up := row["startup_seconds"].get(side)) is not None:
            parts.append(f"start-up {start_up:.0f} s")
        if peak := row.get("share_of_bf16_peak", {}).get(side):
            parts.append(f"{100 * peak:.0f} % of the peak")
        figures[side] = " ".join(parts)
    if limits := found["machine"].get("limits"):
        figures["peak"] = f"{1e-12 * limits['bf16_flops_per_second']:.0f} TFLOP/s"
        figures["copy"] = f"{1e-12 * limits['copy_bytes_per_second']:.2f} TB/s"
    for side, why in row.get("left_out", {}).items():
        figures[side] = str(why).splitlines()[-1][:60]
    return figures


def profile(path: pathlib.Path) -> dict:
    """The step as a graph, and the kinds of operation that take longest (ddpm_train --profile-json)."""
    found = load(path)
    operations = [entry for entry in found.get("operations", []) if entry["count"]]
    if not operations:
        raise Unreadable(f"{path.name}: no operation was measured")
    kinds: dict[str, float] = {}
    for entry in operations:
        kinds[entry["kind"]] = kinds.get(entry["kind"], 0) + entry["seconds"]
    whole = sum(kinds.values())
    figures = {}
    for graph in found.get("graphs", []):  # the last is the training step
        figures = {"step": f"{1e3 * graph['plain']['seconds']:.2f} ms", "kernels": graph["nodes"]["kernels"]}
        if graph.get("gap_seconds") is not None:
            figures["gaps"] = f"{1e3 * graph['gap_seconds']:.2f} ms"
    for kind, seconds in sorted(kinds.items(), key=lambda item: -item[1])[:4]:
        figures[kind] = f"{100 * seconds / whole:.0f} %"
    return figures


# Kernels that should reach 80 % of the copy bandwidth on tensors larger than the caches.
MEMORY_BOUND_KERNELS = ("group_norm", "group_norm_backward", "diffuse", "adam_ema", "sampler_step")


def benchmark_summary(path: pathlib.Path) -> dict:
    """Each kernel's share of the copy bandwidth, or a network's share of peak (benchmark_table.py --json)."""
    found = load(path)
    figures = {"cut off": "yes"} if found.get("cut_off") else {}
    if "kernels" in found:
        cases = [case for case in found["kernels"] if "error" not in case]
        failed = len(found["kernels"]) - len(cases)
        for kernel in MEMORY_BOUND_KERNELS:
            shares = [case["share_of_copy"] for case in cases
                      if case["kernel"] == kernel and case["variant"] == "ours" and case["beyond_l2"]]
            if shares:
                figures[kernel] = f"{100 * min(shares):.0f}-{100 * max(shares):.0f} % of the copy"
        figures["cases"] = len(cases)
        if failed:
            figures["failed"] = failed
    else:
        for network in found["networks"]:
            total = network["total"]
            if total is None:
                raise Unreadable(f"{path.name}: nothing was measured")
            figures["library ops"] = (f"{total['milliseconds_per_step']:.2f} ms a step at {total['tflops']:.0f} TFLOP/s "
                                   f"({100 * total['share_of_peak']:.0f} % of the peak)")
            if network["failed"]:
                figures["failed"] = len(network["failed"])
    return figures
