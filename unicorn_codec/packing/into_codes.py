"""Packing into codes: alike pictures become sequences, the others latents; the decoder is tuned, quality is held.

make_codes: find_near_duplicates > code_folder > tune_decoder > code_folder, in what the change leaves > hold_quality
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from unicorn_codec.checkpoints import KeptCodes, checkpoint_of, digest_of
from unicorn_codec.codes.code_model import load_code_model
from unicorn_codec.config import SHORT_EFFORT, PackOptions, rounds_that_pay, usual_effort
from unicorn_codec.decoding import CodeDecoder
from unicorn_codec.errors import Interrupted, InvalidSetting
from unicorn_codec.format.code_table import Codes
from unicorn_codec.format.container import Container
from unicorn_codec.format.header import Header, check
from unicorn_codec.packing.folder_coder import FINEST, Candidate, FolderCoder
from unicorn_codec.packing.near_duplicates import NearDuplicateGroup, find_near_duplicates, worthwhile
from unicorn_codec.packing.quality_floor import QualityFloor
from unicorn_codec.packing.refinement import PIXELS_AT_ONCE, SLOPE
from unicorn_codec.packing.size_forecast import SizeCurve, take_sample
from unicorn_codec.packing.tuning import tune_decoder
from unicorn_codec.pictures.avif import check_avif, encode_avif, has_avif
from unicorn_codec.pictures.images import Folder, folder_digest
from unicorn_codec.pictures.metrics import ms_ssim
from unicorn_codec.quality import USUAL_QUALITY, avif_quality_of, step_of_quality
from unicorn_codec.reports import Observer
from unicorn_codec.transform.autoencoder import Autoencoder, PackagedAutoencoder

Item = TypeVar("Item")

TOLERANCE, TOLERANCE_REFINED = 0.01, 0.02
"""Part that a file's size may be off: finding another step takes long where codes are refined."""

TIMED_PICTURES = {"cpu": 8, "cuda": 128}
TIMED_PIXELS = {"cpu": 1 << 19, "cuda": PIXELS_AT_ONCE["cuda"]}
TIMED_ROUNDS = {"cpu": 2, "cuda": 20}
"""What tells how long refining takes, by the kind of device: so many pictures at most, of so many pixels about, in so
many rounds. A GPU takes as long for few pictures as for many."""

USUAL_STEP = 2.8
"""Tells whether alike pictures are worth a sequence, and how long a round takes, where a wanted size is to decide the
step."""

CORRECTIONS = 2
MOST_EXCESS = 0.03
"""Part of the wanted bytes that a file may have more, before the step is chosen again."""


def pack_into_codes(
    pictures: Folder, autoencoder: Autoencoder, output: Path, options: PackOptions, observer: Observer
) -> tuple[Container, int]:
    """Every picture in a code of its own, and where it pays a change of the decoder that all share.

    Returns:
        The archive, and in how many rounds its codes were refined.

    Raises:
        InvalidSetting: no step gives the wanted size, or the step is too coarse.
        PackageMissing: quality is to be held, and this Pillow has no AVIF.
        CheckpointMismatch: the checkpoint to resume from belongs to something else.
        Interrupted: after Ctrl-C, where codes were refined already; the checkpoint beside the output holds them.
    """
    assert isinstance(autoencoder, PackagedAutoencoder), "the options ask for no other one"
    if options.has_quality_floor:
        check_avif()  # what cannot be done must not wait for the end
    model = load_code_model(autoencoder.reference.name)
    settings = replace(options, resume=False, overwrite=False)
    digest = digest_of(settings, folder_digest(pictures, options.read), autoencoder.reference, model.sha256)
    kept = KeptCodes(checkpoint_of(output), digest, resume=options.resume)
    observer.found(pictures, None)
    try:
        return make_codes(FolderCoder(pictures, options.read, autoencoder, model, kept), options, observer)
    except KeyboardInterrupt:
        if not kept.codes:
            raise
        kept.save()
        raise Interrupted(
            f"stopped; {kept.path} holds the codes of {len(kept.codes)} pictures: "
            "give the same command with --resume to go on"
        ) from None


def make_codes(coder: FolderCoder, options: PackOptions, observer: Observer) -> tuple[Container, int]:
    """The archive of a folder: its step, its codes, and what they are decoded with; and the effort that they took."""
    pictures = coder.pictures
    wanted_bytes = options.target_bytes(pictures.pixels)
    alone = options.each_alone or not has_avif()
    groups = [] if alone else find_near_duplicates(coder, observer.of_stage("comparing"))
    if wanted_bytes is None and options.latent_step is None:
        step = wanted_step(options, coder.coarsest)
        if step is None:
            return encode_all_as_avif(coder, groups, options, observer), 0
        options = replace(options, quality=None, slope=None, latent_step=step)
    coder = coder.beside(worthwhile(groups, options.latent_step or USUAL_STEP, observer.of_stage("sequences")))
    options = replace(options, seconds=None, effort=effort_of(coder, options))
    container = code_folder(coder, options, wanted_bytes, None, observer)
    if options.tune:
        step, file_bytes = container.header.latent_step, bytes_of(coder, container)
        tuning = tune_decoder(coder, step, file_bytes, options.seed, observer)
        if tuning is not None and wanted_bytes is None:
            container = replace(container, tuning=tuning)
        elif tuning is not None:
            container = code_folder(coder, options, wanted_bytes, tuning, observer)
    if options.has_quality_floor:
        container = hold_quality(coder, options, container, observer)
    assert options.effort is not None, "it was chosen"
    return container, options.effort


