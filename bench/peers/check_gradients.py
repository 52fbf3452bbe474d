"""Checks that the PyTorch variants compute what they are timed on: compares their gradients and outputs with ours.

    python check_gradients.py --bin ../../build/gpu/bin --networks ddim-celeba-64 --batch 4 --results gradients.json
    python check_gradients.py --bin ../../build/release/bin --device cpu --smoke

Both sides get the same weights, images, noise and times, without dropout. `eager-fp32` runs first: if it disagrees with
ours, one of the two is wrong, nothing can be judged, and the exit code is 1. A wrong variant is a result, not a
failure; side_by_side.py --gradients FILE skips it. Some past errors occurred only with large tensors: --batch 128
--our-device cuda checks the shapes that are timed.
"""

import argparse
import math
import pathlib
import re
import sys
import tempfile
import time

import programs
from programs import HERE, Deadline, run_limited
from variants import VARIANTS

WITNESS, OUR_BF16 = "eager-fp32", "ours-bf16"
MODES = ("train", "sample")
TIME_WAS_UP = "the time was up"  # not a failure

# Unit roundoffs, in which the bounds are given. A tensor's error is relative to its norm, or to a tenth of the norm
# it would have if the whole gradient were spread evenly, since the true gradient of some tensors is zero (a bias
# before a softmax).
UNIT = {"fp32": 2.0**-24, "bf16": 2.0**-8}
# fp32: sums over batch x H x W, 2^19 terms at batch 128 and 64x64, whose rounding error grows like the root of their
# number: 724 units; PyTorch and ours differ by up to 320 at batch 4.
# bf16: about 200 tensors are stored in a forward and backward pass, each with a rounding error of 0.6 units RMS. The
# errors add up like the root of their number: 8 units, and more where gradients cancel. PyTorch's eager bf16 on the CPU
# shows 19 over tensors and 153 in single elements, relative to their RMS. A lost group of channels costs more.
NORM_UNITS = {("train", "fp32"): 1024, ("train", "bf16"): 32, ("sample", "fp32"): 512, ("sample", "bf16"): 16}
ELEMENT_UNITS = {("train", "fp32"): 8192, ("train", "bf16"): 256, ("sample", "fp32"): 4096, ("sample", "bf16"): 128}
# A mean over all pixels and images: its error is that of the sums or of rounding the output.
LOSS_UNITS = {"fp32": 1024, "bf16": 4}
FLOOR = 0.1


def number(value) -> float:
    return math.nan if value is None else value  # JSON's null


def judge(mode: str, precision: str, report: dict) -> dict:
    """The verdict on one mode's errors by tensor, with the worst error relative to its bound. NaN is wrong."""
    tensors, unit = report["tensors"], UNIT[precision]
    norm_bound, element_bound = NORM_UNITS[mode, precision] * unit, ELEMENT_UNITS[mode, precision] * unit
    elements = sum(tensor["elements"] for tensor in tensors)
    mean_square = sum(number(tensor["norm"])**2 for tensor in tensors) / max(elements, 1)
    found = [("loss", abs(number(report["loss"]) / number(report["reference_loss"]) - 1), LOSS_UNITS[precision] * unit)
             ] if mode == "train" else []
    for tensor in tensors:
        scale = max(number(tensor["norm"]), FLOOR * math.sqrt(mean_square * tensor["elements"]))
        # A gradient of zeros has no scale: only zeros match it.
        relative = lambda error, to: error / to if to > 0 else (0.0 if error == 0 else math.inf)  # noqa: E731
        found.append((tensor["name"], relative(number(tensor["error"]), scale), norm_bound))
        found.append((f"an element of {tensor['name']}", relative(
            number(tensor["largest_error"]), scale / math.sqrt(tensor["elements"])), element_bound))
    # NaN counts as infinite.
    part = lambda item: item[1] / item[2] if item[1] == item[1] else math.inf  # noqa: E731
    what, error, bound = max(found, key=part, default=("nothing", math.nan, 0.0))
    right = bool(tensors) and all(error <= bound for _, error, bound in found)
    entry = {"verdict": "right" if right else "wrong", "worst_tensor": what, "worst_error": error, "worst_bound": bound}
    if mode == "train":
        entry |= {"loss_error": found[0][1], "loss_bound": found[0][2]}
    if not right:
        entry["why"] = f"{what} is off by {error:.3g} (bound {bound:.3g})"
    return entry


