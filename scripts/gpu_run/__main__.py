"""Runs everything that needs a GPU, in four parts; see ../gpu_run.sh."""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import shutil
import sys
import time
import traceback

import caches
import machine
from context import Context
from report import REHEARSAL, Report
from steps import PASSED, Deadline, Runner

RUNS = {"1": "run1_correctness", "2": "run2_speed", "3": "run3_breakdown", "4": "run4_faces"}
SECONDS = 510
REHEARSAL_SECONDS = 1800
PACKING_SECONDS = 12  # reserved for the last archive
PACK_CACHES_EVERY = 60  # seconds
PACKING_SHARE = 20  # packing takes at most one in this many seconds


def programs(run: str) -> list[str]:
    """The programs that a run, or "all" runs, and their rehearsals need."""
    modules = [importlib.import_module(RUNS[name]) for name in (RUNS if run == "all" else [run])]
    return sorted({name for module in modules for name in (*module.PROGRAMS, *module.REHEARSED_PROGRAMS)})


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gpu_run.sh", description="One of four prepared runs on a machine with a GPU: 1 correctness, 2 speed "
        "compared with PyTorch, 3 where the time goes, 4 training on faces.")
    parser.add_argument("run", choices=list(RUNS))
    parser.add_argument("--out", type=pathlib.Path, help="folder for the results (default: gpu-run-N): summary.md, "
                        "results.tar.gz, caches.tar.xz, the weights of run 4")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"time limit of the whole run (default: "
                        f"{SECONDS}); steps that do not fit are skipped")
    parser.add_argument("--bin", help="folder of the programs (default: the bundle's, or build/release/bin)")
    parser.add_argument("--work", type=pathlib.Path, help="folder for data sets, runs and caches (default: work in a "
                        "bundle, build/gpu-work in the sources)")
    parser.add_argument("--carried", type=pathlib.Path, help="folder with the results of an earlier run: "
                        "caches.tar.xz, weights.tar.* (default: carried, next to scripts)")
    parser.add_argument("--python", default="python3", help="a Python with PyTorch (default: python3)")
    parser.add_argument("--without-pytorch", action="store_true", help="skip the steps that need PyTorch")
    parser.add_argument("--plan-check", choices=["refuse", "warn", "off"], default="refuse", help="passed to our "
                        "programs (default: refuse); use warn if run 1 reports that no plan passes its check")
    parser.add_argument("--rehearse", action="store_true", help="take every step on tiny networks without a GPU; "
                        "fails if a step cannot start or its results cannot be read or are not in the archive")
    options = parser.parse_args()
    options.out = (options.out or pathlib.Path(f"gpu-run-{options.run}")).resolve()
    in_bundle = (machine.ROOT / "bin").is_dir()
    options.work = (options.work or machine.ROOT / ("work" if in_bundle else "build/gpu-work")).resolve()
    options.carried = (options.carried or machine.ROOT / "carried").resolve()
    if options.rehearse and options.seconds == SECONDS:
        options.seconds = REHEARSAL_SECONDS
    return options


def make_folders(options: argparse.Namespace) -> pathlib.Path:
    """Empties and returns the results folder; deletes the runs of an earlier call, keeps its data and caches."""
    results = options.work / ("rehearsal" if options.rehearse else "results") / f"run{options.run}"
    for folder in (results, options.work / "runs"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    options.out.mkdir(parents=True, exist_ok=True)
    for old in [*options.out.glob("weights.tar.*"), options.out / "summary.md", options.out / "results.tar.gz"]:
        old.unlink(missing_ok=True)
    return results


def check_rehearsal(report: Report, runner: Runner) -> int:
    """0 if every step passed and its results are in the archive, otherwise 1."""
    bad = [f"{outcome.name}: {outcome.verdict}: {outcome.note}" for outcome in runner.outcomes
           if outcome.verdict != PASSED]
    wanted = ["run.json", *(outcome.log for outcome in runner.outcomes if outcome.log),
              *(name for outcome in runner.outcomes for name in outcome.left)]
    bad += [f"{name} is not in {report.archive.name}" for name in report.missing(wanted)]
    for sentence in bad:
        print(f"gpu_run: rehearsal: {sentence}", file=sys.stderr)
    return 1 if bad else 0


def main() -> int:
    if sys.argv[1:2] == ["--programs"]:
        print("\n".join(programs(sys.argv[2])))
        return 0
    options = parse_options()
    deadline = Deadline(options.seconds - (0 if options.rehearse else PACKING_SECONDS))
    module = importlib.import_module(RUNS[options.run])
    bin_folder = machine.find_programs(options.bin)
    if not options.rehearse and not machine.query_gpu("name"):
        machine.fail("nvidia-smi does not show a GPU; --rehearse takes the steps without one")
    results = make_folders(options)
    absent = machine.link_libraries(bin_folder, options.python, list(module.PROGRAMS))
    note = caches.unpack(options.carried, options.work)

    report = Report(module.TITLE, options.out, results, options.rehearse)
    report.machine = machine.describe(bin_folder)
    report.notes += [text for text in (note, absent and f"missing libraries: {', '.join(absent)}") if text]
    environment = {**os.environ, **caches.environment(options.work), "OMP_WAIT_POLICY": "passive",
                   "PYTHONUNBUFFERED": "1", "HOME": os.environ.get("HOME", str(options.work))}
    # Caches that were just unpacked need not be packed again, unless the results go to another folder.
    packed = {"at": time.monotonic(), "every": PACK_CACHES_EVERY,
              "state": caches.fingerprint(options.work) if (options.out / caches.ARCHIVE).exists() else (0, 0)}

    def save(last: bool = False) -> None:
        try:
            write(last)
        except OSError as error:  # e.g. a full disk: the steps continue, and later results may be written
            print(f"gpu_run: cannot write the results: {error}", file=sys.stderr)

    def write(last: bool) -> None:
        caches.copy_plans(options.work, results)
        report.write(runner.outcomes, deadline.used(), options.seconds)
        now, state = time.monotonic(), caches.fingerprint(options.work)
        if module.RETURNS_CACHES and state != packed["state"] and (last or now - packed["at"] >= packed["every"]):
            said = caches.pack(options.work, options.out)
            seconds = time.monotonic() - now  # the GPU is idle meanwhile
            packed.update(at=now + seconds, state=state, every=max(PACK_CACHES_EVERY, PACKING_SHARE * seconds))
            if said and said not in report.notes:
                report.notes.append(said)

    runner = Runner(deadline, results, environment, save)
    context = Context(bin=bin_folder, root=machine.ROOT, work=options.work, results=results, out=options.out,
                      python=options.python, rehearse=options.rehearse, runner=runner, carried=options.carried,
                      with_pytorch=not options.without_pytorch, commit=report.machine["commit"],
                      plan_check=options.plan_check)
    save()
    broke_off = ""
    try:
        module.run(context)
    except Exception as error:  # between two steps; the results so far must still be returned
        traceback.print_exc()
        broke_off = f"the run was aborted: {type(error).__name__}: {error}"
        report.notes.append(broke_off)
    runner.join()
    save(last=True)
    save()  # with the notes of packing

    print()
    print((options.out / "summary.md").read_text(), end="")
    print("\nreturned: " + ", ".join(f"{path.name} ({path.stat().st_size / 2**20:.1f} MiB)"
                                      for path in sorted(options.out.iterdir()) if path.is_file()))
    if options.rehearse:
        print(REHEARSAL)
        return 1 if broke_off else check_rehearsal(report, runner)
    return 1 if broke_off or any(outcome.is_bad for outcome in runner.outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
