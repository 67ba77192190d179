"""Pictures <-> latents by a frozen autoencoder. The only module that imports diffusers.

The packaged autoencoder (``CodingAutoencoder``) needs no download. Any autoencoder of diffusers with the usual
interface works too, by hub name or local folder.
"""

import copy
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from unicorn_codec.concurrency import check_cancelled
from unicorn_codec.devices import fast_arithmetic, map_in_workers
from unicorn_codec.errors import AutoencoderUnavailable
from unicorn_codec.format.header import AutoencoderReference
from unicorn_codec.freed_memory import return_freed_memory
from unicorn_codec.model_registry import AUTOENCODER, default_name, get_model, names
from unicorn_codec.transform.bands import Bands, Chain, Local, Whole, in_bands
from unicorn_codec.transform.coding_autoencoder import CodingAutoencoder
from unicorn_codec.transform.resampling import DOUBLING_REACH, double
from unicorn_codec.transform.spans import Span, spans

SCALE_SUFFIX = ".scale"
"""Suffix of a kernel's name that names the scales of its rows."""

LEADING_CHANNELS = 16
"""Channels that an index-only archive keeps of the packaged autoencoder: as many values as 4 channels at 1/8."""

BATCH_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 20}
"""Pixels that are encoded or decoded together. Bounds the memory of the network's activations."""

WHOLE_PIXELS, BAND_PIXELS = 1 << 21, 1 << 18
"""Pictures of up to so many pixels are computed in one piece, and larger ones in bands of up to so many, which do not
depend on the number of cores, so that results do not."""

Steps = float | Tensor
"""Quantisation step of latents, or (N, h, w) those of their cells."""


