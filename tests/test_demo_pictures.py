"""The pictures for a first try: the same each time, related, and each of its own."""

from pathlib import Path

import numpy as np
import pytest

from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import OutputError
from unicorn_codec.pictures.demo_pictures import draw, make_demo_pictures, random_scene
from unicorn_codec.pictures.picture_folder import list_folder

GOLDEN_MEANS = [[161.83, 143.40, 150.77], [178.69, 179.25, 187.08], [141.37, 158.69, 144.22]]


def test_folder_of_pictures(tmp_path: Path) -> None:
    paths = make_demo_pictures(tmp_path / "new" / "mugs", count=3, size=16)
    assert [path.name for path in paths] == ["mug-000.png", "mug-001.png", "mug-002.png"]
    listed = list_folder(tmp_path / "new" / "mugs", ReadOptions())
    assert [(p.width, p.height) for p in listed.pictures] == [(16, 16)] * 3
    assert len({p.sha256 for p in listed.pictures}) == 3


def test_default_is_a_small_folder_for_a_first_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "unicorn_codec.pictures.demo_pictures.draw", lambda scene, size: np.zeros((size, size, 3), np.uint8)
    )
    listed = list_folder(make_demo_pictures(tmp_path)[0].parent, ReadOptions())
    assert len(listed.pictures) == 24
    assert listed.pictures[0].width == 128


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first = make_demo_pictures(tmp_path / "a", count=2, size=16, seed=5)
    again = make_demo_pictures(tmp_path / "b", count=3, size=16, seed=5)
    other = make_demo_pictures(tmp_path / "c", count=2, size=16, seed=6)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again[:2]]
    assert first[0].read_bytes() != other[0].read_bytes()


def test_pictures_stay_the_same_between_machines_and_versions() -> None:
    means = [draw(random_scene(0, number), 32).mean(axis=(0, 1)) for number in range(3)]
    assert np.allclose(means, GOLDEN_MEANS, atol=0.5)


def test_pictures_are_varied_smooth_and_not_clipped() -> None:
    pictures = np.stack([draw(random_scene(0, number), 48) for number in range(6)]).astype(float)
    assert pictures.std(axis=0).mean() > 15  # each of its own
    assert pictures.std(axis=(1, 2)).mean() > 15  # something to see
    steps = np.abs(np.diff(pictures, axis=2))
    assert np.median(steps) < 3  # photographs are mostly smooth
    assert (pictures == 255).mean() < 0.02
    assert (pictures == 0).mean() < 0.02


def test_edges_are_softened() -> None:
    """Drawn small, the picture agrees with the same one drawn large and averaged."""
    small = draw(random_scene(0, 1), 32).astype(float)
    large = draw(random_scene(0, 1), 128).reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(small - large).mean() < 2


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    tmp_path.joinpath("mug-001.png").write_text("precious")
    with pytest.raises(OutputError, match=r"mug-001\.png exists already"):
        make_demo_pictures(tmp_path, count=2, size=8)
    assert tmp_path.joinpath("mug-001.png").read_text() == "precious"
    tmp_path.joinpath("file").write_text("")
    with pytest.raises(OutputError):
        make_demo_pictures(tmp_path / "file", count=1, size=8)
