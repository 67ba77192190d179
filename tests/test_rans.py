"""The entropy coder: round trips, golden bytes, and damage that gives wrong symbols or an error, nothing worse."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.rans import TOTAL, RansDecoder, encode

Words = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """Symbols of T steps, N streams, L lanes, each with one of K tables of S frequencies, or none."""

    frequencies: Words
    tables: NDArray[np.int64]
    symbols: NDArray[np.int64]
    active: NDArray[np.bool_]
    short: bool = True

    @property
    def starts(self) -> Words:
        return np.cumsum(self.frequencies, axis=1) - self.frequencies

    def slots(self, tables: NDArray[np.int64], symbols: NDArray[np.int64], active: NDArray[np.bool_]) -> list[Words]:
        """Return the first slot and the number of slots of each symbol."""
        starts, frequencies = self.starts[tables, symbols], self.frequencies[tables, symbols]
        return [np.where(active, starts, 0), np.where(active, frequencies, TOTAL)]

    def encode(self) -> list[bytes]:
        return encode(*self.slots(self.tables, self.symbols, self.active), short=self.short)

    def decode(self, streams: list[bytes]) -> NDArray[np.int64]:
        """Return the symbols of the active lanes, zeros elsewhere, found by their slots alone as a reader must."""
        decoder = RansDecoder(streams, self.active.shape[2], short=self.short)
        ends, steps = np.cumsum(self.frequencies, axis=1), []
        for tables, active in zip(self.tables, self.active, strict=True):
            slots = decoder.slots()
            symbols = (ends[tables] <= slots.reshape(tables.shape)[..., None]).sum(axis=-1)
            decoder.advance(slots, *(array.ravel() for array in self.slots(tables, symbols, active)))
            steps.append(np.where(active, symbols, 0))
        decoder.finish()
        return np.stack(steps) if steps else np.zeros(self.active.shape, np.int64)


def random_case(
    seed: int, steps: int, streams: int, lanes: int, symbols: int, silence: float = 0.3, *, short: bool = True
) -> Case:
    """Draw tables from flat to nearly certain, and symbols with their frequencies."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(symbols, 10.0 ** rng.uniform(-2, 1)), size=3)
    frequencies = 1 + np.floor(shares * (TOTAL - symbols)).astype(np.int64)
    frequencies[:, -1] += TOTAL - frequencies.sum(axis=1)
    shape = (steps, streams, lanes)
    tables = rng.integers(0, 3, shape)
    drawn = np.cumsum(frequencies, axis=1)[tables] <= rng.integers(0, TOTAL, shape)[..., None]
    return Case(frequencies, tables, drawn.sum(axis=-1), rng.random(shape) >= silence, short)


SEEDS = st.integers(0, 2**32 - 1)
SMALL = random_case(1, 40, 3, 2, 5)
BOTH_KINDS = pytest.mark.parametrize("short", [False, True], ids=["long", "short"])


@settings(deadline=None, max_examples=60)
@given(
    seed=SEEDS,
    steps=st.integers(0, 60),
    streams=st.integers(1, 4),
    lanes=st.integers(1, 5),
    symbols=st.integers(1, 50),
    silence=st.sampled_from([0.0, 0.5, 1.0]),
    short=st.booleans(),
)
def test_round_trip(seed: int, steps: int, streams: int, lanes: int, symbols: int, silence: float, short: bool) -> None:
    case = random_case(seed, steps, streams, lanes, symbols, silence, short=short)
    assert np.array_equal(case.decode(case.encode()), case.symbols * case.active)


@BOTH_KINDS
def test_streams_without_further_symbols_can_be_dropped(short: bool) -> None:
    case = random_case(3, 30, 4, 2, 7, silence=0.0)
    active = case.active.copy()
    active[10:, 3] = active[20:, 2] = False
    ended = Case(case.frequencies, case.tables, case.symbols, active, short)
    decoder, found = RansDecoder(ended.encode(), 2, short=short), []
    for step, (tables, symbols) in enumerate(zip(case.tables, case.symbols, strict=True)):
        streams = 4 - (step >= 10) - (step >= 20)
        decoder.keep(streams)
        slots = decoder.slots()
        found.append(slots.tolist())
        decoder.advance(slots, *(part[:streams].ravel() for part in case.slots(tables, symbols, case.active[step])))
    decoder.finish()
    assert [len(slots) for slots in found] == [8] * 10 + [6] * 10 + [4] * 10


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS, short=st.booleans())
def test_a_stream_does_not_depend_on_the_others(seed: int, short: bool) -> None:
    case = random_case(seed, 20, 3, 2, 9, short=short)
    alone = [
        Case(case.frequencies, case.tables[:, [n]], case.symbols[:, [n]], case.active[:, [n]], short).encode()[0]
        for n in range(3)
    ]
    assert alone == case.encode()


