"""Decoding in bfloat16: only on request, and within what the format allows for pictures that are no noise."""

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from unicorn_cli.main import cli
from unicorn_codec import devices
from unicorn_codec.archive import Archive
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

GOLDEN = Path(__file__).parent / "golden"
LEAST_DB = 50.0

ARCHIVES = pytest.mark.parametrize("name", ["codes", "half-size-codes", "light-codes"])


def decoded(name: str, *, fast: bool) -> dict[int, np.ndarray]:
    with Archive.open(GOLDEN / f"{name}.uni", device="cpu", fast=fast) as archive:
        return dict(archive.iterate(archive.indices))


@pytest.fixture
def in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any processor computes in bfloat16, if slowly."""
    monkeypatch.setattr(devices, "has_fast_bfloat16", lambda _: True)


@ARCHIVES
@pytest.mark.usefixtures("in_bfloat16")
def test_fast_pictures_are_close_to_exact_ones(name: str) -> None:
    exact, fast = decoded(name, fast=False), decoded(name, fast=True)
    assert exact.keys() == fast.keys() and len(exact) == 4
    apart = [psnr_db(exact[index], fast[index]) for index in exact]
    assert LEAST_DB < min(apart) < 80
    with Archive.open(GOLDEN / f"{name}.uni", device="cpu", fast=True) as archive:
        archive.check_canaries()


@ARCHIVES
def test_a_device_without_bfloat16_decodes_exactly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_fast_bfloat16", lambda _: False)
    exact, fast = decoded(name, fast=False), decoded(name, fast=True)
    assert all(np.array_equal(exact[index], fast[index]) for index in exact)


@pytest.mark.usefixtures("in_bfloat16")
def test_unpack_decodes_exactly_unless_fast_is_asked_for(tmp_path: Path) -> None:
    written = {}
    for options in ((), ("--fast",)):
        path = tmp_path / f"{len(options)}.png"
        arguments = ["unpack", str(GOLDEN / "codes.uni"), "--index", "0", "-o", str(path), "--device", "cpu", *options]
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        written[options] = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(written[()], decoded("codes", fast=False)[0])
    assert np.array_equal(written["--fast",], decoded("codes", fast=True)[0])


@pytest.mark.parametrize("name", ["photo-1", "light-1"])
def test_the_encoder_in_bfloat16_moves_few_latents(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    autoencoder = PackagedAutoencoder(torch.device("cpu"), name=name)
    picture = np.array(Image.open(GOLDEN / "codes" / "0.png").convert("RGB").resize((128, 96)))
    found = []
    for is_fast in (False, True):
        monkeypatch.setattr(devices, "has_fast_bfloat16", lambda _, is_fast=is_fast: is_fast)
        found.append(autoencoder.encode_pictures([picture], 16))
    assert found[1].dtype == torch.float32
    assert 0 < (found[0] - found[1]).pow(2).mean().sqrt() < 0.05  # latents are rounded to multiples of 1 or more
    assert ((found[0] / 4).round() != (found[1] / 4).round()).float().mean() < 0.01


def test_fast_arithmetic_is_that_of_the_device() -> None:
    cpu = torch.device("cpu")
    ones = torch.ones(2, 2)
    with devices.fast_arithmetic(cpu):
        kind = (ones @ ones).dtype
    assert (kind == torch.bfloat16) == devices.has_fast_bfloat16(cpu)
    assert (ones @ ones).dtype == torch.float32
