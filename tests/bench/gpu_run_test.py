"""scripts/gpu_run without a GPU and without our programs: steps that fail, hang, or print nothing useful."""

import contextlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import unittest.mock

SOURCES = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCES / "scripts" / "gpu_run"))

import caches  # noqa: E402
import machine  # noqa: E402
import readers  # noqa: E402
import report  # noqa: E402
import run2_speed  # noqa: E402
import run4_faces  # noqa: E402
from report import REHEARSAL, Report  # noqa: E402
from steps import CUT_OFF, FAILED, NOT_RUN, PASSED, RUNNING, Deadline, Runner, Step, Unreadable  # noqa: E402


class WithFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Steps(WithFolder):
    def setUp(self):
        super().setUp()
        self.saved = []
        self.runner = self.make_runner(600)

    def make_runner(self, seconds: float) -> Runner:
        return Runner(Deadline(seconds), self.folder, dict(os.environ), lambda: self.saved.append(1))

    def run_step(self, *arguments, runner=None, **options):
        with contextlib.redirect_stdout(io.StringIO()):
            return (runner or self.runner).run(Step(*arguments, **options))

    def test_a_passing_step_has_a_log_and_figures_and_is_saved(self):
        outcome = self.run_step("say", ["echo", "loss 0.5"], read=lambda text: {"loss": text.split()[-1]})
        self.assertEqual((outcome.verdict, outcome.figures), (PASSED, {"loss": "0.5"}))
        self.assertIn("loss 0.5", (self.folder / outcome.log).read_text())
        self.assertEqual(len(self.saved), 1)

    def test_a_hanging_step_is_cut_off_with_its_children(self):
        child = self.folder / "child"
        begin = time.monotonic()
        outcome = self.run_step("hang", ["bash", "-c", f"sleep 60 & echo $! > {child}; echo step 7; wait"], limit=1)
        self.assertEqual(outcome.verdict, CUT_OFF)
        self.assertIn("step 7", outcome.note)  # how far it was
        self.assertLess(time.monotonic() - begin, 40)  # far below the 60 s that it would have slept
        self.assertTrue(self.is_gone(child.read_text().strip()))
        self.assertEqual(self.run_step("next", ["true"]).verdict, PASSED)

    def test_children_in_their_own_session_are_killed(self):
        child = self.folder / "child"
        detached = f"setsid bash -c 'echo $$ > {child}; exec sleep 60' & wait"
        self.run_step("hang", ["bash", "-c", detached], limit=1)
        self.assertTrue(self.is_gone(child.read_text().split()[0]))

    def is_gone(self, pid: str) -> bool:
        """Whether the process is dead or a zombie, within ten seconds."""
        for _ in range(100):
            try:
                if " Z " in pathlib.Path(f"/proc/{pid}/stat").read_text():
                    return True
            except FileNotFoundError:
                return True
            time.sleep(0.1)
        return False

    def test_a_step_that_ends_when_cut_passes_after_an_interrupt(self):
        training = "trap 'echo saved; exit 0' INT; while :; do sleep 0.1; done"
        outcome = self.run_step("training", ["bash", "-c", training], limit=1, ends_when_cut=True,
                                read=lambda text: {"saved": "saved" in text})
        self.assertEqual((outcome.verdict, outcome.figures), (PASSED, {"saved": True}))
        outcome = self.run_step("ends badly", ["bash", "-c", training.replace("exit 0", "exit 3")], limit=1,
                                ends_when_cut=True)
        self.assertEqual(outcome.verdict, FAILED)

    def test_the_first_failing_command_ends_the_step(self):
        outcome = self.run_step("three", [["echo", "it's one"], ["false"], ["echo", "three"]])
        self.assertEqual(outcome.verdict, FAILED)
        text = (self.folder / outcome.log).read_text()
        self.assertIn("it's one", text)
        self.assertNotIn("+ echo three", text)

    def test_the_note_says_why_a_step_failed(self):
        self.assertIn("cannot start", self.run_step("absent", ["/nonexistent/program"]).note)
        outcome = self.run_step("code", ["bash", "-c", "echo out of memory >&2; exit 3"])
        self.assertEqual((outcome.verdict, outcome.note), (FAILED, "exit code 3; out of memory"))
        outcome = self.run_step("file", ["true"], leaves=("figures.json",))
        self.assertEqual((outcome.verdict, outcome.note), (FAILED, "it did not write figures.json"))

        def unreadable(_):
            raise KeyError("loss")
        outcome = self.run_step("unreadable", ["true"], read=unreadable)
        self.assertEqual(outcome.verdict, FAILED)
        self.assertIn("KeyError", outcome.note)

    def test_a_failing_function_fails_only_its_step(self):
        def broken():
            raise Unreadable("weights.tar.1 is missing")
        self.assertIn("weights.tar.1", self.run_step("join", broken).note)
        self.assertEqual(self.run_step("on", lambda: {"pieces": 2}).figures, {"pieces": 2})

    def test_a_step_is_skipped_without_time_or_its_prerequisite(self):
        late = self.make_runner(3)
        outcome = self.run_step("late", ["true"], least=30, runner=late)
        self.assertEqual(outcome.verdict, NOT_RUN)
        self.assertIn("needs 30", outcome.note)
        self.run_step("first", ["false"])
        outcome = self.run_step("second", ["true"], after="first")
        self.assertEqual((outcome.verdict, outcome.note), (NOT_RUN, "first has not passed"))

    def test_the_deadline_overrides_the_limit(self):
        outcome = self.run_step("long", ["sleep", "60"], limit=60, least=0, runner=self.make_runner(1))
        self.assertEqual(outcome.verdict, CUT_OFF)

    def test_join_waits_for_background_steps(self):
        flag = self.folder / "flag"
        wait = f"while [ ! -e {flag} ]; do sleep 0.05; done; echo seen"
        outcome = self.run_step("compile", ["bash", "-c", wait], background=True, limit=60,
                                read=lambda text: {"seen": "seen" in text})
        self.assertTrue(self.runner.is_busy())
        self.assertEqual(outcome.verdict, RUNNING)
        self.run_step("touch", ["touch", str(flag)])  # were it waited for above, this would never run
        with contextlib.redirect_stdout(io.StringIO()):
            self.runner.join()
        self.assertFalse(self.runner.is_busy())
        self.assertEqual((outcome.verdict, outcome.figures), (PASSED, {"seen": True}))

    def test_a_long_log_keeps_its_beginning_and_end(self):
        loud = "echo the begin; head -c 500000 /dev/zero | tr '\\0' x; echo; echo the end"
        text = (self.folder / self.run_step("loud", ["bash", "-c", loud]).log).read_text()
        self.assertLess(len(text), 210_000)
        self.assertTrue(text.startswith("the begin") and text.endswith("the end\n"))
        self.assertIn("bytes omitted", text)


