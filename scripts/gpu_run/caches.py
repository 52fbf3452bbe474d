"""What one run finds out and the next can use: our measured plans, whose gradients are right, what PyTorch compiled.

They travel as caches.tar.xz beside the results, no larger than may travel: what does not fit is left out and said so.
"""

from __future__ import annotations

import lzma
import os
import pathlib
import shutil
import tarfile

LIMIT_BYTES = 15 << 20
FOLDERS = ("plans", "checks", "inductor", "triton")  # in the order of their worth for their size
ARCHIVE = "caches.tar.xz"
FOLDER = "folder"  # a file that names the folder of work: Triton's caches hold its path


def environment(work: pathlib.Path) -> dict:
    caches = work / "caches"
    return {"XDG_CACHE_HOME": str(caches / "plans"), "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
            "TRITON_CACHE_DIR": str(caches / "triton")}


def unpack(carried: pathlib.Path, work: pathlib.Path) -> str:
    """What was found, in words; "" where nothing was carried."""
    archive = carried / ARCHIVE
    if not archive.exists():
        return ""
    (work / "caches").mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        tar.extractall(work / "caches", filter="data") if hasattr(tarfile, "data_filter") \
            else tar.extractall(work / "caches")
    note = f"caches of an earlier run are used ({archive.stat().st_size / 2**20:.1f} MiB)"
    noted = work / "caches" / FOLDER
    before = noted.read_text() if noted.exists() else str(work)
    if before != str(work):
        note += f"; they were made in {before}, and what Triton compiled is found again there alone"
    return note


def copy_plans(work: pathlib.Path, results: pathlib.Path) -> None:
    """Our measured plans are small and worth much: they lie with the results too."""
    plans = work / "caches" / "plans" / "ddpm.cu" / "plans.json"
    if plans.exists():
        shutil.copy(plans, results / "plans.json")


def fingerprint(work: pathlib.Path) -> tuple[int, int]:
    """Changes with every file written: how many, and how many bytes."""
    count = size = 0
    for folder, _, names in os.walk(work / "caches"):
        if folder == str(work / "caches"):
            names = []  # FOLDER is none of them
        for name in names:
            try:
                size += os.stat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # a temporary file of what still compiles
            count += 1
    return count, size


def pack(work: pathlib.Path, out: pathlib.Path, limit: int = LIMIT_BYTES) -> str:
    """Writes the archive; returns what was left out, in words."""
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
    return f"{ARCHIVE} is without {' and '.join(left_out)}: too large to travel" if left_out else ""


def add(tar: tarfile.TarFile, folder: pathlib.Path, name: str) -> None:
    """File by file: one that vanishes meanwhile, a compiler's temporary one, is passed over."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            try:
                tar.add(path, arcname=f"{name}/{path.relative_to(folder)}", recursive=False)
            except OSError:
                continue
