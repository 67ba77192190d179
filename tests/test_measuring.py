"""``pack --measure``: all pictures, a sample that the seed draws, or none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from unicorn_cli.main import cli
from unicorn_codec import measurement
from unicorn_codec.config import CodesOptions
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.inspection import describe

QUICK = ("--effort", "0", "--learn", "off", "--device", "cpu", "--no-sequences")


@pytest.fixture(autouse=True)
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "SAMPLE_PICTURES", 2)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def stored_psnrs(path: Path) -> list[float | None]:
    return [entry["psnr_db"] for entry in describe(path, entries=True)["entries"]]


def test_a_sample_is_of_the_lowest_indices(folder: Path, tmp_path: Path) -> None:
    text = run("pack", folder, tmp_path / "sample.uni", "--measure", "sample", *QUICK)
    assert "measured: the 2 of 6 pictures with the lowest indices" in text
    values = json.loads(run("pack", folder, tmp_path / "again.uni", "--measure", "sample", "--json", *QUICK))
    assert values["measured_pictures"] == 2
    assert sorted(row["index"] for row in values["worst"]) == [0, 1]
    assert (tmp_path / "sample.uni").read_bytes() == (tmp_path / "again.uni").read_bytes()
    run("pack", folder, tmp_path / "all.uni", *QUICK)
    sample, every = stored_psnrs(tmp_path / "sample.uni"), stored_psnrs(tmp_path / "all.uni")
    assert sample == [*every[:2], None, None, None, None] and None not in every


def test_nothing_is_measured_where_that_is_wished(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.uni"
    assert "not measured" in run("pack", folder, path, "--measure", "none", *QUICK)
    assert stored_psnrs(path) == [None] * 6
    values = json.loads(run("pack", folder, path, "--overwrite", "--measure", "none", "--json", *QUICK))
    assert (values["measured_pictures"], values["psnr_db"], values["worst"]) == (0, None, [])
    assert "6 pictures" in run("verify", path, "--against", folder, "--device", "cpu")


def test_a_small_folder_is_measured_whole(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "SAMPLE_PICTURES", 6)
    values = json.loads(run("pack", folder, tmp_path / "a.uni", "--measure", "sample", "--json", *QUICK))
    assert values["measured_pictures"] == 6


@pytest.mark.parametrize("measure", ["none", "sample"])
def test_a_quality_floor_needs_all_pictures(measure: str) -> None:
    with pytest.raises(InvalidSetting, match="quality floor"):
        CodesOptions(measure=measure, min_psnr_db=30)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="none, sample, all"):
        CodesOptions(measure="some")
