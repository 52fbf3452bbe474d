"""Tests a benchmark's emulated twin and its table: emulated_benchmark_test.py PROGRAM FILTER ROWS [ARGUMENT...]

Runs PROGRAM on the benchmarks that match FILTER. The table must have at least ROWS rows, none of which failed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark_table.py"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def main(program: str, filter_: str, rows: str, *arguments: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        said = run(program, *arguments, f"--benchmark_filter={filter_}", f"--benchmark_out={out}",
                   "--benchmark_out_format=json")
        assert "the times below mean nothing" in said, said
        with open(out) as file:
            written = json.load(file)
        printed = run(sys.executable, str(SCRIPT), out)
        summary = json.loads(run(sys.executable, str(SCRIPT), out, "--json"))
    context = written["context"]
    assert context["gpu"] == "emulated" and context["rehearsal"] == "true", context
    assert float(context["copy_bytes_per_second"]) > 0, context
    assert summary["rehearsal"] and "the times mean nothing" in printed, printed
    assert written["benchmarks"], written
    failed = [one for one in written["benchmarks"] if one.get("error_occurred")]
    assert not failed, failed
    found = [line for line in printed.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert len(found) - 1 >= int(rows), printed
    assert "failed" not in printed and "Not measured" not in printed, printed


if __name__ == "__main__":
    main(*sys.argv[1:])
