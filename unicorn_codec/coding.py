"""Packing into codes: latents are quantised and entropy-coded; the step follows from the wanted size.

pack_into_codes: choose_step > encode_batches > quantise_latents > encode_images > hold_quality
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from unicorn_codec.autoencoder import Autoencoder, EmbeddedAutoencoder
from unicorn_codec.classic import check_avif
from unicorn_codec.code_model import CodeModel, level_of, load_code_model
from unicorn_codec.code_table import Codes
from unicorn_codec.codes import LARGEST, encode_images
from unicorn_codec.config import Header, PackOptions, ReadOptions, check
from unicorn_codec.container import Container
from unicorn_codec.decoding import CodeDecoder
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.guarantee import Guarantee
from unicorn_codec.images import Folder
from unicorn_codec.latent_set import encode_batches
from unicorn_codec.picture_table import serialize_names, serialize_sizes
from unicorn_codec.reports import Observer

SAMPLE_IMAGES = 48
TOLERANCE = 0.01
ROUNDS = 8
CORRECTIONS = 2
MOST_EXCESS = 0.03
"""Part of the wanted bytes that a file may have more, before the step is chosen again."""


def pack_into_codes(pictures: Folder, autoencoder: Autoencoder, options: PackOptions, observer: Observer) -> Container:
    """Every image in a code of its own.

    Raises:
        InvalidSetting: no step gives the wanted size, or the step is too coarse.
        PackageMissing: a picture needs AVIF, which this Pillow has not.
    """
    assert isinstance(autoencoder, EmbeddedAutoencoder), "the options ask for no other one"
    if options.guarantees_quality:
        check_avif()  # what cannot be done must not wait for the end
    observer.found(pictures, None)
    coder = FolderCoder(pictures, options.read, autoencoder, load_code_model())
    wanted_bytes = options.target_bytes(pictures.pixels)
    container = code_folder(coder, options, wanted_bytes, observer)
    return hold_quality(coder, options, container, observer) if options.guarantees_quality else container


def code_folder(
    coder: "FolderCoder", options: PackOptions, wanted_bytes: float | None, observer: Observer
) -> Container:
    """All pictures in latents, of the wanted bytes or, without any, of the wanted step."""
    coarsest = coder.autoencoder.network.max_step
    if wanted_bytes is None:
        step = options.latent_step or 1.0
        check(step <= coarsest, f"the quantisation step is at most {coarsest:g}, not {step:g}")
        codes = coder.encode(step, observer.of_stage("coding"))
    else:
        step, codes = fit_codes(coder, wanted_bytes, coarsest, observer)
    pictures = coder.pictures
    header = Header(
        images=len(pictures.pictures),
        seed=options.seed,
        latent_step=step,
        autoencoder=coder.autoencoder.reference,
        denoising=None,
    )
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, codes=codes)


def hold_quality(coder: "FolderCoder", options: PackOptions, container: Container, observer: Observer) -> Container:
    """The container with every picture of too low a quality stored by AVIF.

    If that makes the file larger than wanted, the others get a coarser step, where there is one that helps.
    """
    guarantee = Guarantee(pictures=coder.pictures, options=options)
    held = held_by(guarantee, coder, container, observer)
    wanted_bytes = room = options.target_bytes(coder.pictures.pixels)
    for _ in range(CORRECTIONS):
        if wanted_bytes is None or room is None or bytes_of(coder, held) <= wanted_bytes * (1 + MOST_EXCESS):
            break
        room -= bytes_of(coder, held) - wanted_bytes
        try:
            coarser = code_folder(coder, options, room, observer)
        except InvalidSetting:  # not even the coarsest step leaves room for the pictures in AVIF: the report says so
            break
        held = min(held, held_by(guarantee, coder, coarser, observer), key=lambda one: bytes_of(coder, one))
    return held


def held_by(guarantee: Guarantee, coder: "FolderCoder", container: Container, observer: Observer) -> Container:
    """A container with the codes that a guarantee asks for."""
    assert container.codes is not None, "there is no guarantee for networks"
    decoder = CodeDecoder(
        header=container.header,
        codes=container.codes,
        positions=np.arange(container.header.images),
        autoencoder=coder.autoencoder,
        model=coder.model,
    )
    return replace(container, codes=guarantee.hold(decoder, observer.of_stage("judging")))


def bytes_of(coder: "FolderCoder", container: Container) -> int:
    """Bytes of a container's file, about."""
    assert container.codes is not None
    return overhead_of(coder.pictures) + sum(map(len, container.codes.streams))


