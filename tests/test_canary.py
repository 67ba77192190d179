"""A decoder that computes something else is found out; one that rounds otherwise is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.conftest import by_position, draw
from unicorn_cli.main import cli
from unicorn_codec import archive as library
from unicorn_codec.archive import Archive
from unicorn_codec.errors import CanaryWarning, DecoderMismatch, InvalidSetting, PictureTooLarge
from unicorn_codec.format.canary import Canary, block_sums
from unicorn_codec.packing.archive_writing import read_packed, write_packed
from unicorn_codec.packing.reports import PackReport
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, Steps
from unicorn_codec.verification import verify


def canary_of(pixels: np.ndarray) -> Canary:
    return Canary(index=0, sums=block_sums(pixels))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 9), (50, 40), (257, 16)])
def test_rounding_is_forgiven_and_another_picture_is_not(width: int, height: int) -> None:
    picture = draw(0, width, height)
    canary = canary_of(picture)
    off_by_one = np.clip(picture + np.random.default_rng(0).integers(-1, 2, picture.shape), 0, 255).astype(np.uint8)
    assert canary.agrees(picture) and canary.agrees(off_by_one)
    for other in (draw(1, width, height), 255 - picture, np.clip(picture.astype(int) + 3, 0, 255).astype(np.uint8)):
        assert not canary.agrees(other)


@pytest.mark.parametrize("change", [np.flipud, np.fliplr, lambda p: p[..., ::-1], lambda p: np.roll(p, 2, 1)])
def test_what_lies_elsewhere_is_another_picture(change: object) -> None:
    picture = draw(0, 50, 40)
    assert not canary_of(picture).agrees(change(picture))  # type: ignore[operator]


def test_sums_that_no_picture_has() -> None:
    with pytest.raises(InvalidSetting, match="4081"):
        Canary(index=0, sums=(4081,) * 16)
    with pytest.raises(InvalidSetting, match="15"):
        Canary(index=0, sums=(0,) * 15)


@pytest.mark.parametrize("mode", ["packed", "coded"])
def test_packing_tells_what_the_first_picture_decodes_to(mode: str, request: pytest.FixtureRequest) -> None:
    archive = Archive.open(request.getfixturevalue(mode)[0], device="cpu")
    assert Canary(index=0, sums=block_sums(np.asarray(archive[0]))) in archive.canaries
    archive.check_canaries()


class Changed(PackagedAutoencoder):
    """Weights, and so hashes, are right; the arithmetic is not."""

    def decode(self, latents: torch.Tensor, step: Steps) -> torch.Tensor:
        return super().decode(latents, step) * 0.9


@pytest.fixture
def changed_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "load_autoencoder", lambda name, device, channels: Changed(device, channels))


@pytest.mark.usefixtures("changed_library")
def test_a_changed_library_is_a_warning_and_to_a_verifier_an_error(
    coded: tuple[Path, PackReport], folder: Path, tmp_path: Path
) -> None:
    archive = Archive.open(coded[0], device="cpu")
    with pytest.warns(CanaryWarning, match="other pixels than when the archive was packed"):
        list(archive.iterate(range(len(archive))))
    with pytest.raises(DecoderMismatch):
        verify(coded[0], folder, device="cpu")
    result = CliRunner().invoke(cli, ["verify", str(coded[0])])
    assert result.exit_code == 1 and result.stderr.startswith("unicorn: error: picture 0 decodes to other pixels")
    assert result.stderr.count("\n") == 1
    result = CliRunner().invoke(cli, ["unpack", str(coded[0]), "--all", "-o", str(tmp_path / "all")])
    assert result.exit_code == 0 and "unicorn: warning: picture 0 decodes to other pixels" in result.stderr
    result = CliRunner().invoke(cli, ["unpack", str(coded[0]), "--index", "1", "-o", str(tmp_path / "1.png")])
    assert "warning" not in result.stderr, "its picture was not decoded"


def test_verifying_without_the_autoencoder_says_so(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(coded[0])
    named = replace(container.header.autoencoder, name="someone/something")
    path = tmp_path / "named.uni"
    renamed = replace(container, header=replace(container.header, autoencoder=named))
    write_packed(path, renamed, canaries=Archive.open(coded[0]).canaries)
    result = CliRunner().invoke(cli, ["verify", str(path)])
    assert result.exit_code == 0 and "intact" in result.stdout
    assert "unicorn: warning: no picture was decoded: this archive needs the autoencoder" in result.stderr


# The limit of pixels


def test_a_code_of_one_byte_cannot_claim_a_huge_picture(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    container = read_packed(coded[0])
    assert container.codes is not None
    streams = (b"\0", *container.codes.streams[1:])
    sizes = container.sizes.copy()
    sizes[0] = (1 << 14, 1 << 14)
    path = tmp_path / "bomb.uni"
    write_packed(path, replace(container, sizes=sizes, codes=replace(container.codes, streams=streams)))
    archive = Archive.open(path, device="cpu")
    huge, other, *_ = by_position(archive)
    with pytest.raises(PictureTooLarge, match="16384x16384 pixels, the limit is 134217728"):
        archive[huge]
    assert archive[other].size == archive.size(other), "the others come back"
    result = CliRunner().invoke(cli, ["unpack", str(path), "--all", "-o", str(tmp_path / "all")])
    assert result.exit_code == 1 and "--max-pixels" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "all").exists()


def test_the_limit_of_pixels_is_the_callers(coded: tuple[Path, PackReport], tmp_path: Path) -> None:
    pixels = [width * height for width, height in map(Archive.open(coded[0]).size, range(6))]
    with pytest.raises(PictureTooLarge):
        Archive.open(coded[0], max_pixels=max(pixels) - 1).decode(range(6))
    assert len(Archive.open(coded[0], max_pixels=max(pixels)).decode(range(6))) == 6
    arguments = ["unpack", str(coded[0]), "--index", "0", "-o", str(tmp_path / "0.png"), "--max-pixels"]
    assert CliRunner().invoke(cli, [*arguments, "100"]).exit_code == 1
    assert CliRunner().invoke(cli, [*arguments, "10000"]).exit_code == 0
