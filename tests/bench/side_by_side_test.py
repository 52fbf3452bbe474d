"""bench/peers without PyTorch: its results for made-up runs and errors, and its message if PyTorch is missing."""

import argparse
import contextlib
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

PEERS = pathlib.Path(__file__).resolve().parents[2] / "bench" / "peers"
sys.path.insert(0, str(PEERS))

import check_gradients  # noqa: E402  (needs the path above)
import programs  # noqa: E402
import side_by_side  # noqa: E402
import warm_up  # noqa: E402


def run(side: str, speeds: list[float], memory: int | None = None, turn: int = 0) -> side_by_side.Run:
    return side_by_side.Run(side, "train", "net", 2, turn, images_per_second=speeds, startup_seconds=1.0,
                            peak_memory_bytes=memory)


class Ratios(unittest.TestCase):
    OPTIONS = argparse.Namespace(
        limits={"bf16_flops_per_second": 1e15, "copy_bytes_per_second": 1e12},
        costs={"train net 2": {"flops_per_image": 1e11, "ideal_bytes_per_image": 1e8}})

    def test_compare_medians_with_the_best_peer(self):
        row, = side_by_side.ratios([run("ours", [100, 300, 200], 50), run("ours", [400, 500], 60, turn=1),
                                    run("compile", [100], 90), run("eager-graph", [150], 100),
                                    run("eager", [900], 10)], self.OPTIONS)  # eager does not compete
        self.assertEqual(row["best_peer"], "eager-graph")
        self.assertEqual(row["speed_ratio"], 300 / 150)
        self.assertEqual(row["milliseconds_per_batch"]["eager-graph"], 1000 * 2 / 150)
        self.assertEqual(row["memory_ratio"], 50 / 100)

    def test_shares_are_relative_to_measured_limits(self):
        row, = side_by_side.ratios([run("ours", [4000]), run("compile", [1000])], self.OPTIONS)
        self.assertAlmostEqual(row["share_of_bf16_peak"]["ours"], 0.4)
        self.assertAlmostEqual(row["share_of_bf16_peak"]["compile"], 0.1)
        self.assertAlmostEqual(row["share_of_copy"]["ours"], 0.4)

    def test_work_without_a_peer(self):
        failed = run("compile", [])
        options = argparse.Namespace(limits=None, costs={})
        row, = side_by_side.ratios([run("ours", [100]), failed], options)
        self.assertEqual(row["images_per_second"], {"ours": 100})
        self.assertNotIn("speed_ratio", row)
        self.assertNotIn("share_of_bf16_peak", row)


    def test_omit_wrong_and_failed_peers_with_a_reason(self):
        wrong, failed, cut = run("compile", [900]), run("compile-graph", [800]), run("eager-graph", [100])
        wrong.fail("wrong", "conv_in.weight is off")
        failed.fail("failed", "out of memory")
        cut.fail("cut off", "cut off after 9 s")
        row, = side_by_side.ratios([run("ours", [200]), wrong, failed, cut], self.OPTIONS)
        self.assertEqual(row["best_peer"], "eager-graph")  # what it did in its time counts
        self.assertEqual(row["speed_ratio"], 2)
        self.assertEqual(row["left_out"], {"compile": "wrong: conv_in.weight is off",
                                           "compile-graph": "failed: out of memory",
                                           "eager-graph": "cut off: cut off after 9 s"})

    def test_list_peers_with_unchecked_gradients(self):
        checked = run("compile", [100])
        checked.gradients = "right"
        row, = side_by_side.ratios([run("ours", [200]), checked, run("eager-graph", [90])], self.OPTIONS)
        self.assertEqual(row["gradients_not_checked"], ["eager-graph"])


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name: str, text: str) -> pathlib.Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)
        return path


