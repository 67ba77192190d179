"""Range asymmetric numeral systems (Duda, 2013): integers with given frequencies <-> bytes.

A stream has a number of lanes, coders of their own that share its bytes; many streams run in lockstep, so
that NumPy does for a thousand pictures what a loop would do for one. Everything is integer arithmetic:
a stream decodes to the same symbols everywhere.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField

PRECISION = 14
"""Frequencies of a table sum to 2^PRECISION."""

_LOWEST = 1 << 16
"""A state is at least this between two symbols, and below 2^32."""

Words = NDArray[np.uint64]


def encode(starts: Words, frequencies: Words, active: NDArray[np.bool_]) -> list[bytes]:
    """Bytes of each stream.

    Args:
        starts: (T, N, L) of each symbol's slots the first, for T steps of N streams with L lanes.
        frequencies: (T, N, L) how many slots it has, 1 to 2^PRECISION.
        active: (T, N, L) where there is a symbol at all.
    """
    steps, streams, lanes = starts.shape
    states = np.full((streams, lanes), _LOWEST, np.uint64)
    words = np.zeros((steps, streams, lanes), np.uint16)
    written = np.zeros((steps, streams, lanes), bool)
    for step in range(steps - 1, -1, -1):  # the decoder gets back last what was put in first
        frequency = np.where(active[step], frequencies[step], 1)
        full = active[step] & (states >= frequency << np.uint64(32 - PRECISION))
        words[step], written[step] = states & np.uint64(0xFFFF), full
        states = np.where(full, states >> np.uint64(16), states)
        quotient, remainder = np.divmod(states, frequency)
        states = np.where(active[step], (quotient << np.uint64(PRECISION)) + remainder + starts[step], states)
    heads = states.astype("<u4")
    return [
        heads[stream].tobytes() + words[:, stream][written[:, stream]].astype("<u2").tobytes()
        for stream in range(streams)
    ]


class Decoder:
    """Reads streams that ``encode`` wrote, one step of all of them at a time.

    Raises:
        InvalidField: a stream is too short to hold its lanes' states.
    """

    def __init__(self, streams: Sequence[bytes], lanes: int) -> None:
        for stream in streams:
            if len(stream) < 4 * lanes or len(stream) % 2:
                raise InvalidField(f"a code of {len(stream)} bytes, wanted are an even number from {4 * lanes} on")
        heads = [np.frombuffer(stream, "<u4", lanes) for stream in streams]
        tails = [np.frombuffer(stream, "<u2", offset=4 * lanes) for stream in streams]
        self._states = np.stack(heads).astype(np.uint64)
        self._ends = np.cumsum([len(tail) for tail in tails])
        self._next = self._ends - [len(tail) for tail in tails]
        # One word more: a damaged stream may ask for words after its end, which ``finish`` finds out.
        self._words = np.concatenate([*tails, np.zeros(1, np.uint16)]).astype(np.uint64)

    def slots(self) -> Words:
        """(N, L) slot that each lane's next symbol must own."""
        return self._states & np.uint64((1 << PRECISION) - 1)

    def advance(self, starts: Words, frequencies: Words, active: NDArray[np.bool_]) -> None:
        """Take the symbols, whose slots are given, (N, L) each, off the active lanes."""
        states = frequencies * (self._states >> np.uint64(PRECISION)) + self.slots() - starts
        states = np.where(active, states, self._states)
        empty = states < _LOWEST
        places = self._next[:, None] + np.cumsum(empty, axis=1) - empty
        read = self._words[np.minimum(places, len(self._words) - 1)]
        self._states = np.where(empty, (states << np.uint64(16)) | read, states)
        self._next = self._next + empty.sum(axis=1)

    def finish(self) -> None:
        """Check that every stream was read to its end and left as the encoder began.

        Raises:
            InvalidField: a stream holds other symbols than it was decoded to.
        """
        if (self._next != self._ends).any() or (self._states != _LOWEST).any():
            raise InvalidField("a code does not end where its symbols end")
