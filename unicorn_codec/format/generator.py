"""Random numbers that a file depends on: Philox4x64-10, a counter-based generator in integer arithmetic.

It generates index map, index frequencies and noise, which are therefore equal on every device, version and batch size.
The algorithm is specified in ``format_spec/uni-1.md`` ("The generator").
"""

import math

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.fields import check
from unicorn_codec.format.limits import MAX_PICTURES

# A stream's number is purpose << 32 | item; only NOISE has items: the pictures.
INDEX_MAP = 1 << 32
FREQUENCIES = 2 << 32
NOISE = 3 << 32

_WORDS_PER_NORMAL = 3
_UNIFORMS_PER_NORMAL = 4 * _WORDS_PER_NORMAL
_MEAN_SUM = _UNIFORMS_PER_NORMAL * 65535 // 2
_NORMALS_PER_CHUNK = 1 << 16


def raw(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """Return the first ``count`` 64-bit words of a stream: (count,) uint64.

    Raises ``InvalidSetting`` for a seed or a stream beyond 64 bits.
    """
    return _philox(seed, stream).random_raw(count)


def _philox(seed: int, stream: int) -> np.random.Philox:
    check(0 <= seed < 1 << 64, f"the seed is 0 to 2^64 - 1, not {seed}")
    check(0 <= stream < 1 << 64, f"a stream is 0 to 2^64 - 1, not {stream}")
    return np.random.Philox(key=np.array([seed, stream], dtype=np.uint64))


def normals(seed: int, stream: int, count: int) -> NDArray[np.float32]:
    """Return the first ``count`` approximately normal numbers of a stream: (count,) float32, within +-6.

    Each is the sum of the twelve 16-bit quarters of three words, centred and divided by 2^16: mean 0, variance 1. The
    sum is an integer below 2^20, so values are exact in float32 on every machine.
    """
    philox = _philox(seed, stream)
    values = np.empty(count, dtype=np.float32)
    for start in range(0, count, _NORMALS_PER_CHUNK):
        chunk = values[start : start + _NORMALS_PER_CHUNK]
        # The quarters are summed, so the byte order does not matter.
        uniforms = philox.random_raw(_WORDS_PER_NORMAL * chunk.size).view(np.uint16)
        sums = uniforms.reshape(-1, _UNIFORMS_PER_NORMAL).sum(axis=1, dtype=np.int32)
        chunk[:] = (sums - _MEAN_SUM) / np.float32(65536)
    return values


def noise(seed: int, index: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the initial noise for decoding picture ``index``: ``shape`` float32, filled in row-major order.

    The first three axes are channel, row and column of the latents.
    """
    check(0 <= index < MAX_PICTURES, f"an index is 0 to {MAX_PICTURES - 1}, not {index}")
    return normals(seed, NOISE | index, math.prod(shape)).reshape(shape)
