"""Packing into codes.

pack_into_codes: find near-duplicates > resolve the target > learn the folder > choose what AVIF codes better > encode
> enforce the quality floor
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unicorn_codec.checkpoints import CodesCheckpoint, checkpoint_path, digest_settings
from unicorn_codec.codes.context_model import ContextModel, load_context_model
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.config import CodesOptions
from unicorn_codec.errors import Interrupted, InvalidSetting
from unicorn_codec.format.header import Header
from unicorn_codec.packing.allocation import allocate
from unicorn_codec.packing.avif_pictures import (
    LEARNED,
    REFINED,
    AvifCandidates,
    AvifPictures,
    avif_of,
    judge_avif,
)
from unicorn_codec.packing.candidates import CandidateChooser
from unicorn_codec.packing.effort_planning import plan_rounds
from unicorn_codec.packing.folder_encoder import FolderEncoder, PicturesAsAvif, SequencedPictures, estimate_overhead
from unicorn_codec.packing.importance import importance_of
from unicorn_codec.packing.into_functions import FunctionsMade
from unicorn_codec.packing.learning import learn
from unicorn_codec.packing.near_duplicates import NearDuplicateGroup, find_near_duplicates, worthwhile
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.original_metadata import estimate_metadata_bytes
from unicorn_codec.packing.packed import Codes, Coding, PackedPictures
from unicorn_codec.packing.packed_decoding import PackedDecoder
from unicorn_codec.packing.picture_source import LatentSource, PictureSource
from unicorn_codec.packing.quality_floor import QualityFloor
from unicorn_codec.packing.rate_control import CORRECTIONS, fit_codes, plain_step
from unicorn_codec.packing.refinement import FINEST
from unicorn_codec.packing.reports import Learned
from unicorn_codec.packing.reuse import take_codes_over
from unicorn_codec.packing.self_contained import attached_bytes, is_wanted
from unicorn_codec.packing.targets import AsAvif, AtStep, OfSize, resolve
from unicorn_codec.pictures.avif import AvifEncoder, check_avif, has_avif, thorough
from unicorn_codec.pictures.picture_folder import folder_digest
from unicorn_codec.quality import QUALITY_OF_STEP
from unicorn_codec.spool import Spool, SpooledCodes
from unicorn_codec.transform.autoencoder import PackagedAutoencoder
from unicorn_codec.transform.distortion import MEASURES
from unicorn_codec.transform.folder_update import UpdatedModels

LEARNING_ROUNDS = 6
"""Rounds of refinement of the codes that learning ends with, if packing refines at all."""

MOST_EXCESS = 0.03
"""Relative excess of the file size above which the step is chosen again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodesPlan:
    """Decisions before the pictures are encoded.

    Args:
        target: a step, or a size, for which the step is found while encoding.
        rounds: of refinement.
    """

    target: AtStep | OfSize
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedCodes:
    """An archive of codes, before it is written.

    Args:
        rounds: of refinement of its codes; 0 if all pictures are stored as AVIF.
        learned: None if nothing was to be learned.
        taken_over: pictures whose codes were taken over from their files.
        functions: how its functions were made; None for other codes.
    """

    container: PackedPictures
    rounds: int
    learned: Learned | None = None
    taken_over: int = 0
    functions: FunctionsMade | None = None


