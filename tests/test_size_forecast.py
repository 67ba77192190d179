"""The size that is estimated against the size that comes out, and the search for a step."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import ReadOptions
from unicorn_codec.packing import size_forecast
from unicorn_codec.packing.candidates import CandidateChooser, Ways
from unicorn_codec.packing.folder_encoder import FolderEncoder, PicturesAsAvif, SequencedPictures
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.size_forecast import NEAR, SizeCurve, take_size_sample
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

STEPS = (9.0, 1.5, 24.0, 4.0, 6.0)


@pytest.fixture(scope="module")
def encoder(autoencoder: PackagedAutoencoder, tmp_path_factory: pytest.TempPathFactory) -> FolderEncoder:
    folder = tmp_path_factory.mktemp("photographs")
    make_demo_pictures(folder / "small", count=5, size=96)
    make_demo_pictures(folder / "other", count=2, size=128)
    options = ReadOptions()
    return new_encoder(
        PictureSource(list_folder(folder, options), options),
        autoencoder,
        load_context_model(),
    )


def test_a_sample_of_all_pictures_estimates_their_size(encoder: FolderEncoder) -> None:
    seen: list[tuple[int, int]] = []
    sample = take_size_sample(encoder, lambda done, count: seen.append((done, count)))
    assert seen[-1] == (len(encoder.pictures),) * 2
    assert sample.share == 1
    for step in STEPS:  # in no order: what is known of one step must not mislead at another
        found = encoder.file_bytes(encoder.encode(step, lambda *_: None))
        assert sample.file_bytes(step) == pytest.approx(found, rel=0.01), step


class OneSequence:
    """The first picture, coded otherwise: its code has the more bytes the finer the step, however fine."""

    positions = frozenset({0})

    def bytes_at(self, step: float) -> float:
        return 1e9  # a guess, which nothing is to rely on where the code is at hand

    def codes_at(self, step: float) -> Iterator[dict[int, bytes]]:
        yield {0: bytes(int(500 / step))}


def keep_in(seen: list[tuple[int, int]]) -> Callable[[int, int], None]:
    return lambda done, count: seen.append((done, count))


@pytest.mark.parametrize("sequences", [PicturesAsAvif(), OneSequence()])
def test_the_size_of_plain_codes_is_known_without_writing_them(
    encoder: FolderEncoder, sequences: SequencedPictures
) -> None:
    mixed = encoder.with_sequences(sequences)
    for step in (0.25, *STEPS):
        seen: list[tuple[int, int]] = []
        estimated = mixed.estimate_file_bytes(step, keep_in(seen))
        assert estimated == pytest.approx(mixed.file_bytes(mixed.encode(step, lambda *_: None)), rel=0.01), step
        assert seen == sorted(set(seen))
        assert seen[-1] == (encoder.pictures.pixels,) * 2


def test_refinement_makes_codes_of_a_sample_neither_vanish_nor_explode(encoder: FolderEncoder) -> None:
    sample = take_size_sample(encoder, lambda *_: None)
    growth = sample.growth_by_refinement(4.0, 2, lambda *_: None)
    refined = encoder.encode(4.0, lambda *_: None, rounds=2)
    plain = encoder.encode(4.0, lambda *_: None)
    lengths = [sum(map(len, codes.streams)) for codes in (refined, plain)]
    assert growth == pytest.approx(lengths[0] / lengths[1], rel=0.01)


def test_a_size_of_which_no_picture_is_refined_does_no_harm(
    encoder: FolderEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size_forecast, "REFINED_PICTURES", 1)
    seen: list[tuple[int, int]] = []
    growth = take_size_sample(encoder, lambda *_: None).growth_by_refinement(4.0, 1, lambda *done: seen.append(done))
    assert growth == pytest.approx(1, abs=0.3)
    assert seen[-1] in ((96**2,) * 2, (128**2,) * 2)


@pytest.mark.slow
def test_pictures_beyond_the_window_are_judged_by_their_middle(
    autoencoder: PackagedAutoencoder, tmp_path: Path
) -> None:
    make_demo_pictures(tmp_path, count=2, size=560)
    options = ReadOptions()
    encoder = new_encoder(
        PictureSource(list_folder(tmp_path, options), options),
        autoencoder,
        load_context_model(),
    )
    sample = take_size_sample(encoder, lambda *_: None)
    for step in (1.6, 4.0, 16.0):  # which way is cheaper is a toss-up in between
        found = encoder.file_bytes(encoder.encode(step, lambda *_: None))
        assert sample.file_bytes(step) == pytest.approx(found, rel=0.25), step


@pytest.mark.parametrize("wanted", [10.0, 400.0, 1000.0, 4000.0, 90_000.0])
def test_the_search_comes_near_with_few_questions(wanted: float) -> None:
    asked: list[float] = []

    def measure(step: float) -> float:
        asked.append(step)
        return 300 + 5000 / step**1.2 * (0.8 if step > 5 else 1)  # pictures that change to half size: a jump

    seen: list[tuple[int, int]] = []
    curve = SizeCurve(measure, 1.0, 24.0, lambda done, total: seen.append((done, total)))
    step = curve.step_of(wanted)
    assert all(done < total for done, total in seen[:-1])
    assert not seen or seen[-1][0] == seen[-1][1]
    assert len(asked) == len(set(asked)) <= 8
    least, most = measure(24.0), measure(1.0)
    jumps = measure(5.0001) < wanted < measure(4.9999)
    assert jumps or measure(step) == pytest.approx(min(max(wanted, least), most), rel=NEAR)


def test_a_second_search_knows_which_pictures_cost_less_at_half_size(
    encoder: FolderEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = replace(encoder, chooser=replace(encoder.chooser, ways_of_middles=Ways()))
    sizes = [take_size_sample(fresh, lambda *_: None).file_bytes(step) for step in STEPS]
    assert fresh.chooser.ways_of_middles.at(range(len(fresh.pictures)), STEPS[0])[1].all()

    def refuse(*_: object) -> None:
        raise AssertionError("this was measured before")

    monkeypatch.setattr(CandidateChooser, "costs", refuse)
    again = take_size_sample(fresh, lambda *_: None)
    assert [again.file_bytes(step) for step in STEPS] == pytest.approx(sizes)
