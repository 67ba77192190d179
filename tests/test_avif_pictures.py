"""Pictures that AVIF codes better than latents: print is found among photographs, and stays legible."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont, features

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.format.code_kinds import AVIF, unmark_gray
from unicorn_codec.packing.archive_writing import read_packed
from unicorn_codec.packing.avif_pictures import AvifPictures, judge_avif, matching_quality
from unicorn_codec.packing.candidates import FINEST_WITH_HALVES, CandidateChooser, Ways, windows_of
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.packed import Codes
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.avif import encode_avif, has_libaom, thorough
from unicorn_codec.pictures.demo_pictures import draw, random_scene
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.distortion import distortion, judged_distortion

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")

OPTIONS = CodesOptions(device="cpu", effort=0, sequences=False, learning=None, target=Target(Goal.QUALITY, 50))
PRINTED = ("p0.png", "p1.png")
FAST = thorough(0, print_only=True)


def printed(number: int, width: int = 160, height: int = 128) -> Pixels:
    """A page of small digits."""
    page = Image.new("RGB", (width, height), (248, 248, 244))
    rng = np.random.default_rng(number)
    for line in range(height // 12):
        text = " ".join(f"{value:05d}" for value in rng.integers(0, 100_000, width // 32))
        ImageDraw.Draw(page).text((4, 2 + 12 * line), text, (20, 20, 24), ImageFont.load_default(9))
    return np.asarray(page).copy()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn scenes and two pages of print."""
    folder = tmp_path_factory.mktemp("mixed")
    for number in range(2):
        write_picture(draw(random_scene(0, number), 128), folder / f"a{number}.png")
        write_picture(printed(number), folder / PRINTED[number])
    return folder


def source_of(folder: Path) -> PictureSource:
    return PictureSource(list_folder(folder, ReadOptions()), ReadOptions())


def as_tensor(pixels: Pixels) -> torch.Tensor:
    return torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float() / 127.5 - 1


def codes_of(path: Path) -> Codes:
    codes = read_packed(path).codes
    assert codes is not None
    return codes


def test_print_becomes_avif_and_photographs_become_latents(mixed: Path, tmp_path: Path) -> None:
    report = pack(mixed, tmp_path / "mixed.uni", OPTIONS)
    assert report.avif_pictures == len(PRINTED)
    packed = read_packed(tmp_path / "mixed.uni")
    streams = codes_of(tmp_path / "mixed.uni").streams
    stored = {name for name, code in zip(packed.names, streams, strict=True) if unmark_gray(code)[0] == AVIF}
    assert stored == set(PRINTED)


def test_print_that_latents_would_destroy_stays_legible(mixed: Path, tmp_path: Path) -> None:
    pack(mixed, tmp_path / "chosen.uni", OPTIONS)
    latents = pack(mixed, tmp_path / "latents.uni", CodesOptions(
        device="cpu", effort=0, sequences=False, learning=None, avif=False, target=OPTIONS.target
    ))  # fmt: skip
    assert latents.avif_pictures == 0

    def quality_of_print(path: Path) -> float:
        with Archive.open(path) as archive:
            return min(
                psnr_db(printed(number), np.asarray(archive[index]))
                for number, name in enumerate(PRINTED)
                for index in archive.find(name)
            )

    assert quality_of_print(tmp_path / "latents.uni") < 20
    assert quality_of_print(tmp_path / "chosen.uni") > 30


def test_errors_in_print_weigh_more_than_elsewhere() -> None:
    original = np.full((64, 64, 3), 250, np.uint8)
    original[:, :32] = printed(0, 64, 64)[:, :32]
    in_print, elsewhere = original.copy(), original.copy()
    in_print[8:56, 4:28] ^= 24
    elsewhere[8:56, 36:60] ^= 24
    shown = as_tensor(original)
    plain, judged = (
        [float(measure(as_tensor(one), shown)) for one in (in_print, elsewhere)]
        for measure in (distortion, judged_distortion)
    )
    assert judged[0] - plain[0] > 10 * (judged[1] - plain[1])


def test_quality_follows_the_step_and_goes_beyond_the_finest_latents() -> None:
    qualities = [matching_quality(step) for step in (1 / 16, 0.3, 0.99, 1.0, 2.0, 8.0)]
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] == 100


