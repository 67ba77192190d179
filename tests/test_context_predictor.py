"""Predictions equal the formulas of the specification, whatever the blocks and number formats."""

from collections.abc import Iterator

import numpy as np
import pytest

from unicorn_codec.codes.context_model import NEIGHBOURS, PASSES, ContextModel, known
from unicorn_codec.codes.context_predictor import BLOCK, EXACT_IN_FLOAT32, ContextPredictor

CHANNELS, HIDDEN, LEVEL = 2 * BLOCK + 3, 3, 1
SHAPE = (3, 5, 4)


def draw_model(reach: int) -> ContextModel:
    """Draw weights of limited magnitude; a channel has weights to later channels only."""
    rng = np.random.default_rng(reach)

    def weights(*shape: int, reach: int) -> np.ndarray:
        return rng.integers(-reach, reach + 1, shape).astype(np.float64)

    later = np.arange(CHANNELS)[:, None] < np.arange(CHANNELS)
    return ContextModel(
        earlier=weights(CHANNELS, 18, CHANNELS, HIDDEN, reach=reach) * later[:, None, :, None],
        same=weights(4, CHANNELS, 18, HIDDEN, reach=reach),
        bias=weights(2, 4, CHANNELS, HIDDEN, reach=50_000),
        linear=weights(4, CHANNELS, 9, reach=60),
        mean=weights(CHANNELS, HIDDEN, reach=200),
        scale=weights(CHANNELS, HIDDEN, reach=8),
        mean_bias=weights(2, 4, CHANNELS, reach=90_000).astype(np.int64),
        scale_bias=weights(2, 4, CHANNELS, reach=400_000).astype(np.int64),
        magnitudes=np.rint(np.arcsinh(np.arange(256)) * 64),
        frequencies=np.ones((48, 8, 50), np.int64),
        sha256=bytes(32),
    )


def windows(plane: np.ndarray) -> np.ndarray:
    """(N, h, w) -> (N, h, w, 9)."""
    padded = np.pad(plane, ((0, 0), (1, 1), (1, 1)))
    height, width = plane.shape[1:]
    return np.stack([padded[:, 1 + r : 1 + r + height, 1 + c : 1 + c + width] for r, c in NEIGHBOURS], axis=-1)


def features(model: ContextModel, plane: np.ndarray) -> np.ndarray:
    sizes = model.magnitudes[np.minimum(np.abs(plane), 255)].astype(np.int64)
    return np.concatenate([windows(np.sign(plane) * sizes), windows(sizes)], axis=-1)


def predictions(model: ContextModel, symbols: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield means and scale classes of each channel and pass (UNI-82), in Python's integers."""
    whole = {
        name: getattr(model, name).astype(np.int64).astype(object) for name in ("earlier", "same", "mean", "scale")
    }
    for channel in range(CHANNELS):
        sums: np.ndarray = np.zeros((*SHAPE, HIDDEN), object)
        for earlier in range(channel):
            sums = sums + features(model, symbols[:, earlier]).astype(object) @ whole["earlier"][earlier, :, channel]
        plane = np.zeros(SHAPE, np.int64)
        for pass_index, (row, column) in enumerate(PASSES):
            total = sums + features(model, plane).astype(object) @ whole["same"][pass_index, channel]
            total = (total + model.bias[LEVEL, pass_index, channel].astype(np.int64)).astype(np.int64)
            hidden = np.clip(total // 256, 0, 131071).astype(object)
            linear = windows(np.clip(plane, -255, 255)) @ model.linear[pass_index, channel].astype(np.int64)
            mean = hidden @ whole["mean"][channel] + 64 * linear + model.mean_bias[LEVEL, pass_index, channel]
            scale = hidden @ whole["scale"][channel] + model.scale_bias[LEVEL, pass_index, channel]
            means, scales = (mean.astype(np.int64) + 1024) // 2048, (scale.astype(np.int64) + 8192) // 16384
            here = (slice(None), slice(row, None, 2), slice(column, None, 2))
            yield means[here], np.clip(scales, 0, 47)[here]
            plane[here] = symbols[:, channel][here]


def draw_symbols(largest: int) -> np.ndarray:
    rng = np.random.default_rng(largest)
    symbols = rng.integers(-largest, largest + 1, (SHAPE[0], CHANNELS, *SHAPE[1:]))
    symbols[:, 4] = 0
    symbols[2, BLOCK + 2 :] = 0
    return symbols


@pytest.mark.parametrize(("reach", "largest", "is_float32"), [(100, 3, True), (3000, 20_000, False)])
def test_predictions_follow_the_specification(reach: int, largest: int, is_float32: bool) -> None:
    model, symbols = draw_model(reach), draw_symbols(largest)
    bounds = model.magnitudes[np.minimum(np.abs(symbols).max((0, 2, 3)), 255)] @ model.excursions
    assert (bounds.max() < EXACT_IN_FLOAT32) == is_float32
    context = ContextPredictor(model, LEVEL, CHANNELS, SHAPE)
    expected = predictions(model, symbols)
    for channel in range(CHANNELS):
        pictures = 3 if channel < BLOCK + 2 else 2  # one picture ends within a block
        context.keep(pictures)
        for pass_index, (row, column) in enumerate(PASSES):
            for found, right in zip(context.predict(channel, pass_index), next(expected), strict=True):
                assert np.array_equal(found, right[:pictures])
            context.add_values(pass_index, symbols[:pictures, channel, row::2, column::2])
        context.finish_channel(channel)


def test_known_neighbours_are_those_of_earlier_passes() -> None:
    assert [[NEIGHBOURS[k] for k in known(pass_index)] for pass_index in range(4)] == [
        [],
        [(-1, -1), (-1, 1), (1, -1), (1, 1)],
        [(-1, 0), (0, -1), (0, 1), (1, 0)],
        [(r, c) for r, c in NEIGHBOURS if (r, c) != (0, 0)],
    ]
