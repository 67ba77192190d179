"""Update of the decoder: a low-rank, quantised change of its convolutions, fitted to a set and stored in its archive.

The decoder denoises codes: given the quantisation step of the latents, it restores what quantisation removed, from its
knowledge of pictures in general. The update adds what the pictures of one set have in common.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unicorn_codec.devices import has_fast_bfloat16
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.distortion import distortion
from unicorn_codec.weights.weight_coding import QuantisedRows, decode_rows, encode_rows, nearest_steps, quantise_rows

STEP_IN_RMS = 0.5
"""Quantisation step of a row, in units of the row's root mean square: about 3 bits per value."""

ROUNDED_FROM = 2 / 3
"""Fraction of the fit from which the decoder is trained with the update as the file will store it."""

LEARNING_RATE = 2e-3
PIXELS_PER_BATCH = 1 << 18
EVALUATION_WINDOWS = 64


@dataclass(frozen=True, slots=True)
class TrainingWindows:
    """Training windows of one size, cut from pictures, with their latents.

    Args:
        pixels: (N, 3, H, W) uint8.
        latents: (N, C, h, w) float16, raw.
    """

    pixels: Tensor
    latents: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def convolutions(network: CodingAutoencoder) -> Iterator[tuple[str, nn.Conv2d]]:
    """Yield the decoder's convolutions with their names, in order."""
    for name, module in network.decoder.named_modules():
        if isinstance(module, nn.Conv2d):
            yield name, module


def update_shapes(network: CodingAutoencoder, rank: int) -> dict[str, tuple[int, int]]:
    """Return rows and columns of an update's tensors, in the order of the file.

    A kernel of shape (out, in, k, k), taken as a matrix of out rows, is updated by the product of ``left`` transposed
    and ``right``, and a bias by ``bias``.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for name, layer in convolutions(network):
        shapes[f"{name}.bias"] = (1, layer.out_channels)
        if rank:
            shapes[f"{name}.left"] = (rank, layer.out_channels)
            shapes[f"{name}.right"] = (rank, layer.weight[0].numel())
    return shapes


def updated_parameters(network: CodingAutoencoder, update: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the decoder's parameters with an update applied."""
    parameters: dict[str, Tensor] = {}
    for name, layer in convolutions(network):
        assert layer.bias is not None
        parameters[f"{name}.weight"] = layer.weight
        parameters[f"{name}.bias"] = layer.bias
        if f"{name}.bias" in update:  # an update without tensors changes nothing
            parameters[f"{name}.bias"] = layer.bias + update[f"{name}.bias"][0]
        if f"{name}.left" in update:
            kernel = update[f"{name}.left"].T @ update[f"{name}.right"]
            parameters[f"{name}.weight"] = layer.weight + kernel.view_as(layer.weight)
    return parameters


def updated_network(network: CodingAutoencoder, update: Mapping[str, Tensor]) -> CodingAutoencoder:
    """Return a copy of the network that decodes with an update."""
    updated = copy.deepcopy(network)
    updated.decoder.load_state_dict(updated_parameters(network, update))
    return updated


def serialize_update(update: Mapping[str, QuantisedRows], rank: int) -> bytes:
    """Serialise an update as the payload of TUNE."""
    return bytes([rank]) + encode_rows(list(update.values()))


def parse_update(payload: bytes, network: CodingAutoencoder) -> dict[str, Tensor]:
    """Parse the payload of TUNE for the network that it updates. Raises ``InvalidField``."""
    if not payload or payload[0] > MAX_RANK:
        raise InvalidField(f"TUNE: the rank is {payload[0] if payload else 'missing'}, allowed are 0 to {MAX_RANK}")
    shapes = update_shapes(network, payload[0])
    rows = decode_rows(payload[1:], list(shapes.values()))
    device = next(network.parameters()).device
    return {name: torch.from_numpy(one.values).to(device) for name, one in zip(shapes, rows, strict=True)}


def quantise_update(update: Mapping[str, Tensor]) -> dict[str, QuantisedRows]:
    """Round every row to multiples of about ``STEP_IN_RMS`` of its root mean square."""
    return {name: _quantise(tensor) for name, tensor in update.items()}


