"""Codes of every width come back, damaged ones do not."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unicorn_codec.errors import InvalidField, InvalidSetting
from unicorn_codec.format import bit_packing
from unicorn_codec.format.bit_packing import pack_codes, unpack_codes


@given(st.integers(1, 32).flatmap(lambda b: st.tuples(st.just(b), st.lists(st.integers(0, (1 << b) - 1), max_size=40))))
def test_codes_come_back(case: tuple[int, list[int]]) -> None:
    bits, codes = case
    data = pack_codes(np.array(codes, dtype=np.uint32), bits)
    assert len(data) == -(-bits * len(codes) // 8)
    assert unpack_codes(data, bits, len(codes)).tolist() == codes


def test_chunks_leave_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.arange(100, dtype=np.uint32)
    whole = pack_codes(codes, 7)
    monkeypatch.setattr(bit_packing, "_CODES_PER_CHUNK", 8)
    assert pack_codes(codes, 7) == whole
    assert np.array_equal(unpack_codes(whole, 7, 100), codes)


def test_four_million_codes_are_fast() -> None:
    codes = np.arange(4_000_000, dtype=np.uint32) & np.uint32(0x3FFF)
    started = time.process_time()
    assert np.array_equal(unpack_codes(pack_codes(codes, 14), 14, codes.size), codes)
    assert time.process_time() - started < 2


def test_no_bits_take_no_memory() -> None:
    assert unpack_codes(b"", 0, 1 << 40).strides == (0,)


@pytest.mark.parametrize(("code", "bits"), [(1, 0), (8, 3), (1, 33)])
def test_a_code_must_fit(code: int, bits: int) -> None:
    with pytest.raises(InvalidSetting):
        pack_codes(np.array([code], dtype=np.uint32), bits)


@pytest.mark.parametrize(
    ("data", "bits", "count"),
    [(b"", 1, 1), (b"\0\0", 1, 8), (b"\0", 0, 3), (b"\x01", 7, 1), (b"\0\x40", 3, 3)],
    ids=["too-short", "too-long", "bytes-for-no-bits", "padding-set", "padding-set-after-three"],
)
def test_wrong_codes_are_refused(data: bytes, bits: int, count: int) -> None:
    with pytest.raises(InvalidField):
        unpack_codes(data, bits, count)
