"""Packing into overfitted functions, as in CLRIC: a function for each picture's latents, and the autoencoder as it is.

pack_into_functions: encode > measure the trade-off > learn the common function > fit, a batch of one size at a time
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.checkpoints import CodesCheckpoint, checkpoint_path, digest_settings
from unicorn_codec.config import Goal, OverfitOptions, Target
from unicorn_codec.effort import FUNCTION_EFFORT
from unicorn_codec.errors import Interrupted
from unicorn_codec.format.code_kinds import mark_overfitted, noise_of_step, step_of_noise
from unicorn_codec.format.function_table import StoredFunctions, serialize_functions
from unicorn_codec.format.header import Header
from unicorn_codec.format.picture_tiles import join_codes
from unicorn_codec.overfitted.function_fitter import Fitted, FunctionFitter
from unicorn_codec.overfitted.function_shape import FunctionShape, shape_for
from unicorn_codec.overfitted.schedule import Schedule, schedule_of
from unicorn_codec.overfitted.value_layout import ValueLayout
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.packed import Codes, PackedPictures
from unicorn_codec.packing.picture_source import PictureSource, PictureTiles
from unicorn_codec.packing.refinement import LAMBDA_PER_SQUARED_STEP
from unicorn_codec.pictures.picture_folder import folder_digest
from unicorn_codec.quality import QUALITY_OF_STEP, step_of_quality
from unicorn_codec.spool import SpooledCodes
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder

VALUES_TOGETHER = {"cpu": 1 << 16, "cuda": 1 << 20}
"""Integers of the functions that are trained together, by kind of device."""

SAMPLED = 16
"""Pictures from which scale, trade-off and common function are learned."""

COMMON_CELLS = 64
"""Rows and columns of the latents that the common function is learned from: the middle of each sampled picture."""

LEAST_FOR_COMMON = 4
"""Number of pictures from which an archive has a common function. For fewer it costs more than it saves."""

PROBE = 0.25
"""Deviation of the noise by which the trade-off is measured, relative to that of the latents."""

NOISE_STEP = 12.0**0.5
"""Quantisation step whose rounding has the deviation 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionsMade:
    """How an archive's functions were made.

    Args:
        schedule: of training.
        full: that of full effort.
        shape: of the functions.
        common_bytes: of the common function; 0 without one.
        trade_off: squared error of normalised latents that a bit is worth.
    """

    schedule: Schedule
    full: Schedule
    shape: FunctionShape
    common_bytes: int
    trade_off: float


