"""Writes tests/model/weights/fixtures/all_types.safetensors (needs: pip install safetensors==0.6.2).

The values include each type's special cases, which tests/model/weights/safetensors_test.cpp lists."""

import struct
from pathlib import Path

from safetensors import serialize_file

_FIXTURE = Path(__file__).resolve().parent.parent / "tests/model/weights/fixtures/all_types.safetensors"


def _tensor(dtype: str, shape: list[int], layout: str, *values: float) -> dict:
    return {"dtype": dtype, "shape": shape, "data": struct.pack(f"<{len(values)}{layout}", *values)}


def main() -> None:
    tensors = {
        "double": _tensor("float64", [2], "d", 0.1, -1e300),
        "single": _tensor("float32", [2, 3], "f", 0.0, -1.5, 3.4028234663852886e38, 1e-45, 2.0, 0.5),
        "half": _tensor("float16", [6], "H", 0x3C00, 0xC000, 0x7BFF, 0x0001, 0x7C00, 0x8000),
        "brain": _tensor("bfloat16", [3], "H", 0x3F80, 0xC040, 0x7F7F),
        "long": _tensor("int64", [1], "q", -9007199254740993),
        "int": _tensor("int32", [2], "i", -2147483648, 7),
        "signed": _tensor("int8", [3], "b", -128, -1, 127),
        "byte": _tensor("uint8", [3], "B", 0, 127, 255),
        "flag": _tensor("bool", [2], "B", 1, 0),
        "scalar": _tensor("float32", [], "f", 42.0),
        "empty": _tensor("float32", [0, 5], "f"),
        "größe/\"quoted\"": _tensor("int16", [1], "h", -3),
    }
    _FIXTURE.parent.mkdir(parents=True, exist_ok=True)
    serialize_file(tensors, _FIXTURE, {"format": "pt"})


if __name__ == "__main__":
    main()
