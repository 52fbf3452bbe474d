#!/usr/bin/env python3
"""Prints Markdown tables of a GPU benchmark's results or, with --json, a summary for other programs.

kernels_benchmark and group_norm_benchmark: each kernel's time, bandwidth, share of the copy bandwidth, and the naive
kernel's time relative to it; cases larger than the L2 cache are marked.
library_benchmark: for each network, its layers with forward and backward TFLOP/s and their share of a step, and the
layers that can be computed in two forms.

The summary has the unrounded figures of the tables: "gpu", "rehearsal" (true: measured on the emulated GPU, times mean
nothing), "cut_off" (true: the benchmark was ended early) and "copy_bytes_per_second", then either
  "kernels": for each case "kernel", "variant", "arguments", "microseconds", "gigabytes_per_second", "share_of_copy",
    "beyond_l2", "naive_over_ours" (null without a naive kernel), or
  "bf16_flops_per_second" and "networks": for each "network", "batch", "layers" (by shape, each with "roles", which have
    "tflops", "share_of_peak", "milliseconds_per_step"), "total", "choices" ("forms" with "microseconds";
    "other_over_ours").
A failed case has an "error" instead of its figures.
"""

import argparse
import collections
import dataclasses
import json
import sys

ROLES = ("forward", "data_gradient", "weight_gradient")


@dataclasses.dataclass
class Entry:
    """One benchmark: the parts of its name, without those that Google Benchmark adds, and its measurements."""

    name: tuple[str, ...]
    label: str
    seconds: float | None  # per run; None if it failed
    counters: dict
    error: str = ""


def parse(text: str) -> tuple[dict, bool]:
    """A benchmark's output, and whether it was ended early."""
    try:
        return json.loads(text), False
    except json.JSONDecodeError:
        # Each benchmark is written when it ends; only the closing brackets of the list are missing.
        return json.loads(text[:text.rindex("\n    }")] + "\n    }]}"), True


def read(path: str) -> tuple[dict, list[Entry]]:
    """The context and the entries: the median of repeated runs, otherwise the single run."""
    with open(path) as file:
        found, cut_off = parse(file.read())
    chosen = {}
    for run in found["benchmarks"]:
        name = run.get("run_name", run["name"])
        if run.get("run_type") == "aggregate" and run.get("aggregate_name") != "median":
            continue
        if run.get("run_type") == "aggregate" or name not in chosen or "error_message" in chosen[name]:
            chosen[name] = run
    return {**found["context"], "cut_off": cut_off}, [make_entry(name, run) for name, run in chosen.items()]


def make_entry(name: str, run: dict) -> Entry:
    parts = tuple(part for part in name.split("/") if ":" not in part and part != "manual_time")
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    failed = "error_message" in run
    seconds = None if failed else run["real_time"] * scale[run["time_unit"]]
    return Entry(parts, run.get("label", ""), seconds, run, run.get("error_message", ""))


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


# ---- Kernels


def kernel_cases(context: dict, entries: list[Entry]) -> list[dict]:
    """All cases but those of the naive kernels."""
    times = {entry.name: entry.seconds for entry in entries}
    cache = float(context.get("l2_cache_bytes", 0))
    cases = []
    for entry in entries:
        kernel, variant, *arguments = entry.name
        if variant == "naive":
            continue
        case = {"kernel": kernel, "variant": variant, "arguments": [int(argument) for argument in arguments]}
        if entry.seconds is None:
            cases.append({**case, "error": entry.error})
            continue
        naive = times.get((kernel, "naive", *arguments))
        cases.append({**case, "microseconds": 1e6 * entry.seconds,
                      "gigabytes_per_second": 1e-9 * entry.counters["bytes/s"],
                      "share_of_copy": entry.counters["share_of_copy"], "beyond_l2": entry.counters["bytes"] > cache,
                      "naive_over_ours": naive / entry.seconds if naive else None})
    return cases


