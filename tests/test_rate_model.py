"""The context model in floating point, computed in parallel, against a loop over values."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor

from unicorn_codec.codes import rate_model
from unicorn_codec.codes.context_model import MAX_SYMBOL, NEIGHBOURS, PASSES, load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.format.header import MAX_LEVEL

CHANNELS, HIDDEN = 3, 4


@pytest.fixture
def model() -> RateModel:
    torch.manual_seed(0)
    made = RateModel(CHANNELS, HIDDEN)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made.requires_grad_(requires_grad=False)


def one_by_one(model: RateModel, symbols: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Predict the values of a picture, (C, h, w), from those that a decoder knows, each alone."""
    weights = model.masked()
    channels, height, width = symbols.shape
    means, scales = torch.zeros_like(symbols), torch.zeros_like(symbols)
    for step, (row, column) in enumerate(PASSES):
        for channel, top, left in np.ndindex(channels, height, width):
            if (top % 2, left % 2) != (row, column):
                continue
            level = int(levels[top, left])
            hidden = model.bias[level, step, channel].clone()
            mean = model.mean_bias[level, step, channel].clone()
            for place, (down, right) in enumerate(NEIGHBOURS):
                if not (0 <= top + down < height and 0 <= left + right < width):
                    continue
                near = symbols[:, top + down, left + right].clamp(-MAX_SYMBOL, MAX_SYMBOL)
                signed, sizes = torch.asinh(near), torch.asinh(near.abs())
                for other in range(channels):
                    pair = weights["earlier"].view(channels, 2, 9, channels, HIDDEN)[other, :, place, channel]
                    hidden += signed[other] * pair[0] + sizes[other] * pair[1]
                pair = weights["same"][step].view(channels, 2, 9, HIDDEN)[channel, :, place]
                hidden += signed[channel] * pair[0] + sizes[channel] * pair[1]
                mean += weights["linear"][step, channel, place] * near[channel]
            hidden = hidden.clamp_min(0)
            means[channel, top, left] = mean + hidden @ model.mean[channel]
            scales[channel, top, left] = hidden @ model.scale[channel] + model.scale_bias[level, step, channel]
    return means, scales


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 2), (4, 4), (5, 7), (1, 6)])
@pytest.mark.parametrize("of_cells", [False, True])
def test_values_are_predicted_from_what_a_decoder_knows(
    model: RateModel, height: int, width: int, of_cells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_model, "has_fast_bfloat16", lambda _: False)
    monkeypatch.setattr(rate_model, "fast_arithmetic", lambda _: nullcontext())
    symbols = (torch.randn(2, CHANNELS, height, width) * 3).round()
    levels = torch.randint(MAX_LEVEL, (2, height, width) if of_cells else (2, 1, 1))
    found = model(symbols, levels if of_cells else levels.flatten())
    for number, values in enumerate(zip(*found, strict=True)):
        expected = one_by_one(model, symbols[number], levels[number].expand(height, width))
        for some, wanted in zip(values, expected, strict=True):
            torch.testing.assert_close(some, wanted, rtol=1e-4, atol=1e-4)


def test_a_kept_kernel_follows_the_weights() -> None:
    shipped, values = RateModel.of(load_context_model()), torch.ones(1, 64, 2, 2)
    level = torch.tensor([5])
    before = shipped.bits(values, level).sum()
    shipped.earlier.mul_(0)
    after = shipped.bits(values, level).sum()
    fresh = RateModel.of(load_context_model())
    fresh.earlier.mul_(0)
    assert after != before and after == fresh.bits(values, level).sum()
