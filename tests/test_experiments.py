"""The experiments compare at equal bytes, resume finished work, and report what was measured."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.experiments.pictures import write_pictures
from benchmarks.experiments.questions import SIZES, Work, questions
from benchmarks.experiments.report import NAME, bytes_at, write_report
from benchmarks.experiments.results import Results, Row
from benchmarks.experiments.running import network_of
from tests.sample_network import HEADER
from unicorn_codec.format.header import AutoencoderReference
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.network.planning import shape_network
from unicorn_codec.weights.weight_section import count_parameters

assert isinstance(HEADER.autoencoder, AutoencoderReference)
REFERENCE = replace(HEADER.autoencoder, latent_channels=16, downsampling=16)
CIRCUMSTANCES = {"size": "small", "data": ["cats"], "seconds": 3.0, "device": "cpu", "pictures": 24}


@pytest.mark.parametrize("name", SIZES)
def test_networks_of_one_question_have_equal_bytes(name: str) -> None:
    size = SIZES[name]
    usual = count_parameters(shape_network(size.hidden_size, size.depth, 16), 16, size.pictures)
    for number in (1, 2):
        for work in questions(size)[number].works.values():
            found = count_parameters(network_of(work, size, REFERENCE), 16, work.pictures)
            assert found == pytest.approx(usual * work.pictures / size.pictures, rel=0.03), work


def test_twice_the_pictures_get_twice_the_bytes() -> None:
    size = SIZES["small"]
    half, whole = (network_of(Work(pictures=m, weight_bits=14), size, REFERENCE) for m in (250, 500))
    assert count_parameters(whole, 16, 500) == pytest.approx(2 * count_parameters(half, 16, 250), rel=0.05)


def test_similar_pictures_get_neighbouring_indices(tmp_path: Path) -> None:
    shades = np.random.default_rng(0).permutation(12) * 20
    sources = []
    for number, shade in enumerate(shades.tolist()):
        sources.append(tmp_path / f"{number}.png")
        Image.new("RGB", (10, 8), (shade, shade, shade)).save(sources[-1])
    sources.sort(key=lambda path: np.asarray(Image.open(path)).max())  # the chain starts at the darkest one
    write_pictures(sources, tmp_path / "out", side=4, seed=5, similar=True)
    written = sorted((tmp_path / "out").iterdir())
    by_index = dict(zip(index_of_position(5, 12).tolist(), written, strict=True))
    assert [int(np.asarray(Image.open(by_index[i])).max()) for i in range(12)] == list(range(0, 240, 20))


def make_row(question: int, variant: str, seed: int, work: Work, psnr_db: float, file_bytes: int = 1000) -> Row:
    return {
        "question": question,
        "variant": variant,
        "seed": seed,
        "circumstances": CIRCUMSTANCES,
        "work": asdict(work),
        "again": False,
        "command": "--question all",
        "psnr_db": psnr_db,
        "latent_psnr_db": 12.0,
        "ms_ssim": 0.9,
        "file_bytes": file_bytes,
        "bits_per_pixel": 1.0,
        "ceiling_db": 30.0,
        "hidden_size": 48,
        "depth": 3,
        "steps": 1,
        "sampling_ms": 0.5,
        "torch": "2",
    }


def test_finished_measurements_are_not_repeated(tmp_path: Path) -> None:
    work = questions(SIZES["small"])[1].works["cag"]
    Results(tmp_path / "r.json").add(make_row(1, "cag", 0, work, 25.0))
    results = Results(tmp_path / "r.json")
    assert results.has(1, "cag", 0, CIRCUMSTANCES)
    assert not results.has(1, "cag", 1, CIRCUMSTANCES)
    assert not results.has(1, "cag", 0, CIRCUMSTANCES | {"seconds": 4.0})
    shared = results.same_work(asdict(work), 0, CIRCUMSTANCES)
    assert shared is not None and shared["psnr_db"] == 25.0 and "variant" not in shared
    assert results.same_work(asdict(replace(work, condition="ca")), 0, CIRCUMSTANCES) is None


@pytest.mark.parametrize(
    ("psnr_db", "expected"),
    [
        ({"cag": (26, 26.1), "ca": (25, 25.2)}, "26.05 ± 0.07 dB with it, and 25.10 ± 0.14 dB with ca: it holds."),
        ({"cag": (25, 25.2), "ca": (26, 26.1)}, "26.05 ± 0.07 dB with ca: it does not hold here."),
        ({"cag": (25, 26), "ca": (25.9, 25.2)}, "it cannot be distinguished from the best here."),
    ],
)
def test_the_report_states_what_was_measured(
    tmp_path: Path, psnr_db: dict[str, tuple[float, float]], expected: str
) -> None:
    pytest.importorskip("matplotlib")
    results = Results(tmp_path / "experiments.json")
    for variant, values in psnr_db.items():
        for seed, value in enumerate(values):
            results.add(make_row(1, variant, seed, Work(pictures=24, condition=variant, weight_bits=14), value))
    (tmp_path / NAME).write_text("By hand.\n")
    for _ in range(2):  # rewriting replaces only its own part
        write_report(tmp_path)
    text = (tmp_path / NAME).read_text()
    assert text.startswith("By hand.\n") and text.count("### 1. Conditioning at equal bytes") == 1
    assert expected in text
    assert (tmp_path / "experiment-1-small-cats.png").stat().st_size > 1000


def test_bytes_at_equal_quality_lie_between_the_measured_ones(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert bytes_at([(100, 20), (400, 24)], 22) == pytest.approx(200)
    results = Results(tmp_path / "experiments.json")
    for pictures, scale in ((12, 1.0), (24, 0.5)):
        for relative, psnr_db in ((0.4, 20.0), (0.7, 22.0), (1.0, 24.0)):
            work = Work(pictures=pictures, relative_size=relative, weight_bits=14)
            size = round(1000 * relative * scale * pictures)
            results.add(make_row(5, f"M = {pictures}, size {relative:g}", 0, work, psnr_db, size))
    write_report(tmp_path)
    assert "At 22.00 dB" in (tmp_path / NAME).read_text()
    assert "-50 % from the fewest to the most: it holds here." in (tmp_path / NAME).read_text()
