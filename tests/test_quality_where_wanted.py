"""Bytes go where quality is wanted: to a metric, to a goal over all pictures, or to the pictures that count most."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import draw
from unicorn_cli.report import pack_text
from unicorn_codec.archive import Archive
from unicorn_codec.bench.quality_metrics import ssimulacra2
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import CodesOptions, Goal, Target
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.packing.allocation import FACTORS, Curve, equal_quality, equal_slope, score
from unicorn_codec.packing.importance import read_importance
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.refinement import Objective
from unicorn_codec.pictures.metrics import ms_ssim
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.distortion import MEASURES, ms_ssim_of, squared_error
from unicorn_codec.transform.ssimulacra2 import ssimulacra2_score

OPTIONS = CodesOptions(
    device="cpu", sequences=False, avif=False, effort=0, learning=None, overwrite=True, target=Target(Goal.STEP, 2.5)
)


def noisy(seed: int, deviation: float, side: int = 96) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, deviation, (side, side, 3))
    return (draw(seed, side, side) + noise).clip(0, 255).astype(np.uint8)


def planes(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of which some are easy and some are hard to code."""
    root = tmp_path_factory.mktemp("easy and hard")
    for number in range(6):
        write_picture(noisy(number, 6.0 * number), root / f"{number}.png")
    return root


@pytest.mark.parametrize("deviation", [2, 8, 24])
def test_the_differentiable_score_is_that_of_the_package(deviation: float) -> None:
    original = noisy(1, 4.0, side=256)
    other = (original + np.random.default_rng(0).normal(0, deviation, original.shape)).clip(0, 255).astype(np.uint8)
    expected = ssimulacra2(original, other)
    assert expected is not None
    assert abs(score(original, other) - expected) < 2
    assert score(original, original) == pytest.approx(100, abs=1)


def test_the_differentiable_similarity_is_that_of_reports() -> None:
    original, other = noisy(1, 4.0, side=256), noisy(1, 12.0, side=256)
    found = ms_ssim_of(planes(original) / 2 + 0.5, planes(other) / 2 + 0.5)
    assert float(found) == pytest.approx(ms_ssim(original, other), abs=2e-3)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_measures_grow_with_the_error_and_have_finite_gradients(measure: object) -> None:
    assert callable(measure)
    original = planes(noisy(2, 4.0))
    near, far = (planes(noisy(2, deviation)).requires_grad_() for deviation in (6.0, 20.0))
    errors = [measure(one, original) for one in (original, near, far)]
    assert errors[0].item() < errors[1].item() < errors[2].item()
    errors[2].sum().backward()
    assert far.grad is not None and far.grad.isfinite().all() and far.grad.abs().max() > 0
    flat = torch.zeros(1, 3, 4, 4, requires_grad=True)  # too small for any structure
    measure(flat, torch.full((1, 3, 4, 4), -1.0)).sum().backward()
    assert flat.grad is not None and flat.grad.isfinite().all()


def test_refinement_lowers_the_metric_that_it_is_given(autoencoder: PackagedAutoencoder, rate: RateModel) -> None:
    pixels = torch.from_numpy(noisy(3, 6.0))[None]
    latents = autoencoder.encode_pictures(list(pixels.numpy()), 16)
    found = dict[str, dict[str, float]]()
    for name in ("psnr", "perceptual"):
        objective = Objective(autoencoder=autoencoder, rate=rate, step=2.5, half=False, measure=MEASURES[name])
        refined = objective.refine(pixels, latents, 6)
        costs = {
            other: float(replace(objective, measure=measure).cost_of_pictures(pixels, refined))
            for other, measure in MEASURES.items()
        }
        assert costs[name] < float(objective.cost_of_pictures(pixels, latents))
        found[name] = costs
    assert found["psnr"]["psnr"] < found["perceptual"]["psnr"]
    assert found["perceptual"]["perceptual"] < found["psnr"]["perceptual"]


def curves(*qualities: float) -> list[Curve]:
    """Curves of pictures with equal slopes, which have these qualities at the folder's step."""
    at = -np.log(FACTORS)
    return [Curve(1000 * np.exp(0.8 * at), quality + 10 * at) for quality in qualities]