def _quantise(tensor: Tensor) -> QuantisedRows:
    values = tensor.detach().cpu().numpy()
    return quantise_rows(values, nearest_steps(STEP_IN_RMS * np.sqrt(np.mean(values**2, axis=1))))


def _as_stored(tensor: Tensor) -> Tensor:
    """Round a tensor as the file stores it, with a straight-through gradient."""
    stored = torch.from_numpy(_quantise(tensor).values).to(tensor.device)
    return tensor + (stored - tensor).detach()


def start_update(network: CodingAutoencoder, rank: int, seed: int) -> dict[str, Tensor]:
    """Return an initial update, which changes nothing."""
    check(0 <= rank <= MAX_RANK, f"the rank must be 0 to {MAX_RANK}, not {rank}")
    generator = torch.Generator().manual_seed(seed)
    update = {}
    for name, shape in update_shapes(network, rank).items():
        start = torch.zeros(shape)
        if name.endswith("right"):
            start = torch.randn(shape, generator=generator) / shape[1] ** 0.5
        update[name] = start.to(next(network.parameters()).device)
    return update


def fit_update(
    network: CodingAutoencoder,
    groups: Sequence[TrainingWindows],
    step: float,
    *,
    rank: int,
    batches: int,
    seed: int,
    progress: Callable[[int, int], None],
) -> dict[str, QuantisedRows]:
    """Fit the update with which the decoder reconstructs the windows best.

    Args:
        groups: windows, one group per size.
        step: quantisation step of their codes.
        batches: number of steps of Adam, of about ``PIXELS_PER_BATCH`` pixels each.
    """
    update = {name: tensor.requires_grad_() for name, tensor in start_update(network, rank, seed).items()}
    optimizer = torch.optim.Adam(update.values(), lr=LEARNING_RATE, betas=(0.9, 0.98))
    chooser = np.random.default_rng(seed)
    for number in range(batches):
        done = number / batches
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (number + 1) / 20) * (1 - done)
        current = {name: _as_stored(t) for name, t in update.items()} if done >= ROUNDED_FROM else update
        original, latents = draw_batch(groups, chooser, step, next(network.parameters()).device)
        distortion(decode_with(network, current, latents, step), original).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        progress(number + 1, batches)
    return quantise_update(update)


def draw_batch(
    groups: Sequence[TrainingWindows], chooser: np.random.Generator, step: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Draw some windows of one group: pixels in [-1, 1] and dequantised latents."""
    pixels = np.array([group.pixels.numel() for group in groups], np.float64)
    group = groups[chooser.choice(len(groups), p=pixels / pixels.sum())]
    count = max(1, PIXELS_PER_BATCH // group.pixels[0, 0].numel())
    chosen = torch.from_numpy(chooser.integers(len(group), size=min(count, len(group))))
    return to_batch(group.pixels[chosen], group.latents[chosen], step, device)


def to_batch(pixels: Tensor, latents: Tensor, step: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return pixels in [-1, 1], and latents quantised with a step."""
    return pixels.to(device).float() / 127.5 - 1, (latents.to(device).float() / step).round() * step


def mean_loss(
    network: CodingAutoencoder, update: Mapping[str, Tensor], groups: Sequence[TrainingWindows], step: float
) -> float:
    """Return the mean loss of windows, drawn evenly from all groups, that are decoded with an update."""
    losses = []
    device = next(network.parameters()).device
    total = sum(map(len, groups))
    with torch.inference_mode():
        for group in groups:
            every = -(-total // EVALUATION_WINDOWS)
            for pixels, latents in zip(group.pixels[::every], group.latents[::every], strict=True):
                original, coded = to_batch(pixels[None], latents[None], step, device)
                losses.append(float(distortion(decode_with(network, update, coded, step), original).mean()))
    return float(np.mean(losses))


def decode_with(network: CodingAutoencoder, update: Mapping[str, Tensor], latents: Tensor, step: float) -> Tensor:
    """Decode latents of a step with an update. Returns (N, 3, H, W), roughly in [-1, 1]."""
    steps = torch.full((len(latents),), step, device=latents.device)
    with torch.autocast(latents.device.type, torch.bfloat16, enabled=has_fast_bfloat16(latents.device)):
        inputs = network.with_step(latents, steps).contiguous(memory_format=torch.channels_last)
        return functional_call(network.decoder, updated_parameters(network, update), (inputs,)).float()
