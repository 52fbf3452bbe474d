"""Runs diffusers' own code in double precision.

diffusers names float32 explicitly in places where precision matters for an oracle: beta schedules
(1 - alpha_bar at t = 0 keeps only three digits in float32), sigmas, and the angles of the time embedding.
Rewriting these formulas here would give up the independence that the fixtures are for, so the modules see
`torch` and `numpy` through a wrapper in which the name float32 means float64."""

import contextlib
import types
from collections.abc import Iterator

import torch


class _Float64Pane(types.ModuleType):
    def __init__(self, module: types.ModuleType):
        super().__init__(module.__name__)
        self.float32 = module.float64
        self._module = module

    def __getattr__(self, name: str) -> object:
        return getattr(self._module, name)


@contextlib.contextmanager
def double_precision(*modules: types.ModuleType) -> Iterator[None]:
    """Within the block, `modules` compute in float64, and float64 is PyTorch's default type."""
    originals = [
        (module, name, getattr(module, name))
        for module in modules
        for name in ("torch", "np")
        if hasattr(module, name)
    ]
    default_dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    for module, name, original in originals:
        setattr(module, name, _Float64Pane(original))
    try:
        yield
    finally:
        torch.set_default_dtype(default_dtype)
        for module, name, original in originals:
            setattr(module, name, original)
