"""Packing into a network: plan, train, quantise the weights, choose the sampling.

pack_into_network: encode_folder > normalise_latents > train_denoiser > encode_weights > choose_sampling
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from unicorn_codec.checkpoints import SAVE_SECONDS, checkpoint_of, digest_of, save_or_warn
from unicorn_codec.config import PackOptions, ReadOptions
from unicorn_codec.decoding import NetworkDecoder
from unicorn_codec.errors import Interrupted
from unicorn_codec.format.container import Container
from unicorn_codec.format.header import AutoencoderReference, Denoising, Header
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.network.denoiser import Denoiser, load_tensors, tensors_of
from unicorn_codec.network.latent_set import LatentSet, normalise_latents
from unicorn_codec.network.planning import Plan, make_plan
from unicorn_codec.network.training import Progress, TrainingRun
from unicorn_codec.network.weight_training import WeightRounding
from unicorn_codec.packing.folder_latents import encode_folder
from unicorn_codec.pictures.batches import PIXELS_TOGETHER, places_by_size
from unicorn_codec.pictures.images import Folder, folder_digest, read_picture
from unicorn_codec.reports import Observer, mean_psnr_db
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder
from unicorn_codec.weights.quantization import fit_format
from unicorn_codec.weights.weight_section import join_tensors, parse_tensors, serialize_integers, serialize_weights

STEP_CANDIDATES = (1, 2, 4, 8)
LATENT_STEP_CANDIDATES = (1.0, 1.5, 2.0, 3.0, 4.0)
WORTHWHILE_DB = 0.02
"""More sampling steps must gain this much: each costs every later decoding its time."""

SAMPLE_PICTURES = 16
PREVIEW_SHARE = 1 / 12


def pack_into_network(
    pictures: Folder, autoencoder: Autoencoder, output: Path, options: PackOptions, observer: Observer
) -> Container:
    """The whole set in the weights of one network (paper, section 4).

    Raises:
        Interrupted: after Ctrl-C; the checkpoint beside the output is written then.
    """
    plan = plan_for(pictures, autoencoder.reference, options)
    observer.found(pictures, plan)
    multiple = autoencoder.reference.downsampling * plan.network.patch_size
    raw_latents = encode_folder(pictures, options.read, autoencoder, multiple, observer.of_stage("encoding"))
    indices = index_of_position(options.seed, len(raw_latents)).tolist()
    latents = normalise_latents(raw_latents, indices, options.latent_std, options.seed)
    decoder = new_decoder(plan_denoising(plan, latents, options), autoencoder, len(indices), options.seed)
    sample = take_sample(pictures, options.read, indices)
    rounding = rounding_for(decoder.denoiser, options)
    train_denoiser(
        decoder,
        latents,
        options,
        rounding=rounding,
        digest=settings_digest(pictures, decoder.header, options),
        checkpoint=checkpoint_of(output),
        sample=sample,
        observer=observer,
    )
    weights = encode_weights(decoder, options, rounding)
    header = choose_sampling(decoder, sample, options.steps).header
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, weights=weights)


def new_decoder(denoising: Denoising, autoencoder: Autoencoder, pictures: int, seed: int) -> NetworkDecoder:
    """A decoder with untrained weights, drawn from the seed."""
    header = Header(
        pictures=pictures, seed=seed, latent_step=1.0, autoencoder=autoencoder.reference, denoising=denoising
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        denoiser = Denoiser(
            denoising.network, pictures=pictures, seed=seed, latent_channels=autoencoder.reference.latent_channels
        )
    return NetworkDecoder(
        header=header, denoising=denoising, denoiser=denoiser.to(autoencoder.device), autoencoder=autoencoder
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some equally sized pictures of a set with their originals, to look at while packing."""

    indices: tuple[int, ...]
    originals: tuple[np.ndarray, ...]

    def psnr_db(self, decoder: NetworkDecoder, *, steps: int | None = None, seed: int | None = None) -> float:
        """Mean PSNR of the pictures as they decode now."""
        height, width = self.originals[0].shape[:2]
        return mean_psnr_db(self.originals, decoder.read(self.indices, width, height, steps=steps, seed=seed)())


