"""Refined latents against plain ones: cheaper by their own measure, and smaller or better in real files."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.conftest import draw
from unicorn_codec import errors
from unicorn_codec.checkpoints import CodesCheckpoint
from unicorn_codec.codes.context_model import level_of, load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.concurrency import map_in_threads
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.effort import (
    DEFAULT_ROUND_PIXELS,
    LEAST_EFFORT,
    LONG_EFFORT,
    MAX_EFFORT,
    RANDOM_EFFORT,
    SHORT_EFFORT,
    default_effort,
)
from unicorn_codec.packing import candidates, effort_planning, rate_control, refinement
from unicorn_codec.packing.candidates import CandidateChooser
from unicorn_codec.packing.code_writer import encode_latents, quantise_latents
from unicorn_codec.packing.folder_encoder import PicturesAsAvif
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.refinement import Objective
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.picture_folder import Folder
from unicorn_codec.pictures.picture_table import PictureTable
from unicorn_codec.transform import resampling
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.resampling import double, halve

STEP = 5.0


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    make_demo_pictures(folder, count=4, size=96)
    return folder


@pytest.fixture(scope="module")
def pixels(photographs: Path) -> Tensor:
    paths = sorted(path for path in photographs.iterdir() if path.suffix == ".png")
    return torch.from_numpy(np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths]))


@pytest.fixture(params=[False, True], ids=["whole", "half"])
def objective(request: pytest.FixtureRequest, autoencoder: PackagedAutoencoder, rate: RateModel) -> Objective:
    return Objective(autoencoder=autoencoder, rate=rate, step=STEP, half=request.param)


def encoded(objective: Objective, pixels: Tensor) -> Tensor:
    shown = halve(pixels) if objective.half else pixels
    return objective.autoencoder.encode_pictures(list(shown.numpy()), 16)


@pytest.mark.parametrize("step", [1.0, 2.3, 6.0, 12.0])
def test_the_rate_is_that_of_the_real_codes(
    autoencoder: PackagedAutoencoder, rate: RateModel, pixels: Tensor, step: float
) -> None:
    latents = autoencoder.encode_pictures(list(pixels.numpy()), 16)
    symbols = torch.from_numpy(quantise_latents(latents, step).astype(np.float32))
    levels = torch.full((len(symbols),), level_of(step))
    bits, (means, _) = rate.bits(symbols, levels).sum((1, 2, 3)), rate(symbols, levels)
    plain_bits = 16 * ((symbols - means.floor()).abs() > load_context_model().reach).sum((1, 2, 3))
    codes = encode_latents(load_context_model(), latents, step)
    for wanted, plain, code in zip(bits.tolist(), plain_bits.tolist(), codes, strict=True):
        more = 8 * len(code) - wanted
        assert -0.03 * wanted <= more <= 0.03 * wanted + 56 + plain, "a head, a last state, values out of reach"


def test_refinement_ends_when_nobody_waits_for_it(objective: Objective, pixels: Tensor) -> None:
    def stop_after_one() -> Iterator[int]:
        yield 10**9  # rounds
        raise KeyboardInterrupt

    latents = encoded(objective, pixels)
    with pytest.raises(KeyboardInterrupt):
        list(map_in_threads(lambda rounds: objective.refine(pixels, latents, rounds), stop_after_one()))


def test_a_few_rounds_lower_the_cost_of_every_picture_by_some_percent(objective: Objective, pixels: Tensor) -> None:
    plain = encoded(objective, pixels)
    refined = objective.refine(pixels, plain, rounds=6)
    before, after = (objective.cost_of_pictures(pixels, latents) for latents in (plain, refined))
    assert (after <= before).all()
    assert after.sum() < 0.97 * before.sum()


@pytest.mark.slow
def test_many_rounds_at_random_gain_a_quarter_more(objective: Objective, pixels: Tensor) -> None:
    plain = encoded(objective, pixels)
    before, few, many = (
        objective.cost_of_pictures(pixels, objective.refine(pixels, plain, rounds)).sum().item()
        for rounds in (0, 12, 80)
    )
    assert many < few < before
    assert before - many > 1.25 * (before - few)


def test_chances_do_not_depend_on_the_pictures_beside_one() -> None:
    symbols = torch.randn(3, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    together, alone = (
        refinement.softly_rounded(some, 0.3, torch.Generator().manual_seed(7)) for some in (symbols, symbols[1:2])
    )
    assert torch.equal(together[1:2], alone)
    assert (refinement.softly_rounded(symbols, 0.3, torch.Generator().manual_seed(8)) != together).any()


def test_a_value_is_rounded_at_random_by_how_near_it_is() -> None:
    symbols = torch.full((1, 100, 20, 20), 3.75)
    rounded = refinement.softly_rounded(symbols, 0.5, torch.Generator().manual_seed(0))
    assert 3 <= rounded.min() <= rounded.max() <= 4
    up = (rounded > 3.5).float().mean().item()
    # The odds are e^((atanh(3/4) - atanh(1/4)) / 0.5).
    assert up == pytest.approx(1 / (1 + math.exp(-2 * (math.atanh(0.75) - math.atanh(0.25)))), abs=0.01)


def test_a_descent_that_goes_astray_changes_nothing(
    objective: Objective, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refinement, "PATH", 100.0)
    plain = encoded(objective, pixels)
    torch.testing.assert_close(objective.refine(pixels, plain, rounds=2), plain)


def test_no_rounds_change_nothing(objective: Objective, pixels: Tensor) -> None:
    plain = encoded(objective, pixels)
    torch.testing.assert_close(objective.refine(pixels, plain, rounds=0), plain)


def test_pieces_cover_a_picture_and_gain_as_much(
    objective: Objective, pixels: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = pixels[:, :90, :83]  # no multiples of a latent
    plain = encoded(objective, cut)
    whole = objective.refine(cut, plain, rounds=3)
    with monkeypatch.context() as patch:
        patch.setitem(refinement.PIXELS_AT_ONCE, "cpu", (2 * 16) ** 2)
        pieces = objective.refine(cut, plain, rounds=3)
    before, of_whole, of_pieces = (objective.cost_of_pictures(cut, latents).sum() for latents in (plain, whole, pieces))
    assert before - of_pieces > 0.6 * (before - of_whole) > 0
    changed = (pieces != plain).any(dim=1).any(dim=0)
    assert changed[0].any()
    assert changed[-1].any()
    assert changed[:, -1].any()


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (7, 40), (33, 16)])
def test_small_pictures_are_refined_too(objective: Objective, size: tuple[int, int]) -> None:
    pixels = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    plain = encoded(objective, pixels)
    refined = objective.refine(pixels, plain, rounds=2)
    assert refined.shape == plain.shape
    assert torch.isfinite(refined).all()


def test_doubling_is_cubic_convolution_with_the_format_s_weights() -> None:
    rows = torch.rand(1, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    near, far = 225 / 256, 67 / 256  # of the pixels at 1/4 and 3/4
    outer, last = -27 / 256, -9 / 256  # of those at 5/4 and 7/4
    padded = torch.nn.functional.pad(rows, (2, 2, 2, 2), mode="replicate")

    def doubled(picture: Tensor) -> Tensor:
        """The last side of what has two more pixels at either end."""
        a, b, c, d, e = (picture[..., place : picture.shape[-1] - 4 + place] for place in range(5))
        left = last * a + far * b + near * c + outer * d
        right = outer * b + near * c + far * d + last * e
        return torch.stack([left, right], dim=-1).flatten(-2)

    wanted = doubled(doubled(padded).transpose(2, 3)).transpose(2, 3)
    torch.testing.assert_close(double(rows), wanted)


@pytest.mark.parametrize("size", [(1, 1), (5, 8), (7, 3)])
def test_halves_are_of_pictures_made_even(size: tuple[int, int]) -> None:
    pixels = torch.full((2, *size, 3), 77, dtype=torch.uint8)
    pixels[1] += 1
    halves = halve(pixels)
    assert halves.shape == (2, -(-size[0] // 2), -(-size[1] // 2), 3)
    assert halves[0].unique().tolist() == [77]
    assert halves[1].unique().tolist() == [78]


def test_a_file_of_the_same_size_comes_back_better(photographs: Path, tmp_path: Path) -> None:
    reports = [
        pack(photographs, tmp_path / f"{effort}.uni", CodesOptions(target=Target(Goal.RATE, 0.4), effort=effort))
        for effort in (0, 8)
    ]
    plain, refined = reports
    for report in reports:
        assert report.wanted_bytes is not None
        assert abs(report.file_bytes / report.wanted_bytes - 1) <= 0.03
    assert [report.rounds for report in reports] == [0, 8]
    assert refined.measured.psnr_db.mean > plain.measured.psnr_db.mean + 0.1
    assert refined.measured.ms_ssim.mean > plain.measured.ms_ssim.mean


@pytest.mark.parametrize(
    ("gibibytes", "bfloat16", "pictures"),
    [(140, True, 128), (24, True, 128), (8, True, 72), (8, False, 32), (4, False, 16)],
)
def test_what_a_gpu_refines_together_fits_into_its_memory(
    gibibytes: int, bfloat16: bool, pictures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = SimpleNamespace(total_memory=gibibytes << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(refinement, "has_fast_bfloat16", lambda device: bfloat16)
    assert refinement.pixels_at_once(torch.device("cuda")) // 256**2 == pictures


class AwkwardFolder:
    """Replaces a ``FolderEncoder`` and its sample, which estimates other sizes than come out."""

    finest, coarsest, overhead, sequences = 1.0, 24.0, 0, PicturesAsAvif()

    def __init__(self) -> None:
        self.efforts: list[int] = []

    def file_bytes(self, codes: tuple[float, int]) -> float:
        step, rounds = codes
        return 1e5 * step**-1.2 * (0.9 if rounds else 1.0)

    def encode(self, step: float, progress: object, *, rounds: int = 0) -> tuple[float, int]:
        self.efforts.append(rounds)
        return step, rounds

    def estimate_file_bytes(self, step: float, progress: object) -> float:
        return self.file_bytes((step, 0))

    def sample(self, *_: object) -> SimpleNamespace:
        return SimpleNamespace(file_bytes=lambda step: 8e4 * step**-1.1, growth_by_refinement=lambda *_: 0.9)


def test_all_pictures_are_refined_once_even_where_the_sample_misleads(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = AwkwardFolder()
    monkeypatch.setattr(rate_control, "take_size_sample", folder.sample)
    codes = rate_control.fit_codes(folder, 2e4, 12, Observer())[1]  # type: ignore[arg-type]
    assert folder.efforts == [12]
    assert folder.file_bytes(codes) == pytest.approx(2e4, rel=rate_control.TOLERANCE_REFINED)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(1, 1), (9, 40), (64, 33), (101, 30)])
def test_halving_in_bands_is_halving(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8))
    whole = halve(pixels)
    monkeypatch.setattr(resampling, "BAND_PIXELS", 2 * size[1] * 7)
    assert torch.equal(halve(pixels), whole) and whole.shape[1:3] == (-(-size[0] // 2), -(-size[1] // 2))


def test_a_large_picture_is_halved_where_its_windows_cost_less(
    autoencoder: PackagedAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "LARGEST_WHOLE", 40 * 40)
    monkeypatch.setattr(candidates, "WINDOW", 24)
    folder = Folder(root=Path("none"), pictures=PictureTable())
    chooser = CandidateChooser(
        pictures=PictureSource(folder, ReadOptions()), autoencoder=autoencoder, rate=RateModel.of(load_context_model())
    )
    smooth, noisy = draw(0, 64, 48), np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    halved = []
    for picture in (smooth, noisy):
        pixels = torch.from_numpy(picture)[None]
        (chosen,) = chooser._choose([0], pixels, chooser.encode(pixels), None, 24.0, 0, lambda _: None)
        halved.append(chosen.half)
        expected = chooser.encode_halves(pixels) if chosen.half else chooser.encode(pixels)
        assert torch.equal(chosen.latents, expected)
    assert halved == [False, True]


@pytest.mark.parametrize(
    ("device", "pictures", "rounds"),
    [
        *[
            ("cpu", 1, SHORT_EFFORT),
            ("cpu", 500, SHORT_EFFORT),
            ("cpu", 1000, SHORT_EFFORT),
            ("cpu", 10_000, LEAST_EFFORT),
        ],
        *[("cuda", 1, LONG_EFFORT), ("cuda", 1000, LONG_EFFORT), ("cuda", 5000, 61), ("cuda", 20_000, SHORT_EFFORT)],
        *[("cuda", 100_000, 3), ("cuda", 1_000_000, LEAST_EFFORT)],
    ],
)
def test_many_pixels_get_fewer_rounds(device: str, pictures: int, rounds: int) -> None:
    assert default_effort(pictures * 256 * 256, device) == rounds
    assert default_effort(DEFAULT_ROUND_PIXELS[device] // 3, device) == 3


def test_an_effort_that_was_asked_for_is_taken() -> None:
    folder = SimpleNamespace(checkpoint=None, pictures=SimpleNamespace(pixels=2 * DEFAULT_ROUND_PIXELS["cpu"]))
    assert effort_planning.plan_rounds(folder, CodesOptions(effort=9), 4.0) == 9  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_time_decides_the_effort(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rounds(seconds: float) -> int:
        options = CodesOptions(target=Target(Goal.STEP, 4.0), seconds=seconds, overwrite=True)
        return pack(photographs, tmp_path / "out.uni", options).rounds

    assert rounds(0.01) == 0
    now = iter(range(10_000))
    with monkeypatch.context() as patch:  # a clock on which 4 pictures take 1 second, whatever is done with them
        patch.setattr(time, "monotonic", lambda: next(now))
        assert rounds(40) == SHORT_EFFORT, "a round takes no time at all"
    assert 0 < rounds(20) <= LONG_EFFORT


class TimedFolder:
    """Replaces a ``FolderEncoder`` of two pictures, each of which takes a second a round and nothing else."""

    checkpoint, sequences, model = None, PicturesAsAvif(), None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.autoencoder = SimpleNamespace(device=torch.device("cpu"))
        self.pictures = TimedPictures()
        self.latents = SimpleNamespace(of=lambda positions: [(positions, None)])
        self.chooser = SimpleNamespace(choose=self.choose)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def choose(self, batch: list[int], latents: None, step: float, rounds: int) -> list[None]:
        self.now += len(batch) * rounds
        return []


class TimedPictures:
    """Two pictures of 8 x 8."""

    def __len__(self) -> int:
        return 2

    def pixels_of(self, position: int) -> int:
        return 64

    def picture(self, position: int) -> np.ndarray:
        return np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("that_fit", "wanted"),
    [(0, 0), (3, 3), (7, SHORT_EFFORT), (39, SHORT_EFFORT), (40, RANDOM_EFFORT), (70, 70), (500, LONG_EFFORT)],
)
@pytest.mark.parametrize("times", [1, 2])
def test_rounds_that_hardly_gain_are_not_taken(
    that_fit: int, wanted: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 10 + 2 * times * that_fit + 1  # 10 to find out, 1 to decode in the end
    assert effort_planning.rounds_within(TimedFolder(monkeypatch), seconds, times, 4.0) == wanted  # type: ignore[arg-type]


def test_unfinished_work_keeps_the_effort_it_was_begun_with(tmp_path: Path) -> None:
    kept = CodesCheckpoint(tmp_path / "checkpoint", "digest", resume=False)
    kept.begin("some way")
    kept.add(0, b"code")
    kept.save()
    assert CodesCheckpoint(kept.path, "digest", resume=True).rounds is None
    kept.rounds = 7
    kept.save()
    assert CodesCheckpoint(kept.path, "digest", resume=True).rounds == 7


@pytest.mark.parametrize("effort", [-1, MAX_EFFORT + 1])
def test_an_effort_is_a_few_rounds(effort: int) -> None:
    with pytest.raises(errors.InvalidSetting, match="effort"):
        CodesOptions(effort=effort)


@pytest.mark.slow
def test_the_cost_of_a_large_picture_does_not_depend_on_its_pieces(
    objective: Objective, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_demo_pictures(tmp_path, count=1, size=560)
    (path,) = tmp_path.glob("*.png")
    pixels = torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy())[None]
    latents = encoded(objective, pixels)
    in_pieces = objective.cost_of_pictures(pixels, latents)
    monkeypatch.setitem(refinement.PIXELS_AT_ONCE, "cpu", 1024**2)
    monkeypatch.setattr(refinement, "PIECE_PIXELS", 1024)
    whole = objective.cost_of_pictures(pixels, latents).item()
    assert in_pieces.item() == pytest.approx(whole, rel=0.02)
    monkeypatch.setattr(refinement, "PIECE_PIXELS", 512)  # sixteenths have no window that lies across a seam
    assert objective.cost_of_pictures(pixels, latents).item() == pytest.approx(whole, rel=0.03)
