"""No change may lose a per cent unseen: bytes and quality of the shipped models on photographs and drawn pictures.

After a change that is meant to alter them, and a measurement that says it is a gain, replace the values by those that
the failing test prints. ``tests/photos/README.md`` says where the photographs come from.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from unicorn_codec.archive import Archive
from unicorn_codec.bench.quality_metrics import ssimulacra2
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.model_registry import AUTOENCODER, names
from unicorn_codec.packing.pack import pack
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.metrics import ms_ssim, psnr_db

pytest.importorskip("ssimulacra2")

PHOTOS = Path(__file__).parent / "photos"
DRAWN = 3
DRAWN_SIZE = 192
EFFORT = 3


class Reached(NamedTuple):
    """Bytes of a file, and mean qualities of its pictures."""

    bytes: int
    psnr_db: float
    ms_ssim_db: float
    ssimulacra2: float


TOLERANCE = Reached(bytes=0, psnr_db=0.1, ms_ssim_db=0.1, ssimulacra2=0.3)
SHARE_OF_BYTES = 0.01
"""Processors round differently in bfloat16 and float32, which moves single codes: less than these."""

PINNED: dict[tuple[str, float], Reached] = {
    ("photo-1", 1.6): Reached(9883, 35.079, 20.367, 66.051),
    ("photo-1", 4.5): Reached(4264, 32.279, 16.960, 48.439),
    ("light-1", 1.6): Reached(10493, 33.730, 19.077, 61.774),
    ("light-1", 4.5): Reached(4645, 31.508, 16.149, 44.348),
}
"""By model and quantisation step."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for photo in PHOTOS.glob("*.jpg"):
        shutil.copy(photo, folder)
    make_demo_pictures(folder / "drawn", DRAWN, DRAWN_SIZE)
    return folder


def reached(archive: Path, pictures: Path) -> Reached:
    """Measure a written file."""
    rows: list[tuple[float, float, float]] = []
    with Archive.open(archive, device="cpu") as opened:
        for index, name in opened.names.items():
            original = np.asarray(Image.open(pictures / name).convert("RGB"))
            decoded = np.asarray(opened[index].convert("RGB"))
            similarity_db = -10 * np.log10(1 - ms_ssim(original, decoded))
            score = ssimulacra2(original, decoded)
            assert score is not None
            rows.append((psnr_db(original, decoded), float(similarity_db), score))
    return Reached(archive.stat().st_size, *np.mean(rows, axis=0).tolist())


def test_every_shipped_model_is_pinned() -> None:
    assert {model for model, _ in PINNED} == set(names(AUTOENCODER))


@pytest.mark.parametrize(("model", "step"), [(model, step) for model in names(AUTOENCODER) for step in (1.6, 4.5)])
def test_rate_and_quality_are_those_that_were_measured(model: str, step: float, pictures: Path, tmp_path: Path) -> None:
    options = CodesOptions(
        target=Target(Goal.STEP, step), effort=EFFORT, autoencoder=model, learning=None, avif=False, device="cpu"
    )
    pack(pictures, tmp_path / "out.uni", options)
    found, pinned = reached(tmp_path / "out.uni", pictures), PINNED.get((model, step))
    printed = f"({model!r}, {step}): Reached({found.bytes}, {', '.join(f'{value:.3f}' for value in found[1:])}),"
    assert pinned is not None, printed
    assert found.bytes == pytest.approx(pinned.bytes, rel=SHARE_OF_BYTES), printed
    for name in Reached._fields[1:]:
        assert getattr(found, name) == pytest.approx(getattr(pinned, name), abs=getattr(TOLERANCE, name)), printed