def effort_of(coder: FolderCoder, options: PackOptions) -> int:
    """In how many rounds codes are refined: as was asked for, as is usual, or as time allows."""
    if options.effort is not None:
        return options.effort
    kept = coder.kept_codes
    if kept is not None and kept.effort is not None:
        return kept.effort  # the unfinished work goes on as it was begun
    if options.seconds is None:
        effort = usual_effort(coder.pictures.pixels, coder.autoencoder.device.type)
    else:
        # A wanted size may need all pictures to be refined once more.
        times = 1 if options.target_bytes(coder.pictures.pixels) is None else 2
        effort = effort_within(coder, options.seconds, times, options.latent_step or USUAL_STEP)
    if kept is not None:
        kept.effort = effort
    return effort


def effort_within(coder: FolderCoder, seconds: float, times: int, step: float) -> int:
    """In how many rounds all codes can be refined so many times in about so many seconds, as some pictures tell."""
    begun, device = time.monotonic(), coder.autoencoder.device.type
    in_latents = [p for p in range(len(coder.pictures.pictures)) if p not in coder.others.positions]
    some, pixels = list[int](), 0
    for position in in_latents[:: max(1, -(-len(in_latents) // TIMED_PICTURES[device]))]:
        if pixels < TIMED_PIXELS[device]:
            some.append(position)
            pixels += coder.pixels_of(position)
    if not some:
        return 0
    batches, encoding = timed(coder.latents(some, lambda *_: None))

    def choices(rounds: int) -> Iterator[Candidate]:
        for batch, latents in batches:
            yield from chain.from_iterable(coder.choices(batch, latents, step, rounds))

    chosen, _ = timed(choices(1))  # the very first takes longer
    _, refining_once = timed(choices(1))
    _, refining = timed(choices(1 + TIMED_ROUNDS[device]))
    _, coding = timed(coder.coded(chosen, step))
    a_round = (refining - refining_once) / TIMED_ROUNDS[device]
    _, comparing = timed(ms_ssim(one, one) for one in map(coder.picture, some))
    # What comes with any rounds, and in the end the way back: codes are read, pictures decoded and compared.
    rest = encoding + refining_once - a_round + coding + coding + a_round / 3 + comparing
    of_all = sum(map(coder.pixels_of, in_latents)) / pixels
    left = seconds - (time.monotonic() - begun) - rest * of_all
    if a_round <= 0:  # so little was measured that it says nothing
        return SHORT_EFFORT if left > 0 else 0
    return rounds_that_pay(int(max(0.0, left / (a_round * of_all) / times)))


def timed(items: Iterable[Item]) -> tuple[list[Item], float]:
    """The items, and in how many seconds they were made."""
    started = time.monotonic()
    made = list(items)
    return made, time.monotonic() - started


def wanted_step(options: PackOptions, coarsest: float) -> float | None:
    """The step that a lambda or a quality comes to; None for a quality that no step reaches."""
    if options.slope is not None:
        return min(max(1.0, math.sqrt(options.slope / SLOPE)), coarsest)
    return step_of_quality(USUAL_QUALITY if options.quality is None else options.quality)


def code_folder(
    coder: FolderCoder, options: PackOptions, wanted_bytes: float | None, tuning: bytes | None, observer: Observer
) -> Container:
    """All pictures in latents, of the wanted bytes or, without any, of the wanted step.

    Args:
        tuning: a change of the decoder, which the wanted bytes have to hold too.
    """
    assert options.effort is not None, "it was chosen"
    coder, rounds = coder.tuned(tuning), options.effort
    if wanted_bytes is None:
        step = options.latent_step
        assert step is not None, "the options were given a step"
        check(step <= coder.coarsest, f"the quantisation step is at most {coder.coarsest:g}, not {step:g}")
        codes = coder.encode(step, observer.of_stage("coding"), rounds=rounds)
    else:
        step, codes = fit_codes(coder, wanted_bytes - len(tuning or b""), rounds, observer)
    return container_of(coder, options, max(step, FINEST), codes, tuning)


def container_of(
    coder: FolderCoder, options: PackOptions, step: float, codes: Codes, tuning: bytes | None = None
) -> Container:
    """A folder's codes with all that a decoder needs beside them."""
    pictures = coder.pictures
    header = Header(
        pictures=len(pictures.pictures),
        seed=options.seed,
        latent_step=step,
        autoencoder=coder.autoencoder.reference,
        denoising=None,
    )
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, codes=codes, tuning=tuning)


def encode_all_as_avif(
    coder: FolderCoder, groups: Sequence[NearDuplicateGroup], options: PackOptions, observer: Observer
) -> Container:
    """All pictures by AVIF, in a quality that latents do not reach: alike ones as sequences, if those take less.

    Raises ``PackageMissing`` if this Pillow has no AVIF.
    """
    check_avif()
    assert options.quality is not None, "a usual quality is one of latents"
    count, quality = len(coder.pictures.pictures), avif_quality_of(options.quality)
    codes: dict[int, bytes] = {}
    for done, group in enumerate(groups, start=1):
        if group.pays_beside(quality):
            codes |= group.codes(group.quality_like(quality))
        observer.stage("sequences", done, len(groups))
    for position in range(count):
        if position not in codes:
            codes[position], _ = encode_avif(coder.picture(position), quality)
            observer.stage("coding", len(codes), count)
    streams = tuple(codes[position] for position in range(count))
    return container_of(coder, options, 1.0, Codes(level=0, model_sha256=coder.model.sha256, streams=streams))


def hold_quality(coder: FolderCoder, options: PackOptions, container: Container, observer: Observer) -> Container:
    """The container with every picture of too low a quality stored by AVIF.

    If that makes the file larger than wanted, the others get a coarser step, where there is one that helps.
    """
    guarantee = QualityFloor(pictures=coder.pictures, options=options)
    held = held_by(guarantee, coder, container, observer)
    wanted_bytes = room = options.target_bytes(coder.pictures.pixels)
    for _ in range(CORRECTIONS):
        if wanted_bytes is None or room is None or bytes_of(coder, held) <= wanted_bytes * (1 + MOST_EXCESS):
            break
        room -= bytes_of(coder, held) - wanted_bytes
        try:
            coarser = code_folder(coder, options, room, container.tuning, observer)
        except InvalidSetting:  # not even the coarsest step leaves room for the pictures in AVIF: the report says so
            break
        held = min(held, held_by(guarantee, coder, coarser, observer), key=lambda one: bytes_of(coder, one))
    return held


def held_by(guarantee: QualityFloor, coder: FolderCoder, container: Container, observer: Observer) -> Container:
    """A container with the codes that a guarantee asks for."""
    assert container.codes is not None, "there is no guarantee for networks"
    changed = coder.autoencoder if container.tuning is None else coder.autoencoder.changed(container.tuning)
    decoder = CodeDecoder(
        header=container.header,
        codes=container.codes,
        positions=np.arange(container.header.pictures),
        autoencoder=changed,
        model=coder.model,
    )
    return replace(container, codes=guarantee.hold(decoder, observer.of_stage("judging")))


def bytes_of(coder: FolderCoder, container: Container) -> int:
    """Bytes of a container's file, about."""
    assert container.codes is not None
    return coder.file_bytes(container.codes) + len(container.tuning or b"")


def fit_codes(coder: FolderCoder, wanted_bytes: float, rounds: int, observer: Observer) -> tuple[float, Codes]:
    """Step and codes with which the file has the wanted bytes, about, where a step can do so.

    Args:
        rounds: in which the codes are refined. That takes long: what it adds to them is known from a sample.

    Raises:
        InvalidSetting: even the coarsest step takes more than wanted.
    """
    sample = take_sample(coder, observer.of_stage("encoding"))
    curve = SizeCurve(sample.file_bytes, coder.finest, coder.coarsest, observer.of_stage("searching"))
    smallest = curve.size(coder.coarsest)
    if wanted_bytes < smallest * (1 - 3 * TOLERANCE):
        least, wanted = (8 * size / coder.pictures.pixels for size in (smallest, wanted_bytes))
        raise InvalidSetting(
            f"these pictures take at least about {smallest:.0f} bytes ({least:.3f} bits per pixel), "
            f"not {wanted_bytes:.0f} ({wanted:.3f})"
        )

    def corrected(step: float, found: float, wanted: float) -> float:
        """The step for a wanted size, where one step's is known: as wrong as the sample is there it is near to it."""
        return curve.step_of(wanted * curve.size(step) / found)

    step = curve.step_of(wanted_bytes)
    if rounds:
        growth = sample.growth_by_refinement(step, rounds, observer.of_stage("probing"))
        fixed = coder.overhead + coder.others.bytes_at(step)
        wanted_plain = fixed + (wanted_bytes - fixed) / growth
        step = curve.step_of(wanted_plain)
        plain = coder.plain_bytes(step, observer.of_stage("sizing"))  # takes little beside refining all of them twice
        step = corrected(step, plain, wanted_plain)
    codes = coder.encode(step, observer.of_stage("coding"), rounds=rounds)
    for _ in range(CORRECTIONS):
        found = coder.file_bytes(codes)
        if abs(found / wanted_bytes - 1) <= (TOLERANCE_REFINED if rounds else TOLERANCE):
            break
        better = corrected(step, found, wanted_bytes)
        if better == step:
            break
        step, codes = better, coder.encode(better, observer.of_stage("coding"), rounds=rounds)
    return step, codes
