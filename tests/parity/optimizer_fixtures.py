"""Six steps of Adam and AdamW with clipping, learning-rate warm-up and weight averages, in float64."""

from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fixture_files import generator, normal, write_json_lines, write_tensors

_LENGTH = 37  # not a multiple of any vector width
_STEPS = 6
_WARMUP = 4
_EMA_DECAY = 0.9

# Name -> (optimizer, its options, clipping norm or None). Two gradients have a norm above 5, four below.
_CASES = {
    "adam": (torch.optim.Adam, {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8}, None),
    "adam_clipped": (torch.optim.Adam, {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8}, 5.0),
    "adam_other_betas": (torch.optim.Adam, {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-3}, 5.0),
    "adamw_clipped": (
        torch.optim.AdamW,
        {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1},
        5.0,
    ),
}


class _Vector(torch.nn.Module):
    def __init__(self, start: torch.Tensor):
        super().__init__()
        self.weight = torch.nn.Parameter(start.clone())


def _ramped_decay(update: int) -> float:
    """update counts from zero, as a global step does in TensorFlow's ExponentialMovingAverage."""
    return min(_EMA_DECAY, (1 + update) / (10 + update))


def _run(case: tuple, start: torch.Tensor, gradients: torch.Tensor) -> dict[str, torch.Tensor]:
    make_optimizer, options, clip_norm = case
    model = _Vector(start)
    optimizer = make_optimizer(model.parameters(), **options)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / _WARMUP))
    constant = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(_EMA_DECAY))
    # The first call of update_parameters copies the weights; the average must start from the initial ones.
    constant.update_parameters(model)
    ramped = start.clone()

    history = {key: [] for key in ("learning_rate", "gradient_norm", "weight", "ema_constant", "ema_ramped")}
    for step, gradient in enumerate(gradients):
        model.weight.grad = gradient.clone()
        max_norm = float("inf") if clip_norm is None else clip_norm
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        learning_rate = optimizer.param_groups[0]["lr"]
        optimizer.step()
        warmup.step()
        constant.update_parameters(model)
        ramped = torch.lerp(ramped, model.weight.detach(), 1.0 - _ramped_decay(step))
        values = (
            torch.tensor(learning_rate, dtype=torch.float64),
            norm,
            model.weight.detach().clone(),
            constant.module.weight.detach().clone(),
            ramped,
        )
        for key, value in zip(history, values):
            history[key].append(value)
    state = optimizer.state[model.weight]
    return {
        **{key: torch.stack(values) for key, values in history.items()},
        "exp_avg": state["exp_avg"],
        "exp_avg_sq": state["exp_avg_sq"],
    }


def write_optimizer_fixtures(folder: Path) -> None:
    rng = generator("optimizer")
    start, gradients = normal(rng, _LENGTH), normal(rng, _STEPS, _LENGTH)
    gradients *= torch.tensor([2.0, 0.1, 0.02, 1.5, 1e-4, 0.5], dtype=torch.float64)[:, None]
    gradients[:, 3] = 0.0  # a weight that never gets a gradient
    ramp = torch.tensor([_ramped_decay(update) for update in range(_STEPS)], dtype=torch.float64)
    tensors, rows = {"start": start, "gradients": gradients, "ema_ramped_decay": ramp}, []
    for name, case in _CASES.items():
        tensors |= {f"{name}/{key}": tensor for key, tensor in _run(case, start, gradients).items()}
        optimizer, options, clip_norm = case
        rows.append(
            {
                "name": name,
                "optimizer": optimizer.__name__,
                **options,
                "clip_norm": clip_norm,
                "warmup_steps": _WARMUP,
                "ema_decay": _EMA_DECAY,
            }
        )
    write_tensors(folder / "optimizer.safetensors", tensors)
    write_json_lines(folder / "optimizer.json", "cases", rows)
