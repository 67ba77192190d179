"""A picture computed in bands of rows equals the picture computed in one piece."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.conftest import draw
from unicorn_codec.transform import autoencoder
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.bands import Local, Whole, in_bands
from unicorn_codec.transform.coding_autoencoder import BOTTLENECK, RESIDUAL, CodingAutoencoder
from unicorn_codec.transform.spans import Span, spans


def autoencoder_of(blocks: str) -> PackagedAutoencoder:
    """Return the smallest network that has every kind of layer at two resolutions, with random weights everywhere."""
    made = PackagedAutoencoder(torch.device("cpu"))
    torch.manual_seed(0)
    network = CodingAutoencoder(
        latent_channels=6,
        encoder_widths=[8, 8, 8, 8],
        encoder_depths=[1, 0, 1, 0],
        decoder_widths=[8, 8, 8, 8],
        decoder_depths=[1, 0, 1, 0],
        decoder_blocks=blocks,
        max_step=12.0,
    )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=0.15)
    network.requires_grad_(False)
    made.network = network
    made.channels = 6
    object.__setattr__(made.reference, "latent_channels", 6)
    return made


def divide(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """Let all pictures be computed in bands of so many pixels."""
    monkeypatch.setattr(autoencoder, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(autoencoder, "BAND_PIXELS", pixels)


def test_spans_cover_a_side_once() -> None:
    assert spans(10, 4, 2) == [Span(0, 3, 0, 5), Span(3, 6, 1, 8), Span(6, 10, 4, 10)]
    assert spans(4, 4, 9) == [Span(0, 4, 0, 4)]


@pytest.mark.parametrize("blocks", [RESIDUAL, BOTTLENECK])
@pytest.mark.parametrize("band", [1, 16 * 256 * 3])
@pytest.mark.parametrize(("width", "height"), [(250, 131), (17, 300), (160, 160), (40, 16)])
def test_bands_join_without_seams(
    blocks: str, band: int, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "fast_arithmetic", lambda _: nullcontext())  # rounding would hide seams
    made, picture = autoencoder_of(blocks), draw(1, width, height)

    def all_of_it(latents: Tensor | None = None) -> tuple[Tensor, list[np.ndarray]]:
        encoded = made.encode_pictures([picture, picture[::-1]], 16)
        latents = encoded if latents is None else latents
        steps = 1 + torch.rand(2, *latents.shape[2:], generator=torch.Generator().manual_seed(0))
        decoded = made.decode_pictures(latents, height, width, 2.0) + made.decode_pictures(
            latents, height, width, steps
        )
        return encoded, decoded + made.decode_pictures(latents, 2 * height - 1, 2 * width, 2.0, half=True)

    latents, pictures = all_of_it()
    divide(monkeypatch, band)
    latents_in_bands, pictures_in_bands = all_of_it(latents)
    assert latents.std() > 0.01
    torch.testing.assert_close(latents_in_bands, latents, atol=1e-4, rtol=1e-4)
    for a, b in zip(pictures, pictures_in_bands, strict=True):
        assert a.shape == b.shape
        assert a.std() > 1 and np.abs(a.astype(int) - b).max() <= 1 and (a != b).mean() < 1e-3


def test_bands_are_the_same_on_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    divide(monkeypatch, 16 * 256 * 3)
    made, picture, found, usual = autoencoder_of(RESIDUAL), draw(2, 250, 131), [], torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            latents = made.encode_pictures([picture], 16)
            found.append((latents.numpy(), made.decode_pictures(latents, 131, 250, 2.0)[0]))
    finally:
        torch.set_num_threads(usual)
    for one in found[1:]:
        assert all(np.array_equal(*pair) for pair in zip(one, found[0], strict=True))


def test_what_a_layer_keeps_does_not_hold_its_bands() -> None:
    layer = in_bands(nn.Conv2d(1, 1, 3, padding=1))
    rows = torch.zeros(1, 1, 1000, 50)
    layer.push(rows, last=False)
    kept = layer._kept._rows  # type: ignore[attr-defined]
    assert kept.shape[2] == 2 and kept.untyped_storage().nbytes() == kept.nbytes


def test_a_local_function_gets_every_row_with_its_neighbours() -> None:
    def means(rows: Tensor) -> Tensor:
        return F.avg_pool2d(rows, (5, 1), 1, (2, 0), count_include_pad=False)

    column = torch.randn(1, 1, 30, 1)
    for lengths in ([30], [1] * 30, [1, 7, 2, 20], [29, 1]):
        local, made = Local(means, 2, 1), []
        parts = column.split(lengths, 2)
        for number, part in enumerate(parts, start=1):
            made.append(local.push(part, last=number == len(parts)))
        torch.testing.assert_close(torch.cat(made, 2), means(column))


def test_what_cannot_be_divided_is_computed_at_the_end() -> None:
    whole = Whole(lambda rows: rows.cumsum(2))
    assert whole.push(torch.ones(1, 1, 2, 1), last=False).shape[2] == 0
    assert whole.push(torch.ones(1, 1, 1, 1), last=True).flatten().tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="no bands for GroupNorm"):
        in_bands(nn.Sequential(nn.GroupNorm(1, 4)))
