"""Single operations, forward and backward, in float64.

Every case has its inputs, `output`, `probe`, and `grad.<input>` for the loss sum(output * probe). Names and
layouts are PyTorch's: activations (N, C, H, W), convolutions (out, in, kh, kw), linear weights (out, in)."""

from collections.abc import Callable
from pathlib import Path

import diffusers.models.embeddings as embeddings
import torch
import torch.nn.functional as functional

from double_precision import double_precision
from fixture_files import generator, normal, write_json_lines, write_tensors

Inputs = dict[str, torch.Tensor]


def _convolution(stride: int, padding: tuple[int, int, int, int], upsample: bool = False) -> Callable:
    """padding: left, right, top, bottom, as for torch.nn.functional.pad."""

    def forward(x: Inputs) -> torch.Tensor:
        sample = (
            functional.interpolate(x["input"], scale_factor=2.0, mode="nearest") if upsample else x["input"]
        )
        return functional.conv2d(functional.pad(sample, padding), x["weight"], x["bias"], stride=stride)

    return forward


def _group_norm(x: Inputs, groups: int, eps: float, silu: bool) -> torch.Tensor:
    normalised = functional.group_norm(x["input"], groups, x["weight"], x["bias"], eps)
    return functional.silu(normalised) if silu else normalised


def _film_group_norm(x: Inputs, groups: int, eps: float) -> torch.Tensor:
    """resnet_time_scale_shift = "scale_shift": one scale and shift per image and channel."""
    normalised = functional.group_norm(x["input"], groups, x["weight"], x["bias"], eps)
    return functional.silu(normalised * (1 + x["scale"][:, :, None, None]) + x["shift"][:, :, None, None])


