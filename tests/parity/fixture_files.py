"""Reads and writes fixture files, and draws the seeded random tensors they start from."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file


def generator(name: str) -> np.random.Generator:
    """A random generator for the fixture `name`, so that adding a fixture does not change the others.

    NumPy's generator rather than PyTorch's, because its streams are stable across versions."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Standard normal float64 values that float32 represents exactly, so that both precisions start equal."""
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32).astype(np.float64))


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes a safetensors file; the library sorts the tensors, so equal tensors give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path, {"format": "pt"}
    )


def write_json_lines(path: Path, key: str, rows: list, **head: object) -> None:
    """Writes {head..., key: [rows]} with one row per line: compact, and a diff shows which row changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    fields = "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
    path.write_text(f"{{\n{fields} {json.dumps(key)}: [\n{lines}\n ]\n}}\n")


def relative_error(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """max |actual - expected| / max |expected|, to which every bound of the parity tests refers."""
    return ((actual.double() - expected.double()).abs().max() / expected.double().abs().max()).item()
