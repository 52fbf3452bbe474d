"""scripts/benchmark_table.py on made-up results: what it picks, adds up and marks."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "benchmark_table.py"


def tables(context: dict, benchmarks: list[dict]) -> list[list[str]]:
    """The script's output: the cells of each line of a table, other lines whole."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"context": context, "benchmarks": benchmarks}, file)
        file.flush()
        printed = subprocess.run([sys.executable, SCRIPT, file.name], capture_output=True, text=True, check=True).stdout
    return [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in printed.splitlines()]


def runs(name: str, microseconds: float, **fields) -> list[dict]:
    """Two repetitions' aggregates, as Google Benchmark writes them; only the median tells the truth here."""
    run_name = name + "/iterations:50/repeats:2/manual_time"
    return [{"name": f"{run_name}_{kind}", "run_name": run_name, "run_type": "aggregate", "aggregate_name": kind,
             "time_unit": "us", "real_time": factor * microseconds, **fields}
            for kind, factor in (("mean", 7), ("median", 1), ("stddev", 3))]


def failure(name: str, message: str) -> dict:
    return {"name": name, "run_name": name, "run_type": "iteration", "error_occurred": True, "error_message": message,
            "real_time": 0.0, "time_unit": "us"}


class Kernels(unittest.TestCase):
    CONTEXT = {"l2_cache_bytes": "1000"}

    def test_takes_the_median_beside_the_naive_kernel_and_marks_what_no_cache_holds(self):
        rows = tables(self.CONTEXT, [
            *runs("softmax/ours/64/8", 10, **{"bytes/s": 2e12, "share_of_copy": 0.84, "bytes": 1001}),
            *runs("softmax/naive/64/8", 35, **{"bytes/s": 6e11, "share_of_copy": 0.2, "bytes": 1001}),
            *runs("softmax/ours/4/8", 2, **{"bytes/s": 1e12, "share_of_copy": 0.4, "bytes": 999})])
        self.assertEqual(rows[2:], [["softmax", "64 8", "10.0", "2000", "84 %", "yes", "3.5"],
                                    ["softmax", "4 8", "2.0", "1000", "40 %", "", ""]])

    def test_tells_what_failed(self):
        self.assertEqual(tables(self.CONTEXT, [failure("softmax/ours/4/8", "no memory")])[2][:3],
                         ["softmax", "4 8", "failed: no memory"])


class Products(unittest.TestCase):
    CONTEXT = {"gpu": "a GPU", "bf16_flops_per_second": "1e15", "copy_bytes_per_second": "3e12"}
    CONV = "conv 3x3 2x8x8x4 -> 8x8x4"

    def product(self, layer: str, role: str, microseconds: float, flops: float, count: int, shape: str = CONV):
        return runs(f"products/net/2/{layer}/{role}", microseconds, count=count, label=f"{shape} | problem",
                    **{"FLOP/s": flops})

    def test_joins_the_products_of_a_shape_by_role_and_weighs_them_by_count(self):
        rows = tables(self.CONTEXT, [
            *self.product("a", "forward", 100, 4e14, 3),
            *self.product("b", "forward", 100, 8e14, 1),  # the same shape, another problem
            *self.product("a", "data_gradient", 200, 2e14, 2),
            *self.product("c", "forward", 1000, 1e14, 1, shape="linear 2x4 -> 4")])
        header = next(i for i, row in enumerate(rows) if row[0] == "first layer")
        a, c, whole = rows[header + 2:header + 5]
        # Forward: 3 x 100 us at 400 and 100 us at 800 TFLOP/s; 400 + 400 us of 1800 in all.
        self.assertEqual(a, ["a", self.CONV, "4", "500 (50 %)", "200 (20 %)", "", "0.800", "44 %"])
        self.assertEqual(c, ["c", "linear 2x4 -> 4", "1", "100 (10 %)", "", "", "1.000", "56 %"])
        # (4 x 100 us x 500 + 400 x 200 + 1000 x 100) / 1800 TFLOP/s.
        self.assertEqual(whole, ["all", "", "", "", "", "211 (21 %)", "1.800", "100 %"])

    def test_counts_a_pass_of_several_products_once(self):
        shape = "attention 2x4x8 heads 1"
        rows = tables(self.CONTEXT, [*self.product("a", "forward", 1, 1e14, 5, shape),
                                     *self.product("a", "forward/1", 1, 1e14, 5, shape)])
        self.assertEqual(next(row for row in rows if row[0] == "a")[2], "5")

    def test_sets_two_forms_side_by_side(self):
        rows = tables(self.CONTEXT, [
            *runs("choices/net/2/a/forward/matrix", 10, count=3, label="conv 1x1"),
            *runs("choices/net/2/a/forward/convolution", 15, count=3, label="conv 1x1"),
            *runs("choices/net/2/b/forward/1/matrix", 10, count=1, label="conv 1x1 other"),
            failure("choices/net/2/b/forward/1/convolution", "no plan")])
        header = next(i for i, row in enumerate(rows) if row[0] == "first layer")
        self.assertEqual(rows[header + 2], ["a", "conv 1x1", "forward", "3", "matrix 10.0", "convolution 15.0", "1.50"])
        self.assertEqual(rows[header + 3][5], "convolution failed: no plan")

    def test_names_what_could_not_be_measured(self):
        rows = tables(self.CONTEXT, [*self.product("a", "forward", 1, 1e14, 1),
                                     failure("products/net/2/b/forward", "no plan")])
        self.assertIn(["Not measured: b/forward: no plan"], rows)


if __name__ == "__main__":
    unittest.main()