class Programs(Folder):
    def assert_ended(self, process: int) -> None:
        for _ in range(500):  # until the system has taken note
            try:
                state = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state == "Z":
                return
            time.sleep(0.01)
        os.kill(process, 9)
        self.fail("what the program started lives on")

    def test_a_hanging_program_is_cut_off_with_its_children(self):
        script = self.write("hangs.sh", "#!/bin/sh\nsleep 1000 & echo $! > \"$0.child\"; echo begun; wait\n")
        printed, error = programs.run_limited([script], 0.5)
        self.assertEqual(error, "cut off after 0 s")
        self.assertIn("begun", printed)
        self.assert_ended(int((self.folder / "hangs.sh.child").read_text()))

    def test_killing_the_caller_kills_its_program(self):
        script = self.write("hangs.sh", "#!/bin/sh\necho $$ > \"$0.part\"; mv \"$0.part\" \"$0.id\"; exec sleep 1000\n")
        waits = f"import sys; sys.path.insert(0, {str(PEERS)!r}); import programs; programs.run_limited([{str(script)!r}], 900)"
        waiting = subprocess.Popen([sys.executable, "-c", waits])
        while not (self.folder / "hangs.sh.id").exists():
            self.assertIsNone(waiting.poll())
            time.sleep(0.01)
        waiting.kill()
        waiting.wait()
        self.assert_ended(int((self.folder / "hangs.sh.id").read_text()))

    def test_a_failure_is_reported_by_its_last_output(self):
        self.assertEqual(programs.run_limited([self.write("a.sh", "#!/bin/sh\necho no memory >&2; exit 3\n")], 60)[1],
                         "no memory")
        self.assertEqual(programs.run_limited([self.write("b.sh", "#!/bin/sh\nexit 3\n")], 60)[1], "ended with 3")

    def test_results_are_strict_json(self):
        path = self.folder / "new" / "results.json"
        programs.write_json(path, {"errors": [math.nan, math.inf, 1.5]})
        self.assertEqual(json.loads(path.read_text(), parse_constant=self.fail), {"errors": [None, None, 1.5]})
        with self.assertRaises(TypeError):
            programs.write_json(path, {"a": object()})
        self.assertEqual(programs.read_json(path), {"errors": [None, None, 1.5]})

    def test_a_program_gets_its_limit_or_the_remaining_time(self):
        self.assertEqual(programs.Deadline(1000, 10).left(), 10)
        self.assertLessEqual(programs.Deadline(10, 1000).left(), 10)
        self.assertTrue(programs.Deadline(1, 1000).is_up())


