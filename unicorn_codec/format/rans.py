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

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField

PRECISION = 14
"""Frequencies of a table sum to 2^PRECISION."""

TOTAL = 1 << PRECISION

_LOWEST = 1 << 16
"""Lower bound of states between symbols while there are words. The upper bound is 2^32."""

_FIRST_OF_SHORT = 255
"""Initial state of the lanes of short streams: small compared with the state after a symbol, but above the states that
a damaged stream ends with, so that damage is detected."""

_STATE_BYTES = 4

Slots = NDArray[np.integer]


def encode(starts: Slots, frequencies: Slots, *, short: bool) -> list[bytes]:
    """Encode symbols. Return the bytes of each stream.

    Args:
        starts: (T, N, L) first slot of each symbol, for T steps of N streams with L lanes.
        frequencies: (T, N, L) number of its slots, 1 to 2^PRECISION.
        short: whether to write short streams.
    """
    steps, streams, lanes = starts.shape
    # Floats, because NumPy divides them much faster. Values are integers up to 2^32, so floored quotients are exact.
    states = np.full(streams * lanes, float(_FIRST_OF_SHORT if short else _LOWEST))
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
            will_be_full = (of_stream + _LOWEST >= limits.reshape(streams, lanes)).any(axis=1)
            of_stream[will_be_full & ~is_lifted] += _LOWEST
            is_lifted |= will_be_full
        full = np.flatnonzero(states >= limits)
        if full.size:
            high = np.floor(states[full] / _LOWEST)
            places.append(full[::-1])
            words.append((states[full] - high * _LOWEST)[::-1])
            states[full] = high
        states += np.floor(states / frequency) * (TOTAL - frequency)
        states += start
    heads = [head.tobytes() for head in of_stream.astype("<u4")]
    tails = [tail.tobytes() for tail in _by_stream(places, words, lanes, streams)]
    return [_join(head, tail) if short else head + tail for head, tail in zip(heads, tails, strict=True)]


def _join(head: bytes, tail: bytes) -> bytes:
    """Join states and words to a short stream. Trailing zero bytes of the states are omitted; if words follow, at most
    one, which an odd number of bytes indicates."""
    if not tail:
        return head.rstrip(b"\0")
    return (head if head[-1] else head[:-1]) + tail


def _split(stream: bytes, lanes: int) -> tuple[bytes, bytes]:
    """Invert ``_join``."""
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
        return [np.zeros(0, "<u2")] * streams
    owners = np.concatenate(places)[::-1] // lanes
    order = np.argsort(owners, kind="stable")
    ends = np.cumsum(np.bincount(owners, minlength=streams))
    return np.split(np.concatenate(words)[::-1][order].astype("<u2"), ends[:-1])


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
        self._short, self._last = short, _FIRST_OF_SHORT if short else _LOWEST
        self._all_states = self._states = np.frombuffer(b"".join(head for head, _ in parts), "<u4").astype(np.int64)
        # Lower bound of the states: 0 once a short stream has no more words.
        self._all_floors = self._floors = np.repeat(np.where((lengths > 0) | (not short), _LOWEST, 0), lanes)
        if (self._states < self._floors).any():  # such a lane would read a word even for nothing
            raise InvalidField(f"a code that begins with a state below {_LOWEST}")
        self._owners = np.repeat(np.arange(len(streams)), lanes)
        self._ends = np.cumsum(lengths)
        self._next = self._ends - lengths
        # One extra word: a damaged stream may read past its end, which ``finish`` detects.
        self._words = np.concatenate([*tails, np.zeros(1, np.uint16)]).astype(np.int64)
        self._lanes = lanes

    def keep(self, streams: int) -> None:
        """Continue with only the first streams."""
        self._states = self._all_states[: streams * self._lanes]
        self._floors = self._all_floors[: streams * self._lanes]

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
            if self._short:
                ended = owners[self._next[owners] == self._ends[owners]]
                self._all_states.reshape(-1, self._lanes)[ended] -= _LOWEST  # once each, however often it stands there
                self._all_floors.reshape(-1, self._lanes)[ended] = 0

    def _read(self, owners: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return the next word for some lanes, given the stream of each in ascending order."""
        wanted = np.bincount(owners, minlength=len(self._next))
        before = np.cumsum(wanted) - wanted
        places = (self._next - before)[owners] + np.arange(len(owners))
        self._next += wanted
        read: NDArray[np.int64] = self._words[np.minimum(places, len(self._words) - 1)]
        return read

    def finish(self) -> None:
        """Check that every stream was read to its end, and ended in the encoder's initial state.

        Raises:
            InvalidField: a stream was not decoded to the symbols that it was made from.
        """
        if (self._next != self._ends).any() or (self._all_states != self._last).any():
            raise InvalidField("a code does not end where its symbols end")
