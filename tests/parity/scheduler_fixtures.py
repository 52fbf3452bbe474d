"""Sampler trajectories of diffusers' schedulers, in double precision.

The model is the closed form m(x, t) = 0.9 cos(t / 1000) x + offset: its output depends on x and t, so an error
in one step shows in all later ones. If a scheduler scales the model's input, x is the scaled one. The noise of
step k is noise[k], drawn or not. All cases share one start, offset and noise (inputs.safetensors)."""

from collections.abc import Callable
from pathlib import Path

import diffusers.schedulers.scheduling_ddim as ddim
import diffusers.schedulers.scheduling_ddpm as ddpm
import diffusers.schedulers.scheduling_dpmsolver_multistep as dpm_solver
import diffusers.schedulers.scheduling_edm_euler as edm_euler
import diffusers.schedulers.scheduling_euler_discrete as euler
import diffusers.schedulers.scheduling_heun_discrete as heun
import diffusers.schedulers.scheduling_unipc_multistep as unipc
import torch

from double_precision import double_precision
from fixture_files import generator, normal, relative_error, write_json_lines, write_tensors

_SHAPE = (2, 3, 2, 3)  # height and width differ, to detect transpositions
_LONGEST = 20
_GAIN = 0.9
_ZERO_SNR = dict(rescale_betas_zero_snr=True, timestep_spacing="trailing")

