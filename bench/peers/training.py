"""A training step as an expert would write it: everything on the GPU, no readback in the loop."""

import numpy
import torch
import torch.nn.functional as F

from network import capture, make_network
from variants import Variant

TIMESTEPS = 1000
EMA_DECAY = 0.9999


class Training:
    """A call runs one step: random images, times and noise, loss, gradients, clipped AdamW, moving average."""

    def __init__(self, network: str, variant: Variant, batch: int, images: numpy.ndarray, device: torch.device,
                 dropout: float | None = None):
        self.device, self.batch, self.variant = device, batch, variant
        # (count, H, W, C) in memory, seen as (count, C, H, W): natively channels_last.
        self.images = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)
        if not variant.channels_last:
            self.images = self.images.contiguous()
        betas = torch.linspace(1e-4, 0.02, TIMESTEPS, dtype=torch.float64)
        alpha_bar = torch.cumprod(1 - betas, 0)
        self.signal = alpha_bar.sqrt().float().to(device).view(-1, 1, 1, 1)
        self.noise_level = (1 - alpha_bar).sqrt().float().to(device).view(-1, 1, 1, 1)

        self.network = make_network(network, variant, device, dropout).train()
        self.parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=2e-4, weight_decay=0, fused=True,
                                           capturable=device.type == "cuda")
        self.loss = torch.zeros((), device=device)  # read outside the loop
        self._loss_of = self._loss
        if variant.compile_mode:
            self._loss_of = torch.compile(self._loss, mode=variant.compile_mode)
        self._run = None

    def __call__(self) -> None:
        if self._run is None:
            self._run = capture(self._step, self.device) if self.variant.graph else self._step
        self._run()

    def compile(self) -> None:
        """Triggers compilation with as little work for the device as possible."""
        self.differentiate(*self.draw())

    def _loss(self, images, flip, t, noise):
        x = images.float() * (2 / 255) - 1
        x = torch.where(flip, x.flip(3), x)
        x_t = self.signal[t] * x + self.noise_level[t] * noise
        # Autocast's cache of cast weights must not outlive the captured step.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.variant.precision == "bf16",
                            cache_enabled=not self.variant.graph):
            prediction = self.network(x_t, t, return_dict=False)[0]
        return F.mse_loss(prediction.float(), noise)

    def draw(self):
        """Images (uint8), flips, times and noise of one step."""
        index = torch.randint(self.images.shape[0], (self.batch,), device=self.device)
        images = self.images[index]
        flip = torch.rand(self.batch, 1, 1, 1, device=self.device) < 0.5
        t = torch.randint(TIMESTEPS, (self.batch,), device=self.device)
        return images, flip, t, torch.randn_like(images, dtype=torch.float32)

    def differentiate(self, images, flip, t, noise) -> torch.Tensor:
        """Computes the loss and each parameter's gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss_of(images, flip, t, noise)
        loss.backward()
        return loss

    def _step(self) -> None:
        loss = self.differentiate(*self.draw())
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - EMA_DECAY)
        self.loss.copy_(loss.detach())
