"""Writes every fixture of this folder, or checks the committed ones against diffusers.

python tests/parity/make_fixtures.py           # rewrites fixtures/ and tensor_names.json
python tests/parity/make_fixtures.py --check   # writes to a temporary folder and compares bytes
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

import torch

from operation_fixtures import write_operation_fixtures
from optimizer_fixtures import write_optimizer_fixtures
from presets import write_defaults, write_tensor_names
from scheduler_fixtures import write_scheduler_fixtures
from unet_fixtures import write_unet_fixtures

_HERE = Path(__file__).resolve().parent
_LARGEST_TOTAL = 3_000_000  # bytes, since the fixtures are committed


def _write_all(folder: Path) -> None:
    fixtures = folder / "fixtures"
    write_unet_fixtures(fixtures)
    write_scheduler_fixtures(fixtures / "schedulers")
    write_operation_fixtures(fixtures / "operations")
    write_optimizer_fixtures(fixtures / "optimizer")
    write_defaults(fixtures / "defaults.json")
    write_tensor_names(folder / "tensor_names.json")


def _files(folder: Path) -> set[Path]:
    names = [folder / "tensor_names.json", *(folder / "fixtures").rglob("*")]
    return {name.relative_to(folder) for name in names if name.is_file()}


def _differences(written: Path, committed: Path) -> list[str]:
    both = _files(written) & _files(committed)
    changed = [
        f"{name}: differs" for name in both if not filecmp.cmp(written / name, committed / name, False)
    ]
    return sorted(changed + [f"{name}: missing or left over" for name in _files(written) ^ _files(committed)])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="only compare with the committed fixtures"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the summation order, hence the last bit, depends on the number of threads
    torch.use_deterministic_algorithms(True)

    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary)
        _write_all(written)
        total = sum((written / name).stat().st_size for name in _files(written))
        print(f"{len(_files(written))} files, {total} bytes")
        if total > _LARGEST_TOTAL:
            print(f"more than {_LARGEST_TOTAL} bytes", file=sys.stderr)
            return 1
        if arguments.check:
            differences = _differences(written, _HERE)
            print("\n".join(differences) or "identical")
            return 1 if differences else 0
        shutil.rmtree(_HERE / "fixtures", ignore_errors=True)
        shutil.copytree(written / "fixtures", _HERE / "fixtures")
        shutil.copy(written / "tensor_names.json", _HERE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
