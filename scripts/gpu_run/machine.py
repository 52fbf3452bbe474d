"""Finds our programs, their missing libraries and PyTorch's packages, and describes the machine."""

from __future__ import annotations

import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys

ASKING_SECONDS = 60  # the first program may have to load a gigabyte of libraries
ROOT = pathlib.Path(__file__).resolve().parents[2]  # of the sources, or of a bundle


def fail(sentence: str) -> None:
    print(f"gpu_run: {sentence}", file=sys.stderr)
    raise SystemExit(2)


def ask(command: list[str], **options) -> subprocess.CompletedProcess:
    """Runs a command and captures its output; exit code 127 if it does not start or hangs."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ASKING_SECONDS, **options)
    except (OSError, subprocess.TimeoutExpired):
        return subprocess.CompletedProcess(command, 127, "", "")


def find_programs(given: str | None) -> pathlib.Path:
    places = [pathlib.Path(given)] if given else [ROOT / "bin", ROOT / "build" / "release" / "bin"]
    for place in places:
        if (place / "ddpm_train").exists():
            return place.resolve()
    fail(f"no programs in {' or '.join(map(str, places))}: build them with scripts/gpu_suite.sh build or pass their "
         "folder with --bin")


def commit(bin_folder: pathlib.Path) -> str:
    noted = bin_folder.parent / "commit"
    if noted.exists():
        return noted.read_text().strip()
    done = ask(["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"])
    return done.stdout.strip() or "unknown"


def site_packages(python: str) -> list[str]:
    """The package folders of a Python; empty if there is no such Python."""
    if not shutil.which(python):
        return []
    question = "import sysconfig, json; print(json.dumps([sysconfig.get_paths()[k] for k in ('purelib', 'platlib')]))"
    done = ask([python, "-c", question])
    return list(dict.fromkeys(json.loads(done.stdout))) if done.returncode == 0 else []


def absent_libraries(program: pathlib.Path) -> list[str]:
    """The libraries that the dynamic loader does not find for a program."""
    done = ask([str(program)], env={**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"})
    return [line.split()[0] for line in done.stdout.splitlines() if "=> not found" in line]


def link_libraries(bin_folder: pathlib.Path, python: str, programs: list[str]) -> list[str]:
    """Links the libraries that a bundle's programs lack into its lib folder; returns those that cannot be found.

    A bundle does not include CUDA's libraries: they come from the toolkit or from PyTorch's packages.
    """
    places = sorted(glob.glob("/usr/local/cuda*/lib64")) + sorted(glob.glob("/usr/local/cuda*/targets/*/lib"))
    for packages in site_packages(python):
        places += sorted(glob.glob(f"{packages}/nvidia/*/lib"))
    linked: set[str] = set()
    while True:
        absent = sorted({name for program in programs for name in absent_libraries(bin_folder / program)})
        found = {next((place for place in places if os.path.exists(f"{place}/{name}")), None) for name in absent}
        found -= {None} | linked
        if not found:
            return absent
        for place in sorted(found):
            # The whole folder: cuDNN's library loads others next to it.
            for library in glob.glob(f"{place}/lib*.so*"):
                link = bin_folder.parent / "lib" / os.path.basename(library)
                link.parent.mkdir(exist_ok=True)
                if not link.exists():
                    link.unlink(missing_ok=True)
                    link.symlink_to(library)
        linked |= found


def query_gpu(what: str) -> str:
    if not shutil.which("nvidia-smi"):
        return ""
    done = ask(["nvidia-smi", "--id=0", f"--query-gpu={what}", "--format=csv,noheader"])
    return done.stdout.strip() if done.returncode == 0 else ""


def describe(bin_folder: pathlib.Path) -> dict:
    about = {"gpu": query_gpu("name") or "none", "driver": query_gpu("driver_version") or "none",
             "cores": os.cpu_count(), "commit": commit(bin_folder)}
    program = bin_folder / "gpu_description"
    if program.exists():
        done = ask([str(program)])
        if done.stdout.startswith("{"):
            about |= {key: text for key, text in json.loads(done.stdout).items()
                      if key in ("cuda", "cudnn", "cublasLt")}
    return about
