"""The network that both sides run: diffusers.UNet2DModel from a preset's configuration."""

import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import types

import torch
import torch._inductor.config


def stand_in(name: str) -> None:
    """A module whose every attribute is a class, for imports of diffusers that no network needs."""
    if importlib.util.find_spec(name) is not None:
        return

    def attribute(wanted: str):
        if wanted.startswith("__"):  # attributes that Python queries
            raise AttributeError(wanted)
        return type(wanted, (), {})

    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    module.__path__ = []
    module.__version__ = "0"
    module.__getattr__ = attribute
    sys.modules[name] = module
    package, _, child = name.rpartition(".")
    if package:
        setattr(sys.modules[package], child, module)


# Images and downloads, so that diffusers needs only PyTorch, huggingface_hub and safetensors.
for stood_in in ("PIL", "PIL.Image", "PIL.ImageOps", "requests", "requests.exceptions"):
    stand_in(stood_in)

# Optional imports that no network needs, but that would take seconds at each start and might fail.
HIDDEN = tuple(name for name in ("accelerate", "bitsandbytes", "flash_attn", "flax", "jax", "onnx", "onnxruntime", "peft",
                                 "torchvision", "transformers", "xformers") if name not in sys.modules)
sys.modules.update(dict.fromkeys(HIDDEN))  # None hides a module from Python

# diffusers checks package versions and refuses to be imported without some that only those modules would need.
unchecked = types.ModuleType("diffusers.dependency_versions_check")
unchecked.dep_version_check = lambda package, hint=None: None
sys.modules[unchecked.__name__] = unchecked

import diffusers.models.upsampling  # noqa: E402  (the stand-ins come first)
from diffusers import UNet2DModel  # noqa: E402

from variants import Variant  # noqa: E402

for hidden in HIDDEN:
    del sys.modules[hidden]

NETWORKS = pathlib.Path(__file__).parent / "networks"


def set_up_libraries(variant: Variant, benchmark_limit: int = 0) -> None:
    """cuDNN tries all of its algorithms, or the given number of best guesses; torch.compile sees the whole network."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = benchmark_limit
    if variant.precision == "bf16":  # the parts that autocast leaves in fp32
        torch.set_float32_matmul_precision("high")
    if variant.autotunes:  # 1x1 convolutions may also be tuned as GEMMs
        torch._inductor.config.conv_1x1_as_mm = True
    # The upsampling layer checks PyTorch's version in each forward pass. Tracing `packaging` as it parses the version
    # breaks the graph or fails (packaging 26 with torch 2.8), so the result is fixed here.
    diffusers.models.upsampling.is_torch_version = lambda operation, version: False


def read_config(name: str) -> dict:
    return json.loads((NETWORKS / f"{name}.json").read_text())


def make_network(name: str, variant: Variant, device: torch.device, dropout: float | None = None) -> UNet2DModel:
    """Builds the network, optionally with another dropout rate."""
    torch.manual_seed(0)
    config = read_config(name) | ({} if dropout is None else {"dropout": dropout})
    network = UNet2DModel.from_config(config).to(device)
    if variant.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def capture(step, device: torch.device):
    """Captures step() as a CUDA graph after three warm-up runs; returns a function that replays it."""
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream(device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
