"""Everything that is to run on a GPU once, on a machine without one: does it start, and can its output be read?

    python rehearse.py --bin ../../build/release/bin --out FOLDER

Runs check_gradients.py, warm_up.py and side_by_side.py on the CPU with tiny networks, and torch.compile with the
smallest. Variants that need a GPU are named. FOLDER has the JSON of each; none of its figures means anything. Exit code
1 where a script failed, or said that a variant which can run here did not.
"""

import argparse
import pathlib
import sys
import time

import programs
from programs import HERE, NEEDS_GPU, run_limited
from variants import VARIANTS

STEPS = {
    "warm-up": ["warm_up.py"],
    "gradients": ["check_gradients.py", "--bin", "{bin}"],
    "peers-tiny-32": ["side_by_side.py", "--bin", "{bin}", "--networks", "tiny-32", "--gradients", "{out}/gradients.json"],
    "peers-smoke-8": ["side_by_side.py", "--bin", "{bin}", "--networks", "smoke-8", "--variants", "compile", "--gradients",
                      "{out}/gradients.json"],
}
# What becomes of a variant in a step that worked.
GOOD = {"right", "warm", "measured", NEEDS_GPU}


def outcomes(results: dict) -> list[tuple[str, str, str]]:
    """Side, what became of it, and why, wherever a script writes that."""
    return [(entry.get("side") or entry["variant"], entry.get("verdict") or entry.get("outcome"),
             entry.get("why") or entry.get("error") or "")
            for entry in results.get("checks", []) + results.get("programs", []) + results.get("runs", [])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of ddpm_train, ddpm_sample, ddpm_forward")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one script")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    well = True
    for name, (script, *words) in STEPS.items():
        results = options.out / f"{name}.json"
        results.unlink(missing_ok=True)
        command = [sys.executable, HERE / script, *(word.format(bin=options.bin, out=options.out) for word in words),
                   "--device", "cpu", "--smoke", "--cache", options.out / "cache", "--results", results]
        begin = time.monotonic()
        printed, error = run_limited(command, options.timeout)
        found = outcomes(programs.read_json(results) or {})
        bad = [f"{side}: {verdict}: {programs.last_line(why)}" for side, verdict, why in found if verdict not in GOOD]
        failed = bool(error or bad or not found)
        well &= not failed
        print(f"rehearsal, {name:14} {'FAILED' if failed else 'passed'} in {time.monotonic() - begin:5.1f} s, "
              f"{sum(verdict != NEEDS_GPU for _, verdict, _ in found)} outcomes", flush=True)
        if failed:
            print(error or "\n".join(bad) or "nothing was written", printed, sep="\n")
    print(f"rehearsal, {NEEDS_GPU}: {' '.join(name for name, variant in VARIANTS.items() if variant.needs_gpu)}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