@BOTH_KINDS
def test_the_size_is_near_the_entropy(short: bool) -> None:
    case = random_case(0, 2000, 1, 1, 20, silence=0.0, short=short)
    shares = case.frequencies[case.tables, case.symbols] / TOTAL
    bits = float(-np.log2(shares).sum())
    (stream,) = case.encode()
    # A state of 32 bits, of which the lowest 16 carry nothing at the end, and one word of loss.
    assert bits - 16 <= 8 * len(stream) <= bits * 1.001 + 48


def test_short_streams_are_smaller() -> None:
    """They save a lane's 16 unused bits, less what the first symbols cost more in a small state."""
    sizes = {
        short: [len(random_case(n, 300, 1, 1, 20, silence=0.0, short=short).encode()[0]) for n in range(200)]
        for short in (False, True)
    }
    saved = np.subtract(sizes[False], sizes[True])
    assert saved.min() >= -1
    assert saved.mean() > 1.2


GOLDEN = (
    np.array([0, 1, 16383, 0, 0, 4096]).reshape(3, 1, 2),
    np.array([1, 16382, 1, TOTAL, 8192, 4096]).reshape(3, 1, 2),
)


def test_golden_bytes() -> None:
    assert encode(*GOLDEN, short=False) == [bytes.fromhex("0000002021100400ff3f")]


def test_golden_bytes_of_a_short_stream() -> None:
    # Lane 0 comes to 0x3FFFFF: both are lifted, it puts the word FFFF and has 0x40 << 14. Lane 1 comes to 0x11108.
    assert encode(*GOLDEN, short=True) == [bytes.fromhex("00001000081101ffff")]


@BOTH_KINDS
def test_no_symbols_give_the_states_alone(short: bool) -> None:
    shape = (0, 2, 3)
    streams = encode(np.zeros(shape, np.int64), np.ones(shape, np.int64), short=short)
    assert streams == [bytes.fromhex("ff000000ff000000ff" if short else "000001000000010000000100")] * 2
    RansDecoder(streams, 3, short=short).finish()


def test_an_odd_stream_omits_a_zero_byte_of_its_states() -> None:
    """Streams of every length, so that final states of all sizes occur."""
    lengths = set()
    for steps in range(1, 60):
        case = random_case(5, steps, 1, 1, 6, silence=0.0)
        (stream,) = case.encode()
        lengths.add(len(stream))
        assert len(stream) <= 4 or len(stream) % 2 or stream[3]
        assert np.array_equal(case.decode([stream]), case.symbols)
    assert {length % 2 for length in lengths if length > 4} == {0, 1}


@BOTH_KINDS
def test_damage_gives_other_symbols_or_an_error(short: bool) -> None:
    small = replace(SMALL, short=short)
    streams = small.encode()
    true = small.symbols * small.active
    refused = 0
    for stream in range(len(streams)):
        for bit in range(8 * len(streams[stream])):
            damaged = bytearray(streams[stream])
            damaged[bit // 8] ^= 1 << bit % 8
            changed = [*streams[:stream], bytes(damaged), *streams[stream + 1 :]]
            try:
                found = small.decode(changed)
            except InvalidField:
                refused += 1
            else:
                assert not np.array_equal(found, true)
    assert refused > 0.99 * 8 * sum(map(len, streams))


@settings(deadline=None, max_examples=60)
@given(stream=st.binary(max_size=120), short=st.booleans())
def test_any_bytes_decode_or_are_refused(stream: bytes, short: bool) -> None:
    case = Case(SMALL.frequencies, SMALL.tables[:, :1], SMALL.symbols[:, :1], SMALL.active[:, :1], short)
    try:
        found = case.decode([stream])
    except InvalidField:
        return
    decoded = replace(case, symbols=found)
    if short:  # a writer leaves out trailing zero bytes
        assert np.array_equal(decoded.decode(decoded.encode()), found)
    else:
        assert decoded.encode() == [stream]


def test_a_stream_must_hold_its_states() -> None:
    states = struct.pack("<II", 1 << 16, (1 << 32) - 1)
    for length in (0, 2, 6, 7, 9):
        with pytest.raises(InvalidField, match=f"a code of {length} bytes"):
            RansDecoder([states, bytes(length)], lanes=2, short=False)
    RansDecoder([states], lanes=2, short=False)


@BOTH_KINDS
@pytest.mark.parametrize("state", [0, (1 << 16) - 1])
def test_an_initial_state_that_no_encoder_leaves_is_refused(state: int, short: bool) -> None:
    """Such a lane would read words next to lanes that code more symbols, but none on its own."""
    with pytest.raises(InvalidField, match="a state below"):
        RansDecoder([struct.pack("<IIH", 1 << 16, state, 7)], lanes=2, short=short)


@BOTH_KINDS
@pytest.mark.parametrize("change", [lambda s: s[:-2], lambda s: s + b"\0\0"], ids=["cut", "longer"])
def test_a_stream_must_end_with_its_symbols(change: Callable[[bytes], bytes], short: bool) -> None:
    small = replace(SMALL, short=short)
    streams = small.encode()
    for number in range(len(streams)):
        with pytest.raises(InvalidField, match="does not end"):
            small.decode([change(s) if n == number else s for n, s in enumerate(streams)])
