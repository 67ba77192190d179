"""The script that trains the autoencoder: each step follows its own gradient, and Muon's updates are whole."""

from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

SIDE = 64


class Difference(nn.Module):
    """In place of the perceptual distance, whose features are not at hand."""

    def __init__(self, features: Path | None) -> None:
        super().__init__()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (a - b).abs().mean((1, 2, 3))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import train_autoencoder

    monkeypatch.setattr(train_autoencoder, "PerceptualDistance", Difference)
    return train_autoencoder


@pytest.fixture
def pictures() -> ModuleType:
    import training_pictures

    return training_pictures


def new_trainer(script: ModuleType, folder: Path, *, phase: str = "joint", pace: float = 0.0) -> Any:
    """One whose steps change no weight, unless it gets a pace."""
    args = Namespace(
        out=folder,
        device="cpu",
        start="photo-1",
        features=None,
        perceptual=200.0,
        batch=2,
        crop=SIDE,
        parts=1,
        network="photo",
    )
    args.paces = args.other_paces = (pace, pace)
    args.minutes, args.teacher = (0.0, 0.0), "photo-1"
    photos = [np.random.default_rng(0).integers(0, 256, (300, 280, 3), dtype=np.uint8)]
    some = script.Photos(photos, [])
    trainer = script.Trainer(some, some, args)
    trainer.begin(phase)
    return trainer


def gradients_after(script: ModuleType, folder: Path, batches: list[Tensor]) -> list[Tensor]:
    """Of the kernels, after a step on each batch."""
    trainer = new_trainer(script, folder)
    for batch in batches:
        torch.manual_seed(1)  # the same steps, and the same noise
        trainer.train_step(batch)
    return [kernel.grad for kernel, _ in trainer.kernels]


def test_a_step_knows_no_gradient_of_the_steps_before(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "RATE_MODEL_PACE", 0.0)
    first, second = torch.randint(256, (2, 2, SIDE, SIDE, 3), dtype=torch.uint8)
    both, alone = (gradients_after(script, tmp_path, batches) for batches in ([first, second], [second]))
    assert any(gradient.abs().max() > 0 for gradient in alone)
    torch.testing.assert_close(both, alone)


def test_gradients_are_the_same_in_parts(script: ModuleType) -> None:
    from gradients import Parts

    threads = torch.get_num_threads()
    weight, batch = nn.Parameter(torch.tensor([2.0, -1.0])), torch.randn(6, 2)

    def terms(some: Tensor) -> Tensor:
        return torch.stack([(some @ weight).square().mean(), some.mean()])

    found = []
    for count in (1, 3):
        values = Parts(count).differentiate(terms, [weight], [batch])
        found.append((values, weight.grad))
    torch.set_num_threads(threads)
    torch.testing.assert_close(found[0], found[1])
    assert found[0][1] is not None and found[0][1].abs().max() > 0


def test_the_decoder_is_distilled_alone_from_its_teacher(script: ModuleType, tmp_path: Path) -> None:
    trainer = new_trainer(script, tmp_path, phase="decoder", pace=1e-3)
    crops = torch.randint(256, (2, SIDE, SIDE, 3), dtype=torch.uint8)
    _, error, _ = trainer.train_step(crops)
    assert error < 1, "the teacher is the packaged decoder, which the trained one begins as"
    before = {name: weight.clone() for name, weight in trainer.network.state_dict().items()}
    with torch.no_grad():
        trainer.network.decoder[-2].bias.add_(0.1)
    trainer.train_step(crops)
    moved = {name for name, weight in trainer.network.state_dict().items() if not torch.equal(weight, before[name])}
    assert moved and all(name.startswith("decoder.") for name in moved)


def test_a_run_goes_on_from_its_checkpoint(script: ModuleType, tmp_path: Path) -> None:
    trainer = new_trainer(script, tmp_path, pace=1e-3)
    trainer.train_step(torch.randint(256, (2, SIDE, SIDE, 3), dtype=torch.uint8))
    trainer.step, trainer.elapsed = 7, 70.0
    trainer.save()
    resumed = new_trainer(script, tmp_path, phase="decoder")
    resumed.resume()
    assert (resumed.phase, resumed.step, resumed.elapsed) == ("joint", 7, 70.0)
    for name, weight in trainer.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], weight), name


