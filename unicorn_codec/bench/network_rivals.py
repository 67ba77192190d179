"""Rivals that are networks: this codec's latents without a context model, COIN, and models of CompressAI.

Needs torch.
"""

import importlib
import importlib.util
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import zstandard
from torch import Tensor, nn

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.rivals import Codec, OneFileEach, Sizes, named
from unicorn_codec.codes.context_model import LARGEST_SYMBOL
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.autoencoder import PackagedAutoencoder

ZSTD_LEVEL = 22

COIN_SHAPES = ((8, 2), (12, 3), (16, 4), (24, 5), (32, 6))
"""Width and number of hidden layers. At 256x256 pixels: 0.03, 0.09, 0.22, 0.62 and 1.34 bits per pixel."""

COIN_PIXELS_TOGETHER = 1 << 14
COIN_LEARNING_RATE = 2e-3
SINE_FREQUENCY = 30.0
"""Frequency of the first layer's sines, and scale of the other layers' weights (SIREN, section 3.2)."""

COMPRESSAI_GRID = 64


@dataclass(frozen=True, kw_only=True)
class RoundedLatents(Codec):
    """The packaged autoencoder's latents, rounded and compressed by zstd: shows the worth of the context model.

    The symbols of all pictures lie channel by channel in one file, low bytes before high ones. That suits zstd, but no
    picture can be decoded by itself. A setting is the logarithm of the step to the base of the coarsest step.
    """

    name: str = "latents-zstd"
    title: str = "rounded latents, zstd"
    settings: Mapping[str, float] = field(
        default_factory=lambda: {f"coarseness {value:g}": value for value in (1, 0.85, 0.7, 0.55, 0.4, 0.2, 0)}
    )
    file_name: ClassVar[str] = "latents.zst"

    def encode(self, pictures: PictureSet, setting: str, folder: Path) -> None:
        autoencoder = _packaged_autoencoder()
        step = float(np.float32(autoencoder.network.max_step ** self.settings[setting]))
        cell = autoencoder.reference.downsampling
        latents = torch.cat([autoencoder.encode_pictures([pixels], cell)[0].flatten(1) for pixels in pictures], dim=1)
        symbols = (latents / step).round().clamp(-LARGEST_SYMBOL, LARGEST_SYMBOL).to(torch.int64).numpy()
        unsigned = np.where(symbols < 0, -2 * symbols - 1, 2 * symbols)
        planes = np.stack([unsigned & 255, unsigned >> 8]).astype(np.uint8)
        packed = zstandard.compress(planes.tobytes(), ZSTD_LEVEL)
        (folder / self.file_name).write_bytes(struct.pack("<f", step) + packed)

    def decode(self, folder: Path, sizes: Sizes) -> Iterator[Pixels]:
        autoencoder, data = _packaged_autoencoder(), (folder / self.file_name).read_bytes()
        cell, channels = autoencoder.reference.downsampling, autoencoder.reference.latent_channels
        (step,) = struct.unpack_from("<f", data)
        low, high = np.frombuffer(zstandard.decompress(data[4:]), np.uint8).reshape(2, channels, -1).astype(np.int64)
        unsigned, start = low + 256 * high, 0
        latents = torch.from_numpy(np.where(unsigned & 1, -(unsigned + 1) // 2, unsigned // 2)).float() * step
        for width, height in sizes:
            rows, columns = -(-height // cell), -(-width // cell)
            own = latents[:, start : start + rows * columns].reshape(1, channels, rows, columns)
            yield autoencoder.decode_pictures(own, height, width, step)[0]
            start += rows * columns


@dataclass(frozen=True, kw_only=True)
class Coin(OneFileEach):
    """COIN (Dupont et al. 2021): for each picture a sine network from coordinates to colours, with float16 weights.

    A setting is the width and the number of hidden layers. The original trains for 50,000 steps per picture.

    Args:
        steps: of Adam per picture.
    """

    name: str = "coin"
    title: str = "COIN"
    settings: Mapping[str, tuple[int, int]] = field(
        default_factory=lambda: {f"{layers} layers of {width}": (width, layers) for width, layers in COIN_SHAPES}
    )
    suffix: ClassVar[str] = ".coin"
    steps: int = 1000
    most_pictures: int | None = 4
    seed: int = 0

    @property
    def note(self) -> str:  # type: ignore[override]
        return f"{self.steps:,} training steps a picture"

    def encode_picture(self, pixels: Pixels, quality: tuple[int, int]) -> bytes:
        generator = torch.Generator().manual_seed(self.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            network = sine_network(*quality)
        places, colours = coordinates(*pixels.shape[:2]), torch.from_numpy(pixels.reshape(-1, 3) / np.float32(255))
        optimizer = torch.optim.Adam(network.parameters(), COIN_LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
        for _ in range(self.steps):
            chosen = torch.randint(len(places), (min(len(places), COIN_PIXELS_TOGETHER),), generator=generator)
            loss = (network(places[chosen]) - colours[chosen]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        weights = nn.utils.parameters_to_vector(network.parameters()).detach().numpy()
        return bytes(quality) + weights.astype("<f2").tobytes()

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        network = sine_network(data[0], data[1])
        weights = torch.from_numpy(np.frombuffer(data, "<f2", offset=2).astype(np.float32))
        nn.utils.vector_to_parameters(weights, network.parameters())
        with torch.inference_mode():
            colours = network(coordinates(size[1], size[0])).clamp(0, 1) * 255
        pixels: Pixels = colours.round().to(torch.uint8).reshape(size[1], size[0], 3).numpy()
        return pixels


class Sine(nn.Module):
    """Activation sin(30 x)."""

    def forward(self, values: Tensor) -> Tensor:
        return torch.sin(SINE_FREQUENCY * values)


def sine_network(width: int, layers: int) -> nn.Sequential:
    """Return a network from (N, 2) coordinates to (N, 3) colours, initialised as in SIREN."""
    parts: list[nn.Module] = []
    for inputs in (2, *[width] * (layers - 1)):
        linear = nn.Linear(inputs, width)
        bound = 1 / inputs if not parts else math.sqrt(6 / inputs) / SINE_FREQUENCY
        nn.init.uniform_(linear.weight, -bound, bound)
        parts += [linear, Sine()]
    return nn.Sequential(*parts, nn.Linear(width, 3))


def coordinates(height: int, width: int) -> Tensor:
    """Return the coordinates of pixels in [-1, 1], (height x width, 2), row by row."""
    rows, columns = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(-1, 2)


@dataclass(frozen=True, kw_only=True)
class CompressAi(OneFileEach):
    """A model of CompressAI whose weights are in torch's download folder already. A setting is its quality.

    Args:
        model: its name in ``compressai.zoo``.
        stem: start of the names of its weight files, before the quality.
    """

    name: str
    title: str
    model: str
    stem: str
    settings: Mapping[str, int] = field(default_factory=lambda: named("quality", 1, 2, 3, 4, 5, 6))
    suffix: ClassVar[str] = ".bin"

    def missing(self, sizes: Sizes) -> str | None:
        if importlib.util.find_spec("compressai") is None:
            return "the package compressai is not installed"
        downloads = Path(torch.hub.get_dir()) / "checkpoints"
        absent = [q for q in self.settings.values() if not any(downloads.glob(f"{self.stem}-{q}-*.pth.tar"))]
        return f"no weights {self.stem} of quality {absent[0]} in {downloads}" if absent else None

    def encode_picture(self, pixels: Pixels, quality: int) -> bytes:
        height, width, _ = pixels.shape
        filled = ((0, -height % COMPRESSAI_GRID), (0, -width % COMPRESSAI_GRID), (0, 0))
        planes = np.pad(pixels, filled, mode="edge").transpose(2, 0, 1).astype(np.float32) / 255
        with torch.inference_mode():
            strings = _compressai(self.model, quality).compress(torch.from_numpy(planes)[None])["strings"]
        return bytes([quality]) + b"".join(struct.pack("<I", len(string)) + string for (string,) in strings)

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        strings, at = [], 1
        while at < len(data):
            (length,) = struct.unpack_from("<I", data, at)
            strings.append([data[at + 4 : at + 4 + length]])
            at += 4 + length
        width, height = size
        shape = (-(-height // COMPRESSAI_GRID), -(-width // COMPRESSAI_GRID))  # shape of the hyperprior's latents
        with torch.inference_mode():
            decoded = _compressai(self.model, data[0]).decompress(strings, shape)["x_hat"][0, :, :height, :width]
        pixels: Pixels = (decoded.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return pixels


def network_rivals(seed: int) -> list[Codec]:
    """Return every rival that needs torch."""
    balle, cheng = "mbt2018-mean", "cheng2020-anchor"
    return [
        RoundedLatents(),
        Coin(seed=seed),
        CompressAi(name=balle, title="mean-scale hyperprior", model="mbt2018_mean", stem=balle),
        CompressAi(name=cheng, title="Cheng 2020", model="cheng2020_anchor", stem=cheng),
    ]


@cache
def _packaged_autoencoder() -> PackagedAutoencoder:
    return PackagedAutoencoder(torch.device("cpu"))


@cache
def _compressai(model: str, quality: int) -> Any:
    network = getattr(importlib.import_module("compressai.zoo"), model)(quality=quality, pretrained=True).eval()
    network.update()
    return network
