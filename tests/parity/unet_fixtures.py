"""Small random UNet2DModel networks, one per option: weights, inputs, output and every gradient.

Values are computed in float64 from float32-exact weights and inputs, then stored as float32: the stored values
are exact to half a unit in the last place, so float code is judged by its own error alone."""

from pathlib import Path

import diffusers.models.embeddings
import torch
from diffusers import UNet2DModel

from double_precision import double_precision
from fixture_files import generator, normal, relative_error, write_json_lines, write_tensors

# Two levels, one resnet per level, four channels: the smallest network with every kind of part.
_SMALL = dict(
    sample_size=8,
    block_out_channels=(4, 4),
    layers_per_block=1,
    norm_num_groups=2,
    down_block_types=("DownBlock2D", "AttnDownBlock2D"),
    up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    attention_head_dim=2,
)
# The settings of Ho et al.'s models that differ from diffusers' defaults.
_DDPM = dict(
    freq_shift=1, flip_sin_to_cos=False, downsample_padding=0, attention_head_dim=None, norm_eps=1e-6
)
_RESNET_TYPES = dict(
    down_block_types=("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
    up_block_types=("ResnetUpsampleBlock2D", "AttnUpBlock2D"),  # the last one has no upsampler
)

# Name -> UNet2DModel arguments.
CASES = {
    "ddpm": {
        **_SMALL,
        **_DDPM,
        "sample_size": 16,
        "block_out_channels": (4, 8, 8),
        "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    },
    "defaults": {**_SMALL, "block_out_channels": (4, 8), "layers_per_block": 2},
    "one_head": {**_SMALL, "attention_head_dim": None},
    "attention_everywhere": {
        **_SMALL,
        "down_block_types": ("AttnDownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D"),
    },
    "one_level": {
        **_SMALL,
        "block_out_channels": (4,),
        "down_block_types": ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",),
    },
    "channels_1_to_2": {**_SMALL, **_DDPM, "in_channels": 1, "out_channels": 2},
    "scale_shift": {**_SMALL, "block_out_channels": (4, 8), "resnet_time_scale_shift": "scale_shift"},
    "resnet_types": {**_SMALL, **_RESNET_TYPES},
    "resnet_types_scale_shift": {
        **_SMALL,
        **_RESNET_TYPES,
        "downsample_type": "resnet",
        "upsample_type": "resnet",
        "resnet_time_scale_shift": "scale_shift",
    },
    "attention_resnet_resampling": {
        **_SMALL,
        "down_block_types": ("AttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
        "downsample_type": "resnet",
        "upsample_type": "resnet",
    },
    "no_attention": {
        **_SMALL,
        "add_attention": False,
        "down_block_types": ("DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D"),
    },
    "no_middle": {**_SMALL, "mid_block_type": None},
    "middle_scale": {**_SMALL, "mid_block_scale_factor": 1.4142135},
    "attention_groups": {**_SMALL, "attn_norm_num_groups": 1},
    "class_embedding": {**_SMALL, "num_class_embeds": 5},
    "class_timestep": {**_SMALL, "class_embed_type": "timestep"},
    "class_identity": {**_SMALL, "class_embed_type": "identity"},
    "time_embedding_dim": {**_SMALL, "time_embedding_dim": 12},
    "fourier": {**_SMALL, "time_embedding_type": "fourier"},
    "learned_time": {**_SMALL, "time_embedding_type": "learned", "num_train_timesteps": 10},
    "center_input": {**_SMALL, "center_input_sample": True},
}

# Tensors below this are rounding errors of exact zeros: attention does not depend on the keys' bias.
_ROUNDING_RESIDUE = 1e-12


def _randomise(model: torch.nn.Module, name: str) -> None:
    """Gains near one, small biases, weights of unit gain: nothing vanishes, and no two tensors are equal."""
    rng = generator("weights " + name)
    for key, parameter in sorted(model.named_parameters()):
        value = normal(rng, *parameter.shape)
        if "norm" in key:
            value = 0.2 * value + (1.0 if key.endswith("weight") else 0.0)
        elif key.endswith("bias"):
            value = 0.2 * value
        elif key not in ("time_proj.weight", "class_embedding.weight"):  # tables, not matrices
            value = value / parameter[0].numel() ** 0.5
        parameter.data = value.float()


def _inputs(config: dict, name: str) -> dict[str, torch.Tensor]:
    rng = generator("inputs " + name)
    size = config["sample_size"]
    kind = config.get("time_embedding_type", "positional")
    timesteps = {
        "positional": torch.tensor([17, 801]),
        "learned": torch.tensor([2, 9]),
        "fourier": torch.tensor([0.5, 3.25], dtype=torch.float64),
    }[kind]  # noise levels, not steps
    inputs = {"sample": normal(rng, 2, config.get("in_channels", 3), size, size), "timesteps": timesteps}
    if "num_class_embeds" in config:
        inputs["class_labels"] = torch.tensor([3, 0])
    elif config.get("class_embed_type") == "timestep":
        inputs["class_labels"] = torch.tensor([250, 4])
    elif config.get("class_embed_type") == "identity":
        inputs["class_labels"] = normal(rng, 2, 4 * config["block_out_channels"][0])
    inputs["probe"] = normal(rng, 2, config.get("out_channels", 3), size, size)
    return inputs


def _run(model: torch.nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The output, and the gradients of sum(output * probe)."""
    sample = inputs["sample"].clone().requires_grad_()
    output = model(sample, inputs["timesteps"], class_labels=inputs.get("class_labels")).sample
    model.zero_grad()
    (output * inputs["probe"]).sum().backward()
    results = {"output": output.detach(), "grad_sample": sample.grad}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            results["grad." + name] = parameter.grad
    return results


def _as_float32(tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    return torch.zeros_like(tensor).float() if tensor.abs().max() < _ROUNDING_RESIDUE else tensor.float()


def write_unet_fixture(folder: Path, name: str) -> dict[str, float]:
    """Writes one case; returns the error of diffusers' own float32 run."""
    config = CASES[name]
    model = UNet2DModel(**config).eval()
    _randomise(model, name)
    model.save_config(folder / name)
    write_tensors(folder / name / "model.safetensors", model.state_dict())

    inputs = _inputs(config, name)
    single = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in inputs.items()}
    float32_results = _run(model, single)
    with double_precision(diffusers.models.embeddings):
        results = _run(model.double(), inputs)
    stored = {key: _as_float32(tensor) for key, tensor in {**inputs, **results}.items()}
    write_tensors(folder / name / "expected.safetensors", stored)

    gradient_scale = max(tensor.abs().max() for key, tensor in stored.items() if key.startswith("grad."))
    gradient_error = max(
        (float32_results[key] - stored[key]).abs().max() for key in stored if key.startswith("grad.")
    )
    return {
        "output": relative_error(float32_results["output"], stored["output"]),
        "gradient": (gradient_error / gradient_scale).item(),
    }


def write_unet_fixtures(folder: Path) -> None:
    write_json_lines(folder / "unet_cases.json", "cases", list(CASES))
    for name in CASES:
        error = write_unet_fixture(folder, name)
        size = sum(file.stat().st_size for file in (folder / name).iterdir())
        print(
            f"{name:32s} {size:8d} bytes; diffusers in float32: output {error['output']:.1e}, "
            f"gradients {error['gradient']:.1e}"
        )
