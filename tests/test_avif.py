"""AVIF codes: they hold the picture that AVIF holds, in fewer bytes, and a hostile one does no harm."""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from tests.conftest import by_position, draw
from unicorn_codec.archive import Archive
from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import InvalidField, PackageMissing
from unicorn_codec.format.code_kinds import AVIF, is_avif
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures import avif_container
from unicorn_codec.pictures.av1_stream import read_still
from unicorn_codec.pictures.avif import BARE_AVIF, WHOLE_AVIF, decode_avif, encode_avif
from unicorn_codec.pictures.avif_container import take_still, wrap_still
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.pixels import Pixels

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def as_file(pixels: Pixels, subsampling: str, quality: int = 60) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "AVIF", quality=quality, subsampling=subsampling)
    return encoded.getvalue()


def opened(avif: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(avif)).convert("RGB"))


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("size", [(64, 40), (33, 70), (1, 1), (300, 5)])
def test_a_stream_in_the_smallest_container_is_the_same_picture(size: tuple[int, int], subsampling: str) -> None:
    avif = as_file(draw(3, *size), subsampling)
    stream = take_still(avif)
    found = read_still(stream)
    assert (found.width, found.height, found.profile) == (*size, subsampling == "4:4:4")
    assert len(stream) < len(avif) - 250
    assert np.array_equal(opened(wrap_still(stream)), opened(avif))
    assert take_still(wrap_still(stream)) == stream


@pytest.mark.parametrize("quality", [0, 45, 60, 100])
def test_a_code_decodes_to_what_its_maker_saw(quality: int) -> None:
    pixels = draw(5, 51, 40)
    code, seen = encode_avif(pixels, quality)
    assert is_avif(code) and code[1] == BARE_AVIF
    assert np.array_equal(decode_avif(code, 51, 40), seen)
    assert psnr_db(pixels, seen) > 25 + quality / 10


def test_a_container_that_says_more_than_its_stream_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = draw(5, 51, 40)
    other = wrap_still(take_still(as_file(255 - pixels, "4:4:4")))
    monkeypatch.setattr("unicorn_codec.pictures.avif.wrap_still", lambda _: other)
    code, seen = encode_avif(pixels, 60)
    assert code[:2] == bytes([AVIF, WHOLE_AVIF])
    assert np.array_equal(decode_avif(code, 51, 40), seen)


def test_an_encoder_of_other_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avif_container, "TEMPORAL_DELIMITER", b"none")
    with pytest.raises(PackageMissing, match="cannot be stored"):
        encode_avif(draw(5, 16, 16), 60)


def test_without_avif_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _ = encode_avif(draw(5, 16, 16), 60)
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(PackageMissing, match="without AVIF"):
        decode_avif(code, 16, 16)


def damages(code: bytes) -> Iterator[bytes]:
    for place in range(2, len(code)):
        yield code[:place]
        for bit in (0, 3, 7):
            yield code[:place] + bytes([code[place] ^ 1 << bit]) + code[place + 1 :]


@pytest.mark.parametrize("codec", [BARE_AVIF, WHOLE_AVIF])
def test_damage_is_an_invalid_field_or_a_picture_of_the_same_size(codec: int) -> None:
    avif = as_file(draw(1, 24, 16), "4:2:0", 20)
    code = bytes([AVIF, codec]) + (take_still(avif) if codec == BARE_AVIF else avif)
    refused = 0
    for damaged in damages(code):
        refused += 1
        with suppress(InvalidField):
            assert decode_avif(damaged, 24, 16).shape == (16, 24, 3)
            refused -= 1
    assert refused > len(code)


@pytest.mark.parametrize("width", [65, 16384])
def test_a_file_around_a_stream_of_another_size_is_not_decoded(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # libavif scales what the stream holds to the size that the container claims, once it is decoded.
    stream, small = take_still(as_file(draw(1, width, 8), "4:4:4")), (width, 8)
    avif = wrap_still(stream).replace(np.array(small, ">u4").tobytes(), np.array((16, 8), ">u4").tobytes())
    assert Image.open(io.BytesIO(avif)).size == (16, 8)
    monkeypatch.setattr("unicorn_codec.pictures.avif.opened_avif", None)
    with pytest.raises(InvalidField, match=f"{width}x8 pixels, not 16x8"):
        decode_avif(bytes([AVIF, WHOLE_AVIF]) + avif, 16, 8)


def test_a_container_of_another_size_is_not_decoded() -> None:
    avif = wrap_still(take_still(as_file(draw(1, 16, 8), "4:4:4")))
    larger = avif.replace(np.array((16, 8), ">u4").tobytes(), np.array((16384, 8192), ">u4").tobytes())
    with pytest.raises(InvalidField, match="16384"):
        decode_avif(bytes([AVIF, WHOLE_AVIF]) + larger, 16, 8)


@pytest.fixture
def mixed(coded: tuple[Path, PackReport], folder: Path, tmp_path: Path) -> Path:
    """``coded`` with every second picture in an AVIF code."""
    container = read_packed(coded[0])
    assert container.codes is not None
    pictures = list_folder(folder, ReadOptions())
    streams = list(container.codes.streams)
    for position in range(0, len(streams), 2):
        streams[position], _ = encode_avif(read_picture(pictures, pictures.pictures[position], ReadOptions()), 80)
    path = tmp_path / "mixed.uni"
    write_packed(path, replace(container, codes=replace(container.codes, streams=tuple(streams))), overwrite=True)
    return path


def test_avif_codes_and_latent_ones_are_one_archive(mixed: Path, coded: tuple[Path, PackReport], folder: Path) -> None:
    pictures = list_folder(folder, ReadOptions())
    with Archive.open(mixed, device="cpu") as found, Archive.open(coded[0], device="cpu") as before:
        decoded, latent = dict(found.iterate(range(6))), dict(before.iterate(range(6)))
        for position, picture in enumerate(pictures.pictures):
            index = by_position(found)[position]
            if position % 2:
                assert psnr_db(latent[index], decoded[index]) >= 50
            else:
                assert psnr_db(read_picture(pictures, picture, ReadOptions()), decoded[index]) > 35
        third = by_position(found)[2]
        assert np.array_equal(np.asarray(found[third]), decoded[third]), "alone or among others"


def test_a_hostile_code_is_an_invalid_field(mixed: Path) -> None:
    container = read_packed(mixed)
    assert container.codes is not None
    for stream in (b"\xff", b"\xff\0", b"\xff\7abc", container.codes.streams[0][:-3] + b"\0" * 40):
        streams = (stream, *container.codes.streams[1:])
        write_packed(mixed, replace(container, codes=replace(container.codes, streams=streams)), overwrite=True)
        archive = Archive.open(mixed, device="cpu")
        with pytest.raises(InvalidField):
            list(archive.iterate([by_position(archive)[0]]))