class Reports(WithFolder):
    def test_the_summary_and_the_archive_contain_every_step(self):
        results = self.folder / "results"
        results.mkdir()
        runner = Runner(Deadline(100), results, dict(os.environ))
        with contextlib.redirect_stdout(io.StringIO()):
            runner.run(Step("one", ["echo", "1"], output="one.json", leaves=("one.json",)))
            runner.run(Step("two", ["false"]))
        report = Report("Run 1: is it right?", self.folder, results, rehearsal=True)
        report.machine = {"gpu": "none"}
        report.write(runner.outcomes, 12, 100)
        summary = (self.folder / "summary.md").read_text()
        self.assertIn(REHEARSAL, summary)
        self.assertIn("| one | passed |", summary)
        self.assertIn("| two | **failed** |", summary)
        self.assertEqual(report.missing(["run.json", "one.json", "logs/01-one.log", "absent"]), ["absent"])
        with tarfile.open(report.archive) as tar:
            found = json.load(tar.extractfile("results/run.json"))
        self.assertEqual([step["verdict"] for step in found["steps"]], [PASSED, FAILED])
        self.assertEqual(found["rehearsal"], REHEARSAL)


class Readers(WithFolder):
    def write(self, name: str, content) -> pathlib.Path:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def test_the_archive_skips_vanished_files(self):
        (self.folder / "stays.json").write_text("{}")
        listed = [self.folder / "b.json.part", self.folder / "stays.json"]
        with tempfile.TemporaryDirectory() as out, unittest.mock.patch.object(pathlib.Path, "rglob",
                                                                              return_value=listed):
            archive = pathlib.Path(out) / "results.tar.gz"
            report.pack(self.folder, archive, pathlib.Path("run1"))
            with tarfile.open(archive) as tar:
                self.assertEqual(tar.getnames(), ["run1", "run1/stays.json"])

    def test_skipped_tests_are_a_failure_on_a_gpu(self):
        passed = "[==========] 4 tests ran.\n[  PASSED  ] 4 tests.\n"
        skipped = "[  PASSED  ] 0 tests.\n[  SKIPPED ] 4 tests, listed below:\n"
        failed = "[  PASSED  ] 3 tests.\n[  FAILED  ] 1 test, listed below:\n[  FAILED  ] Graph.Replays\n"
        self.assertEqual(readers.google_test(passed, may_skip=False), {"passed": 4})
        self.assertEqual(readers.google_test(skipped, may_skip=True), {"skipped": 4})
        self.assertEqual(readers.google_test(failed, may_skip=False),
                         {"passed": 3, "failed": 1, "first": "Graph.Replays"})
        for text in (skipped, "", "Segmentation fault"):
            with self.assertRaises(Unreadable):
                readers.google_test(text, may_skip=False)

    def test_a_sanitizer_without_a_summary_is_a_failure(self):
        self.assertEqual(readers.sanitizer("========= ERROR SUMMARY: 2 errors"), {"errors": 2})
        self.assertEqual(readers.sanitizer("========= RACECHECK SUMMARY: 0 hazards displayed"), {"errors": 0})
        with self.assertRaises(Unreadable):
            readers.sanitizer("========= Error: device not supported")

    def test_the_worst_output_has_the_largest_share_of_its_bound(self):
        def output(name, error, bound):
            return {"name": name, "error": error, "bound": bound}
        found = {"within_bounds": True, "steps": [],
                 "operations": [output("a", 1.0, 2.0), output("b", 0.1, 0.125), output("exact", 0.0, 0.0)]}
        self.assertEqual(readers.validation(self.write("a.json", found)),
                         {"outputs": 3, "worst": "80 % of its bound (b)"})
        found["operations"].append(output("nan", float("nan"), 1.0))
        self.assertIn("inf % of its bound (nan)", readers.validation(self.write("b.json", found))["worst"])
        with self.assertRaises(Unreadable):
            readers.validation(self.write("c.json", {"operations": []}))
        with self.assertRaises(Unreadable):
            readers.validation(self.folder / "absent.json")

    def test_side_by_side_reports_both_sides_their_ratio_and_omissions(self):
        row = {"images_per_second": {"compile": 1000.0, "ours": 1500.0},
               "milliseconds_per_batch": {"compile": 128.0, "ours": 85.3},
               "peak_memory_bytes": {"compile": 2**35, "ours": 2**34}, "startup_seconds": {"compile": 60.0, "ours": None},
               "left_out": {"eager-graph": "cut off\nafter 150 s"}, "best_peer": "compile", "speed_ratio": 1.5,
               "memory_ratio": 0.5, "share_of_bf16_peak": {"ours": 0.41}}
        limits = {"bf16_flops_per_second": 7.9e14, "copy_bytes_per_second": 3.0e12}
        self.assertEqual(readers.side_by_side(self.write("a.json", {"ratios": [row], "machine": {"limits": limits}})),
                         {"ours / compile": "1.50", "memory": "0.50",
                          "ours": "1500 images/s 85.3 ms 16.0 GiB 41 % of the peak",
                          "compile": "1000 images/s 128.0 ms 32.0 GiB start-up 60 s", "peak": "790 TFLOP/s",
                          "copy": "3.00 TB/s", "eager-graph": "after 150 s"})
        with self.assertRaises(Unreadable):
            readers.side_by_side(self.write("b.json", {"ratios": [], "machine": {}}))

    def test_plans_are_counted_by_outcome(self):
        text = ("autotuning 3 convolutions and GEMMs on this GPU (kept in plans.json)\n"
                "refused engine 5 for conv: two runs differ\n"
                "prepared 3 convolutions and GEMMs: 90 plans proposed, 88 built in 0.1 s\nwarning: engine 6 for conv: wrong\n")
        self.assertEqual(readers.plans(text), {"plans": "prepared 3 convolutions and GEMMs: 90 plans proposed, 88 built in 0.1 s",
                                               "plans refused": 1, "plans warned about": 1})

    def test_a_profile_reports_the_step_and_its_longest_kinds(self):
        def operation(kind, seconds):
            return {"kind": kind, "count": 5, "seconds": seconds}
        never_run = {"kind": "adam", "count": 0, "seconds": 0}
        found = {"operations": [operation("conv2d", 3.0), operation("loss", 1.0), never_run],
                 "graphs": [{"plain": {"count": 5, "seconds": 0.05}, "gap_seconds": 0.002, "nodes": {"kernels": 900}}]}
        self.assertEqual(readers.profile(self.write("a.json", found)),
                         {"step": "50.00 ms", "kernels": 900, "gaps": "2.00 ms", "conv2d": "75 %", "loss": "25 %"})
        with self.assertRaises(Unreadable):
            readers.profile(self.write("b.json", {"operations": [], "graphs": []}))

    def run_folder(self, name: str, weights: bytes) -> pathlib.Path:
        run = self.folder / name
        step = run / "checkpoints" / "step-6"
        step.mkdir(parents=True)
        (run / "checkpoints" / "latest").write_text("step-6\n")
        for part in ("model", "ema", "optimizer"):
            (step / f"{part}.safetensors").write_bytes(weights)
        return run

    def test_checkpoints_are_compared_byte_by_byte(self):
        a, b, c = self.run_folder("a", b"123"), self.run_folder("b", b"123"), self.run_folder("c", b"124")
        self.assertEqual(readers.same_checkpoints([a, b]), {"identical files": 3})
        for runs in ([a, c], [a, self.folder / "absent"]):
            with self.assertRaises(Unreadable):
                readers.same_checkpoints(runs)


