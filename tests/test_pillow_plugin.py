"""Pillow opens archives: lazily, with a frame for each picture, and with the pixels that unpack writes."""

import io
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageSequence, UnidentifiedImageError

import unicorn_codec.pillow_plugin as plugin
from tests.conftest import draw
from tests.sample_archive import DECODER, ID, archive
from unicorn_cli.main import cli
from unicorn_codec import CodesOptions, pack
from unicorn_codec.archive import Archive
from unicorn_codec.config import OriginalOptions
from unicorn_codec.format.writer import ContainerWriter

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["codes", "exact", "transparency", "sequences", "network"])
def test_an_image_has_the_pixels_that_unpack_writes(name: str, tmp_path: Path) -> None:
    path = GOLDEN / f"{name}.uni"
    with Image.open(path) as image:
        assert image.format == "UNI" and image.n_frames > 1  # type: ignore[attr-defined]
        for frame in reversed(range(image.n_frames)):  # type: ignore[attr-defined]
            image.seek(frame)
            index, size = image.info["index"], image.size
            out = tmp_path / f"{index}.png"
            CliRunner().invoke(cli, ["unpack", str(path), "--index", str(index), "-o", str(out)])
            unpacked = Image.open(out)
            assert np.array_equal(np.asarray(image), np.asarray(unpacked))
            assert image.mode == unpacked.mode and image.size == size == unpacked.size


def test_frames_are_the_pictures_by_index_with_their_names() -> None:
    path = GOLDEN / "exact.uni"
    with Archive.open(path) as opened, Image.open(path) as image:
        shown = [(frame.info["index"], frame.info["name"]) for frame in ImageSequence.Iterator(image)]
        assert shown == list(opened.names.items())
        assert len(shown) < len(opened.members), "a file that is no picture is no frame"
        with pytest.raises(EOFError):
            image.seek(len(shown))


def test_metadata_of_coded_and_of_exact_pictures(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    (tmp_path / "in").mkdir()
    for name in ("coded.jpg", "exact.jpg"):
        Image.fromarray(draw(1, 64, 48)).save(tmp_path / "in" / name, exif=exif)
    options = CodesOptions(effort=0, device="cpu", originals=OriginalOptions(patterns=("exact.jpg",)))
    pack(tmp_path / "in", tmp_path / "out.uni", options)
    with Image.open(tmp_path / "out.uni") as image:
        for frame in ImageSequence.Iterator(image):
            is_coded = frame.info["name"] == "coded.jpg"
            assert ("exif" in frame.info) == is_coded, "an exact picture's file is not read before its pixels"
            frame.load()
            assert frame.getexif()[0x010F] == "A camera" and "date" in frame.info


def test_opening_and_seeking_neither_decode_nor_load_torch() -> None:
    program = (
        "import sys, unicorn_codec.pillow_plugin\n"
        "from PIL import Image\n"
        "for name in ('exact', 'codes', 'network'):\n"
        "    image = Image.open(f'tests/golden/{name}.uni')\n"
        "    image.seek(2)\n"
        "    print(image.size, image.info['name'], 'torch' in sys.modules, image._im)\n"
        "print(Image.registered_extensions()['.uni'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    *frames, extension = done.stdout.splitlines()
    assert len(frames) == 3 and all(line.endswith("False None") for line in frames), done.stdout
    assert extension == "UNI"


def test_file_objects_copies_and_pickles_work() -> None:
    data = (GOLDEN / "codes.uni").read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        copied, pickled = image.copy(), pickle.loads(pickle.dumps(image))
        thumbnail = image.copy()
        thumbnail.thumbnail((16, 16))
    assert copied.tobytes() == pickled.tobytes() and max(thumbnail.size) == 16


def test_bytes_that_are_no_archive_and_an_empty_one_are_no_image(tmp_path: Path) -> None:
    empty = io.BytesIO()
    writer = ContainerWriter(empty, ID)
    writer.add_decoder(DECODER)
    writer.commit(seed=7)
    for data, reason in (
        (b"\x89UNI\r\n\x1a\nnothing", "signature|version|ends|footer"),
        (archive(5)[:200], "no valid footer"),
        (empty.getvalue(), "holds no pictures"),
    ):
        (tmp_path / "a.uni").write_bytes(data)
        with pytest.raises(UnidentifiedImageError, match=reason):
            Image.open(tmp_path / "a.uni")


def test_a_damaged_picture_and_a_closed_file_are_the_errors_that_pillow_knows() -> None:
    image = Image.open(io.BytesIO(archive(5)))  # made of codes that nobody decodes
    with pytest.raises(OSError, match=r"picture|model|code"):
        image.load()
    opened = Image.open(GOLDEN / "codes.uni")
    opened.close()
    with pytest.raises(ValueError, match="closed"):  # as of Pillow's own images
        opened.load()


def test_a_picture_beyond_the_limit_is_a_decompression_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Archive, "open", partial(Archive.open, max_pixels=100))
    with Image.open(GOLDEN / "codes.uni") as image, pytest.raises(Image.DecompressionBombError, match="limit is 100"):
        image.load()


def test_only_an_archive_is_accepted() -> None:
    assert plugin.is_archive((GOLDEN / "codes.uni").read_bytes()[:16])
    assert not plugin.is_archive(b"\x89PNG\r\n\x1a\n")
