"""Schedule and sampler of the diffusion, as plain functions; noise always comes from the caller.

A cosine schedule with zero terminal signal-to-noise: at timestep 1 there is noise alone, and what the
denoiser predicts there depends on the index alone.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def signal_and_noise(timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of signal and noise at timesteps in [0, 1], shaped to multiply (N, C, h, w)."""
    angles = timesteps.view(-1, 1, 1, 1) * (math.pi / 2)
    return angles.cos(), angles.sin()


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Noisy latents of clean ones: (N, C, h, w) each, timesteps (N,)."""
    signal, sigma = signal_and_noise(timesteps)
    return signal * latents + sigma * noise


def sample_ddim(predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int) -> Tensor:
    """Latents from noise by deterministic steps (DDIM, Song et al. 2021, equation 12 with eta 0).

    Args:
        predict: (noisy_latents, timesteps (N,)) -> x0.
        noise: (N, C, h, w).
        steps: calls of ``predict``; with 1, x0 is predicted from the noise at once.
    """
    current = noise
    for step in range(steps):
        timesteps, following = (torch.full((len(noise),), 1 - i / steps, device=noise.device) for i in (step, step + 1))
        latents = predict(current, timesteps)
        signal, sigma = signal_and_noise(timesteps)
        direction = (current - signal * latents) / sigma
        current = add_noise(latents, direction, following)
    return current
