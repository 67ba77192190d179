"""What an archive adds to the embedded decoder: a low-rank change of its convolutions, fitted to the picture set.

The decoder is the denoiser of codes: told how coarse the latents are, it restores what quantisation took, from
what it knows of pictures in general. The change teaches it what the pictures of one set have in common.
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
from unicorn_codec.format.header import MAX_RANK, check
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.distortion import distortion
from unicorn_codec.weights.weight_coding import QuantisedRows, decode_rows, encode_rows, nearest_steps, quantise_rows

STEP_IN_RMS = 0.5
"""Quantisation step of a row, in units of the row's root mean square: about 3 bits a value."""

ROUNDED_FROM = 2 / 3
"""Part of the fit after which the decoder sees the change as the file will hold it."""

LEARNING_RATE = 2e-3
PIXELS_PER_BATCH = 1 << 18
EVALUATION_WINDOWS = 64


@dataclass(frozen=True, slots=True)
class TrainingWindows:
    """Equally sized cuts of pictures, with their latents.

    Args:
        pixels: (N, 3, H, W) uint8.
        latents: (N, C, h, w) float16, raw.
    """

    pixels: Tensor
    latents: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def convolutions(network: CodingAutoencoder) -> Iterator[tuple[str, nn.Conv2d]]:
    """The decoder's convolutions with their names, in order."""
    for name, module in network.decoder.named_modules():
        if isinstance(module, nn.Conv2d):
            yield name, module


def update_shapes(network: CodingAutoencoder, rank: int) -> dict[str, tuple[int, int]]:
    """Rows and columns of a change's tensors, in the order of the file.

    A kernel of shape (out, in, k, k), as a matrix of out rows, changes by ``left`` transposed times ``right``; a
    bias changes by ``bias``.
    """
    shapes: dict[str, tuple[int, int]] = {}
    for name, layer in convolutions(network):
        shapes[f"{name}.bias"] = (1, layer.out_channels)
        if rank:
            shapes[f"{name}.left"] = (rank, layer.out_channels)
            shapes[f"{name}.right"] = (rank, layer.weight[0].numel())
    return shapes


