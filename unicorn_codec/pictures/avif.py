"""Pixels <-> AVIF codes: pictures that AVIF stores better than latents would.

A code that starts with ``AVIF`` is one. Layout: ``format_spec/uni-1.md``, "AVIF codes".
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
from PIL import Image, features

from unicorn_codec.errors import InvalidField, PackageMissing
from unicorn_codec.format.code_kinds import AVIF
from unicorn_codec.pictures.av1_stream import read_still
from unicorn_codec.pictures.avif_container import take_still, wrap_still
from unicorn_codec.pictures.images import Pixels

BARE_AVIF, WHOLE_AVIF = 0, 1
"""Ids of codecs: AVIF without its container, and the whole file. Others are those of ``avif_sequence``."""

FULL_COLOUR_QUALITY = 50
"""From here on chroma keeps its resolution: below, it costs as much as it gains in PSNR on photographs."""

SPEED = 6


def encode_avif(pixels: Pixels, quality: int) -> tuple[bytes, Pixels]:
    """A picture's AVIF code, and the pixels that it decodes to.

    Args:
        pixels: uint8 (H, W, 3).
        quality: Pillow's, 0 to 100.

    Raises:
        PackageMissing: this Pillow has no AVIF, or writes files that no code can hold.
    """
    check_avif()
    height, width = pixels.shape[:2]
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "AVIF", quality=quality, subsampling=subsampling_of(quality), speed=SPEED)
    avif = encoded.getvalue()
    try:
        whole = bytes([AVIF, WHOLE_AVIF]) + avif
        bare = bytes([AVIF, BARE_AVIF]) + take_still(avif)
        wanted, found = (decode_avif(code, width, height) for code in (whole, bare))
    except InvalidField as error:
        raise PackageMissing(f"this Pillow writes AVIF files that cannot be stored: {error}") from error
    # Another encoder could say in the container what its stream does not.
    return (bare if np.array_equal(wanted, found) else whole), wanted


def decode_avif(code: bytes, width: int, height: int) -> Pixels:
    """Pixels, uint8 (height, width, 3), of an AVIF code.

    Raises:
        InvalidField: it is damaged, or a picture of another size.
        PackageMissing: this Pillow has no AVIF.
    """
    check_avif()
    codec, data = code[1:2], code[2:]
    if codec not in (bytes([BARE_AVIF]), bytes([WHOLE_AVIF])):
        raise InvalidField(f"an AVIF code of codec {codec.hex() or 'none'}, known are {BARE_AVIF} and {WHOLE_AVIF}")
    is_bare = codec[0] == BARE_AVIF
    claimed = read_still(data if is_bare else take_still(data))
    # Before a decoder takes memory: sizes beyond the limits are found when the archive is opened.
    if (claimed.width, claimed.height) != (width, height):
        raise InvalidField(f"an AVIF code of {claimed.width}x{claimed.height} pixels, not {width}x{height}")
    with opened_avif(wrap_still(data) if is_bare else data, (width, height), is_own=is_bare) as image:
        return np.array(image.convert("RGB"))


def subsampling_of(quality: int) -> str:
    """Of chroma, as Pillow names it."""
    return "4:4:4" if quality >= FULL_COLOUR_QUALITY else "4:2:0"


def has_avif() -> bool:
    """Whether this Pillow reads and writes AVIF."""
    return bool(features.check("avif"))


def check_avif() -> None:
    """Raise ``PackageMissing`` if this Pillow has no AVIF."""
    if not has_avif():
        raise PackageMissing("this Pillow is built without AVIF, which is needed: install another one")


@contextmanager
def opened_avif(avif: bytes, size: tuple[int, int], *, is_own: bool) -> Iterator[Image.Image]:
    """An AVIF file's image, of the wanted (width, height), to be decoded within.

    Args:
        is_own: the file's container was made here, for this size.

    Raises:
        InvalidField: it is damaged, or of another size.
    """
    # Pillow's own limit of pixels is lower than the format's. Where it cannot matter nothing is silenced: that would be
    # for all threads at once.
    may_warn = not is_own or math.prod(size) > (Image.MAX_IMAGE_PIXELS or math.inf)
    try:
        with (
            warnings.catch_warnings(action="ignore") if may_warn else nullcontext(),
            Image.open(io.BytesIO(avif), formats=("AVIF",)) as image,
        ):
            if image.size != size:
                raise InvalidField(f"an AVIF file of {image.size} pixels around a picture of {size}")
            yield image
    except InvalidField:
        raise
    except Exception as error:  # Pillow's readers raise nearly anything on damaged bytes
        raise InvalidField(f"a damaged AVIF code ({error or type(error).__name__})") from error
