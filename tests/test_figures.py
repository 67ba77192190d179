"""Published figures come from the files of ``make results``, with their noise, and no page says anything else."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.figures import __main__ as figures
from benchmarks.figures.plan import SCRIPT_RESULTS, SET_RESULTS, SIZES
from benchmarks.figures.points import measure_point
from benchmarks.figures.tables import (
    FIGURES,
    JUDGES,
    PARTS,
    PUBLISHED,
    ROOT,
    Measured,
    kodak_table,
    own_table,
    pages,
    read_results,
    readme_table,
    rewritten,
    rival_tables,
)
from tests.conftest import draw
from unicorn_codec.bench.anchors import family_of, strong_rivals
from unicorn_codec.bench.own_codec import OWN_NAME
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.rivals import Jpeg, TunedAvif
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_writing import write_picture

CATS = SET_RESULTS[0]
COUNT = 12
CONTAINER = 277


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of sets that holds six small drawn cats."""
    for number in range(6):
        path = tmp_path / "sets" / CATS.folder / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(draw(number, 96, 80), path)
    return tmp_path / "sets"


def point(codec: str, rate: float, *, seed: int = 0, saving: float = 0.0, count: int = COUNT) -> dict[str, Any]:
    """A made-up point: quality follows from the rate, bytes are lower by a share."""
    random = np.random.default_rng([seed, int(1000 * rate)])
    pixels = 256 * 256
    sizes = rate * pixels / 8 * random.uniform(0.8, 1.2, count)
    db = 10 * np.log10(sizes) + random.normal(0, 0.05, count)
    qualities = [db, 1 - 10 ** (-db / 20), 4 * db - 60, 10 ** (-db / 30)]
    bare = sizes * (1 - saving)
    own = codec == OWN_NAME
    return {
        "codec": codec,
        "title": codec,
        "setting": f"{rate:g}",
        "pixels": [pixels] * count,
        **{name: values.tolist() for name, values in zip(JUDGES, qualities, strict=True)},
        "bytes": (bare if own else bare + CONTAINER).tolist(),
        "bare_bytes": bare.tolist(),
        "kid": 0.01,
        "encode_s": 3.0,
        "decode_s": 0.3,
        **(
            {"file_bytes": int(bare.sum()), "update_bytes": 0, "stored_as": {"latents": count}, "model": "m-1"}
            if own
            else {}
        ),
    }


def measured(saving: float, seed: int = 1) -> Measured:
    rates = (0.05, 0.1, 0.2, 0.4)
    names = [str(number) for number in range(COUNT)]
    points = [point("avif-s4-420", rate) for rate in rates]
    points += [point("avif-s0-444", rate, saving=0.05) for rate in rates]
    points += [point(OWN_NAME, rate, seed=seed, saving=saving) for rate in rates[:3]]
    return Measured(CATS, {"packed": names, "compared": names, "points": points})


def test_the_anchor_is_the_best_setting_of_all() -> None:
    """Ours saves 40 % of AVIF at one setting, and so 37 % of it at another one, which saves 5 %."""
    for metric in JUDGES:
        gain = measured(0.4, seed=0).gain(OWN_NAME, metric)
        assert gain is not None
        assert gain[0] == pytest.approx(100 * (0.6 / 0.95 - 1), abs=0.5)


def test_containers_are_a_row_of_their_own() -> None:
    gain = measured(0.4).gain("avif", "psnr_db")
    assert gain is not None and gain[0] > 20  # 277 bytes on files of 400 to 3,300


def test_the_noise_is_the_spread_over_other_choices_of_pictures() -> None:
    gain = measured(0.2, seed=1).gain(OWN_NAME, "psnr_db")
    assert gain is not None
    others = [measured(0.2, seed=seed).gain(OWN_NAME, "psnr_db") for seed in range(2, 22)]
    spread = float(np.std([other[0] for other in others if other]))
    assert spread / 3 < gain[1] < 3 * spread


def test_a_rate_that_no_rival_reaches_has_no_figure() -> None:
    alone = measured(0.4)
    points = [p for p in alone.values["points"] if p["codec"] == OWN_NAME]
    assert Measured(CATS, {**alone.values, "points": points}).gain(OWN_NAME, "psnr_db") is None


