"""Packing into codes: latents are quantised and entropy-coded; the step follows from the wanted size.

pack_into_codes: SizeCurve > encode_batches > quantise_latents > encode_images
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from unicorn_codec.autoencoder import Autoencoder, EmbeddedAutoencoder
from unicorn_codec.code_model import CodeModel, level_of, load_code_model
from unicorn_codec.code_table import Codes
from unicorn_codec.codes import LARGEST, encode_images
from unicorn_codec.config import Header, PackOptions, ReadOptions, check
from unicorn_codec.container import Container
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.images import Folder
from unicorn_codec.latent_set import encode_batches
from unicorn_codec.picture_table import serialize_names, serialize_sizes
from unicorn_codec.reports import Observer

SAMPLE_IMAGES = 48
TOLERANCE = 0.01
ROUNDS = 6
CORRECTIONS = 2
KEPT_BYTES = 1 << 28
"""Latents that are kept for another coding, at most."""


def pack_into_codes(pictures: Folder, autoencoder: Autoencoder, options: PackOptions, observer: Observer) -> Container:
    """Every image in a code of its own.

    Raises:
        InvalidSetting: no step gives the wanted size, or the step is too coarse.
    """
    assert isinstance(autoencoder, EmbeddedAutoencoder), "the options ask for no other one"
    observer.found(pictures, None)
    coder = FolderCoder(pictures, options.read, autoencoder, load_code_model())
    coarsest = autoencoder.network.max_step
    file_bytes = options.target_bytes(pictures.pixels)
    if file_bytes is None:
        step = options.latent_step or 1.0
        check(step <= coarsest, f"the quantisation step is at most {coarsest:g}, not {step:g}")
        codes = coder.encode(step, observer.of_stage("coding"))
    else:
        step, codes = fit_codes(coder, file_bytes, coarsest, observer)
    header = Header(
        images=len(pictures.pictures),
        seed=options.seed,
        latent_step=step,
        autoencoder=autoencoder.reference,
        denoising=None,
    )
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, codes=codes)


class FolderCoder:
    """A folder and what codes it. It keeps its first latents; all those of a large folder would not fit into memory."""

    def __init__(self, pictures: Folder, read: ReadOptions, autoencoder: EmbeddedAutoencoder, model: CodeModel) -> None:
        self.pictures, self.model = pictures, model
        self._read, self._autoencoder = read, autoencoder
        self._kept: list[tuple[list[int], Tensor]] = []
        self._room = KEPT_BYTES

    def encode(self, step: float, progress: Callable[[int, int], None]) -> Codes:
        """Codes of all pictures, by position."""
        streams: list[bytes] = [b""] * len(self.pictures.pictures)
        for batch, latents in self._all_latents(progress):
            for position, stream in zip(batch, encode_latents(self.model, latents, step), strict=True):
                streams[position] = stream
        return Codes(level=level_of(step), model_sha256=self.model.sha256, streams=tuple(streams))

    def sample(self, progress: Callable[[int, int], None]) -> tuple[list[Tensor], float]:
        """Latents of some pictures, evenly from the folder, and the part of its pixels that they are."""
        count = len(self.pictures.pictures)
        positions = range(0, count, -(-count // SAMPLE_IMAGES))
        pixels = sum(self.pictures.pictures[p].width * self.pictures.pictures[p].height for p in positions)
        return [latents for _, latents in self._latents(positions, progress)], pixels / self.pictures.pixels

    def _all_latents(self, progress: Callable[[int, int], None]) -> Iterator[tuple[list[int], Tensor]]:
        yield from self._kept
        count = len(self.pictures.pictures)
        kept = {position for batch, _ in self._kept for position in batch}
        rest = [position for position in range(count) if position not in kept]
        for batch, latents in self._latents(rest, lambda done, _: progress(len(kept) + done, count)):
            self._room -= latents.nbytes
            if self._room >= 0:
                self._kept.append((batch, latents))
            yield batch, latents

    def _latents(
        self, positions: Sequence[int], progress: Callable[[int, int], None]
    ) -> Iterator[tuple[list[int], Tensor]]:
        multiple = self._autoencoder.reference.downsampling
        return encode_batches(self.pictures, positions, self._read, self._autoencoder, multiple, progress)


def overhead_of(pictures: Folder) -> int:
    """Bytes of an archive's file beside its codes, about: names, sizes, the codes' lengths."""
    images = len(pictures.pictures)
    names = len(serialize_names(pictures.names, images)) + len(serialize_sizes(pictures.sizes, images))
    return names + 320 + 10 * images // 8


def quantise_latents(latents: Tensor, step: float) -> np.ndarray:
    """(..., C, h, w) raw latents to symbols, int16; the inverse, up to rounding, is a multiplication by the step."""
    # Rounding down more (a dead zone) was measured: it loses more distortion than it saves bits.
    return (latents / step).round().clamp(-LARGEST, LARGEST).numpy().astype(np.int16)


def encode_latents(model: CodeModel, latents: Tensor, step: float) -> list[bytes]:
    """Code of each of (N, C, h, w) raw latents."""
    return encode_images(model, level_of(step), quantise_latents(latents, step))


class SizeCurve:
    """Bytes of a folder's file by the quantisation step, as some of its pictures tell that are really coded.

    Args:
        batches: latents of these pictures.
        share: the part of all pixels that they are.
        overhead: bytes of the file beside its codes.
    """

    def __init__(self, model: CodeModel, batches: Sequence[Tensor], share: float, overhead: int) -> None:
        self._model, self._batches, self._share, self._overhead = model, batches, share, overhead
        self._known: dict[float, float] = {}

    def size(self, step: float) -> float:
        """Bytes at a step."""
        if step not in self._known:
            codes = (code for latents in self._batches for code in encode_latents(self._model, latents, step))
            self._known[step] = self._overhead + sum(map(len, codes)) / self._share
        return self._known[step]

    def step_of(self, wanted: float, coarsest: float) -> float:
        """The step, 1 to ``coarsest``, that comes nearest to the wanted bytes."""
        if wanted >= self.size(1.0):
            return 1.0
        if wanted <= self.size(coarsest):
            return coarsest
        for _ in range(ROUNDS):
            fine = max(step for step, size in self._known.items() if size > wanted)
            coarse = min(step for step, size in self._known.items() if size <= wanted and step > fine)
            larger, smaller = self.size(fine), self.size(coarse)
            # The size falls about as a power of the step.
            step = fine * (coarse / fine) ** (math.log(larger / wanted) / math.log(larger / smaller))
            if abs(self.size(step) / wanted - 1) <= TOLERANCE / 4:
                break
        return step


def measure_sizes(
    coder: FolderCoder, wanted_bytes: float, coarsest: float, progress: Callable[[int, int], None]
) -> SizeCurve:
    """The folder's sizes by step.

    Raises:
        InvalidSetting: even the coarsest step takes more than wanted.
    """
    curve = SizeCurve(coder.model, *coder.sample(progress), overhead_of(coder.pictures))
    if wanted_bytes < curve.size(coarsest) * (1 - 3 * TOLERANCE):
        smallest = curve.size(coarsest)
        least, wanted = (8 * size / coder.pictures.pixels for size in (smallest, wanted_bytes))
        raise InvalidSetting(
            f"these pictures take at least about {smallest:.0f} bytes ({least:.3f} bits per pixel), "
            f"not {wanted_bytes:.0f} ({wanted:.3f})"
        )
    return curve


def fit_codes(coder: FolderCoder, wanted_bytes: float, coarsest: float, observer: Observer) -> tuple[float, Codes]:
    """Step and codes with which the file has the wanted bytes, within ``TOLERANCE`` where a step can do so."""
    overhead = overhead_of(coder.pictures)
    curve = measure_sizes(coder, wanted_bytes, coarsest, observer.of_stage("probing"))
    step = curve.step_of(wanted_bytes, coarsest)
    codes = coder.encode(step, observer.of_stage("coding"))
    for _ in range(CORRECTIONS):
        found = overhead + sum(map(len, codes.streams))
        # What the sample is wrong by at one step, it is about wrong by at those near to it.
        better = curve.step_of(wanted_bytes * curve.size(step) / found, coarsest)
        if abs(found / wanted_bytes - 1) <= TOLERANCE or better == step:
            break
        step, codes = better, coder.encode(better, observer.of_stage("coding"))
    return step, codes