def test_sizes_at_other_steps_are_estimated(mixed: Path) -> None:
    source = source_of(mixed)
    encoder = new_encoder(source, PackagedAutoencoder(torch.device("cpu")), load_context_model())
    pictures = AvifPictures(source, judge_avif(encoder, 2.0, lambda *_: None).below(1.0), FAST)
    assert {source.folder.names[position] for position in pictures.positions} == set(PRINTED)
    for step in (1.0, 2.0, 5.0):
        codes = [code for some in pictures.codes_at(step) for code in some.values()]
        assert pictures.bytes_at(step) == pytest.approx(sum(map(len, codes)), rel=0.06)
    assert AvifPictures(source, judge_avif(encoder, 2.0, lambda *_: None).below(0.0), FAST).bytes_at(2.0) == 0


def test_pictures_that_were_judged_are_not_compared_at_half_size_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    for number, pixels in enumerate((draw(random_scene(0, 0), 128), noise, draw(random_scene(0, 1), 128))):
        write_picture(pixels, tmp_path / f"{number}.png")
    source, autoencoder = source_of(tmp_path), PackagedAutoencoder(torch.device("cpu"))
    batch = [0, 1, 2]
    latents = autoencoder.encode_pictures([source.picture(position) for position in batch], 16)
    found = []
    for is_judged in (False, True):
        encoder = new_encoder(source, autoencoder, load_context_model())
        if is_judged:
            judge_avif(encoder, 24.0, lambda *_: None)
            monkeypatch.delattr(CandidateChooser, "are_cheaper_at_half")
        (chosen,) = encoder.chooser.choose(batch, latents, 24.0, 0)
        found.append([(one.half, one.places.tolist()) for one in chosen])
    assert found[0] == found[1]
    assert any(half for half, _ in found[0])


def test_a_picture_that_is_judged_anew_is_known_by_that() -> None:
    ways = Ways()
    assert not ways.at([0], 3.0)[1].any()
    ways.note([0], 3.0, np.array([True]))
    assert [ways.at([0], step)[0].item() for step in (2.8, 2.95, 3.0, 5.0)] == [False, True, True, True]
    ways.note([0], 4.0, np.array([False]))
    for step, is_known in ((3.0, True), (4.0, True), (4.1, True), (4.3, False)):
        assert [array.item() for array in ways.at([0], step)] == [False, is_known]


def test_what_is_known_of_a_picture_is_not_lost_at_finer_steps() -> None:
    ways = Ways()
    ways.note([0, 1], 1.6, np.array([False, False]))
    assert all(not is_half.any() and is_known.all() for is_half, is_known in [ways.at([0, 1], FINEST_WITH_HALVES)])
    ways.note([0, 1], FINEST_WITH_HALVES, np.array([True, True]))
    assert not ways.at([0, 1], FINEST_WITH_HALVES * 0.98)[0].any(), "no code of half size is finer"
    ways.note([1], 4.0, np.array([False]))
    ways.note([1], 3.0, np.array([False]))
    assert [array.item() for array in ways.at([1], 4.0)] == [False, True]


def test_a_size_is_reached_with_print_alone(tmp_path: Path) -> None:
    folder = tmp_path / "print"
    folder.mkdir()
    for number in range(4):
        write_picture(printed(number), folder / f"{number}.png")
    options = CodesOptions(device="cpu", effort=0, sequences=False, learning=None, target=Target(Goal.SIZE, 14_000))
    report = pack(folder, tmp_path / "print.uni", options)
    assert report.avif_pictures == 4
    assert report.file_bytes == pytest.approx(14_000, rel=0.1)


def test_large_pictures_are_judged_by_a_window_in_each_quarter() -> None:
    small, large = np.zeros((800, 1200, 3), np.uint8), np.zeros((1400, 3000, 3), np.uint8)
    large[:700, 1500:] = 255
    assert [window.shape for window in windows_of(small)] == [small.shape]
    assert [window.mean() for window in windows_of(large)] == [0, 255, 0, 0]
    for size in ((768, 1366), (600, 2000), (1023, 1100)):  # windows overlap rather than shrink
        assert {window.shape for window in windows_of(np.zeros((*size, 3), np.uint8))} == {(512, 512, 3)}
    narrow = windows_of(np.zeros((300, 4000, 3), np.uint8))
    assert all(window.shape == (300, 512, 3) for window in narrow)


@pytest.mark.skipif(not has_libaom(), reason="this Pillow encodes AVIF by another library")
def test_thorough_encoding_saves_bytes_on_print() -> None:
    page = printed(3, 320, 256)
    (plain, shown), (fast, better) = encode_avif(page, 50), encode_avif(page, 50, FAST)
    assert len(fast) < len(plain) and psnr_db(page, better) > psnr_db(page, shown) - 1
    by_default, _ = encode_avif(page, 50, thorough(None, print_only=True))
    assert len(by_default) < len(fast)
