"""Packing into a network: plan, train, quantise the weights, and choose the sampling.

pack_into_network: encode_folder > normalise_latents > train_denoiser > encode_weights > choose_sampling
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unicorn_codec.checkpoints import SAVE_SECONDS, checkpoint_path, digest_settings, save_or_warn
from unicorn_codec.decoders.network_decoder import NetworkDecoder, untrained_decoder
from unicorn_codec.errors import Interrupted
from unicorn_codec.format.fields import check
from unicorn_codec.format.header import AutoencoderReference, Denoising, Header
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.picture_tiles import is_tiled
from unicorn_codec.network.denoiser import Denoiser, load_tensors, tensors_of
from unicorn_codec.network.latent_set import LatentSet, normalise_latents
from unicorn_codec.network.planning import NetworkPlan, plan_network
from unicorn_codec.network.training import Progress, TrainingRun
from unicorn_codec.network.weight_rounding import WeightRounding
from unicorn_codec.network_options import NetworkOptions
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.packed import PackedPictures
from unicorn_codec.packing.picture_source import PictureSource, encode_all
from unicorn_codec.packing.preview import PreviewSample, take_preview
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.pictures.picture_folder import Folder, folder_digest
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder
from unicorn_codec.weights.minifloat import fit_format
from unicorn_codec.weights.weight_section import join_tensors, parse_tensors, serialize_integers, serialize_weights

STEP_CANDIDATES = (1, 2, 4, 8)
LATENT_STEP_CANDIDATES = (1.0, 1.5, 2.0, 3.0, 4.0)
WORTHWHILE_DB = 0.02
"""Minimum gain of more sampling steps, because each of them slows down decoding."""

PREVIEW_SHARE = 1 / 12
"""Share of the training between previews."""


def pack_into_network(
    pictures: PictureSource, autoencoder: Autoencoder, output: Path, options: NetworkOptions, observer: Observer
) -> PackedPictures:
    """Store the whole set in the weights of one network (paper, section 4).

    Raises:
        Interrupted: Ctrl-C; the checkpoint next to the output holds the work done so far.
    """
    folder = pictures.folder
    plan = plan_for(folder, autoencoder.reference, options)
    observer.found(folder, plan)
    multiple = autoencoder.reference.downsampling * plan.network.patch_size
    raw_latents = encode_all(pictures, autoencoder, multiple, observer.of_stage("encoding"))
    indices = index_of_position(options.seed, len(raw_latents)).tolist()
    latents = normalise_latents(raw_latents, indices, options.latent_std, options.seed)
    decoder = untrained_decoder(plan_denoising(plan, latents, options), autoencoder, len(indices), options.seed)
    sample = take_preview(pictures, indices)
    rounding = rounding_for(decoder.denoiser, options)
    train_denoiser(
        decoder,
        latents,
        options,
        rounding=rounding,
        digest=settings_digest(folder, decoder.header, options),
        checkpoint=checkpoint_path(output),
        sample=sample,
        observer=observer,
    )
    weights = encode_weights(decoder, options, rounding)
    header = choose_sampling(decoder, sample, options.sampling_steps).header
    return PackedPictures(header=header, sizes=folder.sizes, names=folder.names, weights=weights)


def plan_for(folder: Folder, reference: AutoencoderReference, options: NetworkOptions) -> NetworkPlan:
    """Choose the size of the network. Raises ``InvalidSetting`` if no size has the target rate."""
    cell = reference.downsampling
    for picture in folder.pictures:
        check(
            not is_tiled(picture.width, picture.height),
            f"{printable(picture.name)} has {picture.width}x{picture.height} pixels, too many for an index-only "
            "archive: pack without --index-only, or scale pictures by --max-side",
        )
    positions = sum(-(-p.width // cell) * -(-p.height // cell) for p in folder.pictures)
    return plan_network(
        latent_values=positions * reference.latent_channels,
        pixels=folder.pixels,
        pictures=len(folder.pictures),
        latent_channels=reference.latent_channels,
        downsampling=reference.downsampling,
        wanted_bytes=None if options.target is None else options.target.file_bytes(folder.pixels),
        hidden_size=options.hidden_size,
        depth=options.depth,
        weight_bits=options.bits_per_weight,
        condition=options.condition,
        index_embedding=options.index_embedding,
    )


def plan_denoising(plan: NetworkPlan, latents: LatentSet, options: NetworkOptions) -> Denoising:
    """Return the settings for decoding, with one sampling step until the best number is measured."""
    return Denoising(
        steps=options.sampling_steps or 1,
        latent_std=float(np.float32(options.latent_std)),
        means=latents.means,
        stds=latents.stds,
        network=plan.network,
        prediction=options.prediction,
    )


def settings_digest(folder: Folder, header: Header, options: NetworkOptions) -> str:
    """Return the SHA-256 over everything that a training run depends on; a checkpoint carries it."""
    return digest_settings(header, options.train, folder_digest(folder, options.read), options.rounded_bits)


def rounding_for(denoiser: Denoiser, options: NetworkOptions) -> WeightRounding | None:
    """Return the weight rounding for training if weights are stored as integers; None for floats."""
    bits = options.rounded_bits
    return None if bits is None else WeightRounding(denoiser, bits)


def train_denoiser(
    decoder: NetworkDecoder,
    latents: LatentSet,
    options: NetworkOptions,
    *,
    rounding: WeightRounding | None,
    digest: str,
    checkpoint: Path,
    sample: PreviewSample,
    observer: Observer,
) -> None:
    """Train the decoder's denoiser. Save a checkpoint periodically, and on an interruption by the user.

    Raises:
        Interrupted: Ctrl-C, with the checkpoint written.
        CheckpointMismatch: the checkpoint to resume from belongs to other pictures or settings.
    """
    run = TrainingRun(
        decoder.denoiser,
        latents.groups,
        options.train,
        prediction=decoder.denoising.prediction,
        seed=options.seed,
        digest=digest,
        rounding=rounding,
    )
    if options.resume:
        run.load(checkpoint)
    saved_at, previewed_at = run.seconds, run.fraction

    def save() -> None:
        save_or_warn(lambda: run.save(checkpoint), "training")

    def report(progress: Progress) -> None:
        nonlocal saved_at, previewed_at
        observer.training(progress)
        if progress.fraction - previewed_at >= PREVIEW_SHARE:
            with run.stored_weights():
                observer.preview(sample.psnr_db(decoder))
            previewed_at = progress.fraction
        if progress.seconds - saved_at >= SAVE_SECONDS:
            save()
            saved_at = progress.seconds

    try:
        run.run(report)
        save()  # the rest takes a while, and may be interrupted too
    except KeyboardInterrupt:
        run.save(checkpoint)
        raise Interrupted(
            f"stopped at {100 * run.fraction:.0f} %; {checkpoint} holds the work done so far: "
            "give the same command with --resume to continue"
        ) from None


def encode_weights(decoder: NetworkDecoder, options: NetworkOptions, rounding: WeightRounding | None) -> bytes:
    """Return the weight section of a trained denoiser, and load its quantised weights into the denoiser."""
    if rounding is None:
        values = join_tensors(tensors_of(decoder.denoiser), decoder.header)
        payload = serialize_weights(values, fit_format(values, *options.float_bits))
    else:
        payload = serialize_integers(rounding.quantised())
    load_tensors(decoder.denoiser, parse_tensors(payload, decoder.header))
    return payload


def choose_sampling(decoder: NetworkDecoder, sample: PreviewSample, steps: int | None) -> NetworkDecoder:
    """Return the decoder with the best measured sampling steps, and step of the autoencoder's decoder.

    Args:
        steps: the user's choice; None: measured.
    """
    if steps is None:
        by_steps = [with_sampling(decoder, n, 1.0) for n in STEP_CANDIDATES]
        decoder = best_of(by_steps, sample)
    if not isinstance(decoder.autoencoder, PackagedAutoencoder):  # others have no step
        return decoder
    return best_of([with_sampling(decoder, decoder.denoising.steps, s) for s in LATENT_STEP_CANDIDATES], sample)


def with_sampling(decoder: NetworkDecoder, steps: int, latent_step: float) -> NetworkDecoder:
    """Return the same decoder with other sampling steps and another step of the autoencoder's decoder."""
    denoising = replace(decoder.denoising, steps=steps)
    header = replace(decoder.header, denoising=denoising, latent_step=latent_step)
    return replace(decoder, header=header, denoising=denoising)


def best_of(candidates: Sequence[NetworkDecoder], sample: PreviewSample) -> NetworkDecoder:
    """Return the best candidate; a later one must exceed all earlier ones by ``WORTHWHILE_DB``."""
    best, best_db = candidates[0], sample.psnr_db(candidates[0])
    for candidate in candidates[1:]:
        candidate_db = sample.psnr_db(candidate)
        if candidate_db >= best_db + WORTHWHILE_DB:
            best, best_db = candidate, candidate_db
    return best
