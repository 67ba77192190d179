"""Packing into codes: latents are quantised and entropy-coded; the step follows from the wanted size.

pack_into_codes: encode_folder > choose_step > quantise_latents > encode_images
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.autoencoder import Autoencoder, EmbeddedAutoencoder
from unicorn_codec.code_model import CodeModel, level_of, load_code_model
from unicorn_codec.code_table import Codes
from unicorn_codec.codes import LARGEST, encode_images
from unicorn_codec.config import Header, PackOptions
from unicorn_codec.container import Container
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.images import Folder
from unicorn_codec.latent_set import batches_by_size, encode_folder
from unicorn_codec.picture_table import serialize_names, serialize_sizes
from unicorn_codec.reports import Observer

IMAGES_TOGETHER = 128
"""Images that are coded in lockstep: more save time, and take memory."""

POSITIONS_TOGETHER = 1 << 15
SAMPLE_IMAGES = 48
TOLERANCE = 0.01
ROUNDS = 8


def pack_into_codes(pictures: Folder, autoencoder: Autoencoder, options: PackOptions, observer: Observer) -> Container:
    """Every image in a code of its own.

    Raises:
        InvalidSetting: the autoencoder is not the embedded one, or no step gives the wanted size.
    """
    if not isinstance(autoencoder, EmbeddedAutoencoder):
        raise InvalidSetting("codes are made for the embedded autoencoder; use another one with --index-only")
    observer.found(pictures, None)
    multiple = autoencoder.reference.downsampling
    latents = encode_folder(pictures, options.read, autoencoder, multiple, observer.of_stage("encoding"))
    model, coarsest = load_code_model(), autoencoder.network.max_step
    progress = observer.of_stage("coding")
    file_bytes = options.target_bytes(pictures.pixels)
    if file_bytes is None:
        step = min(options.latent_step, coarsest)
        codes = encode_latents(latents, step, model, progress)
    else:
        step, codes = fit_codes(latents, file_bytes - overhead_of(pictures), model, coarsest, progress)
    header = Header(
        images=len(latents), seed=options.seed, latent_step=step, autoencoder=autoencoder.reference, denoising=None
    )
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, codes=codes)


def overhead_of(pictures: Folder) -> int:
    """Bytes of an archive's file beside its codes, about: names, sizes, the codes' lengths."""
    images = len(pictures.pictures)
    names = len(serialize_names(pictures.names, images)) + len(serialize_sizes(pictures.sizes, images))
    return names + 320 + 10 * images // 8


def quantise_latents(latents: Tensor, step: float) -> np.ndarray:
    """(..., C, h, w) raw latents to symbols, int64; the inverse, up to rounding, is a multiplication by the step."""
    # Rounding down more (a dead zone) was measured: it loses more distortion than it saves bits.
    return (latents / step).round().clamp(-LARGEST, LARGEST).numpy().astype(np.int64)


def encode_latents(
    latents: Sequence[Tensor], step: float, model: CodeModel, progress: Callable[[int, int], None] | None = None
) -> Codes:
    """Codes of raw latents (C, h, w), in their order."""
    level = level_of(step)
    streams: list[bytes] = [b""] * len(latents)
    grids = [(one.shape[2], one.shape[1]) for one in latents]
    done = 0
    for batch in batches_by_size(grids, IMAGES_TOGETHER, POSITIONS_TOGETHER):
        symbols = quantise_latents(torch.stack([latents[place] for place in batch]), step)
        for place, stream in zip(batch, encode_images(model, level, symbols), strict=True):
            streams[place] = stream
        done += len(batch)
        if progress:
            progress(done, len(latents))
    return Codes(level=level, model_sha256=model.sha256, streams=tuple(streams))


def size_of(codes: Codes) -> int:
    """Bytes of all codes together, without their table."""
    return sum(len(stream) for stream in codes.streams)


def choose_step(latents: Sequence[Tensor], wanted_bytes: float, model: CodeModel, coarsest: float) -> float:
    """Quantisation step at which the codes take the wanted bytes, or 1, the finest, where that takes less.

    Searched on a sample of the images, by real coding; the whole set then decides the last percents.

    Raises:
        InvalidSetting: even the coarsest step takes more.
    """
    sample = latents[:: -(-len(latents) // SAMPLE_IMAGES)]
    share = sum(one[0].numel() for one in sample) / sum(one[0].numel() for one in latents)

    def whole(step: float) -> float:
        return size_of(encode_latents(sample, step, model)) / share

    if wanted_bytes >= whole(1.0):
        return 1.0
    smallest = whole(coarsest)
    if wanted_bytes < smallest * (1 - 3 * TOLERANCE):
        raise InvalidSetting(f"the codes of these pictures take at least {smallest:.0f} bytes, not {wanted_bytes:.0f}")
    low, high = 0.0, math.log(coarsest)
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (low, middle) if whole(math.exp(middle)) < wanted_bytes else (middle, high)
    return math.exp((low + high) / 2)


def fit_codes(
    latents: Sequence[Tensor],
    wanted_bytes: float,
    model: CodeModel,
    coarsest: float,
    progress: Callable[[int, int], None],
) -> tuple[float, Codes]:
    """Step and codes that take the wanted bytes, within ``TOLERANCE`` where a step can do so."""
    step = choose_step(latents, wanted_bytes, model, coarsest)
    codes = encode_latents(latents, step, model, progress)
    for _ in range(2):
        found = size_of(codes)
        if abs(found / wanted_bytes - 1) <= TOLERANCE or len(latents) <= SAMPLE_IMAGES:
            break
        # The size falls about as the step's power of -1 where most values are zero.
        step = min(coarsest, max(1.0, step * found / wanted_bytes))
        codes = encode_latents(latents, step, model, progress)
    return step, codes
