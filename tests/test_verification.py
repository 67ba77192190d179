"""Verifying judges: another original, a picture that is missing, one that the archive lacks, each by its name."""

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import draw
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.verification import match_names, verify

Coded = tuple[Path, PackReport]


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "originals"))


def test_an_archive_and_its_folder(coded: Coded, folder: Path) -> None:
    report = verify(coded[0], folder, device="cpu")
    assert report.ok and not report.below_stored and report.measured == coded[1].measured


def test_another_original_of_the_same_size_is_named(coded: Coded, copy: Path) -> None:
    write_picture(255 - draw(2, 50, 40), copy / "wide 2.png", overwrite=True)
    report = verify(coded[0], copy, device="cpu")
    assert not report.ok and not report.differences
    (other,) = report.below_stored
    assert other.name == "wide 2.png" and other.psnr_db < 15 < other.stored_db


def test_a_small_change_of_an_original_is_named(coded: Coded, copy: Path) -> None:
    changed = draw(1, 50, 40)
    changed[10:20, 10:20] = 255 - changed[10:20, 10:20]
    write_picture(changed, copy / "wide 1.png", overwrite=True)
    assert [other.name for other in verify(coded[0], copy, device="cpu").below_stored] == ["wide 1.png"]


def test_archives_without_stored_psnrs_are_not_judged(coded: Coded, copy: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.uni"
    write_packed(bare, read_packed(coded[0]))
    write_picture(255 - draw(2, 50, 40), copy / "wide 2.png", overwrite=True)
    assert not verify(bare, copy, device="cpu").below_stored


def test_pictures_that_the_archive_lacks_are_named(coded: Coded, copy: Path) -> None:
    (copy / ".hidden").mkdir()
    for name in ("new.png", "no suffix", ".hidden/kept.png"):
        write_picture(draw(9, 20, 20), copy / "new.tmp.png")
        (copy / "new.tmp.png").rename(copy / name)
    (copy / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(3000))
    (copy / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0damaged")
    (copy / "notes.txt").write_text("no picture")
    report = verify(coded[0], copy, device="cpu")
    named = [difference.split(": ")[0] for difference in report.differences]
    assert sorted(named) == [".hidden/", "damaged.jpg", "new.png", "no suffix", "photo.HEIC"]
    assert verify(coded[0], copy, device="cpu", ignore_others=True).ok


def test_damaged_pictures_that_the_archive_lacks_are_skipped_if_asked(coded: Coded, copy: Path) -> None:
    write_picture(draw(9, 64, 64), copy / "cut.png")
    whole = (copy / "cut.png").read_bytes()
    (copy / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert not verify(coded[0], copy, device="cpu").ok
    assert verify(coded[0], copy, device="cpu", skip_unreadable=True).ok


def test_an_original_that_is_missing_or_of_another_size_is_named_even_so(coded: Coded, copy: Path) -> None:
    (copy / "wide 0.png").unlink()
    write_picture(draw(1, 51, 40), copy / "wide 1.png", overwrite=True)
    report = verify(coded[0], copy, device="cpu", ignore_others=True)
    assert report.differences == (
        "wide 1.png: 51x40, in the archive 50x40",
        "wide 0.png: not in the folder",
    )


def test_names_in_another_normal_form_are_the_same_pictures() -> None:
    composed = ["Äpfel/Café.jpg", "Müller.jpg", "plain.jpg"]
    decomposed = [unicodedata.normalize("NFD", name) for name in composed]
    assert match_names(decomposed, composed) == {0: 0, 1: 1, 2: 2}
    both = [composed[1], decomposed[1]]
    assert match_names(both, both[::-1]) == {0: 1, 1: 0}
    assert match_names(both, composed[1:]) == {0: 0}
    assert match_names(composed[1:], both) == {0: 0}


def test_the_stored_psnr_is_that_of_the_picture_with_its_index(coded: Coded, folder: Path) -> None:
    """A wrong order would be found: the pictures' PSNRs differ by more than the tolerance."""
    psnrs = [row.psnr_db for row in coded[1].measured.rows]
    assert np.ptp(psnrs) > 2
    assert verify(coded[0], folder, device="cpu").ok
