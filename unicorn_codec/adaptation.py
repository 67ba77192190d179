"""What an archive adds to the embedded decoder: a low-rank change of its convolutions, fitted to the image set.

The decoder is the denoiser of codes: told how coarse the latents are, it restores what quantisation took, from
what it knows of pictures in general. The change teaches it what the pictures of one set have in common.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unicorn_codec.coding_autoencoder import CodingAutoencoder
from unicorn_codec.structure import ms_ssim

STEP_OF_RMS = 0.5
"""Quantisation step of a row of the change, in units of its root mean square: about 3 bits a value."""

RATE = 2e-3
PIXELS_PER_BATCH = 1 << 18
STRUCTURE = 600.0
"""Squared error (255 scale) that a whole unit of MS-SSIM is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Equally sized cuts of pictures with what their codes say.

    Args:
        pixels: (N, 3, H, W) uint8.
        symbols: (N, C, h, w) int16 quantised latents.
    """

    pixels: Tensor
    symbols: Tensor


def convolutions(network: CodingAutoencoder) -> Iterator[tuple[str, nn.Conv2d]]:
    """The decoder's convolutions with their names, in order."""
    for name, module in network.decoder.named_modules():
        if isinstance(module, nn.Conv2d):
            yield name, module


def change_shapes(network: CodingAutoencoder, rank: int) -> dict[str, tuple[int, int]]:
    """Rows and columns of a change's tensors, in the order of the file.

    A kernel of shape (out, in, k, k) changes by ``left`` transposed times ``right``, a bias by ``bias``.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for name, layer in convolutions(network):
        shapes[f"{name}.bias"] = (1, layer.out_channels)
        shapes[f"{name}.left"] = (rank, layer.out_channels)
        shapes[f"{name}.right"] = (rank, layer.weight[0].numel())
    return shapes


def changed_parameters(network: CodingAutoencoder, change: dict[str, Tensor]) -> dict[str, Tensor]:
    """The decoder's parameters with a change applied."""
    parameters: dict[str, Tensor] = {}
    for name, layer in convolutions(network):
        kernel = change[f"{name}.left"].T @ change[f"{name}.right"]
        assert layer.bias is not None
        parameters[f"decoder.{name}.weight"] = layer.weight + kernel.view_as(layer.weight)
        parameters[f"decoder.{name}.bias"] = layer.bias + change[f"{name}.bias"][0]
    return parameters
