"""Opacity of a picture <-> bytes: a plane of its own beside the picture's code, filtered and packed by zstd.

Layout: ``format_spec/uni-1.md``, "Transparency".
"""

from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.limits import MAX_WINDOW_BYTES
from unicorn_codec.format.packed_bytes import unpack_frame

Plane = NDArray[np.uint8]
"""(H, W) opacity: 0 is transparent, 255 opaque."""

STEPS = (1, 3, 5, 15, 17, 51)
"""Steps between stored opacities. They divide 255, so that transparent and opaque pixels are exact with each."""

COARSE_STEP = 5
EXACT_BYTES, EXACT_BITS_PER_PIXEL = 1024, 2.0
"""Planes that are larger exactly, by both, are stored with ``COARSE_STEP``."""

MAX_ALPHA_ERROR = COARSE_STEP // 2
"""Largest difference of a stored opacity from the original, in levels of 255."""

_FILTERS = 4
_LEVEL, _TRIAL_LEVEL = 19, 3
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    _LEVEL, window_log=MAX_WINDOW_BYTES.bit_length() - 1, write_content_size=True
)


def serialize_alpha(alpha: Plane) -> bytes:
    """Return the bytes of a plane (H, W): exact, or within ``MAX_ALPHA_ERROR`` where that would take many bytes."""
    exact = _serialize(alpha, 1)
    if len(exact) <= max(EXACT_BYTES, EXACT_BITS_PER_PIXEL * alpha.size / 8):
        return exact
    return min(exact, _serialize(alpha, COARSE_STEP), key=len)


def is_exact(data: bytes) -> bool:
    """Return whether the bytes of a plane hold it exactly."""
    return data[0] >> 2 == 1


def parse_alpha(data: bytes, width: int, height: int) -> Plane:
    """Return the plane (height, width) of its bytes; the inverse of ``serialize_alpha``.

    Raises ``InvalidField``. The size of the plane is checked before memory is allocated.
    """
    step, number = (data[0] >> 2, data[0] & 3) if data else (0, 0)
    if step not in STEPS:
        raise InvalidField(f"opacity in steps of {step}, known are {', '.join(map(str, STEPS))}")
    packed = unpack_frame(data[1:], width * height)
    values = _unfilter(np.frombuffer(packed, np.uint8).reshape(height, width), number)
    if values.max() > 255 // step:
        raise InvalidField(f"an opacity of {values.max()} steps of {step}, which is above 255")
    return values * np.uint8(step)


def _serialize(alpha: Plane, step: int) -> bytes:
    values = ((alpha.astype(np.uint16) + step // 2) // step).astype(np.uint8)
    trial = zstandard.ZstdCompressor(level=_TRIAL_LEVEL)
    number = min(range(_FILTERS), key=lambda one: len(trial.compress(_filter(values, one).tobytes())))
    frame = zstandard.ZstdCompressor(compression_params=_PARAMETERS).compress(_filter(values, number).tobytes())
    return bytes([step << 2 | number]) + frame


def _filter(values: Plane, number: int) -> Plane:
    """Replace values by differences, modulo 256: to the left, if the number is odd, and upwards, if it is 2 or 3."""
    if number & 1:
        values = np.diff(values, axis=1, prepend=np.uint8(0))
    return np.diff(values, axis=0, prepend=np.uint8(0)) if number & 2 else values


def _unfilter(differences: Plane, number: int) -> Plane:
    """Invert ``_filter``."""
    values: NDArray[Any] = differences
    if number & 2:
        values = np.cumsum(values, axis=0, dtype=np.uint8)
    return np.cumsum(values, axis=1, dtype=np.uint8) if number & 1 else values
