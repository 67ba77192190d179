"""Range asymmetric numeral systems (Duda, 2013): integers with given frequencies <-> bytes.

A stream has a number of lanes, coders of their own that share its bytes; many streams run in lockstep, so
that NumPy does for a thousand pictures what a loop would do for one. Everything is integer arithmetic:
a stream decodes to the same symbols everywhere.

A symbol that has all the slots takes no bytes and leaves a lane as it was: lanes that have nothing to code in a
step are given such a one.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField

PRECISION = 14
"""Frequencies of a table sum to 2^PRECISION."""

TOTAL = 1 << PRECISION

_LOWEST = 1 << 16
"""A state is at least this between two symbols, and below 2^32."""

Slots = NDArray[np.integer]


def encode(starts: Slots, frequencies: Slots) -> list[bytes]:
    """Bytes of each stream.

    Args:
        starts: (T, N, L) of each symbol's slots the first, for T steps of N streams with L lanes.
        frequencies: (T, N, L) how many slots it has, 1 to 2^PRECISION.
    """
    steps, streams, lanes = starts.shape
    # Floats, for NumPy divides them much faster: all values are integers up to 2^32, all quotients exact when floored.
    states = np.full(streams * lanes, float(_LOWEST))
    places: list[NDArray[np.intp]] = []
    words: list[NDArray[np.float64]] = []
    flat = [array.reshape(steps, streams * lanes) for array in (starts, frequencies)]
    for step in range(steps - 1, -1, -1):  # the decoder gets back last what was put in first
        start, frequency = (array[step].astype(np.float64) for array in flat)
        full = np.flatnonzero(states >= frequency * (1 << (32 - PRECISION)))
        if full.size:
            high = np.floor(states[full] / _LOWEST)
            places.append(full[::-1])
            words.append((states[full] - high * _LOWEST)[::-1])
            states[full] = high
        states += np.floor(states / frequency) * (TOTAL - frequency)
        states += start
    heads = states.reshape(streams, lanes).astype("<u4")
    tails = _by_stream(places, words, lanes, streams)
    return [head.tobytes() + tail.tobytes() for head, tail in zip(heads, tails, strict=True)]


def _by_stream(
    places: list[NDArray[np.intp]], words: list[NDArray[np.float64]], lanes: int, streams: int
) -> Iterable[NDArray[np.uint16]]:
    """Words of each stream as they are read, from those of all lanes in the reverse order."""
    if not words:
        return [np.zeros(0, "<u2")] * streams
    owners = np.concatenate(places)[::-1] // lanes
    order = np.argsort(owners, kind="stable")
    ends = np.cumsum(np.bincount(owners, minlength=streams))
    return np.split(np.concatenate(words)[::-1][order].astype("<u2"), ends[:-1])


class Decoder:
    """Reads streams that ``encode`` wrote, one step of all of them at a time.

    Raises:
        InvalidField: a stream is too short to hold its lanes' states, or holds one that no encoder leaves.
    """

    def __init__(self, streams: Sequence[bytes], lanes: int) -> None:
        for stream in streams:
            if len(stream) < 4 * lanes or len(stream) % 2:
                raise InvalidField(f"a code of {len(stream)} bytes, wanted are an even number from {4 * lanes} on")
        heads = [np.frombuffer(stream, "<u4", lanes) for stream in streams]
        tails = [np.frombuffer(stream, "<u2", offset=4 * lanes) for stream in streams]
        lengths = np.array([len(tail) for tail in tails])
        self._all_states = self._states = np.concatenate(heads).astype(np.int64)
        if (self._states < _LOWEST).any():  # such a lane would read a word even for nothing
            raise InvalidField(f"a code that begins with a state below {_LOWEST}")
        self._owners = np.repeat(np.arange(len(streams)), lanes)
        self._ends = np.cumsum(lengths)
        self._next = self._ends - lengths
        # One word more: a damaged stream may ask for words after its end, which ``finish`` finds out.
        self._words = np.concatenate([*tails, np.zeros(1, np.uint16)]).astype(np.int64)
        self._lanes = lanes

    def keep(self, streams: int) -> None:
        """Go on with so many streams alone, the first ones."""
        self._states = self._all_states[: streams * self._lanes]

    def slots(self) -> NDArray[np.int64]:
        """(N L) slot that each lane's next symbol must own."""
        return self._states & (TOTAL - 1)

    def advance(self, slots: Slots, starts: Slots, frequencies: Slots) -> None:
        """Take the symbols that own the slots off the lanes, (N L) each."""
        states = self._states
        states >>= PRECISION
        states *= frequencies
        states += slots
        states -= starts
        hungry = np.flatnonzero(states < _LOWEST)
        if hungry.size:
            states[hungry] = (states[hungry] << 16) | self._read(self._owners[hungry])

    def _read(self, owners: NDArray[np.intp]) -> NDArray[np.int64]:
        """The next word for each of some lanes, by the streams that they belong to, in ascending order."""
        wanted = np.bincount(owners, minlength=len(self._next))
        before = np.cumsum(wanted) - wanted
        places = (self._next - before)[owners] + np.arange(len(owners))
        self._next += wanted
        read: NDArray[np.int64] = self._words[np.minimum(places, len(self._words) - 1)]
        return read

    def finish(self) -> None:
        """Check that every stream was read to its end and left as the encoder began.

        Raises:
            InvalidField: a stream holds other symbols than it was decoded to.
        """
        if (self._next != self._ends).any() or (self._all_states != _LOWEST).any():
            raise InvalidField("a code does not end where its symbols end")