@dataclass(frozen=True, slots=True)
class FolderCoder:
    """A folder and what codes it. Latents are made anew for every coding: they would not fit into memory."""

    pictures: Folder
    read: ReadOptions
    autoencoder: EmbeddedAutoencoder
    model: CodeModel

    def encode(self, step: float, progress: Callable[[int, int], None]) -> Codes:
        """Codes of all pictures, by position."""
        streams: list[bytes] = [b""] * len(self.pictures.pictures)
        for batch, latents in self.batches(range(len(streams)), progress):
            for position, stream in zip(batch, encode_latents(self.model, latents, step), strict=True):
                streams[position] = stream
        return Codes(level=level_of(step), model_sha256=self.model.sha256, streams=tuple(streams))

    def sample(self, progress: Callable[[int, int], None]) -> tuple[list[Tensor], float]:
        """Latents of some pictures, evenly from the folder, and the part of its pixels that they are."""
        count = len(self.pictures.pictures)
        positions = range(0, count, -(-count // SAMPLE_IMAGES))
        pixels = sum(self.pictures.pictures[p].width * self.pictures.pictures[p].height for p in positions)
        return [latents for _, latents in self.batches(positions, progress)], pixels / self.pictures.pixels

    def batches(
        self, positions: Sequence[int], progress: Callable[[int, int], None]
    ) -> Iterator[tuple[list[int], Tensor]]:
        multiple = self.autoencoder.reference.downsampling
        return encode_batches(self.pictures, positions, self.read, self.autoencoder, multiple, progress)


def overhead_of(pictures: Folder) -> int:
    """Bytes of an archive's file beside its codes, about: names, sizes, the codes' lengths."""
    images = len(pictures.pictures)
    names = len(serialize_names(pictures.names, images)) + len(serialize_sizes(pictures.sizes, images))
    return names + 348 + 22 * images // 8  # beside the rest, a length and a PSNR each


def quantise_latents(latents: Tensor, step: float) -> np.ndarray:
    """(..., C, h, w) raw latents to symbols, int64; the inverse, up to rounding, is a multiplication by the step."""
    # Rounding down more (a dead zone) was measured: it loses more distortion than it saves bits.
    return (latents / step).round().clamp(-LARGEST, LARGEST).numpy().astype(np.int64)


def encode_latents(model: CodeModel, latents: Tensor, step: float) -> list[bytes]:
    """Code of each of (N, C, h, w) raw latents."""
    return encode_images(model, level_of(step), quantise_latents(latents, step))


def choose_step(
    coder: FolderCoder, wanted_bytes: float, coarsest: float, progress: Callable[[int, int], None]
) -> float:
    """Quantisation step at which the file has the wanted bytes, or 1, the finest, where that takes less.

    Searched on a sample of the pictures, by really coding them.

    Raises:
        InvalidSetting: even the coarsest step takes more.
    """
    batches, share = coder.sample(progress)
    overhead = overhead_of(coder.pictures)

    def whole(step: float) -> float:
        codes = [code for latents in batches for code in encode_latents(coder.model, latents, step)]
        return overhead + sum(map(len, codes)) / share

    if wanted_bytes >= whole(1.0):
        return 1.0
    smallest = whole(coarsest)
    if wanted_bytes < smallest * (1 - 3 * TOLERANCE):
        least, wanted = (8 * size / coder.pictures.pixels for size in (smallest, wanted_bytes))
        raise InvalidSetting(
            f"these pictures take at least about {smallest:.0f} bytes ({least:.3f} bits per pixel), "
            f"not {wanted_bytes:.0f} ({wanted:.3f})"
        )
    low, high = 0.0, math.log(coarsest)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if whole(math.exp(middle)) < wanted_bytes else (middle, high)
    return math.exp((low + high) / 2)


def fit_codes(coder: FolderCoder, wanted_bytes: float, coarsest: float, observer: Observer) -> tuple[float, Codes]:
    """Step and codes with which the file has the wanted bytes, within ``TOLERANCE`` where a step can do so."""
    step = choose_step(coder, wanted_bytes, coarsest, observer.of_stage("probing"))
    codes = coder.encode(step, observer.of_stage("coding"))
    for _ in range(CORRECTIONS):
        found = overhead_of(coder.pictures) + sum(map(len, codes.streams))
        # The size falls about as the step's power of -1, where most values are zero.
        better = min(coarsest, max(1.0, step * found / wanted_bytes))
        if abs(found / wanted_bytes - 1) <= TOLERANCE or better == step:
            break
        step, codes = better, coder.encode(better, observer.of_stage("coding"))
    return step, codes
