"""Range asymmetric numeral systems (Duda, 2013): integers with given frequencies <-> bytes.

A stream has several lanes: independent coders that share its bytes. Many streams are processed in lockstep, so that
NumPy handles a thousand pictures at once. All arithmetic is on integers: a stream decodes to the same symbols
everywhere.

A symbol with all slots takes no bytes and leaves the state unchanged. Lanes without a value in a step code such a
symbol.

A decoder reads a word when a lane's state is below 2^16. In a long stream, states between symbols are never below that.
In a short stream this holds only while there are words: its encoder starts lanes at 255, and adds 2^16 to all of them
just before the first word is written; the decoder subtracts it after the last word is read. A short stream therefore
has fewer redundant bits.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.concurrency import map_in_threads, usable_cores
from unicorn_codec.errors import InvalidField

PRECISION = 14
"""Frequencies of a table sum to 2^PRECISION."""

TOTAL = 1 << PRECISION

RAW_BITS = 16
RAW_WIDTH = TOTAL >> 8
"""Bits of a value that follows an escape symbol, and the slots of each of its bytes."""

LOWEST = 1 << 16
"""Lower bound of states between symbols while there are words. The upper bound is 2^32."""

FIRST_OF_SHORT = 255
"""Initial state of the lanes of short streams: small compared with the state after a symbol, but above the states that
a damaged stream ends with, so that damage is detected."""

_STATE_BYTES = 4

Slots = NDArray[np.integer]
DecodeStream = Callable[[int, NDArray[np.int64], int, int, int, NDArray[np.int64]], int]


def encode(starts: Slots, frequencies: Slots, *, short: bool) -> list[bytes]:
    """Encode symbols. Return the bytes of each stream.

    Args:
        starts: (T, N, L) first slot of each symbol, for T steps of N streams with L lanes.
        frequencies: (T, N, L) number of its slots, 1 to 2^PRECISION.
        short: whether to write short streams.
    """
    steps, streams, lanes = starts.shape
    # Floats, because NumPy divides them much faster. Values are integers up to 2^32, so floored quotients are exact.
    states = np.full(streams * lanes, float(FIRST_OF_SHORT if short else LOWEST))
    of_stream = states.reshape(streams, lanes)
    is_lifted = np.full(streams, not short)
    places: list[NDArray[np.intp]] = []
    words: list[NDArray[np.float64]] = []
    flat = [array.reshape(steps, streams * lanes) for array in (starts, frequencies)]
    for step in range(steps - 1, -1, -1):  # the decoder gets back last what was put in first
        start, frequency = (array[step].astype(np.float64) for array in flat)
        limits = frequency * (1 << (32 - PRECISION))
        if not is_lifted.all():
            # Tested as if states were raised by 2^16, so that raising one never exceeds 2^32.
            will_be_full = (of_stream + LOWEST >= limits.reshape(streams, lanes)).any(axis=1)
            of_stream[will_be_full & ~is_lifted] += LOWEST
            is_lifted |= will_be_full
        full = np.flatnonzero(states >= limits)
        if full.size:
            high = np.floor(states[full] / LOWEST)
            places.append(full[::-1])
            words.append((states[full] - high * LOWEST)[::-1])
            states[full] = high
        states += np.floor(states / frequency) * (TOTAL - frequency)
        states += start
    tails = _by_stream(places, words, lanes, streams)
    return [join(head, tail, short=short) for head, tail in zip(of_stream, tails, strict=True)]


def join(states: NDArray[Any], words: NDArray[np.uint16], *, short: bool) -> bytes:
    """Return the bytes of a stream of L states and some words.

    Of a short stream, trailing zero bytes of the states are omitted; if words follow, at most one, which an odd number
    of bytes indicates.
    """
    head, tail = states.astype("<u4").tobytes(), words.astype("<u2").tobytes()
    if not short:
        return head + tail
    if not tail:
        return head.rstrip(b"\0")
    return (head if head[-1] else head[:-1]) + tail


def _split(stream: bytes, lanes: int) -> tuple[bytes, bytes]:
    """Invert ``join``, for a short stream."""
    head = _STATE_BYTES * lanes
    if len(stream) <= head:
        return stream.ljust(head, b"\0"), b""
    cut = head - len(stream) % 2
    return stream[:cut].ljust(head, b"\0"), stream[cut:]


def _by_stream(
    places: list[NDArray[np.intp]], words: list[NDArray[np.float64]], lanes: int, streams: int
) -> Iterable[NDArray[np.uint16]]:
    """Return the words of each stream in reading order, given those of all lanes in reverse order."""
    if not words:
        return [np.zeros(0, np.uint16)] * streams
    owners = np.concatenate(places)[::-1] // lanes
    order = np.argsort(owners, kind="stable")
    ends = np.cumsum(np.bincount(owners, minlength=streams))
    return np.split(np.concatenate(words)[::-1][order].astype(np.uint16), ends[:-1])


class RansDecoder:
    """Decoder of streams of ``encode``, one step of all streams at a time.

    Raises:
        InvalidField: a long stream is too short for its lanes' states, or a state is one that no encoder writes.
    """

    def __init__(self, streams: Sequence[bytes], lanes: int, *, short: bool) -> None:
        least = _STATE_BYTES * lanes
        if not short:
            for stream in streams:
                if len(stream) < least or len(stream) % 2:
                    raise InvalidField(f"a code of {len(stream)} bytes, wanted are an even number from {least} on")
        parts = [_split(stream, lanes) if short else (stream[:least], stream[least:]) for stream in streams]
        tails = [np.frombuffer(tail, "<u2") for _, tail in parts]
        lengths = np.array([len(tail) for tail in tails])
        self.is_short, self._last = short, FIRST_OF_SHORT if short else LOWEST
        self._all_states = self._states = np.frombuffer(b"".join(head for head, _ in parts), "<u4").astype(np.int64)
        # Lower bound of the states: 0 once a short stream has no more words.
        self._all_floors = self._floors = np.repeat(np.where((lengths > 0) | (not short), LOWEST, 0), lanes)
        if (self._states < self._floors).any():  # such a lane would read a word even for nothing
            raise InvalidField(f"a code that begins with a state below {LOWEST}")
        self._owners = np.repeat(np.arange(len(streams)), lanes)
        self._ends = np.cumsum(lengths)
        self._next = self._ends - lengths
        # One extra word: a damaged stream may read past its end, which ``finish`` detects.
        self._words = np.concatenate([*tails, np.zeros(1, np.uint16)]).astype(np.int64)
        self.lanes = lanes

    def keep(self, streams: int) -> None:
        """Continue with only the first streams."""
        self._states = self._all_states[: streams * self.lanes]
        self._floors = self._all_floors[: streams * self.lanes]

    def slots(self) -> NDArray[np.int64]:
        """Return (N L) slots, which select each lane's next symbol."""
        return self._states & (TOTAL - 1)

    def advance(self, slots: Slots, starts: Slots, frequencies: Slots) -> None:
        """Remove decoded symbols from the lanes, (N L) each."""
        states = self._states
        states >>= PRECISION
        states *= frequencies
        states += slots
        states -= starts
        hungry = np.flatnonzero(states < self._floors)
        if hungry.size:
            owners = self._owners[hungry]
            states[hungry] = (states[hungry] << 16) | self._read(owners)
            if self.is_short:
                ended = owners[self._next[owners] == self._ends[owners]]
                self._all_states.reshape(-1, self.lanes)[ended] -= LOWEST  # once each, however often it stands there
                self._all_floors.reshape(-1, self.lanes)[ended] = 0

    def _read(self, owners: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the next word for some lanes, given the stream of each in ascending order."""
        wanted = np.bincount(owners, minlength=len(self._next))
        before = np.cumsum(wanted) - wanted
        places = (self._next - before)[owners] + np.arange(len(owners))
        self._next += wanted
        read: NDArray[np.int64] = self._words[np.minimum(places, len(self._words) - 1)]
        return read

    def decode_each(self, decode: DecodeStream) -> None:
        """Decode the streams by a function, on all cores; the decoder must be at its start.

        Args:
            decode: called with a stream's number, states (L,), their lower bound, the place of its first word, the
                place after its last one, and all words. It returns the place after the last word that it read.
        """

        def decode_one(stream: int) -> int:
            first, end = int(self._next[stream]), int(self._ends[stream])
            floor = int(self._all_floors[stream * self.lanes])
            return decode(stream, states[stream], floor, first, end, self._words)

        states, threads = self._all_states.reshape(-1, self.lanes), usable_cores()
        read = map_in_threads(decode_one, range(len(states)), threads=threads, pending=2 * threads)
        self._next[:] = list(read)

    def finish(self) -> None:
        """Check that every stream was read to its end, and ended in the encoder's initial state.

        Raises:
            InvalidField: a stream was not decoded to the symbols that it was made from.
        """
        if (self._next != self._ends).any() or (self._all_states != self._last).any():
            raise InvalidField("a code does not end where its symbols end")


FEW_LANES = 6
"""Number of lanes up to which Python's integers are faster than arrays of NumPy."""

_SLOT = TOTAL - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolTables:
    """Frequency tables for ``FewLanes``, one after the other.

    Args:
        symbol_of_slot: symbol that owns each slot, 2^PRECISION slots a table.
        starts, widths: first slot and number of slots of each symbol, ``escape`` + 1 symbols a table.
        escape: the last symbol, which 16 raw bits follow.
    """

    symbol_of_slot: memoryview
    starts: Sequence[int]
    widths: Sequence[int]
    escape: int


class FewLanes:
    """Decoder of few lanes, one symbol at a time. It gives the same values as ``RansDecoder``.

    Args:
        decoder: at its start; it must not be used any more.
    """

    def __init__(self, decoder: RansDecoder) -> None:
        lanes = decoder.lanes
        self._states: list[list[int]] = decoder._all_states.reshape(-1, lanes).tolist()
        self._floors: list[int] = decoder._all_floors[::lanes].tolist()
        self._next: list[int] = decoder._next.tolist()
        self._ends: list[int] = decoder._ends.tolist()
        self._words: list[int] = decoder._words.tolist()
        self._short, self._last, self.lanes = decoder.is_short, decoder._last, lanes

    def read(self, tables: SymbolTables, numbers: NDArray[np.int64], lowest: NDArray[np.int64]) -> NDArray[np.int64]:
        """Read values: ``numbers`` of their tables and values of those tables' first symbols, (T, N L) each."""
        values = np.empty_like(lowest)
        for stream in range(numbers.shape[1] // self.lanes):
            own = slice(stream * self.lanes, (stream + 1) * self.lanes)
            found = self._read_stream(stream, tables, numbers[:, own].tolist(), lowest[:, own].tolist())
            values[:, own] = np.reshape(found, (len(values), self.lanes))  # of no steps, too
        return values

    def _read_stream(
        self, stream: int, tables: SymbolTables, numbers: list[list[int]], lowest: list[list[int]]
    ) -> list[list[int]]:
        """Read the values of a stream. ``_advance`` is repeated here, because calls would take most of the time."""
        symbol_of_slot, starts, widths, escape = tables.symbol_of_slot, tables.starts, tables.widths, tables.escape
        states, words, last_word = self._states[stream], self._words, len(self._words) - 1
        rows = []
        for row_numbers, row in zip(numbers, lowest, strict=True):
            floor, place, has_escape = self._floors[stream], self._next[stream], False
            symbols = []
            for lane, number in enumerate(row_numbers):
                state = states[lane]
                slot = state & _SLOT
                symbol = symbol_of_slot[(number << PRECISION) + slot]
                found = number * (escape + 1) + symbol
                state = (state >> PRECISION) * widths[found] + slot - starts[found]
                if state < floor:
                    state = state << 16 | words[min(place, last_word)]
                    place += 1
                states[lane] = state
                symbols.append(symbol)
                has_escape |= symbol == escape
            if place != self._next[stream]:
                self._moved(stream, place)
            values = [symbol + first for symbol, first in zip(symbols, row, strict=True)]
            if has_escape:
                raw = self._read_raw(stream, [symbol == escape for symbol in symbols])
                values = [raw[n] if symbols[n] == escape else value for n, value in enumerate(values)]
            rows.append(values)
        return rows

    def _read_raw(self, stream: int, escaped: list[bool]) -> list[int]:
        """Read values of 16 raw bits, for the lanes that have one."""
        values = [0] * len(escaped)
        for _ in range(RAW_BITS // 8):
            slots = [state & _SLOT for state in self._states[stream]]
            found = [slot // RAW_WIDTH for slot in slots]
            starts = [byte * RAW_WIDTH if is_raw else 0 for byte, is_raw in zip(found, escaped, strict=True)]
            self._advance(stream, slots, starts, [RAW_WIDTH if is_raw else TOTAL for is_raw in escaped])
            values = [value << 8 | byte for value, byte in zip(values, found, strict=True)]
        return [value - (value >> RAW_BITS - 1 << RAW_BITS) for value in values]

    def _advance(self, stream: int, slots: list[int], starts: list[int], widths: list[int]) -> None:
        """Remove decoded symbols from the lanes of a stream; see ``RansDecoder.advance``."""
        states, floor, place = self._states[stream], self._floors[stream], self._next[stream]
        for lane, state in enumerate(states):
            state = (state >> PRECISION) * widths[lane] + slots[lane] - starts[lane]
            if state < floor:
                state = state << 16 | self._words[min(place, len(self._words) - 1)]
                place += 1
            states[lane] = state
        if place != self._next[stream]:
            self._moved(stream, place)

    def _moved(self, stream: int, place: int) -> None:
        """Set the next word of a stream after a step that read some."""
        self._next[stream] = place
        if self._short and place == self._ends[stream]:
            self._states[stream][:] = [state - LOWEST for state in self._states[stream]]
            self._floors[stream] = 0

    def finish(self) -> None:
        """Check as ``RansDecoder.finish`` does. Raises ``InvalidField``."""
        has_ended = all(state == self._last for states in self._states for state in states)
        if self._next != self._ends or not has_ended:
            raise InvalidField("a code does not end where its symbols end")
