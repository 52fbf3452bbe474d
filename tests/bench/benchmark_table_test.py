"""scripts/benchmark_table.py on made-up results: what it selects, sums and marks."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark_table.py"


def run_script(text: str, *options: str) -> subprocess.CompletedProcess:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(text)
        file.flush()
        return subprocess.run([sys.executable, SCRIPT, file.name, *options], capture_output=True, text=True)


def written(context: dict, benchmarks: list[dict]) -> str:
    """Results in Google Benchmark's layout."""
    runs_text = ",\n".join(f"    {{\n      {json.dumps(run)[1:-1]}\n    }}" for run in benchmarks)
    return f'{{\n  "context": {json.dumps(context)},\n  "benchmarks": [\n{runs_text}\n  ]\n}}\n'


def cells(printed: str) -> list[list[str]]:
    """The cells of each table row; other lines unchanged."""
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in printed.splitlines()]


def tables(context: dict, benchmarks: list[dict]) -> list[list[str]]:
    done = run_script(written(context, benchmarks))
    assert done.returncode == 0, done.stderr
    return cells(done.stdout)


def summary(context: dict, benchmarks: list[dict]) -> dict:
    return json.loads(run_script(written(context, benchmarks), "--json").stdout)


def runs(name: str, microseconds: float, **fields) -> list[dict]:
    """Aggregates of two repetitions as Google Benchmark writes them; only the median is meaningful here."""
    run_name = name + "/iterations:50/repeats:2/manual_time"
    return [{"name": f"{run_name}_{kind}", "run_name": run_name, "run_type": "aggregate", "aggregate_name": kind,
             "time_unit": "us", "real_time": factor * microseconds, **fields}
            for kind, factor in (("mean", 7), ("median", 1), ("stddev", 3))]


def failure(name: str, message: str) -> dict:
    return {"name": name, "run_name": name, "run_type": "iteration", "error_occurred": True, "error_message": message,
            "real_time": 0.0, "time_unit": "us"}


class Kernels(unittest.TestCase):
    CONTEXT = {"l2_cache_bytes": "1000"}

    def test_reports_medians_naive_ratios_and_cases_beyond_l2(self):
        rows = tables(self.CONTEXT, [
            *runs("softmax/ours/64/8", 10, **{"bytes/s": 2e12, "share_of_copy": 0.84, "bytes": 1001}),
            *runs("softmax/naive/64/8", 35, **{"bytes/s": 6e11, "share_of_copy": 0.2, "bytes": 1001}),
            *runs("softmax/ours/4/8", 2, **{"bytes/s": 1e12, "share_of_copy": 0.4, "bytes": 999})])
        self.assertEqual(rows[2:], [["softmax", "64 8", "10.0", "2000", "84 %", "yes", "3.5"],
                                    ["softmax", "4 8", "2.0", "1000", "40 %", "", ""]])

    def test_reports_failures(self):
        self.assertEqual(tables(self.CONTEXT, [failure("softmax/ours/4/8", "no memory")])[2][:3],
                         ["softmax", "4 8", "failed: no memory"])

    def test_summary_has_the_unrounded_figures(self):
        found = summary({**self.CONTEXT, "gpu": "a GPU", "copy_bytes_per_second": "2.5e12"}, [
            *runs("softmax/ours/64/8", 10, **{"bytes/s": 2.1e12, "share_of_copy": 0.84, "bytes": 1001}),
            *runs("softmax/naive/64/8", 35, **{"bytes/s": 6e11, "share_of_copy": 0.24, "bytes": 1001}),
            *runs("softmax/wide/4/8", 2, **{"bytes/s": 1e12, "share_of_copy": 0.4, "bytes": 999}),
            failure("softmax/ours/4/8", "no memory")])
        wide, large = found["kernels"][1], found["kernels"][0]
        self.assertEqual((found["gpu"], found["rehearsal"], found["cut_off"], found["copy_bytes_per_second"]),
                         ("a GPU", False, False, 2.5e12))
        self.assertEqual((large["kernel"], large["variant"], large["arguments"], large["share_of_copy"]),
                         ("softmax", "ours", [64, 8], 0.84))
        self.assertAlmostEqual(large["microseconds"], 10)
        self.assertAlmostEqual(large["gigabytes_per_second"], 2100)
        self.assertAlmostEqual(large["naive_over_ours"], 3.5)
        self.assertEqual((large["beyond_l2"], wide["beyond_l2"], wide["naive_over_ours"]), (True, False, None))
        self.assertEqual(found["kernels"][2],
                         {"kernel": "softmax", "variant": "ours", "arguments": [4, 8], "error": "no memory"})

    def test_marks_a_rehearsal(self):
        run = runs("softmax/ours/4/8", 2, **{"bytes/s": 1e12, "share_of_copy": 0.4, "bytes": 999})
        context = {**self.CONTEXT, "rehearsal": "true"}
        self.assertIn("the times mean nothing", tables(context, run)[0][0])
        self.assertTrue(summary(context, run)["rehearsal"])

    def test_reads_a_truncated_benchmark(self):
        text = written(self.CONTEXT, [
            *runs("softmax/ours/64/8", 10, **{"bytes/s": 2e12, "share_of_copy": 0.84, "bytes": 1001}),
            *runs("softmax/ours/4/8", 2, **{"bytes/s": 1e12, "share_of_copy": 0.4, "bytes": 999})])
        # Between two benchmarks, and in the middle of one.
        for end in (text.rindex("\n  ]"), text.rindex('"run_name"')):
            done = run_script(text[:end])
            self.assertIn("ended early", done.stdout)
            self.assertIn(["softmax", "64 8", "10.0", "2000", "84 %", "yes", ""], cells(done.stdout))
        self.assertTrue(json.loads(run_script(text[:-10], "--json").stdout)["cut_off"])

    def test_refuses_other_files_in_one_line(self):
        for text in ("", "nothing", "[]", '{"context": {}}'):
            done = run_script(text)
            self.assertEqual(done.returncode, 2, text)
            self.assertEqual(done.stderr.count("\n"), 1, text)


