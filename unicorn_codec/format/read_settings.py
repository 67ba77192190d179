"""Settings for reading picture files, stored so that a verifier reads the originals in the same way."""

import struct
from dataclasses import dataclass

from unicorn_codec.format.fields import Fields, check, varint
from unicorn_codec.format.limits import MAX_SIDE

_WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """Settings of the packer that affect pixels.

    Args:
        max_side: largest side after scaling down; 0 means no limit.
        background: (R, G, B) under transparent pixels; None if pictures keep their transparency.
    """

    max_side: int = 0
    background: tuple[int, int, int] | None = (255, 255, 255)

    def __post_init__(self) -> None:
        check(0 <= self.max_side <= MAX_SIDE, f"max side is 0 to {MAX_SIDE}, not {self.max_side}")
        levels = self.background or ()
        check(all(0 <= level <= 255 for level in levels), f"background levels are 0 to 255: {levels}")


def serialize_read_settings(settings: ReadSettings) -> bytes:
    """Write the settings as stored in the footer, whose feature bits say whether transparency is kept."""
    return varint(settings.max_side) + struct.pack("3B", *(settings.background or _WHITE))


def take_read_settings(fields: Fields, *, keeps_alpha: bool) -> ReadSettings:
    """Read the settings from the footer. Raises ``InvalidField``."""
    max_side = fields.varint(MAX_SIDE, "the longest side")
    red, green, blue = fields.numbers("3B")
    return ReadSettings(max_side=max_side, background=None if keeps_alpha else (red, green, blue))
