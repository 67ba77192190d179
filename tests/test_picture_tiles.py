"""Large pictures: coded in tiles, of which a lowered limit makes small pictures have some."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, OriginalOptions, ReadOptions, Target
from unicorn_codec.decoders.loading import ArchiveCodes
from unicorn_codec.errors import FormatError, InvalidField, InvalidSetting, PictureTooLarge
from unicorn_codec.format import picture_tiles
from unicorn_codec.format.code_kinds import is_avif, is_gray
from unicorn_codec.format.picture_tiles import join_codes, split_codes, tile_count, tiles_of
from unicorn_codec.format.repair import repair
from unicorn_codec.measurement import Measured, measure, measure_chosen
from unicorn_codec.network_options import NetworkOptions
from unicorn_codec.packing.add import add
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.avif import has_avif
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.verification import verify

OPTIONS = CodesOptions(target=Target(Goal.STEP, 2.0), effort=0, device="cpu", learning=None)
SIDE = 64
NAMES = {"clear.png": (100, 80), "gray.png": (130, 70), "small.png": (60, 64), "wide.png": (150, 100)}


@pytest.fixture(autouse=True)
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_tiles, "MAX_CODED_PIXELS", SIDE**2)
    monkeypatch.setattr(picture_tiles, "MAX_TILE_SIDE", SIDE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made, folder = tmp_path / "made", tmp_path / "in"
    make_demo_pictures(made, 4, 160, 0)
    folder.mkdir()
    for path, (name, size) in zip(sorted(made.glob("*.png")), NAMES.items(), strict=True):
        picture = Image.open(path).convert("RGB").crop((0, 0, *size))
        if name == "gray.png":
            picture = picture.convert("L").convert("RGB")
        if name == "clear.png":
            opacity = np.zeros(size[::-1], np.uint8)
            opacity[20:, 30:] = 255
            picture.putalpha(Image.fromarray(opacity))
        picture.save(folder / name)
    return folder


def by_name(path: Path) -> dict[str, Image.Image]:
    with Archive.open(path, device="cpu") as archive:
        return {archive.name(index): archive[index] for index in archive.indices}


def codes_of(path: Path, name: str) -> tuple[bytes, ...]:
    with Archive.open(path, device="cpu") as archive:
        (index,) = archive.find(name)
        return archive.reader.record(archive.reader.row(index)).codes


def test_tiles_cover_a_picture_in_rows_from_the_top() -> None:
    tiles = tiles_of(150, 100)
    assert [(t.left, t.top, t.width, t.height) for t in tiles] == [
        (0, 0, 64, 64),
        (64, 0, 64, 64),
        (128, 0, 22, 64),
        (0, 64, 64, 36),
        (64, 64, 64, 36),
        (128, 64, 22, 36),
    ]
    assert tile_count(150, 100) == len(tiles) and tile_count(64, 64) == tile_count(4096, 1) == 1
    assert tile_count(4097, 1) == 65


def test_joined_codes_come_apart() -> None:
    codes = [b"\xff\2first", b"b" * 300, b"\x7f"]
    assert split_codes(join_codes(codes)) == codes


def test_large_pictures_come_back(folder: Path, tmp_path: Path) -> None:
    report = pack(folder, tmp_path / "out.uni", OPTIONS)
    assert report.measured.psnr_db.min > 25
    found = by_name(tmp_path / "out.uni")
    assert {name: picture.size for name, picture in found.items()} == NAMES
    gray, clear = np.asarray(found["gray.png"]), np.asarray(found["clear.png"])
    assert (gray == gray[..., :1]).all() and all(map(is_gray, codes_of(tmp_path / "out.uni", "gray.png")))
    assert np.array_equal(clear[..., 3], np.asarray(Image.open(folder / "clear.png"))[..., 3])
    assert {name: len(codes_of(tmp_path / "out.uni", name)) for name in NAMES} == {
        "clear.png": 4,
        "gray.png": 6,
        "small.png": 1,
        "wide.png": 6,
    }
    assert verify(tmp_path / "out.uni", against=folder, device="cpu").ok


def test_tiles_are_coded_as_pictures_of_their_own(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "out.uni", OPTIONS)
    cut = tmp_path / "cut"
    cut.mkdir()
    picture = Image.open(folder / "wide.png")
    for number, tile in enumerate(tiles_of(*picture.size)):
        box = (tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)
        picture.crop(box).save(cut / f"{number}.png")
    pack(cut, tmp_path / "cut.uni", replace(OPTIONS, sequences=False))
    assert codes_of(tmp_path / "out.uni", "wide.png") == tuple(
        codes_of(tmp_path / "cut.uni", f"{number}.png")[0] for number in range(6)
    )


def test_refinement_checkpoints_and_sizes_work_with_tiles(folder: Path, tmp_path: Path) -> None:
    plain = pack(folder, tmp_path / "plain.uni", replace(OPTIONS, target=Target(Goal.STEP, 4.0)))
    wanted = Target(Goal.SIZE, plain.file_bytes)
    report = pack(folder, tmp_path / "out.uni", replace(OPTIONS, target=wanted, effort=1))
    assert report.file_bytes == pytest.approx(plain.file_bytes, rel=0.07)  # of 939 bytes, where a tile is much


@pytest.mark.skipif(not has_avif(), reason="this Pillow has no AVIF")
def test_each_tile_reaches_the_quality_floor(folder: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, target=Target(Goal.STEP, 8.0), min_psnr_db=38.0)
    report = pack(folder, tmp_path / "out.uni", options)
    assert report.measured.psnr_db.min >= 38.0 and not report.below_target
    assert all(map(is_avif, codes_of(tmp_path / "out.uni", "wide.png")))
    avif = pack(folder, tmp_path / "avif.uni", replace(OPTIONS, target=Target(Goal.QUALITY, 90)))
    assert avif.avif_pictures == 4 and len(codes_of(tmp_path / "avif.uni", "wide.png")) == 6


def test_large_originals_come_back_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "out.uni", replace(OPTIONS, originals=OriginalOptions(patterns=("wide.png",))))
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        (index,) = archive.find("wide.png")
        assert b"".join(archive.file_pieces(index)) == (folder / "wide.png").read_bytes()
        assert archive[index].size == NAMES["wide.png"]


def test_large_pictures_can_be_added(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "out.uni", OPTIONS)
    more = tmp_path / "more"
    more.mkdir()
    Image.open(folder / "wide.png").transpose(Image.Transpose.ROTATE_90).save(more / "tall.png")
    assert add(tmp_path / "out.uni", more, OPTIONS).measured.psnr_db.min > 25
    assert by_name(tmp_path / "out.uni")["tall.png"].size == (100, 150)


def test_tiles_are_read_back_for_packing(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "out.uni", OPTIONS)
    write_packed(tmp_path / "again.uni", read_packed(tmp_path / "out.uni"))
    assert all(codes_of(tmp_path / "again.uni", name) == codes_of(tmp_path / "out.uni", name) for name in NAMES)


def test_a_reader_refuses_beyond_its_limit(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "out.uni", OPTIONS)
    with Archive.open(tmp_path / "out.uni", device="cpu", max_pixels=150 * 100 - 1) as archive:
        (index,) = archive.find("wide.png")
        with pytest.raises(PictureTooLarge, match="150x100"):
            archive[index]


def test_index_only_archives_refuse_large_pictures_by_name(folder: Path, tmp_path: Path) -> None:
    options = NetworkOptions(device="cpu", read=ReadOptions())
    with pytest.raises(InvalidSetting, match=r"clear\.png has 100x80 pixels"):
        pack(folder, tmp_path / "out.uni", options)


def test_a_damaged_tile_loses_its_picture_alone(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.uni"
    pack(folder, path, OPTIONS)
    with Archive.open(path, device="cpu") as archive:
        (index,) = archive.find("wide.png")
        row = archive.reader.row(index)
    data = bytearray(path.read_bytes())
    data[row.offset + row.length // 2] ^= 3
    path.write_bytes(data)
    lost: dict[int, FormatError] = {}
    with Archive.open(path, device="cpu") as archive:
        found = dict(archive.iterate(archive.indices, on_error=lost.__setitem__))
    assert set(lost) == {index} and len(found) == 3
    with open(tmp_path / "saved.uni", "wb") as output:
        assert repair(bytes(data), output).pictures == 3


def test_a_tile_whose_code_is_damaged_is_the_pictures_error(folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "out.uni"
    pack(folder, packed, OPTIONS)
    with Archive.open(packed, device="cpu") as archive:
        (index,) = archive.find("wide.png")
        archive.decoder(0)
        codes = ArchiveCodes(archive.reader)
        broken = replace(archive.decoder(0), codes=Broken(codes, index))  # type: ignore[type-var]
        archive._decoders[0] = broken
        lost: dict[int, FormatError] = {}
        assert len(dict(archive.iterate(archive.indices, on_error=lost.__setitem__))) == 3
    assert set(lost) == {index} and isinstance(lost[index], InvalidField)


class Broken:
    """The codes of an archive, but of one picture the last tile's code is cut."""

    def __init__(self, codes: ArchiveCodes, index: int) -> None:
        self._codes, self._index = codes, index
        self.code, self.alpha = codes.code, codes.alpha

    def tiles(self, index: int) -> list[bytes]:
        codes = list(self._codes.tiles(index))
        return [*codes[:-1], codes[-1][:3]] if index == self._index else codes


def test_what_may_be_packed_is_measured(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = list[int]()

    def noting(measuring: Callable[..., Measured]) -> Callable[..., Measured]:
        def measured(archive: Archive, *arguments: Any) -> Measured:
            limits.append(archive.max_pixels)
            return measuring(archive, *arguments)

        return measured

    monkeypatch.setattr("unicorn_codec.packing.pack.measure_chosen", noting(measure_chosen))
    monkeypatch.setattr("unicorn_codec.packing.add.measure", noting(measure))
    options = replace(OPTIONS, read=ReadOptions(max_pixels=3 << 28))
    pack(folder, tmp_path / "out.uni", options)
    (tmp_path / "more").mkdir()
    Image.open(folder / "wide.png").save(tmp_path / "more" / "new.png")
    add(tmp_path / "out.uni", tmp_path / "more", options)
    assert limits == [3 << 28] * 2
