from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unicorn_codec.archive import Archive
from unicorn_codec.checkpoints import CodesCheckpoint
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions, Goal, Learning, ReadOptions, Target
from unicorn_codec.errors import Interrupted
from unicorn_codec.packing import learning, update_training
from unicorn_codec.packing.add import add
from unicorn_codec.packing.archive_writing import read_packed
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.into_codes import new_encoder
from unicorn_codec.packing.learning_windows import SIDE, gather_windows, split
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import Learned
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

OPTIONS = CodesOptions(device="cpu", effort=0, sequences=False, avif=False, target=Target(Goal.STEP, 6.0))


class Listener(Observer):
    def __init__(self) -> None:
        self.heard: list[Learned] = []
        self.gains: list[float] = []

    def learning(self, progress: float, gain: float) -> None:
        self.gains.append(gain)

    def learned(self, learned: Learned) -> None:
        self.heard.append(learned)


@pytest.fixture
def special(tmp_path: Path) -> Path:
    """Pictures of a kind that the shipped networks do not know: stripes of two colours, here and there in noise."""
    folder = tmp_path / "special pictures"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(6):
        picture = np.full((64, 64, 3), (250, 40, 160), np.uint8)
        picture[:, :: 2 + number % 3] = (30, 220, 60)
        picture[16:48, 16:48] ^= rng.integers(0, 64, (32, 32, 3), np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sets are learned, shortly: as if an update took hardly any bytes."""
    monkeypatch.setattr(learning, "STEPS", 24)
    monkeypatch.setattr(update_training, "MEASURED_EVERY", 12)
    monkeypatch.setattr(learning, "LARGEST_GAIN", 1e6)
    monkeypatch.setattr(update_training.UpdateTraining, "bytes_worth", lambda _, gain: 1e9 * gain)


def code_bytes_of(path: Path) -> int:
    codes = read_packed(path).codes
    assert codes is not None
    return sum(len(stream) for stream in codes.streams)


def encoder_of(folder: Path, autoencoder: PackagedAutoencoder) -> FolderEncoder:
    pictures = PictureSource(list_folder(folder, ReadOptions()), ReadOptions())
    return new_encoder(pictures, autoencoder, load_context_model())


def test_windows_come_from_all_pictures(folder: Path, autoencoder: PackagedAutoencoder) -> None:
    groups = gather_windows(encoder_of(folder, autoencoder), 2.5, 0, Observer().of_stage(""))
    assert sum(map(len, groups)) == 6
    for group in groups:
        assert group.pixels.shape[2] % 32 == group.pixels.shape[3] % 32 == 0
        assert max(group.pixels.shape[2:]) <= SIDE
        shape = [side // 2 for side in group.pixels.shape[2:]] if group.half else group.pixels.shape[2:]
        assert list(group.coded.shape[2:]) == list(shape)


def test_coarse_steps_learn_from_halves(folder: Path, autoencoder: PackagedAutoencoder) -> None:
    encoder = encoder_of(folder, autoencoder)
    fine, coarse = (
        sum(len(group) for group in gather_windows(encoder, step, 0, Observer().of_stage("")) if group.half)
        for step in (1.5, 20.0)
    )
    assert fine == 0 < coarse


def test_some_windows_are_only_measured(special: Path, autoencoder: PackagedAutoencoder) -> None:
    (group,) = gather_windows(encoder_of(special, autoencoder), 1.5, 0, Observer().of_stage(""))
    many = replace(
        group, pixels=group.pixels.repeat(4, 1, 1, 1) + torch.arange(24, dtype=torch.uint8).view(-1, 1, 1, 1)
    )
    learned, measured = split([many])
    assert sum(map(len, learned)) == 21 and sum(map(len, measured)) == 3
    seen = {tensor.numpy().tobytes() for one in (*learned, *measured) for tensor in one.pixels}
    assert len(seen) == 24
    assert split([group])[1][0].pixels.equal(group.pixels)  # too few


@pytest.mark.usefixtures("cheap")
def test_what_is_learned_makes_the_archive_better(special: Path, tmp_path: Path) -> None:
    listener = Listener()
    learned = pack(special, tmp_path / "learned.uni", OPTIONS, listener)
    plain = pack(special, tmp_path / "plain.uni", replace(OPTIONS, learning=None))
    assert learned.learned is not None and learned.learned.kept and listener.heard == [learned.learned]
    assert plain.learned is None
    assert listener.gains[0] == 0 < listener.gains[-1]
    update = read_packed(tmp_path / "learned.uni").update
    assert update is not None and len(update) == learned.learned.bytes
    learned_bytes, plain_bytes = (code_bytes_of(tmp_path / name) for name in ("learned.uni", "plain.uni"))
    assert learned_bytes < 0.97 * plain_bytes or learned.measured.psnr_db.mean > plain.measured.psnr_db.mean + 0.2
    with Archive.open(tmp_path / "learned.uni", device="cpu") as archive:
        archive.check_canaries()


@pytest.mark.usefixtures("cheap")
def test_added_pictures_are_coded_with_the_update(special: Path, tmp_path: Path) -> None:
    pack(special, tmp_path / "out.uni", OPTIONS)
    more = tmp_path / "more"
    more.mkdir()
    (special / "5.png").rename(more / "new.png")
    report = add(tmp_path / "out.uni", more, OPTIONS)
    with Archive.open(tmp_path / "out.uni", device="cpu") as archive:
        (old,) = (index for index, name in archive.names.items() if name == "5.png")
        before, after = (pixels for _, pixels in archive.iterate([old, report.indices[0]]))
        assert np.abs(before.astype(int) - after).max() <= 1
        original = np.asarray(Image.open(more / "new.png"))
        assert report.measured.psnr_db.mean == pytest.approx(psnr_db(original, after), abs=0.01)


def test_nothing_is_learned_for_a_small_set(folder: Path, tmp_path: Path) -> None:
    listener = Listener()
    report = pack(folder, tmp_path / "out.uni", OPTIONS, listener)
    assert report.learned is not None and not report.learned.tried and not report.learned.kept
    assert listener.heard == [report.learned] and read_packed(tmp_path / "out.uni").update is None


@pytest.mark.usefixtures("cheap")
def test_the_probe_ends_what_does_not_pay(special: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update_training.UpdateTraining, "bytes_worth", lambda *_: 0.0)
    report = pack(special, tmp_path / "out.uni", OPTIONS)
    assert (
        report.learned is not None
        and report.learned.steps == update_training.MEASURED_EVERY
        and not report.learned.kept
    )
    assert read_packed(tmp_path / "out.uni").update is None


@pytest.mark.usefixtures("cheap")
def test_a_time_bounds_learning(special: Path, tmp_path: Path) -> None:
    report = pack(special, tmp_path / "out.uni", replace(OPTIONS, learning=Learning(0.5)))
    assert report.learned is not None and 0 < report.learned.steps < 24


@pytest.mark.usefixtures("cheap")
def test_an_interrupted_pack_goes_on_learning_where_it_stopped(special: Path, tmp_path: Path) -> None:
    class Stop(Observer):
        def learning(self, progress: float, gain: float) -> None:
            if progress > 0.4:
                raise KeyboardInterrupt

    output = tmp_path / "out.uni"
    with pytest.raises(Interrupted, match="what was learned"):
        pack(special, output, OPTIONS, Stop())
    steps = []

    class Count(Observer):
        def learning(self, progress: float, gain: float) -> None:
            steps.append(progress)

    report = pack(special, output, replace(OPTIONS, resume=True), Count())
    assert steps[0] == pytest.approx(10 / 24) and report.learned is not None and report.learned.steps == 24


@pytest.mark.usefixtures("cheap")
def test_a_resumed_pack_does_not_learn_twice(special: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stop(Observer):
        def stage(self, name: str, done: int, total: int) -> None:
            if name == "coding":
                raise KeyboardInterrupt

    output = tmp_path / "out.uni"
    with pytest.raises(Interrupted):
        pack(special, output, replace(OPTIONS, effort=1), Stop())
    listener = Listener()
    report = pack(special, output, replace(OPTIONS, effort=1, resume=True), listener)
    assert listener.gains == [] and report.learned is not None and report.learned.kept
    assert read_packed(output).update is not None


def test_a_checkpoint_keeps_what_was_learned(tmp_path: Path) -> None:
    path = tmp_path / "out.uni.checkpoint"
    checkpoint = CodesCheckpoint(path, "digest", resume=False)
    assert checkpoint.is_empty
    checkpoint.keep_learning(7, {"a.out": np.ones((1, 3), np.float32)})
    checkpoint.save()
    resumed = CodesCheckpoint(path, "digest", resume=True)
    assert resumed.learning_steps == 7 and resumed.learning["a.out"].tolist() == [[1, 1, 1]] and resumed.learned is None
    resumed.finish_learning(b"payload")
    resumed.save()
    again = CodesCheckpoint(path, "digest", resume=True)
    assert again.learned == b"payload" and again.learning == {}
