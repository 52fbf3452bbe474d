#!/usr/bin/env python3
"""Tables in Markdown of what a GPU benchmark wrote: scripts/benchmark_table.py FILE.json

kernels_benchmark and group_norm_benchmark: each kernel's time, bytes a second, share of the copy bandwidth and the
naive kernel's time over it; those larger than the L2 cache are marked.
products_benchmark: for each network its layers with TFLOP/s forward and backward, what they take of a step, and what
can be computed in two ways side by side.
"""

import collections
import dataclasses
import json
import sys

ROLES = ("forward", "data_gradient", "weight_gradient")


@dataclasses.dataclass
class Entry:
    """One benchmark: the parts of its name without Google Benchmark's own, and what was measured."""

    name: tuple[str, ...]
    label: str
    seconds: float | None  # of one run; None: it failed
    counters: dict
    error: str = ""


def read(path: str) -> tuple[dict, list[Entry]]:
    """The context and the entries: of repeated runs the median, of others the run."""
    with open(path) as file:
        found = json.load(file)
    chosen = {}
    for run in found["benchmarks"]:
        name = run.get("run_name", run["name"])
        if run.get("run_type") == "aggregate" and run.get("aggregate_name") != "median":
            continue
        if run.get("run_type") == "aggregate" or name not in chosen or "error_message" in chosen[name]:
            chosen[name] = run
    return found["context"], [make_entry(name, run) for name, run in chosen.items()]


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


def kernel_table(context: dict, entries: list[Entry]) -> str:
    times = {entry.name: entry.seconds for entry in entries}
    cache = float(context.get("l2_cache_bytes", 0))
    rows = []
    for entry in entries:
        if entry.name[1] == "naive":
            continue
        name = [entry.name[0] + ("" if entry.name[1] == "ours" else " " + entry.name[1]), " ".join(entry.name[2:])]
        if entry.seconds is None:
            rows.append([*name, "failed: " + entry.error, "", "", "", ""])
            continue
        naive = times.get((entry.name[0], "naive", *entry.name[2:]))
        rows.append([*name, f"{1e6 * entry.seconds:.1f}", f"{entry.counters['bytes/s'] * 1e-9:.0f}",
                     percent(entry.counters["share_of_copy"]), "yes" if entry.counters["bytes"] > cache else "",
                     f"{naive / entry.seconds:.1f}" if naive else ""])
    return table(["kernel", "arguments", "us", "GB/s", "of the copy", "beyond L2", "naive / ours"], rows)


# ---- Products


@dataclasses.dataclass
class Sum:
    """Products of one role of one layer: of a step."""

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
    """By shape, in the order of the program."""
    layers = {}
    counts = collections.Counter()
    for entry in entries:
        shape = entry.label.split(" | ")[0]
        layer = layers.setdefault(shape, Layer(entry.name[3]))
        role = entry.name[4]
        layer.roles[role].add(entry)
        if len(entry.name) == 5 or not shape.startswith("attention"):  # else several products make one pass
            counts[shape, role] += int(entry.counters["count"])
        layer.count = max(layer.count, counts[shape, role])
    return layers


def product_table(entries: list[Entry], peak: float) -> str:
    layers = layers_of(entries)
    whole = Sum(sum(total.flops for layer in layers.values() for total in layer.roles.values()),
                sum(layer.seconds for layer in layers.values()))

    def speed(total: Sum) -> str:
        if total.seconds == 0:
            return ""
        rate = total.flops / total.seconds
        return f"{rate * 1e-12:.0f} ({percent(rate / peak)})"

    rows = [[layer.name, shape, str(layer.count), *(speed(layer.roles[role]) for role in ROLES),
             f"{1e3 * layer.seconds:.3f}", percent(layer.seconds / whole.seconds)]
            for shape, layer in layers.items()]
    rows.append(["all", "", "", "", "", speed(whole), f"{1e3 * whole.seconds:.3f}", "100 %"])
    return table(["first layer", "shape", "x", "forward TFLOP/s", "data gradient", "weight gradient", "ms a step",
                  "share"], rows)


def choice_table(entries: list[Entry]) -> str:
    pairs = collections.defaultdict(list)
    for entry in entries:
        pairs[entry.name[:-1]].append(entry)
    rows = []
    for name, forms in pairs.items():
        texts = [form.name[-1] + (f" {1e6 * form.seconds:.1f}" if form.seconds else f" failed: {form.error}")
                 for form in forms]
        timed = [form for form in forms if form.seconds]
        ratio = f"{forms[1].seconds / forms[0].seconds:.2f}" if len(timed) == 2 else ""
        rows.append([name[3], forms[0].label, name[4], str(int(timed[0].counters["count"])) if timed else "", *texts,
                     ratio])
    return table(["first layer", "shape", "pass", "x", "the engine's, us", "other, us", "other / the engine's"], rows)


def product_tables(context: dict, entries: list[Entry]) -> str:
    peak, copy = float(context["bf16_flops_per_second"]), float(context["copy_bytes_per_second"])
    text = (f"{context.get('gpu', 'GPU')}: a bf16 product of 8192 x 8192 matrices runs at {peak * 1e-12:.0f} TFLOP/s "
            f"(100 % below), a copy at {copy * 1e-12:.2f} TB/s, read and written.\n")
    for network in dict.fromkeys(entry.name[1:3] for entry in entries):
        mine = [entry for entry in entries if entry.name[1:3] == network]
        products = [entry for entry in mine if entry.name[0] == "products" and entry.seconds]
        choices = [entry for entry in mine if entry.name[0] == "choices"]
        text += f"\n## {network[0]}, batch {network[1]}\n\n"
        if products:
            text += product_table(products, peak)
        if choices:
            text += "\nIn two ways, with our kernels around the product:\n\n" + choice_table(choices)
        for entry in mine:
            if entry.name[0] == "products" and not entry.seconds:
                text += f"\nNot measured: {'/'.join(entry.name[3:])}: {entry.error}\n"
    return text


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    context, entries = read(sys.argv[1])
    products = [entry for entry in entries if entry.name[0] in ("products", "choices")]
    print(product_tables(context, products) if products else kernel_table(context, entries), end="")


if __name__ == "__main__":
    main()
