"""How the packer turned files into pixels (section ``read``), so that a verifier reads the originals alike."""

import struct
from dataclasses import dataclass

from unicorn_codec.format.header import MAX_SIDE, check
from unicorn_codec.format.sections import Fields, refusing

_LAYOUT = "I3B"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """Settings of the packer that decide pixels. A file without the section has the defaults.

    Args:
        max_side: longer sides were scaled down to it; 0: never.
        background: (R, G, B) under transparent pixels.
    """

    max_side: int = 0
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        check(0 <= self.max_side <= MAX_SIDE, f"max side is 0 to {MAX_SIDE}, not {self.max_side}")
        check(all(0 <= level <= 255 for level in self.background), f"background levels are 0 to 255: {self.background}")


def serialize_read_settings(settings: ReadSettings) -> bytes:
    """Write the payload of ``read``."""
    return struct.pack("<" + _LAYOUT, settings.max_side, *settings.background)


def parse_read_settings(payload: bytes) -> ReadSettings:
    """Read the payload of ``read``. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("read"):
        max_side, red, green, blue = fields.numbers(_LAYOUT)
        fields.finish()
        return ReadSettings(max_side=max_side, background=(red, green, blue))