@pytest.mark.parametrize("factor", [1e4, float("nan")])
def test_a_batch_of_a_loss_beyond_all_others_teaches_nothing(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    trainer, batch = new_trainer(script, tmp_path), torch.randint(256, (2, SIDE, SIDE, 3), dtype=torch.uint8)
    first = trainer.train_step(batch)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_coded", lambda crops: script.Trainer._coded(trainer, crops) * factor)
        found = trainer.train_step(batch)
    assert found[0] == trainer.usual_loss == first[0]
    assert all((parameter.grad == 0).all() for parameter in trainer.network.parameters())
    assert trainer.train_step(batch)[0] < 2 * first[0]
    assert any((parameter.grad != 0).any() for parameter in trainer.network.parameters())


@pytest.mark.parametrize("shape", [(3, 8, 40), (2, 40, 8)])
def test_updates_have_singular_values_of_about_one(script: ModuleType, shape: tuple[int, ...]) -> None:
    from muon import orthogonalise

    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(matrices))
    assert ((values > 0.5) & (values < 1.5)).all()


def crops_of(pictures: ModuleType, photos: list[np.ndarray], drawn: list[np.ndarray], count: int, side: int) -> Tensor:
    found: Tensor = next(iter(pictures.Crops(pictures.Photos(photos, drawn), count, side, torch.device("cpu"))))
    return found


def test_crops_are_squares_of_the_pictures(script: ModuleType, pictures: ModuleType) -> None:
    rows, columns = np.meshgrid(np.arange(90), np.arange(70), indexing="ij")
    places = np.stack([rows, columns, np.full_like(rows, 200)], axis=2).astype(np.uint8)
    squares = pictures.Bank([np.zeros((20, 90, 3), np.uint8), places], torch.device("cpu")).crops(50, 64).int()
    assert squares.shape == (50, 64, 64, 3)
    assert (squares[..., 2] == 200).all(), "the other picture is too small"
    corners = squares[:, :1, :1, :2]
    assert torch.equal(squares[..., 0] - corners[..., 0], torch.arange(64).view(1, 64, 1).expand(50, 64, 64))
    assert torch.equal(squares[..., 1] - corners[..., 1], torch.arange(64).view(1, 1, 64).expand(50, 64, 64))
    assert corners.flatten(1).amax(0).tolist()[0] <= 26 and corners.flatten(1).amax(0).tolist()[1] <= 6
    assert len(corners.flatten(1).unique(dim=0)) > 20


def test_no_picture_that_is_large_enough_is_an_error(script: ModuleType, pictures: ModuleType) -> None:
    with pytest.raises(ValueError, match="no picture has sides of 64 pixels"):
        pictures.Bank([np.zeros((20, 90, 3), np.uint8)], torch.device("cpu")).crops(1, 64)


def test_crops_made_smaller_keep_their_colours(script: ModuleType, pictures: ModuleType) -> None:
    crops = torch.full((2, 96, 96, 3), 77, dtype=torch.uint8)
    small = pictures.resized(crops, 64)
    assert small.shape == (2, 64, 64, 3) and (small == 77).all()


def test_crops_follow_from_the_seed(script: ModuleType, pictures: ModuleType) -> None:
    photos = [np.random.default_rng(0).integers(0, 256, (260, 240, 3), dtype=np.uint8)]
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(crops_of(pictures, photos, [], 4, 128))
    assert found[0].shape == (4, 128, 128, 3) and found[0].dtype == torch.uint8
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_some_crops_are_gray_and_some_are_drawn(script: ModuleType, pictures: ModuleType) -> None:
    photo, drawn = (np.full((64, 64, 3), colour, np.uint8) for colour in ((200, 100, 0), (0, 0, 77)))
    torch.manual_seed(0)
    crops = crops_of(pictures, [photo], [drawn], 300, 64)
    colours = crops[:, 0, 0]
    is_drawn = (colours == torch.tensor([0, 0, 77], dtype=torch.uint8)).all(1)
    is_gray = (colours == colours[:, :1]).all(1)
    assert 0.1 < is_drawn.float().mean() < 0.27
    assert 0.04 < is_gray.float().mean() < 0.18
    assert (colours[~is_drawn & ~is_gray] == torch.tensor([200, 100, 0], dtype=torch.uint8)).all()
