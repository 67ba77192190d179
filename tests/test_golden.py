"""Archives of format version 1, as it was frozen and by its later texts: every reader since reads them alike."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unicorn_codec.archive import Archive
from unicorn_codec.format.growth import compact
from unicorn_codec.format.integrity import problems_of
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.stored_files import WAYS
from unicorn_codec.inspection import describe
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.pictures.jpeg_transcoding import lepton_package
from unicorn_codec.pictures.metrics import psnr_db

FOLDER = Path(__file__).parent / "golden"
ARCHIVES = sorted(FOLDER.glob("*.uni"))
NAMES = ("mug-000.png", "mug-001.png", "mug-002.png", "small/mug-000.png")

LEAST_DB = 50.0
"""What the format allows two machines to be apart."""

LEAST_DB_AVIF = 40.0
"""Decoders of AVIF bring chroma of half the resolution to the pixels in their own ways."""


LATENTS = ("latents", "half-size", "network", "overfitted")
"""Codecs of pictures that this software decodes itself."""


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


def test_there_are_all_kinds() -> None:
    kinds = {"codes", "half-size-codes", "codes-and-avif", "updated-codes", "network", "network-of-integers"}
    kinds |= {"light-codes", "sequences", "transparency", "exact", "file-times", "functions", "cell-maps"}
    assert {path.stem for path in ARCHIVES} == kinds
    assert {describe(path)["autoencoder"]["name"] for path in ARCHIVES} == set(names(AUTOENCODER))
    codecs = {entry["codec"] for path in ARCHIVES for entry in describe(path, entries=True)["entries"]}
    assert codecs == {"latents", "half-size", "avif", "avif-sequence", "network", "exact", "file", "overfitted"}
    assert {describe(path)["weights"]["format"] for path in ARCHIVES} == {"float", "integer", None}


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_a_golden_archive_gives_the_pictures_of_then(path: Path, threads: int) -> None:
    if path.stem == "exact" and lepton_package() is None:
        pytest.skip("Lepton is not installed")
    archive = Archive.open(path, device="cpu")
    assert tuple(sorted(archive.names.values())) == NAMES
    archive.check_canaries()
    assert archive.canaries or path.stem == "updated-codes"
    codecs = [entry["codec"] for entry in describe(path, entries=True)["entries"]]
    for index, pixels in archive.iterate(archive.indices, batch_size=threads):
        then = np.asarray(Image.open(FOLDER / path.stem / f"{index}.png"))
        assert pixels.shape == then.shape
        assert np.array_equal(then[..., 3:], pixels[..., 3:])
        assert (pixels.shape[2] == 4) == (path.stem == "transparency")
        assert psnr_db(then, pixels) >= (LEAST_DB if codecs[index] in LATENTS else LEAST_DB_AVIF)


def test_the_golden_files_come_back() -> None:
    """Each in the way that it was stored in; their bytes are verified by SHA-256."""
    if lepton_package() is None:
        pytest.skip("Lepton is not installed")
    archive = Archive.open(FOLDER / "exact.uni", device="cpu")
    whole = [index for index in archive.members if archive.is_whole(index)]
    assert {WAYS[archive.stored_file(index).way] for index in whole} == {"plain", "lepton", "png"}
    for index in whole:
        assert sum(map(len, archive.file_pieces(index))) == archive.stored_file(index).file_bytes


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_a_golden_archive_is_whole_and_stays_so_when_written_again(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    compact(copy)
    for one in (path, copy):
        assert problems_of(ContainerReader(FileSource(one))) == []
    before, after = (describe(one, entries=True)["entries"] for one in (path, copy))
    for old, new in zip(before, after, strict=True):  # times move from records into the index
        assert new.pop("record_bytes") <= old.pop("record_bytes")
        assert new == old


def test_times_of_files_stay_readable() -> None:
    with Archive.open(FOLDER / "file-times.uni", device="cpu") as archive:
        times = {archive.name(index): archive.reader.details(archive.reader.row(index)).modified for index in range(4)}
        assert all(archive.reader.record(archive.reader.row(index)).modified is None for index in range(4))
    assert [times[name] for name in sorted(times)] == [1_600_000_000, 1_600_086_400, -5, 0]
