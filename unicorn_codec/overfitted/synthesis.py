"""Planes of a function to latents: upsampling by learned kernels, then four layers with a residual every two.

All functions of a batch have parameters of their own.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from unicorn_codec.overfitted.function_shape import UNIT, FunctionShape, Integers
from unicorn_codec.overfitted.value_layout import ValueLayout

_REACH = 2
"""Cells on each side that a doubled one depends on."""


def synthesise(parameters: Mapping[str, Tensor], planes: Sequence[Tensor]) -> Tensor:
    """Return latents (B, C, h, w) of B functions.

    Args:
        parameters: by name, each with a leading dimension B.
        planes: of each level, (B, P_k, h_k, w_k), the finest first.
    """
    upsampled = planes[-1]
    for level in range(len(planes) - 2, -1, -1):
        rows, columns = planes[level].shape[2:]
        doubled = double(upsampled, parameters["kernels"][:, level])[..., :rows, :columns]
        upsampled = torch.cat([planes[level], doubled], dim=1)
    features = upsampled * parameters["gains"][..., None, None]
    hidden = F.relu(pointwise(features, parameters["hidden_weight"], parameters["hidden_bias"]))
    latents = pointwise(hidden, parameters["latent_weight"], parameters["latent_bias"])
    latents = latents + _fitted(features, latents.shape[1])
    hidden = F.relu(neighbourhood(latents, parameters["first_weight"], parameters["first_bias"]))
    return latents + neighbourhood(hidden, parameters["second_weight"], parameters["second_bias"])


def double(planes: Tensor, kernels: Tensor) -> Tensor:
    """Double the sides of planes (B, P, h, w) by transposed kernels (B, 8) along each; edges are repeated."""
    zero = torch.zeros_like(kernels[:, 0])
    taps = kernels.unbind(dim=1)
    even = torch.stack([taps[7], taps[5], taps[3], taps[1], zero], dim=1)
    odd = torch.stack([zero, taps[6], taps[4], taps[2], taps[0]], dim=1)
    phases = torch.stack([even, odd], dim=2)[:, None, None]  # (B, 1, 1, 5, 2)
    for _ in range(2):  # along the columns, then, transposed, along the rows
        padded = F.pad(planes, (_REACH, _REACH, 0, 0), mode="replicate")
        doubled = torch.matmul(padded.unfold(-1, 2 * _REACH + 1, 1), phases)
        planes = doubled.flatten(-2).transpose(2, 3)
    return planes


def pointwise(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a layer without neighbours: (B, I, h, w) -> (B, O, h, w), by weights (B, O, I) and biases (B, O)."""
    mixed = torch.baddbmm(bias[..., None], weight, features.flatten(2))
    return mixed.unflatten(2, features.shape[2:])


def neighbourhood(latents: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a layer of 3x3 cells to latents (B, C, h, w), by weights (B, C, g, 3, 3); zeros beyond the edges."""
    functions, channels, near = weight.shape[:3]
    flat = latents.reshape(1, functions * channels, *latents.shape[2:])
    groups = functions * channels // near
    return F.conv2d(flat, weight.flatten(0, 1), bias.flatten(), padding=1, groups=groups).view_as(latents)


def _fitted(features: Tensor, channels: int) -> Tensor:
    """Cut features to the first channels, or append zeros up to their number."""
    kept = features[:, :channels]
    return F.pad(kept, (0, 0, 0, 0, 0, channels - kept.shape[1]))


def planes_of(values: Tensor, layout: ValueLayout) -> list[Tensor]:
    """Return the planes (B, P_k, h_k, w_k) of each level, given values (B, N)."""
    parts = values.split(layout.counts, dim=1)
    return [
        part.view(len(values), planes, *size)
        for part, planes, size in zip(parts, layout.planes, layout.sizes, strict=True)
    ]


def named_tensors(shape: FunctionShape, parameters: Tensor) -> dict[str, Tensor]:
    """Return the parameters of B functions by name, given (B, K) of them."""
    return {
        parameter.name: parameters[:, place].view(len(parameters), *parameter.shape)
        for parameter, place in shape.slices()
    }


def latents_of(
    shape: FunctionShape, parameters: Integers, values: Integers, size: tuple[int, int], device: torch.device
) -> Tensor:
    """Return the latents (1, C, rows, columns) of a decoded function, in float32.

    Args:
        parameters: (K,) in units of 2^-12.
        values: (N,) integers of its planes.
    """
    layout = ValueLayout(*size, shape.settings.planes)
    exact = torch.from_numpy(parameters).to(device).float()[None] / UNIT
    with torch.inference_mode():
        return synthesise(
            named_tensors(shape, exact), planes_of(torch.from_numpy(values).to(device).float()[None], layout)
        )
