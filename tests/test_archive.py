"""The whole path: a folder to a file and back, from Python."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.conftest import draw
from unicorn_codec.archive import Archive
from unicorn_codec.config import CodesOptions, Goal, ReadOptions, Target
from unicorn_codec.decoders.loading import load_decoder
from unicorn_codec.errors import (
    AutoencoderMismatch,
    AutoencoderUnavailable,
    CheckpointMismatch,
    CheckpointWarning,
    FormatError,
    ImageFolderError,
    IndexOutOfRange,
    Interrupted,
    InvalidSetting,
    OutputError,
)
from unicorn_codec.format.code_kinds import is_half_size
from unicorn_codec.format.header import ModelReference
from unicorn_codec.inspection import describe
from unicorn_codec.model_registry import default_name
from unicorn_codec.network.training import Progress
from unicorn_codec.network_options import NetworkOptions, TrainConfig
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.candidates import Ways
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.pack import pack
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.preview import take_preview
from unicorn_codec.packing.refinement import LAMBDA_PER_SQUARED_STEP, Objective
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.quality import DEFAULT_QUALITY, step_of_quality
from unicorn_codec.verification import verify


def decode_all(path: Path, **options: Any) -> dict[str, np.ndarray]:
    archive = Archive.open(path, device="cpu")
    return {archive.names[i]: pixels for i, pixels in archive.iterate(range(len(archive)), **options)}


def originals_of(folder: Path) -> dict[str, np.ndarray]:
    listed = list_folder(folder, ReadOptions())
    return {p.name: read_picture(listed, p, ReadOptions()) for p in listed.pictures}


@pytest.mark.parametrize("mode", ["packed", "coded"])
def test_every_picture_comes_back_with_name_size_and_content(
    mode: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    decoded, originals = decode_all(request.getfixturevalue(mode)[0]), originals_of(folder)
    assert set(decoded) == set(originals) and "tall/1.png" in decoded
    for name, original in originals.items():
        others = [psnr_db(original, p) for n, p in decoded.items() if n != name and p.shape == original.shape]
        assert psnr_db(original, decoded[name]) > max(others) + 3, "a picture must be itself, not another one"


def test_codes_are_reported_as_they_lie_on_the_disk(coded: tuple[Path, PackReport]) -> None:
    path, report = coded
    assert report.network is None and report.latent_step == step_of_quality(DEFAULT_QUALITY)
    assert report.file_bytes == path.stat().st_size
    assert report.measured.psnr_db.mean > 25


def test_a_code_decodes_alone_and_among_others_to_the_same_picture(coded: tuple[Path, PackReport]) -> None:
    alone, together = decode_all(coded[0], batch_size=1), decode_all(coded[0])
    assert min(psnr_db(alone[name], together[name]) for name in alone) >= 50


def test_pictures_that_are_worked_on_side_by_side_stay_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third is coded at half size, so that parts of both kinds are decoded in turns."""
    source, path, size = tmp_path / "demo", tmp_path / "out.uni", 96
    make_demo_pictures(source, count=9, size=size)
    for limit in ("transform.autoencoder.BATCH_PIXELS", "packing.refinement.PIXELS_AT_ONCE"):
        monkeypatch.setattr(f"unicorn_codec.{limit}", {"cpu": 3 * size**2})

    def last_of(_: Ways, positions: Sequence[int], step: float) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(len(positions)) == len(positions) - 1, np.ones(len(positions), np.bool_)

    monkeypatch.setattr(Ways, "at", last_of)
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pack(source, path, CodesOptions(target=Target(Goal.STEP, 8.0), effort=1, device="cpu", sequences=False))
        decoded = decode_all(path)
    finally:
        torch.set_num_threads(usual)
    codes = read_packed(path).codes
    assert codes is not None and sum(map(is_half_size, codes.streams)) == 3
    for name, original in originals_of(source).items():
        distances = {other: psnr_db(original, picture) for other, picture in decoded.items()}
        assert max(distances, key=distances.__getitem__) == name


