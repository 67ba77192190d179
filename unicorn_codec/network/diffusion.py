"""Noise schedule and sampler of the diffusion, as plain functions. The caller supplies all noise.

The schedule is a cosine with zero terminal signal-to-noise ratio: at timestep 1 there is pure noise, and the denoiser's
prediction depends on the index alone. A predicted noise does not determine clean latents at timestep 1, so sampling
starts a little below it where the denoiser predicts the noise.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LAST_TIMESTEP_WITH_SIGNAL = 0.999
"""Timestep at which sampling starts where the denoiser predicts the noise."""

LATENT_LIMIT_STDS = 4.0
"""Limit of clean latents computed from a predicted noise, in standard deviations of the latents."""


def signal_and_noise(timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors of signal and noise at timesteps in [0, 1], shaped to multiply (N, C, h, w)."""
    angles = timesteps.view(-1, 1, 1, 1) * (math.pi / 2)
    return angles.cos(), angles.sin()


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Add noise to clean latents: (N, C, h, w) each, timesteps (N,)."""
    signal, sigma = signal_and_noise(timesteps)
    return signal * latents + sigma * noise


def latents_from_noise(predicted_noise: Tensor, noisy_latents: Tensor, timesteps: Tensor, limit: float) -> Tensor:
    """Return the clean latents that a predicted noise implies, clamped to +-``limit``.

    Without the limit, an error in the noise would be a thousand times as large in the latents of the first step.

    Args:
        timesteps: (N,), at most ``LAST_TIMESTEP_WITH_SIGNAL``.
    """
    signal, sigma = signal_and_noise(timesteps)
    return ((noisy_latents - sigma * predicted_noise) / signal).clamp(-limit, limit)


def sample_ddim(
    predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int, *, highest: float = 1.0
) -> Tensor:
    """Sample latents from noise by deterministic steps (DDIM, Song et al. 2021, equation 12 with eta 0).

    Args:
        predict: (noisy_latents, timesteps (N,)) -> x0.
        noise: (N, C, h, w).
        steps: number of calls of ``predict``. With 1, x0 is predicted directly from the noise.
        highest: timestep of the first call.
    """
    current = noise
    for step in range(steps):
        timesteps, following = (
            torch.full((len(noise),), min(1 - i / steps, highest), device=noise.device) for i in (step, step + 1)
        )
        latents = predict(current, timesteps)
        signal, sigma = signal_and_noise(timesteps)
        direction = (current - signal * latents) / sigma
        current = add_noise(latents, direction, following)
    return current