# family -> (module, class name, {case name: (config, steps or explicit timesteps, arguments of step())})
_FAMILIES = {
    "ddpm": (
        ddpm,
        "DDPMScheduler",
        {
            "defaults": ({}, 10, {}),
            "thousand_over_seven": ({}, 7, {}),
            "spacing_linspace": ({"timestep_spacing": "linspace"}, 10, {}),
            "spacing_trailing": ({"timestep_spacing": "trailing"}, 10, {}),
            "spacing_trailing_seven": ({"timestep_spacing": "trailing"}, 7, {}),
            "steps_offset": ({"steps_offset": 1}, 10, {}),
            "explicit_timesteps": ({"clip_sample": False}, [999, 640, 420, 200, 80, 20, 3, 0], {}),
            "short_chain": ({"num_train_timesteps": 20}, 20, {}),
            "no_clip": ({"clip_sample": False}, 10, {}),
            "clip_range": ({"clip_sample_range": 0.6}, 10, {}),
            "thresholding": (
                {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 2.5},
                10,
                {},
            ),
            "fixed_small_log": ({"variance_type": "fixed_small_log", "clip_sample": False}, 10, {}),
            "fixed_large": ({"variance_type": "fixed_large"}, 10, {}),
            "fixed_large_no_clip": ({"variance_type": "fixed_large", "clip_sample": False}, 10, {}),
            "learned_range": ({"variance_type": "learned_range", "clip_sample": False}, 10, {}),
            "scaled_linear": (
                {
                    "beta_schedule": "scaled_linear",
                    "beta_start": 0.00085,
                    "beta_end": 0.012,
                    "clip_sample": False,
                },
                10,
                {},
            ),
            "squaredcos_cap_v2": ({"beta_schedule": "squaredcos_cap_v2"}, 10, {}),
            "squaredcos_cap_v2_linspace": (
                {
                    "beta_schedule": "squaredcos_cap_v2",
                    "timestep_spacing": "linspace",
                    "prediction_type": "v_prediction",
                    "clip_sample": False,
                },
                10,
                {},
            ),
            "sigmoid": ({"beta_schedule": "sigmoid", "clip_sample": False}, 10, {}),
            "trained_betas": (
                {
                    "num_train_timesteps": 8,
                    "clip_sample": False,
                    "trained_betas": [0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.5, 0.75],
                },
                8,
                {},
            ),
            "predict_sample": ({"prediction_type": "sample"}, 10, {}),
            "predict_sample_no_clip": ({"prediction_type": "sample", "clip_sample": False}, 10, {}),
            "predict_v": ({"prediction_type": "v_prediction", "clip_sample": False}, 10, {}),
            "zero_snr_v": ({**_ZERO_SNR, "prediction_type": "v_prediction", "clip_sample": False}, 10, {}),
            "zero_snr_sample": (
                {**_ZERO_SNR, "prediction_type": "sample", "beta_schedule": "scaled_linear"},
                10,
                {},
            ),
        },
    ),
    "ddim": (
        ddim,
        "DDIMScheduler",
        {
            "defaults": ({}, 10, {}),
            "no_clip": ({"clip_sample": False}, 10, {}),
            "spacing_linspace": ({"clip_sample": False, "timestep_spacing": "linspace"}, 10, {}),
            "spacing_trailing": ({"clip_sample": False, "timestep_spacing": "trailing"}, 10, {}),
            "spacing_trailing_seven": ({"clip_sample": False, "timestep_spacing": "trailing"}, 7, {}),
            "steps_offset": ({"clip_sample": False, "steps_offset": 1, "set_alpha_to_one": False}, 10, {}),
            "alpha_not_one": ({"clip_sample": False, "set_alpha_to_one": False}, 10, {}),
            "eta_half": ({"clip_sample": False}, 10, {"eta": 0.5}),
            "eta_one": ({"clip_sample": False}, 10, {"eta": 1.0}),
            "eta_one_clipped": ({}, 10, {"eta": 1.0}),
            "clipped_model_output": ({}, 10, {"use_clipped_model_output": True}),
            "thresholding": (
                {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 2.5},
                10,
                {},
            ),
            "scaled_linear": (
                {
                    "clip_sample": False,
                    "beta_schedule": "scaled_linear",
                    "beta_start": 0.00085,
                    "beta_end": 0.012,
                },
                10,
                {},
            ),
            "squaredcos_cap_v2": ({"clip_sample": False, "beta_schedule": "squaredcos_cap_v2"}, 10, {}),
            "predict_sample": ({"clip_sample": False, "prediction_type": "sample"}, 10, {}),
            "predict_v": ({"clip_sample": False, "prediction_type": "v_prediction"}, 10, {}),
            "predict_v_eta": ({"prediction_type": "v_prediction"}, 10, {"eta": 1.0}),
            "zero_snr_v": ({**_ZERO_SNR, "clip_sample": False, "prediction_type": "v_prediction"}, 10, {}),
        },
    ),
    "dpm_solver": (
        dpm_solver,
        "DPMSolverMultistepScheduler",
        {
            "order_1": ({"solver_order": 1}, 10, {}),
            "order_2": ({}, 10, {}),
            "order_2_heun": ({"solver_type": "heun"}, 10, {}),
            "order_2_twenty_steps": ({}, 20, {}),
            "order_2_euler_at_final": ({"euler_at_final": True, "final_sigmas_type": "sigma_min"}, 20, {}),
            "order_2_no_lower_order": (
                {"lower_order_final": False, "final_sigmas_type": "sigma_min"},
                10,
                {},
            ),
            "order_3": ({"solver_order": 3}, 10, {}),
            "sde_order_1": ({"algorithm_type": "sde-dpmsolver++", "solver_order": 1}, 10, {}),
            "sde_order_2": ({"algorithm_type": "sde-dpmsolver++"}, 10, {}),
            "sde_order_2_heun": ({"algorithm_type": "sde-dpmsolver++", "solver_type": "heun"}, 10, {}),
            "karras": ({"use_karras_sigmas": True}, 10, {}),
            "spacing_leading": ({"timestep_spacing": "leading", "steps_offset": 1}, 10, {}),
            "spacing_trailing": ({"timestep_spacing": "trailing"}, 10, {}),
            "thresholding": (
                {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 2.5},
                10,
                {},
            ),
            "squaredcos_cap_v2": ({"beta_schedule": "squaredcos_cap_v2", "lambda_min_clipped": -5.1}, 10, {}),
            "predict_sample": ({"prediction_type": "sample"}, 10, {}),
            "predict_v": ({"prediction_type": "v_prediction"}, 10, {}),
        },
    ),
    "unipc": (
        unipc,
        "UniPCMultistepScheduler",
        {
            "order_1": ({"solver_order": 1}, 10, {}),
            "order_2": ({}, 10, {}),
            "order_2_bh1": (
                {"solver_type": "bh1", "final_sigmas_type": "sigma_min"},
                10,
                {},
            ),  # NaN at sigma = 0
            "order_3": ({"solver_order": 3}, 10, {}),
            "order_2_epsilon_form": ({"predict_x0": False, "final_sigmas_type": "sigma_min"}, 10, {}),
            "no_corrector_at_first": ({"disable_corrector": [0, 1, 2]}, 10, {}),
            "no_lower_order": ({"lower_order_final": False, "final_sigmas_type": "sigma_min"}, 10, {}),
            "karras": ({"use_karras_sigmas": True}, 10, {}),
            "spacing_leading": ({"timestep_spacing": "leading", "steps_offset": 1}, 10, {}),
            "spacing_trailing": ({"timestep_spacing": "trailing"}, 10, {}),
            "thresholding": (
                {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 2.5},
                10,
                {},
            ),
            "predict_sample": ({"prediction_type": "sample"}, 10, {}),
            "predict_v": ({"prediction_type": "v_prediction"}, 10, {}),
        },
    ),
    "euler": (
        euler,
        "EulerDiscreteScheduler",
        {
            "defaults": ({}, 10, {}),
            "karras": ({"use_karras_sigmas": True}, 10, {}),
            "karras_range": ({"use_karras_sigmas": True, "sigma_min": 0.002, "sigma_max": 80.0}, 10, {}),
            "churn": ({}, 10, {"s_churn": 4.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}),
            "spacing_leading": ({"timestep_spacing": "leading", "steps_offset": 1}, 10, {}),
            "spacing_trailing": ({"timestep_spacing": "trailing"}, 10, {}),
            "final_sigma_min": ({"final_sigmas_type": "sigma_min"}, 10, {}),
            "predict_v": ({"prediction_type": "v_prediction"}, 10, {}),
        },
    ),
    "heun": (
        heun,
        "HeunDiscreteScheduler",
        {
            "defaults": ({}, 8, {}),
            "ddpm_betas": ({"beta_start": 0.0001, "beta_end": 0.02}, 8, {}),
            "karras": ({"use_karras_sigmas": True}, 8, {}),
            "clip": ({"clip_sample": True}, 8, {}),
            "spacing_leading": ({"timestep_spacing": "leading", "steps_offset": 1}, 8, {}),
            "spacing_trailing": ({"timestep_spacing": "trailing"}, 8, {}),
            "predict_sample": ({"prediction_type": "sample"}, 8, {}),
            "predict_v": ({"prediction_type": "v_prediction"}, 8, {}),
        },
    ),
    "edm_euler": (
        edm_euler,
        "EDMEulerScheduler",
        {
            "defaults": ({}, 10, {}),
            "predict_v": ({"prediction_type": "v_prediction"}, 10, {}),
            "exponential": ({"sigma_schedule": "exponential"}, 10, {}),
            "churn": ({}, 10, {"s_churn": 4.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}),
        },
    ),
}


