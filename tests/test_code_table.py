"""The code section: what is written is what is read, and no table says more than is there."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from tests.sample_container import CODES
from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.format.bit_packing import compress, pack_codes
from unicorn_codec.format.code_table import (
    SHORT,
    Codes,
    is_avif,
    is_half_size,
    model_level,
    parse_codes,
    serialize_codes,
)
from unicorn_codec.format.header import MAX_LEVEL

BOTH_KINDS = pytest.mark.parametrize("short", [False, True], ids=["long", "short"])


def payload_of(lengths: list[int], bits: int, streams: bytes, firsts: bytes = b"") -> bytes:
    """CODE with a table of these lengths, of short codes where there are first bytes."""
    table = compress(firsts + pack_codes(np.array(lengths, np.uint32), bits))
    level = CODES.level + (SHORT if firsts else 0)
    return struct.pack("<B32sBQ", level, CODES.model_sha256, bits, len(table)) + table + streams


@BOTH_KINDS
@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [3, 1, 2], [255, 256], [70_000, 1], [5] * 1000], ids=str)
def test_codes_come_back(lengths: list[int], short: bool) -> None:
    streams = tuple(bytes([number % 256]) * length for number, length in enumerate(lengths))
    codes = replace(CODES, streams=streams, short=short)
    payload = serialize_codes(codes, len(lengths))
    assert parse_codes(payload, len(lengths)) == codes
    firsts = b"".join(stream[:1] for stream in streams) if short else b""
    rests, rest_lengths = [stream[short:] for stream in streams], [length - short for length in lengths]
    assert payload == payload_of(rest_lengths, max(rest_lengths).bit_length(), b"".join(rests), firsts)


def test_the_layout() -> None:
    codes = Codes(level=15, model_sha256=b"\7" * 32, streams=(b"ab", b"c", b"def"), short=False)
    table = b"\0" + struct.pack("<Q", 1) + bytes([0b10_01_11_00])
    assert serialize_codes(codes, 3) == b"\x0f" + b"\7" * 32 + b"\2" + struct.pack("<Q", 10) + table + b"abcdef"


def test_the_layout_of_short_codes() -> None:
    codes = Codes(level=15, model_sha256=b"\7" * 32, streams=(b"ab", b"c", b"def"))
    table = b"\0" + struct.pack("<Q", 4) + b"acd" + bytes([0b01_00_10_00])
    assert serialize_codes(codes, 3) == b"\x8f" + b"\7" * 32 + b"\2" + struct.pack("<Q", 13) + table + b"bef"


def test_short_codes_of_one_byte_take_no_more_than_the_table() -> None:
    codes = Codes(level=0, model_sha256=b"\7" * 32, streams=(b"a", b"b", b"\0"))
    table = b"\0" + struct.pack("<Q", 3) + b"ab\0"
    payload = b"\x80" + b"\7" * 32 + b"\0" + struct.pack("<Q", 12) + table
    assert serialize_codes(codes, 3) == payload
    assert parse_codes(payload, 3) == codes


@pytest.mark.parametrize(
    "changes",
    [{"level": MAX_LEVEL + 4}, {"level": -1}, {"model_sha256": bytes(31)}, {"streams": (b"a", b"")}],
    ids=["level", "negative", "digest", "empty"],
)
def test_codes_that_cannot_be(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting):
        replace(CODES, **changes)  # type: ignore[arg-type]


def test_the_model_is_told_an_octave_less_of_halves() -> None:
    whole = [model_level(level, half=False) for level in (0, 3, 15, 16, 19)]
    half = [model_level(level, half=True) for level in (0, 3, 4, 15, 19)]
    assert whole == [0, 3, 15, 15, 15]
    assert half == [0, 0, 0, 11, 15]


def test_the_first_byte_tells_what_a_code_is() -> None:
    found = [(is_half_size(bytes([first])), is_avif(bytes([first]))) for first in (0, 126, 127, 128, 254, 255)]
    assert found == [(False, False)] * 3 + [(True, False)] * 2 + [(False, True)]


def test_one_code_an_image() -> None:
    for pictures in (2, 4):
        with pytest.raises(InvalidSetting, match=f"3 codes for {pictures} pictures"):
            serialize_codes(CODES, pictures)
        with pytest.raises(InvalidField, match="CODE: "):
            parse_codes(serialize_codes(CODES, 3), pictures)


@BOTH_KINDS
def test_every_truncation_is_refused(short: bool) -> None:
    payload = serialize_codes(replace(CODES, short=short), 3)
    for length in range(len(payload)):
        with pytest.raises(InvalidField, match="CODE: "):
            parse_codes(payload[:length], 3)
    with pytest.raises(InvalidField, match="CODE: "):
        parse_codes(payload + b"\0", 3)


@BOTH_KINDS
def test_every_byte_is_judged(short: bool) -> None:
    payload = serialize_codes(replace(CODES, short=short), 3)
    for offset in range(len(payload)):
        for value in (0, 1, 127, 255):
            changed = payload[:offset] + bytes([value]) + payload[offset + 1 :]
            try:
                assert serialize_codes(parse_codes(changed, 3), 3) == changed
            except InvalidField as error:
                assert str(error).startswith("CODE: ")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (payload_of([1, 2, 3], 3, b"123456"), "lengths of 3 bits, but the longest is 3"),
        (payload_of([0, 0, 0], 1, b"123"), "the longest is 0"),
        (payload_of([0, 2, 3], 2, b"12345"), "at least one byte"),
        (payload_of([1, 2, 3], 2, b"12345"), "codes of 6 bytes in all, but 5 are there"),
        (payload_of([1, 2, 3], 2, b"1234567"), "codes of 6 bytes in all, but 7 are there"),
        (payload_of([(1 << 32) - 1] * 3, 32, b"123"), "codes of 12884901885 bytes in all"),
        (payload_of([], 0, b"123"), "at least one byte"),
        (payload_of([1, 2, 3], 2, b"123456", firsts=b"ab"), "bytes"),
        (payload_of([1, 2, 3], 2, b"123456", firsts=b"abcd"), "bytes"),
        (payload_of([], 0, b"", firsts=b"ab"), "codes of 3 pictures, but first bytes of 2"),
        (payload_of([1, 2, 3], 2, b"12345", firsts=b"abc"), "codes of 6 bytes in all, but 5 are there"),
        (payload_of([1, 0, 1], 2, b"12", firsts=b"abc"), "lengths of 2 bits, but the longest is 1"),
    ],
)
def test_lengths_that_do_not_hold(payload: bytes, message: str) -> None:
    with pytest.raises(InvalidField, match=message):
        parse_codes(payload, 3)


def test_a_claimed_number_of_images_allocates_nothing() -> None:
    with pytest.raises(InvalidField, match="codes of 16777216 pictures, but 15 bytes are there"):
        parse_codes(serialize_codes(replace(CODES, short=False), 3), 1 << 24)
    with pytest.raises(InvalidField, match="codes of 16777216 pictures, but first bytes of 5"):
        parse_codes(serialize_codes(CODES, 3), 1 << 24)