def kernel_table(cases: list[dict]) -> str:
    rows = []
    for case in cases:
        name = [case["kernel"] + ("" if case["variant"] == "ours" else " " + case["variant"]),
                " ".join(map(str, case["arguments"]))]
        if "error" in case:
            rows.append([*name, "failed: " + case["error"], "", "", "", ""])
            continue
        naive = case["naive_over_ours"]
        rows.append([*name, f"{case['microseconds']:.1f}", f"{case['gigabytes_per_second']:.0f}",
                     percent(case["share_of_copy"]), "yes" if case["beyond_l2"] else "",
                     "" if naive is None else f"{naive:.1f}"])
    return table(["kernel", "arguments", "us", "GB/s", "of the copy", "beyond L2", "naive / ours"], rows)


# ---- Convolutions and GEMMs


@dataclasses.dataclass
class Sum:
    """The work of one role of one layer, per step."""

    flops: float = 0
    seconds: float = 0

    def add(self, entry: Entry) -> None:
        count = entry.counters["count"]
        self.flops += count * entry.counters["FLOP/s"] * entry.seconds
        self.seconds += count * entry.seconds


@dataclasses.dataclass
class Layer:
    name: str
    count: int = 0  # of its most frequent role
    roles: dict = dataclasses.field(default_factory=lambda: {role: Sum() for role in ROLES})

    @property
    def seconds(self) -> float:
        return sum(total.seconds for total in self.roles.values())


def layers_of(entries: list[Entry]) -> dict[str, Layer]:
    """The layers by shape, in program order."""
    layers = {}
    counts = collections.Counter()
    for entry in entries:
        shape = entry.label.split(" | ")[0]
        layer = layers.setdefault(shape, Layer(entry.name[3]))
        role = entry.name[4]
        layer.roles[role].add(entry)
        if len(entry.name) == 5 or not shape.startswith("attention"):  # attention has several GEMMs per pass
            counts[shape, role] += int(entry.counters["count"])
        layer.count = max(layer.count, counts[shape, role])
    return layers


def describe_sum(total: Sum, peak: float) -> dict:
    rate = total.flops / total.seconds
    return {"tflops": 1e-12 * rate, "share_of_peak": rate / peak, "milliseconds_per_step": 1e3 * total.seconds}


def network_layers(entries: list[Entry], peak: float) -> dict:
    """The measured "layers" and their "total"."""
    layers = layers_of(entries)
    whole = Sum(sum(total.flops for layer in layers.values() for total in layer.roles.values()),
                sum(layer.seconds for layer in layers.values()))
    if whole.seconds == 0:
        return {"layers": [], "total": None}
    described = [{"first_layer": layer.name, "shape": shape, "count": layer.count,
                  "roles": {role: describe_sum(total, peak) for role, total in layer.roles.items() if total.seconds},
                  "milliseconds_per_step": 1e3 * layer.seconds, "share_of_step": layer.seconds / whole.seconds}
                 for shape, layer in layers.items()]
    return {"layers": described, "total": describe_sum(whole, peak)}


def network_choices(entries: list[Entry]) -> list[dict]:
    pairs = collections.defaultdict(list)
    for entry in entries:
        pairs[entry.name[:-1]].append(entry)
    choices = []
    for name, forms in pairs.items():
        timed = [form for form in forms if form.seconds]
        choices.append({
            "first_layer": name[3], "shape": forms[0].label, "role": name[4],
            "count": int(timed[0].counters["count"]) if timed else None,
            "forms": [{"form": form.name[-1],
                       **({"microseconds": 1e6 * form.seconds} if form.seconds else {"error": form.error})}
                      for form in forms],
            "other_over_ours": forms[1].seconds / forms[0].seconds if len(timed) == 2 else None})
    return choices


def network_summary(name: str, batch: str, entries: list[Entry], peak: float) -> dict:
    ops = [entry for entry in entries if entry.name[0] == "ops"]
    return {"network": name, "batch": int(batch),
            **network_layers([entry for entry in ops if entry.seconds], peak),
            "choices": network_choices([entry for entry in entries if entry.name[0] == "choices"]),
            "failed": [{"op": "/".join(entry.name[3:]), "error": entry.error}
                       for entry in ops if not entry.seconds]}


