"""No picture of a packed folder is below the wanted quality, and AVIF is spent only where it must be."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import features

from tests.conftest import draw
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.inspection import describe
from unicorn_codec.packing import into_codes, quality_floor
from unicorn_codec.packing.into_codes import CodesPlan
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.packed import Codes
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.quality_floor import PSNR_MARGIN_DB, QualityFloor, smallest_avif
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.packing.targets import OfSize
from unicorn_codec.pictures.avif import decode_avif, encode_avif
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")

WANTED_DB = 26.0
OPTIONS = CodesOptions(device="cpu", sequences=False, target=Target(Goal.STEP, 6.0), min_psnr_db=WANTED_DB)


def noise(seed: int, width: int, height: int) -> np.ndarray:
    """What latents cannot hold."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def mixed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two smooth pictures and one of noise."""
    root = tmp_path_factory.mktemp("smooth and not")
    for number in range(2):
        write_picture(draw(number, 48, 32), root / f"smooth {number}.png")
    write_picture(noise(1, 48, 32), root / "noise.png")
    return root


@pytest.fixture(scope="module")
def held(mixed_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    path = tmp_path_factory.mktemp("archives") / "held.uni"
    return path, pack(mixed_folder, path, OPTIONS)


def test_no_picture_is_ruined(held: tuple[Path, PackReport]) -> None:
    path, report = held
    assert report.measured.psnr_db.min >= WANTED_DB
    assert report.below_target == ()
    entries = {entry["name"]: entry for entry in describe(path, entries=True)["entries"]}
    codecs = {name: entry["codec"] for name, entry in entries.items()}
    assert codecs == {"noise.png": "avif", "smooth 0.png": "latents", "smooth 1.png": "latents"}
    assert (report.avif_pictures, report.avif_bytes) == (1, entries["noise.png"]["record_bytes"])


def test_the_file_tells_the_quality_of_each_picture(held: tuple[Path, PackReport]) -> None:
    path, report = held
    entries = describe(path, entries=True)["entries"]
    for row in report.measured.rows:
        assert entries[row.index]["psnr_db"] == pytest.approx(row.psnr_db, abs=0.051)


def test_an_index_only_file_tells_it_too(packed: tuple[Path, PackReport]) -> None:
    entries = describe(packed[0], entries=True)["entries"]
    for row in packed[1].measured.rows:
        assert entries[row.index]["psnr_db"] == pytest.approx(row.psnr_db, abs=0.051)


def test_the_smallest_avif_that_reaches_the_target_is_taken() -> None:
    picture, asked = draw(4, 40, 40), []

    def is_reached(original: np.ndarray, decoded: np.ndarray) -> bool:
        asked.append(psnr_db(original, decoded))
        return asked[-1] >= 36

    code = smallest_avif(picture, is_reached)
    assert psnr_db(picture, decode_avif(code, 40, 40)) >= 36
    assert len(asked) <= 7
    (quality,) = [q for q in range(101) if encode_avif(picture, q)[0] == code][:1]
    assert quality == 0 or psnr_db(picture, encode_avif(picture, quality - 1)[1]) < 36


def test_a_target_that_nothing_reaches_gets_the_best() -> None:
    picture = noise(3, 16, 16)
    assert smallest_avif(picture, lambda *_: False) == encode_avif(picture, 100)[0]
    assert smallest_avif(picture, lambda *_: True) == encode_avif(picture, 0)[0]


def test_what_cannot_be_reached_is_named(mixed_folder: Path, tmp_path: Path) -> None:
    report = pack(mixed_folder, tmp_path / "out.uni", replace(OPTIONS, min_psnr_db=90.0))
    assert report.avif_pictures == 3
    assert {row.name for row in report.below_target} == {"noise.png", "smooth 0.png", "smooth 1.png"}


def test_both_measures_have_to_be_reached(mixed_folder: Path) -> None:
    pictures = PictureSource(list_folder(mixed_folder, OPTIONS.read), OPTIONS.read)
    a, b = draw(1, 48, 32), draw(1, 48, 32) ^ np.uint8(2)
    found_db = psnr_db(a, b)
    for options, reached in (
        (replace(OPTIONS, min_psnr_db=found_db - 2 * PSNR_MARGIN_DB), True),
        (replace(OPTIONS, min_psnr_db=found_db), False),
        (replace(OPTIONS, min_ms_ssim=1.0), False),
        (replace(OPTIONS, min_psnr_db=None, min_ms_ssim=0.5), True),
    ):
        assert QualityFloor(pictures=pictures, options=options).is_reached(a, b) == reached
    assert QualityFloor(pictures=pictures, options=replace(OPTIONS, min_ms_ssim=1.0)).is_reached(a, a)
    assert psnr_db(a, a) == math.inf


class Codings:
    """Replaces the encoding of a folder: containers are their bytes, and AVIF adds ``added`` for each room."""

    def __init__(self, added: dict[int, int]) -> None:
        self.added, self.rooms = added, list[int]()

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(into_codes, "encode_to_plan", self.encode)
        monkeypatch.setattr(into_codes, "with_floor", lambda _floor, _encoder, room, _observer: room + self.added[room])
        monkeypatch.setattr(into_codes, "bytes_of", lambda _encoder, enforced: enforced)

    def encode(self, encoder: object, plan: CodesPlan, seed: int, observer: object) -> float:
        assert isinstance(plan.target, OfSize)
        room = plan.target.bytes
        self.rooms.append(round(room))
        if room not in self.added:
            raise InvalidSetting("these pictures take more")
        return room


@pytest.mark.parametrize(
    ("added", "rooms", "held"),
    [
        ({9000: 200}, [], 9200),
        ({9000: 1000, 8000: 1100}, [8000], 9100),
        ({9000: 1000, 8000: 1500, 7500: 1600}, [8000, 7500], 9100),
        ({9000: 1000}, [8000], 10_000),
        ({9000: 1000, 8000: 3000}, [8000, 7000], 10_000),
    ],
    ids=["small enough", "once coarser", "twice coarser", "no step is coarse enough", "a coarser one is larger"],
)
def test_the_wanted_size_is_that_of_the_whole_file(
    added: dict[int, int], rooms: list[int], held: int, mixed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codings = Codings(added)
    codings.install(monkeypatch)
    options = CodesOptions(target=Target(Goal.SIZE, 9000), min_psnr_db=18.0)
    pictures = PictureSource(list_folder(mixed_folder, options.read), options.read)
    encoder: Any = SimpleNamespace(pictures=pictures, work=None)
    plan, container = CodesPlan(target=OfSize(9000), rounds=0), cast(Any, 9000)
    found: Any = into_codes.enforce_floor(encoder, plan, options, container, Observer())
    assert found == held
    assert codings.rooms == rooms


def test_what_avif_made_is_kept_for_the_next_step(mixed_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def smallest_avif(*arguments: object) -> bytes:
        asked.append(arguments)
        return b"avif"

    monkeypatch.setattr(quality_floor, "smallest_avif", smallest_avif)
    pictures = PictureSource(list_folder(mixed_folder, OPTIONS.read), OPTIONS.read)
    held = QualityFloor(pictures=pictures, options=OPTIONS)
    decoder: Any = SimpleNamespace(
        read=lambda batch, width, height: lambda: [draw(0 if n == 1 else 7, width, height) for n in batch],
    )
    codes = Codes(level=0, model_sha256=bytes(32), streams=(b"a", b"b", b"c"))
    for _ in range(2):
        assert list(held.enforce(codes, decoder, lambda *_: None).streams) == [b"avif", b"b", b"avif"]
    assert len(asked) == 2
