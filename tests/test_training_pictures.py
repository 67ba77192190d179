"""No picture that the shipped models are judged on, nor a near-duplicate of one, is among those they were trained on.

Runs where both are at hand: UNICORN_TRAINING_PICTURES is the training folder, UNICORN_BENCHMARK_PICTURES the benchmark
folders, separated as in PATH.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TRAINING = os.environ.get("UNICORN_TRAINING_PICTURES", "")
BENCHMARK = os.environ.get("UNICORN_BENCHMARK_PICTURES", "")
NEAR = 0.97


def thumbnails(folders: list[Path]) -> tuple[list[Path], np.ndarray]:
    """Names and centred, normalised 16x16 gray thumbnails (N, 256)."""
    paths = sorted(path for folder in folders for path in folder.rglob("*.jpg"))
    rows = []
    for path in paths:
        picture = Image.open(path)
        picture.draft("L", (64, 64))
        row = np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX), np.float32).ravel()
        row -= row.mean()
        rows.append(row / max(float(np.linalg.norm(row)), 1e-6))
    return paths, np.stack(rows)


@pytest.mark.skipif(not (TRAINING and BENCHMARK), reason="needs the training and the benchmark pictures")
def test_no_benchmark_picture_was_trained_on() -> None:
    trained, of_training = thumbnails([Path(TRAINING)])
    judged, of_benchmark = thumbnails([Path(folder) for folder in BENCHMARK.split(os.pathsep)])
    likeness = of_benchmark @ of_training.T
    pairs = [(judged[i].name, trained[j].name) for i, j in np.argwhere(likeness > NEAR).tolist()]
    assert len(trained) > 0 and len(judged) > 0
    assert not pairs, f"{len(pairs)} near-duplicates: {pairs[:5]}"


def test_the_comparison_finds_a_near_duplicate(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    Image.fromarray((pixels * 0.9).astype(np.uint8)).save(tmp_path / "b.jpg")
    Image.fromarray(pixels[::-1]).save(tmp_path / "c.jpg")
    _, rows = thumbnails([tmp_path])
    assert rows[0] @ rows[1] > NEAR > rows[0] @ rows[2]
