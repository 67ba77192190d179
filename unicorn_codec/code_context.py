"""What is known of images while their channels are coded one by one, and what it predicts of the next values.

The sums over all earlier channels' features are most of the work. They are made for a block of channels at a
time, which keeps them small and gives large matrix products; these run in float32 as long as every partial
sum is certain to be an integer below 2^24, then in float64: exact in either.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.code_model import (
    FEATURE_BITS,
    HIDDEN_LIMIT,
    MAX_SYMBOL,
    MEAN_BITS,
    NEIGHBOURS,
    PASSES,
    SCALES,
    WEIGHT_BITS,
    CodeModel,
    Floats,
    Integers,
    Singles,
    known,
)

Sums = NDArray[np.floating]

BLOCK = 8
"""Channels whose sums over earlier channels are made together."""

CELLS_AT_ONCE = 1 << 12
"""Rows of a matrix product: what it writes stays in the processor's cache."""

EXACT_IN_SINGLES = 1 << 24


class Context:
    """What is known of N images of one size while their leading channels are coded, those of most channels first.

    All planes are flat: each image is h + 1 rows of w + 1 cells, of which the last row and the last column are
    zeros, so that a neighbour lies at the same distance everywhere, and outside an image there are zeros.

    Args:
        channels: that any of the images codes.
        shape: N, h, w.
    """

    def __init__(self, model: CodeModel, level: int, channels: int, shape: tuple[int, int, int]) -> None:
        self._model, self._level, self._channels = model, level, channels
        self._images, self._height, self._width = shape
        self._margin = self._width + 2
        cells = self._images * (self._height + 1) * (self._width + 1)
        self._features = np.zeros((cells + 2 * self._margin, 2 * channels), np.float32)
        self._plane = np.zeros((cells + 2 * self._margin, 3))
        self._bounds = np.zeros(model.reach.shape[1])
        self._sums = self._sums_of_block(0)

    def keep(self, images: int) -> None:
        """Go on with so many images alone, the first ones."""
        self._images = images

    def predict(self, channel: int, step: int) -> tuple[Integers, Integers]:
        """Means (in 1/8) and scale classes of the channel's values in a pass, (N, rows, columns) each.

        The values of the channel's earlier passes must have been ``put``.
        """
        model, level, hidden = self._model, self._level, self._model.hidden
        first = channel % BLOCK * hidden
        sums = self._of_pass(self._sums[: self._cells], step)[..., first : first + hidden].astype(np.float64)
        sums += model.bias[level, step, channel]
        biases = np.array([array[level, step, channel] for array in (model.mean_bias, model.scale_bias)], np.float64)
        plain: Floats | float = 0.0
        if places := known(step):
            windows = np.stack([self._of_pass(self._window(self._plane, place), step) for place in places], axis=-2)
            weights = model.own[step][channel]
            own = windows.reshape(*sums.shape[:3], len(weights)) @ weights
            sums += own[..., :-1]
            plain = own[..., -1]
        sums *= 1 / (1 << WEIGHT_BITS)
        np.floor(sums, out=sums)
        np.clip(sums, 0, HIDDEN_LIMIT, out=sums)
        found = sums @ model.heads[channel] + biases
        found[..., 0] += plain
        shift = WEIGHT_BITS + FEATURE_BITS
        mean = np.floor(found[..., 0] / (1 << (shift - MEAN_BITS)) + 0.5)
        scale = np.floor(found[..., 1] / (1 << shift) + 0.5)
        return mean.astype(np.int64), np.clip(scale, 0, SCALES - 1).astype(np.int64)

    def put(self, step: int, values: NDArray[np.integer]) -> None:
        """Tell a pass's values of the present channel, (N, rows, columns)."""
        sizes = self._model.magnitudes[np.minimum(np.abs(values), MAX_SYMBOL)]
        plane = self._of_pass(self._window(self._plane, len(NEIGHBOURS) // 2), step)
        plane[..., 0] = np.sign(values) * sizes
        plane[..., 1] = sizes
        plane[..., 2] = np.clip(values, -MAX_SYMBOL, MAX_SYMBOL)

    def close(self, channel: int) -> None:
        """End a channel: later ones see it."""
        following = channel + 1
        pair = self._plane[:, :2].astype(np.float32)
        self._plane[:] = 0
        largest = float(pair[:, 1].max())
        self._bounds += largest * self._model.reach[channel]
        self._features[:, 2 * channel : following * 2] = pair
        if following == self._channels:
            return
        if following % BLOCK == 0:
            self._sums = self._sums_of_block(following)
        elif largest:
            self._add_within_block(channel, pair)

    @property
    def _cells(self) -> int:
        return self._images * (self._height + 1) * (self._width + 1)

    def _window(self, plane: NDArray[np.generic], place: int, start: int = 0, stop: int | None = None) -> Any:
        """(stop - start, ...) the cells' neighbours in one place of the nine."""
        row, column = NEIGHBOURS[place]
        first = self._margin + row * (self._width + 1) + column
        return plane[first + start : first + (self._cells if stop is None else stop)]

    def _of_pass(self, cells: NDArray[np.generic], step: int) -> Any:
        """(N, rows, columns, ...) the cells of a pass."""
        row, column = PASSES[step]
        grid = cells.reshape(self._images, self._height + 1, self._width + 1, *cells.shape[1:])
        return grid[:, row : self._height : 2, column : self._width : 2]

    def _exact(self, columns: slice) -> type[np.float32] | type[np.float64]:
        return np.float32 if self._bounds[columns].max(initial=0) < EXACT_IN_SINGLES else np.float64

    def _columns(self, first: int) -> slice:
        """Of the hidden values from a channel on, to the end of its block."""
        last = min((first // BLOCK + 1) * BLOCK, self._channels)
        return slice(first * self._model.hidden, last * self._model.hidden)

    def _sums_of_block(self, first: int) -> Sums:
        """(cells, channels of the block x H) over all features of the channels before the block."""
        columns = self._columns(first)
        kind = self._exact(columns)
        sums = np.zeros((self._cells, columns.stop - columns.start), kind)
        if first == 0:
            return sums
        kernels = self._model.kernels[:, : 2 * first, columns].astype(kind)
        product = np.empty((CELLS_AT_ONCE, sums.shape[1]), kind)
        for start in range(0, self._cells, CELLS_AT_ONCE):
            rows = sums[start : start + CELLS_AT_ONCE]
            for place, kernel in enumerate(kernels):
                features = self._window(self._features, place, start, start + len(rows))[:, : 2 * first]
                rows += np.matmul(features.astype(kind, copy=False), kernel, out=product[: len(rows)])
        return sums

    def _add_within_block(self, channel: int, pair: Singles) -> None:
        """Add a channel's part to the sums of those that follow it in its block."""
        columns = self._columns(channel + 1)
        kind = self._exact(columns)
        self._sums = self._sums.astype(np.result_type(self._sums, kind), copy=False)
        kernels = self._model.kernels[:, 2 * channel : 2 * channel + 2, columns].astype(kind)
        kernel = kernels.reshape(-1, kernels.shape[2])
        for start in range(0, self._cells, CELLS_AT_ONCE):
            rows = self._sums[start : min(start + CELLS_AT_ONCE, self._cells), -kernel.shape[1] :]
            windows = [self._window(pair, place, start, start + len(rows)) for place in range(len(NEIGHBOURS))]
            rows += np.concatenate(windows, axis=1).astype(kind, copy=False) @ kernel
