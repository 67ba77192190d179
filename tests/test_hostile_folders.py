"""A hostile folder can do nothing: what is wrong with it is named, before any work, and no memory is taken for it."""

import os
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import draw
from tests.test_reading_pictures import encoded, png
from unicorn_codec.config import CodesOptions, ReadOptions
from unicorn_codec.errors import ImageFolderError
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.pixels import to_image

BOMB = zlib.compress(bytes(48 << 20), 9)


def test_twenty_thousand_pixels_square_take_no_memory(tmp_path: Path) -> None:
    tmp_path.joinpath("large.png").write_bytes(png(20_000, 20_000, 8, 2, b""))
    tracemalloc.start()
    with pytest.raises(ImageFolderError, match=r"large\.png: it claims 20000x20000 pixels"):
        list_folder(tmp_path, ReadOptions())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    "chunk", [(b"zTXt", b"a\0\0" + BOMB), (b"iTXt", b"a\0\1\0\0\0" + BOMB), (b"iCCP", b"a\0\0" + BOMB)], ids=str
)
def test_a_bomb_in_the_metadata_does_not_go_off(tmp_path: Path, chunk: tuple[bytes, bytes]) -> None:
    tmp_path.joinpath("bomb.png").write_bytes(png(4, 1, 8, 2, b"\0" * 13, chunk))
    write_picture(draw(0, 8, 8), tmp_path / "good.png")
    tracemalloc.start()
    listed = list_folder(tmp_path, ReadOptions(skip_unreadable=True))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "good.png" in listed.names
    assert peak < 16 << 20


def test_more_rows_than_the_header_claims_are_not_read(tmp_path: Path) -> None:
    tmp_path.joinpath("rows.png").write_bytes(png(4, 1, 8, 2, bytes(48 << 20)))
    tracemalloc.start()
    listed = list_folder(tmp_path, ReadOptions())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert listed.sizes.tolist() == [[4, 1]]
    assert peak < 8 << 20


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"\xff\xfe.png", b"a\nb.png", b"a\x1b[2J.png", b"a\\b.png"])
def test_a_name_that_no_archive_can_hold_is_named_and_may_be_skipped(tmp_path: Path, name: bytes) -> None:
    (tmp_path / "in").mkdir()
    write_picture(draw(0, 16, 16), tmp_path / "in" / "good.png")
    try:
        with open(os.fsencode(tmp_path / "in") + b"/" + name, "wb") as file:
            file.write(encoded(to_image(draw(1, 16, 16)), "PNG"))
    except OSError:
        pytest.skip("this file system refuses such names itself")
    with pytest.raises(ImageFolderError, match="1 of its files cannot be read") as caught:
        list_folder(tmp_path / "in", ReadOptions())
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))
    assert str(caught.value).count("\n") == 1
    assert list_folder(tmp_path / "in", ReadOptions(skip_unreadable=True)).names == ["good.png"]


class Meddler(Observer):
    """Does something to the folder once it is listed."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        self.meddle = meddle

    def found(self, folder: object, plan: object) -> None:
        self.meddle()


@pytest.mark.parametrize("kind", ["vanishes", "changes", "shrinks", "becomes a folder", "becomes a FIFO"])
def test_a_file_that_changes_while_packing_ends_it_without_output(tmp_path: Path, kind: str) -> None:
    source, victim = tmp_path / "in", tmp_path / "in" / "b.png"
    source.mkdir()
    for number, name in enumerate(("a.png", "b.png")):
        write_picture(draw(number, 16, 16), source / name)

    def meddle() -> None:
        if kind == "changes":
            write_picture(draw(5, 16, 16), victim, overwrite=True)
        elif kind == "shrinks":
            write_picture(draw(1, 8, 8), victim, overwrite=True)
        else:
            victim.unlink()
            if kind == "becomes a folder":
                victim.mkdir()
            elif kind == "becomes a FIFO":
                os.mkfifo(victim)

    with pytest.raises(ImageFolderError, match=r"b\.png"):
        pack(source, tmp_path / "out.uni", CodesOptions(device="cpu"), Meddler(meddle))
    assert os.listdir(tmp_path) == ["in"]