class Commands(unittest.TestCase):
    def test_a_usage_error_is_one_line_and_exit_code_two(self):
        for command in (["gpu_suite.sh"], ["gpu_suite.sh", "bundel"], ["gpu_suite.sh", "--run", "7", "bundle"],
                        ["gpu_suite.sh", "--faces", "/nonexistent.zip", "bundle"], ["gpu_suite.sh", "bundle", "--out"],
                        ["gpu_run.sh", "1", "--bin", "/nonexistent"]):
            done = subprocess.run([SOURCES / "scripts" / command[0], *command[1:]], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, command)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def programs_of(self, run: str) -> list[str]:
        return subprocess.run([sys.executable, SOURCES / "scripts" / "gpu_run", "--programs", run],
                              capture_output=True, text=True, check=True).stdout.split()

    def test_every_program_of_a_run_is_listed_for_its_bundle(self):
        """Searches the names in its source and the shared modules: a bundle of one run contains only these programs."""
        folder = SOURCES / "scripts" / "gpu_run"
        shared = (folder / "context.py").read_text()
        sources = {"1": ("run1_correctness.py", "peers.py"), "2": ("run2_speed.py", "peers.py", "run3_breakdown.py"),
                   "3": ("run3_breakdown.py",), "4": ("run4_faces.py",)}
        everything = self.programs_of("all")
        for run, names in sources.items():
            started = set(re.findall(r'\.program\("(\w+)"', "".join((folder / name).read_text() for name in names)))
            if run != "4":  # which has no plans of its own to measure
                started |= set(re.findall(r'\.program\("(\w+)"', shared))
            listed = self.programs_of(run)
            self.assertEqual(started - set(listed), set(), run)
            self.assertEqual(set(listed) - set(everything), set(), run)
        self.assertIn("ddpm_forward", self.programs_of("1"))  # bench/peers checks gradients with it


