"""Run 1: is it right? GPU tests, validation against the CPU, determinism, memory errors."""

from __future__ import annotations

import peers
import readers
from context import LOADING_SECONDS, Context
from steps import Step

TITLE = "Run 1: is it right?"
# The most basic tests first. The last two run whole networks with the vendor libraries.
TESTS = ("gpu_runtime_test", "gpu_device_layer_test", "gpu_graph_test", "gpu_sound_kernels_test", "gpu_kernels_test",
         "gpu_library_test", "gpu_hot_loop_test", "gpu_executor_test")
PROGRAMS = ("ddpm_data", "ddpm_validate", *peers.PROGRAMS, *TESTS)
REHEARSED_PROGRAMS = ("ddpm_validate_emulated",)
RETURNS_CACHES = True
MEASURING_SECONDS = 200  # reserved for steps that need a quiet GPU: measuring plans and validating with them
OUR_KERNELS = ("gpu_kernels_test", "gpu_sound_kernels_test", "gpu_device_layer_test")


def first_steps(c: Context, precision: str) -> Step:
    """The first step runs eagerly, the second is captured, later ones replay the graph."""
    name = f"first-{precision}-{c.plan_check}"
    return Step(f"four steps {precision}" + ("" if c.plan_check == "refuse" else f", plan check: {c.plan_check}"),
                c.train("tiny-32", name, "--steps", "4", "--batch", str(c.batch(16)), "--precision",
                        c.precision(precision), *c.plans("first")),
                limit=c.limit(LOADING_SECONDS),
                read=lambda text: {**readers.training(c.work / "runs" / name), **readers.plans(text)},
                stand_in=c.stand_in("the CPU"))


def do_first_steps(c: Context) -> None:
    """If no plan passes its check, the check itself may be wrong, so the other steps run with warnings only."""
    for precision in ("bf16", "fp32"):
        outcome = c.runner.run(first_steps(c, precision))
        if outcome.is_bad and c.plan_check == "refuse" and "refused" in (c.results / outcome.log).read_text(errors="replace"):
            c.plan_check = "warn"
            c.runner.run(first_steps(c, precision))


def test(c: Context, name: str, limit: float) -> Step:
    return Step(name, [c.program(name), "--gtest_brief=1"], limit=c.limit(limit),
                read=lambda text: readers.google_test(text, may_skip=c.rehearse),
                stand_in=c.stand_in("its tests are skipped"))


def validation(c: Context, preset: str, precision: str, batch: int, limit: float, *options: str) -> Step:
    name = f"validate-{preset}-{precision}-{batch}.json"
    command = [c.program("ddpm_validate_emulated" if c.rehearse else "ddpm_validate"), "--preset", c.preset(preset),
               "--batch", str(c.batch(batch)), "--precision", precision, "--json", str(c.results / name), "--seconds",
               str(int(c.limit(limit)) - 8), *options]
    if c.rehearse:
        command += ["--steps", "1", *SMALLEST_NETWORK]
    return Step(f"validate {preset} {precision} batch {batch}", command, limit=c.limit(limit), leaves=(name,),
                read=lambda _: readers.validation(c.results / name), stand_in=c.stand_in("a tiny network, emulated"))


# The emulated GPU takes minutes for what a GPU does in seconds.
SMALLEST_NETWORK = ("--image-size", "8", "--block-out-channels", "32,32", "--attention", "false,true",
                    "--layers-per-block", "1")


def determinism(c: Context, preset: str, precision: str, limit: float) -> Step:
    """Two trainings with one seed, a third that is stopped and resumed, and two samplings: all must match."""
    folder = f"determinism-{preset}-{precision}"
    runs = c.work / "runs" / folder
    shared = ("--batch", str(c.batch(16)), "--precision", c.precision(precision), *c.plans("first"))

    def train(name: str, steps: int, *more: str) -> list[str]:
        return c.train(preset, f"{folder}/{name}", "--steps", str(steps), *shared, *more)

    def sample(name: str) -> list[str]:
        return [c.program("ddpm_sample"), "--checkpoint", str(runs / "first"), "--count", "8", "--batch", "8",
                "--steps", "4", "--seed", "3", "--device", c.device, "--precision", c.precision(precision),
                *c.plans("first"), "--npz", str(runs / f"{name}.npz")]

    def read(_: str) -> dict:
        readers.same_files([(runs / "a.npz", runs / "b.npz")])
        return {**readers.same_checkpoints([runs / name for name in ("first", "second", "resumed")]), "images": "identical"}

    return Step(f"same bytes {preset} {precision}",
                [train("first", 6), train("second", 6), train("resumed", 3), train("resumed", 6, "--resume"),
                 sample("a"), sample("b")],
                limit=c.limit(limit), read=read, stand_in=c.stand_in("the CPU"))


def checked_training(c: Context, precision: str, limit: float) -> Step:
    command = c.train("tiny-32", f"memcheck-{precision}", "--steps", "3", "--batch", str(c.batch(4)), "--precision",
                      c.precision(precision), "--plan-choice", "first", "--plan-check", "off")
    return Step(f"memcheck of a training {precision}", c.sanitized("memcheck", command), limit=c.limit(limit),
                read=readers.sanitizer, stand_in=c.stand_in("no sanitizer"))


def checked_test(c: Context, tool: str, name: str, limit: float) -> Step:
    return Step(f"{tool} of {name}", c.sanitized(tool, [c.program(name), "--gtest_brief=1"]), limit=c.limit(limit),
                least=c.least(15), read=readers.sanitizer, stand_in=c.stand_in("no sanitizer"))


def run(c: Context) -> None:
    do = c.runner.run
    do(c.describe_device())
    do(Step("cuDNN's device", [c.program("gpu_description"), "--cudnn"], output="cudnn-device.json",
            limit=c.limit(LOADING_SECONDS), leaves=("cudnn-device.json",), stand_in=c.stand_in("reports that there is none")))
    peers.start_compiling(c, ("ddim-celeba-64", "ddpm-cifar10-32"))
    do(Step("data 32", c.make_data("tiny-32", 2000), limit=c.limit(20)))
    do_first_steps(c)
    for name in TESTS:
        do(test(c, name, 90))
    for preset, batch in (("tiny-32", 16), ("ddim-celeba-64", 4), ("ddpm-cifar10-32", 8)):
        for precision in ("bf16", "fp32"):
            do(validation(c, preset, precision, batch, 60, *c.plans("first")))
    do(determinism(c, "tiny-32", "bf16", 75))  # starts six programs
    do(determinism(c, "ddpm-cifar10-32", "bf16", 100))
    do(checked_training(c, "bf16", 90))
    others = [determinism(c, "tiny-32", "fp32", 75), checked_training(c, "fp32", 90),
              *(checked_test(c, tool, name, 60) for tool in ("racecheck", "initcheck", "synccheck", "memcheck")
                for name in OUR_KERNELS)]
    while others and c.runner.is_busy() and c.runner.deadline.left() > MEASURING_SECONDS:
        do(others.pop(0))
    c.runner.join()  # the measurements below need the GPU to themselves
    do(Step("data 64", c.make_data("ddim-celeba-64", 2000), limit=c.limit(20)))
    for preset in ("ddim-celeba-64", "ddpm-cifar10-32"):
        do(c.fill_plan_cache(preset))
    no_losses = () if c.rehearse else ("--steps", "0")
    do(validation(c, "ddpm-cifar10-32", "bf16", 128, 120, *c.plans("measured"), *no_losses))
    for step in others:
        do(step)