def take_sample(pictures: Folder, read: ReadOptions, indices: Sequence[int]) -> Sample:
    """Some pictures of the commonest size, evenly from the whole folder."""
    by_size = places_by_size([(p.width, p.height) for p in pictures.pictures])
    (width, height), commonest = max(by_size.items(), key=lambda entry: len(entry[1]))
    count = max(1, min(SAMPLE_PICTURES, PIXELS_TOGETHER // (width * height)))
    chosen = commonest[:: -(-len(commonest) // count)]
    return Sample(
        indices=tuple(indices[position] for position in chosen),
        originals=tuple(read_picture(pictures, pictures.pictures[position], read) for position in chosen),
    )


def plan_for(folder: Folder, reference: AutoencoderReference, options: PackOptions) -> Plan:
    """How large a network the folder gets. Raises ``InvalidSetting`` where none has the wanted rate."""
    cell = reference.downsampling
    positions = sum(-(-p.width // cell) * -(-p.height // cell) for p in folder.pictures)
    return make_plan(
        latent_values=positions * reference.latent_channels,
        pixels=folder.pixels,
        pictures=len(folder.pictures),
        latent_channels=reference.latent_channels,
        downsampling=reference.downsampling,
        wanted_bytes=options.target_bytes(folder.pixels),
        hidden_size=options.hidden_size,
        depth=options.depth,
        weight_bits=options.bits_per_weight,
        condition=options.condition,
        index_embedding=options.index_embedding,
    )


def plan_denoising(plan: Plan, latents: LatentSet, options: PackOptions) -> Denoising:
    """How an archive is to be sampled; as long as the steps are not measured, in one."""
    return Denoising(
        steps=options.steps or 1,
        latent_std=float(np.float32(options.latent_std)),
        means=latents.means,
        stds=latents.stds,
        network=plan.network,
        prediction=options.prediction,
    )


def settings_digest(folder: Folder, header: Header, options: PackOptions) -> str:
    """SHA-256 over everything that a training run depends on; a checkpoint carries it."""
    return digest_of(header, options.train, folder_digest(folder, options.read), options.rounded_bits)


def rounding_for(denoiser: Denoiser, options: PackOptions) -> WeightRounding | None:
    """What makes training heed that weights will be integers; floats need none."""
    bits = options.rounded_bits
    return None if bits is None else WeightRounding(denoiser, bits)


def train_denoiser(
    decoder: NetworkDecoder,
    latents: LatentSet,
    options: PackOptions,
    *,
    rounding: WeightRounding | None,
    digest: str,
    checkpoint: Path,
    sample: Sample,
    observer: Observer,
) -> None:
    """Fit the decoder's denoiser; saves a checkpoint now and then, and when the user interrupts.

    Raises:
        Interrupted: after Ctrl-C, with the checkpoint written.
        CheckpointMismatch: the checkpoint to resume from belongs to something else.
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
        save()  # what follows takes a while, and may be interrupted too
    except KeyboardInterrupt:
        run.save(checkpoint)
        raise Interrupted(
            f"stopped at {100 * run.fraction:.0f} %; {checkpoint} holds the work done so far: "
            "give the same command with --resume to go on"
        ) from None


def encode_weights(decoder: NetworkDecoder, options: PackOptions, rounding: WeightRounding | None) -> bytes:
    """Weight section of a trained denoiser, which then has the weights that a reader will get."""
    if rounding is None:
        values = join_tensors(tensors_of(decoder.denoiser), decoder.header)
        payload = serialize_weights(values, fit_format(values, *options.float_bits))
    else:
        payload = serialize_integers(rounding.quantised())
    load_tensors(decoder.denoiser, parse_tensors(payload, decoder.header))
    return payload


def choose_sampling(decoder: NetworkDecoder, sample: Sample, steps: int | None) -> NetworkDecoder:
    """The decoder with the sampling steps, and the coarseness told to the autoencoder, that decode best.

    Args:
        steps: the user's choice; None: measured.
    """
    if steps is None:
        by_steps = [with_sampling(decoder, n, 1.0) for n in STEP_CANDIDATES]
        decoder = best_of(by_steps, sample)
    if not isinstance(decoder.autoencoder, PackagedAutoencoder):  # only the embedded one heeds it
        return decoder
    return best_of([with_sampling(decoder, decoder.denoising.steps, s) for s in LATENT_STEP_CANDIDATES], sample)


def with_sampling(decoder: NetworkDecoder, steps: int, latent_step: float) -> NetworkDecoder:
    """The same decoder with other sampling steps and another coarseness."""
    denoising = replace(decoder.denoising, steps=steps)
    header = replace(decoder.header, denoising=denoising, latent_step=latent_step)
    return replace(decoder, header=header, denoising=denoising)


def best_of(candidates: Sequence[NetworkDecoder], sample: Sample) -> NetworkDecoder:
    """The best candidate; a later one must be better by ``WORTHWHILE_DB`` than all before."""
    best, best_db = candidates[0], sample.psnr_db(candidates[0])
    for candidate in candidates[1:]:
        candidate_db = sample.psnr_db(candidate)
        if candidate_db >= best_db + WORTHWHILE_DB:
            best, best_db = candidate, candidate_db
    return best
