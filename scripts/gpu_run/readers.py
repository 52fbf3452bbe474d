"""Figures out of what the programs print and write. Each raises Unreadable where that is not what it should be."""

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
    """Counts of a GoogleTest program. may_skip: there is no GPU, and its tests skip themselves."""
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
        raise Unreadable(f"{counts['SKIPPED']} tests skipped themselves: they do not see what they need")
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
        raise Unreadable(f"{path.name} holds no output")

    def part(entry: dict) -> float:  # of its bound; what is no number is beyond any
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
    """Of a run folder's metrics.jsonl: steps, speed and loss."""
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
    return {"files alike": len(pairs)}


def checkpoint(run: pathlib.Path) -> pathlib.Path:
    try:
        return run / "checkpoints" / (run / "checkpoints" / "latest").read_text().strip()
    except OSError as error:
        raise Unreadable(f"no checkpoint in {run.name}: {error}") from error


def same_checkpoints(runs: list[pathlib.Path]) -> dict:
    """Whether the newest checkpoints of these runs hold the same bytes."""
    names = ("model", "ema", "optimizer")
    first, *others = [checkpoint(run) for run in runs]
    return same_files([(first / f"{name}.safetensors", other / f"{name}.safetensors")
                       for other in others for name in names])


def plans(text: str) -> dict:
    """What the programs said of measuring plans."""
    said = [line.strip() for line in text.splitlines() if " plans " in line or line.startswith("measuring ")]
    return {"plans": said[-1][:100]} if said else {}


def benchmark(path: pathlib.Path) -> dict:
    """How many cases Google Benchmark wrote, and which failed."""
    found = load(path)
    runs = {run.get("run_name", run["name"]): run.get("error_message") for run in found.get("benchmarks", [])}
    if not runs:
        raise Unreadable(f"{path.name} holds no benchmark")
    failed = [name for name, error in runs.items() if error]
    return {"cases": len(runs), **({"failed": len(failed), "first": failed[0]} if failed else {})}
