"""Archives of overfitted functions, from folder to pictures."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from tests.conftest import draw
from unicorn_cli.main import cli
from unicorn_codec import Archive, Goal, OverfitOptions, Target, pack
from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import AutoencoderMismatch, AutoencoderUnavailable, Interrupted, InvalidSetting
from unicorn_codec.format.code_kinds import is_gray, is_overfitted
from unicorn_codec.inspection import describe
from unicorn_codec.overfitted.function_fitter import Fitted, FunctionFitter
from unicorn_codec.packing.add import add
from unicorn_codec.packing.into_functions import lambda_of, squared_gain
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder
from unicorn_codec.pictures.picture_writing import write_picture
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.verification import verify

QUICK = OverfitOptions(effort=0, device="cpu", target=Target(Goal.RD_LAMBDA, 500.0))


def small_autoencoder(seed: int) -> Any:
    """An autoencoder of the Stable Diffusion kind, 8x and 4 channels, untrained."""
    torch.manual_seed(seed)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
    )


@pytest.fixture(scope="module")
def kl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "small kl"
    small_autoencoder(1).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two sizes, one of them gray and one transparent."""
    root = tmp_path_factory.mktemp("a few pictures")
    for number in range(2):
        write_picture(draw(number, 70, 44), root / f"wide {number}.png")
    gray = draw(7, 70, 44)[..., :1]
    Image.fromarray(np.repeat(gray, 3, axis=2)).save(root / "gray.png")
    alpha = np.full((33, 50, 1), 255, np.uint8)
    alpha[:10] = 0
    Image.fromarray(np.concatenate([draw(9, 50, 33), alpha], axis=2)).save(root / "see-through.png")
    return root


