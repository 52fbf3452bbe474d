"""The ways to set PyTorch up that ours is measured against."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One way to run the network. `best` ones compete; the others are what many users run."""

    name: str
    precision: str = "bf16"  # bf16: autocast in training, bf16 weights in sampling; fp32: PyTorch's defaults
    channels_last: bool = True
    compile_mode: str | None = None  # of torch.compile; None: eager
    graph: bool = False  # the whole step as one CUDA graph of ours around whatever runs
    best: bool = True

    @property
    def autotunes(self) -> bool:
        return self.compile_mode is not None and self.compile_mode.startswith("max-autotune")

    @property
    def needs_gpu(self) -> bool:
        """For CUDA graphs, its own or torch.compile's."""
        return self.graph or self.compile_mode == "max-autotune"


# torch.compile's own CUDA graphs (max-autotune) leave the optimiser, the clipping and the average outside; a graph
# around the whole step takes them in, and then the compiled parts must bring none of their own.
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
