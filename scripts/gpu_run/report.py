"""The results of a run: summary.md, one screen, and results.tar.gz with everything else, rewritten after each step.

The files of a rehearsal are named and marked as such: they are not measurements.
"""

from __future__ import annotations

import json
import os
import pathlib
import tarfile
import tempfile

from steps import NOT_RUN, PASSED, RUNNING, Outcome

REHEARSAL = "REHEARSAL: no GPU, nothing here is a measurement"


def write_whole(path: pathlib.Path, write) -> None:
    """Calls write(file) on a temporary file that replaces `path` once it is complete."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def pack(folder: pathlib.Path, archive: pathlib.Path, as_name: pathlib.Path, level: int = 6) -> None:
    def write(file):
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=level) as tar:
            for path in [folder, *sorted(folder.rglob("*"))]:
                try:
                    tar.add(path, arcname=str(as_name / path.relative_to(folder)), recursive=False)
                except FileNotFoundError:
                    continue  # a background step renamed it meanwhile
    write_whole(archive, write)


class Report:
    def __init__(self, title: str, out: pathlib.Path, results: pathlib.Path, rehearsal: bool):
        self.title, self.out, self.results, self.rehearsal = title, out, results, rehearsal
        self.machine: dict = {}
        self.notes: list[str] = []

    @property
    def archive(self) -> pathlib.Path:
        return self.out / "results.tar.gz"

    def write(self, outcomes: list[Outcome], used: float, seconds: float) -> None:
        found = {
            "run": self.title,
            **({"rehearsal": REHEARSAL} if self.rehearsal else {}),
            "machine": self.machine,
            "seconds": {"used": round(used, 1), "allowed": seconds},
            "notes": self.notes,
            "steps": [{key: value for key, value in vars(outcome).items() if value not in ("", {}, [])}
                      for outcome in outcomes],
        }
        text = json.dumps(found, indent=1) + "\n"
        (self.results / "run.json").write_text(text)
        summary = self.summary(outcomes, used, seconds)
        write_whole(self.out / "summary.md", lambda file: file.write(summary.encode()))
        pack(self.results, self.archive, pathlib.Path(self.results.name))

    def summary(self, outcomes: list[Outcome], used: float, seconds: float) -> str:
        lines = [f"# {self.title}", ""]
        if self.rehearsal:
            lines += [f"**{REHEARSAL}**", ""]
        lines.append(", ".join(f"{key} {value}" for key, value in self.machine.items()))
        counts = {verdict: sum(outcome.verdict == verdict for outcome in outcomes)
                  for verdict in dict.fromkeys(outcome.verdict for outcome in outcomes)}
        lines += ["", f"{used:.0f} of {seconds:.0f} s; "
                  + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + ".", ""]
        lines += [f"- {note}" for note in self.notes] + ([""] if self.notes else [])
        lines += ["| step | verdict | s | |", "|---|---|---|---|"]
        for outcome in outcomes:
            figures = ", ".join(f"{name} {text}" for name, text in outcome.figures.items())
            told = "; ".join(part for part in (outcome.note, figures) if part).replace("|", "/")
            verdict = outcome.verdict if outcome.verdict in (PASSED, NOT_RUN, RUNNING) else f"**{outcome.verdict}**"
            name = outcome.name + (f" ({outcome.stand_in})" if outcome.stand_in else "")
            lines.append(f"| {name} | {verdict} | {outcome.seconds:.0f} | {told} |")
        return "\n".join(lines) + "\n"

    def missing(self, names: list[str]) -> list[str]:
        """Which of these files the archive lacks."""
        with tarfile.open(self.archive) as tar:
            there = set(tar.getnames())
        return [name for name in names if f"{self.results.name}/{name}" not in there]
