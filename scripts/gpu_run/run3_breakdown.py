"""Run 3: where does the time go? Profiles of the step's graph, of its layers, and of single kernels."""

from __future__ import annotations

import sys

import readers
from context import Context
from steps import Step

TITLE = "Run 3: where does the time go?"
PROGRAMS = ("ddpm_data", "ddpm_sample", "ddpm_train", "gpu_description", "group_norm_benchmark", "kernels_benchmark",
            "library_benchmark")
REHEARSED_PROGRAMS = ("group_norm_benchmark_emulated", "kernels_benchmark_emulated", "library_benchmark_emulated")
RETURNS_CACHES = True
NETWORKS = ("ddim-celeba-64", "ddpm-cifar10-32")
# Cases that the emulated twins run in seconds.
REHEARSED_KERNELS = "^(diffuse|loss|sampler_step|guidance)/.*/32/128/"
REHEARSED_GROUP_NORM = "^group_norm(_backward)?/(ours|dropout|shift_dropout)/4/512/128/"
REHEARSED_LIBRARY_OPS = "mid_block|up_blocks.0.upsamplers"


def profile(c: Context, preset: str) -> Step:
    name = f"profile-{preset}.json"
    command = c.train(preset, f"profile-{preset}", "--steps", "12", "--batch", str(c.batch(128)), "--precision",
                      c.precision("bf16"), *c.plans("measured"), "--profile", "--profile-json", str(c.results / name))
    return Step(f"profile {preset}", command, limit=c.limit(60), least=c.least(15), output=f"profile-{preset}.txt",
                leaves=(name,), read=lambda _: readers.profile(c.results / name), stand_in=c.stand_in("the CPU"))


def benchmark(c: Context, name: str, program: str, rehearsed_filter: str, limit: float, *options: str) -> list[Step]:
    """The benchmark and its tables, which cover what was measured even if it is cut off."""
    found, table, short = f"{name}.json", f"{name}.md", f"{name}-summary.json"
    command = [c.program(program + ("_emulated" if c.rehearse else "")), *options,
               f"--benchmark_out={c.results / found}", "--benchmark_out_format=json",
               f"--benchmark_repetitions={1 if c.rehearse else 3}", "--benchmark_report_aggregates_only=true",
               f"--benchmark_context=commit={c.commit}"]
    if c.rehearse:
        command.append(f"--benchmark_filter={rehearsed_filter}")
    script = [sys.executable, str(c.root / "scripts" / "benchmark_table.py")]
    return [
        Step(name, command, limit=c.limit(limit), least=c.least(15), leaves=(found,), stand_in=c.stand_in("emulated")),
        Step(f"{name}, table", [*script, str(c.results / found)], output=table, leaves=(table,), limit=c.limit(20)),
        Step(f"{name}, summary", [*script, "--json", str(c.results / found)], output=short, leaves=(short,),
             limit=c.limit(20), read=lambda _: readers.benchmark_summary(c.results / short)),
    ]


def run(c: Context) -> None:
    do = c.runner.run
    do(c.describe_device())
    for preset in NETWORKS:
        do(Step(f"data {c.size(preset)}", c.make_data(preset, 2000), limit=c.limit(20)))
    for preset in NETWORKS:
        do(c.fill_plan_cache(preset))
        do(profile(c, preset))
    for preset in NETWORKS:
        network = "tiny-32:1" if c.rehearse else f"{preset}:128"
        for step in benchmark(c, f"library-{preset}", "library_benchmark", REHEARSED_LIBRARY_OPS, 110, "--network",
                              network):
            do(step)
    for step in benchmark(c, "kernels-group-norm", "group_norm_benchmark", REHEARSED_GROUP_NORM, 80):
        do(step)
    for step in benchmark(c, "kernels", "kernels_benchmark", REHEARSED_KERNELS, 80):
        do(step)
