"""The experiments compare at equal bytes, resume finished work, and report what was measured."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.experiments import running
from benchmarks.experiments.pictures import write_pictures
from benchmarks.experiments.questions import ADAM, SIZES, TRAININGS, UNIFORM, Work, questions
from benchmarks.experiments.report import NAME, bytes_at, write_report
from benchmarks.experiments.results import Results, Row
from benchmarks.experiments.running import network_of
from tests.sample_network import HEADER
from unicorn_codec.format.header import AutoencoderReference
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.model_registry import default_name
from unicorn_codec.network.planning import shape_network
from unicorn_codec.weights.weight_section import count_parameters

assert isinstance(HEADER.autoencoder, AutoencoderReference)
REFERENCE = replace(HEADER.autoencoder, latent_channels=16, downsampling=16)
CIRCUMSTANCES = {
    "size": "small",
    "data": ["cats"],
    "epochs": 20,
    "most_epochs": 80,
    "autoencoder": "photo-1",
    "device": "cpu",
    "pictures": 24,
}


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
        "epochs": 80,
        "flat": True,
        "last_gain_db": 0.05,
        "torch": "2",
    }


def test_finished_measurements_are_not_repeated(tmp_path: Path) -> None:
    work = questions(SIZES["small"])[1].works["cag"]
    Results(tmp_path / "r.json").add(make_row(1, "cag", 0, work, 25.0))
    results = Results(tmp_path / "r.json")
    assert results.has(1, "cag", 0, CIRCUMSTANCES)
    assert not results.has(1, "cag", 1, CIRCUMSTANCES)
    assert not results.has(1, "cag", 0, CIRCUMSTANCES | {"epochs": 40})
    shared = results.same_work(asdict(work), 0, CIRCUMSTANCES)
    assert shared is not None and shared["psnr_db"] == 25.0 and "variant" not in shared
    assert results.same_work(asdict(replace(work, condition="ca")), 0, CIRCUMSTANCES) is None


@pytest.mark.parametrize(
    ("psnr_db", "expected"),
    [
        ({"cag": (26, 26.1), "ca": (25, 25.2)}, "cag against ca: 26.05 ± 0.07 and 25.10 ± 0.14 dB, better."),
        ({"cag": (25, 25.2), "ca": (26, 26.1)}, "cag against ca: 25.10 ± 0.14 and 26.05 ± 0.07 dB, worse."),
        ({"cag": (25, 26), "ca": (25.9, 25.2)}, "dB, not to be told apart."),
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


def test_verdicts_compare_variants_that_differ_in_one_thing() -> None:
    for question in questions(SIZES["middle"]).values():
        for one, other in question.pairs:
            first, second = asdict(question.works[one]), asdict(question.works[other])
            changed = {name for name in first if first[name] != second[name]}
            if changed == {"training"}:
                settings = [TRAININGS[str(work["training"])] for work in (first, second)]
                optimizers, timesteps = (
                    {str({k: s[k] for k in names if k in s}) for s in settings} for names in (ADAM, UNIFORM)
                )
                assert (len(optimizers) > 1) != (len(timesteps) > 1), (one, other)
            assert len(changed) == 1, (one, other)


@pytest.mark.parametrize(
    ("reached", "epochs", "flat"),
    [((20.0, 22.0, 22.05), 40, True), ((20.0, 21.0, 22.0, 23.0), 80, False), ((20.0, 19.0), 20, True)],
)
def test_trainings_are_doubled_until_they_gain_no_more(
    reached: tuple[float, ...], epochs: int, flat: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From 10 epochs to 80 at most."""
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    results, trained = iter(reached), []
    monkeypatch.setattr(running, "pack", lambda folder, output, options: trained.append(options.train.epochs))
    monkeypatch.setattr(running, "measure_archive", lambda *arguments: {"psnr_db": next(results)})
    monkeypatch.setattr(running, "list_folder", lambda folder, read: None)
    monkeypatch.setattr(running, "read_packed", lambda output: None)
    monkeypatch.setattr(running, "variants_of", lambda question, trained: [(None, None)])
    bench = running.Bench(
        size=SIZES["small"],
        sources=(tmp_path / "a.png",),
        epochs=10,
        most_epochs=80,
        autoencoder=default_name(),
        device="cpu",
    )
    question = questions(SIZES["small"])[1]
    ((variant, row),) = running.run_work(bench, question, Work(pictures=1, weight_bits=14), seed=0)
    assert variant is None
    assert (row["epochs"], row["flat"], row["psnr_db"]) == (epochs, flat, reached[-1])
    assert trained == [10 * 2**n for n in range(len(reached))]


def test_unfinished_trainings_leave_the_question_open(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = Results(tmp_path / "experiments.json")
    for variant in ("cag", "ca"):
        row = make_row(1, variant, 0, Work(pictures=24, condition=variant, weight_bits=14), 25.0)
        results.add(row | {"flat": variant == "ca"})
    write_report(tmp_path)
    text = (tmp_path / NAME).read_text()
    assert "1 of 2 trainings still gained at their limit" in text and "| 80+ |" in text
