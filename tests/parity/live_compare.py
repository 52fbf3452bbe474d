"""Compares this project's programs with PyTorch and diffusers, live, in both directions.

diffusers -> here: `make` writes a pipeline with random weights for a preset, an input, and diffusers' output
for it; import the folder, run it on input.npy and timesteps.npy, and compare the result with output.npy.

here -> diffusers: `forward` opens an exported folder, runs it on a stored input and reports the error of a
stored output; `sample` generates images from stored noise and reports how far stored images differ, in levels.

Arrays are .npy in PyTorch's order (N, C, H, W), timesteps (N,). Images are .npz with `arr_0` as uint8
(N, H, W, C), or .npy floats in [-1, 1] as (N, C, H, W).
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import diffusers
import diffusers.schedulers.scheduling_ddim
import diffusers.schedulers.scheduling_ddpm
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel

from fixture_files import generator, normal, relative_error
from presets import PRESETS


def _load(folder: Path) -> tuple[UNet2DModel, dict]:
    """The network and the scheduler's configuration from a pipeline folder or a flat folder."""
    if (folder / "model_index.json").exists():
        pipeline = DDPMPipeline.from_pretrained(folder)
        return pipeline.unet.eval(), dict(pipeline.scheduler.config)
    return UNet2DModel.from_pretrained(folder).eval(), DDPMScheduler.load_config(folder)


def _array(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.load(path, allow_pickle=False))


def _levels(images: torch.Tensor) -> np.ndarray:
    """diffusers' conversion: clamp(x / 2 + 0.5, 0, 1) * 255, rounded, as (N, H, W, C)."""
    scaled = (images / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255
    return scaled.round().astype(np.uint8)


def _read_levels(path: Path) -> np.ndarray:
    if path.suffix == ".npz":
        return np.load(path, allow_pickle=False)["arr_0"]
    return _levels(_array(path).float())


@contextlib.contextmanager
def _noise_of_step(noise: torch.Tensor | None) -> Iterator[list[int]]:
    """Within the block, schedulers use noise[step] instead of drawing noise; the caller sets the step."""
    step = [0]
    modules = (diffusers.schedulers.scheduling_ddpm, diffusers.schedulers.scheduling_ddim)
    drawn = [module.randn_tensor for module in modules]
    for module in modules if noise is not None else ():
        module.randn_tensor = lambda *_, **__: noise[step[0]]
    try:
        yield step
    finally:
        for module, original in zip(modules, drawn):
            module.randn_tensor = original


@torch.no_grad()
def _sample(
    model: UNet2DModel, scheduler, start: torch.Tensor, step_noise: torch.Tensor | None, options: dict
) -> torch.Tensor:
    x = start
    with _noise_of_step(step_noise) as step:
        for k, t in enumerate(scheduler.timesteps):
            step[0] = k
            x = scheduler.step(model(x, t).sample, t, x, **options).prev_sample
    return x


@torch.no_grad()
def make(arguments: argparse.Namespace) -> int:
    torch.manual_seed(arguments.seed)
    model = UNet2DModel(**PRESETS[arguments.preset]).eval()
    DDPMPipeline(unet=model, scheduler=DDPMScheduler()).save_pretrained(arguments.out)

    rng = generator(f"{arguments.preset} {arguments.seed}")
    size = model.config.sample_size
    sample = normal(rng, arguments.batch, model.config.in_channels, size, size).float()
    timesteps = torch.from_numpy(rng.integers(0, 1000, arguments.batch))
    arrays = {"input": sample, "timesteps": timesteps, "output": model(sample, timesteps).sample}
    for name, tensor in arrays.items():
        np.save(arguments.out / f"{name}.npy", tensor.numpy())
    print(f"wrote {arguments.out}")
    return 0


@torch.no_grad()
def forward(arguments: argparse.Namespace) -> int:
    model, _ = _load(arguments.model)
    expected = model(_array(arguments.input).float(), _array(arguments.timesteps)).sample
    actual = _array(arguments.output)
    if actual.shape != expected.shape:
        print(
            f"output has shape {tuple(actual.shape)}, diffusers gives {tuple(expected.shape)}",
            file=sys.stderr,
        )
        return 1
    error = relative_error(actual, expected)
    print(f"max |ours - diffusers| / max |diffusers|: {error:.3e} (bound {arguments.bound:.0e})")
    return 0 if error <= arguments.bound else 1


def sample(arguments: argparse.Namespace) -> int:
    model, config = _load(arguments.model)
    if arguments.sampler == "ddim":
        scheduler, options = DDIMScheduler.from_config(config), {"eta": arguments.eta}
    else:
        scheduler, options = DDPMScheduler.from_config(config), {}
    scheduler.set_timesteps(arguments.steps)
    step_noise = _array(arguments.step_noise).float() if arguments.step_noise else None
    if step_noise is None and (arguments.sampler == "ddpm" or arguments.eta > 0):
        print("this sampler draws noise at every step: pass --step-noise", file=sys.stderr)
        return 2
    expected = _levels(_sample(model, scheduler, _array(arguments.noise).float(), step_noise, options))
    actual = _read_levels(arguments.images)
    if actual.shape != expected.shape:
        print(f"images have shape {actual.shape}, diffusers gives {expected.shape}", file=sys.stderr)
        return 1
    difference = np.abs(actual.astype(int) - expected.astype(int))
    print(
        f"levels of 255: largest difference {difference.max()}, mean {difference.mean():.5f}, "
        f"equal {100 * (difference == 0).mean():.3f} %, spread of the images {expected.std():.1f}"
    )
    return 0 if difference.max() <= arguments.bound else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)

    command = commands.add_parser(
        "make", help="write a pipeline with random weights, an input and its output"
    )
    command.add_argument("--preset", choices=PRESETS, required=True)
    command.add_argument("--out", type=Path, required=True)
    command.add_argument("--batch", type=int, default=2)
    command.add_argument("--seed", type=int, default=0)
    command.set_defaults(run=make)

    command = commands.add_parser("forward", help="compare a stored output of the network")
    for name in ("model", "input", "timesteps", "output"):
        command.add_argument(f"--{name}", type=Path, required=True)
    command.add_argument(
        "--bound", type=float, default=1e-5, help="largest relative error allowed (%(default)g)"
    )
    command.set_defaults(run=forward)

    command = commands.add_parser("sample", help="compare stored images, sampled from a stored noise")
    for name in ("model", "noise", "images"):
        command.add_argument(f"--{name}", type=Path, required=True)
    command.add_argument("--sampler", choices=("ddim", "ddpm"), default="ddim")
    command.add_argument("--steps", type=int, default=50)
    command.add_argument("--eta", type=float, default=0.0, help="DDIM's eta (%(default)g)")
    command.add_argument("--step-noise", type=Path, help="(steps, N, C, H, W), if the sampler draws noise")
    command.add_argument(
        "--bound", type=int, default=1, help="largest difference allowed in levels (%(default)d)"
    )
    command.set_defaults(run=sample)
    return parser


def main() -> int:
    arguments = _parser().parse_args()
    print(f"torch {torch.__version__}, diffusers {diffusers.__version__}")
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
