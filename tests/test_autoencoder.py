import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.conftest import draw
from unicorn_codec.config import ReadOptions
from unicorn_codec.decoders.loading import check_model
from unicorn_codec.errors import AutoencoderMismatch, AutoencoderUnavailable
from unicorn_codec.pictures.demo_pictures import make_demo_pictures
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.picture_folder import list_folder, read_picture
from unicorn_codec.transform.autoencoder import (
    LEADING_CHANNELS,
    PackagedAutoencoder,
    load_autoencoder,
    weights_of,
)
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder, shuffled, unshuffled

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def packaged() -> PackagedAutoencoder:
    return PackagedAutoencoder(CPU, LEADING_CHANNELS)


def test_leading_channels_reconstruct_pictures(packaged: PackagedAutoencoder, tmp_path: Path) -> None:
    make_demo_pictures(tmp_path, count=4, size=128)
    folder = list_folder(tmp_path, ReadOptions())
    pictures = [read_picture(folder, p, ReadOptions()) for p in folder.pictures]
    latents = packaged.encode_pictures(pictures, 16)
    assert latents.shape == (4, LEADING_CHANNELS, 8, 8)
    decoded = packaged.decode_pictures(latents, 128, 128, 1.0)
    assert min(psnr_db(a, b) for a, b in zip(pictures, decoded, strict=True)) > 24


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 33), (50, 40)])
def test_every_size_is_padded_and_cropped(packaged: PackagedAutoencoder, width: int, height: int) -> None:
    picture = draw(1, width, height)
    latents = packaged.encode_pictures([picture], 16)
    assert latents.shape[2:] == (-(-height // 16), -(-width // 16))
    (decoded,) = packaged.decode_pictures(latents, height, width, 1.0)
    assert decoded.shape == picture.shape and decoded.dtype == np.uint8


def test_pictures_of_a_batch_do_not_mix(packaged: PackagedAutoencoder) -> None:
    pictures = [draw(n, 64, 48) for n in range(3)]
    together = packaged.encode_pictures(pictures, 16)
    alone = torch.cat([packaged.encode_pictures([p], 16) for p in pictures])
    torch.testing.assert_close(together, alone, atol=1e-3, rtol=1e-3)
    for a, b in zip(
        packaged.decode_pictures(together, 48, 64, 1.0),
        [packaged.decode_pictures(one[None], 48, 64, 1.0)[0] for one in alone],
        strict=True,
    ):
        assert psnr_db(a, b) >= 50


def test_pictures_are_yielded_as_they_are_decoded(
    packaged: PackagedAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unicorn_codec.transform.autoencoder.BATCH_PIXELS", {"cpu": 2 * 48 * 64})
    decode, decoded = packaged.decode, list[int]()

    def counted(latents: Tensor, step: float) -> Tensor:
        decoded.append(len(latents))
        return decode(latents, step)

    monkeypatch.setattr(packaged, "decode", counted)
    latents = packaged.encode_pictures([draw(n, 64, 48) for n in range(5)], 16)
    pictures = packaged.iterate_pictures(latents, 48, 64, 1.0)
    first = next(pictures)
    assert decoded == [2]
    assert len([first, *pictures]) == 5 and decoded == [2, 2, 1]


def test_the_decoder_depends_on_the_step(packaged: PackagedAutoencoder) -> None:
    latents = packaged.encode_pictures([draw(1, 64, 64)], 16)
    fine, coarse = (packaged.decode_pictures(latents, 64, 64, step)[0] for step in (1.0, 8.0))
    assert not np.array_equal(fine, coarse)


def test_the_package_carries_at_most_eight_megabytes(packaged: PackagedAutoencoder) -> None:
    assert packaged.reference.weight_bytes <= 8e6


def test_rows_of_integers_are_multiples_of_their_scales() -> None:
    tensors = {
        "a": torch.tensor([[[[1]]], [[[-3]]]], dtype=torch.int8),
        "a.scale": torch.tensor([0.5, 0.25], dtype=torch.float16),
        "b": torch.tensor([1.5], dtype=torch.float16),
    }
    found = weights_of(tensors)
    assert {name: weight.flatten().tolist() for name, weight in found.items()} == {"a": [0.5, -0.75], "b": [1.5]}


def test_the_decoder_of_a_new_network_is_finite_at_every_step() -> None:
    network = CodingAutoencoder(
        latent_channels=8,
        encoder_widths=[8, 8],
        encoder_depths=[1, 1],
        decoder_widths=[8, 8],
        decoder_depths=[1, 1],
        decoder_blocks="residual",
        max_step=12.0,
    )
    steps = torch.tensor([1.0, 3.0, 12.0])
    assert network.decode(torch.randn(3, 8, 4, 4), steps).isfinite().all()


@pytest.mark.parametrize("factor", [2, 3])
def test_a_gpu_shuffles_pixels_as_torch_does_and_leaves_channels_last(factor: int) -> None:
    planes = torch.arange(2 * 36 * 6 * 12).view(2, 36, 6, 12).contiguous(memory_format=torch.channels_last)
    for ours, theirs in ((shuffled, F.pixel_shuffle), (unshuffled, F.pixel_unshuffle)):
        assert torch.equal(ours(planes, factor), theirs(planes, factor))
        assert ours(planes, factor).is_contiguous(memory_format=torch.channels_last)


def test_diffusers_autoencoders_work_from_a_folder(tmp_path: Path) -> None:
    from diffusers import AutoencoderKL, AutoencoderTiny

    torch.manual_seed(0)
    kl = AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    tiny = AutoencoderTiny(
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )
    models: dict[str, Any] = {"kl": kl, "tiny": tiny}
    for name, model in models.items():
        model.save_pretrained(tmp_path / name)
        loaded = load_autoencoder(str(tmp_path / name), CPU)
        assert (loaded.reference.name, loaded.reference.class_name) == (name, type(model).__name__)
        assert (loaded.reference.latent_channels, loaded.reference.downsampling) == (4, 2)
        latents = loaded.encode_pictures([draw(1, 30, 20)], 4)
        assert latents.shape == (1, 4, 10, 16)
        assert loaded.decode_pictures(latents, 20, 30, 1.0)[0].shape == (20, 30, 3)
        again = load_autoencoder(str(tmp_path / name), CPU)
        assert loaded.reference == again.reference


def test_another_autoencoder_or_context_model_is_refused(packaged: PackagedAutoencoder) -> None:
    wanted = packaged.reference
    described: Any = SimpleNamespace(model=wanted.model(bytes(32)))
    check_model(described, [wanted.model(bytes(32)).fingerprint], wanted.name)
    for found in (
        replace(wanted, config_sha256=bytes(32)).model(bytes(32)),
        replace(wanted, weights_sha256=bytes(32)).model(bytes(32)),
        wanted.model(bytes(31) + b"1"),
    ):
        with pytest.raises(AutoencoderMismatch, match=found.fingerprint.hex()[:16]):
            check_model(described, [found.fingerprint], wanted.name)


def test_loading_errors_are_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"}))
    for name in ("no-such-organisation/no-such-model", str(tmp_path / "empty"), str(tmp_path / "other")):
        with pytest.raises(AutoencoderUnavailable) as caught:
            load_autoencoder(name, CPU)
        assert "\n" not in str(caught.value)
