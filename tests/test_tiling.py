"""A picture computed in tiles equals the picture computed in one piece."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import draw
from unicorn_codec.transform import autoencoder, tiling
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.tiling import Span, margin_of, spans, tiles


@pytest.fixture(scope="module")
def packaged() -> PackagedAutoencoder:
    """The smallest network that has every kind of layer at two resolutions, with random weights everywhere."""
    made = PackagedAutoencoder(torch.device("cpu"))
    torch.manual_seed(0)
    network = CodingAutoencoder(
        latent_channels=6,
        encoder_widths=[8, 8, 8, 8],
        encoder_depths=[1, 0, 1, 0],
        decoder_widths=[8, 8, 8, 8],
        decoder_depths=[1, 0, 1, 0],
        decoder_blocks="residual",
        max_step=12.0,
    )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.15)
    network.requires_grad_(False)
    made.network = network
    made.channels = 6
    object.__setattr__(made.reference, "latent_channels", 6)
    made.encoder_margin = margin_of(network.encoder, 16, from_pixels=True)
    made.decoder_margin = margin_of(network.decoder, 16, from_pixels=False)
    return made


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "UNTILED_PIXELS", 1)
    monkeypatch.setattr(tiling, "TILE_SIDE", 48)


def test_spans_cover_a_side_once() -> None:
    assert spans(10, 4, 2) == [Span(0, 3, 0, 5), Span(3, 6, 1, 8), Span(6, 10, 4, 10)]
    assert spans(4, 4, 9) == [Span(0, 4, 0, 4)]


def test_small_pictures_and_unknown_networks_are_one_tile() -> None:
    assert len(list(tiles(90, 90, 16, 9))) == 1
    assert len(list(tiles(500, 500, 16, None))) == 1
    assert len(list(tiles(65, 200, 16, 9))) == 2 * 4


def test_margins_are_the_receptive_field(packaged: PackagedAutoencoder) -> None:
    # A 3x3 convolution adds one cell: of 2, 2, 2, 8, 8, 16 pixels; of 16, 16, 16, 4, 4, 2 pixels.
    assert packaged.encoder_margin == -(-38 // 16)
    assert packaged.decoder_margin == -(-58 // 16)


@pytest.mark.parametrize(("width", "height"), [(250, 131), (17, 300), (160, 160)])
def test_tiles_join_without_seams(
    packaged: PackagedAutoencoder,
    width: int,
    height: int,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(autoencoder, "fast_arithmetic", lambda _: nullcontext())  # rounding would hide seams
    picture = draw(1, width, height)
    latents = packaged.encode_pictures([picture, picture[::-1]], 16)
    decoded = packaged.decode_pictures(latents, height, width, 2.0)
    doubled = packaged.decode_pictures(latents, 2 * height - 1, 2 * width, 2.0, half=True)
    request.getfixturevalue("small_tiles")
    tiled = packaged.encode_pictures([picture, picture[::-1]], 16)
    assert latents.std() > 0.01
    torch.testing.assert_close(tiled, latents, atol=1e-4, rtol=1e-4)
    decoded_again = packaged.decode_pictures(latents, height, width, 2.0)
    doubled_again = packaged.decode_pictures(latents, 2 * height - 1, 2 * width, 2.0, half=True)
    for a, b in zip(decoded + doubled, decoded_again + doubled_again, strict=True):
        assert a.shape == b.shape
        assert a.std() > 1 and np.abs(a.astype(int) - b).max() <= 1 and (a != b).mean() < 1e-3


@pytest.mark.usefixtures("small_tiles")
def test_a_smaller_margin_leaves_seams(packaged: PackagedAutoencoder, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = draw(1, 250, 131)
    latents = packaged.encode_pictures([picture], 16)
    assert packaged.encoder_margin is not None
    monkeypatch.setattr(packaged, "encoder_margin", packaged.encoder_margin - 1)
    assert (packaged.encode_pictures([picture], 16) - latents).abs().max() > 1e-3


@pytest.mark.usefixtures("small_tiles")
def test_tiles_are_the_same_on_any_number_of_cores(packaged: PackagedAutoencoder) -> None:
    picture, found, usual = draw(2, 250, 131), [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            latents = packaged.encode_pictures([picture], 16)
            found.append((latents.numpy(), packaged.decode_pictures(latents, 131, 250, 2.0)[0]))
    finally:
        torch.set_num_threads(usual)
    for one in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(one, found[0], strict=True))