def pack_into_codes(
    pictures: PictureSource,
    autoencoder: PackagedAutoencoder,
    output: Path,
    options: CodesOptions,
    observer: Observer,
    update: bytes | None = None,
) -> PackedCodes:
    """Store every picture as a code and, if it pays for its bytes, an update of the models that learned the folder.

    Args:
        update: learned before, which the archive holds whatever it saves; ``options.learning`` is None then.

    Raises:
        InvalidSetting: no step reaches the target size, or the step is too coarse.
        PackageMissing: there is a quality floor, and this Pillow has no AVIF.
        CheckpointMismatch: the checkpoint to resume from belongs to other pictures or settings.
        Interrupted: Ctrl-C after codes were refined; the checkpoint next to the output holds them.
    """
    if options.has_quality_floor:
        check_avif()  # before the work, not at its end
    model = load_context_model(autoencoder.reference.name)
    settings = replace(options, resume=False, overwrite=False, measure="all")
    digest = digest_settings(
        settings, folder_digest(pictures.folder, pictures.read), autoencoder.reference, model.sha256, update
    )
    checkpoint = CodesCheckpoint(checkpoint_path(output), digest, resume=options.resume)
    observer.found(pictures.folder, None)
    factors, pictures = importance_of(pictures, options)
    if not len(pictures):
        return PackedCodes(container=without_pictures(autoencoder, model, options.seed), rounds=0)
    try:
        other_bytes = estimate_metadata_bytes(pictures, options.metadata)
        if is_wanted(options.self_contained, options.target.file_bytes(pictures.pixels) or 0, autoencoder):
            other_bytes += attached_bytes(autoencoder.reference.model(model.sha256))
        encoder = new_encoder(pictures, autoencoder, model, output.parent, checkpoint, other_bytes)
        encoder = replace(encoder, factors=factors)
        if options.metric is not None:
            encoder = replace(encoder, chooser=replace(encoder.chooser, measure=MEASURES[options.metric]))
        if update is not None:
            encoder = encoder.with_update(update)
        return _encode(encoder, options, observer)
    except KeyboardInterrupt:
        if checkpoint.is_empty:
            raise
        checkpoint.save()
        kept = f"the codes of {len(checkpoint.codes)} pictures" if checkpoint.codes else "what was learned"
        raise Interrupted(
            f"stopped; {checkpoint.path} holds {kept}: give the same command with --resume to continue"
        ) from None


def without_pictures(autoencoder: PackagedAutoencoder, model: ContextModel, seed: int) -> PackedPictures:
    """Return an archive of codes that holds none, for a folder of exact pictures alone."""
    header = Header(pictures=0, seed=seed, latent_step=1.0, autoencoder=autoencoder.reference, denoising=None)
    codes = Codes(level=0, model_sha256=model.sha256, streams=())
    return PackedPictures(header=header, sizes=np.empty((0, 2), np.int32), names=(), codes=codes)


def new_encoder(
    pictures: PictureSource,
    autoencoder: PackagedAutoencoder,
    model: ContextModel,
    work: Path | None = None,
    checkpoint: CodesCheckpoint | None = None,
    other_bytes: int = 0,
    share: float = 1.0,
) -> FolderEncoder:
    """Return an encoder without sequences and update.

    Args:
        work: folder of temporary files; None: the system's.
        other_bytes: of metadata, and of a stored model.
        share: of the pixels that the archive will hold, in these pictures.
    """
    rate = RateModel.of(model).to(autoencoder.device)
    return FolderEncoder(
        latents=LatentSource(pictures, autoencoder),
        chooser=CandidateChooser(pictures=pictures, autoencoder=autoencoder, rate=rate),
        model=model,
        shipped=UpdatedModels(autoencoder, model),
        checkpoint=checkpoint,
        alphas=pictures.alphas(work),
        overhead_bytes=estimate_overhead(pictures) + other_bytes,
        work=work,
        share=share,
    )


def _encode(encoder: FolderEncoder, options: CodesOptions, observer: Observer) -> PackedCodes:
    target = resolve(options.target, pixels=encoder.pictures.pixels, coarsest=encoder.coarsest)
    if isinstance(target, AsAvif) and encoder.pictures.masked:
        raise InvalidSetting(
            "at this quality pictures are stored as AVIF, in which no part counts more (--importance, --roi): "
            f"ask for a quality of at most {QUALITY_OF_STEP[0][1]:g}"
        )
    encoder = take_codes_over(encoder, target, options, observer)
    groups = find_groups(encoder, options, observer)
    if isinstance(target, AsAvif):
        container = encode_as_avif(encoder, groups, target.quality, options, observer)
        return PackedCodes(container=container, rounds=0, taken_over=len(encoder.taken.positions))
    encoder, plan, learned = plan_codes(encoder, groups, target, options, observer)
    if encoder.checkpoint is not None and options.effort is None:
        encoder.checkpoint.rounds = plan.rounds  # a resumed pack continues with the same number
    container = encode_to_plan(encoder, plan, options.seed, observer)
    if options.has_quality_floor:
        container = enforce_floor(encoder, plan, options, container, observer)
    taken = len(encoder.taken.positions)
    rounds = 0 if taken == len(encoder.pictures) else plan.rounds
    return PackedCodes(container=container, rounds=rounds, learned=learned, taken_over=taken)


