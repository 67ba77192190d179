"""The script that trains an autoencoder of the Stable Diffusion kind."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.conftest import draw
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import train_kl

    return train_kl


def test_crops_are_of_pictures_that_are_large_enough(script: ModuleType, tmp_path: Path) -> None:
    for number, side in enumerate((100, 128, 160)):
        write_picture(draw(number, side, 150), tmp_path / f"{number}.png")
    crops = script.cutter(list_folder(tmp_path, ReadOptions()), 0)(128)
    assert crops.shape == (2, 3, 128, 128) and crops.min() >= 0 and crops.max() <= 1


def test_a_few_steps_lower_the_loss_and_the_model_is_small_enough(script: ModuleType) -> None:
    torch.manual_seed(0)
    model = script.new_autoencoder().to(memory_format=torch.channels_last)
    assert sum(p.numel() for p in model.parameters()) * 2 <= 6e6, "the limit of a benchmark's artefact"
    picture = torch.from_numpy(draw(1, 64, 64)).permute(2, 0, 1)[None] / 255
    optimizers = script.Optimizers(model)
    losses = []
    for _ in range(8):
        loss, squared = script.loss_of(model, picture, None)
        loss.backward()
        optimizers.step(1.0)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0] and ((squared > 0) & (squared < 1)).all()
    assert model.encode(2 * picture - 1).latent_dist.mode().shape == (1, 4, 8, 8)


def test_training_begins_with_the_means_of_latent_positions(script: ModuleType) -> None:
    pictures = torch.rand(1, 3, 32, 24)
    blurred = script.blurred(pictures, 0.0)
    assert blurred.shape == pictures.shape and blurred.std() < pictures.std() / 4
    assert torch.equal(script.blurred(pictures, 1.0), pictures)
    torch.testing.assert_close(script.blurred(pictures, 0.5), (blurred + pictures) / 2)
