"""Lets PyPI's PyTorch wheel run on the CPU without the 2 GB of CUDA libraries that it links.

    python stub_cuda.py SITE_PACKAGES

writes stubs of those libraries next to PyTorch's own, whose functions all return CUDA error 100, "no device is
detected", so that PyTorch sees no GPU. Does not replace existing libraries. Needs g++ and binutils.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile

# Libraries that PyTorch links and that have their own wheels on PyPI; libcuda comes with the driver and
# is loaded lazily.
IS_CUDA = re.compile(r"lib(cu|nv|nccl)(?!da\.so)")
IS_CUDA_SYMBOL = re.compile(r"_?_?(cu|nv|nccl)[A-Za-z]")
NO_DEVICE = 100  # cudaErrorNoDevice
LOADED_LATER = {"libcaffe2_nvrtc.so"}


def lines_of(*command) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def needed_libraries(libraries: list[pathlib.Path]) -> set[str]:
    listed = {match[1] for library in libraries for line in lines_of("readelf", "-d", library)
              if (match := re.search(r"\(NEEDED\).*\[(.*)\]", line))}
    return {name for name in listed if IS_CUDA.match(name)}


def symbols(library: pathlib.Path, kind: str) -> set[str]:
    return {line.split()[-1] for line in lines_of("nm", "-D", kind, library) if line.split()}


def wanted_symbols(libraries: list[pathlib.Path]) -> dict[str, set[str]]:
    """Groups symbols by version, which for CUDA's libraries except NVSHMEM is the file name; "" if there is none."""
    undefined = set().union(*(symbols(library, "--undefined-only") for library in libraries))
    defined = set().union(*(symbols(library, "--defined-only") for library in libraries))
    found = collections.defaultdict(set)
    for symbol in undefined - defined:
        name, _, version = symbol.partition("@")
        if IS_CUDA_SYMBOL.match(name):
            found[version.lstrip("@")].add(name)
    return found


def source_of(names: set[str]) -> str:
    body = [f'extern "C" long {name}() {{ return {NO_DEVICE}; }}' for name in sorted(names - {"cudaGetDeviceCount"})]
    if "cudaGetDeviceCount" in names:
        body.append(f'extern "C" int cudaGetDeviceCount(int* count) {{ *count = 0; return {NO_DEVICE}; }}')
    return "\n".join(body) + "\n"


def write_stub(path: pathlib.Path, by_version: dict[str, set[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder) / "stub.cpp", pathlib.Path(folder) / "stub.map"
        source.write_text("".join(source_of(names) for names in by_version.values()))
        script.write_text("".join(f"{version} {{ global: {' '.join(f'{name};' for name in sorted(names))} }};\n"
                                  for version, names in by_version.items() if version))
        subprocess.run(["g++", "-shared", "-fPIC", "-O1", f"-Wl,-soname,{path.name}",
                        *([f"-Wl,--version-script={script}"] if script.read_text() else []),
                        "-o", path, source], check=True)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1]) / "torch" / "lib"
    libraries = [path for path in sorted(folder.glob("*.so")) if path.name not in LOADED_LATER
                 and not IS_CUDA.match(path.name)]
    if not libraries:
        print(f"stub_cuda.py: {folder} has no libraries: is PyTorch installed there?", file=sys.stderr)
        return 2
    names = {name for name in needed_libraries(libraries) if not (folder / name).exists()}
    wanted = wanted_symbols(libraries)
    versioned = {name: {name: wanted[name]} if name in wanted else {} for name in names}
    # Symbols without a version, or versioned by another library's name, may come from any library; all
    # link the runtime.
    runtime = next((name for name in names if name.startswith("libcudart.")), None)
    for name, stub in versioned.items():
        if name == runtime:
            stub[""] = wanted[""]
        if name.startswith("libnvshmem"):
            stub |= {version: found for version, found in wanted.items() if version.startswith("NVSHMEM")}
        write_stub(folder / name, stub)
    print(f"{len(names)} stub libraries with {sum(len(found) for found in wanted.values())} functions in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
