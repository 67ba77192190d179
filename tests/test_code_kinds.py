"""What the first bytes of a code say."""

import pytest

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.code_kinds import (
    AVIF,
    HALF,
    code_of_unit,
    decoder_step,
    is_avif,
    is_half_size,
    is_in_sequence,
    mark_half_size,
    model_level,
    parent_of_code,
    unit_of_code,
    unmark_half_size,
)
from unicorn_codec.format.header import MAX_LEVEL
from unicorn_codec.format.records import CODECS, codec_of_code


@pytest.mark.parametrize(
    ("code", "codec"),
    [
        (b"\0", "latents"),
        (b"\x7e...", "latents"),
        (b"\x80", "half-size"),
        (b"\xfe...", "half-size"),
        (b"\xff\0stream", "avif"),
        (b"\xff\1file", "avif"),
        (b"\xff", "avif"),
        (b"\xff\2unit", "avif-sequence"),
        (b"\xff\3\5unit", "avif-sequence"),
    ],
)
def test_the_first_bytes_say_how_a_picture_is_stored(code: bytes, codec: str) -> None:
    assert CODECS[codec_of_code(code)] == codec
    assert (is_avif(code), is_half_size(code)) == (code[0] == AVIF, HALF <= code[0] < AVIF)
    assert is_in_sequence(code) == (codec == "avif-sequence")


def test_half_size_is_marked_and_unmarked() -> None:
    assert mark_half_size(b"\x03rest") == b"\x83rest"
    assert unmark_half_size(b"\x83rest") == b"\x03rest"
    assert [model_level(level, half=True) for level in (0, 4, MAX_LEVEL + 3)] == [0, 0, MAX_LEVEL - 1]
    assert [model_level(level, half=False) for level in (0, 4, MAX_LEVEL + 3)] == [0, 4, MAX_LEVEL - 1]
    assert (decoder_step(3.0, half=True), decoder_step(3.0, half=False)) == (1.5, 3.0)


@pytest.mark.parametrize("parent", [None, 0, 127, 128, (1 << 30) - 1])
def test_a_sequences_code_names_its_parent(parent: int | None) -> None:
    code = code_of_unit(b"unit", parent)
    assert (parent_of_code(code), unit_of_code(code)) == (parent, b"unit")
    assert is_in_sequence(code)


@pytest.mark.parametrize("code", [b"\xff\3", b"\xff\3\x80", b"\xff\3\x80\0u", b"\xff\3\xff\xff\xff\xff\x7fu"])
def test_a_parent_that_is_none_is_refused(code: bytes) -> None:
    with pytest.raises(InvalidField):
        parent_of_code(code)
    with pytest.raises(InvalidField):
        unit_of_code(code)
