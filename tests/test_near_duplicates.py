"""Nearly alike pictures: found among others, smaller and better as a sequence, and each still at hand."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import features

from tests.conftest import by_position, draw
from unicorn_codec import errors
from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.format.code_kinds import code_of_unit, is_in_sequence
from unicorn_codec.format.limits import MAX_SEQUENCE
from unicorn_codec.inspection import describe
from unicorn_codec.packing import candidates, near_duplicates, thumbnail_search
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.candidates import CandidateChooser
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.near_duplicates import NearDuplicateGroup, find_near_duplicates
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.packing.thumbnail_search import differences, group_alike, thumbnail
from unicorn_codec.pictures.avif_sequence import (
    chain_of,
    decode_chains,
    encode_sequence,
    sequence_codes,
    sequences_of,
)
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.verification import verify

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")

STILLS = 5


def still(number: int) -> Pixels:
    """One of a camera that does not move: a textured scene, some noise, and something small that moves on."""
    rng = np.random.default_rng(0)
    texture = rng.integers(-25, 25, (15, 20, 1)).repeat(6, 0).repeat(6, 1)
    scene = draw(1, 120, 90) + texture.astype(float)
    noise = np.random.default_rng(100 + number).normal(0, 1.5, scene.shape)
    scene[30:42, 10 + 15 * number : 22 + 15 * number] = (250, 240, 60)
    return (scene + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stills with two other pictures between them in the order of names, one of them of their size."""
    folder = tmp_path_factory.mktemp("camera")
    for number in range(STILLS):
        write_picture(still(number), folder / f"{'abdef'[number]}.png")
    write_picture(draw(7, 120, 90), folder / "c.png")
    write_picture(draw(8, 60, 90), folder / "cc.png")
    return folder


