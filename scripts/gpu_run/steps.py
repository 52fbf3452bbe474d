"""Steps of a run: commands with a time limit, after which they are cut off."""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib
import re
import shlex
import signal
import subprocess
import time
from typing import Callable, Optional, Union

LOG_BYTES = 200_000  # kept of a step's output
# Between interrupt and kill, for a step that hangs and for a training that saves a checkpoint.
GRACE_SECONDS, SAVING_SECONDS = 8, 20

PASSED, FAILED, CUT_OFF, NOT_RUN, RUNNING = "passed", "failed", "cut off", "not run", "running"


class Unreadable(Exception):
    """A step's output or files are not as expected."""


@dataclasses.dataclass
class Step:
    """A command or a Python function.

    read() extracts figures from the step's output and files. If it raises Unreadable, the step has failed, whatever its
    exit code.
    """

    name: str
    command: Union[list, Callable[[], dict]]  # words, a list of commands, or a function
    limit: float = 60  # seconds
    least: float = 5  # seconds that must be left to start it
    read: Optional[Callable[[str], dict]] = None  # its argument is the output
    output: str = ""  # file in the results folder for standard output; the log then has only standard error
    leaves: tuple = ()  # names of files it writes into the results folder
    background: bool = False  # runs in parallel with the next steps until join()
    environment: dict = dataclasses.field(default_factory=dict)
    ends_when_cut: bool = False  # being cut off is its normal end: a training for a given time
    stand_in: str = ""  # what runs instead in a rehearsal
    after: str = ""  # the step that must have passed


@dataclasses.dataclass
class Outcome:
    name: str
    verdict: str
    seconds: float = 0
    note: str = ""
    figures: dict = dataclasses.field(default_factory=dict)
    log: str = ""
    left: list = dataclasses.field(default_factory=list)  # files in the results folder
    stand_in: str = ""

    @property
    def is_bad(self) -> bool:
        return self.verdict in (FAILED, CUT_OFF)


class Deadline:
    def __init__(self, seconds: float):
        self.begin = time.monotonic()
        self.seconds = seconds

    def used(self) -> float:
        return time.monotonic() - self.begin

    def left(self) -> float:
        return self.seconds - self.used()


def file_name(text: str) -> str:
    return re.sub("[^A-Za-z0-9.]+", "-", text).strip("-").lower()


def words_of(command: list) -> list[str]:
    """Turns several commands into a script that prints each one and stops at the first failure."""
    if isinstance(command[0], str):
        return command
    lines = ["set -e"]
    for words in command:
        lines += [f"echo {shlex.quote('+ ' + shlex.join(words))}", shlex.join(words)]
    return ["bash", "-c", "\n".join(lines)]