@pytest.mark.slow
def test_the_wanted_rate_is_met(tmp_path: Path) -> None:
    make_demo_pictures(tmp_path / "demo", count=8, size=128)
    for rate in (0.3, 0.12):
        options = CodesOptions(target=Target(Goal.RATE, rate), device="cpu", overwrite=True)
        report = pack(tmp_path / "demo", tmp_path / "out.uni", options)
        assert report.bits_per_pixel == pytest.approx(rate, rel=0.03)
    with pytest.raises(InvalidSetting, match="at least"):
        pack(tmp_path / "demo", tmp_path / "out.uni", replace(options, target=Target(Goal.RATE, 0.02)))
    report = pack(tmp_path / "demo", tmp_path / "out.uni", replace(options, target=Target(Goal.RATE, 9.0)))
    assert report.latent_step == 1.0, "more bytes than the finest step takes are not spent"


def test_a_lambda_is_what_refinement_minimises_by(folder: Path, tmp_path: Path) -> None:
    for slope, step in ((LAMBDA_PER_SQUARED_STEP * 9.0, 3.0), (1e-3, 1.0), (1e9, 24.0)):
        options = CodesOptions(target=Target(Goal.RD_LAMBDA, slope), effort=0, device="cpu", overwrite=True)
        assert pack(folder, tmp_path / "a.uni", options).latent_step == pytest.approx(step)


@pytest.mark.parametrize(("size", "step"), [(192, 14.0), (192, 20.0), (186, 20.0)])
def test_coarse_codes_are_of_pictures_at_half_size(size: int, step: float, tmp_path: Path) -> None:
    source, path = tmp_path / "demo", tmp_path / "out.uni"
    make_demo_pictures(source, count=3, size=size)
    assert pack(source, path, CodesOptions(target=Target(Goal.STEP, step), effort=1, device="cpu")).pictures == 3
    codes = read_packed(path).codes
    assert codes is not None
    assert all(map(is_half_size, codes.streams))
    together, originals = decode_all(path), originals_of(source)
    assert min(psnr_db(originals[name], together[name]) for name in originals) > 17
    alone = decode_all(path, batch_size=1)
    assert min(psnr_db(alone[name], together[name]) for name in alone) >= 50


def test_a_quality_that_latents_do_not_reach_is_had_from_avif(folder: Path, tmp_path: Path) -> None:
    reports = [
        pack(
            folder,
            tmp_path / f"{quality}.uni",
            CodesOptions(target=Target(Goal.QUALITY, quality), sequences=False, device="cpu"),
        )
        for quality in (0, 20, 95)
    ]
    assert [report.avif_pictures for report in reports] == [0, 0, 6]
    psnrs = [report.measured.psnr_db.mean for report in reports]
    assert psnrs[0] < psnrs[1] < psnrs[2] and psnrs[2] > 35
    assert reports[2].bits_per_pixel_with_autoencoder == reports[2].bits_per_pixel, "AVIF needs none"
    assert verify(tmp_path / "95.uni", folder, device="cpu").ok