def test_one_quality_for_all_at_equal_bytes() -> None:
    pictures = curves(50.0, 52.0, 54.0, 56.0)
    chosen = equal_quality(pictures)
    found = [curve.qualities[number] for curve, number in zip(pictures, chosen, strict=True)]
    assert np.ptp(found) < 2 < 6
    total = sum(curve.sizes[number] for curve, number in zip(pictures, chosen, strict=True))
    assert 0.9 < total / 4000 <= 1


def test_bytes_go_where_they_gain_most() -> None:
    at = -np.log(FACTORS)
    steep, flat = (Curve(1000 * np.exp(0.8 * at), 50 + gain * at) for gain in (20.0, 5.0))
    chosen = equal_slope([steep, flat])
    assert FACTORS[chosen[0]] < 1 < FACTORS[chosen[1]]
    assert sum(curve.sizes[number] for curve, number in zip((steep, flat), chosen, strict=True)) <= 2000
    gained = steep.qualities[chosen[0]] + flat.qualities[chosen[1]]
    assert gained > 100


def test_the_worst_picture_gets_better(folder: Path, tmp_path: Path) -> None:
    scores = dict[str | None, list[float]]()
    for goal in (None, "worst"):
        pack(folder, tmp_path / "out.uni", replace(OPTIONS, goal=goal))
        with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
            assert (len(archive.reader.footer.decoders) > 1) == (goal is not None)
            numbers = [(int(archive.name(index)[0]), pixels) for index, pixels in archive.iterate(archive.indices)]
        scores[goal] = [score(noisy(number, 6.0 * number), pixels) for number, pixels in numbers]
    assert np.std(scores["worst"]) < 0.8 * np.std(scores[None])
    assert min(scores["worst"]) > min(scores[None])


def test_more_important_pictures_get_finer_steps(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "weights of pictures.csv"
    table.write_text("*,1\n\n0.png,4\n1.png, 0.25\n", encoding="utf-8")
    assert read_importance(table, ["0.png", "1.png", "2.png"]) == {0: 0.5, 1: 2.0}
    report = pack(folder, tmp_path / "out.uni", replace(OPTIONS, importance=table))
    assert (report.latent_step, report.other_steps) == (2.5, (1.25, 5.0))
    assert "quantisation step 2.5, of other pictures 1.25 to 5" in pack_text(tmp_path / "out.uni", report)
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        decoders = archive.reader.footer.decoders
        steps = {archive.name(i): decoders[archive.reader.row(i).decoder].latent_step for i in archive.indices}
        assert decoders[-1].latent_step == 2.5  # that of most pictures, for which others are added later
    assert steps == {"0.png": 1.25, "1.png": 5.0} | {f"{number}.png": 2.5 for number in range(2, 6)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png", "no name and weight"),
        ("a.png,much", "no name and weight"),
        ("a.png,0", "1/64 to 64"),
        ("a.png,nan", "1/64 to 64"),
        ("c.png,2", "no picture of the folder matches 'c.png'"),
        (None, "cannot read the table"),
    ],
)
def test_a_faulty_table_of_importance_is_refused(tmp_path: Path, text: str | None, words: str) -> None:
    table = tmp_path / "table.csv"
    if text is not None:
        table.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSetting, match=words):
        read_importance(table, ["a.png", "b.png"])


def test_wishes_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(InvalidSetting, match="effort above 0"):
        replace(OPTIONS, metric="psnr")
    with pytest.raises(InvalidSetting, match="not both"):
        replace(OPTIONS, goal="mean", importance=Path("table.csv"))
    for wrong in ({"metric": "vmaf", "effort": 1}, {"goal": "best"}):
        with pytest.raises(InvalidSetting, match="is one of"):
            CodesOptions(**wrong)


@pytest.mark.parametrize("size", [(288, 256), (231, 263)])
def test_the_score_is_that_of_the_package(size: tuple[int, int]) -> None:
    pytest.importorskip("ssimulacra2", reason="the extra bench brings it")
    original = draw(3, *size)
    for deviation in (3, 12):
        noise = np.random.default_rng(3).normal(0, deviation, original.shape)
        shown = (original // 2 * 2 + noise).clip(0, 255).astype(np.uint8)
        assert score(original, shown) == pytest.approx(ssimulacra2(original, shown), abs=0.05)


def test_squared_error_is_in_levels_of_255() -> None:
    original = torch.zeros(1, 3, 8, 8)
    assert float(squared_error(original + 1 / 127.5, original)) == pytest.approx(1.2, rel=1e-3)
    assert float(ssimulacra2_score(original[..., :4, :4], original[..., :4, :4])) > 99
