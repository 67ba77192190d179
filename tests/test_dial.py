"""The comparison over all rates: it resumes where it stopped, and reports what was measured."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import draw
from unicorn_codec.bench.comparison import rivals
from unicorn_codec.bench.provenance import package_models_sha256
from unicorn_codec.bench.rivals import Jpeg
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_writing import write_picture

pytest.importorskip("matplotlib")
pytest.importorskip("ssimulacra2")

from benchmarks import dial


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "pictures").mkdir()
    for number in range(4):
        write_picture(draw(number, 48, 40), tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


def run(data: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> dict[str, Any]:
    arguments = ["--data", str(data), "--count", "3", "--codecs", "jpeg", "--out", str(output), *more]
    monkeypatch.setattr(sys, "argv", ["dial.py", *arguments])
    dial.main()
    return json.loads((output / "dial.json").read_text())


def test_a_report_without_plots_has_no_pictures(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jpeg, "settings", {"quality 10": 10})
    run(data, tmp_path / "out", monkeypatch, "--no-plots")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"dial.json", "dial.md"}
    assert "![" not in (tmp_path / "out" / "dial.md").read_text()


def test_measured_points_are_not_measured_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Jpeg, "settings", {"quality 10": 10, "quality 60": 60})
    output = tmp_path / "out"
    first = run(data, output, monkeypatch, "--files", str(tmp_path / "kept"))
    assert capsys.readouterr().out.startswith("2 points to measure: about ")
    (found,) = first["runs"]
    assert (found["name"], found["count"], found["pixels"]) == ("pictures", 3, 3 * 48 * 40)
    for point in found["points"]:
        files = list((tmp_path / "kept" / point["files"]).iterdir())
        assert point["bytes"] == sum(path.stat().st_size for path in files) > 0
        assert (point["pictures"], point["measured_pictures"]) == (3, 1)
    del found["points"][0]
    (output / "dial.json").write_text(json.dumps(first))
    (again,) = run(data, output, monkeypatch)["runs"]
    assert capsys.readouterr().out.startswith("1 points to measure: about ")
    assert [point["setting"] for point in again["points"]] == ["quality 60", "quality 10"]
    assert again["points"][0] == found["points"][0]
    assert not list(output.glob("*.part"))
    assert (output / "dial-pictures-3-all-psnr_db.png").exists()
    page = (output / "dial.md").read_text()
    assert "| JPEG | quality 60 |" in page and "(dial-pictures-3-psnr_db.png)" in page
    assert "Comparison with the smallest files" not in page, "there is no file of ours to compare"
    with pytest.raises(SystemExit, match="move it away"):
        run(data, output, monkeypatch, "--metrics-every", "2")


def test_points_of_other_models_are_not_kept(tmp_path: Path) -> None:
    point = {
        "codec": "unicorn",
        "title": "unicorn",
        "setting": "0.1 bpp",
        "files": "f",
        "pictures": 3,
        "measured_pictures": 1,
        "note": None,
        "bytes": 1,
        "bits_per_pixel": 0.1,
        "bits_per_pixel_with_autoencoder": 0.2,
        "metrics": {"psnr_db": 30.0},
        "pack_s": 1.0,
        "unpack_s": 1.0,
        "peak_mb": 1.0,
    }
    points = [point, point | {"codec": "avif"}, point | {"codec": "webp"}]
    path = tmp_path / "dial.json"

    def write(models: str) -> None:
        runs = [{"name": "cats", "count": 3, "pixels": 9, "points": points, "skipped": []}]
        path.write_text(json.dumps({"settings": {"seed": 0}, "models_sha256": models, "runs": runs}))

    def left(*again: str) -> list[str]:
        return [point.codec for point in dial.Results(path, {}, {"seed": 0}, again).run_of("cats", 3).points]

    write(package_models_sha256())
    assert left() == ["unicorn", "avif", "webp"]
    assert left("webp") == ["unicorn", "avif"]
    write("another")
    assert left() == ["avif", "webp"]


def test_slow_rivals_run_only_on_the_smallest_count() -> None:
    args = dial.parse_arguments(["--data", "x", "--count", "200", "1000"])
    few, many = ({codec.name for codec in dial.codecs_for(args, count)} for count in (200, 1000))
    assert many < few
    assert {"unicorn", "unicorn-effort-0", "avif", "avif-half", "avif-bare", "webp", "jpeg-xl", "latents-zstd"} <= many
    assert {"unicorn-effort-100", "avif-speed-0", "coin", "hevc-intra", "av1-film"} <= few - many
    assert few - {"coin", "mbt2018-mean", "cheng2020-anchor"} <= set(dial.SECONDS)


def test_the_number_of_settings_can_be_limited() -> None:
    shorter = ["--rates", "0.05", "0.1", "--steps", "--points", "2"]
    args = dial.parse_arguments(["--data", "x", "--count", "200", *shorter])
    settings = {codec.name: list(codec.settings) for codec in dial.codecs_for(args, 200)}
    assert settings["unicorn"] == settings["unicorn-effort-0"] == ["0.05 bpp", "0.1 bpp"]
    whole = {codec.name: list(codec.settings) for codec in rivals(ReadOptions(), 0)}
    assert settings["avif"] == [whole["avif"][0], whole["avif"][-1]]
