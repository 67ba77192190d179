"""The steps of packing between a folder's latents and the file: plan, train, quantise, choose the sampling."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.config import AutoencoderReference, Header, PackOptions
from unicorn_codec.decoding import Decoder
from unicorn_codec.denoiser import load_tensors, tensors_of
from unicorn_codec.errors import Interrupted
from unicorn_codec.images import Folder, folder_digest
from unicorn_codec.latent_set import LatentSet
from unicorn_codec.picture_table import check_names, serialize_sizes
from unicorn_codec.planning import Plan, make_plan
from unicorn_codec.quantization import fit_format
from unicorn_codec.reports import mean_psnr_db
from unicorn_codec.training import Progress, TrainingRun
from unicorn_codec.weights import join_tensors, parse_weights, serialize_weights, split_tensors

LATENT_STD = 1 / 3
"""Three sigma within [-1, 1] (paper, section 4.2)."""

STEP_CANDIDATES = (1, 2, 4, 8)
LATENT_STEP_CANDIDATES = (1.0, 1.5, 2.0, 3.0, 4.0)
WORTHWHILE_DB = 0.02
"""More sampling steps must gain this much: each costs every later decoding its time."""

SAVE_SECONDS = 30.0
PREVIEW_SHARE = 1 / 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some equally sized images of a set with their originals, to look at while packing."""

    indices: tuple[int, ...]
    originals: tuple[np.ndarray, ...]

    def psnr_db(self, decoder: Decoder, *, steps: int | None = None, seed: int | None = None) -> float:
        """Mean PSNR of the images as they decode now."""
        height, width = self.originals[0].shape[:2]
        return mean_psnr_db(self.originals, decoder.decode(self.indices, width, height, steps=steps, seed=seed))


def sizes_of(folder: Folder) -> NDArray[np.int32]:
    """(M, 2) width and height by position."""
    return np.array([(p.width, p.height) for p in folder.pictures], np.int32)


def plan_for(folder: Folder, reference: AutoencoderReference, options: PackOptions) -> Plan:
    """How large a network the folder gets.

    Raises:
        InvalidSetting: the format cannot hold such names or sizes, or no network has the wanted rate.
    """
    check_names(tuple(p.name for p in folder.pictures), len(folder.pictures))
    serialize_sizes(sizes_of(folder), len(folder.pictures))
    pixels = sum(p.width * p.height for p in folder.pictures)
    cell = reference.downsampling
    positions = sum(-(-p.width // cell) * -(-p.height // cell) for p in folder.pictures)
    return make_plan(
        latent_values=positions * reference.latent_channels,
        pixels=pixels,
        images=len(folder.pictures),
        latent_channels=reference.latent_channels,
        downsampling=reference.downsampling,
        bits_per_pixel=options.bits_per_pixel,
        hidden_size=options.hidden_size,
        depth=options.depth,
        weight_bits=options.weight_bits,
    )


def make_header(plan: Plan, latents: LatentSet, reference: AutoencoderReference, options: PackOptions) -> Header:
    """The header of an archive whose sampling is not chosen yet: one step, latents as fine as encoded."""
    return Header(
        images=sum(len(group.indices) for group in latents.groups),
        seed=options.seed,
        steps=options.steps or 1,
        latent_std=float(np.float32(LATENT_STD)),
        latent_step=1.0,
        autoencoder=reference,
        means=latents.means,
        stds=latents.stds,
        network=plan.network,
    )


def settings_digest(folder: Folder, header: Header, options: PackOptions) -> str:
    """SHA-256 over everything that a training run depends on; a checkpoint carries it."""
    settings = (header, options.train, folder_digest(folder, options.read))
    return hashlib.sha256(repr(settings).encode()).hexdigest()


def train_denoiser(
    decoder: Decoder,
    latents: LatentSet,
    options: PackOptions,
    *,
    digest: str,
    checkpoint: Path,
    sample: Sample,
    on_progress: Callable[[Progress], None],
    on_preview: Callable[[float], None],
) -> None:
    """Fit the decoder's denoiser; saves a checkpoint now and then, and when the user interrupts.

    Raises:
        Interrupted: after Ctrl-C, with the checkpoint written.
        CheckpointMismatch: the checkpoint to resume from belongs to something else.
    """
    run = TrainingRun(decoder.denoiser, latents.groups, options.train, seed=options.seed, digest=digest)
    if options.resume and checkpoint.exists():
        run.load(checkpoint)
    saved_at, previewed_at = run.seconds, run.fraction

    def report(progress: Progress) -> None:
        nonlocal saved_at, previewed_at
        on_progress(progress)
        if progress.fraction - previewed_at >= PREVIEW_SHARE:
            on_preview(sample.psnr_db(decoder))
            previewed_at = progress.fraction
        if progress.seconds - saved_at >= SAVE_SECONDS:
            run.save(checkpoint)
            saved_at = progress.seconds

    try:
        run.run(report)
    except KeyboardInterrupt:
        run.save(checkpoint)
        raise Interrupted(
            f"stopped at {100 * run.fraction:.0f} %; {checkpoint} holds the work done so far: "
            "give the same command with --resume to go on"
        ) from None


def encode_weights(decoder: Decoder, options: PackOptions) -> bytes:
    """Weight section of a trained denoiser, which then has the weights that a reader will get."""
    values = join_tensors(tensors_of(decoder.denoiser), decoder.header)
    payload = serialize_weights(values, fit_format(values, *options.float_bits))
    load_tensors(decoder.denoiser, split_tensors(parse_weights(payload)[1], decoder.header))
    return payload


def choose_sampling(decoder: Decoder, sample: Sample, steps: int | None) -> Header:
    """The header with the sampling steps, and the coarseness told to the autoencoder, that decode best.

    Args:
        steps: the user's choice; None: measured.
    """

    def quality(header: Header) -> float:
        return sample.psnr_db(replace(decoder, header=header))

    header = replace(decoder.header, steps=steps or 1)
    if steps is None:
        header = best_of([replace(header, steps=n) for n in STEP_CANDIDATES], quality)
    return best_of([replace(header, latent_step=s) for s in LATENT_STEP_CANDIDATES], quality)


def best_of(candidates: Sequence[Header], quality: Callable[[Header], float]) -> Header:
    """The best candidate; a later one must be better by ``WORTHWHILE_DB`` than all before."""
    best, best_db = candidates[0], quality(candidates[0])
    for candidate in candidates[1:]:
        candidate_db = quality(candidate)
        if candidate_db >= best_db + WORTHWHILE_DB:
            best, best_db = candidate, candidate_db
    return best
