"""Caches that one run leaves for the next: our measured plans, the verdicts on gradients, PyTorch's compiled code.

They are returned as caches.tar.xz next to the results. Its size is limited; what does not fit is omitted with a note.
"""

from __future__ import annotations

import lzma
import os
import pathlib
import shutil
import tarfile

LIMIT_BYTES = 15 << 20
FOLDERS = ("plans", "checks", "inductor", "triton")  # the most valuable for their size first
ARCHIVE = "caches.tar.xz"
FOLDER = "folder"  # a file with the path of the work folder, which is part of Triton's cache keys


def environment(work: pathlib.Path) -> dict:
    caches = work / "caches"
    return {"XDG_CACHE_HOME": str(caches / "plans"), "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
            "TRITON_CACHE_DIR": str(caches / "triton")}


def unpack(carried: pathlib.Path, work: pathlib.Path) -> str:
    """Unpacks the caches of an earlier run; returns a note for the summary, "" if there are none."""
    archive = carried / ARCHIVE
    if not archive.exists():
        return ""
    (work / "caches").mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        tar.extractall(work / "caches", filter="data") if hasattr(tarfile, "data_filter") \
            else tar.extractall(work / "caches")
    note = f"using the caches of an earlier run ({archive.stat().st_size / 2**20:.1f} MiB)"
    noted = work / "caches" / FOLDER
    before = noted.read_text() if noted.exists() else str(work)
    if before != str(work):
        note += f"; they come from {before}, and Triton finds its compiled code only there"
    return note


def copy_plans(work: pathlib.Path, results: pathlib.Path) -> None:
    """Our measured plans are small and valuable, so the results include them, too."""
    plans = work / "caches" / "plans" / "ddpm.cu" / "plans.json"
    if plans.exists():
        shutil.copy(plans, results / "plans.json")


def fingerprint(work: pathlib.Path) -> tuple[int, int]:
    """The number of files and bytes, to notice changes."""
    count = size = 0
    for folder, _, names in os.walk(work / "caches"):
        if folder == str(work / "caches"):
            names = []  # without FOLDER
        for name in names:
            try:
                size += os.stat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # a compiler's temporary file
            count += 1
    return count, size


def pack(work: pathlib.Path, out: pathlib.Path, limit: int = LIMIT_BYTES) -> str:
    """Writes the archive; returns a note on what was omitted, "" if nothing was."""
    caches = work / "caches"
    parts = [name for name in FOLDERS if (caches / name).is_dir()]
    if not parts:
        return ""
    (caches / FOLDER).write_text(str(work))
    left_out: list[str] = []
    while parts:
        partial = out / f".{ARCHIVE}"
        with lzma.open(partial, "wb", preset=1) as file, tarfile.open(fileobj=file, mode="w|") as tar:
            tar.add(caches / FOLDER, arcname=FOLDER)
            for name in parts:
                add(tar, caches / name, name)
        if partial.stat().st_size <= limit:
            os.replace(partial, out / ARCHIVE)
            break
        left_out.append(f"{parts[-1]} ({partial.stat().st_size / 2**20:.0f} MiB with it)")
        partial.unlink()
        parts.pop()
    return f"{ARCHIVE} omits {' and '.join(left_out)}: too large" if left_out else ""


def add(tar: tarfile.TarFile, folder: pathlib.Path, name: str) -> None:
    """Adds file by file, skipping files that vanish meanwhile (a compiler's temporary files)."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            try:
                tar.add(path, arcname=f"{name}/{path.relative_to(folder)}", recursive=False)
            except OSError:
                continue