def pack_into_functions(
    pictures: PictureSource, autoencoder: Autoencoder, output: Path, options: OverfitOptions, observer: Observer
) -> tuple[PackedPictures, FunctionsMade]:
    """Store every picture as a function that is overfitted to its latents.

    Raises:
        InvalidSetting: a picture is too large for a function.
        CheckpointMismatch: the checkpoint to resume from belongs to other pictures or settings.
        Interrupted: Ctrl-C; the checkpoint next to the output holds the functions made so far.
    """
    observer.found(pictures.folder, None)
    digest = digest_settings(
        replace(options, resume=False, overwrite=False, measure="all"),
        folder_digest(pictures.folder, pictures.read),
        autoencoder.reference,
    )
    checkpoint = CodesCheckpoint(checkpoint_path(output), digest, resume=options.resume)
    try:
        maker = _maker_for(pictures, autoencoder, options, checkpoint, observer)
        maker.make_all(checkpoint, observer)
    except KeyboardInterrupt:
        if checkpoint.is_empty:
            raise
        checkpoint.save()
        raise Interrupted(
            f"stopped; {checkpoint.path} holds {len(checkpoint.codes)} functions: give the same command with --resume "
            "to continue"
        ) from None
    folder, fitter = pictures.folder, maker.fitter
    header = Header(
        pictures=len(pictures),
        seed=options.seed,
        latent_step=maker.scale,
        autoencoder=autoencoder.reference,
        denoising=None,
    )
    streams = SpooledCodes(checkpoint.codes, len(pictures), {}, frozenset())
    packed = PackedPictures(
        header=header,
        sizes=folder.sizes,
        names=folder.names,
        codes=Codes(level=0, model_sha256=bytes(32), streams=streams),
        alphas=pictures.alphas(output.parent),
        functions=serialize_functions(StoredFunctions(fitter.shape.settings, fitter.common)),
    )
    made = FunctionsMade(
        schedule=fitter.schedule,
        full=schedule_of(100),
        shape=fitter.shape,
        common_bytes=len(fitter.common),
        trade_off=maker.trade_off,
    )
    return packed, made


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes the functions of a folder's pictures.

    Args:
        scale: deviation of the latents, by which they are normalised.
        trade_off: squared error of normalised latents that a bit is worth.
    """

    pictures: PictureSource
    autoencoder: Autoencoder
    fitter: FunctionFitter
    scale: float
    trade_off: float

    def make_all(self, checkpoint: CodesCheckpoint, observer: Observer) -> None:
        """Make the functions that a checkpoint lacks, and keep them there."""
        count, tiled = len(self.pictures), self.pictures.tiled
        stage, main_steps = observer.of_stage("fitting"), self.fitter.schedule.main_steps
        for batch in self._batches(self.pictures, [n for n in range(count) if n not in tiled]):
            if all(position in checkpoint.codes for position in batch):
                continue
            done, some = len(checkpoint.codes), len(batch)

            def progress(step: int, done: int = done, some: int = some) -> None:
                stage(done + some * step // main_steps, count)

            for position, code in zip(batch, self._codes(self.pictures, batch, progress), strict=True):
                checkpoint.add(position, self.pictures.mark_if_gray(position, code))
        for position in sorted(tiled - set(checkpoint.codes)):
            codes = self._tile_codes(self.pictures.tiles_of(position))
            checkpoint.add(position, join_codes([self.pictures.mark_if_gray(position, code) for code in codes]))
            stage(len(checkpoint.codes), count)

    def _tile_codes(self, tiles: PictureTiles) -> list[bytes]:
        return [self._codes(tiles, [number])[0] for number in range(len(tiles))]

    def _batches(self, source: PictureSource, positions: Sequence[int]) -> Iterator[list[int]]:
        """Yield positions of one size that are trained together."""
        of_size = dict[tuple[int, int], list[int]]()
        for position in positions:
            of_size.setdefault(source.size_of(position), []).append(position)
        cell, planes = self.autoencoder.reference.downsampling, self.fitter.shape.settings.planes
        for (width, height), some in of_size.items():
            values = ValueLayout(-(-height // cell), -(-width // cell), planes).count
            together = max(1, VALUES_TOGETHER[self.autoencoder.device.type] // values)
            yield from (some[start : start + together] for start in range(0, len(some), together))

    def _codes(
        self, source: PictureSource, positions: Sequence[int], progress: Callable[[int], None] = lambda _: None
    ) -> list[bytes]:
        """Return the codes of pictures of one size. ``progress`` is called with the number of each finished step."""
        latents = encode(source, positions, self.autoencoder) / self.scale
        fitted = self.fitter.fit(latents.to(self.autoencoder.device), self.trade_off, progress)
        return [mark_overfitted(one.code, self._noise_of(one)) for one in fitted]

    def _noise_of(self, fitted: Fitted) -> int:
        """Return the number of the step whose rounding errs as a function does, which the decoder was trained for."""
        if not isinstance(self.autoencoder, PackagedAutoencoder):
            return 0
        step = NOISE_STEP * fitted.error**0.5 * self.scale
        return noise_of_step(min(step, self.autoencoder.network.max_step))


def encode(source: PictureSource, positions: Sequence[int], autoencoder: Autoencoder) -> Tensor:
    """Return raw latents (N, C, h, w) of pictures of one size, on the CPU."""
    pixels = [source.picture(position) for position in positions]
    return autoencoder.encode_pictures(pixels, autoencoder.reference.downsampling)


def _maker_for(
    pictures: PictureSource,
    autoencoder: Autoencoder,
    options: OverfitOptions,
    checkpoint: CodesCheckpoint,
    observer: Observer,
) -> _Maker:
    """Measure scale and trade-off on some pictures, and learn the common function."""
    effort = FUNCTION_EFFORT[autoencoder.device.type] if options.effort is None else options.effort
    shape = shape_for(autoencoder.reference.latent_channels)
    fitter = FunctionFitter(shape, schedule_of(effort), options.seed)
    samples = [_middle_of(pictures, position, autoencoder) for position in _sampled(pictures)]
    scale = float(torch.cat([latents.flatten() for latents in samples]).std()) if samples else 1.0
    scale = min(max(scale, 1e-3), 1e3)
    worth = (
        3
        * lambda_of(options.target)
        * np.mean([squared_gain(autoencoder, latents, scale, options.seed) for latents in samples[:4]] or [1.0]).item()
        ** -1
    )
    checkpoint.begin(f"functions of effort {effort}")
    if checkpoint.learned is not None:
        fitter = fitter.with_common(checkpoint.learned)
    elif len(samples) >= LEAST_FOR_COMMON and options.common:
        stage, steps = observer.of_stage("learning"), fitter.schedule.common_steps
        windows = _windows(samples).to(autoencoder.device) / scale
        fitter = fitter.learn_common(windows, worth, lambda step: stage(step, steps))
    checkpoint.finish_learning(fitter.common)
    return _Maker(pictures=pictures, autoencoder=autoencoder, fitter=fitter, scale=scale, trade_off=worth)


def _sampled(pictures: PictureSource) -> list[int]:
    """Return positions spread over the folder, without tiled pictures."""
    tiled = pictures.tiled
    plain = [position for position in range(len(pictures)) if position not in tiled]
    return [plain[place] for place in np.unique(np.linspace(0, len(plain) - 1, min(SAMPLED, len(plain))).astype(int))]


def _middle_of(pictures: PictureSource, position: int, autoencoder: Autoencoder) -> Tensor:
    """Return the latents (1, C, h, w) of the middle of a picture."""
    side = COMMON_CELLS * autoencoder.reference.downsampling
    pixels = pictures.picture(position)
    top, left = (max(0, (length - side) // 2) for length in pixels.shape[:2])
    middle = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    return autoencoder.encode_pictures([middle], autoencoder.reference.downsampling)


def _windows(samples: Sequence[Tensor]) -> Tensor:
    """Cut latents to the rows and columns that all have, (N, C, h, w)."""
    rows, columns = (min(latents.shape[axis] for latents in samples) for axis in (2, 3))
    return torch.cat([latents[:, :, :rows, :columns] for latents in samples])


def lambda_of(target: Target) -> float:
    """Return the squared error, on the scale of 255, that a bit per pixel is worth."""
    if target.goal is Goal.RD_LAMBDA:
        return target.value
    step = step_of_quality(target.value) or QUALITY_OF_STEP[0][0]
    return LAMBDA_PER_SQUARED_STEP * step**2


def squared_gain(autoencoder: Autoencoder, latents: Tensor, scale: float, seed: int) -> float:
    """Return the squared error of pixels, on the scale of 255, that one of normalised latents makes.

    Args:
        latents: (1, C, h, w) raw ones.
        scale: by which they are normalised.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = PROBE * torch.randn(latents.shape, generator=generator)
    cell = autoencoder.reference.downsampling
    height, width = cell * latents.shape[2], cell * latents.shape[3]
    step = step_of_noise(noise_of_step(NOISE_STEP * PROBE * scale))
    pair = torch.cat([latents, latents + noise * scale])
    plain, noisy = autoencoder.decode_pictures(pair, height, width, step)
    error = float(np.square(plain.astype(np.float64) - noisy).sum())
    return max(error / float(noise.square().sum()), 1e-6)