class Check:
    """One network's files and results."""

    def __init__(self, network: str, batch: int, folder: pathlib.Path, options: argparse.Namespace):
        self.network, self.batch, self.folder, self.options = network, batch, folder, options

    def script(self, command: str, *words, variant: str | None = None) -> list:
        named = ["--network", self.network, "--benchmark-limit", self.options.benchmark_limit]
        named += ["--variant", variant] if variant else []
        return [sys.executable, HERE / "gradients.py", command, "--folder", self.folder, *named, *words]

    def run(self, command: list) -> tuple[str, str | None]:
        if self.options.deadline.is_up():
            return "", TIME_WAS_UP
        return run_limited(command, self.options.deadline.left(), self.options.environment)

    def ours(self, device: str, precision: str, gradients: pathlib.Path,
             output: pathlib.Path) -> tuple[float, str | None]:
        """Writes both files; returns the loss, or the reason why there is none."""
        program = [self.options.bin / "ddpm_forward", "--checkpoint", self.folder, "--device", device,
                   "--precision", precision, *self.options.our_options]
        printed, error = self.run([*program, "--input", self.folder / "x_t.npy", "--timesteps", self.folder / "t.npy",
                                   "--target", self.folder / "noise.npy", "--gradients", gradients])
        loss = re.search(r"mean squared error (\S+)", printed)
        if error is None:
            _, error = self.run([*program, "--input", self.folder / "sample_x.npy",
                                 "--timesteps", self.folder / "sample_t.npy", "--output", output])
        return float(loss[1]) if loss else math.nan, error

    def prepare(self) -> str | None:
        """The reason why there is nothing to compare with; None if everything is there."""
        _, error = self.run(self.script("prepare", "--batch", self.batch))
        if error:
            return error
        loss, error = self.ours(self.options.our_device, "fp32", self.folder / "reference.safetensors",
                                self.folder / "reference_output.npy")
        if error is None:
            programs.write_json(self.folder / "reference_loss.json", loss)
        return error

    def compare(self, side: str) -> list[dict]:
        """One entry per mode."""
        begin = time.monotonic()
        out = self.folder / f"{side}.json"
        if side == OUR_BF16:
            precision, (gradients, output) = "bf16", (self.folder / name for name in ("bf16.safetensors", "bf16.npy"))
            loss, error = self.ours("cuda", "bf16", gradients, output)
            if error is None:
                _, error = self.run(self.script("compare-file", "--file", gradients, "--output", output, "--loss", loss,
                                                "--out", out))
        else:
            precision = VARIANTS[side].precision
            _, error = self.run(self.script("compare", "--device", self.options.device, "--modes", *MODES, "--out", out,
                                            variant=side))
        report = programs.read_json(out) or {}
        entries = []
        for mode in MODES:
            entry = {"network": self.network, "mode": mode, "side": side, "batch": self.batch}
            if mode in report:
                entry |= judge(mode, precision, report[mode])
                entry |= {key: report[mode][key] for key in ("channels_last",) if report[mode].get(key)}
            else:
                entry |= {"verdict": "not run" if error == TIME_WAS_UP else "failed", "why": error}
            entries.append(entry | {"seconds": round(time.monotonic() - begin, 2)})
        if report:
            self.options.about |= {key: report[key] for key in ("cuda", "cudnn") if report.get(key)}
        return entries


KEPT_FOR = ("gpu", "torch", "triton", "diffusers", "cudnn_benchmark_limit", "commit")  # verdicts depend on these


def read_kept(path: pathlib.Path | None, about: dict) -> dict[tuple[str, str, str, int], dict]:
    """Verdicts of an earlier run with the same GPU and programs, by network, mode, side and batch."""
    found = (programs.read_json(path) or {}) if path else {}
    commit = about.get("commit") or "unknown"
    if commit == "unknown" or commit.endswith("-dirty"):
        return {}
    if any(found.get("about", {}).get(key) != about.get(key) for key in KEPT_FOR):
        return {}
    return {(entry["network"], entry["mode"], entry["side"], entry["batch"]): entry for entry in found.get("checks", [])}