class Measuring(Folder):
    """With fake programs."""

    def options(self, **given) -> argparse.Namespace:
        return argparse.Namespace(**({
            "deadline": programs.Deadline(60, 60), "environment": None, "checks": {}, "warm_ups": [], "device": "cuda",
            "bin": self.folder, "data": "none.npy", "our_options": [], "windows": 2, "window_steps": 5,
            "sampling_steps": 2, "results": None, "limits": None, "costs": {}, "about": {}, "benchmark_limit": 0} | given))

    def our_trainer(self, more: str = "") -> None:
        self.write("ddpm_train", """#!/bin/sh
while [ $# -gt 0 ]; do case $1 in --out) out=$2;; --steps) steps=$2;; esac; shift; done
echo $steps >> "$(dirname "$0")/calls"
mkdir -p "$out"
for speed in 1 100 300; do echo "{\\"images_per_second\\": $speed}"; done >> "$out/metrics.jsonl"
""" + more)

    def test_ours_is_warmed_up_once_without_being_measured(self):
        self.our_trainer()
        options, runs = self.options(), [run("ours", []), run("ours", [], turn=1)]
        side_by_side.measure(runs, options)
        self.assertEqual((self.folder / "calls").read_text().split(), ["2", "10", "10"])
        self.assertEqual([(made["mode"], made["network"], made["error"]) for made in options.warm_ups],
                         [("train", "net", None)])
        self.assertEqual([(made.verdict, made.images_per_second) for made in runs], [("measured", [100, 300])] * 2)

    def test_a_program_that_is_cut_off_keeps_its_windows(self):
        self.our_trainer("if [ $steps = 10 ]; then sleep 1000; fi\n")
        results = self.folder / "results.json"
        options = self.options(deadline=programs.Deadline(60, 6), results=results)
        runs = [run("ours", []), run("compile", [])]
        runs[1].network = "nothing"  # peer.py refuses it, or has no PyTorch
        side_by_side.measure(runs, options)
        self.assertEqual((runs[0].verdict, runs[0].images_per_second), ("cut off", [100, 300]))
        self.assertIn(runs[1].verdict, ("failed", "cut off"))  # a slow machine may take long to import PyTorch
        self.assertEqual([made["verdict"] for made in json.loads(results.read_text())["runs"]],
                         ["cut off", runs[1].verdict])

    def test_unreported_memory_is_unknown(self):
        for said, used in (("1234", 1234), ("[N/A]", None), (None, None)):
            with unittest.mock.patch.object(side_by_side, "query_gpu", return_value=said):
                self.assertEqual(side_by_side.MemoryWatch._used(), used)

    def test_cached_limits_are_not_remeasured(self):
        kept = self.write("limits.json", json.dumps({"bf16_flops_per_second": 1e15}))
        options = self.options(limits_file=kept, deadline=None)  # nothing could be started
        self.assertEqual(side_by_side.measure_limits(options), {"bf16_flops_per_second": 1e15})

    def test_wrong_peers_are_not_run(self):
        checks = self.write("gradients.json", json.dumps({"checks": [
            {"network": "net", "mode": "train", "side": "compile", "verdict": "wrong", "why": "conv_in.weight is off"},
            {"network": "net", "mode": "sample", "side": "eager-graph", "verdict": "wrong", "why": "another mode"}]}))
        options = self.options(checks=side_by_side.read_checks(checks), deadline=programs.Deadline(0, 0))
        runs = [run("compile", []), run("eager-graph", [])]
        side_by_side.measure(runs, options)
        self.assertEqual([(made.verdict, made.error) for made in runs],
                         [("wrong", "conv_in.weight is off"), ("not run", "the 0 s were up")])

    def test_variants_that_need_a_gpu_are_listed_without_one(self):
        graph = run("compile-graph", [])
        side_by_side.measure([graph], self.options(device="cpu"))
        self.assertEqual((graph.verdict, graph.error), ("needs a GPU", "needs a GPU (rehearsal)"))
        entry = warm_up.warm("train", "net", "max-autotune", argparse.Namespace(device="cpu", batch=4))
        self.assertEqual(entry["outcome"], "needs a GPU")


def tensor(name: str = "a.weight", elements: int = 100, norm: float | None = 1.0, error: float | None = 0.0,
           largest: float | None = 0.0) -> dict:
    return {"name": name, "elements": elements, "norm": norm, "error": error, "largest_error": largest}