def test_codes_of_another_context_model_are_refused(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(coded[0])
    model = container.header.autoencoder
    assert isinstance(model, ModelReference)
    model = replace(model, fingerprint=bytes(16))
    write_packed(tmp_path / "other.uni", replace(container, header=replace(container.header, autoencoder=model)))
    archive = Archive.open(tmp_path / "other.uni")
    assert len(archive) == 6 and archive.size(0), "what needs no model is there"
    with pytest.raises(AutoencoderMismatch, match="fingerprint 0000000000000000"):
        archive[0]


def test_codes_are_not_decoded_by_an_autoencoder_without_a_context_model(coded: tuple[Path, PackReport]) -> None:
    reader = Archive.open(coded[0]).reader
    described = reader.decoder(0)
    shape = {"latent_channels": described.model.latent_channels, "downsampling": described.model.downsampling}
    stranger = SimpleNamespace(reference=SimpleNamespace(name="someone/something", **shape))
    with pytest.raises(AutoencoderMismatch, match="no context model"):
        load_decoder(reader, described, stranger)  # type: ignore[arg-type]


def test_the_report_tells_what_lies_on_the_disk(packed: tuple[Path, PackReport]) -> None:
    path, report = packed
    assert report.file_bytes == path.stat().st_size
    assert report.pixels == 4 * 50 * 40 + 2 * 33 * 70
    assert report.bits_per_pixel == pytest.approx(8 * report.file_bytes / report.pixels)
    assert report.pictures == 6 and report.index_bits == 3
    decoded = decode_all(path)
    assert report.measured.pictures == len(decoded) and report.measured.psnr_db.min > 15
    assert len(report.measured.worst) == 5
    assert report.network is not None and report.measured.psnr_db.mean <= report.network.ceiling_psnr_db + 0.3


def test_other_noise_gives_the_same_pictures(packed: tuple[Path, PackReport]) -> None:
    network = packed[1].network
    assert network is not None and network.other_noise_psnr_db > max(25, network.stored_noise_psnr_db - 4)


def test_batch_size_does_not_matter(packed: tuple[Path, PackReport]) -> None:
    alone, together = decode_all(packed[0], batch_size=1), decode_all(packed[0], batch_size=32)
    assert min(psnr_db(alone[name], together[name]) for name in alone) >= 50


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cpu_and_gpu_agree(packed: tuple[Path, PackReport]) -> None:
    on_cpu, on_gpu = (Archive.open(packed[0], device=device).decode(range(6)) for device in ("cpu", "cuda"))
    assert min(psnr_db(np.asarray(a), np.asarray(b)) for a, b in zip(on_cpu, on_gpu, strict=True)) >= 50


def test_the_archive_is_a_sequence_of_pictures(packed: tuple[Path, PackReport]) -> None:
    with Archive.open(packed[0]) as archive:
        assert len(archive) == 6
        assert archive[0].size == archive.size(0)
        assert archive[-1].tobytes() == archive[5].tobytes()
        several = archive.decode([5, 0, 5])
        for picture, index in zip(several, (5, 0, 5), strict=True):
            assert psnr_db(np.asarray(picture), np.asarray(archive[index])) >= 50
        for index in (6, -7):
            with pytest.raises(IndexOutOfRange):
                archive[index]


def test_more_sampling_steps_can_be_asked_for(packed: tuple[Path, PackReport]) -> None:
    once, often = decode_all(packed[0], steps=1), decode_all(packed[0], steps=10)
    assert min(psnr_db(once[name], often[name]) for name in once) > 15


def test_the_same_seed_gives_the_same_file(
    packed: tuple[Path, PackReport], folder: Path, tiny_options: NetworkOptions, tmp_path: Path
) -> None:
    pack(folder, tmp_path / "again.uni", tiny_options)
    assert (tmp_path / "again.uni").read_bytes() == packed[0].read_bytes()


def test_one_picture_is_enough(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    write_picture(draw(1, 16, 16), tmp_path / "one" / "it.png")
    options = NetworkOptions(hidden_size=8, depth=1, train=TrainConfig(epochs=100), device="cpu")
    report = pack(tmp_path / "one", tmp_path / "one.uni", options)
    assert report.index_bits == 0
    assert Archive.open(tmp_path / "one.uni")[0].size == (16, 16)


class StopAfter(Observer):
    """Presses Ctrl-C in the middle of training."""

    def __init__(self, fraction: float) -> None:
        self.limit = fraction

    def training(self, progress: Progress) -> None:
        if progress.fraction >= self.limit:
            raise KeyboardInterrupt


def test_an_interrupted_pack_leaves_a_checkpoint_and_goes_on(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.uni"
    options = NetworkOptions(hidden_size=16, depth=2, train=TrainConfig(seconds=6), device="cpu")
    with pytest.raises(Interrupted, match="--resume"):
        pack(folder, output, options, StopAfter(0.3))
    assert [p.name for p in tmp_path.iterdir()] == ["out.uni.checkpoint"]
    for other in (options, CodesOptions(device="cpu")):
        with pytest.raises(OutputError, match="unfinished work"):
            pack(folder, output, other)
    with pytest.raises(CheckpointMismatch):
        pack(folder, output, CodesOptions(device="cpu", resume=True))
    with pytest.raises(CheckpointMismatch):
        pack(folder, output, replace(options, seed=1, resume=True))
    assert not output.exists()
    seen: list[float] = []

    class Watch(Observer):
        def training(self, progress: Progress) -> None:
            seen.append(progress.fraction)

    report = pack(folder, output, replace(options, resume=True), Watch())
    assert seen[0] > 0.25, "it went on, and did not start again"
    assert report.measured.psnr_db.mean > 15
    assert [p.name for p in tmp_path.iterdir()] == ["out.uni"]


class StopAtTheSecond(Observer):
    def stage(self, name: str, done: int, total: int) -> None:
        if name == "coding" and done == total:
            raise KeyboardInterrupt


@pytest.mark.parametrize("is_killed", [False, True], ids=["interrupted", "killed"])
def test_codes_that_were_refined_are_not_refined_again(
    is_killed: bool, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, options = (
        tmp_path / "out.uni",
        CodesOptions(target=Target(Goal.STEP, 3.0), effort=2, sequences=False, device="cpu"),
    )
    refined: list[int] = []
    refine = Objective.refine

    def watched(
        self: Objective, pixels: Tensor, latents: Tensor, rounds: int, progress: Callable[[int], None]
    ) -> Tensor:
        if is_killed and refined:
            raise SystemExit  # nothing is saved at the end
        refined.append(len(pixels))
        return refine(self, pixels, latents, rounds, progress)

    monkeypatch.setattr(Objective, "refine", watched)
    monkeypatch.setattr("unicorn_codec.checkpoints.SAVE_SECONDS", 0.0)
    with pytest.raises(SystemExit if is_killed else Interrupted, match=None if is_killed else "--resume"):
        pack(folder, output, options, StopAtTheSecond())
    assert [path.name for path in tmp_path.iterdir()] == ["out.uni.checkpoint"]
    with pytest.raises(CheckpointMismatch):
        pack(folder, output, replace(options, effort=3, resume=True))
    before, is_killed = sum(refined), False
    report = pack(folder, output, replace(options, resume=True))
    assert sum(refined) == 6, "each picture once"
    assert 0 < before <= 6
    assert [path.name for path in tmp_path.iterdir()] == ["out.uni"]
    unbroken = pack(folder, tmp_path / "unbroken.uni", options)
    assert report.measured == unbroken.measured
    assert read_packed(output).codes == read_packed(tmp_path / "unbroken.uni").codes


def test_nothing_is_overwritten_unasked(
    packed: tuple[Path, PackReport], folder: Path, tiny_options: NetworkOptions
) -> None:
    before = packed[0].read_bytes()
    with pytest.raises(OutputError, match="exists"):
        pack(folder, packed[0], tiny_options)
    assert packed[0].read_bytes() == before


def test_a_bad_picture_stops_before_training(folder: Path, tiny_options: NetworkOptions, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")

    class NeverTrains(Observer):
        def training(self, progress: Progress) -> None:
            raise AssertionError("trained on a folder that is to be refused")

    with pytest.raises(ImageFolderError, match=r"broken\.jpg"):
        pack(tmp_path / "copy", tmp_path / "out.uni", tiny_options, NeverTrains())
    skipping = replace(tiny_options, read=ReadOptions(skip_unreadable=True))
    report = pack(tmp_path / "copy", tmp_path / "out.uni", skipping)
    assert report.pictures == 6 and [s.name for s in report.left_out] == ["broken.jpg"]


@pytest.mark.slow
def test_fewer_bits_cost_quality_only_where_they_must(
    folder: Path, tiny_options: NetworkOptions, tmp_path: Path
) -> None:
    results = {}
    for weight_bits, exponent_bits in ((8, 3), (14, 4), (32, 8)):
        options = replace(tiny_options, weight_bits=weight_bits, exponent_bits=exponent_bits)
        results[weight_bits] = pack(folder, tmp_path / f"{weight_bits}.uni", options)
    assert results[8].file_bytes < results[14].file_bytes < results[32].file_bytes
    assert abs(results[14].measured.psnr_db.mean - results[32].measured.psnr_db.mean) <= 0.3


def test_integer_weights_take_less_and_decode_as_they_were_trained(
    packed: tuple[Path, PackReport], folder: Path, tiny_options: NetworkOptions, tmp_path: Path
) -> None:
    options = replace(tiny_options, weight_format="integer", weight_bits=6)
    report = pack(folder, tmp_path / "integer.uni", options)
    assert report.file_bytes < 0.6 * packed[1].file_bytes
    assert report.measured.psnr_db.mean > packed[1].measured.psnr_db.mean - 1
    found = describe(tmp_path / "integer.uni")["weights"]
    assert found["format"] == "integer" and found["bits_per_weight"] == pytest.approx(6, abs=0.5)
    assert verify(tmp_path / "integer.uni", folder, device="cpu").measured == report.measured


def test_weights_of_another_network_are_refused(packed: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(packed[0])
    denoising = container.header.denoising
    assert denoising is not None
    wider = replace(container.header, denoising=replace(denoising, network=replace(denoising.network, depth=3)))
    write_packed(tmp_path / "wrong.uni", replace(container, header=wider))
    with pytest.raises(FormatError, match="weights"):
        Archive.open(tmp_path / "wrong.uni")[0]
    assert not verify(tmp_path / "wrong.uni", device="cpu").ok


def test_verify_compares_with_the_folder(packed: tuple[Path, PackReport], folder: Path, tmp_path: Path) -> None:
    path, packing = packed
    report = verify(path, folder, device="cpu")
    assert report.ok and report.measured == packing.measured
    shutil.copytree(folder, tmp_path / "other")
    os.remove(tmp_path / "other" / "wide 0.png")
    write_picture(draw(3, 20, 20), tmp_path / "other" / "new.png")
    write_picture(draw(3, 20, 20), tmp_path / "other" / "wide 1.png", overwrite=True)
    report = verify(path, tmp_path / "other", device="cpu")
    assert not report.ok and report.measured is not None and report.measured.pictures == 4
    assert sorted(p.split(":")[0] for p in report.differences) == ["new.png", "wide 0.png", "wide 1.png"]


def test_resuming_nothing_is_refused(folder: Path, tiny_options: NetworkOptions, tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="no checkpoint"):
        pack(folder, tmp_path / "out.uni", replace(tiny_options, resume=True))


def test_a_file_cannot_make_an_autoencoder_be_fetched(packed: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(packed[0])
    elsewhere = replace(container.header.autoencoder, name="someone/something")
    write_packed(tmp_path / "named.uni", replace(container, header=replace(container.header, autoencoder=elsewhere)))
    with pytest.raises(AutoencoderUnavailable, match="--autoencoder"):
        Archive.open(tmp_path / "named.uni")[0]
    assert Archive.open(tmp_path / "named.uni", autoencoder=default_name())[0].size


def test_another_downsampling_is_refused(packed: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(packed[0])
    other = replace(container.header.autoencoder, downsampling=8)
    write_packed(tmp_path / "other.uni", replace(container, header=replace(container.header, autoencoder=other)))
    with pytest.raises(AutoencoderMismatch, match="8 pixels a side"):
        Archive.open(tmp_path / "other.uni")[0]


def test_the_sample_is_of_the_commonest_size_and_from_the_whole_folder(tmp_path: Path) -> None:
    for number in range(40):
        write_picture(draw(number, 16, 16), tmp_path / f"{number:02}.png")
    for number in range(3):
        write_picture(draw(number, 1024, 1024), tmp_path / f"large {number}.png")
    listed = list_folder(tmp_path, ReadOptions())
    sample = take_preview(PictureSource(listed, ReadOptions()), list(range(43)))
    assert sample.originals[0].shape == (16, 16, 3)
    assert len(sample.indices) >= 13 and max(sample.indices) > 35


def test_an_unwritable_checkpoint_does_not_end_the_training(
    folder: Path, tiny_options: NetworkOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("cannot write: the disk is full")

    monkeypatch.setattr("unicorn_codec.packing.into_network.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("unicorn_codec.network.training.TrainingRun.save", full)
    options = replace(tiny_options, train=TrainConfig(epochs=10))
    with pytest.warns(CheckpointWarning, match="continues without"):
        assert pack(folder, tmp_path / "out.uni", options).pictures == 6
