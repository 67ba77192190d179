"""Differentiable floating-point counterpart of the context model.

It is trained before its weights are rounded to the integers of ``context_model``, and estimates the rate of latents
while they are refined.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unicorn_codec.codes.context_model import (
    MAX_SYMBOL,
    NEIGHBOURS,
    PASSES,
    SCALES,
    ContextModel,
    known,
)
from unicorn_codec.codes.context_model import fraction_bits as fraction_bits
from unicorn_codec.devices import fast_arithmetic
from unicorn_codec.format.header import MAX_LEVEL

SMALLEST_SCALE = 0.06
LOG_RATIO = 1 / 7
"""Scale class k stands for a logistic density of scale SMALLEST_SCALE * exp(k / 7): 0.06 to 49."""

WEIGHT_NAMES = ("earlier", "same", "bias", "linear", "mean", "scale", "mean_bias", "scale_bias")


class RateModel(nn.Module):
    """The context model in floating point: weights in the same order, activations in units of 1."""

    earlier_mask: Tensor

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.channels, self.hidden = channels, hidden
        self.earlier = nn.Parameter(torch.randn(channels, 18, channels, hidden) * 0.01)
        self.same = nn.Parameter(torch.randn(4, channels, 18, hidden) * 0.1)
        self.bias = nn.Parameter(torch.rand(MAX_LEVEL, 4, channels, hidden) * 0.2)
        self.linear = nn.Parameter(torch.zeros(4, channels, 9))
        self.mean = nn.Parameter(torch.randn(channels, hidden) * 0.05)
        self.scale = nn.Parameter(torch.rand(channels, hidden) * 1.0)
        self.mean_bias = nn.Parameter(torch.zeros(MAX_LEVEL, 4, channels))
        self.scale_bias = nn.Parameter(torch.full((MAX_LEVEL, 4, channels), 8.0))
        order = torch.arange(channels)
        self.register_buffer("earlier_mask", (order[:, None] < order[None, :]).float()[:, None, :, None])

    @classmethod
    def of(cls, model: ContextModel) -> "RateModel":
        """Return the floating-point counterpart of an integer model, with frozen parameters."""
        shadow = cls(model.channels, model.hidden)
        shadow.load_integers({name: getattr(model, name) for name in WEIGHT_NAMES})
        return shadow.requires_grad_(requires_grad=False)

    @torch.no_grad()
    def load_integers(self, integers: Mapping[str, np.ndarray]) -> None:
        """Load an integer model.

        It may have fewer hidden values; the output weights of the missing ones become zero.
        """
        for name in WEIGHT_NAMES:
            given = torch.from_numpy(integers[name]).float() / 2.0 ** fraction_bits(name)
            own = getattr(self, name)
            if name in ("mean", "scale"):
                own.zero_()
            own[tuple(map(slice, given.shape))] = given

    def masked(self) -> dict[str, Tensor]:
        """Return the weights with everything masked out that a decoder does not know yet."""
        neighbours = known_neighbours().to(self.same.device)
        pairs = torch.cat([neighbours, neighbours], dim=1)
        return {
            "earlier": self.earlier * self.earlier_mask,
            "same": self.same * pairs[:, None, :, None],
            "linear": self.linear * neighbours[:, None],
        }

    def forward(self, symbols: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
        """Predict all values in parallel: (N, C, h, w) symbols -> means and scale classes (real numbers), (N, C, h, w)
        each.

        Args:
            levels: (N,), or (N, h, w) where cells have levels of their own.
        """
        sizes = torch.asinh(symbols.abs().clamp_max(MAX_SYMBOL))
        plain = symbols.clamp(-MAX_SYMBOL, MAX_SYMBOL)
        own = torch.stack([sizes * symbols.sign(), sizes, plain], dim=2)  # (N, C, 3, h, w)
        sums = self._sums_of_earlier(own[:, :, :2])
        own = F.pad(own, (1, 1, 1, 1))
        means, scales = torch.zeros_like(symbols), torch.zeros_like(symbols)
        for step, (row, column) in enumerate(PASSES):
            here = levels if levels.dim() == 1 else levels[:, row::2, column::2]
            hidden = sums[..., row::2, column::2] + of_levels(self.bias[:, step], here)
            mean = of_levels(self.mean_bias[:, step], here)
            if places := known(step):  # stacked, since indexing by a list copies it to the GPU and waits for that
                windows = neighbour_windows(own, step)
                pairs = self.same[step].view(self.channels, 2, 9, self.hidden)
                same = torch.stack([pairs[:, :, place] for place in places], dim=2)
                linear = torch.stack([self.linear[step, :, place] for place in places], dim=1)
                hidden = hidden + torch.einsum("ncpkhw,cpkd->ncdhw", windows[:, :, :2], same)
                mean = mean + torch.einsum("nckhw,ck->nchw", windows[:, :, 2], linear)
            hidden = F.relu(hidden)
            means[..., row::2, column::2] = torch.einsum("ncdhw,cd->nchw", hidden, self.mean) + mean
            scale = torch.einsum("ncdhw,cd->nchw", hidden, self.scale)
            scales[..., row::2, column::2] = scale + of_levels(self.scale_bias[:, step], here)
        return means, scales

    def _sums_of_earlier(self, pairs: Tensor) -> Tensor:
        """Return the sums over earlier channels, (N, C, hidden, h, w), from features (N, C, 2, h, w).

        Most of the work.
        """
        channels, size, device = self.channels, self.hidden, pairs.device
        kernel = (self.earlier * self.earlier_mask).view(channels, 2, 3, 3, channels * size)
        kernel = kernel.permute(4, 0, 1, 2, 3).reshape(channels * size, 2 * channels, 3, 3)
        with fast_arithmetic(device):
            sums = F.conv2d(pairs.flatten(1, 2), kernel, padding=1)
        return sums.float().unflatten(1, (channels, size))

    def bits(self, symbols: Tensor, levels: Tensor, *, context: Tensor | None = None) -> Tensor:
        """Estimate the bits of every symbol under a logistic density, at most 16. Escaped symbols really cost up to 30.

        Args:
            symbols: (N, C, h, w).
            levels: (N,), or (N, h, w) of cells, see ``context_model.level_of``.
            context: (N, C, h, w) symbols to predict from, where training perturbed them. None: ``symbols``.

        Returns:
            (N, C, h, w).
        """
        means, classes = self(symbols if context is None else context, levels)
        scale = SMALLEST_SCALE * torch.exp(LOG_RATIO * classes.clamp(-2, SCALES + 1))
        distance = (symbols - means).abs()
        mass = torch.sigmoid((0.5 - distance) / scale) - torch.sigmoid((-0.5 - distance) / scale)
        return -torch.log2(mass.clamp_min(2.0**-16))


def of_levels(table: Tensor, levels: Tensor) -> Tensor:
    """Return the entries (N, ..., 1, 1) or (N, ..., h, w) of a table at levels (N,) or (N, h, w)."""
    if levels.dim() == 1:
        return table[levels][..., None, None]
    return table[levels].movedim((1, 2), (-2, -1))


def neighbour_windows(planes: Tensor, step: int) -> Tensor:
    """Return the ``known`` neighbours of each value of a pass, (N, C, P, k, rows, columns).

    Args:
        planes: (N, C, P, h + 2, w + 2), with a margin of one cell.
    """
    row, column = PASSES[step]
    height, width = planes.shape[-2] - 2, planes.shape[-1] - 2
    windows = []
    for down, right in (NEIGHBOURS[place] for place in known(step)):
        top, left = 1 + row + down, 1 + column + right
        windows.append(planes[..., top : top + height - row : 2, left : left + width - column : 2])
    return torch.stack(windows, dim=3)


def known_neighbours() -> Tensor:
    """Return the mask of the 3x3 neighbours in its own channel that each pass knows, (4, 9)."""
    mask = torch.zeros(len(PASSES), 9)
    for step in range(len(PASSES)):
        mask[step, known(step)] = 1.0
    return mask
