"""The training pictures that are drawn: the same from one seed, of every kind, and gray where they say so."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "models"))
    import drawn_pictures

    try:
        drawn_pictures.font_files()
    except FileNotFoundError:
        pytest.skip("no fonts are installed")
    return drawn_pictures


def test_a_picture_follows_from_its_seed(script: ModuleType) -> None:
    first, again, other = (script.drawn_picture(seed, 96) for seed in (3, 3, 4))
    assert first.shape == (96, 96, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_about_half_of_the_pictures_are_gray(script: ModuleType) -> None:
    gray = [(picture == picture[..., :1]).all() for picture in (script.drawn_picture(seed, 96) for seed in range(60))]
    assert 0.3 < np.mean(gray) < 0.85


@pytest.mark.parametrize("kind", range(7))
def test_every_kind_draws_something_in_every_size(script: ModuleType, kind: int) -> None:
    draw, part = script.KINDS[kind]
    picture = np.asarray(draw(np.random.default_rng(1), 128, gray=True))
    assert picture.shape == (128, 128, 3) and part > 0
    assert picture.std() > 0


def test_kinds_are_all_that_is_drawn(script: ModuleType) -> None:
    assert sum(part for _, part in script.KINDS) == pytest.approx(1)


def test_fonts_that_are_missing_are_named(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="fonts-dejavu-core"):
        script.font_files(tmp_path)
