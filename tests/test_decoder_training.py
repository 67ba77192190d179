"""The script that trains the decoder on refined codes: it sees those of archives, and trains what the package holds."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unicorn_codec.autoencoder import EmbeddedAutoencoder, weights_of
from unicorn_codec.code_model import load_code_model
from unicorn_codec.rate_model import RateModel

SIDE = 64


class Difference(nn.Module):
    """In place of the perceptual distance, whose features are not at hand."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import refined_squares
    import train_decoder

    monkeypatch.setattr(refined_squares, "SIDE", SIDE)
    monkeypatch.setattr(refined_squares, "ROUNDS", 1)
    return train_decoder


@pytest.fixture
def autoencoder() -> EmbeddedAutoencoder:
    return EmbeddedAutoencoder(torch.device("cpu"))


def squares_of(script: ModuleType, autoencoder: EmbeddedAutoencoder, count: int) -> list:  # type: ignore[type-arg]
    """Some refined squares, whole ones and halves."""
    pictures = [np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)]
    rate, rng = RateModel.of(load_code_model()), np.random.default_rng(0)
    endless = script.refined_squares(autoencoder, pictures, rate, rng, minutes=60, together=2)
    return [next(endless) for _ in range(count)]


def test_squares_are_whole_or_halves_with_the_steps_of_codes(
    script: ModuleType, autoencoder: EmbeddedAutoencoder
) -> None:
    squares = squares_of(script, autoencoder, 24)
    assert {square.half for square in squares} == {False, True}
    for square in squares:
        cells = SIDE // (32 if square.half else 16)
        assert square.pixels.shape == (SIDE, SIDE, 3) and square.symbols.shape == (64, cells, cells)
        assert square.own_step == square.step / (2 if square.half else 1) <= autoencoder.network.max_step
    assert len({square.step for square in squares}) == 12


def test_batches_are_of_one_kind_and_leave_none_out(script: ModuleType, autoencoder: EmbeddedAutoencoder) -> None:
    squares = squares_of(script, autoencoder, 12)
    drawn = script.batches(squares, 2, np.random.default_rng(0))
    some = [next(drawn) for _ in range(6)]
    assert all(len({square.half for square in batch}) == 1 for batch in some)
    assert {id(square) for batch in some for square in batch} == set(map(id, squares))


def test_training_lowers_the_loss_of_the_weights_that_are_packaged(
    script: ModuleType, autoencoder: EmbeddedAutoencoder
) -> None:
    import train_autoencoder

    squares = [square for square in squares_of(script, autoencoder, 12) if not square.half][:2]
    encoder = {name: weight.clone() for name, weight in autoencoder.network.encoder.named_parameters()}
    trainer = script.DecoderTrainer(autoencoder, Difference(), 500.0)

    def loss() -> float:
        torch.manual_seed(0)
        with torch.no_grad():
            return trainer.loss(squares).item()

    before = loss()
    for _ in range(5):
        trainer.train_step(squares, 0.3)
    after = loss()
    assert after < 0.99 * before
    packaged = train_autoencoder.as_packaged(autoencoder.network.state_dict())
    assert sum(tensor.dtype == torch.int8 for tensor in packaged.values()) > 20
    autoencoder.network.load_state_dict(weights_of(packaged))
    assert loss() == pytest.approx(after, rel=1e-3)
    assert all(torch.equal(weight, encoder[n]) for n, weight in autoencoder.network.encoder.named_parameters())
