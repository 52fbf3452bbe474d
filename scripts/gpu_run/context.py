"""Shared by the four runs: programs, folders, and what a rehearsal does instead of using a GPU."""

from __future__ import annotations

import dataclasses
import glob
import json
import pathlib
import shlex
import shutil

import readers
from steps import Runner, Step, Unreadable

REHEARSED_PRESET = "tiny-32"
LOADING_SECONDS = 60  # for the first programs, which load a gigabyte of CUDA libraries from the disk


def compute_sanitizer() -> str:
    """The toolkit installs it in one of two folders, not always on the PATH."""
    places = [path for folder in ("bin", "compute-sanitizer")
              for path in sorted(glob.glob(f"/usr/local/cuda*/{folder}/compute-sanitizer"))]
    return shutil.which("compute-sanitizer") or next(iter(places), "compute-sanitizer")


@dataclasses.dataclass
class Context:
    bin: pathlib.Path
    root: pathlib.Path  # of scripts/ and bench/
    work: pathlib.Path
    results: pathlib.Path
    out: pathlib.Path
    python: str  # with PyTorch
    rehearse: bool
    runner: Runner
    carried: pathlib.Path  # results of an earlier run
    with_pytorch: bool
    commit: str
    plan_check: str = "refuse"  # run 1 relaxes it to "warn" if the check itself seems wrong

    def plans(self, choice: str) -> tuple[str, ...]:
        return ("--plan-choice", choice, "--plan-check", self.plan_check)

    @property
    def device(self) -> str:
        return "cpu" if self.rehearse else "cuda"

    def preset(self, name: str) -> str:
        return REHEARSED_PRESET if self.rehearse else name

    def size(self, preset: str) -> int:
        return int(self.preset(preset).rsplit("-", 1)[1])

    def batch(self, real: int) -> int:
        return 2 if self.rehearse else real

    def limit(self, seconds: float) -> float:
        """A rehearsal runs on a few slow cores: its limits catch hangs, not slowness."""
        return max(seconds, 240) if self.rehearse else seconds

    def least(self, seconds: float) -> float:
        return 0 if self.rehearse else seconds

    def stand_in(self, what: str) -> str:
        return what if self.rehearse else ""

    def precision(self, name: str) -> str:
        return "fp32" if self.rehearse else name  # the CPU supports only fp32

    def program(self, name: str) -> str:
        return str(self.bin / name)

    def train(self, preset: str, out: str, *options: str) -> list[str]:
        """A training command without grids and event files, on the data set of make_data()."""
        return [self.program("ddpm_train"), "--preset", self.preset(preset), "--data", str(self.data(preset)),
                "--out", str(self.work / "runs" / out), "--seed", "7", "--device", self.device,
                "--sample-every", "0", "--checkpoint-every", "1000000", "--tensorboard", "false", *options]

    def data(self, preset: str) -> pathlib.Path:
        return self.work / f"faces{self.size(preset)}.npy"

    def make_data(self, preset: str, count: int) -> list[str]:
        """Synthetic faces, since the content of the images matters neither for time nor for correctness."""
        return [self.program("ddpm_data"), "synthetic-faces", "--count", str(64 if self.rehearse else count),
                "--size", str(self.size(preset)), "--out", str(self.data(preset))]

    def sanitized(self, tool: str, command: list[str]) -> list:
        """Ignores failing API calls: CUDA's libraries make some on purpose, and our programs check theirs."""
        if not self.rehearse:
            return [compute_sanitizer(), "--tool", tool, "--report-api-errors", "no", "--error-exitcode", "1", *command]
        said = f"a rehearsal does not run compute-sanitizer --tool {tool}: {shlex.join(command)}"
        return [["echo", said], [command[0], "--help"], ["echo", "ERROR SUMMARY: 0 errors (rehearsal)"]]

    # ---- Steps shared by several runs

    def describe_device(self) -> Step:
        def read(text: str) -> dict:
            if self.rehearse and "no GPU" in text:
                return {}
            try:
                found = json.loads((self.results / "gpu.json").read_text())
            except ValueError as error:
                raise Unreadable(f"the programs see no GPU: {text.strip()[:120]}") from error
            return {key: found[key] for key in ("gpu", "driver_cuda", "cuda", "cudnn")}

        return Step("device", [self.program("gpu_description")], output="gpu.json", leaves=("gpu.json",),
                    limit=self.limit(LOADING_SECONDS), read=read, stand_in=self.stand_in("reports that there is none"))

    def fill_plan_cache(self, preset: str, batch: int = 128) -> Step:
        """Measures the plans of training and sampling at the batch size that later steps time."""
        name = f"plans-{preset}"
        run = self.work / "runs" / name
        train = self.train(preset, name, "--steps", "2", "--batch", str(self.batch(batch)), "--precision",
                           self.precision("bf16"), *self.plans("measured"))
        sample = [self.program("ddpm_sample"), "--checkpoint", str(run), "--count", str(self.batch(batch)), "--batch",
                  str(self.batch(batch)), "--steps", "2", "--seed", "1", "--device", self.device, "--precision",
                  self.precision("bf16"), *self.plans("measured"), "--npz", str(self.work / "plans.npz")]
        return Step(f"plans {preset}", [train, sample], limit=self.limit(120), least=self.least(20),
                    read=lambda text: {**readers.training(run), **readers.plans(text)},
                    stand_in=self.stand_in("the CPU, which has none"))