def updated_parameters(network: CodingAutoencoder, change: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The decoder's parameters with a change applied."""
    parameters: dict[str, Tensor] = {}
    for name, layer in convolutions(network):
        assert layer.bias is not None
        parameters[f"{name}.weight"] = layer.weight
        parameters[f"{name}.bias"] = layer.bias
        if f"{name}.bias" in change:  # one without any tensors changes nothing
            parameters[f"{name}.bias"] = layer.bias + change[f"{name}.bias"][0]
        if f"{name}.left" in change:
            kernel = change[f"{name}.left"].T @ change[f"{name}.right"]
            parameters[f"{name}.weight"] = layer.weight + kernel.view_as(layer.weight)
    return parameters


def updated_network(network: CodingAutoencoder, change: Mapping[str, Tensor]) -> CodingAutoencoder:
    """A copy of the network that decodes with a change."""
    changed = copy.deepcopy(network)
    changed.decoder.load_state_dict(updated_parameters(network, change))
    return changed


def serialize_update(change: Mapping[str, QuantisedRows], rank: int) -> bytes:
    """Payload of TUNE."""
    return bytes([rank]) + encode_rows(list(change.values()))


def parse_update(payload: bytes, network: CodingAutoencoder) -> dict[str, Tensor]:
    """Read the payload of TUNE, for the network that it changes. Raises ``InvalidField``."""
    if not payload or payload[0] > MAX_RANK:
        raise InvalidField(f"TUNE: a rank of {payload[:1].hex() or 'none'}, allowed are 0 to {MAX_RANK}")
    shapes = update_shapes(network, payload[0])
    rows = decode_rows(payload[1:], list(shapes.values()))
    device = next(network.parameters()).device
    return {name: torch.from_numpy(one.values).to(device) for name, one in zip(shapes, rows, strict=True)}


def quantise_update(change: Mapping[str, Tensor]) -> dict[str, QuantisedRows]:
    """Round every row to about ``STEP_IN_RMS`` of its root mean square."""
    return {name: _quantise(tensor) for name, tensor in change.items()}


def _quantise(tensor: Tensor) -> QuantisedRows:
    values = tensor.detach().cpu().numpy()
    return quantise_rows(values, nearest_steps(STEP_IN_RMS * np.sqrt(np.mean(values**2, axis=1))))


def _as_stored(tensor: Tensor) -> Tensor:
    """The values that come back from the file; gradients pass unchanged."""
    stored = torch.from_numpy(_quantise(tensor).values).to(tensor.device)
    return tensor + (stored - tensor).detach()


def start_update(network: CodingAutoencoder, rank: int, seed: int) -> dict[str, Tensor]:
    """A change that changes nothing yet."""
    check(0 <= rank <= MAX_RANK, f"the rank is 0 to {MAX_RANK}, not {rank}")
    generator = torch.Generator().manual_seed(seed)
    change = {}
    for name, shape in update_shapes(network, rank).items():
        start = torch.zeros(shape)
        if name.endswith("right"):
            start = torch.randn(shape, generator=generator) / shape[1] ** 0.5
        change[name] = start.to(next(network.parameters()).device)
    return change


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
    """The change with which the decoder gives the windows back best.

    Args:
        groups: windows of one size each.
        step: quantisation step of their codes.
        batches: steps of Adam, of about ``PIXELS_PER_BATCH`` pixels each.
    """
    change = {name: tensor.requires_grad_() for name, tensor in start_update(network, rank, seed).items()}
    optimizer = torch.optim.Adam(change.values(), lr=LEARNING_RATE, betas=(0.9, 0.98))
    chooser = np.random.default_rng(seed)
    for number in range(batches):
        done = number / batches
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (number + 1) / 20) * (1 - done)
        now = {name: _as_stored(t) for name, t in change.items()} if done >= ROUNDED_FROM else change
        original, latents = draw_batch(groups, chooser, step, next(network.parameters()).device)
        distortion(decode_with(network, now, latents, step), original).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        progress(number + 1, batches)
    return quantise_update(change)


def draw_batch(
    groups: Sequence[TrainingWindows], chooser: np.random.Generator, step: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Pixels in [-1, 1] and dequantised latents of some windows of one group."""
    pixels = np.array([group.pixels.numel() for group in groups], np.float64)
    group = groups[chooser.choice(len(groups), p=pixels / pixels.sum())]
    count = max(1, PIXELS_PER_BATCH // group.pixels[0, 0].numel())
    chosen = torch.from_numpy(chooser.integers(len(group), size=min(count, len(group))))
    return to_batch(group.pixels[chosen], group.latents[chosen], step, device)


def to_batch(pixels: Tensor, latents: Tensor, step: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels in [-1, 1], and latents as a code of the step gives them."""
    return pixels.to(device).float() / 127.5 - 1, (latents.to(device).float() / step).round() * step


def mean_loss(
    network: CodingAutoencoder, change: Mapping[str, Tensor], groups: Sequence[TrainingWindows], step: float
) -> float:
    """Loss of some windows, evenly from all groups, decoded with a change."""
    losses = []
    device = next(network.parameters()).device
    total = sum(map(len, groups))
    with torch.inference_mode():
        for group in groups:
            every = -(-total // EVALUATION_WINDOWS)
            for pixels, latents in zip(group.pixels[::every], group.latents[::every], strict=True):
                original, coded = to_batch(pixels[None], latents[None], step, device)
                losses.append(float(distortion(decode_with(network, change, coded, step), original).mean()))
    return float(np.mean(losses))


def decode_with(network: CodingAutoencoder, change: Mapping[str, Tensor], latents: Tensor, step: float) -> Tensor:
    """(N, 3, H, W) in about [-1, 1], as a decoder with a change decodes latents of a step."""
    steps = torch.full((len(latents),), step, device=latents.device)
    with torch.autocast(latents.device.type, torch.bfloat16, enabled=has_fast_bfloat16(latents.device)):
        told = network.with_step(latents, steps).contiguous(memory_format=torch.channels_last)
        return functional_call(network.decoder, updated_parameters(network, change), (told,)).float()