class Shares(unittest.TestCase):
    def test_spare_time_is_shared_proportionally(self):
        self.assertEqual(run2_speed.fair_share(400, [60, 40]), 240)
        self.assertEqual(run2_speed.fair_share(240, [40, 40, 40]), 80)
        self.assertEqual(run2_speed.fair_share(-5, [60, 40]), 60)


class Travel(WithFolder):
    def test_weights_are_split_and_joined(self):
        weights = self.folder / "weights"
        weights.mkdir()
        piece = 100_000
        content = os.urandom(2 * piece + 5)
        (weights / "unet.safetensors").write_bytes(content)
        out, work = self.folder / "out", self.folder / "work"
        out.mkdir(), work.mkdir()
        self.assertEqual(run4_faces.write_pieces(weights, out, piece)["pieces"], 3)
        self.assertTrue(all(path.stat().st_size <= piece for path in out.iterdir()))
        run4_faces.join_pieces(out, work)
        self.assertEqual((work / "weights" / "unet.safetensors").read_bytes(), content)
        (out / "weights.tar.1").unlink()
        with self.assertRaises(Unreadable):
            run4_faces.join_pieces(out, work)

    def test_caches_round_trip_and_omit_what_is_too_large(self):
        work, later = self.folder / "work", self.folder / "later"
        environment = caches.environment(work)
        for variable, name, size in (("XDG_CACHE_HOME", "plans.json", 10), ("TORCHINDUCTOR_CACHE_DIR", "kernel", 10)):
            path = pathlib.Path(environment[variable]) / "deep" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(os.urandom(size))
        self.assertEqual(caches.pack(work, self.folder), "")
        note = caches.unpack(self.folder, later)
        self.assertIn("caches of an earlier run", note)
        self.assertIn(f"come from {work}", note)  # Triton's cache keys contain the path
        for name in ("plans/deep/plans.json", "inductor/deep/kernel"):
            self.assertEqual((later / "caches" / name).read_bytes(), (work / "caches" / name).read_bytes())
        self.assertEqual(caches.fingerprint(later), caches.fingerprint(work))
        self.assertNotIn("come from", caches.unpack(self.folder, work))
        limit = 100_000
        large = pathlib.Path(environment["TRITON_CACHE_DIR"]) / "cubin"
        large.parent.mkdir(parents=True)
        large.write_bytes(os.urandom(limit + 1))
        self.assertIn("omits triton", caches.pack(work, self.folder, limit))
        with tarfile.open(self.folder / caches.ARCHIVE) as tar:
            self.assertEqual(sorted(tar.getnames()), ["folder", "inductor/deep/kernel", "plans/deep/plans.json"])

    def test_ask_survives_hanging_and_missing_programs(self):
        with unittest.mock.patch.object(machine, "ASKING_SECONDS", 0.2):
            for command in (["sleep", "60"], ["/nowhere/program"]):
                self.assertNotEqual(machine.ask(command).returncode, 0)

    def test_absent_libraries_of_a_complete_program_are_none(self):
        self.assertEqual(machine.absent_libraries(pathlib.Path("/bin/sh")), [])


if __name__ == "__main__":
    unittest.main()
