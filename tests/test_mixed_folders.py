"""Folders with transparent, exact and other files in one archive, from the folder and back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec import model_registry
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, OriginalOptions, ReadOptions, Target
from unicorn_codec.format.growth import compact
from unicorn_codec.inspection import describe
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.verification import verify

FAST = CodesOptions(target=Target(Goal.STEP, 2.0), effort=0, device="cpu")
WITH_FILES = replace(FAST, originals=OriginalOptions(patterns=("*",), keep_others=True))
RED = (255, 0, 0)


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def clear() -> np.ndarray:
    """Pixels (48, 64, 4): the left half is transparent, the right one visible in steps."""
    opacity = np.zeros((48, 64), np.uint8)
    opacity[:24, 32:], opacity[24:, 32:] = 90, 255
    return np.dstack((draw(1, 64, 48), opacity))


@pytest.fixture(scope="module")
def folder(clear: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixed") / "in"
    folder.mkdir()
    Image.fromarray(clear).save(folder / "clear.png")
    Image.fromarray(draw(2, 64, 48)).save(folder / "photo.jpg", quality=90)
    (folder / "photo.json").write_text('{"taken": 2019}')
    return folder


@pytest.fixture(scope="module")
def all_exact(folder: Path) -> Path:
    path = folder.parent / "exact.uni"
    pack(folder, path, WITH_FILES)
    return path


def picture(path: Path, name: str, background: tuple[int, int, int] | None = None) -> np.ndarray:
    with Archive.open(path, device="cpu") as archive:
        return np.asarray(archive.decode(archive.find(name), background=background)[0])


def test_transparency_exact_files_and_other_files_come_back_together(
    folder: Path, clear: np.ndarray, tmp_path: Path
) -> None:
    out, back = tmp_path / "out.uni", tmp_path / "back"
    run("pack", folder, out, "--exact", "*.jpg", "--keep-others", "--effort", 0, "--device", "cpu")
    codecs = {
        entry["name"]: (entry["codec"], entry["alpha_bytes"] > 0) for entry in describe(out, entries=True)["entries"]
    }
    assert codecs["photo.jpg"] == ("exact", False) and codecs["photo.json"] == ("file", False)
    assert codecs["clear.png"][0] not in ("exact", "file") and codecs["clear.png"][1]
    run("unpack", out, "--all", "-o", back)
    assert {path.name for path in back.iterdir()} == {path.name for path in folder.iterdir()}
    for name in ("photo.jpg", "photo.json"):
        assert (back / name).read_bytes() == (folder / name).read_bytes()
    found = np.asarray(Image.open(back / "clear.png"))
    assert np.array_equal(found[..., 3], clear[..., 3]) and psnr_db(clear, found) > 25
    assert verify(out, folder, device="cpu").ok


def test_the_report_counts_each_kind(folder: Path, tmp_path: Path) -> None:
    options = ("--exact", "*.jpg", "--keep-others", "--effort", 0, "--device", "cpu")
    report = json.loads(run("pack", folder, tmp_path / "out.uni", *options, "--json").stdout)
    assert (report["pictures"], report["transparent"], report["exact_pictures"], report["kept_files"]) == (2, 1, 1, 1)
    assert report["alpha_bytes"] > 0


def test_an_exact_picture_is_decoded_with_its_transparency(folder: Path, clear: np.ndarray, all_exact: Path) -> None:
    found = picture(all_exact, "clear.png")
    assert np.array_equal(found[..., 3], clear[..., 3])
    assert np.array_equal(found[clear[..., 3] > 0], clear[clear[..., 3] > 0])
    assert picture(all_exact, "photo.jpg").shape == (48, 64, 3)
    flat = picture(all_exact, "clear.png", RED)
    assert flat.shape == (48, 64, 3) and (flat[:, :32] == RED).all()
    assert verify(all_exact, folder, device="cpu").ok


def test_a_background_is_for_decoded_pictures(folder: Path, all_exact: Path, tmp_path: Path) -> None:
    path = tmp_path / "red.uni"
    pack(folder, path, replace(WITH_FILES, read=ReadOptions(background=RED)))
    flat = picture(path, "clear.png")
    assert flat.shape == (48, 64, 3) and (flat[:, :32] == RED).all()
    for archive in (path, all_exact):
        run("unpack", archive, "--all", "--background", "red", "-o", tmp_path / "files", "--overwrite")
        assert (tmp_path / "files/clear.png").read_bytes() == (folder / "clear.png").read_bytes()
    run("unpack", all_exact, "--all", "--background", "red", "--format", "png", "-o", tmp_path / "flat")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "flat/clear.png")), flat)
    assert verify(path, folder, device="cpu").ok


def test_a_self_contained_archive_keeps_all_of_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.uni"
    pack(
        folder,
        path,
        replace(FAST, self_contained=True, originals=OriginalOptions(patterns=("*.jpg",), keep_others=True)),
    )
    before = picture(path, "clear.png")
    compact(path)
    monkeypatch.setattr(model_registry, "_manifest", lambda: ("none", ()))
    assert np.array_equal(picture(path, "clear.png"), before) and before.shape == (48, 64, 4)
    with Archive.open(path, device="cpu") as archive:
        for name in ("photo.jpg", "photo.json"):
            (index,) = archive.find(name)
            assert b"".join(archive.file_pieces(index)) == (folder / name).read_bytes()


def test_exact_files_alone_need_no_model(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unicorn_codec.packing.self_contained.SELF_CONTAINED_BYTES", 1)
    pack(folder, tmp_path / "exact.uni", WITH_FILES)
    pack(folder, tmp_path / "codes.uni", FAST)
    assert not describe(tmp_path / "exact.uni")["self_contained"]
    assert describe(tmp_path / "codes.uni")["self_contained"]
