from dataclasses import replace
from pathlib import Path

import pytest

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.decoders.code_decoder import CodeDecoder
from unicorn_codec.format.header import MAX_RANK
from unicorn_codec.packing import tuning
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import Tuned
from unicorn_codec.pictures.images import list_folder
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.transform.autoencoder import PackagedAutoencoder


class Listener(Observer):
    def __init__(self) -> None:
        self.heard: list[Tuned] = []
        self.least_bytes: list[float] = []

    def not_tuned(self, least_bytes: float) -> None:
        self.least_bytes.append(least_bytes)

    def tuned(self, tuned: Tuned) -> None:
        self.heard.append(tuned)


@pytest.fixture
def encoder(autoencoder: PackagedAutoencoder, folder: Path) -> FolderEncoder:
    read = ReadOptions()
    pictures = PictureSource(list_folder(folder, read), read)
    return new_encoder(pictures, autoencoder, load_context_model())


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny sets may be tuned, shortly."""
    monkeypatch.setattr(tuning, "LARGEST_SHARE", 100.0)
    monkeypatch.setattr(tuning, "MAX_RANK", 1)
    monkeypatch.setattr(tuning, "BATCHES", 40)


def test_the_rank_grows_with_the_file(autoencoder: PackagedAutoencoder) -> None:
    ranks = [tuning.choose_rank(autoencoder.network, size) for size in (1e3, 1e5, 1e6, 1e9)]
    assert ranks[0] is None and ranks[1] is None and ranks[3] == MAX_RANK
    assert ranks[2] is not None and 0 < ranks[2] < MAX_RANK


def test_windows_are_whole_latents_and_their_pixels(encoder: FolderEncoder) -> None:
    groups = tuning.gather_windows(encoder, Observer().of_stage(""))
    assert sorted(tuple(group.pixels.shape[2:]) for group in groups) == [(32, 48), (64, 32)]
    assert sum(map(len, groups)) == 6
    for group in groups:
        assert group.latents.shape[2:] == (group.pixels.shape[2] // 16, group.pixels.shape[3] // 16)
        height, width = group.pixels.shape[2:]
        decoded = encoder.autoencoder.decode_pictures(group.latents.float(), height, width, step=1.0)
        for pixels, picture in zip(group.pixels.permute(0, 2, 3, 1).numpy(), decoded, strict=True):
            assert psnr_db(pixels, picture) > 15


@pytest.mark.usefixtures("quick")
def test_a_change_that_pays_is_used_by_the_archive(encoder: FolderEncoder, folder: Path, tmp_path: Path) -> None:
    listener = Listener()
    payload = tuning.tune_decoder(encoder, 12.0, 10**7, seed=0, observer=listener)  # the file of many more pictures
    assert payload is not None and [heard.kept for heard in listener.heard] == [True]
    pack(folder, tmp_path / "plain.uni", CodesOptions(device="cpu", target=Target(Goal.STEP, 12.0)))
    container = replace(read_packed(tmp_path / "plain.uni"), tuning=payload)
    write_packed(tmp_path / "tuned.uni", container)
    decoder = Archive.open(tmp_path / "plain.uni", device="cpu").decoder(0)
    assert isinstance(decoder, CodeDecoder)
    changed = replace(decoder, autoencoder=encoder.autoencoder.with_update(payload))
    with Archive.open(tmp_path / "tuned.uni", device="cpu") as archive:
        for index, decoded in archive.iterate(range(len(archive))):
            (wanted,) = changed.read([index], *archive.size(index))()
            (before,) = decoder.read([index], *archive.size(index))()
            assert psnr_db(decoded, wanted) > 50 > psnr_db(decoded, before)


@pytest.mark.usefixtures("quick")
def test_a_change_that_does_not_pay_is_left_out(folder: Path, tmp_path: Path) -> None:
    listener = Listener()
    pack(folder, tmp_path / "out.uni", CodesOptions(device="cpu", target=Target(Goal.STEP, 12.0), tune=True), listener)
    assert [heard.kept for heard in listener.heard] == [False] and not listener.least_bytes
    assert read_packed(tmp_path / "out.uni").tuning is None


def test_nothing_is_tuned_for_a_small_set(folder: Path, tmp_path: Path) -> None:
    listener = Listener()
    pack(folder, tmp_path / "out.uni", CodesOptions(device="cpu", tune=True), listener)
    (least_bytes,) = listener.least_bytes
    assert listener.heard == [] and least_bytes > tuning.LARGEST_SHARE * (tmp_path / "out.uni").stat().st_size