def test_tables_show_every_set_and_codec() -> None:
    results = [measured(0.4)]
    assert f"| {CATS.title} | {COUNT} | -3" in readme_table(results)
    rivals = rival_tables(results)
    assert "| unicorn |" in rivals and "with containers |" in rivals
    assert "12 latents" in own_table(results)


def test_published_points_of_kodak_have_sources() -> None:
    published = json.loads(PUBLISHED.read_text())
    for codec in published["codecs"]:
        assert codec["source"].startswith("https://github.com/")
        assert len(codec["points"]) >= 3
        for rate, psnr, ms_ssim in codec["points"]:
            assert 0 < rate < 1 and (psnr is None or 20 < psnr < 40) and (ms_ssim is None or 0.7 < ms_ssim < 1)
        assert f"[{codec['name']}]({codec['source']})" in kodak_table([])


def test_a_part_of_a_page_is_replaced_and_nothing_else() -> None:
    page = "before\n<!--results:rows-->\nold\n<!--end-->\nafter\n<!--results:other-->\nx\n"
    assert rewritten(page, {"rows": "new\\1"}) == page.replace("old", "new\\1")


@pytest.mark.skipif(not any(FIGURES.glob("*.json")), reason="nothing has been measured by make results yet")
def test_pages_say_what_was_measured() -> None:
    results = read_results()
    for path, wanted in pages(results):
        text = path.read_text(encoding="utf-8")
        for part in PARTS[path.relative_to(ROOT).as_posix()]:
            assert f"<!--results:{part}-->" in text, f"{path.name} has no place for {part}"
        assert text == wanted, f"{path.name} differs from {FIGURES}: python -m benchmarks.figures --tables"


def test_a_picture_is_counted_with_and_without_its_container(data: Path) -> None:
    pictures = PictureSet.open(data / CATS.folder, ReadOptions())
    values = measure_point(TunedAvif(9, "4:4:4", None, (20,)), "quality 20", pictures)
    extra = np.array(values["bytes"]) - np.array(values["bare_bytes"])
    assert len(extra) == 6 and (extra > 200).all() and (extra < 400).all()
    assert all(value is not None for metric in JUDGES for value in values[metric])


@pytest.mark.slow
def test_finished_points_are_not_measured_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jpeg = Jpeg().thinned(2)
    monkeypatch.setattr(figures, "strong_rivals", lambda *qualities: [jpeg])
    monkeypatch.setattr(figures, "SET_RESULTS", (replace(CATS, targets=(30, 55)),))
    arguments = [
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--size",
        "smoke",
        "--only",
        "cats",
        "--jobs",
        "1",
    ]
    figures.main(arguments)
    path = tmp_path / "out" / "cats.json"
    first = json.loads(path.read_text())
    assert [p["codec"] for p in first["points"]] == [OWN_NAME] * 2 + ["jpeg"] * 2
    own = first["points"][0]
    assert sum(own["bytes"]) == pytest.approx(own["file_bytes"], abs=1)
    assert {"command", "date", "device", "models_sha256", "versions"} <= set(first)
    path.write_text(json.dumps({**first, "points": first["points"][:-1]}))
    figures.main(arguments)
    second = json.loads(path.read_text())
    assert second["points"][:-1] == first["points"][:-1] and len(second["points"]) == len(first["points"])


def test_points_of_other_models_are_measured_again(tmp_path: Path) -> None:
    origin = {"set": "s", "size": "small", "packed": ["a"], "compared": ["a"], "models_sha256": "1"}
    figures.Result(tmp_path / "r.json", origin).add(point(OWN_NAME, 0.1))
    renewed = figures.Result(tmp_path / "r.json", {**origin, "models_sha256": "2"})
    assert not renewed.has(OWN_NAME, "0.1")
    assert figures.Result(tmp_path / "r.json", origin).has(OWN_NAME, "0.1")


def test_unknown_results_and_missing_sets_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        figures.main(["--data", str(tmp_path), "--only", "dogs"])
    assert "choose from cats, grocery" in capsys.readouterr().err


def test_the_plan_is_complete() -> None:
    assert all(set(result.packed) == set(result.compared) == set(SIZES) for result in SET_RESULTS)
    assert all(result.compared[size] <= result.packed[size] for result in SET_RESULTS for size in SIZES)
    assert all(set(script.arguments) == set(script.minutes) for script in SCRIPT_RESULTS)
    assert all(family_of(codec.name) for codec in strong_rivals((10,), (10,)))
