"""Deterministic DDIM (Song et al. 2021, eta = 0), entirely on the GPU."""

import torch

from network import capture, make_network
from training import TIMESTEPS
from variants import Variant


class Sampling:
    """A call runs one step, one network evaluation, of the `steps` that generate a batch of images."""

    def __init__(self, network: str, variant: Variant, batch: int, steps: int, device: torch.device):
        self.variant, self.steps = variant, steps
        self.dtype = torch.bfloat16 if variant.precision == "bf16" else torch.float32
        self.network = make_network(network, variant, device).eval().to(self.dtype)
        alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, TIMESTEPS, dtype=torch.float64), 0)
        t = torch.arange(steps).flip(0) * (TIMESTEPS // steps)
        before = torch.cat([alpha_bar[t[1:]], torch.ones(1, dtype=torch.float64)])
        # x' = x * of_x + eps * of_eps
        of_x = (before / alpha_bar[t]).sqrt()
        of_eps = (1 - before).sqrt() - of_x * (1 - alpha_bar[t]).sqrt()
        self.t, self.of_x, self.of_eps = t.to(device), of_x.float().to(device), of_eps.float().to(device)
        # One element rather than a scalar: indexing by a scalar tensor would copy it to the host.
        self.index = torch.zeros(1, dtype=torch.long, device=device)
        config = self.network.config
        shape = (batch, config.in_channels, config.sample_size, config.sample_size)
        form = torch.channels_last if variant.channels_last else torch.contiguous_format
        self.x = torch.randn(shape, device=device).to(memory_format=form)
        self._next_of = self._next
        if variant.compile_mode:
            self._next_of = torch.compile(self._next, mode=variant.compile_mode)
        self._run = None

    @torch.inference_mode()
    def __call__(self) -> None:
        if self._run is None:
            self._run = capture(self._step, self.x.device) if self.variant.graph else self._step
        self._run()

    @torch.inference_mode()
    def compile(self) -> None:
        """Triggers compilation with as little work for the device as possible."""
        self._step()

    def _next(self, x, index):
        eps = self.network(x.to(self.dtype), self.t[index].expand(x.shape[0]), return_dict=False)[0]
        return x * self.of_x[index] + eps.float() * self.of_eps[index]

    def _step(self) -> None:
        self.x.copy_(self._next_of(self.x, self.index))
        self.index.copy_((self.index + 1) % self.steps)
