"""Rate control: the step, and the codes, for a target file size.

fit_codes: take_size_sample > SizeCurve.step_of > FolderEncoder.encode > correct the step
"""

from unicorn_codec.errors import InvalidSetting
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.packed import Codes
from unicorn_codec.packing.refinement import FINEST
from unicorn_codec.packing.size_forecast import SizeCurve, take_size_sample

TOLERANCE, TOLERANCE_REFINED = 0.01, 0.02
"""Accepted relative error of the size, because another step requires refining all codes again."""

CORRECTIONS = 2


def plain_step(encoder: FolderEncoder, wanted_bytes: float, observer: Observer) -> float:
    """Estimate the step at which a file has about the wanted size; the coarsest one where none reaches it."""
    sample = take_size_sample(encoder, observer.of_stage("encoding"))
    curve = SizeCurve(sample.file_bytes, encoder.finest, encoder.coarsest, observer.of_stage("searching"))
    return max(curve.step_of(wanted_bytes), FINEST)


def fit_codes(encoder: FolderEncoder, wanted_bytes: float, rounds: int, observer: Observer) -> tuple[float, Codes]:
    """Return the step and the codes for approximately the target size, if a step reaches it.

    Args:
        rounds: of refinement, whose effect on the size is estimated from a sample.

    Raises:
        InvalidSetting: the file exceeds the target size even at the coarsest step.
    """
    sample = take_size_sample(encoder, observer.of_stage("encoding"))
    curve = SizeCurve(sample.file_bytes, encoder.finest, encoder.coarsest, observer.of_stage("searching"))
    smallest = curve.size(encoder.coarsest)
    if wanted_bytes < smallest * (1 - 3 * TOLERANCE):
        least, wanted = (8 * size / encoder.pictures.pixels for size in (smallest, wanted_bytes))
        raise InvalidSetting(
            f"these pictures take at least about {smallest:.0f} bytes ({least:.3f} bits per pixel), "
            f"not {wanted_bytes:.0f} ({wanted:.3f})"
        )

    def corrected(step: float, found: float, wanted: float) -> float:
        """Return the step for a target size, corrected by the sample's error at a step of known size."""
        return curve.step_of(wanted * curve.size(step) / found)

    step = curve.step_of(wanted_bytes)
    if rounds:
        growth = sample.growth_by_refinement(step, rounds, observer.of_stage("probing"))
        fixed = encoder.overhead + encoder.sequences.bytes_at(step)
        wanted_plain = fixed + (wanted_bytes - fixed) / growth
        step = curve.step_of(wanted_plain)
        # Cheap compared with refining all pictures a second time.
        plain = encoder.estimate_file_bytes(step, observer.of_stage("sizing"))
        step = corrected(step, plain, wanted_plain)
    codes = encoder.encode(step, observer.of_stage("coding"), rounds=rounds)
    for _ in range(CORRECTIONS):
        found = encoder.file_bytes(codes)
        if abs(found / wanted_bytes - 1) <= (TOLERANCE_REFINED if rounds else TOLERANCE):
            break
        better = corrected(step, found, wanted_bytes)
        if better == step:
            break
        step, codes = better, encoder.encode(better, observer.of_stage("coding"), rounds=rounds)
    return step, codes
