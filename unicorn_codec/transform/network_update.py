"""Update of an autoencoder's convolutions: gains of their inputs and outputs, shifts of their biases, low ranks.

Gains and shifts are few numbers, and most of what a picture set has in common is learned by them. A low-rank change of
the decoder's kernels (Hu et al., 2021, "LoRA") takes some 20 times as many numbers for each rank.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder


def convolutions(network: CodingAutoencoder) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the convolutions of the encoder, if there is one, then of the decoder, with their names, in order."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield name, module


def kernels_of(network: CodingAutoencoder) -> dict[str, tuple[int, ...]]:
    """Return the shapes (out, in, k, k) of the convolutions by name, in order."""
    return {name: tuple(layer.weight.shape) for name, layer in convolutions(network)}


def updated_parameters(network: CodingAutoencoder, update: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the network's parameters with an update applied, differentiable by the update."""
    parameters: dict[str, Tensor] = {}
    for name, layer in convolutions(network):
        assert layer.bias is not None
        kernel = layer.weight * (1 + update[f"{name}.out"][0].view(-1, 1, 1, 1))
        kernel = kernel * (1 + update[f"{name}.in"][0].view(1, -1, 1, 1))
        if f"{name}.left" in update:
            kernel = kernel + (update[f"{name}.left"].T @ update[f"{name}.right"]).view_as(kernel)
        parameters[f"{name}.weight"] = kernel.contiguous(memory_format=torch.channels_last)
        parameters[f"{name}.bias"] = layer.bias + update[f"{name}.bias"][0]
    return parameters