def find_groups(encoder: FolderEncoder, options: CodesOptions, observer: Observer) -> list[NearDuplicateGroup]:
    """Find near-duplicates, if they may become sequences."""
    if not (options.sequences and has_avif()):
        return []
    most = options.depends_on + 1  # the last picture of a sequence depends on all others
    progress = observer.of_stage("comparing")
    left_out = encoder.taken.positions | encoder.pictures.masked  # sequences have no cell maps
    return find_near_duplicates(encoder.chooser, most, progress, encoder.work, left_out)


def plan_codes(
    encoder: FolderEncoder,
    groups: Sequence[NearDuplicateGroup],
    target: AtStep | OfSize,
    options: CodesOptions,
    observer: Observer,
) -> tuple[FolderEncoder, CodesPlan, Learned | None]:
    """Choose sequences, learn, choose what AVIF codes better, and choose the rounds of refinement."""
    step = target.step if isinstance(target, AtStep) else plain_step(encoder, target.bytes, observer)
    sequences = worthwhile(groups, step, observer.of_stage("sequences"))
    encoder = encoder.with_sequences(PicturesAsAvif(encoder.taken, sequences))
    encoder, learned = learn_and_choose(encoder, step, options, observer)
    return encoder, CodesPlan(target=target, rounds=plan_rounds(encoder, options, step)), learned


def learn_and_choose(
    encoder: FolderEncoder, step: float, options: CodesOptions, observer: Observer
) -> tuple[FolderEncoder, Learned | None]:
    """Train an update where that pays, and choose the pictures that cost less as AVIF than as latents.

    Args:
        encoder: with sequences.
        step: at which the pictures will be coded, approximately.
    """
    sequences, learned = encoder.sequences, None
    candidates = AvifCandidates(0, {}, {})
    if options.avif and has_avif():
        candidates = judge_avif(encoder, step, observer.of_stage("choosing"))
    # What learning cannot win is not learned from.
    settings = thorough(options.effort, print_only=True)
    latents = encoder.with_sequences(with_avif(sequences, encoder, candidates.below(LEARNED), settings))
    if options.learning is not None and len(latents.sequences.positions) < len(encoder.pictures):
        rounds = LEARNING_ROUNDS if options.effort is None else min(options.effort, LEARNING_ROUNDS)
        update, learned = learn(latents, step, options.learning, rounds, options.seed, observer)
        if update is not None:
            encoder = encoder.with_update(update)
            if candidates.code_bytes:
                candidates = judge_avif(encoder, step, observer.of_stage("choosing"))
    chosen = candidates.below(1.0 if options.effort == 0 else REFINED)
    encoder = encoder.with_sequences(with_avif(sequences, encoder, chosen, settings))
    factors = encoder.factors
    if options.goal is not None:
        factors = allocate(encoder, step, options.goal, sorted(chosen.code_bytes), observer.of_stage("allocating"))
    encoder = encoder.with_sequences(with_avif(sequences, encoder, chosen, settings, factors))
    return replace(encoder, factors=factors), learned


def with_avif(
    sequences: SequencedPictures,
    encoder: FolderEncoder,
    alone: AvifCandidates,
    settings: AvifEncoder,
    factors: Mapping[int, float] | None = None,
) -> PicturesAsAvif:
    """Combine pictures that are stored as sequences and alone.

    Args:
        settings: of the encoder of those alone.
        factors: of the steps of pictures, by position; None: all have the folder's.
    """
    return PicturesAsAvif(sequences, AvifPictures(encoder.pictures, alone, settings, factors))


def encode_to_plan(encoder: FolderEncoder, plan: CodesPlan, seed: int, observer: Observer) -> PackedPictures:
    """Code all pictures as latents or sequences, at the planned step or to the planned size."""
    if isinstance(plan.target, AtStep):
        step = plan.target.step
        codes = encoder.encode(step, observer.of_stage("coding"), rounds=plan.rounds)
    else:
        step, codes = fit_codes(encoder, plan.target.bytes, plan.rounds, observer)
    return container_of(encoder, max(step, FINEST), codes, seed)