class Autoencoder(ABC):
    """A frozen autoencoder: (N, 3, H, W) in [-1, 1] <-> raw latents (N, C, H / d, W / d), float32."""

    reference: AutoencoderReference
    device: torch.device

    @abstractmethod
    def encode(self, pictures: Tensor) -> Tensor:
        """Encode pictures whose sides are multiples of the downsampling. Returns latents (posterior means)."""

    @abstractmethod
    def decode(self, latents: Tensor, step: Steps) -> Tensor:
        """Decode latents to pictures, not clamped. ``step`` is their quantisation step (1: as encoded)."""

    def band_encoder(self) -> Bands:
        """Return a new ``encode`` of bands of rows."""
        return Whole(self.encode)

    def band_decoder(self, step: Steps) -> Bands:
        """Return a new ``decode`` of bands of rows. ``step`` is that of all latents, or of the cells of all rows."""
        return Whole(partial(self.decode, step=step))

    def encode_pictures(self, pictures: Sequence[np.ndarray], multiple: int) -> Tensor:
        """Encode pictures of one size.

        Args:
            pictures: uint8 (H, W, 3) each. Edges are repeated up to the next ``multiple`` of pixels.

        Returns:
            (N, C, h, w) float32 on the CPU.
        """
        height, width = pictures[0].shape[:2]
        padded = height + -height % multiple, width + -width % multiple
        together = self.pictures_at_once(height, width)

        def encode(start: int) -> Tensor:
            some = pictures[start : start + together]
            batch = some[0][None] if len(some) == 1 else np.stack(some)  # a large picture is not copied
            return self._encode_batch(batch, *padded)

        starts = range(0, len(pictures), together)
        encoded = list(map_in_workers(encode, starts, self.device, pixels=together * height * width))
        return encoded[0] if len(encoded) == 1 else torch.cat(encoded)

    def pictures_at_once(self, height: int, width: int) -> int:
        """Return how many pictures of a size go through the network together."""
        return max(1, BATCH_PIXELS[self.device.type] // (height * width))

    def _encode_batch(self, pixels: np.ndarray, height: int, width: int) -> Tensor:
        """Encode pixels (N, H, W, 3) uint8, padded to a height and width, to latents (N, C, h, w)."""
        cell = self.reference.downsampling
        latents = torch.empty(len(pixels), self.reference.latent_channels, height // cell, width // cell)
        pixels_of_all = latents[:, 0].numel() * cell**2
        encoder, done = self.band_encoder() if pixels_of_all > WHOLE_PIXELS else Whole(self.encode), 0
        for band in self._bands(height // cell, width * cell, pixels_of_all):
            cut = _padded_cut(pixels, band.output(cell), slice(0, width))
            rows = torch.from_numpy(cut).to(self.device).permute(0, 3, 1, 2)  # the whole is not copied for its padding
            with torch.inference_mode():
                made = encoder.push(rows.float() / 127.5 - 1, last=band.stop * cell == height).float()
            start, done = done, done + made.shape[2]
            if start < done:
                latents[:, :, start:done] = made.cpu()
        return latents

    def _bands(self, rows: int, pixels_of_row: int, pixels: int) -> Iterator[Span]:
        """Yield the bands of rows in which pictures of so many pixels in all are computed."""
        if pixels <= WHOLE_PIXELS:
            yield from spans(rows, rows, 0)
            return
        for band in spans(rows, max(1, BAND_PIXELS // pixels_of_row), 0):
            check_cancelled()
            yield band
        return_freed_memory()

    def decode_pictures(
        self, latents: Tensor, height: int, width: int, step: Steps, *, half: bool = False, fast: bool = False
    ) -> list[np.ndarray]:
        """Decode raw latents and crop the padding. Returns uint8 (height, width, 3) each.

        Args:
            step: quantisation step of the latents, or those of their cells.
            half: the latents are of pictures at half size.
            fast: compute by ``fast_arithmetic``.
        """
        return list(self.iterate_pictures(latents, height, width, step, half=half, fast=fast))

    def iterate_pictures(
        self, latents: Tensor, height: int, width: int, step: Steps, *, half: bool = False, fast: bool = False
    ) -> Iterator[np.ndarray]:
        """Decode like ``decode_pictures``, and yield each picture as soon as it is ready."""
        together = self.pictures_at_once(height, width)

        def decode(batch: tuple[Tensor, Steps]) -> np.ndarray:
            return self._decode_batch(*batch, height, width, half=half, fast=fast)

        parts, pixels = latents.split(together), together * height * width
        batches = zip(parts, step.split(together) if isinstance(step, Tensor) else repeat(step), strict=False)
        with closing(map_in_workers(decode, batches, self.device, pixels=pixels)) as decoded:
            for pictures in decoded:
                yield from pictures

    def _decode_batch(
        self, latents: Tensor, step: Steps, height: int, width: int, *, half: bool, fast: bool
    ) -> np.ndarray:
        """Decode latents to (N, height, width, 3) uint8."""
        cell = self.reference.downsampling * (2 if half else 1)
        pictures = np.empty((len(latents), height, width, 3), np.uint8)
        rows, columns = latents.shape[2:]
        pixels_of_all = pictures[..., 0].size
        decoder = self.band_decoder(step) if pixels_of_all > WHOLE_PIXELS else Whole(partial(self.decode, step=step))
        doubled, done = Local(double, DOUBLING_REACH, 2), 0
        for band in self._bands(rows, columns * cell**2, pixels_of_all):
            is_last = band.stop == rows
            with torch.inference_mode(), fast_arithmetic(self.device) if fast else nullcontext():  # of this thread
                decoded = decoder.push(latents[:, :, band.output(1)].to(self.device), last=is_last).float()
            with torch.inference_mode():
                if half and decoded.shape[2]:
                    decoded = doubled.push(decoded, last=is_last)
                start, done = done, done + decoded.shape[2]
                if start == done:
                    continue
                pixels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            target = pictures[:, start:done]  # cropped where the picture ends
            target[:] = pixels.permute(0, 2, 3, 1).cpu().numpy()[:, : target.shape[1], : target.shape[2]]
        return pictures


def _padded_cut(pixels: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Return a part of pictures (N, H, W, 3) whose edges are repeated where the part ends beyond them."""
    cut = pixels[:, rows, columns]
    below, right = rows.stop - rows.start - cut.shape[1], columns.stop - columns.start - cut.shape[2]
    return np.pad(cut, ((0, 0), (0, below), (0, right), (0, 0)), mode="edge") if below or right else cut


class PackagedAutoencoder(Autoencoder):
    """An autoencoder of the package. An archive may keep only its leading channels."""

    def __init__(self, device: torch.device, channels: int | None = None, *, name: str | None = None) -> None:
        model = get_model(AUTOENCODER, name)
        tensors = load_safetensors(model.read())
        self.device = device
        with torch.device("meta"):  # random weights would only be replaced
            self.network = CodingAutoencoder(**model.config)
        self.network.load_state_dict(weights_of(tensors), assign=True)
        self.network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
        self.channels = min(channels or self.network.latent_channels, self.network.latent_channels)
        self.reference = reference_of(
            model.name,
            self.network,
            tensors,
            model.config,
            channels=self.channels,
            downsampling=self.network.downsampling,
        )

    def with_network(self, parameters: Mapping[str, Tensor]) -> "PackagedAutoencoder":
        """Return this autoencoder with other parameters of its network."""
        other = copy.copy(self)
        other.network = copy.deepcopy(self.network)
        other.network.load_state_dict(dict(parameters))
        return other

    def encode(self, pictures: Tensor) -> Tensor:
        with fast_arithmetic(self.device):  # latents are rounded more coarsely
            return self.network.encode(pictures.contiguous(memory_format=torch.channels_last))[:, : self.channels]

    def decode(self, latents: Tensor, step: Steps) -> Tensor:
        return self.network.decoder(self.decoder_input(latents, step))

    def band_encoder(self) -> Bands:
        return _BandEncoder(self)

    def band_decoder(self, step: Steps) -> Bands:
        return Chain([_DecoderInput(self, step), in_bands(self.network.decoder)])

    def decoder_input(self, latents: Tensor, step: Steps) -> Tensor:
        """Return what the decoder's layers get of latents (N, C, h, w)."""
        missing = self.network.latent_channels - latents.shape[1]
        latents = F.pad(latents, (0, 0, 0, 0, 0, missing)).contiguous(memory_format=torch.channels_last)
        if not isinstance(step, Tensor):
            step = torch.full((len(latents),), step, device=latents.device)
        return self.network.with_step(latents, step.to(latents.device))


class _BandEncoder(Bands):
    """``PackagedAutoencoder.encode`` of bands."""

    def __init__(self, autoencoder: PackagedAutoencoder) -> None:
        self._autoencoder, self._layers = autoencoder, in_bands(autoencoder.network.encoder)

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        with fast_arithmetic(rows.device):
            made = self._layers.push(rows.contiguous(memory_format=torch.channels_last), last=last)
        return made[:, : self._autoencoder.channels]


class _DecoderInput(Bands):
    """``PackagedAutoencoder.decoder_input`` of bands."""

    def __init__(self, autoencoder: PackagedAutoencoder, step: Steps) -> None:
        self._autoencoder, self._step, self._done = autoencoder, step, 0

    def push(self, rows: Tensor, *, last: bool) -> Tensor:
        start, self._done = self._done, self._done + rows.shape[2]
        step = self._step[:, start : self._done] if isinstance(self._step, Tensor) else self._step
        return self._autoencoder.decoder_input(rows, step)


def weights_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the float32 weights of a packaged autoencoder, stored as float16, or as int8 with a scale per row."""
    weights = {}
    for name, tensor in tensors.items():
        if not name.endswith(SCALE_SUFFIX):
            scale = tensors.get(name + SCALE_SUFFIX)
            weights[name] = tensor.float() if scale is None else tensor.float() * scale.float().view(-1, 1, 1, 1)
    return weights


class DiffusersAutoencoder(Autoencoder):
    """An autoencoder of diffusers. The archive's normalisation replaces its scale and shift."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.device = device
        self.network = load_diffusers(name).to(device).eval().requires_grad_(False)
        self.network.to(torch.float32)
        config = {k: v for k, v in self.network.config.items() if not k.startswith("_")}
        with torch.inference_mode():
            sample = self.encode(torch.zeros(1, 3, 64, 64, device=device))
        self.reference = reference_of(
            Path(name).name if Path(name).is_dir() else name,
            self.network,
            self.network.state_dict(),
            config,
            channels=sample.shape[1],
            downsampling=64 // sample.shape[2],
        )

    def encode(self, pictures: Tensor) -> Tensor:
        encoded = self.network.encode(pictures)
        # AutoencoderKL returns a distribution, deterministic autoencoders plain latents.
        return encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else _plain_latents(encoded)

    def decode(self, latents: Tensor, step: Steps) -> Tensor:
        return self.network.decode(latents).sample


def _plain_latents(encoded: Any) -> Tensor:
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent


LOADING_ERRORS = (OSError, ValueError, AttributeError, ImportError, KeyError, TypeError, RuntimeError, SafetensorError)
"""Exceptions of diffusers for folders and names without a model, or with a broken one."""


def load_diffusers(name: str) -> Any:
    """Load an autoencoder of diffusers from a folder or by hub name.

    Raises:
        AutoencoderUnavailable: there is no such folder or name, or it holds no autoencoder.
    """
    import diffusers

    try:
        model = diffusers.AutoModel.from_pretrained(name, use_safetensors=True)
    except LOADING_ERRORS as error:
        raise AutoencoderUnavailable(
            f"{name}: cannot load an autoencoder ({str(error).strip().splitlines()[0]}): give {default_name()!r}, "
            "a folder with config.json and safetensors weights, or a hub name (needs a connection)"
        ) from error
    if not hasattr(model, "encode") or not hasattr(model, "decode"):
        raise AutoencoderUnavailable(f"{name}: {type(model).__name__} is not an autoencoder")
    return model


def reference_of(
    name: str,
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    channels: int,
    downsampling: int,
) -> AutoencoderReference:
    """Return the name, hashes and shape of an autoencoder.

    The hash of the weights covers name, type, shape and bytes of every tensor in the order of their names: it is the
    same for the same weights in any file.
    """
    digest = hashlib.sha256()
    for key in sorted(tensors):
        tensor = tensors[key].detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return AutoencoderReference(
        name=name,
        class_name=type(network).__name__,
        weights_sha256=digest.digest(),
        config_sha256=hashlib.sha256(json.dumps(config, sort_keys=True).encode()).digest(),
        weight_bytes=sum(t.numel() * t.element_size() for t in tensors.values()),
        latent_channels=channels,
        downsampling=downsampling,
    )


def load_autoencoder(name: str, device: torch.device, channels: int | None = None) -> Autoencoder:
    """Load an autoencoder of the package by name, or one of diffusers by folder or hub name.

    Args:
        channels: latent channels to keep of a packaged one. None: all.
    """
    if name in names(AUTOENCODER):
        return PackagedAutoencoder(device, channels, name=name)
    return DiffusersAutoencoder(name, device)
