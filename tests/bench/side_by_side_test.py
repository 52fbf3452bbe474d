"""bench/peers/side_by_side.py without PyTorch: what it makes of made-up runs, and what it says where PyTorch is missing."""

import argparse
import pathlib
import subprocess
import sys
import time
import unittest

PEERS = pathlib.Path(__file__).resolve().parents[2] / "bench" / "peers"
sys.path.insert(0, str(PEERS))

import side_by_side  # noqa: E402  (needs the path above)


def run(side: str, speeds: list[float], memory: int | None = None, turn: int = 0) -> side_by_side.Run:
    return side_by_side.Run(side, "train", "net", 2, turn, images_per_second=speeds, startup_seconds=1.0,
                            peak_memory_bytes=memory)


class Ratios(unittest.TestCase):
    OPTIONS = argparse.Namespace(
        limits={"bf16_flops_per_second": 1e15, "copy_bytes_per_second": 1e12},
        costs={"train net 2": {"flops_per_image": 1e11, "ideal_bytes_per_image": 1e8}})

    def test_are_of_medians_and_of_the_best_that_competes(self):
        row, = side_by_side.ratios([run("ours", [100, 300, 200], 50), run("ours", [400, 500], 60, turn=1),
                                    run("compile", [100], 90), run("eager-graph", [150], 100),
                                    run("eager", [900], 10)], self.OPTIONS)  # eager does not compete
        self.assertEqual(row["best_peer"], "eager-graph")
        self.assertEqual(row["speed_ratio"], 300 / 150)
        self.assertEqual(row["milliseconds_per_batch"]["eager-graph"], 1000 * 2 / 150)
        self.assertEqual(row["memory_ratio"], 50 / 100)

    def test_shares_are_of_what_the_machine_reached(self):
        row, = side_by_side.ratios([run("ours", [4000]), run("compile", [1000])], self.OPTIONS)
        self.assertAlmostEqual(row["share_of_bf16_peak"]["ours"], 0.4)
        self.assertAlmostEqual(row["share_of_bf16_peak"]["compile"], 0.1)
        self.assertAlmostEqual(row["share_of_copy"]["ours"], 0.4)

    def test_do_without_what_was_not_measured(self):
        failed = run("compile", [])
        options = argparse.Namespace(limits=None, costs={})
        row, = side_by_side.ratios([run("ours", [100]), failed], options)
        self.assertEqual(row["images_per_second"], {"ours": 100})
        self.assertNotIn("speed_ratio", row)
        self.assertNotIn("share_of_bf16_peak", row)


class Time(unittest.TestCase):
    def test_a_program_gets_its_own_limit_or_what_is_left(self):
        now = time.monotonic()
        self.assertEqual(side_by_side.seconds_left(argparse.Namespace(timeout=10, end=now + 1000)), 10)
        self.assertLessEqual(side_by_side.seconds_left(argparse.Namespace(timeout=1000, end=now + 10)), 10)

    def test_what_comes_too_late_is_not_run(self):
        late = run("ours", [])
        side_by_side.measure([late], argparse.Namespace(timeout=10, end=time.monotonic(), seconds=60, results=None))
        self.assertEqual(late.error, "not run: the 60 s were up")


class Libraries(unittest.TestCase):
    def test_their_absence_is_one_sentence_with_the_command(self):
        # -S: without site-packages.
        done = subprocess.run([sys.executable, "-S", PEERS / "side_by_side.py", "--bin", "nowhere", "--smoke"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertIn("-m pip install -r", done.stderr)


if __name__ == "__main__":
    unittest.main()
