"""Codecs of a benchmark: they write files, from which alone the pictures are decoded."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import draw
from unicorn_codec.bench.network_rivals import Coin, CompressAi, RoundedLatents, network_rivals
from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.rivals import Avif, BareAvif, BareHalfAvif, Codec, HalfAvif, SlowAvif, picture_rivals
from unicorn_codec.bench.trial import folder_bytes, read_decoded, run_trial
from unicorn_codec.bench.video_rivals import (
    HEVC,
    SortedVideo,
    ffmpeg_with,
    read_order,
    sort_by_similarity,
    video_rivals,
    write_order,
)
from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.av1_stream import read_still
from unicorn_codec.pictures.avif_container import take_still, wrap_still
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_writing import write_picture

READ = ReadOptions()
VIDEO_SIZE = (52, 44)
GOOD_DB = 24.0


def run(codec: Codec, pictures: PictureSet, files: Path, setting: str) -> list[np.ndarray]:
    reason = codec.missing(pictures.sizes)
    if reason:
        pytest.skip(reason)
    files.mkdir()
    codec.encode(pictures, setting, files)
    return list(codec.decode(files, pictures.sizes))


@pytest.fixture(scope="module")
def pictures(folder: Path) -> PictureSet:
    return PictureSet.open(folder, READ)


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> PictureSet:
    """Pictures of one size, none a multiple of 8."""
    root = tmp_path_factory.mktemp("alike")
    for number in range(5):
        write_picture(draw(number % 2, *VIDEO_SIZE), root / f"{number}.png")
    return PictureSet.open(root, READ)


@pytest.mark.parametrize("codec", picture_rivals(READ), ids=lambda codec: codec.name)
def test_every_picture_is_decoded_with_its_size_and_position(
    codec: Codec, pictures: PictureSet, tmp_path: Path
) -> None:
    best = list(codec.settings)[-1]
    for setting in {next(iter(codec.settings)), best}:
        decoded = run(codec, pictures, tmp_path / setting, setting)
        assert [(p.shape[1], p.shape[0]) for p in decoded] == pictures.sizes
        if setting == best:
            assert min(psnr_db(a, b) for a, b in zip(pictures, decoded, strict=True)) > GOOD_DB


@pytest.mark.parametrize("codec", picture_rivals(READ), ids=lambda codec: codec.name)
def test_settings_are_ordered_by_file_size(codec: Codec, alike: PictureSet, tmp_path: Path) -> None:
    sizes = []
    for setting in list(codec.settings)[::2]:
        run(codec, alike, tmp_path / setting, setting)
        sizes.append(folder_bytes(tmp_path / setting))
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("codec", video_rivals(), ids=lambda codec: codec.name)
def test_a_video_restores_the_order_of_the_pictures(codec: Codec, alike: PictureSet, tmp_path: Path) -> None:
    decoded = run(codec, alike, tmp_path / "film", list(codec.settings)[-1])
    assert min(psnr_db(a, b) for a, b in zip(alike, decoded, strict=True)) > GOOD_DB


def test_a_video_needs_pictures_of_one_size(pictures: PictureSet) -> None:
    assert all("one size" in str(codec.missing(pictures.sizes)) for codec in video_rivals())


def test_a_missing_encoder_is_named() -> None:
    codec = SortedVideo(name="x", title="X", encoder=replace(HEVC, library="libnobody"), all_intra=True)
    assert "libnobody" in str(codec.missing([(8, 8)]))
    assert ffmpeg_with("an encoder that nobody wrote") is None


@pytest.mark.parametrize("size", [(64, 40), (33, 70), (1, 1), (300, 5)])
def test_avif_without_its_container_is_the_same_picture(size: tuple[int, int]) -> None:
    avif, pixels = Avif(), draw(3, *size)
    if reason := avif.missing([size]):
        pytest.skip(reason)
    whole = avif.encode_picture(pixels, 60)
    payload = take_still(whole)
    assert (read_still(payload).width, read_still(payload).height) == size
    assert len(payload) < len(whole) - 200
    assert payload == BareAvif().encode_picture(pixels, 60)
    assert np.array_equal(avif.decode_picture(wrap_still(payload), size), avif.decode_picture(whole, size))


def test_half_size_files_hold_half_the_size() -> None:
    half = HalfAvif()
    if reason := half.missing([]):
        pytest.skip(reason)
    picture = read_still(take_still(half.encode_picture(draw(1, 51, 40), 60)))
    assert (picture.width, picture.height) == (26, 20)


def test_half_size_without_its_container_is_the_same_picture() -> None:
    half, bare, pixels = HalfAvif(), BareHalfAvif(), draw(2, 51, 40)
    if reason := half.missing([]):
        pytest.skip(reason)
    whole, payload = half.encode_picture(pixels, 40), bare.encode_picture(pixels, 40)
    assert payload == take_still(whole)
    assert np.array_equal(half.decode_picture(whole, (51, 40)), bare.decode_picture(payload, (51, 40)))


def test_avif_at_speed_0_is_a_codec_of_its_own() -> None:
    assert (SlowAvif().name, SlowAvif.parameters["speed"]) == ("avif-speed-0", 0)
    assert SlowAvif.settings == Avif.settings


@pytest.mark.parametrize("count", [1, 2, 5, 256, 257])
def test_round_trip_of_an_order(count: int, tmp_path: Path) -> None:
    order = np.random.default_rng(count).permutation(count).tolist()
    write_order(tmp_path / "order", order)
    assert read_order(tmp_path / "order", count).tolist() == order
    assert (tmp_path / "order").stat().st_size == -(-count * max(1, (count - 1).bit_length()) // 8)


def test_the_chain_continues_with_the_nearest_picture() -> None:
    values = np.array([[0.0], [9.0], [1.0], [8.0], [2.5]], np.float32)
    assert sort_by_similarity(values) == [0, 2, 4, 3, 1]


def test_a_trial_counts_the_files_on_disk(alike: PictureSet, tmp_path: Path) -> None:
    codec = picture_rivals(READ)[0]
    setting = list(codec.settings)[-1]
    cost = run_trial(codec, setting, alike, tmp_path / "files", tmp_path / "decoded")
    assert cost.bytes == sum(path.stat().st_size for path in (tmp_path / "files").iterdir()) > 0
    assert cost.pack_s > 0
    assert cost.unpack_s > 0
    assert 5 < cost.peak_mb < 1000
    assert psnr_db(alike[2], read_decoded(tmp_path / "decoded", 2)) > GOOD_DB


def test_the_process_of_a_rival_imports_no_torch() -> None:
    program = "import sys, unicorn_codec.bench.trial, unicorn_codec.bench.video_rivals; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_sample_is_drawn_by_the_seed(pictures: PictureSet, tmp_path: Path) -> None:
    def names(seed: int, name: str) -> list[str]:
        chosen = pictures.copy_sample(tmp_path / name, 3, seed)
        assert chosen.path(0).read_bytes() == (pictures.folder.root / chosen.folder.pictures[0].name).read_bytes()
        return [picture.name for picture in chosen.folder.pictures]

    assert names(1, "a") == names(1, "b")
    assert len({tuple(names(seed, str(seed))) for seed in range(8)}) > 1


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    reasons = {codec.name: codec.missing([(8, 8)]) for codec in picture_rivals(READ)}
    assert "imagecodecs" in str(reasons["jpeg-xl"])
    assert reasons["jpeg"] is None


def test_rounded_latents_are_decoded_from_their_file_alone(pictures: PictureSet, tmp_path: Path) -> None:
    codec, found = RoundedLatents(), {}
    names = list(codec.settings)
    for setting in (names[0], names[-1]):
        decoded = run(codec, pictures, tmp_path / setting, setting)
        assert [(p.shape[1], p.shape[0]) for p in decoded] == pictures.sizes
        quality = np.mean([psnr_db(a, b) for a, b in zip(pictures, decoded, strict=True)])
        found[setting] = (folder_bytes(tmp_path / setting), quality)
    assert found[names[0]][0] < found[names[-1]][0]
    assert found[names[0]][1] < found[names[-1]][1]
    assert found[names[-1]][1] > GOOD_DB


def test_coin_learns_a_picture_and_stores_two_bytes_per_weight() -> None:
    pixels = draw(4, 40, 32)
    short, long = (Coin(steps=steps) for steps in (1, 200))
    data = long.encode_picture(pixels, (8, 2))
    assert len(data) == 2 + 2 * (2 * 8 + 8 + 8 * 8 + 8 + 8 * 3 + 3)
    assert data == long.encode_picture(pixels, (8, 2))
    learned = psnr_db(pixels, long.decode_picture(data, (40, 32)))
    assert learned > psnr_db(pixels, short.decode_picture(short.encode_picture(pixels, (8, 2)), (40, 32))) + 3
    assert long.note == "200 training steps a picture"


def test_compressai_without_weights_is_skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    codec = next(codec for codec in network_rivals(0) if isinstance(codec, CompressAi))
    assert "compressai is not installed" in str(codec.missing([(8, 8)]))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mbt2018-mean-1-e522738d.pth.tar").touch()
    assert "no weights mbt2018-mean of quality 2" in str(codec.missing([(8, 8)]))


def test_a_limited_number_of_settings_is_evenly_spaced() -> None:
    codec = HalfAvif()
    assert list(codec.thinned(3).settings) == [list(codec.settings)[place] for place in (0, 4, 9)]
    assert list(codec.thinned(99).settings) == list(codec.settings)
    assert list(codec.thinned(1).settings) == list(codec.settings)[:1]
    assert list(RoundedLatents().thinned(2).settings) == ["coarseness 1", "coarseness 0"]


def test_a_limited_number_of_pictures_is_evenly_spaced(pictures: PictureSet) -> None:
    assert [p.name for p in pictures.evenly_spaced(3).folder.pictures] == [
        p.name for p in pictures.folder.pictures[::2]
    ]
    assert pictures.evenly_spaced(None) is pictures
    assert len(pictures.evenly_spaced(99)) == len(pictures)
