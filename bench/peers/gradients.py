"""Compares one variant's gradients and one network evaluation with ours: errors by tensor, without a verdict.

    python gradients.py prepare --network tiny-32 --batch 4 --folder F      # weights, inputs, for both sides
    python gradients.py compare --network tiny-32 --variant eager --folder F --out errors.json
    python gradients.py compare-file --folder F --file G --output O --out errors.json

check_gradients.py runs it and judges the errors. F has a diffusers pipeline folder and the arrays below; ours adds
reference.safetensors, reference_loss.json and reference_output.npy.
"""

import argparse
import json
import pathlib

import numpy
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from network import capture, make_network, read_config, set_up_libraries
from programs import write_json
from sampling import Sampling
from training import TIMESTEPS, Training
from variants import VARIANTS

SAMPLING_STEPS = 2  # only the first is compared: t = 500 for every image


def prepare(options: argparse.Namespace) -> None:
    """PyTorch's initial weights, except that no normalization is the identity; one batch per mode."""
    from diffusers import DDPMScheduler

    network = make_network(options.network, VARIANTS["eager-fp32"], torch.device("cpu"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name:
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    options.folder.mkdir(parents=True, exist_ok=True)
    network.save_config(options.folder)
    DDPMScheduler().save_config(options.folder)
    save_file(network.state_dict(), options.folder / "diffusion_pytorch_model.safetensors", {"format": "pt"})

    size, batch, rng = read_config(options.network)["sample_size"], options.batch, numpy.random.default_rng(0)
    images = rng.integers(0, 256, (batch, size, size, 3), dtype=numpy.uint8)
    flip = rng.integers(0, 2, batch).astype(bool)
    t = rng.integers(0, TIMESTEPS, batch)
    noise = rng.standard_normal((batch, 3, size, size), dtype=numpy.float32)
    alpha_bar = numpy.cumprod(1 - numpy.linspace(1e-4, 0.02, TIMESTEPS))
    x = images.transpose(0, 3, 1, 2) * numpy.float32(2 / 255) - numpy.float32(1)
    x = numpy.where(flip[:, None, None, None], x[..., ::-1], x)
    signal, level = (factor[t][:, None, None, None] for factor in (numpy.sqrt(alpha_bar), numpy.sqrt(1 - alpha_bar)))
    arrays = {"images": images, "flip": flip, "t": t, "noise": noise,
              "x_t": (signal * x + level * noise).astype(numpy.float32),
              "sample_x": rng.standard_normal((batch, 3, size, size), dtype=numpy.float32),
              "sample_t": numpy.full(batch, TIMESTEPS // SAMPLING_STEPS, dtype=numpy.int64)}
    for name, array in arrays.items():
        numpy.save(options.folder / f"{name}.npy", array)


def repeated(work, variant, device: torch.device):
    """Runs often enough to replay what later runs replay: torch.compile records its graphs in its second run."""
    for _ in range(3 if variant.compile_mode == "max-autotune" else 1):
        torch.compiler.cudagraph_mark_step_begin()
        result = work()
    return result


def variant_gradients(options: argparse.Namespace, arrays: dict, device: torch.device) -> tuple[float, dict, dict]:
    """The loss, the gradients by name, and the number of convolutions with channels_last inputs (eager only)."""
    variant = VARIANTS[options.variant]
    training = Training(options.network, variant, options.batch, arrays["images"], device, dropout=0)
    load_weights(training.network, options.folder)
    inputs = (training.images, torch.from_numpy(arrays["flip"]).to(device).view(-1, 1, 1, 1),
              torch.from_numpy(arrays["t"]).to(device), torch.from_numpy(arrays["noise"]).to(device))
    if variant.channels_last:  # like randn_like(images)
        inputs = (*inputs[:3], inputs[3].contiguous(memory_format=torch.channels_last))
    layout = {}
    if variant.compile_mode is None and not variant.graph:
        layout = count_channels_last(training.network)
    loss = torch.zeros((), device=device)

    def step():
        loss.copy_(training.differentiate(*inputs).detach())

    if variant.graph:
        capture(step, device)()
    else:
        repeated(step, variant, device)
    gradients = {name: parameter.grad.float().cpu().numpy() for name, parameter in training.network.named_parameters()}
    return loss.item(), gradients, layout


def variant_output(options: argparse.Namespace, arrays: dict, device: torch.device) -> numpy.ndarray:
    """The model output, derived from the result of a sampling step."""
    variant = VARIANTS[options.variant]
    sampling = Sampling(options.network, variant, options.batch, SAMPLING_STEPS, device)
    load_weights(sampling.network, options.folder)
    x = torch.from_numpy(arrays["sample_x"]).to(device)

    def step():
        sampling.x.copy_(x)
        sampling.index.zero_()
        sampling()
        return sampling.x

    with torch.inference_mode():
        if variant.graph:
            step()  # captures
        following = repeated(step, variant, device).double()
        eps = (following - x.double() * sampling.of_x[0].double()) / sampling.of_eps[0].double()
    return eps.cpu().numpy()


def load_weights(network, folder: pathlib.Path) -> None:
    from safetensors.torch import load_file as load_tensors
    network.load_state_dict(load_tensors(folder / "diffusion_pytorch_model.safetensors"))


def count_channels_last(network) -> dict:
    counts = {"convolutions": 0, "inputs": 0, "weights": 0}

    def look(module, inputs):
        counts["convolutions"] += 1
        counts["inputs"] += inputs[0].is_contiguous(memory_format=torch.channels_last)
        counts["weights"] += module.weight.is_contiguous(memory_format=torch.channels_last)

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_pre_hook(look)
    return counts


def tensor_errors(found: dict, reference: dict) -> list[dict]:
    """In double. A missing or misshapen tensor has the error NaN."""
    errors = []
    for name, wanted in sorted(reference.items()):
        wanted = wanted.astype(numpy.float64).reshape(-1)
        got = found.get(name)
        fits = got is not None and got.size == wanted.size
        difference = got.astype(numpy.float64).reshape(-1) - wanted if fits else numpy.full(wanted.size, numpy.nan)
        errors.append({"name": name, "elements": wanted.size, "norm": float(numpy.linalg.norm(wanted)),
                       "error": float(numpy.linalg.norm(difference)),
                       "largest_error": float(numpy.max(numpy.abs(difference), initial=0))})
    return errors


def reference(folder: pathlib.Path) -> tuple[float, dict, numpy.ndarray]:
    return (json.loads((folder / "reference_loss.json").read_text()), load_file(folder / "reference.safetensors"),
            numpy.load(folder / "reference_output.npy"))


def compare(options: argparse.Namespace) -> None:
    """Writes the results of each mode as soon as they are known."""
    loss, gradients, output = reference(options.folder)
    arrays = {path.stem: numpy.load(path) for path in options.folder.glob("*.npy")}
    options.batch = len(arrays["t"])
    device = torch.device(options.device)
    set_up_libraries(VARIANTS[options.variant], options.benchmark_limit)
    if VARIANTS[options.variant].precision == "fp32":  # cuDNN's default, TF32, is not accurate enough
        torch.backends.cudnn.allow_tf32 = False
    report = {"cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None, "cuda": torch.version.cuda}
    if "train" in options.modes:
        found_loss, found, layout = variant_gradients(options, arrays, device)
        report["train"] = {"loss": found_loss, "reference_loss": loss, "tensors": tensor_errors(found, gradients),
                           "channels_last": layout}
        write_json(options.out, report)
    if "sample" in options.modes:
        report["sample"] = {"tensors": tensor_errors({"output": variant_output(options, arrays, device)},
                                                     {"output": output})}
        write_json(options.out, report)


def compare_file(options: argparse.Namespace) -> None:
    loss, gradients, output = reference(options.folder)
    write_json(options.out, {
        "train": {"loss": options.loss, "reference_loss": loss,
                  "tensors": tensor_errors(load_file(options.file), gradients)},
        "sample": {"tensors": tensor_errors({"output": numpy.load(options.output)}, {"output": output})}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["prepare", "compare", "compare-file"])
    parser.add_argument("--network")
    parser.add_argument("--variant", choices=list(VARIANTS))
    parser.add_argument("--modes", nargs="+", choices=["train", "sample"], default=["train", "sample"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--file", type=pathlib.Path, help="gradients, safetensors")
    parser.add_argument("--output", type=pathlib.Path, help="model output, .npy")
    parser.add_argument("--loss", type=float)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--benchmark-limit", type=int, default=0, help="number of cuDNN algorithms to try (0: none)")
    options = parser.parse_args()
    {"prepare": prepare, "compare": compare, "compare-file": compare_file}[options.command](options)


if __name__ == "__main__":
    main()