def _inputs() -> dict[str, torch.Tensor]:
    rng = generator("schedulers")
    return {
        "start": normal(rng, *_SHAPE),
        "offset": 0.5 * normal(rng, *_SHAPE),
        "variance": torch.tanh(normal(rng, *_SHAPE))
        .float()
        .double(),  # the second half of a learned_range output
        "noise": normal(rng, _LONGEST, *_SHAPE),
    }


def _model(inputs: dict[str, torch.Tensor], config: dict) -> Callable:
    def model(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        output = _GAIN * torch.cos(t.to(x.dtype) / 1000) * x + inputs["offset"].to(x.dtype)
        if config.get("variance_type") == "learned_range":
            output = torch.cat([output, inputs["variance"].to(x.dtype)], dim=1)
        return output

    return model


def _trajectory(
    module, class_name: str, case: tuple, inputs: dict, dtype: torch.dtype
) -> dict[str, torch.Tensor]:
    """One trajectory: x[0] is the start at the first noise level, x[k] the state after k calls of step()."""
    config, steps, options = case
    scheduler = getattr(module, class_name)(**config)
    if isinstance(steps, list):
        scheduler.set_timesteps(timesteps=steps)
    else:
        scheduler.set_timesteps(steps)
    model = _model(inputs, config)
    x = inputs["start"].to(dtype) * scheduler.init_noise_sigma
    states = [x]
    drawn = module.__dict__.get("randn_tensor")
    try:
        for k, t in enumerate(scheduler.timesteps):
            module.randn_tensor = lambda *_, k=k, **__: inputs["noise"][k].to(dtype)
            output = model(scheduler.scale_model_input(x, t), t)
            x = scheduler.step(output, t, x, **options).prev_sample
            states.append(x)
    finally:
        if drawn is not None:
            module.randn_tensor = drawn
    tensors = {"timesteps": scheduler.timesteps, "x": torch.stack(states)}
    if hasattr(scheduler, "sigmas"):
        tensors["sigmas"] = scheduler.sigmas
    return tensors


def _write_family(folder: Path, family: str, inputs: dict[str, torch.Tensor]) -> None:
    module, class_name, cases = _FAMILIES[family]
    tensors, rows = {}, []
    for name, case in cases.items():
        single = _trajectory(module, class_name, case, inputs, torch.float32)["x"]
        with double_precision(module):
            result = _trajectory(module, class_name, case, inputs, torch.float64)
        assert result["x"].dtype == torch.float64 and result["x"].isfinite().all(), (family, name)
        tensors |= {f"{name}/{key}": tensor for key, tensor in result.items()}
        config, steps, options = case
        call = {"timesteps": steps} if isinstance(steps, list) else {"num_inference_steps": steps}
        rows.append({"name": name, "config": config, "set_timesteps": call, "step": options})
        error = max(relative_error(*states) for states in zip(single, result["x"]))  # of each state separately
        print(f"{family + '/' + name:40s} diffusers in float32: {error:.1e}")
    write_tensors(folder / f"{family}.safetensors", tensors)
    write_json_lines(folder / f"{family}.json", "cases", rows, _class_name=class_name)


def _write_forward_process(folder: Path, inputs: dict[str, torch.Tensor]) -> None:
    """Noise schedules at every fiftieth step, x_t for given noise, and the v target of training."""
    schedules = {
        "linear": {},
        "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        "squaredcos_cap_v2": {"beta_schedule": "squaredcos_cap_v2"},
        "sigmoid": {"beta_schedule": "sigmoid"},
        "linear_zero_snr": {"rescale_betas_zero_snr": True},
        "squaredcos_cap_v2_zero_snr": {"beta_schedule": "squaredcos_cap_v2", "rescale_betas_zero_snr": True},
    }
    steps = torch.cat([torch.arange(0, 1000, 50), torch.tensor([998, 999])])
    timesteps = torch.tensor([37, 850])
    tensors, rows = {"steps": steps, "timesteps": timesteps}, []
    with double_precision(ddpm):
        for name, config in schedules.items():
            scheduler = ddpm.DDPMScheduler(**config)
            tensors |= {
                f"{name}/betas": scheduler.betas[steps],
                f"{name}/alphas_cumprod": scheduler.alphas_cumprod[steps],
                f"{name}/noised": scheduler.add_noise(inputs["start"], inputs["noise"][0], timesteps),
                f"{name}/velocity": scheduler.get_velocity(inputs["start"], inputs["noise"][0], timesteps),
            }
            rows.append({"name": name, "config": config})
    write_tensors(folder / "forward_process.safetensors", tensors)
    write_json_lines(folder / "forward_process.json", "cases", rows, _class_name="DDPMScheduler")


def write_scheduler_fixtures(folder: Path) -> None:
    inputs = _inputs()
    write_tensors(folder / "inputs.safetensors", inputs)
    _write_forward_process(folder, inputs)
    for family in _FAMILIES:
        _write_family(folder, family, inputs)