class Products(unittest.TestCase):
    CONTEXT = {"gpu": "a GPU", "bf16_flops_per_second": "1e15", "copy_bytes_per_second": "3e12"}
    CONV = "conv 3x3 2x8x8x4 -> 8x8x4"

    def op(self, layer: str, role: str, microseconds: float, flops: float, count: int, shape: str = CONV):
        return runs(f"ops/net/2/{layer}/{role}", microseconds, count=count, label=f"{shape} | problem",
                    **{"FLOP/s": flops})

    def test_sums_layers_of_a_shape_by_role_and_count(self):
        rows = tables(self.CONTEXT, [
            *self.op("a", "forward", 100, 4e14, 3),
            *self.op("b", "forward", 100, 8e14, 1),  # the same shape, another problem
            *self.op("a", "data_gradient", 200, 2e14, 2),
            *self.op("c", "forward", 1000, 1e14, 1, shape="linear 2x4 -> 4")])
        header = next(i for i, row in enumerate(rows) if row[0] == "first layer")
        a, c, whole = rows[header + 2:header + 5]
        # Forward: 3 x 100 us at 400 and 100 us at 800 TFLOP/s; 400 + 400 us of 1800 in all.
        self.assertEqual(a, ["a", self.CONV, "4", "500 (50 %)", "200 (20 %)", "", "0.800", "44 %"])
        self.assertEqual(c, ["c", "linear 2x4 -> 4", "1", "100 (10 %)", "", "", "1.000", "56 %"])
        # (4 x 100 us x 500 + 400 x 200 + 1000 x 100) / 1800 TFLOP/s.
        self.assertEqual(whole, ["all", "", "", "", "", "211 (21 %)", "1.800", "100 %"])

    def test_counts_a_pass_of_several_gemms_once(self):
        shape = "attention 2x4x8 heads 1"
        rows = tables(self.CONTEXT, [*self.op("a", "forward", 1, 1e14, 5, shape),
                                     *self.op("a", "forward/1", 1, 1e14, 5, shape)])
        self.assertEqual(next(row for row in rows if row[0] == "a")[2], "5")

    def test_compares_two_forms(self):
        rows = tables(self.CONTEXT, [
            *runs("choices/net/2/a/forward/gemm", 10, count=3, label="conv 1x1"),
            *runs("choices/net/2/a/forward/convolution", 15, count=3, label="conv 1x1"),
            *runs("choices/net/2/b/forward/1/gemm", 10, count=1, label="conv 1x1 other"),
            failure("choices/net/2/b/forward/1/convolution", "no plan")])
        header = next(i for i, row in enumerate(rows) if row[0] == "first layer")
        self.assertEqual(rows[header + 2], ["a", "conv 1x1", "forward", "3", "gemm 10.0", "convolution 15.0", "1.50"])
        self.assertEqual(rows[header + 3][5], "convolution failed: no plan")

    def test_summary_has_layers_roles_totals_and_choices(self):
        found = summary(self.CONTEXT, [
            *self.op("a", "forward", 100, 4e14, 3),
            *self.op("a", "data_gradient", 200, 2e14, 2),
            failure("ops/net/2/b/forward", "no plan"),
            *runs("choices/net/2/a/forward/gemm", 10, count=3, label="conv 1x1"),
            *runs("choices/net/2/a/forward/convolution", 15, count=3, label="conv 1x1"),
            *runs("choices/net/2/c/forward/gemm", 10, count=1, label="conv 1x1 other"),
            failure("choices/net/2/c/forward/convolution", "no plan")])
        network, = found["networks"]
        self.assertEqual((found["bf16_flops_per_second"], network["network"], network["batch"]), (1e15, "net", 2))
        layer, = network["layers"]
        self.assertEqual((layer["first_layer"], layer["shape"], layer["count"]), ("a", self.CONV, 3))
        self.assertAlmostEqual(layer["roles"]["forward"]["tflops"], 400)
        self.assertAlmostEqual(layer["roles"]["forward"]["share_of_peak"], 0.4)
        self.assertAlmostEqual(layer["roles"]["forward"]["milliseconds_per_step"], 0.3)
        self.assertNotIn("weight_gradient", layer["roles"])
        self.assertAlmostEqual(layer["share_of_step"], 1)
        self.assertAlmostEqual(network["total"]["milliseconds_per_step"], 0.7)
        self.assertAlmostEqual(network["total"]["tflops"], (300 * 400 + 400 * 200) / 700)
        self.assertEqual(network["failed"], [{"op": "b/forward", "error": "no plan"}])
        self.assertAlmostEqual(network["choices"][0]["other_over_ours"], 1.5)
        self.assertEqual(network["choices"][1]["forms"][1], {"form": "convolution", "error": "no plan"})
        self.assertIsNone(network["choices"][1]["other_over_ours"])

    def test_lists_what_could_not_be_measured(self):
        rows = tables(self.CONTEXT, [*self.op("a", "forward", 1, 1e14, 1),
                                     failure("ops/net/2/b/forward", "no plan")])
        self.assertIn(["Not measured: b/forward: no plan"], rows)


if __name__ == "__main__":
    unittest.main()
