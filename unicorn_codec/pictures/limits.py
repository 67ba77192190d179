"""Checks of a file before decoding: its size, number of pictures, and damage."""

from collections.abc import Sequence

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile, IncompleteFile

DAMAGE_NOTE = "it is damaged: "
"""How the note on a fault begins."""

_ZEROS = bytes(256)


def check_pixels(width: int, height: int, options: ReadOptions) -> None:
    """Raise ``BadFile`` if a header claims more pixels than allowed, or none."""
    if width < 1 or height < 1:
        raise BadFile(f"it claims {width}x{height} pixels")
    if width * height > options.max_pixels:
        raise BadFile(f"it claims {width}x{height} pixels; {options.max_pixels} are allowed (--max-pixels allows more)")


def check_single(count: int, what: str, options: ReadOptions) -> list[str]:
    """Return a note if a file holds more than one picture, of which only one is kept.

    Raises:
        IncompleteFile: it does, and the options do not accept the loss.
    """
    if count <= 1:
        return []
    return refuse_loss(f"it holds {count} {what}s; {count - 1} would be lost", options)


def refuse_loss(loss: str, options: ReadOptions) -> list[str]:
    """Return a note on a loss if the options accept it; else raise ``IncompleteFile``."""
    if not options.first_page:
        raise IncompleteFile(f"{loss} (--first-page accepts it)")
    return [loss.replace("would be lost", "were left out")]


def zero_faults(payload: bytes) -> list[str]:
    """Return a fault if entropy-coded data holds a run of zeros, as in incompletely written files.

    No encoder writes such runs. For formats without checksums, whose decoders accept any data.
    """
    at = payload.find(_ZEROS)
    return [] if at < 0 else [f"its data is zero from byte {at} of {len(payload)} on"]


def refuse_damage(faults: Sequence[str], options: ReadOptions) -> list[str]:
    """Return a note on the first fault if the options accept damage; else raise ``DamagedFile``."""
    if not faults:
        return []
    if not options.accept_damaged:
        raise DamagedFile(DAMAGE_NOTE + faults[0])
    return [DAMAGE_NOTE + faults[0]]
