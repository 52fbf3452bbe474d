"""The PyTorch configurations that ours is compared with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One way to run the network. The `best` ones compete; the others are common configurations."""

    name: str
    precision: str = "bf16"  # bf16: autocast in training, bf16 weights in sampling; fp32: PyTorch's defaults
    channels_last: bool = True
    compile_mode: str | None = None  # of torch.compile; None: eager
    graph: bool = False  # captures the whole step as one CUDA graph
    best: bool = True

    @property
    def autotunes(self) -> bool:
        return self.compile_mode is not None and self.compile_mode.startswith("max-autotune")

    @property
    def needs_gpu(self) -> bool:
        """Whether it uses CUDA graphs, its own or torch.compile's."""
        return self.graph or self.compile_mode == "max-autotune"


# torch.compile's own CUDA graphs (max-autotune) exclude the optimizer, the clipping and the average; a graph of the
# whole step includes them, but then the compiled parts must not use graphs themselves.
VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("eager-fp32", precision="fp32", channels_last=False, best=False),
        Variant("eager", best=False),
        Variant("eager-graph", graph=True),
        Variant("compile", compile_mode="default"),
        Variant("compile-graph", compile_mode="default", graph=True),
        Variant("max-autotune", compile_mode="max-autotune"),
        Variant("max-autotune-graph", compile_mode="max-autotune-no-cudagraphs", graph=True),
    )
}
