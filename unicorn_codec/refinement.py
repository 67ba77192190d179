"""Rate-distortion optimisation of codes: latents are moved until the decoder makes a better picture of fewer bits.

The encoder gives a picture the latents that suit pictures in the mean. The decoder is what it is, so those that suit
this picture can be searched for by gradient descent (Campos et al., 2019, "Content adaptive optimization for neural
image compression"): the rounded latents are decoded and priced, and what that cost says of them moves the unrounded
ones, as if rounding were not there. Nothing in the format knows of it.
"""

import torch
from torch import Tensor

from unicorn_codec.autoencoder import EmbeddedAutoencoder
from unicorn_codec.code_model import level_of
from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.rate_model import RateModel
from unicorn_codec.structure import ms_ssim
from unicorn_codec.tiling import spans

SLOPE = 30.0
"""Squared error (255 scale) that a bit per pixel is worth, over the squared step: with it the rate stays as it is."""

SQUARED_ERROR = 0.7
STRUCTURE = 1000.0
"""Weights of the squared error and of 1 - MS-SSIM in the distortion."""

PACE = 4e-4
MOMENTUM = 0.5
"""A value moves by PACE steps for each bit a step of its gradient, less in later rounds."""

PIECE_CELLS = 32
MARGIN_CELLS = 2
"""Large pictures are refined in pieces of so many latents a side, decoded with so many around them."""

PIXELS_AT_ONCE = 1 << 19
"""What is decoded together, about: keeps the gradients' memory at some hundred megabytes."""


def refine_latents(
    autoencoder: EmbeddedAutoencoder, rate: RateModel, pixels: Tensor, latents: Tensor, step: float, rounds: int
) -> Tensor:
    """Latents to round instead of the encoder's.

    Args:
        pixels: (N, H, W, 3) uint8.
        latents: (N, C, h, w) the encoder's.
        step: quantisation step that they are to be rounded with.
        rounds: of descent; each decodes the pictures and goes back through the decoder once.

    Returns:
        (N, C, h, w). Of no piece of a picture the cost, distortion and rate together, is higher than before.
    """
    cell, refined = autoencoder.reference.downsampling, latents.clone()
    for row in spans(latents.shape[2], PIECE_CELLS, MARGIN_CELLS):
        for column in spans(latents.shape[3], PIECE_CELLS, MARGIN_CELLS):
            part = refined[:, :, row.taken(1), column.taken(1)].to(autoencoder.device)
            shown = pixels[:, row.taken(cell), column.taken(cell)].to(autoencoder.device).permute(0, 3, 1, 2)
            best = _descend(autoencoder, rate, shown.float() / 127.5 - 1, part, step, rounds).cpu()
            refined[:, :, row.given(1), column.given(1)] = best[:, :, row.kept(1), column.kept(1)]
    return refined


def _descend(
    autoencoder: EmbeddedAutoencoder, rate: RateModel, images: Tensor, latents: Tensor, step: float, rounds: int
) -> Tensor:
    symbols = latents / step
    best, velocity = symbols, torch.zeros_like(symbols)
    lowest = torch.full((len(symbols),), torch.inf, device=symbols.device)
    for number in range(rounds + 1):
        symbols = symbols.detach().requires_grad_(number < rounds)
        with torch.set_grad_enabled(number < rounds):
            rounded = symbols + (symbols.round() - symbols).detach()
            cost = cost_in_bits(autoencoder, rate, images, rounded, step)
        best = torch.where((cost < lowest).view(-1, 1, 1, 1), symbols.detach(), best)
        lowest = torch.minimum(lowest, cost.detach())
        if number < rounds:
            (gradient,) = torch.autograd.grad(cost.sum(), symbols)
            velocity = MOMENTUM * velocity + gradient
            symbols = symbols - PACE * (1 - number / rounds) ** 0.5 * velocity
    return best * step


def cost_in_bits(
    autoencoder: EmbeddedAutoencoder, rate: RateModel, images: Tensor, symbols: Tensor, step: float
) -> Tensor:
    """(N,) bits that the symbols take, and what their distortion is worth in bits."""
    height, width = images.shape[2:]
    levels = torch.full((len(symbols),), level_of(step), device=symbols.device)
    bits = rate.bits(symbols, levels).sum((1, 2, 3))
    with torch.autocast(symbols.device.type, torch.bfloat16, enabled=has_fast_bfloat16(symbols.device)):
        decoded = autoencoder.decode(symbols * step, step)
    decoded = decoded.float()[:, :, :height, :width]
    squared = (decoded - images).square().mean((1, 2, 3)) * 127.5**2
    similarity = ms_ssim(decoded / 2 + 0.5, images / 2 + 0.5, without=1)
    distortion = SQUARED_ERROR * squared + STRUCTURE * (1 - similarity)
    return bits + height * width * distortion / (SLOPE * step**2)
