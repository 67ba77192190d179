"""The script that trains the packaged autoencoder: each step follows its own gradient, and Muon's updates are whole."""

from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

SIDE = 64


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import train_autoencoder

    return train_autoencoder


def new_trainer(script: ModuleType, folder: Path) -> Any:
    """One whose steps change no weight."""
    args = Namespace(device="cpu", start=None, muon_lr=0.0, other_lr=0.0, refine_from=0.6, compile=())
    return script.Trainer(folder, [np.zeros((SIDE, SIDE, 3), np.uint8)] * 2, None, args)


def gradients_after(script: ModuleType, folder: Path, batches: list[Tensor]) -> list[Tensor]:
    """Of the kernels, after a step on each batch."""
    trainer = new_trainer(script, folder)
    for batch in batches:
        torch.manual_seed(1)  # the same steps, and the same noise
        trainer.train_step(batch, 0.3)
    return [kernel.grad for kernel, _ in trainer.kernels]


def test_a_step_knows_no_gradient_of_the_steps_before(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "RATE_MODEL_PACE", 0.0)
    first, second = torch.rand(2, 2, 3, SIDE, SIDE) * 2 - 1
    both, alone = (gradients_after(script, tmp_path, batches) for batches in ([first, second], [second]))
    assert any(gradient.abs().max() > 0 for gradient in alone)
    torch.testing.assert_close(both, alone)


@pytest.mark.parametrize("factor", [1e4, float("nan")])
def test_a_batch_of_a_loss_beyond_all_others_teaches_nothing(script: ModuleType, tmp_path: Path, factor: float) -> None:
    trainer, batch = new_trainer(script, tmp_path), torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    first = trainer.train_step(batch, 0.3)
    told = trainer.train_step(batch * factor, 0.3)
    assert told[0] == trainer.usual_loss == first[0]
    assert all((parameter.grad == 0).all() for parameter in trainer.network.parameters())
    assert trainer.train_step(batch, 0.3)[0] < 2 * first[0]
    assert any((parameter.grad != 0).any() for parameter in trainer.network.parameters())


@pytest.mark.parametrize("shape", [(3, 8, 40), (2, 40, 8)])
def test_updates_have_singular_values_of_about_one(script: ModuleType, shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(script.orthogonalise(matrices))
    assert ((values > 0.5) & (values < 1.5)).all()


def test_crops_are_others_from_each_seed_and_the_same_from_one(script: ModuleType) -> None:
    pictures = [np.random.default_rng(0).integers(0, 256, (160, 140, 3), dtype=np.uint8)]
    same, again, other = (next(iter(script.Crops(pictures, 4, 128, seed))) for seed in (1, 1, 2))
    assert same.shape == (4, 128, 128, 3) and same.dtype == torch.uint8
    assert torch.equal(same, again)
    assert not torch.equal(same, other)
