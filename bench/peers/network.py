"""The network of both sides: diffusers.UNet2DModel from a preset's configuration."""

import json
import pathlib

import diffusers.models.upsampling
import torch
import torch._inductor.config
from diffusers import UNet2DModel

from variants import Variant

NETWORKS = pathlib.Path(__file__).parent / "networks"


def set_up_libraries(variant: Variant) -> None:
    """cuDNN tries every algorithm it has, without a limit on their number; torch.compile sees the whole network."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.benchmark_limit = 0
    if variant.precision == "bf16":  # what autocast leaves in fp32
        torch.set_float32_matmul_precision("high")
    if variant.autotunes:  # 1x1 convolutions may be tuned as products too
        torch._inductor.config.conv_1x1_as_mm = True
    # The upsampling layer asks for PyTorch's version in each forward pass. Tracing how `packaging` parses it breaks
    # the graph, or fails (packaging 26 with torch 2.8); the answer is known.
    diffusers.models.upsampling.is_torch_version = lambda operation, version: False


def make_network(name: str, variant: Variant, device: torch.device) -> UNet2DModel:
    torch.manual_seed(0)
    config = json.loads((NETWORKS / f"{name}.json").read_text())
    network = UNet2DModel.from_config(config).to(device)
    if variant.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network


def capture(step, device: torch.device):
    """The work of step() as a CUDA graph; returns what replays it. Three runs warm up what is chosen lazily."""
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
