"""Where unpacked files go: one file or a folder."""

from pathlib import Path

import pytest

from unicorn_cli.output_paths import names_one_file


@pytest.mark.parametrize(
    ("output", "is_file"), [("a.png", True), ("a/b.png", True), ("a", False), ("a.png/", False), (".", False)]
)
def test_outputs_that_mean_a_file(output: str, is_file: bool) -> None:
    assert names_one_file(output) == is_file


def test_an_existing_folder_is_no_file_whatever_its_suffix(tmp_path: Path) -> None:
    assert names_one_file(f"{tmp_path}/a.png")
    (tmp_path / "a.png").mkdir()
    assert not names_one_file(f"{tmp_path}/a.png")