def check_network(network: str, sides: list[str], options: argparse.Namespace, checks: list[dict]) -> bool:
    """Adds the network's entries; returns whether there was something to judge by."""
    def add(entries: list[dict]) -> None:
        for entry in entries:
            checks.append(entry)
            if entry["verdict"] in ("right", "wrong"):
                options.kept_checks[network, entry["mode"], entry["side"], entry["batch"]] = entry
            error = f"worst {entry['worst_tensor']}: {entry['worst_error']:.2e} of {entry['worst_bound']:.2e}" \
                if "worst_error" in entry else programs.last_line(entry.get("why") or "")
            print(f"{network:18} batch {entry['batch']:4} {entry['mode']:6} {entry['side']:20} "
                  f"{entry['verdict']:12} {error}", flush=True)
        if options.results:
            programs.write_json(options.results, {"about": options.about, "checks": checks})
        if options.kept:
            programs.write_json(options.kept, {"about": options.about, "checks": list(options.kept_checks.values())})

    def kept(side: str) -> list[dict] | None:
        entries = [options.kept_checks.get((network, mode, side, options.batch)) for mode in MODES]
        return entries if all(entries) else None

    def all_modes(side: str, verdict: str, why: str) -> list[dict]:
        return [{"network": network, "mode": mode, "side": side, "batch": options.batch, "verdict": verdict, "why": why}
                for mode in MODES]

    witness = kept(WITNESS)
    if witness and all(entry["verdict"] == "right" for entry in witness) and all(kept(side) for side in sides):
        for side in (WITNESS, *sides):
            add(kept(side))
        return True
    with tempfile.TemporaryDirectory() as folder:
        check = Check(network, options.batch, pathlib.Path(folder), options)
        error = check.prepare()
        if error:
            for side in [WITNESS, *sides]:
                add(all_modes(side, "not run", f"nothing to compare with: {programs.last_line(error)}"))
            print(error, file=sys.stderr)
            return error == TIME_WAS_UP
        add(check.compare(WITNESS))
        verdicts = {entry["verdict"] for entry in checks[-len(MODES):]}
        if verdicts != {"right"}:
            why = f"ours and {WITNESS} disagree: one of them is wrong" if "wrong" in verdicts else \
                f"{WITNESS} did not finish, so nothing confirms ours"
            for side in sides:
                add(all_modes(side, "not run", why))
            return verdicts <= {"right", "not run"}
        for side in sides:
            why = None if side == OUR_BF16 else programs.why_not_here(side, options.device)
            add(all_modes(side, programs.NEEDS_GPU, why) if why else kept(side) or check.compare(side))
    return True


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of ddpm_forward")
    parser.add_argument("--networks", nargs="+", default=["ddpm-cifar10-32"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--our-device", default="cpu", help="device of our fp32 reference")
    parser.add_argument("--our-options", action="append", default=[], help="a further option for our programs, "
                        "repeatable: --our-options=--plan-choice=first")
    parser.add_argument("--commit", help="commit of the programs in --bin")
    parser.add_argument("--kept", type=pathlib.Path, help="cache of verdicts: those of the same GPU, PyTorch and "
                        "--commit are reused, new ones are added")
    programs.add_common_options(parser, timeout=300)
    options = parser.parse_args()
    if options.smoke:  # on a CPU, torch.compile takes minutes for all but the smallest network
        options.networks = ["tiny-32", "smoke-8"]
    return options


def main() -> int:
    options = parse_options()
    programs.check_libraries("check_gradients.py")
    programs.check_programs("check_gradients.py", options.bin, "ddpm_forward")
    options.deadline = Deadline(options.seconds, options.timeout)
    options.environment = programs.environment_with_caches(options.cache)
    options.about = programs.describe_machine() | {"commit": options.commit,
                                                   "cudnn_benchmark_limit": options.benchmark_limit}
    options.kept_checks = read_kept(options.kept, options.about)
    checks, well = [], True
    for network in options.networks:
        sides = [side for side in options.variants if side != WITNESS]
        if options.smoke and network != "smoke-8":
            sides = [side for side in sides if VARIANTS[side].compile_mode is None and not VARIANTS[side].needs_gpu]
        if options.device.startswith("cuda"):
            sides = [OUR_BF16, *sides]
        well &= check_network(network, sides, options, checks)
    for entry in checks:
        if entry["verdict"] == "wrong":
            print(f"WRONG: {entry['side']} on {entry['network']}, {entry['mode']}: {entry['why']}")
    well &= not any(entry["verdict"] == "failed" or (entry["verdict"] == "wrong" and entry["side"] == OUR_BF16)
                    for entry in checks)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
