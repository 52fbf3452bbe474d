"""Run 2: is it fast? Trains and samples with ours and PyTorch alternately, after checking PyTorch's gradients."""

from __future__ import annotations

import peers
from context import Context
from run3_breakdown import profile
from steps import Step

TITLE = "Run 2: is it fast?"
PROGRAMS = ("ddpm_data", *peers.PROGRAMS)
REHEARSED_PROGRAMS = ()
RETURNS_CACHES = True
NETWORKS = ("ddim-celeba-64", "ddpm-cifar10-32")
PROFILES_SECONDS = 40  # reserved for the profiles of both networks


def fair_share(left: float, limits: list[float]) -> float:
    """The first limit, or proportionally more if there is time to spare; the last variants would be cut off."""
    return max(limits[0], left * limits[0] / sum(limits))


def run(c: Context) -> None:
    do = c.runner.run
    do(c.describe_device())
    for preset in NETWORKS:
        do(Step(f"data {preset}", c.make_data(preset, 4000), limit=c.limit(20)))
    if c.with_pytorch:
        peers.find_pytorch(c)
        peers.check_gradients(c, NETWORKS, 110)
        waiting = [(mode, preset, limit) for mode, limit in (("train", 95), ("sample", 75)) for preset in NETWORKS]
        while waiting:
            mode, preset, _ = waiting[0]
            peers.side_by_side(c, mode, preset, peers.FAST_VARIANTS,
                               fair_share(c.runner.deadline.left() - PROFILES_SECONDS, [limit for *_, limit in waiting]))
            waiting.pop(0)
    for preset in NETWORKS:
        do(profile(c, preset))
    if c.with_pytorch:
        for mode in ("train", "sample"):
            for preset in NETWORKS:
                peers.side_by_side(c, mode, preset, peers.AUTOTUNED_VARIANTS, 150, "-autotuned")
