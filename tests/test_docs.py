"""The README leads to every page; results stay small and say which model made them."""

import json
import re
import runpy
from pathlib import Path

import torch

from unicorn_codec.transform.autoencoder import load_autoencoder

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MOST_PICTURE_BYTES = 200_000
PICTURES = (".png", ".jpg", ".svg")


def links_of(page: Path) -> list[str]:
    """Relative links of a Markdown page, without anchors."""
    return [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]


def result_names() -> set[str]:
    """Files of ``benchmarks/results``, and its folders as one name each."""
    return {path.name + "/" * path.is_dir() for path in RESULTS.iterdir() if path.name != "README.md"}


def test_the_readme_leads_to_every_page() -> None:
    linked = {(ROOT / link).resolve() for link in links_of(ROOT / "README.md")}
    assert set((ROOT / "docs").glob("*.md")) <= linked


def test_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = (ROOT / "docs" / "layers.svg").read_text(encoding="utf-8")
    for folder in (path.parent.name for path in (ROOT / "unicorn_codec").glob("*/__init__.py")):
        assert f"| `{folder}` |" in page, f"docs/architecture.md has no row for {folder}"
        assert f">{folder}<" in picture, f"docs/layers.svg has no box for {folder}"


def test_the_picture_of_the_layers_is_the_drawn_one() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "make_layers.py"))["draw"]()
    assert (ROOT / "docs" / "layers.svg").read_text(encoding="utf-8") == drawn


def test_pictures_of_results_are_small() -> None:
    pictures = [path for path in RESULTS.rglob("*") if path.suffix in PICTURES]
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > MOST_PICTURE_BYTES] == []


def test_every_result_says_which_model_and_version_made_it() -> None:
    rows = {}
    for row in re.findall(r"^\| \[.*", (RESULTS / "README.md").read_text(encoding="utf-8"), re.MULTILINE):
        name, *cells = [cell.strip() for cell in row.strip("| ").split("|")]
        rows[re.match(r"\[([^\]]+)\]", name)[1]] = cells  # type: ignore[index]
    assert set(rows) == result_names()
    for name, cells in rows.items():
        assert re.search(r"\d+\.\d+\.\d+", cells[-1]), f"{name}: no version"
        assert re.search(r"`[a-z]+-\d+`|no model", cells[-1]), f"{name}: no model"


def test_figures_of_the_benchmarks_autoencoder_are_of_the_one_that_is_here() -> None:
    autoencoder = load_autoencoder(str(ROOT / "benchmarks" / "kl-8x4"), torch.device("cpu"))
    measured = json.loads((RESULTS / "overfit-kl.json").read_text())["settings"]
    assert autoencoder.reference.weights_sha256.hex() == measured["weights_sha256"]
