"""Pixels <-> AVIF codes, for pictures that AVIF codes better than latents.

AVIF codes start with the byte ``AVIF``. Layout: ``format_spec/uni-1.md``, "AVIF codes".
"""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image, features

from unicorn_codec.effort import avif_speed
from unicorn_codec.errors import InvalidField, PackageMissing
from unicorn_codec.format.code_kinds import AVIF
from unicorn_codec.pictures.av1_stream import read_still
from unicorn_codec.pictures.avif_container import take_still, wrap_still
from unicorn_codec.pictures.pixels import Pixels

BARE_AVIF, WHOLE_AVIF = 0, 1
"""Second byte of a code: AVIF without its container, or the whole file. ``avif_sequence`` has further values."""

FULL_COLOUR_QUALITY = 50
"""Lowest quality with full chroma resolution. Below it, 4:2:0 gives equal PSNR per byte on photographs."""


@dataclass(frozen=True, slots=True)
class AvifEncoder:
    """Settings of Pillow's AVIF encoder.

    Args:
        speed: 0, slow and small, to 10.
        advanced: options of libaom, left out where Pillow encodes with another library.
    """

    speed: int
    advanced: tuple[tuple[str, str], ...] = ()


PLAIN = AvifEncoder(6)
QUICK = AvifEncoder(6, (("tune", "ssim"),))
"""``PLAIN`` is what the tables in ``quality`` were measured with. ``QUICK`` takes fewer bytes on print and drawings."""


def thorough(effort: int | None, *, print_only: bool) -> AvifEncoder:
    """Return settings with which a file is written; they take about as long as refinement.

    Args:
        effort: rounds of refinement; None: the default.
        print_only: for print and drawings, rather than for any picture.
    """
    advanced = (("tune", "ssim"), ("tune-content", "screen")) if print_only else ()
    return AvifEncoder(avif_speed(effort), advanced)


def encode_avif(pixels: Pixels, quality: int, encoder: AvifEncoder = PLAIN) -> tuple[bytes, Pixels]:
    """Encode a picture as AVIF. Return the code, and the pixels that it decodes to.

    Args:
        pixels: uint8 (H, W, 3).
        quality: Pillow's, 0 to 100.

    Raises:
        PackageMissing: this Pillow has no AVIF, or writes files that no code can hold.
    """
    check_avif()
    height, width = pixels.shape[:2]
    avif = encode_file(pixels, quality, encoder if has_libaom() else replace(encoder, advanced=()))
    try:
        whole = bytes([AVIF, WHOLE_AVIF]) + avif
        bare = bytes([AVIF, BARE_AVIF]) + take_still(avif)
        wanted, found = (decode_avif(code, width, height) for code in (whole, bare))
    except InvalidField as error:
        raise PackageMissing(f"this Pillow writes AVIF files that cannot be stored: {error}") from error
    # Some encoders could put information into the container that the stream lacks.
    return (bare if np.array_equal(wanted, found) else whole), wanted


def encode_file(pixels: Pixels, quality: int, encoder: AvifEncoder) -> bytes:
    """Return an AVIF file of a picture, uint8 (H, W, 3)."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(
        encoded,
        "AVIF",
        quality=quality,
        subsampling=subsampling_of(quality),
        speed=encoder.speed,
        advanced=encoder.advanced,
    )
    return encoded.getvalue()


def decode_avif(code: bytes, width: int, height: int) -> Pixels:
    """Decode an AVIF code to pixels, uint8 (height, width, 3).

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
    # Checked before a decoder allocates memory. The container has checked the size against its limits.
    if (claimed.width, claimed.height) != (width, height):
        raise InvalidField(f"an AVIF code of {claimed.width}x{claimed.height} pixels, not {width}x{height}")
    with opened_avif(wrap_still(data) if is_bare else data, (width, height), is_own=is_bare) as image:
        return np.array(image.convert("RGB"))


def subsampling_of(quality: int) -> str:
    """Return the chroma subsampling for a quality, in Pillow's notation."""
    return "4:4:4" if quality >= FULL_COLOUR_QUALITY else "4:2:0"


def has_avif() -> bool:
    """Return whether this Pillow reads and writes AVIF."""
    return bool(features.check("avif"))


@cache
def has_libaom() -> bool:
    """Return whether this Pillow encodes with libaom, by whether it takes one of its options."""
    try:
        encode_file(np.zeros((16, 16, 3), np.uint8), 50, QUICK)
    except (OSError, ValueError):
        return False
    return True


def check_avif() -> None:
    """Raise ``PackageMissing`` if this Pillow has no AVIF."""
    if not has_avif():
        raise PackageMissing("this Pillow is built without AVIF: install one that supports it")


@contextmanager
def opened_avif(avif: bytes, size: tuple[int, int], *, is_own: bool) -> Iterator[Image.Image]:
    """Open an AVIF file as a Pillow image of the given (width, height), for decoding inside the context.

    Args:
        is_own: whether the container was made by this module, for this size.

    Raises:
        InvalidField: it is damaged, or of another size.
    """
    # Pillow's limit of pixels is lower than the format's. Its warning is suppressed only if it can occur, because
    # suppression affects all threads.
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