def _attention(x: Inputs, heads: int) -> torch.Tensor:
    """q, k, v: (N, tokens, C); head h owns the channels [h d, (h + 1) d)."""

    def split(tensor: torch.Tensor) -> torch.Tensor:
        batch, tokens, channels = tensor.shape
        return tensor.view(batch, tokens, heads, channels // heads).transpose(1, 2)

    attended = functional.scaled_dot_product_attention(split(x["query"]), split(x["key"]), split(x["value"]))
    return attended.transpose(1, 2).reshape(x["query"].shape)


def _convolution_case(channels: tuple[int, int], size: tuple[int, int], kernel: int, **options) -> tuple:
    shapes = {
        "input": (2, channels[0], *size),
        "weight": (channels[1], channels[0], kernel, kernel),
        "bias": (channels[1],),
    }
    note = {"stride": options["stride"], "padding_left_right_top_bottom": options["padding"]}
    return (
        shapes,
        _convolution(**options),
        {"operation": "conv2d", **note, "nearest_upsample": options.get("upsample", False)},
    )


def _group_norm_case(channels: int, groups: int, eps: float, silu: bool) -> tuple:
    shapes = {"input": (2, channels, 5, 3), "weight": (channels,), "bias": (channels,)}
    return (
        shapes,
        lambda x: _group_norm(x, groups, eps, silu),
        {"operation": "group_norm", "groups": groups, "eps": eps, "activation": "silu" if silu else "none"},
    )


def _film_case(channels: int, groups: int, eps: float) -> tuple:
    shapes = {
        "input": (2, channels, 5, 3),
        "weight": (channels,),
        "bias": (channels,),
        "scale": (2, channels),
        "shift": (2, channels),
    }
    return (
        shapes,
        lambda x: _film_group_norm(x, groups, eps),
        {"operation": "group_norm", "groups": groups, "eps": eps, "activation": "silu", "scale_shift": True},
    )


def _attention_case(tokens: int, channels: int, heads: int) -> tuple:
    shapes = {name: (2, tokens, channels) for name in ("query", "key", "value")}
    return shapes, lambda x: _attention(x, heads), {"operation": "attention", "heads": heads}


def _linear_case(inputs: int, outputs: int, silu: bool) -> tuple:
    """silu: applied to the input, like before every time projection."""
    shapes = {"input": (3, inputs), "weight": (outputs, inputs), "bias": (outputs,)}
    return (
        shapes,
        lambda x: functional.linear(
            functional.silu(x["input"]) if silu else x["input"], x["weight"], x["bias"]
        ),
        {"operation": "linear", "silu_before": silu},
    )


# Name -> (input shapes, forward, options in the JSON).
_CASES = {
    "conv3x3": _convolution_case((3, 5), (6, 5), 3, stride=1, padding=(1, 1, 1, 1)),
    "conv3x3_one_pixel": _convolution_case((3, 5), (1, 1), 3, stride=1, padding=(1, 1, 1, 1)),
    "conv1x1": _convolution_case((3, 5), (4, 3), 1, stride=1, padding=(0, 0, 0, 0)),
    "conv3x3_stride2": _convolution_case((3, 4), (6, 8), 3, stride=2, padding=(1, 1, 1, 1)),
    "conv3x3_stride2_odd": _convolution_case((3, 4), (7, 5), 3, stride=2, padding=(1, 1, 1, 1)),
    "conv3x3_stride2_right_bottom": _convolution_case((3, 4), (6, 8), 3, stride=2, padding=(0, 1, 0, 1)),
    "conv3x3_stride2_right_bottom_odd": _convolution_case((3, 4), (7, 5), 3, stride=2, padding=(0, 1, 0, 1)),
    "upsample_conv3x3": _convolution_case((3, 4), (3, 2), 3, stride=1, padding=(1, 1, 1, 1), upsample=True),
    "group_norm": _group_norm_case(6, 2, 1e-5, silu=False),
    "group_norm_silu": _group_norm_case(6, 2, 1e-6, silu=True),
    "group_norm_silu_one_channel_per_group": _group_norm_case(4, 4, 1e-6, silu=True),
    "group_norm_scale_shift": _film_case(6, 3, 1e-5),
    "attention_one_head": _attention_case(6, 4, 1),
    "attention_two_heads": _attention_case(5, 6, 2),
    "linear": _linear_case(5, 7, silu=False),
    "linear_after_silu": _linear_case(5, 7, silu=True),
}

# Name -> arguments of get_timestep_embedding.
_TIMESTEP_EMBEDDINGS = {
    "sin_cos_shift_1": {"embedding_dim": 16, "flip_sin_to_cos": False, "downscale_freq_shift": 1},
    "cos_sin_shift_0": {"embedding_dim": 16, "flip_sin_to_cos": True, "downscale_freq_shift": 0},
    "sin_cos_shift_0": {"embedding_dim": 16, "flip_sin_to_cos": False, "downscale_freq_shift": 0},
    "cos_sin_shift_1": {"embedding_dim": 16, "flip_sin_to_cos": True, "downscale_freq_shift": 1},
    "odd_width": {"embedding_dim": 9, "flip_sin_to_cos": False, "downscale_freq_shift": 1},
}


def _run(name: str, shapes: dict[str, tuple], forward: Callable) -> dict[str, torch.Tensor]:
    rng = generator("operation " + name)
    inputs = {key: normal(rng, *shape).requires_grad_() for key, shape in shapes.items()}
    output = forward(inputs)
    probe = normal(rng, *output.shape)
    gradients = torch.autograd.grad((output * probe).sum(), list(inputs.values()))
    return {
        **inputs,
        "output": output,
        "probe": probe,
        **{"grad." + key: gradient for key, gradient in zip(inputs, gradients)},
    }


def _time_embeddings() -> tuple[dict[str, torch.Tensor], list[dict]]:
    timesteps = torch.tensor([0, 1, 17, 500, 999])
    tensors, rows = {"timestep_embedding/timesteps": timesteps}, []
    with double_precision(embeddings):
        for name, options in _TIMESTEP_EMBEDDINGS.items():
            embedding = embeddings.get_timestep_embedding(timesteps, **options)
            tensors[f"timestep_embedding/{name}"] = embedding
            rows.append({"name": f"timestep_embedding/{name}", "operation": "timestep_embedding", **options})

        fourier = embeddings.GaussianFourierProjection(8, scale=16)
        fourier.weight.data = 16 * normal(generator("fourier"), 8)
        sigmas = torch.tensor([0.01, 0.5, 3.25, 50.0])
        tensors |= {
            "fourier/weight": fourier.weight,
            "fourier/sigmas": sigmas,
            "fourier/output": fourier(sigmas),
        }
    rows.append({"name": "fourier", "operation": "fourier_embedding", "log": True})
    return tensors, rows


def write_operation_fixtures(folder: Path) -> None:
    tensors, rows = _time_embeddings()
    for name, (shapes, forward, note) in _CASES.items():
        tensors |= {f"{name}/{key}": tensor for key, tensor in _run(name, shapes, forward).items()}
        rows.append({"name": name, **note})
    write_tensors(folder / "operations.safetensors", tensors)
    write_json_lines(folder / "operations.json", "cases", rows)
