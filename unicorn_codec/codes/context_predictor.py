"""Predictions of the context model for pictures whose channels are coded one by one.

Most of the work is in the sums over the features of all earlier channels. They are computed for a block of channels at
a time, which keeps them small and the matrix products large. The products run in float32 while every partial sum is
certain to be an integer below 2^24, then in float64: they are exact in both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.context_model import (
    FEATURE_BITS,
    HIDDEN_LIMIT,
    MAX_SYMBOL,
    NEIGHBOURS,
    PASSES,
    SCALES,
    WEIGHT_BITS,
    ContextModel,
    Floats,
    Integers,
    known,
)

Sums = NDArray[np.floating[Any]]

BLOCK = 8
"""Channels whose sums over earlier channels are computed together."""

CELLS_AT_ONCE = 1 << 11
"""Columns of a matrix product, so that its operands stay in the processor's cache."""

EXACT_IN_FLOAT32 = 1 << 24

Levels = int | Integers
"""Level of all values, or levels of cells."""


class ContextPredictor:
    """State of the context model for N pictures of one size, sorted by falling number of coded channels.

    All planes are flat: a picture is h + 1 rows of w + 1 cells whose last row and column are zeros. A neighbour
    therefore lies at the same offset everywhere, and the surroundings of a picture are zero.

    Args:
        levels: coarseness of the step: of all values, or (N, h, w) of each cell.
        channels: largest number of channels that any of the pictures codes.
        shape: N, h, w.
    """

    def __init__(self, model: ContextModel, levels: Levels, channels: int, shape: tuple[int, int, int]) -> None:
        self._model, self._levels, self._channels = model, levels, channels
        self._pictures, self._height, self._width = shape
        self._margin = self._width + 2
        cells = self._cells + 2 * self._margin
        self._features = np.zeros((2 * channels, cells), np.float32)
        self._plane = np.zeros((3, cells))
        self._bounds = np.zeros(model.excursions.shape[1])
        self._sums: Sums
        self._begin_block(0)

    def keep(self, pictures: int) -> None:
        """Continue with the first pictures alone."""
        self._pictures = pictures

    def predict(self, channel: int, pass_index: int) -> tuple[Integers, Integers]:
        """Predict the values of a channel in a pass: means, in units of 1 / ``fractions``, and scale classes.

        The values of the channel's earlier passes must have been added by ``add_values``.

        Returns:
            (N, rows, columns) int64 each.
        """
        hidden, first = self._model.hidden, channel % BLOCK * self._model.hidden
        sums = self._of_pass(self._sums[first : first + hidden, : self._cells], pass_index)
        windows = [self._of_pass(self._window(self._plane, place), pass_index) for place in known(pass_index)]
        means, scales = (np.empty(sums.shape[1:], np.int64) for _ in range(2))
        together = max(1, 2 * CELLS_AT_ONCE // (self._height * self._width))
        for start in range(0, self._pictures, together):
            some = slice(start, start + together)
            levels = self._levels_of(pass_index, some)
            found = self._predict(channel, pass_index, levels, sums[:, some], [window[:, some] for window in windows])
            means[some], scales[some] = (array.reshape(means[some].shape) for array in found)
        return means, scales

    def _levels_of(self, pass_index: int, pictures: slice) -> Levels:
        """Return the levels of a pass of some pictures, flat if each cell has its own."""
        if isinstance(self._levels, int):
            return self._levels
        row, column = PASSES[pass_index]
        return self._levels[: self._pictures][pictures, row::2, column::2].ravel()

    def _predict(
        self, channel: int, pass_index: int, levels: Levels, sums: Sums, windows: Sequence[Floats]
    ) -> tuple[Integers, Integers]:
        """Return flat means and scale classes.

        Args:
            levels: of all values, or of each.
            sums: (H, N, rows, columns) over the earlier channels.
            windows: (3, N, rows, columns) of the channel itself, one for each known neighbour.
        """
        model = self._model
        hidden = sums.reshape(len(sums), -1) + np.atleast_2d(model.bias[levels, pass_index, channel]).T
        plain: Floats | float = 0.0
        if windows:
            own = model.own[pass_index][channel] @ np.stack(windows).reshape(3 * len(windows), -1)
            hidden += own[:-1]
            plain = own[-1]
        hidden *= 1 / (1 << WEIGHT_BITS)
        np.floor(hidden, out=hidden)
        np.clip(hidden, 0, HIDDEN_LIMIT, out=hidden)
        mean, scale = model.heads[channel] @ hidden
        mean += plain
        mean += model.mean_bias[levels, pass_index, channel].astype(np.float64)
        scale += model.scale_bias[levels, pass_index, channel].astype(np.float64)
        shift = WEIGHT_BITS + FEATURE_BITS
        means = np.floor(mean * model.fractions / (1 << shift) + 0.5)
        classes = np.clip(np.floor(scale / (1 << shift) + 0.5), 0, SCALES - 1)
        return means.astype(np.int64), classes.astype(np.int64)

    def add_values(self, pass_index: int, values: NDArray[np.integer]) -> None:
        """Add the values of a pass of the current channel, (N, rows, columns)."""
        plane = self._of_pass(self._window(self._plane, len(NEIGHBOURS) // 2), pass_index)
        sizes = self._model.magnitudes[np.minimum(np.abs(values), MAX_SYMBOL)]
        plane[0], plane[1] = np.sign(values) * sizes, sizes
        plane[2] = np.clip(values, -MAX_SYMBOL, MAX_SYMBOL)

    def finish_channel(self, channel: int) -> None:
        """Finish a channel, so that later ones are predicted from it."""
        following = channel + 1
        pair = self._features[2 * channel : 2 * following]
        pair[:] = self._plane[:2]
        self._plane[:] = 0
        largest = float(pair[1].max())
        self._bounds += largest * self._model.excursions[channel]
        if following == self._channels:
            return
        if following % BLOCK == 0:
            self._begin_block(following)
        elif largest:
            self._add(slice(2 * channel, 2 * following), following)

    @property
    def _cells(self) -> int:
        return self._pictures * (self._height + 1) * (self._width + 1)

    def _window(self, planes: NDArray[np.generic], place: int, start: int = 0, stop: int | None = None) -> Any:
        """Return one of the nine neighbours of each cell, (..., stop - start)."""
        row, column = NEIGHBOURS[place]
        first = self._margin + row * (self._width + 1) + column
        return planes[..., first + start : first + (self._cells if stop is None else stop)]

    def _of_pass(self, planes: NDArray[np.generic], pass_index: int) -> Any:
        """Return the cells of a pass, (..., N, rows, columns)."""
        row, column = PASSES[pass_index]
        grids = planes.reshape(*planes.shape[:-1], self._pictures, self._height + 1, self._width + 1)
        return grids[..., row : self._height : 2, column : self._width : 2]

    def _begin_block(self, first: int) -> None:
        """Compute the sums of a block of channels, (channels x H, cells), over the features of earlier ones."""
        channels = min(BLOCK, self._channels - first)
        self._sums = np.empty(0, np.float32)  # frees the last block's before this one's
        self._sums = np.zeros((channels * self._model.hidden, self._cells), np.float32)
        if first:
            self._add(slice(0, 2 * first), first)

    def _add(self, inputs: slice, first: int) -> None:
        """Add the contribution of some features to the block's sums, from one channel on."""
        count = (min((first // BLOCK + 1) * BLOCK, self._channels) - first) * self._model.hidden
        outputs = slice(first * self._model.hidden, first * self._model.hidden + count)
        exact = self._bounds[outputs].max() < EXACT_IN_FLOAT32
        kind = np.result_type(self._sums, np.float32 if exact else np.float64)
        self._sums = self._sums.astype(kind, copy=False)
        kernel = self._model.kernels[outputs, :, inputs].astype(kind).reshape(count, -1)
        for start in range(0, self._cells, CELLS_AT_ONCE):
            stop = min(start + CELLS_AT_ONCE, self._cells)
            windows = [self._window(self._features[inputs], place, start, stop) for place in range(len(NEIGHBOURS))]
            self._sums[-count:, start:stop] += kernel @ np.concatenate(windows, dtype=kind)
