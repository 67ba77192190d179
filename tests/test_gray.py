"""Gray pictures come back gray, R = G = B to the last bit, whatever stores them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import features

from tests.conftest import draw
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.decoders.code_decoder import to_gray
from unicorn_codec.inspection import describe
from unicorn_codec.packing.add import add
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.pixels import Pixels, is_gray

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def gray(seed: int) -> Pixels:
    return to_gray(draw(seed, 64, 48))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two gray pictures, two gray stills of one scene, and one in colour."""
    folder = tmp_path_factory.mktemp("gray and not")
    for number in range(2):
        write_picture(gray(number), folder / f"gray {number}.png")
    texture = np.random.default_rng(0).integers(-40, 40, (48, 64, 1)).repeat(3, axis=2)
    for number in range(2):
        still = (gray(7).astype(int) + texture).clip(0, 255).astype(np.uint8)
        still[4:8, 4 + 8 * number : 8 + 8 * number] = 255
        write_picture(still, folder / f"still {number}.png")
    write_picture(draw(3, 64, 48), folder / "colour.png")
    return folder


@pytest.mark.parametrize(
    ("target", "codecs"),
    [
        (Target(Goal.STEP, 2.0), {"latents", "avif-sequence"}),
        (Target(Goal.STEP, 20.0), {"half-size"}),
        (Target(Goal.QUALITY, 90), {"avif", "avif-sequence"}),
    ],
)
def test_gray_pictures_come_back_gray(target: Target, codecs: set[str], mixed: Path, tmp_path: Path) -> None:
    pack(mixed, tmp_path / "out.uni", CodesOptions(target=target, effort=0, device="cpu"))
    entries = describe(tmp_path / "out.uni", entries=True)["entries"]
    assert {entry["codec"] for entry in entries} >= codecs
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        for index, pixels in archive.iterate(archive.indices):
            assert is_gray(pixels) == (archive.names[index] != "colour.png"), archive.names[index]


def test_pictures_that_are_added_are_marked_too(mixed: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    write_picture(gray(5), more / "added.png")
    pack(mixed, tmp_path / "out.uni", CodesOptions(effort=0, device="cpu"))
    add(tmp_path / "out.uni", more, CodesOptions(effort=0, device="cpu"))
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        (added,) = (index for index in archive.indices if archive.names[index] == "added.png")
        assert is_gray(np.asarray(archive[added]))
        assert psnr_db(gray(5), np.asarray(archive[added])) > 25


def test_luma_of_gray_is_itself() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(to_gray(levels), levels)
    assert is_gray(to_gray(draw(1, 20, 30))) and not is_gray(draw(1, 20, 30))
