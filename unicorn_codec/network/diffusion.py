"""Schedule and sampler of the diffusion, as plain functions; noise always comes from the caller.

A cosine schedule with zero terminal signal-to-noise: at timestep 1 there is noise alone, and what the
denoiser predicts there depends on the index alone. Where it predicts the noise instead, clean latents do not
follow from that at timestep 1: sampling then starts a little below.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

LAST_TIMESTEP_WITH_SIGNAL = 0.999
"""Timestep at which sampling starts where the denoiser predicts the noise."""

LATENT_LIMIT_STDS = 4.0
"""Deviations of the latents within which clean latents lie that are computed from a predicted noise."""


def signal_and_noise(timesteps: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of signal and noise at timesteps in [0, 1], shaped to multiply (N, C, h, w)."""
    angles = timesteps.view(-1, 1, 1, 1) * (math.pi / 2)
    return angles.cos(), angles.sin()


def add_noise(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Noisy latents of clean ones: (N, C, h, w) each, timesteps (N,)."""
    signal, sigma = signal_and_noise(timesteps)
    return signal * latents + sigma * noise


def latents_from_noise(predicted_noise: Tensor, noisy_latents: Tensor, timesteps: Tensor, limit: float) -> Tensor:
    """Clean latents that a predicted noise leaves, held within +-``limit``.

    Without a limit, an error of the noise would be a thousand times as large in the latents of the first step.

    Args:
        timesteps: (N,), at most ``LAST_TIMESTEP_WITH_SIGNAL``.
    """
    signal, sigma = signal_and_noise(timesteps)
    return ((noisy_latents - sigma * predicted_noise) / signal).clamp(-limit, limit)


def sample_ddim(
    predict: Callable[[Tensor, Tensor], Tensor], noise: Tensor, steps: int, *, highest: float = 1.0
) -> Tensor:
    """Latents from noise by deterministic steps (DDIM, Song et al. 2021, equation 12 with eta 0).

    Args:
        predict: (noisy_latents, timesteps (N,)) -> x0.
        noise: (N, C, h, w).
        steps: calls of ``predict``; with 1, x0 is predicted from the noise at once.
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
