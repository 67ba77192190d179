"""Differentiable floating-point counterpart of the context model.

It is trained before its weights are rounded to the integers of ``context_model``, and estimates the rate of latents
while they are refined.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unicorn_codec.codes.context_model import (
    MAX_SYMBOL,
    PASSES,
    SCALES,
    ContextModel,
    known,
)
from unicorn_codec.codes.context_model import fraction_bits as fraction_bits
from unicorn_codec.devices import fast_arithmetic, has_fast_bfloat16
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
        self._kept: tuple[Tensor, int, torch.device, Tensor] | None = None

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

        Values are divided into passes by ``pixel_unshuffle`` and by strides of convolutions. The gradients of slices
        would each be filled up with zeros, which took more time than all else.

        Args:
            levels: (N,), or (N, h, w) where cells have levels of their own.
        """
        height, width = symbols.shape[2:]
        sizes = torch.asinh(symbols.abs().clamp_max(MAX_SYMBOL))
        plain = symbols.clamp(-MAX_SYMBOL, MAX_SYMBOL)
        own = torch.stack([sizes * symbols.sign(), sizes, plain], dim=2)  # (N, C, 3, h, w)
        own = F.pad(own, (1, 1 + width % 2, 1, 1 + height % 2))
        if levels.dim() > 1:
            levels = F.pad(levels, (0, width % 2, 0, height % 2))
        sums = self._sums_of_earlier(own[:, :, :2].flatten(1, 2)).unbind(3)
        heads = torch.stack([self.mean, self.scale], 1)
        passes = []
        for step, (row, column) in enumerate(PASSES):
            here = levels if levels.dim() == 1 else levels[:, row::2, column::2]
            seen = own[..., row : own.shape[3] - 1 + row, column : own.shape[4] - 1 + column]
            hidden = sums[2 * row + column].float() + of_levels(self.bias[:, step], here)
            biases = torch.stack(
                [of_levels(self.mean_bias[:, step], here), of_levels(self.scale_bias[:, step], here)], 2
            )
            if known(step):
                same = F.conv2d(seen.flatten(1, 2), self._own_kernel(step), stride=2, groups=self.channels)
                of_hidden, linear = same.unflatten(1, (self.channels, -1)).split([self.hidden, 1], 2)
                hidden = hidden + of_hidden
                biases = biases + F.pad(linear, (0, 0, 0, 0, 0, 1))
            hidden = F.relu(hidden)
            passes.append((heads @ hidden.flatten(3)).unflatten(3, hidden.shape[3:]) + biases)
        # (N, C, 2, 4, h / 2, w / 2): means and scales, by row and column of the passes.
        ordered = torch.stack([passes[PASSES.index(place)] for place in ((0, 0), (0, 1), (1, 0), (1, 1))], 3)
        means, scales = F.pixel_shuffle(ordered.flatten(2, 3).flatten(1, 2), 2).unflatten(1, (-1, 2)).unbind(2)
        return means[..., :height, :width], scales[..., :height, :width]

    def _sums_of_earlier(self, pairs: Tensor) -> Tensor:
        """Return the sums over earlier channels by row and column of the passes, (N, C, hidden, 4, h / 2, w / 2), from
        features (N, 2 C, h + 2, w + 2). Most of the work."""
        with fast_arithmetic(pairs.device):
            sums = F.conv2d(pairs, self._earlier_kernel())
        return F.pixel_unshuffle(sums, 2).unflatten(1, (self.channels, self.hidden, 4))

    def _earlier_kernel(self) -> Tensor:
        """Return the kernel of the sums over earlier channels, (C hidden, 2 C, 3, 3). A frozen one is kept."""
        source = self.earlier, self.earlier._version, self.earlier.device
        is_frozen = not self.earlier.requires_grad
        if is_frozen and self._kept is not None and self._kept[0] is source[0] and self._kept[1:3] == source[1:]:
            return self._kept[3]
        channels, size = self.channels, self.hidden
        # A kept kernel has to serve for gradients of other things later.
        with torch.inference_mode(mode=False) if is_frozen else nullcontext():
            kernel = (self.earlier * self.earlier_mask).view(channels, 2, 3, 3, channels * size)
            kernel = kernel.permute(4, 0, 1, 2, 3).reshape(channels * size, 2 * channels, 3, 3)
            if is_frozen and has_fast_bfloat16(kernel.device):
                kernel = kernel.bfloat16().contiguous(memory_format=torch.channels_last)
        if is_frozen:
            self._kept = *source, kernel
        return kernel

    def _own_kernel(self, step: int) -> Tensor:
        """Return the kernel of a pass by which values of a channel depend on it, (C (hidden + 1), 3, 3, 3).

        Its inputs are signed sizes, sizes and symbols. Its outputs are the hidden values', and the mean's.
        """
        neighbours = known_neighbours()[step].to(self.same.device)
        of_sizes = (self.same[step].view(self.channels, 2, 9, self.hidden) * neighbours[:, None]).movedim(3, 1)
        of_symbols = (self.linear[step] * neighbours)[:, None, None]
        kernel = torch.cat([F.pad(of_sizes, (0, 0, 0, 1)), F.pad(of_symbols, (0, 0, 2, 0))], 1)
        return kernel.flatten(0, 1).unflatten(2, (3, 3))

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


def known_neighbours() -> Tensor:
    """Return the mask of the 3x3 neighbours in its own channel that each pass knows, (4, 9)."""
    mask = torch.zeros(len(PASSES), 9)
    for step in range(len(PASSES)):
        mask[step, known(step)] = 1.0
    return mask
