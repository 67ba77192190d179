"""Small pictures from the leading channels of codes: like the decoded ones, and without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.codes.latent_coding import decode_symbols, encode_symbols
from unicorn_codec.decoders.thumbnail_decoder import CELL, CHANNELS, ThumbnailModel, decode_small, thumbnail_model
from unicorn_codec.errors import InvalidField
from unicorn_codec.format.code_kinds import mark_gray
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.metrics import psnr_db

LEAST_PSNR_DB = 20.0


def quartered(pixels: np.ndarray) -> np.ndarray:
    """The means of blocks of 4x4 pixels (H, W, 3), without those that are cut."""
    height, width = (side // 4 * 4 for side in pixels.shape[:2])
    blocks = pixels[:height, :width].reshape(height // 4, 4, width // 4, 4, 3)
    return blocks.mean((1, 3)).round().astype(np.uint8)


def test_the_leading_channels_are_those_of_the_whole_code() -> None:
    model = load_context_model()
    symbols = np.random.default_rng(1).integers(-3, 4, (2, model.channels, 5, 7)).astype(np.int16)
    codes = encode_symbols(model, 4, symbols)
    leading = decode_symbols(model, 4, codes, 5, 7, short=True, leading=CHANNELS)
    np.testing.assert_array_equal(leading[:, :CHANNELS], symbols[:, :CHANNELS])
    assert not leading[:, CHANNELS:].any()


def test_a_short_code_is_checked_to_its_end() -> None:
    model = load_context_model()
    symbols = np.zeros((1, model.channels, 4, 4), np.int16)
    symbols[:, :2] = 3
    (code,) = encode_symbols(model, 4, symbols)
    with pytest.raises(InvalidField, match="does not end"):
        decode_symbols(model, 4, [code + b"ab"], 4, 4, short=True, leading=CHANNELS)


def test_small_pictures_resemble_the_decoded_ones(coded: tuple[Path, PackReport]) -> None:
    with Archive.open(coded[0], device="cpu") as archive:
        model = thumbnail_model(archive.reader.decoder(0))
        assert model is not None
        for index, pixels in archive.iterate(archive.indices):
            row = archive.reader.row(index)
            code = archive.reader.record(row).code
            described = archive.reader.decoder(row.decoder)
            (small,) = decode_small(model, load_context_model(), described, [code], row.width, row.height)
            wanted = quartered(pixels)
            assert abs(small.shape[0] - row.height / 4) <= 1 and abs(small.shape[1] - row.width / 4) <= 1
            height, width = wanted.shape[:2]
            assert psnr_db(wanted, small[:height, :width]) > LEAST_PSNR_DB
            (gray,) = decode_small(model, load_context_model(), described, [mark_gray(code)], row.width, row.height)
            assert (gray == gray[..., :1]).all()


def test_a_decoder_of_another_model_has_no_map(coded: tuple[Path, PackReport]) -> None:
    with Archive.open(coded[0], device="cpu") as archive:
        described = archive.reader.decoder(0)
    for change in ({"name": "unheard-of"}, {"fingerprint": bytes(16)}):
        assert thumbnail_model(replace(described, model=replace(described.model, **change))) is None


def test_the_fit_finds_a_linear_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import fit_thumbnails

    rng = np.random.default_rng(3)
    kernel = rng.normal(0, 0.4, (3 * CELL**2, 9 * CHANNELS)).astype(np.float32)
    true = ThumbnailModel(kernel=kernel, bias=np.full(3 * CELL**2, 128, np.float32))
    latents = rng.normal(0, 2, (40, CHANNELS, 6, 6)).astype(np.float32)
    found = fit_thumbnails.fitted(latents, true.pictures(latents))
    np.testing.assert_allclose(found.kernel, kernel, atol=0.02)
    np.testing.assert_allclose(found.bias, true.bias, atol=0.5)


def test_small_pictures_need_no_torch() -> None:
    program = "import sys, unicorn_codec.decoders.thumbnail_decoder; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
