"""The steps that run PyTorch: bench/peers, with a Python that has PyTorch and the bundled diffusers wheel."""

from __future__ import annotations

import shlex
import zipfile

import readers
from context import Context
from steps import Step

IMPORTING_SECONDS = 40  # reserved in the compiling step for importing PyTorch and shutting down
PYTORCH = "PyTorch"  # the step that all others in this file depend on
GRADIENTS = "gradients.json"
PROGRAMS = ("ddpm_forward", "ddpm_inspect", "ddpm_sample", "ddpm_train", "gpu_description")
# Probably the fastest first; max-autotune takes minutes to compile.
FAST_VARIANTS = ("compile-graph", "compile", "eager-graph")
AUTOTUNED_VARIANTS = ("max-autotune-graph", "max-autotune")
# PyTorch's default. Trying all would take every program minutes at startup, and cuDNN ranks them well.
BENCHMARK_LIMIT = "10"


def environment(c: Context) -> dict:
    return {"PYTHONPATH": str(c.work / "site")}


def unpack_wheels(c: Context) -> None:
    site = c.work / "site"
    if site.exists():
        return
    site.mkdir(parents=True)
    for wheel in sorted((c.root / "wheels").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)


def import_pytorch(c: Context) -> list[str]:
    """Imports through bench/peers/network.py, which stubs dependencies of diffusers that no network needs."""
    unpack_wheels(c)
    lines = ["import sys", f"sys.path.insert(0, {str(c.root / 'bench' / 'peers')!r})",
             "import network, torch, diffusers",
             "print('torch', torch.__version__, 'cuda', torch.version.cuda, 'diffusers', diffusers.__version__)"]
    return [c.python, "-c", "; ".join(lines)]


def find_pytorch(c: Context) -> None:
    """Imports PyTorch, which is slow the first time, and the bundled wheel."""
    c.runner.run(Step(PYTORCH, import_pytorch(c), limit=c.limit(60), environment=environment(c),
                      read=lambda text: dict(zip(*[iter(text.split()[-6:])] * 2))))


def script(c: Context, name: str, networks: tuple, *options: str) -> list[str]:
    command = [c.python, str(c.root / "bench" / "peers" / name), "--device", c.device, "--cache",
               str(c.work / "caches"), "--benchmark-limit", BENCHMARK_LIMIT, *options]
    return [*command, "--smoke"] if c.rehearse else [*command, "--networks", *networks]


def gradients_command(c: Context, networks: tuple, seconds: float) -> list[str]:
    # Nothing else uses this batch size, so measuring its plans is not worth the time.
    ours = [f"--our-options={option}" for option in c.plans("first")]
    kept = c.work / "caches" / "checks" / GRADIENTS
    return script(c, "check_gradients.py", networks, "--bin", str(c.bin), *ours, "--commit", c.commit, "--kept",
                  str(kept), "--variants", *FAST_VARIANTS, "--batch", "4",
                  "--timeout", "120", "--seconds", str(seconds), "--results", str(c.results / GRADIENTS))


def start_compiling(c: Context, networks: tuple, limit: float = 330) -> None:
    """Compiles in the background of our correctness tests, which need no quiet GPU. Later runs start warm."""
    if not c.with_pytorch:
        return
    name = "warm-up.json"
    warm_up = script(c, "warm_up.py", networks, "--modes", "train", "sample", "--variants", *FAST_VARIANTS[:2],
                     "--timeout", "150", "--results", str(c.results / name), *(() if c.rehearse else ("--batch", "128")))
    # One after the other, even if the first fails; the second gets the remaining time.
    both = (f"{shlex.join(gradients_command(c, networks, 130))}; "
            f"{shlex.join(warm_up)} --seconds $(({int(c.limit(limit))} - {IMPORTING_SECONDS} - SECONDS))")
    c.runner.run(Step("PyTorch compiles in the background", [import_pytorch(c), ["nice", "bash", "-c", both]],
                      limit=c.limit(limit), background=True, environment=environment(c), leaves=(name, GRADIENTS),
                      read=lambda _: {**readers.gradients(c.results / GRADIENTS), **readers.warm_up(c.results / name)},
                      stand_in=c.stand_in("the CPU, tiny networks")))


def check_gradients(c: Context, networks: tuple, limit: float) -> None:
    c.runner.run(Step("gradients of PyTorch's variants", gradients_command(c, networks, c.limit(limit) - 10),
                      limit=c.limit(limit), least=c.least(40), after=PYTORCH, environment=environment(c),
                      leaves=(GRADIENTS,), read=lambda _: readers.gradients(c.results / GRADIENTS),
                      stand_in=c.stand_in("the CPU, tiny networks")))


def side_by_side(c: Context, mode: str, network: str, variants: tuple, limit: float, suffix: str = "") -> None:
    name = f"peers-{mode}-{network}{suffix}.json"
    gradients = c.results / GRADIENTS
    seconds = min(c.limit(limit), c.runner.deadline.left()) - 10  # so that it ends on its own and keeps its results
    command = script(c, "side_by_side.py", (network,), "--bin", str(c.bin), "--data", str(c.data(network)), "--modes",
                     mode, "--batches", "128", "--variants", *variants, "--rounds", "1", "--windows", "4",
                     "--window-steps", "20", "--timeout", "150", "--seconds", f"{seconds:.0f}", "--commit",
                     c.commit, "--limits-file", str(c.results / "limits.json"),
                     f"--our-options=--precision={c.precision('bf16')}",
                     f"--our-options=--plan-check={c.plan_check}", "--results", str(c.results / name),
                     *(("--gradients", str(gradients)) if gradients.exists() else ()),
                     *(("--networks", "smoke-8") if c.rehearse else ()))
    c.runner.run(Step(f"{mode} {network} beside PyTorch{suffix}", command, limit=c.limit(limit), least=c.least(40),
                      after=PYTORCH, environment=environment(c), leaves=(name,),
                      read=lambda _: readers.side_by_side(c.results / name),
                      stand_in=c.stand_in("the CPU, a tiny network")))