def layer_table(network: dict) -> str:
    def speed(total: dict | None) -> str:
        return f"{total['tflops']:.0f} ({percent(total['share_of_peak'])})" if total else ""

    rows = [[layer["first_layer"], layer["shape"], str(layer["count"]),
             *(speed(layer["roles"].get(role)) for role in ROLES), f"{layer['milliseconds_per_step']:.3f}",
             percent(layer["share_of_step"])]
            for layer in network["layers"]]
    total = network["total"]
    rows.append(["all", "", "", "", "", speed(total), f"{total['milliseconds_per_step']:.3f}", "100 %"])
    return table(["first layer", "shape", "x", "forward TFLOP/s", "data gradient", "weight gradient", "ms per step",
                  "share"], rows)


def choice_table(choices: list[dict]) -> str:
    def time(form: dict) -> str:
        return form["form"] + (f" failed: {form['error']}" if "error" in form else f" {form['microseconds']:.1f}")

    rows = [[choice["first_layer"], choice["shape"], choice["role"], str(choice["count"] or ""),
             *(time(form) for form in choice["forms"]),
             "" if choice["other_over_ours"] is None else f"{choice['other_over_ours']:.2f}"]
            for choice in choices]
    return table(["first layer", "shape", "pass", "x", "the engine's, us", "other, us", "other / the engine's"], rows)


def product_tables(summary: dict, side: str) -> str:
    peak, copy = summary["bf16_flops_per_second"], summary["copy_bytes_per_second"]
    text = (f"{summary['gpu']}: a bf16 GEMM of {side} x {side} matrices runs at {peak * 1e-12:.0f} TFLOP/s (100 % "
            f"below), a copy at {copy * 1e-12:.2f} TB/s, reads and writes together.\n")
    for network in summary["networks"]:
        text += f"\n## {network['network']}, batch {network['batch']}\n\n"
        if network["layers"]:
            text += layer_table(network)
        if network["choices"]:
            text += "\nTwo forms, including our kernels around them:\n\n" + choice_table(network["choices"])
        for one in network["failed"]:
            text += f"\nNot measured: {one['op']}: {one['error']}\n"
    return text


# ---- Both


def summarize(context: dict, entries: list[Entry]) -> dict:
    copy = context.get("copy_bytes_per_second")
    summary = {"gpu": context.get("gpu", "GPU"), "rehearsal": context.get("rehearsal") == "true",
               "cut_off": context["cut_off"], "copy_bytes_per_second": float(copy) if copy else None}
    ops = [entry for entry in entries if entry.name[0] in ("ops", "choices")]
    if not ops:
        return {**summary, "kernels": kernel_cases(context, entries)}
    peak = float(context["bf16_flops_per_second"])
    networks = dict.fromkeys(entry.name[1:3] for entry in ops)
    return {**summary, "bf16_flops_per_second": peak,
            "networks": [network_summary(*network, [entry for entry in ops if entry.name[1:3] == network], peak)
                         for network in networks]}


def tables(summary: dict, side: str) -> str:
    text = "**A rehearsal on the emulated GPU: the times mean nothing.**\n\n" if summary["rehearsal"] else ""
    if summary["cut_off"]:
        text += "The benchmark was ended early: these are the results until then.\n\n"
    return text + (kernel_table(summary["kernels"]) if "kernels" in summary else product_tables(summary, side))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.json", help="the file that --benchmark_out wrote")
    parser.add_argument("--json", action="store_true", help="print the summary instead of tables")
    options = parser.parse_args()
    try:
        context, entries = read(options.file)
        summary = summarize(context, entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"benchmark_table.py: {options.file} is not a benchmark result: {error!r}", file=sys.stderr)
        sys.exit(2)
    if options.json:
        print(json.dumps(summary, indent=1))
    else:
        print(tables(summary, context.get("bf16_matrix_side", "8192")), end="")


if __name__ == "__main__":
    main()
