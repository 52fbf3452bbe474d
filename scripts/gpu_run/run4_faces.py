"""Run 4: faces. Trains a network on CelebA at 64x64 for the available time and samples from it.

The network is ddim-celeba-64 with fewer channels, so that its averaged weights are small enough to return: 11.4 M
parameters, 22 MiB in bf16, in two pieces. A later run 4 that finds the pieces continues from them.
"""

from __future__ import annotations

import pathlib
import shutil
import tarfile

import readers
from context import Context
from steps import Step, Unreadable

TITLE = "Run 4: faces"
PROGRAMS = ("ddpm_convert", "ddpm_data", "ddpm_sample", "ddpm_train", "gpu_description")
REHEARSED_PROGRAMS = ()
RETURNS_CACHES = False  # the weights take the space
PRESET = "ddim-celeba-64"
CHANNELS = "64,128,128,128,128"
# The preset's settings; starting from a diffusers folder would use the defaults instead.
RECIPE = ("--loss-reduction", "sum", "--timestep-draw", "antithetic", "--dropout", "0.1")
AFTER_TRAINING_SECONDS = 30  # for sampling, exporting and packing
PIECE_BYTES = 15 << 20


def write_pieces(folder: pathlib.Path, out: pathlib.Path, piece_bytes: int = PIECE_BYTES) -> dict:
    """Writes the folder as weights.tar.0, weights.tar.1, ... next to the results."""
    whole = out / "weights.tar"
    with tarfile.open(whole, "w") as tar:
        tar.add(folder, arcname="weights")
    size, count = whole.stat().st_size, 0
    with open(whole, "rb") as file:
        while piece := file.read(piece_bytes):
            (out / f"weights.tar.{count}").write_bytes(piece)
            count += 1
    whole.unlink()
    return {"pieces": count, "MiB": f"{size / 2**20:.1f}"}


def join_pieces(carried: pathlib.Path, to: pathlib.Path) -> dict:
    pieces = sorted(carried.glob("weights.tar.*"), key=lambda path: int(path.suffix[1:]))
    if not pieces or [int(piece.suffix[1:]) for piece in pieces] != list(range(len(pieces))):
        raise Unreadable(f"{carried} does not have all of weights.tar.0, weights.tar.1, ...")
    whole = to / "weights.tar"
    with open(whole, "wb") as file:
        for piece in pieces:
            with open(piece, "rb") as part:
                shutil.copyfileobj(part, file)
    with tarfile.open(whole) as tar:
        tar.extractall(to, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(to)
    whole.unlink()
    return {"pieces": len(pieces)}


def training_figures(c: Context, run: pathlib.Path) -> dict:
    for name in ("loss.svg", "metrics.jsonl"):
        if (run / name).exists():
            shutil.copy(run / name, c.results / name)
    return readers.training(run)


def run(c: Context) -> None:
    do = c.runner.run
    data = c.work / "faces64.npy"
    do(c.describe_device())
    photographs = c.root / "data" / "faces64.zip"
    if photographs.exists():
        prepare = [c.program("ddpm_data"), "prepare", "--source", "folder", "--input", str(photographs), "--crop",
                   "none", "--size", "64", "--limit", "64" if c.rehearse else "0", "--out", str(data)]
    else:
        prepare = [c.program("ddpm_data"), "synthetic-faces", "--count", "64" if c.rehearse else "20000", "--size",
                   "64", "--out", str(data)]
    do(Step("data", prepare, limit=c.limit(60), stand_in="" if photographs.exists() else "synthetic faces"))

    start = ()
    if any(c.carried.glob("weights.tar.*")):
        do(Step("weights of an earlier run", lambda: join_pieces(c.carried, c.work)))
        if c.runner.passed("weights of an earlier run"):
            start = ("--init-from", str(c.work / "weights"))

    folder = c.work / "runs" / "faces"
    network = ("--block-out-channels", "32,32,32", "--attention", "false,false,true", "--image-size", "64") \
        if c.rehearse else ("--block-out-channels", CHANNELS)
    train = [c.program("ddpm_train"), "--preset", PRESET, *(start or network), *RECIPE, "--data", str(data), "--out",
             str(folder), "--batch", "2" if c.rehearse else "128", "--seed", "1", "--device", c.device, "--steps",
             "4" if c.rehearse else "1000000000", "--sample-every", "0", "--checkpoint-every", "1000000", "--log-every",
             "1" if c.rehearse else "20", "--tensorboard", "false", *c.plans("measured"), "--ema-ramp", "true",
             "--ema-decay", "0.999"]
    # Ended by an interrupt, on which it saves a checkpoint.
    do(Step("training", train, limit=c.limit(c.runner.deadline.left() - AFTER_TRAINING_SECONDS),
            ends_when_cut=not c.rehearse,
            read=lambda _: training_figures(c, folder),
            stand_in=c.stand_in("a few steps of a tiny network on the CPU")))
    do(Step("grid", [c.program("ddpm_sample"), "--checkpoint", str(folder), "--count", "4" if c.rehearse else "64",
                     "--batch", "4" if c.rehearse else "64", "--sampler", "ddim", "--steps", "2" if c.rehearse else "100",
                     "--seed", "1", "--device", c.device, *c.plans("first"), "--grid", str(c.results / "grid.png")],
            limit=c.limit(25), leaves=("grid.png",), after="training"))
    export = c.work / "weights"
    shutil.rmtree(export, ignore_errors=True)
    do(Step("averaged weights in bf16", [c.program("ddpm_convert"), "--checkpoint", str(folder), "--to-diffusers",
                                         str(export), "--dtype", "bf16"], limit=c.limit(15), after="training"))
    do(Step("weights in pieces", lambda: write_pieces(export, c.out), after="averaged weights in bf16"))
