"""Packed bytes come back, and cannot claim more than they hold."""

import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.fields import varint
from unicorn_codec.format.limits import MAX_EXPANSION, MAX_WINDOW_BYTES
from unicorn_codec.format.packed_bytes import pack_bytes, unpack_bytes


@given(st.one_of(st.binary(max_size=200), st.binary(min_size=1, max_size=4).map(lambda b: b * 100)))
def test_packed_bytes_come_back(raw: bytes) -> None:
    data = pack_bytes(raw)
    assert len(data) <= 2 + len(raw)
    assert unpack_bytes(data, len(raw)) == raw


def test_zeros_beyond_the_expansion_are_stored() -> None:
    raw = bytes(MAX_EXPANSION * 1000)
    assert pack_bytes(raw)[0] % 2 == 0
    assert unpack_bytes(pack_bytes(raw), len(raw)) == raw


def packed(head: int, data: bytes) -> bytes:
    return varint(head) + data


FRAME = zstandard.ZstdCompressor().compress(bytes(100))
WIDE = zstandard.ZstdCompressor(compression_params=zstandard.ZstdCompressionParameters(window_log=24))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        packed(1 << 63, b""),
        packed(4, b"a"),
        packed(201, b"garbage"),
        packed(203, FRAME),
        packed(201, FRAME[:-1]),
        packed(201, FRAME + b"\0"),
        packed(201, FRAME + FRAME),
        packed(201, zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))),
        packed(1, zstandard.ZstdCompressor().compress(b"")),
        packed(2 << 20 | 1, zstandard.ZstdCompressor().compress(bytes(1 << 20))),
        packed(201, b"\x50\x2a\x4d\x18\x04\0\0\0abcd"),
    ],
    ids=lambda data: data[:14].hex(),
)
def test_wrong_packed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidField):
        unpack_bytes(data, 1 << 21)


def test_the_limit_is_exact() -> None:
    assert unpack_bytes(packed(6, b"abc"), 3) == b"abc"
    with pytest.raises(InvalidField, match="raw length 3, at most 2"):
        unpack_bytes(packed(6, b"abc"), 2)


def test_a_wide_window_is_neither_written_nor_read() -> None:
    raw = random.Random(0).randbytes(1 << 16) * (MAX_WINDOW_BYTES >> 14)
    assert len(raw) > 2 * MAX_WINDOW_BYTES
    assert unpack_bytes(pack_bytes(raw), len(raw)) == raw
    compressor = WIDE.compressobj(size=len(raw))
    frame = compressor.compress(raw) + compressor.flush()
    assert len(raw) <= MAX_EXPANSION * len(frame)
    with pytest.raises(InvalidField, match="window"):
        unpack_bytes(packed(2 * len(raw) + 1, frame), len(raw))
