"""The script that puts quiet latent channels last: what is decoded, and what a code costs, stays as it is."""

from importlib import resources
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from unicorn_codec.codes import code_model
from unicorn_codec.codes.code_model import CodeModel, load_code_model
from unicorn_codec.codes.coding import channel_counts, encode_images
from unicorn_codec.format.header import EMBEDDED_AUTOENCODERS
from unicorn_codec.transform import autoencoder
from unicorn_codec.transform.autoencoder import EmbeddedAutoencoder, weights_of

NAME = EMBEDDED_AUTOENCODERS[-1]
QUIET = (20, 31)
LOUD = 40
"""Channels of the latents here: the last loud one is behind the quiet ones."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import order_channels

    return order_channels


def packaged(file: str) -> dict[str, np.ndarray]:
    return load_file(str(resources.files("unicorn_codec") / "pretrained" / f"{file}.safetensors"))


def new_order(script: ModuleType) -> np.ndarray:
    """The one that the script finds for latents of which two channels hardly say anything."""
    latents = torch.full((64, 16, 16), script.QUIET_STEP)
    latents[list(QUIET)] = script.QUIET_STEP / 4
    latents[3] = 0.0
    order: np.ndarray = script.order_of([latents])
    return order


def test_quiet_channels_go_last_but_leading_ones_stay(script: ModuleType) -> None:
    rest = [channel for channel in range(64) if channel not in QUIET]
    assert new_order(script).tolist() == [*rest, *QUIET]


def test_the_autoencoder_decodes_the_same_pictures(script: ModuleType) -> None:
    order = new_order(script)
    old, new = (EmbeddedAutoencoder(torch.device("cpu"), name=NAME).network for _ in range(2))
    tensors = script.ordered_autoencoder(packaged(autoencoder.FILES[NAME]), order)
    new.load_state_dict(weights_of({key: torch.from_numpy(tensor) for key, tensor in tensors.items()}))
    images, steps = torch.rand(1, 3, 64, 64) * 2 - 1, torch.tensor([2.0])
    latents, reordered = old.encode(images), new.encode(images)
    assert torch.allclose(latents[:, order], reordered, atol=1e-4)
    assert torch.allclose(old.decode(latents, steps), new.decode(reordered, steps), atol=1e-3)


def test_codes_of_quiet_channels_get_shorter(script: ModuleType) -> None:
    order = new_order(script)
    plain = load_code_model(NAME)
    integers = script.ordered_model(packaged(code_model.FILES[NAME][0]), order)
    kinds = {key: getattr(plain, key).dtype for key in integers}
    ordered = CodeModel(**{key: array.astype(kinds[key]) for key, array in integers.items()}, sha256=bytes(32))
    symbols = np.zeros((4, 64, 16, 16), np.int16)
    symbols[:, :LOUD] = np.random.default_rng(0).integers(-1, 2, (4, LOUD, 16, 16))
    symbols[:, list(QUIET)] = 0
    assert (channel_counts(symbols) == LOUD).all()
    assert (channel_counts(symbols[:, order]) == LOUD - len(QUIET)).all()
    for before, after in zip(
        encode_images(plain, 4, symbols), encode_images(ordered, 4, symbols[:, order]), strict=True
    ):
        assert 0.9 * len(before) < len(after) < len(before)
