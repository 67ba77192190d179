from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from unicorn_cli.main import cli
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.packing import model_choice
from unicorn_codec.packing.model_choice import FEWEST_PIXELS, choose_model
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import ModelChoice
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

OPTIONS = CodesOptions(device="cpu", effort=0, learning=None, sequences=False, avif=False)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Printed pages, as large as a choice needs."""
    folder = tmp_path_factory.mktemp("printed pages")
    for number in range(2):
        page = Image.new("L", (384, 384), 255)
        draw = ImageDraw.Draw(page)
        for line in range(30):
            draw.text((8, 4 + 12 * line), f"{number}{line} {(line * 7919 + number) ** 3} paid with thanks", fill=0)
        page.convert("RGB").save(folder / f"{number}.png")
    return folder


def chosen(folder: Path, options: CodesOptions) -> ModelChoice | None:
    return choose_model(PictureSource(list_folder(folder, ReadOptions()), ReadOptions()), options, Observer())


def with_costs(monkeypatch: pytest.MonkeyPatch, costs: dict[str, float]) -> list[float]:
    """Let models have costs at one bit per pixel, and return the steps at which they are asked for."""
    steps = list[float]()

    def sample_cost(
        cut: object, pictures: object, model: PackagedAutoencoder, step: float, seed: int
    ) -> tuple[float, float]:
        steps.append(step)
        return 1.0, costs[model.reference.name]

    monkeypatch.setattr(model_choice, "sample_cost", sample_cost)
    return steps


def test_print_is_packed_with_the_model_that_knows_print(pages: Path, tmp_path: Path) -> None:
    report = pack(pages, tmp_path / "out.uni", replace(OPTIONS, target=Target(Goal.STEP, 3.0)))
    assert report.model_choice is not None and report.model_choice.name == "light-1"
    assert report.model_choice.excess["photo-1"] > 0.02
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        assert archive.reader.footer.decoders[0].model.name == "light-1"


@pytest.mark.parametrize("best", ["photo-1", "light-1"])
def test_the_model_that_costs_least_is_chosen(pages: Path, best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = with_costs(monkeypatch, {"photo-1": 2.1, "light-1": 2.1, best: 2.0})
    (other,) = {"photo-1", "light-1"} - {best}
    found = chosen(pages, replace(OPTIONS, target=Target(Goal.STEP, 4.0)))
    assert found is not None and found.name == best and found.excess == {other: pytest.approx(0.1)}
    assert steps == [4.0, 4.0]


def test_a_size_is_compared_at_a_usual_step(pages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = with_costs(monkeypatch, {"photo-1": 1.0, "light-1": 2.0})
    assert chosen(pages, replace(OPTIONS, target=Target(Goal.RATE, 0.1))) is not None
    assert set(steps) == {model_choice.USUAL_STEP}


@pytest.mark.parametrize(
    "change",
    [
        lambda options: replace(options, autoencoder="photo-1"),
        lambda options: replace(options, target=Target(Goal.QUALITY, 90)),
    ],
)
def test_nothing_is_chosen_where_nothing_is_open(pages: Path, change: Callable[[CodesOptions], CodesOptions]) -> None:
    assert chosen(pages, change(OPTIONS)) is None


def test_small_folders_take_the_default(tmp_path: Path) -> None:
    Image.new("RGB", (64, FEWEST_PIXELS // 64 - 1)).save(tmp_path / "small.png")
    assert chosen(tmp_path, OPTIONS) is None


def test_pictures_with_codes_keep_their_model(pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = replace(OPTIONS, autoencoder="photo-1", target=Target(Goal.STEP, 6.0))
    pack(pages, tmp_path / "first.uni", first)
    unpacked = tmp_path / "unpacked"
    run = CliRunner().invoke(cli, ["unpack", str(tmp_path / "first.uni"), "--all", "-o", str(unpacked)])
    assert run.exit_code == 0, run.output
    with_costs(monkeypatch, {"photo-1": 2.0, "light-1": 1.0})
    assert chosen(unpacked, OPTIONS) == ModelChoice(name="photo-1")
    again = chosen(unpacked, replace(OPTIONS, reuse=False))
    assert again is not None and again.name == "light-1"
    report = pack(unpacked, tmp_path / "again.uni", replace(OPTIONS, target=Target(Goal.STEP, 6.0)))
    assert report.taken_over == 2


def test_a_step_that_is_too_coarse_is_refused(pages: Path) -> None:
    with pytest.raises(InvalidSetting, match="quantisation step"):
        chosen(pages, replace(OPTIONS, target=Target(Goal.STEP, 900)))