@pytest.fixture(scope="module")
def of_kl(pictures: Path, kl_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    path = tmp_path_factory.mktemp("archives") / "kl.uni"
    options = OverfitOptions(effort=0, device="cpu", autoencoder=str(kl_folder), target=Target(Goal.RD_LAMBDA, 0.5))
    return path, pack(pictures, path, options)


@pytest.fixture(scope="module")
def of_package(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PackReport]:
    path = tmp_path_factory.mktemp("archives") / "package.uni"
    return path, pack(pictures, path, QUICK)


def test_an_archive_of_a_diffusers_autoencoder_unpacks_with_it(
    of_kl: tuple[Path, PackReport], kl_folder: Path, pictures: Path
) -> None:
    path, report = of_kl
    with Archive.open(path, autoencoder=str(kl_folder), device="cpu") as archive:
        assert len(archive) == 4
        for index, name in archive.names.items():
            original = Image.open(pictures / name)
            assert archive[index].size == original.size
            assert archive[index].mode == ("RGBA" if original.mode == "RGBA" else "RGB")
        archive.check_canaries()
        record = archive.reader.record(archive.reader.row(0))
    assert is_overfitted(record.code)
    assert report.functions is not None and report.functions.multiplications_per_pixel <= 30
    assert report.file_bytes == path.stat().st_size
    assert verify(path, autoencoder=str(kl_folder), device="cpu").ok


def test_latents_of_functions_are_near_those_of_the_autoencoder(
    of_kl: tuple[Path, PackReport], kl_folder: Path, pictures: Path
) -> None:
    """The untrained decoder makes no pictures, so that functions are judged by what it makes of the latents."""
    with Archive.open(of_kl[0], autoencoder=str(kl_folder), device="cpu") as archive:
        decoder = archive.decoder(0)
        autoencoder = decoder.autoencoder  # type: ignore[attr-defined]
        (index,) = archive.find("wide 0.png")
        original = np.asarray(Image.open(pictures / "wide 0.png"))
        latents = autoencoder.encode_pictures([original], 8)
        (ceiling,) = autoencoder.decode_pictures(latents, 44, 70, 1.0)
        (other,) = archive.find("wide 1.png")
        assert psnr_db(np.asarray(archive[index]), ceiling) > psnr_db(np.asarray(archive[other]), ceiling) + 3


def test_without_its_autoencoder_an_archive_says_what_is_missing(
    of_kl: tuple[Path, PackReport], tmp_path: Path
) -> None:
    path, _ = of_kl
    with Archive.open(path) as archive, pytest.raises(AutoencoderUnavailable, match=r"small kl.*--autoencoder"):
        _ = archive[0]
    small_autoencoder(2).save_pretrained(tmp_path / "other")
    with (
        Archive.open(path, autoencoder=str(tmp_path / "other")) as archive,
        pytest.raises(AutoencoderMismatch, match="small kl"),
    ):
        _ = archive[0]
    with Archive.open(path, autoencoder="photo-1") as archive, pytest.raises(AutoencoderMismatch, match="4 channels"):
        _ = archive[0]


def test_an_archive_of_the_packaged_autoencoder_comes_back(of_package: tuple[Path, PackReport], pictures: Path) -> None:
    path, report = of_package
    assert report.measured.psnr_db.min > 20 and report.functions is not None
    assert report.measured.psnr_db.mean < report.functions.ceiling_psnr_db
    with Archive.open(path, device="cpu") as archive:
        (index,) = archive.find("gray.png")
        pixels = np.asarray(archive[index])
        assert (pixels == pixels[..., :1]).all(), "without a tint"
        assert is_gray(archive.reader.record(archive.reader.row(index)).code)
        (index,) = archive.find("see-through.png")
        assert np.asarray(archive[index])[..., 3].tolist() == np.asarray(
            Image.open(pictures / "see-through.png")
        )[..., 3].tolist()  # fmt: skip
        archive.check_canaries()
    assert verify(path).ok


def test_inspect_names_the_codec(of_package: tuple[Path, PackReport]) -> None:
    values = describe(of_package[0], entries=True)
    assert [entry["codec"] for entry in values["entries"]] == ["overfitted"] * 4
    assert [part["part"] for part in values["parts"]] == ["overfitted", "weights", "index and names"]
    assert values["decoders"][0]["kind"] == "functions" and values["codes"]["level"] is None
    assert sum(part["bytes"] for part in values["parts"]) == of_package[0].stat().st_size
    shown = CliRunner().invoke(cli, ["inspect", str(of_package[0])])
    assert shown.exit_code == 0 and "overfitted" in shown.output and "None" not in shown.output


def test_nothing_is_added_to_an_archive_of_functions(of_package: tuple[Path, PackReport], pictures: Path) -> None:
    with pytest.raises(InvalidSetting, match="overfitted functions"):
        add(of_package[0], pictures)


def test_an_archive_may_hold_its_autoencoder(pictures: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(pictures / "wide 0.png", one)
    options = OverfitOptions(effort=0, device="cpu", self_contained=True, target=QUICK.target)
    pack(one, tmp_path / "own.uni", options)
    with Archive.open(tmp_path / "own.uni") as archive:
        stored = archive.reader
        assert stored.footer.attachments and archive[0].size == (70, 44)


@pytest.fixture
def interrupted_after_one_batch(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    fit, batches = FunctionFitter.fit, list[int]()

    def counted(
        self: FunctionFitter, latents: torch.Tensor, trade_off: float, progress: Callable[[int], None]
    ) -> list[Fitted]:
        batches.append(len(latents))
        if len(batches) == 2:
            raise KeyboardInterrupt
        return fit(self, latents, trade_off, progress)

    monkeypatch.setattr(FunctionFitter, "fit", counted)
    yield batches


def test_an_interrupted_pack_continues_to_the_same_file(
    of_package: tuple[Path, PackReport], pictures: Path, tmp_path: Path, interrupted_after_one_batch: list[int]
) -> None:
    output = tmp_path / "out.uni"
    with pytest.raises(Interrupted, match="--resume"):
        pack(pictures, output, QUICK)
    assert not output.exists()
    resumed = OverfitOptions(effort=0, device="cpu", target=QUICK.target, resume=True)
    pack(pictures, output, resumed)
    assert output.read_bytes() == of_package[0].read_bytes()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(cli, ["pack", str(tmp_path / "empty"), str(tmp_path / "out.uni"), "--overfit"])
    assert result.exit_code == 1 and len(result.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--index-only"], "--overfit cannot be combined with --index-only"),
        (["--bpp", "0.1"], "a rate cannot be aimed at with --overfit"),
        (["--step", "2"], "a step cannot be aimed at with --overfit"),
        (["--time", "10m"], "--time cannot be combined with --overfit"),
        (["--min-psnr", "30"], "--min-psnr cannot be combined with --overfit"),
        (["--exact"], "--exact cannot be combined with --overfit"),
        (["--autoencoder", "no/such folder"], "cannot load an autoencoder"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = CliRunner().invoke(cli, ["pack", str(pictures), str(tmp_path / "out.uni"), "--overfit", *options])
    assert result.exit_code != 0 and message in result.output
    assert not list(tmp_path.iterdir())


def test_the_command_line_packs_and_unpacks(kl_folder: Path, pictures: Path, tmp_path: Path) -> None:
    one, output = tmp_path / "one picture", tmp_path / "out.uni"
    one.mkdir()
    shutil.copy(pictures / "wide 1.png", one)
    given = ["--autoencoder", str(kl_folder), "--device", "cpu"]
    packed = CliRunner().invoke(
        cli, ["pack", str(one), str(output), "--overfit", "--effort", "1", "--lambda", "5", "--json", *given]
    )
    assert packed.exit_code == 0, packed.output
    values = json.loads(packed.stdout)
    assert values["functions"]["main_steps"] == 131 and values["functions"]["full_main_steps"] == 13_100
    back = CliRunner().invoke(cli, ["unpack", str(output), "--all", "-o", str(tmp_path / "back"), *given])
    assert back.exit_code == 0, back.output
    assert Image.open(tmp_path / "back" / "wide 1.png").size == (70, 44)


def test_a_lambda_means_squared_error_of_pixels(autoencoder: PackagedAutoencoder, pictures: Path) -> None:
    """An error of normalised latents counts about as the square of their scale; the decoder gets another step, too."""
    source = PictureSource(list_folder(pictures, ReadOptions()), ReadOptions())
    latents = autoencoder.encode_pictures([source.picture(2)], 16)
    gains = [squared_gain(autoencoder, latents, scale, 0) for scale in (2.0, 4.0)]
    assert 3 < gains[1] / gains[0] < 8
    assert lambda_of(Target(Goal.RD_LAMBDA, 70.0)) == 70.0
    assert lambda_of(Target(Goal.QUALITY, 30.0)) > lambda_of(Target(Goal.QUALITY, 60.0)) >= 50