def container_of(encoder: FolderEncoder, step: float, codes: Codes, seed: int) -> PackedPictures:
    """Combine a folder's codes with the decoder's settings."""
    folder = encoder.pictures.folder
    header = Header(
        pictures=len(encoder.pictures),
        seed=seed,
        latent_step=step,
        autoencoder=encoder.autoencoder.reference,
        denoising=None,
    )
    return PackedPictures(
        header=header,
        sizes=folder.sizes,
        names=folder.names,
        codes=codes,
        alphas=encoder.alphas,
        update=encoder.update,
    )


def encode_as_avif(
    encoder: FolderEncoder,
    groups: Sequence[NearDuplicateGroup],
    quality: int,
    options: CodesOptions,
    observer: Observer,
) -> PackedPictures:
    """Store all pictures as AVIF at a quality, and near-duplicates as sequences if those take fewer bytes.

    Raises:
        PackageMissing: this Pillow has no AVIF.
    """
    check_avif()
    count, settings = len(encoder.pictures), thorough(options.effort, print_only=False)
    codes = Spool(encoder.work)
    codes.update({position: code for some in encoder.taken.codes_at(1.0) for position, code in some.items()})
    for done, group in enumerate(groups, start=1):
        if group.beats_avif(quality):
            for position, code in group.codes(group.quality_like(quality)).items():
                codes[position] = encoder.pictures.mark_if_gray(position, code)
        observer.stage("sequences", done, len(groups))
    for position in range(count):
        if position not in codes:
            codes[position] = avif_of(encoder.pictures, position, quality, settings)
            observer.stage("coding", len(codes), count)
    streams = SpooledCodes(codes, count, {}, frozenset())
    other = {position: coding for position, coding in encoder.taken.codings.items() if coding != Coding(1.0, 0)}
    packed = Codes(level=0, model_sha256=encoder.model.sha256, streams=streams, other=other)
    return container_of(encoder, 1.0, packed, options.seed)


def enforce_floor(
    encoder: FolderEncoder, plan: CodesPlan, options: CodesOptions, container: PackedPictures, observer: Observer
) -> PackedPictures:
    """Store every picture below the quality floor as AVIF.

    If the file then exceeds the target size, the other pictures get a coarser step, if one is available.
    """
    floor = QualityFloor(pictures=encoder.pictures, options=options, avif=Spool(encoder.work))
    enforced = with_floor(floor, encoder, container, observer)
    if isinstance(plan.target, AtStep):
        return enforced
    room = wanted_bytes = plan.target.bytes
    for _ in range(CORRECTIONS):
        excess = bytes_of(encoder, enforced) - wanted_bytes
        if excess <= wanted_bytes * MOST_EXCESS:
            break
        room -= excess
        try:
            coarser = encode_to_plan(encoder, replace(plan, target=OfSize(room)), options.seed, observer)
        except InvalidSetting:  # even the coarsest step leaves no room for the AVIF pictures: the report says so
            break
        enforced = min(enforced, with_floor(floor, encoder, coarser, observer), key=lambda one: bytes_of(encoder, one))
    return enforced


def with_floor(
    floor: QualityFloor, encoder: FolderEncoder, container: PackedPictures, observer: Observer
) -> PackedPictures:
    """Return a container whose codes reach the floor."""
    codes = codes_of(container)
    main = Coding(container.header.latent_step, codes.level, container.update, codes.short)
    decoder = PackedDecoder(codes=codes, main=main, other=codes.other, shipped=encoder.shipped)
    return replace(container, codes=floor.enforce(codes, decoder, observer.of_stage("judging")))


def bytes_of(encoder: FolderEncoder, container: PackedPictures) -> int:
    """Estimate the bytes of a container's file."""
    return encoder.file_bytes(codes_of(container))


def codes_of(container: PackedPictures) -> Codes:
    """Return the codes of a container that has no network."""
    if container.codes is None:
        raise TypeError("an archive with a network has no codes")
    return container.codes