@pytest.fixture(scope="module")
def together(camera: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    path = tmp_path_factory.mktemp("archives") / "together.uni"
    return path, pack(camera, path, CodesOptions(effort=0, device="cpu"))


@pytest.fixture(scope="module")
def alone(camera: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    path = tmp_path_factory.mktemp("archives") / "alone.uni"
    return path, pack(camera, path, CodesOptions(effort=0, device="cpu", sequences=False))


def chooser_of(folder: Path) -> CandidateChooser:
    pictures = PictureSource(list_folder(folder, ReadOptions()), ReadOptions())
    return new_encoder(pictures, PackagedAutoencoder(torch.device("cpu")), load_context_model()).chooser


def test_alike_pictures_are_found_among_others(camera: Path) -> None:
    chooser = chooser_of(camera)
    (group,) = find_near_duplicates(chooser, 9, lambda *_: None)
    assert [chooser.pictures.folder.pictures[position].name for position in group.positions] == [
        f"{n}.png" for n in "abdef"
    ]


def test_groups_have_at_most_so_many_pictures(camera: Path) -> None:
    groups = find_near_duplicates(chooser_of(camera), 2, lambda *_: None)
    assert [len(group.positions) for group in groups] == [2, 2]


def test_a_picture_depends_on_no_more_than_wished(tmp_path: Path) -> None:
    (tmp_path / "stills").mkdir()
    for number in range(10):
        write_picture(still(number % STILLS), tmp_path / "stills" / f"{number}.png")
    longest = []
    for options in (CodesOptions(effort=0, device="cpu"), CodesOptions(effort=0, device="cpu", depends_on=3)):
        pack(tmp_path / "stills", tmp_path / "packed.uni", replace(options, overwrite=True))
        with Archive.open(tmp_path / "packed.uni") as archive:
            rows = [archive.reader.row(index) for index in range(10)]
            longest.append(max(len(archive.reader.chain(row)) - 1 for row in rows))
    assert longest == [9, 3]


def test_groups_of_large_pictures_are_short(camera: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "MOST_PIXELS", 3 * 120 * 90)
    assert [len(group.positions) for group in find_near_duplicates(chooser_of(camera), 9, lambda *_: None)] == [3, 2]
    monkeypatch.setattr(near_duplicates, "MOST_PIXELS", 120 * 90)
    assert find_near_duplicates(chooser_of(camera), 9, lambda *_: None) == []


def test_a_picture_is_compared_with_so_many_groups(camera: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnail_search, "OPEN_GROUPS", 1)
    monkeypatch.setattr(thumbnail_search, "BLOCK", 1)
    groups = find_near_duplicates(chooser_of(camera), 9, lambda *_: None)
    assert [len(group.positions) for group in groups] == [2, 3], "the picture between them closed the first one"


def test_noise_and_light_make_no_difference_but_another_scene_does() -> None:
    a = thumbnail(still(0))
    others = (still(3), (still(0) * 0.8).astype(np.uint8), draw(7, 120, 90))
    ((noisy, darker, another),) = differences(a[None], np.stack([thumbnail(other) for other in others]))
    assert noisy < 0.4 and darker < 0.4 and another > 1
    flat = thumbnail(np.full((8, 8, 3), 7, np.uint8))[None]
    assert differences(flat, flat).tolist() == [[0]]
    assert differences(flat, flat[:0]).shape == (1, 0)


def test_near_duplicates_are_found_in_any_order() -> None:
    rng = np.random.default_rng(0)
    scenes = rng.normal(0, 50, (500, 768)).astype(np.float32)
    order = rng.permutation(1000)
    noisy = (np.repeat(scenes, 2, 0) + rng.normal(0, 5, (1000, 768)).astype(np.float32))[order]
    groups = list(group_alike(iter(noisy - noisy.mean(1, keepdims=True)), 9))
    found = {tuple(sorted(np.flatnonzero(np.array(groups) == group).tolist())) for group in set(groups)}
    assert found == {tuple(sorted(np.flatnonzero(order // 2 == scene).tolist())) for scene in range(500)}


def test_a_full_group_takes_no_more_and_another_one_begins() -> None:
    one = thumbnail(still(0))
    assert list(group_alike([one] * 5, 2)) == [0, 0, 1, 1, 2]


def test_blocks_do_not_change_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    scenes = rng.normal(0, 50, (40, 768)).astype(np.float32)
    noisy = scenes[rng.integers(0, 40, 300)] + rng.normal(0, 5, (300, 768)).astype(np.float32)
    groups = []
    for block in (1, 7, 300):
        monkeypatch.setattr(thumbnail_search, "BLOCK", block)
        groups.append(list(group_alike(noisy, 5)))
    assert groups[0] == groups[1] == groups[2]


def test_a_sequence_is_smaller_and_better(together: tuple[Path, PackReport], alone: tuple[Path, PackReport]) -> None:
    assert (together[1].sequence_pictures, alone[1].sequence_pictures) == (STILLS, 0)
    assert together[1].file_bytes < 0.9 * alone[1].file_bytes
    psnrs = [{row.name: row.psnr_db for row in report.measured.rows} for _, report in (together, alone)]
    assert all(psnrs[0][f"{name}.png"] > psnrs[1][f"{name}.png"] + 1 for name in "abdef")
    others = [read_packed(path).codes.streams[2:4] for path, _ in (together, alone)]  # type: ignore[union-attr]
    assert others[0] == others[1], "others, c.png and cc.png, are coded as ever"
    assert psnrs[0]["c.png"] == pytest.approx(psnrs[1]["c.png"], abs=0.001), "and decoded, up to rounding"


def test_each_picture_comes_back_alone_as_with_the_others(together: tuple[Path, PackReport], camera: Path) -> None:
    with Archive.open(together[0], device="cpu") as archive:
        decoded = dict(archive.iterate(range(len(archive)), batch_size=2))
        for index in range(len(archive)):
            assert np.array_equal(np.asarray(archive[index]), decoded[index])
    assert verify(together[0], camera).ok


def test_pictures_of_a_sequence_are_read_together(together: tuple[Path, PackReport]) -> None:
    with Archive.open(together[0], device="cpu") as archive:
        wanted = list(reversed(range(len(archive))))
        order = [index for index, _ in archive.iterate(wanted)]
        in_sequence = {entry["index"] for entry in archive_entries(together[0]) if entry["codec"] == "avif-sequence"}
    assert sorted(order) == sorted(wanted)
    runs = [is_run for is_run, _ in itertools.groupby(index in in_sequence for index in order)]
    assert runs.count(True) == 1


def archive_entries(path: Path) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = describe(path, entries=True)["entries"]
    return entries


def test_a_wanted_size_is_reached(camera: Path, tmp_path: Path) -> None:
    # AVIF's qualities 91, 92 and 93 make files of 5.1, 5.7 and 8.0 kB of these stills: nothing between can be had.
    report = pack(camera, tmp_path / "sized.uni", CodesOptions(target=Target(Goal.SIZE, 5_800), effort=0, device="cpu"))
    assert report.sequence_pictures == STILLS
    assert 0.95 * 5_800 < report.file_bytes < 1.03 * 5_800


@pytest.mark.parametrize("alone_only", [False, True])
def test_a_high_quality_is_had_by_avif_alone_or_together(camera: Path, tmp_path: Path, alone_only: bool) -> None:
    options = CodesOptions(target=Target(Goal.QUALITY, 75), sequences=not alone_only, device="cpu")
    report = pack(camera, tmp_path / "high.uni", options)
    assert (report.sequence_pictures, report.avif_pictures) == ((0, STILLS + 2) if alone_only else (STILLS, 2))
    assert report.measured.psnr_db.min > 34


def test_a_least_quality_leaves_no_broken_sequence(camera: Path, tmp_path: Path) -> None:
    report = pack(
        camera,
        tmp_path / "held.uni",
        CodesOptions(target=Target(Goal.STEP, 8.0), min_psnr_db=33, effort=0, device="cpu"),
    )
    assert report.measured.psnr_db.min >= 33
    container = read_packed(tmp_path / "held.uni")
    assert container.codes is not None
    sequences_of(container.codes.streams)


def test_what_costs_more_as_a_sequence_stays_alone(camera: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group,) = find_near_duplicates(chooser_of(camera), 9, lambda *_: None)
    monkeypatch.setattr(NearDuplicateGroup, "_measure", lambda *_: (1e9, 1e9))
    assert not group.pays_at(2.0)
    assert not group.beats_avif(60)


def test_groups_without_hope_are_encoded_once(camera: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    def counted(pictures: list[Pixels], quality: int) -> tuple[list[bytes], list[Pixels]]:
        encoded.append(quality)
        return encode_sequence(pictures, quality)

    monkeypatch.setattr(near_duplicates, "encode_sequence", counted)
    (group,) = find_near_duplicates(chooser_of(camera), 9, lambda *_: None)
    monkeypatch.setattr(near_duplicates, "HOPELESS", 0.0)
    assert not group.pays_at(2.0)
    assert len(encoded) == 1
    monkeypatch.undo()
    assert group.pays_at(2.0), "the same group, with hope"


def test_finer_steps_give_better_and_larger_sequences(camera: Path) -> None:
    (group,) = find_near_duplicates(chooser_of(camera), 9, lambda *_: None)
    qualities = [group.quality_at(step) for step in (8.0, 4.0, 2.0, 1.0)]
    sizes = [group.bytes_at(step) for step in (8.0, 4.0, 2.0, 1.0)]
    assert qualities == sorted(qualities) and sizes == sorted(sizes) and qualities[0] < qualities[-1]
    real = sum(map(len, group.codes(round(qualities[2])).values()))
    assert 0.85 * real < sizes[2] < 1.15 * real


def test_large_pictures_are_judged_by_their_middles(camera: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "WINDOW", 64)
    (group,) = find_near_duplicates(chooser_of(camera), 9, lambda *_: None)
    assert group.pays_at(2.0)
    real = sum(map(len, group.codes(round(group.quality_at(2.0))).values()))
    assert 0.4 * real < group.bytes_at(2.0) < 2.5 * real


@pytest.fixture(scope="module")
def units() -> list[bytes]:
    return encode_sequence([still(number) for number in range(STILLS)], 40)[0]


def test_codes_name_the_picture_that_they_go_on_from(units: list[bytes]) -> None:
    positions = [3, 4, 130, 131, 20_000]
    codes = sequence_codes(units, positions)
    streams = [codes.get(position, b"\0") for position in range(20_001)]
    assert sequences_of(streams) == [positions]
    assert chain_of(streams.__getitem__, 131) == positions[:4]
    assert [position for position, code in enumerate(streams) if is_in_sequence(code)] == positions
    decoded = decode_chains([positions[:4], positions[:1]], streams.__getitem__, 120, 90)
    assert set(decoded) == {3, 131}
    assert psnr_db(still(0), decoded[3]) > 28 and psnr_db(still(3), decoded[131]) > 28


def test_two_may_go_on_from_the_same_one(units: list[bytes]) -> None:
    streams = list(sequence_codes(units, range(STILLS)).values())
    streams[2] = streams[1]
    chains = [chain_of(streams.__getitem__, index) for index in (1, 2)]
    assert chains == [[0, 1], [0, 2]]
    decoded = decode_chains(chains, streams.__getitem__, 120, 90)
    assert np.array_equal(decoded[1], decoded[2])


def test_a_sequence_of_too_many_is_refused(units: list[bytes]) -> None:
    streams = list(sequence_codes(units, range(STILLS)).values())
    streams += [code_of_unit(b"unit", n - 1) for n in range(len(streams), MAX_SEQUENCE + 1)]
    with pytest.raises(errors.InvalidField, match="more than 64"):
        chain_of(streams.__getitem__, MAX_SEQUENCE)
    assert len(chain_of(streams.__getitem__, MAX_SEQUENCE - 1)) == MAX_SEQUENCE


def test_a_sequence_without_one_of_its_pictures_is_refused(together: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(together[0])
    assert container.codes is not None
    streams = list(container.codes.streams)
    (sequence,) = sequences_of(streams)
    streams[sequence[1]] = b"\0"
    broken = replace(container, codes=replace(container.codes, streams=tuple(streams)))
    write_packed(tmp_path / "broken.uni", broken)
    archive = Archive.open(tmp_path / "broken.uni", device="cpu")
    indices = by_position(archive)
    with pytest.raises(errors.InvalidField, match="not part of a sequence"):
        archive[indices[sequence[-1]]]
    assert archive[indices[sequence[0]]].size == (120, 90), "those before it are whole"


def test_a_damaged_unit_is_an_invalid_field_or_a_picture(units: list[bytes]) -> None:
    refused = 0
    for place in range(0, len(units[1]), 7):
        damaged = [units[0], units[1][:place] + bytes([units[1][place] ^ 0x55]) + units[1][place + 1 :]]
        try:
            codes = sequence_codes(damaged, [0, 1])
            decoded = decode_chains([[0, 1]], codes.__getitem__, 120, 90)
            assert decoded[1].shape == (90, 120, 3)
        except errors.InvalidField:
            refused += 1
    assert refused
