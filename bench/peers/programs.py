"""Shared by the scripts that start other programs: time limits, caches, the machine, results. Needs no PyTorch."""

import argparse
import ctypes
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from variants import VARIANTS

HERE = pathlib.Path(__file__).resolve().parent
NEEDS_GPU = "needs a GPU"
LEAST_SECONDS = 5  # with less time left no program is started


class Deadline:
    """The time limits of all programs of a run together and of each program."""

    def __init__(self, seconds: float, timeout: float):
        self.seconds, self.timeout = seconds, timeout
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """The limit of the next program; below LEAST_SECONDS it is not started."""
        return min(self.timeout, self._end - time.monotonic())

    def is_up(self) -> bool:
        return self.left() < LEAST_SECONDS


def end_group(process: subprocess.Popen) -> None:
    """Kills a program and its children: torch.compile has workers that would survive it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


# Loaded here, since few calls are safe between fork and exec.
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Runs in the child: if the waiting script is killed, the child must not stay on the GPU."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run_limited(command: list, seconds: float, environment: dict | None = None,
                poll=lambda: None) -> tuple[str, str | None]:
    """Returns the program's output and its error message, None if it succeeded in time. Calls poll() meanwhile."""
    begin, error = time.monotonic(), None
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=subprocess.STDOUT,
                                   env=environment, start_new_session=True, preexec_fn=die_with_parent)
        try:
            while process.poll() is None and time.monotonic() - begin < seconds:
                poll()
                time.sleep(0.02)
            if process.poll() is None:
                error = f"cut off after {seconds:.0f} s"
        finally:
            end_group(process)
        output.seek(0)
        printed = output.read()
    if error is None and process.returncode != 0:
        error = printed.strip()[-2000:] or f"ended with {process.returncode}"
    return printed, error


def last_line(error: str) -> str:
    """The last line of an error message: of a traceback, the error itself."""
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1][:300] if lines else error


def environment_with_caches(folder: pathlib.Path | None) -> dict:
    """The environment in which torch.compile uses this cache."""
    environment = dict(os.environ)
    if folder:
        environment |= {"TORCHINDUCTOR_CACHE_DIR": str(folder.resolve() / "inductor"),
                        "TRITON_CACHE_DIR": str(folder.resolve() / "triton")}
    return environment


def query_gpu(field: str) -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    try:
        answer = subprocess.run(["nvidia-smi", "--id=0", f"--query-gpu={field}", "--format=csv,noheader,nounits"],
                                capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def library_versions() -> dict:
    """The installed versions, without importing; PyTorch's CUDA and cuDNN versions are recorded with the limits."""
    found = {}
    for name in ("torch", "triton", "diffusers", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def describe_machine() -> dict:
    return {"gpu": query_gpu("name"), "driver": query_gpu("driver_version"),
            "python": sys.version.split()[0]} | library_versions()


def without_nan(value):
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return value


def write_json(path: pathlib.Path, content) -> None:
    """Writes atomically: if this process is killed, the old file remains."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(without_nan(content), indent=1, allow_nan=False) + "\n")
    part.replace(path)


def read_json(path: pathlib.Path):
    """None if there is no such file."""
    return json.loads(path.read_text()) if path.exists() else None


def why_not_here(variant: str, device: str) -> str | None:
    if device.startswith("cuda") or not VARIANTS[variant].needs_gpu:
        return None
    return f"{NEEDS_GPU} (rehearsal)"


def add_common_options(parser: argparse.ArgumentParser, timeout: float) -> None:
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS),
                        help="run in this order")
    parser.add_argument("--benchmark-limit", type=int, default=0, help="number of cuDNN algorithms that PyTorch tries per "
                        "convolution, best-ranked first (0: all, which makes each start slow)")
    parser.add_argument("--cache", type=pathlib.Path, help="folder of torch.compile's and Triton's caches")
    parser.add_argument("--timeout", type=float, default=timeout, help="seconds per program")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="seconds in all; later programs are not run")
    parser.add_argument("--results", type=pathlib.Path, help="JSON file, written after every program")
    parser.add_argument("--smoke", action="store_true", help="tiny networks for a few steps; measures nothing")


def check_libraries(script: str) -> None:
    missing = [name for name in ("torch", "diffusers", "numpy", "safetensors") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{script}: {sys.executable} lacks {' and '.join(missing)}: run {sys.executable} -m pip install -r "
              f"{HERE / 'requirements.txt'} or use another Python",
              file=sys.stderr)
        raise SystemExit(2)


def check_programs(script: str, folder: pathlib.Path, *names: str) -> None:
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        print(f"{script}: --bin: {folder} lacks {' and '.join(missing)}", file=sys.stderr)
        raise SystemExit(2)