def descendants(pid: int) -> list[int]:
    """All processes that it started, directly or not, in any session."""
    children: dict[int, list[int]] = {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as file:
                text = file.read()
        except OSError:
            continue  # it has ended
        children.setdefault(int(text.rpartition(")")[2].split()[1]), []).append(int(stat.split("/")[2]))
    found, queue = [], [pid]
    while queue:
        queue += (more := children.get(queue.pop(), []))
        found += more
    return found


def end(process: subprocess.Popen, grace: float) -> None:
    """Interrupts the process and its group; after `grace` seconds kills all of its descendants."""
    def send(kill, pid: int, sign: int) -> None:
        try:
            kill(pid, sign)
        except ProcessLookupError:
            pass

    started = descendants(process.pid)
    send(os.killpg, process.pid, signal.SIGINT)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        started = list({*started, *descendants(process.pid)})
    for pid in started:  # some have their own sessions
        send(os.kill, pid, signal.SIGKILL)
    send(os.killpg, process.pid, signal.SIGKILL)
    process.wait()


def shorten(log: pathlib.Path) -> str:
    """Keeps only the beginning and the end of a long log, where the first error and the outcome are; returns it."""
    size = log.stat().st_size
    with open(log, "rb") as file:
        if size <= LOG_BYTES:
            return file.read().decode(errors="replace")
        begin = file.read(LOG_BYTES // 2).decode(errors="replace")
        file.seek(size - LOG_BYTES // 2)
        end_of_it = file.read().decode(errors="replace")
    text = f"{begin}\n[{size - LOG_BYTES} bytes omitted]\n{end_of_it}"
    log.write_text(text)
    return text


def last_line(text: str) -> str:
    lines = [line.strip() for line in re.split("[\r\n]", text) if line.strip()]
    return re.sub("\x1b\\[[0-9;]*[A-Za-z]", "", lines[-1])[:160] if lines else ""


@dataclasses.dataclass
class Running:
    step: Step
    outcome: Outcome
    process: subprocess.Popen
    begin: float
    limit: float


class Runner:
    """Runs steps one after the other within a deadline and keeps their outcomes."""

    def __init__(self, deadline: Deadline, results: pathlib.Path, environment: dict,
                 after_each: Callable[[], None] = lambda: None):
        self.deadline, self.results, self.environment = deadline, results, environment
        self.after_each = after_each
        self.outcomes: list[Outcome] = []
        self._background: list[Running] = []

    def run(self, step: Step) -> Outcome:
        outcome = Outcome(step.name, NOT_RUN, stand_in=step.stand_in,
                          left=sorted({*step.leaves, *([step.output] if step.output else [])}))
        self.outcomes.append(outcome)
        left = self.deadline.left()
        if step.after and not self.passed(step.after):
            outcome.note = f"{step.after} has not passed"
        elif left < step.least:
            outcome.note = f"{max(left, 0):.0f} s left, needs {step.least:.0f}"
        else:
            print(f"== {step.name}" + (f" (rehearsal: {step.stand_in})" if step.stand_in else ""), flush=True)
            if callable(step.command):
                self._call(step, outcome)
            else:
                running = self._start(step, outcome, min(step.limit, left))
                if running and step.background:
                    self._background.append(running)
                    outcome.verdict = RUNNING  # what the summary shows if the run is cut off here
                    return outcome
                if running:
                    self._finish(running)
        self._report(outcome)
        return outcome

    def passed(self, name: str) -> bool:
        return any(outcome.name == name and outcome.verdict == PASSED for outcome in self.outcomes)

    def is_busy(self) -> bool:
        """Whether a background step is still running within its limit."""
        now = time.monotonic()
        return any(running.process.poll() is None and now < running.begin + running.limit
                   for running in self._background)

    def join(self) -> None:
        """Waits for background steps, no longer than their limits and the deadline allow."""
        while self._background:
            running = self._background.pop(0)
            self._finish(running)
            self._report(running.outcome)

    def _report(self, outcome: Outcome) -> None:
        figures = ", ".join(f"{name} {text}" for name, text in outcome.figures.items())
        print(f"   {outcome.verdict} in {outcome.seconds:.1f} s"
              + (f": {outcome.note}" if outcome.note else "") + (f"; {figures}" if figures else ""), flush=True)
        self.after_each()

    def _call(self, step: Step, outcome: Outcome) -> None:
        begin = time.monotonic()
        try:
            outcome.figures = step.command()
            outcome.verdict = PASSED
        except Exception as error:  # a failure affects only this step
            outcome.verdict, outcome.note = FAILED, f"{type(error).__name__}: {error}"
        outcome.seconds = time.monotonic() - begin

    def _start(self, step: Step, outcome: Outcome, limit: float) -> Optional[Running]:
        """None if it cannot be started."""
        outcome.log = f"logs/{len(self.outcomes):02}-{file_name(step.name)}.log"
        path = self.results / outcome.log
        path.parent.mkdir(parents=True, exist_ok=True)
        begin = time.monotonic()
        output = self.results / step.output if step.output else path
        with open(path, "ab") as log, open(output, "ab") as file:
            try:
                process = subprocess.Popen(words_of(step.command), stdin=subprocess.DEVNULL, stdout=file, stderr=log,
                                           start_new_session=True, env={**self.environment, **step.environment})
            except OSError as error:
                outcome.verdict, outcome.note = FAILED, f"cannot start: {error}"
                return None
        return Running(step, outcome, process, begin, limit)

    def _finish(self, running: Running) -> None:
        step, outcome, process = running.step, running.outcome, running.process
        cut = False
        try:
            process.wait(max(0.0, min(running.begin + running.limit - time.monotonic(), self.deadline.left())))
        except subprocess.TimeoutExpired:
            cut = True
            end(process, SAVING_SECONDS if step.ends_when_cut else GRACE_SECONDS)
        outcome.seconds = time.monotonic() - running.begin
        text = shorten(self.results / outcome.log)
        if step.output:
            text += (self.results / step.output).read_text(errors="replace")
        if cut and not step.ends_when_cut:
            outcome.verdict, outcome.note = CUT_OFF, f"after {outcome.seconds:.0f} s; {last_line(text)}"
        elif process.returncode != 0:
            outcome.verdict = FAILED
            outcome.note = f"exit code {process.returncode}; {last_line(text)}"
        else:
            outcome.verdict = PASSED
        self._read(step, outcome, text)

    def _read(self, step: Step, outcome: Outcome, text: str) -> None:
        """Reads the figures even of a failed step: they show how it failed."""
        try:
            if step.read:
                outcome.figures = step.read(text)
            missing = [name for name in step.leaves if not (self.results / name).exists()]
            if missing:
                raise Unreadable(f"it did not write {' and '.join(missing)}")
        except Unreadable as error:
            if outcome.verdict == PASSED:
                outcome.verdict, outcome.note = FAILED, str(error)
        except Exception as error:  # the reader stumbled over unexpected content
            if outcome.verdict == PASSED:
                outcome.verdict, outcome.note = FAILED, f"cannot read its results: {type(error).__name__}: {error}"
