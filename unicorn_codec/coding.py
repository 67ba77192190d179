"""Packing into codes: the step follows from the wanted size, the decoder is tuned to the set, quality is held.

pack_into_codes: code_folder > tune_decoder > code_folder, in what the change leaves > hold_quality
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from unicorn_codec.autoencoder import Autoencoder, EmbeddedAutoencoder
from unicorn_codec.classic import check_avif, encode_classic
from unicorn_codec.code_model import CodeModel, load_code_model
from unicorn_codec.code_table import Codes
from unicorn_codec.config import Header, PackOptions, check
from unicorn_codec.container import Container
from unicorn_codec.decoding import CodeDecoder
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.folder_coder import FolderCoder, encode_latents
from unicorn_codec.guarantee import Guarantee
from unicorn_codec.images import Folder, read_picture
from unicorn_codec.quality import USUAL_QUALITY, avif_quality_of, step_of_quality
from unicorn_codec.reports import Observer
from unicorn_codec.tuning import tune_decoder

TOLERANCE = 0.01
ROUNDS = 6
CORRECTIONS = 2
MOST_EXCESS = 0.03
"""Part of the wanted bytes that a file may have more, before the step is chosen again."""


def pack_into_codes(pictures: Folder, autoencoder: Autoencoder, options: PackOptions, observer: Observer) -> Container:
    """Every image in a code of its own, and where it pays a change of the decoder that all share.

    Raises:
        InvalidSetting: no step gives the wanted size, or the step is too coarse.
        PackageMissing: quality is to be held, and this Pillow has no AVIF.
    """
    assert isinstance(autoencoder, EmbeddedAutoencoder), "the options ask for no other one"
    if options.guarantees_quality:
        check_avif()  # what cannot be done must not wait for the end
    observer.found(pictures, None)
    coder = FolderCoder(pictures, options.read, autoencoder, load_code_model())
    wanted_bytes = options.target_bytes(pictures.pixels)
    if wanted_bytes is None and options.latent_step is None:
        step = step_of_quality(USUAL_QUALITY if options.quality is None else options.quality)
        if step is None:
            return code_classically(coder, options, observer)
        options = replace(options, quality=None, latent_step=step)
    container = code_folder(coder, options, wanted_bytes, None, observer)
    if options.tune:
        step, file_bytes = container.header.latent_step, bytes_of(coder, container)
        tuning = tune_decoder(coder, step, file_bytes, options.seed, observer)
        if tuning is not None and wanted_bytes is None:
            container = replace(container, tuning=tuning)
        elif tuning is not None:
            container = code_folder(coder, options, wanted_bytes, tuning, observer)
    return hold_quality(coder, options, container, observer) if options.guarantees_quality else container


def code_folder(
    coder: FolderCoder, options: PackOptions, wanted_bytes: float | None, tuning: bytes | None, observer: Observer
) -> Container:
    """All pictures in latents, of the wanted bytes or, without any, of the wanted step.

    Args:
        tuning: a change of the decoder, which the wanted bytes have to hold too.
    """
    coder, coarsest = coder.tuned(tuning), coder.autoencoder.network.max_step
    rounds = options.rounds(coder.pictures.pixels)
    if wanted_bytes is None:
        step, codes = options.latent_step, None
        assert step is not None, "the options were given a step"
        check(step <= coarsest, f"the quantisation step is at most {coarsest:g}, not {step:g}")
    else:
        step, codes = fit_codes(coder, wanted_bytes - len(tuning or b""), coarsest, rounds, observer)
    if rounds or codes is None:
        codes = coder.encode(step, observer.of_stage("refining" if rounds else "coding"), rounds=rounds)
    return container_of(coder, options, step, codes, tuning)


def container_of(
    coder: FolderCoder, options: PackOptions, step: float, codes: Codes, tuning: bytes | None = None
) -> Container:
    """A folder's codes with all that a decoder needs beside them."""
    pictures = coder.pictures
    header = Header(
        images=len(pictures.pictures),
        seed=options.seed,
        latent_step=step,
        autoencoder=coder.autoencoder.reference,
        denoising=None,
    )
    return Container(header=header, sizes=pictures.sizes, names=pictures.names, codes=codes, tuning=tuning)


