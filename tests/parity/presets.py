"""The three published networks as UNet2DModel arguments, and the defaults of every diffusers class in use."""

import inspect
from pathlib import Path

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UNet2DModel,
    UniPCMultistepScheduler,
)

from fixture_files import write_json_lines


def _ddpm(size: int, channels: tuple[int, ...], attention_level: int) -> dict:
    """Ho et al.'s family: attention at one level, which is counted from the finest in the down path."""
    levels = len(channels)
    down = ["DownBlock2D"] * levels
    down[attention_level] = "AttnDownBlock2D"
    up = ["UpBlock2D"] * levels
    up[levels - 1 - attention_level] = "AttnUpBlock2D"
    return dict(
        sample_size=size,
        block_out_channels=channels,
        down_block_types=tuple(down),
        up_block_types=tuple(up),
        layers_per_block=2,
        downsample_padding=0,
        freq_shift=1,
        flip_sin_to_cos=False,
        attention_head_dim=None,
        norm_eps=1e-6,
    )


PRESETS = {
    "ddpm-cifar10-32": _ddpm(32, (128, 256, 256, 256), 1),
    "ddim-celeba-64": _ddpm(64, (128, 256, 256, 256, 512), 2),
    "ddpm-celebahq-256": _ddpm(256, (128, 128, 256, 256, 512, 512), 4),
}


def write_tensor_names(path: Path) -> None:
    """Every tensor of the three presets by name and shape, from models without storage."""
    presets, tensors = [], []
    for preset, config in PRESETS.items():
        with torch.device("meta"):
            model = UNet2DModel(**config)
        shapes = {name: list(tensor.shape) for name, tensor in sorted(model.state_dict().items())}
        count = sum(parameter.numel() for parameter in model.parameters())
        print(f"{preset}: {len(shapes)} tensors, {count} parameters")
        presets.append({"preset": preset, "parameters": count, "tensors": len(shapes)})
        tensors.extend([preset, name, shape] for name, shape in shapes.items())
    write_json_lines(path, "tensors", tensors, presets=presets)


def write_defaults(path: Path) -> None:
    """The default value of each key that a config.json or scheduler_config.json may omit."""
    classes = (
        UNet2DModel,
        DDPMScheduler,
        DDIMScheduler,
        DPMSolverMultistepScheduler,
        UniPCMultistepScheduler,
        EulerDiscreteScheduler,
        HeunDiscreteScheduler,
    )
    rows = []
    for cls in classes:
        parameters = inspect.signature(cls.__init__).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
        defaults.pop("solver_p", None)  # a Python object; no file can hold it
        if defaults.get("lambda_min_clipped") == -float("inf"):
            defaults["lambda_min_clipped"] = None  # JSON has no infinity
        rows.append({"_class_name": cls.__name__, "defaults": defaults})
    write_json_lines(path, "classes", rows)