class Gradients(unittest.TestCase):
    def judge(self, *tensors: dict, precision: str = "bf16", loss: float | None = 1.0) -> dict:
        return check_gradients.judge("train", precision, {"loss": loss, "reference_loss": 1.0, "tensors": list(tensors)})

    def test_rounding_errors_are_right_and_larger_ones_wrong(self):
        unit = 2.0**-8
        self.assertEqual(self.judge(tensor(error=31 * unit))["verdict"], "right")
        entry = self.judge(tensor(), tensor("b.weight", error=33 * unit))
        self.assertEqual((entry["verdict"], entry["worst_tensor"]), ("wrong", "b.weight"))
        self.assertIn("b.weight", entry["why"])
        self.assertEqual(self.judge(tensor(error=33 * unit), precision="fp32")["verdict"], "wrong")

    def test_a_lost_group_of_channels_is_wrong(self):
        # 4 of 512 channels of a normalization's weight: 9 % of the norm, but each as large as the others.
        lost = tensor(elements=512, norm=math.sqrt(512), error=2.0, largest=1.2)
        self.assertLess(lost["error"] / lost["norm"], 32 * 2.0**-8)
        entry = self.judge(lost)
        self.assertEqual((entry["verdict"], entry["worst_tensor"]), ("wrong", "an element of a.weight"))

    def test_nan_never_passes(self):
        for broken in (tensor(error=None), tensor(largest=math.nan), tensor(error=math.nan),
                       tensor(norm=None, error=None)):
            self.assertEqual(self.judge(broken, tensor("b"))["verdict"], "wrong")
        self.assertEqual(self.judge(tensor(), loss=None)["verdict"], "wrong")
        self.assertEqual(self.judge(tensor(error=math.inf))["verdict"], "wrong")
        self.assertEqual(self.judge()["verdict"], "wrong")  # nothing was compared

    def test_zero_gradients_are_compared_with_the_other_tensors(self):
        bias = tensor("to_k.bias", norm=1e-9, error=1e-4)
        self.assertEqual(self.judge(tensor(), bias)["verdict"], "right")
        self.assertEqual(self.judge(tensor(), bias | {"error": 0.1})["verdict"], "wrong")

    def test_running_out_of_time_is_neither_failure_nor_verdict(self):
        options = argparse.Namespace(batch=4, kept=None, results=None, about={}, kept_checks={}, benchmark_limit=0,
                                     deadline=programs.Deadline(0, 0))
        checks = []
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.assertTrue(check_gradients.check_network("net", ["eager"], options, checks))
        self.assertEqual({entry["verdict"] for entry in checks}, {"not run"})

    def test_verdicts_are_cached_only_for_the_same_programs(self):
        about = {"gpu": "a", "torch": "2", "triton": "3", "diffusers": "4", "cudnn_benchmark_limit": 10, "commit": "abc"}
        sides = (check_gradients.WITNESS, "eager")
        checks = [{"network": "net", "mode": mode, "side": side, "batch": 4, "verdict": "right"}
                  for side in sides for mode in check_gradients.MODES]
        with tempfile.TemporaryDirectory() as folder:
            kept, results = pathlib.Path(folder) / "kept.json", pathlib.Path(folder) / "results.json"
            programs.write_json(kept, {"about": about, "checks": checks})
            for other in ({"torch": "2.1"}, {"commit": "def"}, {"commit": None}):
                self.assertEqual(check_gradients.read_kept(kept, about | other), {})
            dirty = about | {"commit": "abc-dirty"}  # names no programs
            programs.write_json(kept, {"about": dirty, "checks": checks})
            self.assertEqual(check_gradients.read_kept(kept, dirty), {})
            programs.write_json(kept, {"about": about, "checks": checks})
            self.assertEqual(check_gradients.read_kept(None, about), {})
            options = argparse.Namespace(batch=4, kept=kept, results=results, about=about,
                                         kept_checks=check_gradients.read_kept(kept, about))
            with contextlib.redirect_stdout(io.StringIO()):  # without a Deadline nothing could be started
                self.assertTrue(check_gradients.check_network("net", ["eager"], options, []))
            self.assertEqual(json.loads(results.read_text())["checks"], checks)

    def test_a_wrong_loss_is_wrong(self):
        self.assertEqual(self.judge(tensor(), loss=1.01)["verdict"], "right")
        self.assertEqual(self.judge(tensor(), loss=1.02)["verdict"], "wrong")


class Libraries(unittest.TestCase):
    def test_missing_packages_are_one_line_with_the_install_command(self):
        for script in (["side_by_side.py", "--bin", "nowhere", "--smoke"], ["warm_up.py", "--cache", "nowhere"],
                       ["check_gradients.py", "--bin", "nowhere"]):
            # -S: without site-packages.
            done = subprocess.run([sys.executable, "-S", PEERS / script[0], *script[1:]], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn("-m pip install -r", done.stderr)


if __name__ == "__main__":
    unittest.main()