def code_classically(coder: FolderCoder, options: PackOptions, observer: Observer) -> Container:
    """All pictures by AVIF, in a quality that latents do not reach.

    Raises ``PackageMissing`` if this Pillow has no AVIF.
    """
    check_avif()
    assert options.quality is not None, "a usual quality is one of latents"
    pictures, quality = coder.pictures, avif_quality_of(options.quality)
    streams = []
    for done, picture in enumerate(pictures.pictures, start=1):
        code, _ = encode_classic(read_picture(pictures, picture, options.read), quality)
        streams.append(code)
        observer.stage("coding", done, len(pictures.pictures))
    codes = Codes(level=0, model_sha256=coder.model.sha256, streams=tuple(streams))
    return container_of(coder, options, 1.0, codes)


def hold_quality(coder: FolderCoder, options: PackOptions, container: Container, observer: Observer) -> Container:
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
            coarser = code_folder(coder, options, room, container.tuning, observer)
        except InvalidSetting:  # not even the coarsest step leaves room for the pictures in AVIF: the report says so
            break
        held = min(held, held_by(guarantee, coder, coarser, observer), key=lambda one: bytes_of(coder, one))
    return held


def held_by(guarantee: Guarantee, coder: FolderCoder, container: Container, observer: Observer) -> Container:
    """A container with the codes that a guarantee asks for."""
    assert container.codes is not None, "there is no guarantee for networks"
    changed = coder.autoencoder if container.tuning is None else coder.autoencoder.changed(container.tuning)
    decoder = CodeDecoder(
        header=container.header,
        codes=container.codes,
        positions=np.arange(container.header.images),
        autoencoder=changed,
        model=coder.model,
    )
    return replace(container, codes=guarantee.hold(decoder, observer.of_stage("judging")))


def bytes_of(coder: FolderCoder, container: Container) -> int:
    """Bytes of a container's file, about."""
    assert container.codes is not None
    return coder.file_bytes(container.codes) + len(container.tuning or b"")


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
    curve = SizeCurve(coder.model, *coder.sample(progress), coder.overhead)
    if wanted_bytes < curve.size(coarsest) * (1 - 3 * TOLERANCE):
        smallest = curve.size(coarsest)
        least, wanted = (8 * size / coder.pictures.pixels for size in (smallest, wanted_bytes))
        raise InvalidSetting(
            f"these pictures take at least about {smallest:.0f} bytes ({least:.3f} bits per pixel), "
            f"not {wanted_bytes:.0f} ({wanted:.3f})"
        )
    return curve


def fit_codes(
    coder: FolderCoder, wanted_bytes: float, coarsest: float, rounds: int, observer: Observer
) -> tuple[float, Codes]:
    """Step with which the file has the wanted bytes, within ``TOLERANCE`` where a step can do so, and its plain codes.

    Args:
        rounds: in which the codes will be refined. That takes long, so the step is chosen by plain codes, and what
            refinement adds to them is known from a sample.
    """
    curve = measure_sizes(coder, wanted_bytes, coarsest, observer.of_stage("probing"))
    step = curve.step_of(wanted_bytes, coarsest)
    if rounds:
        growth = coder.growth_by_refinement(step, rounds, observer.of_stage("probing"))
        wanted_bytes = coder.overhead + (wanted_bytes - coder.overhead) / growth
        step = curve.step_of(wanted_bytes, coarsest)
    codes = coder.encode(step, observer.of_stage("coding"))
    for _ in range(CORRECTIONS):
        found = coder.file_bytes(codes)
        # What the sample is wrong by at one step, it is about wrong by at those near to it.
        better = curve.step_of(wanted_bytes * curve.size(step) / found, coarsest)
        if abs(found / wanted_bytes - 1) <= TOLERANCE or better == step:
            break
        step, codes = better, coder.encode(better, observer.of_stage("coding"))
    return step, codes
