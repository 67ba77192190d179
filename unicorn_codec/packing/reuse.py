"""Which of the codes that files carry are kept: those as small as what is asked for would make them."""

from unicorn_codec.config import CodesOptions
from unicorn_codec.format.code_kinds import is_avif, is_in_sequence
from unicorn_codec.packing.allocation import FACTORS
from unicorn_codec.packing.avif_pictures import avif_of, matching_quality
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.packed import Coding
from unicorn_codec.packing.rate_control import TOLERANCE_REFINED, plain_step
from unicorn_codec.packing.refinement import FINEST
from unicorn_codec.packing.taking_over import FINER, find_carried, take_over
from unicorn_codec.packing.targets import AsAvif, AtStep, OfSize
from unicorn_codec.pictures.avif import encode_avif, thorough
from unicorn_codec.spool import Spool

AVIF_SLACK = 1.12
"""Most bytes of an AVIF code that is taken over, relative to those of coding the picture at the quality asked for: a
decoded picture takes up to 8 % fewer than its original."""


def take_codes_over(
    encoder: FolderEncoder, target: AtStep | OfSize | AsAvif, options: CodesOptions, observer: Observer
) -> FolderEncoder:
    """Return an encoder that takes over the codes that files carry, where they are as small as asked for."""
    if not options.reuse:
        return encoder
    carried = find_carried(
        encoder.pictures, encoder.shipped, observer.of_stage("comparing"), lambda: Spool(encoder.work)
    )
    if not carried.found:
        return encoder

    def has_wanted_map(position: int, coding: Coding, code: bytes) -> bool:
        return encoder.chooser.is_coded_by_mask(position, coding.latent_step, code)

    if isinstance(target, OfSize):
        taken = take_over(carried, has_wanted_map, encoder.pictures, encoder.shipped)
        smallest = encoder.with_taken(taken)
        step = plain_step(smallest, target.bytes, observer)
        fits = smallest.estimate_file_bytes(step, observer.of_stage("sizing")) <= target.bytes * (1 + TOLERANCE_REFINED)
        return smallest if fits else encoder
    step = target.step if isinstance(target, AtStep) else FINEST
    finer = FINER if options.goal is None else FACTORS[0]

    def is_small(position: int, coding: Coding, code: bytes) -> bool:
        if not has_wanted_map(position, coding, code):
            return False
        if not is_avif(code):
            return isinstance(target, AsAvif) or coding.latent_step >= finer * encoder.step_of(position, step)
        if is_in_sequence(code) or options.has_quality_floor:
            return True
        if isinstance(target, AsAvif):
            settings = thorough(options.effort, print_only=False)
            again = avif_of(encoder.pictures, position, target.quality, settings)
        else:
            quality = matching_quality(step * encoder.factors.get(position, 1.0))
            settings = thorough(options.effort, print_only=True)
            again, _ = encode_avif(encoder.pictures.picture(position), quality, settings)
        return len(code) <= AVIF_SLACK * len(again)

    return encoder.with_taken(take_over(carried, is_small, encoder.pictures, encoder.shipped))
