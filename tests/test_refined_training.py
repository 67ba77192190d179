"""The script that trains on refined codes: it sees those of archives, and trains what the package holds."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, weights_of

SIDE = 64


class Difference(nn.Module):
    """In place of the perceptual distance, whose features are not at hand."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import train_on_refined

    return train_on_refined


@pytest.fixture
def autoencoder() -> PackagedAutoencoder:
    return PackagedAutoencoder(torch.device("cpu"))


@pytest.fixture
def rate() -> RateModel:
    return RateModel.of(load_context_model())


def some_squares(script: ModuleType, autoencoder: PackagedAutoencoder, rate: RateModel) -> Iterator[Any]:
    """Two of a step without end, whole ones and halves."""
    rng = np.random.default_rng(0)
    crops = iter(lambda: torch.from_numpy(rng.integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)), None)
    return script.refined_squares(autoencoder, rate, crops, rng, minutes=60, rounds=1)


def test_squares_are_whole_or_halves_with_the_steps_of_codes(
    script: ModuleType, autoencoder: PackagedAutoencoder, rate: RateModel
) -> None:
    endless = some_squares(script, autoencoder, rate)
    parts = [next(endless) for _ in range(12)]
    assert {squares.half for squares in parts} == {False, True}
    assert len({squares.steps[0].item() for squares in parts}) == 12
    kinds = script.by_kind(parts)
    assert len(kinds) == 2 and sum(len(squares.pixels) for squares in kinds) == 24
    for squares in kinds:
        cells = SIDE // (32 if squares.half else 16)
        assert squares.pixels.shape[1:] == (SIDE, SIDE, 3) and squares.symbols.shape[1:] == (64, cells, cells)
        assert torch.equal(squares.own_steps, squares.steps / (2 if squares.half else 1))
        assert (squares.own_steps <= autoencoder.network.max_step).all()
        moved = squares.symbols - squares.latents.float() / squares.own_steps.view(-1, 1, 1, 1)
        assert 0.5 < moved.abs().max() < 1, "rounded, and moved by a part of the step before"


def test_batches_are_of_one_kind_and_leave_none_out(
    script: ModuleType, autoencoder: PackagedAutoencoder, rate: RateModel
) -> None:
    endless = some_squares(script, autoencoder, rate)
    kinds = script.by_kind([next(endless) for _ in range(12)])
    drawn = script.batches(kinds, 2, np.random.default_rng(0))
    batches = [next(drawn) for _ in range(12)]
    assert {(batch.half, len(batch.pixels)) for batch in batches} == {(False, 2), (True, 2)}
    pixels = torch.cat([batch.pixels for batch in batches]).flatten(1)
    assert torch.equal(pixels.unique(dim=0), torch.cat([some.pixels for some in kinds]).flatten(1).unique(dim=0))


def test_too_few_squares_for_a_batch_are_told_of(
    script: ModuleType, autoencoder: PackagedAutoencoder, rate: RateModel
) -> None:
    squares = next(some_squares(script, autoencoder, rate))
    with pytest.raises(ValueError, match="fewer than 3 squares"):
        next(script.batches([squares], 3, np.random.default_rng(0)))


def test_training_lowers_the_losses_of_the_weights_that_are_packaged(
    script: ModuleType, autoencoder: PackagedAutoencoder, rate: RateModel
) -> None:
    import export

    squares = next(some for some in some_squares(script, autoencoder, rate) if not some.half)
    encoder = {name: weight.clone() for name, weight in autoencoder.network.encoder.named_parameters()}
    trainer = script.RefinedTrainer(autoencoder, rate, Difference(), 500.0, script.gradients_on(torch.device("cpu"), 1))

    def losses() -> Tensor:
        torch.manual_seed(0)
        with torch.no_grad():
            return torch.stack([trainer.decoder_loss(squares), trainer.rate_loss(squares)])

    before = losses()
    for _ in range(5):
        trainer.train_step(squares, 0.3)
    after = losses()
    assert (after < before - 0.01 * before.abs()).all()
    packaged = export.as_packaged(autoencoder.network.state_dict())
    assert sum(tensor.dtype == torch.int8 for tensor in packaged.values()) > 15
    autoencoder.network.load_state_dict(weights_of(packaged))
    assert losses()[0].item() == pytest.approx(after[0].item(), rel=1e-3)
    assert all(torch.equal(weight, encoder[n]) for n, weight in autoencoder.network.encoder.named_parameters())


def test_what_is_refined_for_is_not_what_is_trained(
    script: ModuleType, autoencoder: PackagedAutoencoder, rate: RateModel
) -> None:
    trainer = script.RefinedTrainer(autoencoder, rate, Difference(), 500.0, script.gradients_on(torch.device("cpu"), 1))
    frozen, fixed = script.fixed(autoencoder, rate)
    assert not any(weight.requires_grad for weight in [*frozen.network.parameters(), *fixed.parameters()])
    assert all(weight.requires_grad for weight in [*trainer.decoder.parameters(), *trainer.rate.parameters()])


def test_the_pace_falls_evenly_over_all_passes(script: ModuleType) -> None:
    assert [script.pace_of_pass(done, 2, part) for done in (0, 1) for part in (0.0, 0.5, 1.0)] == [
        1, 0.75, 0.5, 0.5, 0.25, 0
    ]  # fmt: skip
