"""Chains of convolutions computed in bands of rows: little memory for a large picture, and each value computed once.

A layer keeps the rows that the next band depends on, as deep as its kernel reaches. In tiles, each would compute the
receptive field of the whole chain around it anew: 336 pixels on each side for the decoder of ``photo-1``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unicorn_codec.transform.coding_autoencoder import BottleneckBlock, PixelUnshuffle, ResidualBlock


class Bands(ABC):
    """A computation that gets its input (N, C, H, W) in bands of rows, from the top, and gives its output in bands."""

    @abstractmethod
    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        """Return the rows of output, perhaps none, that one more band determines; with the last one, all that remain.

        Args:
            rows: (N, C, h, W), of any h if it is not the last band, otherwise at least 1.
        """


class Whole(Bands):
    """Gathers the bands, and computes all at once. For what cannot be divided."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        self._compute = compute
        self._gathered: list[Tensor] = []

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        self._gathered.append(rows)
        if not last:
            return rows[:, :, :0]
        return self._compute(rows if len(self._gathered) == 1 else torch.cat(self._gathered, 2))


class Chain(Bands):
    """Bands through one computation after another."""

    def __init__(self, links: Iterable[Bands]) -> None:
        self._links = list(links)

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        for link in self._links:
            rows = link.push(rows, last=last)
            if not rows.shape[2]:
                break
        return rows


class Pointwise(Bands):
    """A function whose result depends on no neighbouring rows."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        return self._function(rows)


class Local(Bands):
    """A function that pads its input at all edges by rules of its own.

    Args:
        reach: rows of input on each side that a row of output depends on.
        scale: rows of output for a row of input.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], reach: int, scale: int) -> None:
        self._function, self._reach, self._scale = function, reach, scale
        self._kept = _Kept()
        self._done = 0
        """Of the kept rows, those whose output was given."""

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        rows = self._kept.before(rows)
        stop = len(rows[0, 0]) - (0 if last else self._reach)
        if stop <= self._done:
            self._kept.keep(rows)
            return rows[:, :, :0]
        made = self._function(rows)[:, :, self._done * self._scale : stop * self._scale]
        start = max(0, stop - self._reach)
        self._kept.keep(rows[:, :, start:])
        self._done = stop - start
        return made


class _Kept:
    """Rows that are kept until the next band."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None

    def keep(self, rows: Tensor) -> None:
        """Keep a copy: a part of a band would hold all of it."""
        self._rows = rows.clone()

    def before(self, rows: Tensor) -> Tensor:
        """Return the kept rows, which are kept no longer, and the next ones."""
        kept, self._rows = self._rows, None
        return rows if kept is None else torch.cat([kept, rows], 2)


class _Convolution(Bands):
    """A convolution with an odd kernel and zeros around the picture."""

    def __init__(self, layer: nn.Conv2d) -> None:
        self._layer, self._reach = layer, layer.kernel_size[0] // 2
        self._kept = _Kept()
        self._is_begun = False

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        above, below = 0 if self._is_begun else self._reach, self._reach if last else 0
        self._is_begun = True
        if above and below:
            return self._layer(rows)
        rows = F.pad(self._kept.before(rows), (0, 0, above, below))
        self._kept.keep(rows[:, :, max(0, rows.shape[2] - 2 * self._reach) :])
        if rows.shape[2] <= 2 * self._reach:
            return rows[:, :, :0]
        return F.conv2d(rows, self._layer.weight, self._layer.bias, padding=(0, self._reach))


class _Residual(Bands):
    """A block that adds what its layers make of its input to it."""

    def __init__(self, block: ResidualBlock | BottleneckBlock) -> None:
        self._branch = Chain([in_bands(block.conv_in), Pointwise(F.silu), in_bands(block.conv_out)])
        self._waiting = _Kept()

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        made = self._branch.push(rows, last=last)
        rows = self._waiting.before(rows)
        ready = made.shape[2]
        self._waiting.keep(rows[:, :, ready:])
        return rows[:, :, :ready] + made if ready else rows[:, :, :0]


class _Unshuffle(Bands):
    """``PixelUnshuffle``, of whole groups of rows."""

    def __init__(self, layer: PixelUnshuffle) -> None:
        self._layer = layer
        self._kept = _Kept()

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        rows = self._kept.before(rows)
        whole = rows.shape[2] - rows.shape[2] % self._layer.downscale_factor
        self._kept.keep(rows[:, :, whole:])
        return self._layer(rows[:, :, :whole])


def in_bands(network: nn.Module) -> Bands:
    """Return the computation of a network, or of a part of it, in bands. It serves for one picture or batch.

    Raises ``TypeError`` for layers that ``CodingAutoencoder`` has none of.
    """
    if isinstance(network, nn.Sequential):
        return Chain(map(in_bands, network))
    if isinstance(network, ResidualBlock | BottleneckBlock):
        return _Residual(network)
    if isinstance(network, PixelUnshuffle):
        return _Unshuffle(network)
    if isinstance(network, nn.Conv2d) and network.kernel_size[0] > 1:
        return _Convolution(network)
    if isinstance(network, nn.Conv2d | nn.PixelShuffle):
        return Pointwise(network)
    raise TypeError(f"no bands for {type(network).__name__}")
