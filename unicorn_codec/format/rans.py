"""Range asymmetric numeral systems (Duda, 2013): integers with given frequencies <-> bytes.

A stream has a number of lanes, coders of their own that share its bytes; many streams run in lockstep, so
that NumPy does for a thousand pictures what a loop would do for one. Everything is integer arithmetic:
a stream decodes to the same symbols everywhere.

A symbol that has all the slots takes no bytes and leaves a lane as it was: lanes that have nothing to code in a
step are given such a one.

Lanes share words, so a decoder must see by a state that it wants one: it does below 2^16. In a long stream no state is
below that between two symbols, from end to end. In a short one none is where there are words: its encoder begins with
lanes of 255, and lifts all of them by 2^16 just before the first one puts a word; the decoder takes that off again when
it has read the last word. So a short stream has fewer bits that stand for nothing.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.errors import InvalidField

PRECISION = 14
"""Frequencies of a table sum to 2^PRECISION."""

TOTAL = 1 << PRECISION

_LOWEST = 1 << 16
"""A state is at least this between two symbols where there are words, and below 2^32 anywhere."""

_FIRST_OF_SHORT = 255
"""Lanes of short streams begin at this: hardly more than nothing beside what the first symbol makes of it, but more
than the states of a damaged stream sink to, so that its end tells."""

_STATE_BYTES = 4

Slots = NDArray[np.integer]


def encode(starts: Slots, frequencies: Slots, *, short: bool) -> list[bytes]:
    """Bytes of each stream.

    Args:
        starts: (T, N, L) of each symbol's slots the first, for T steps of N streams with L lanes.
        frequencies: (T, N, L) how many slots it has, 1 to 2^PRECISION.
        short: whether the streams are short ones.
    """
    steps, streams, lanes = starts.shape
    # Floats, for NumPy divides them much faster: all values are integers up to 2^32, all quotients exact when floored.
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
            # Asked of the states as they would be lifted: so no state that is not comes within 2^16 of 2^32.
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
    """A short stream of states and words. Zero bytes at the end of the states are left out: one at most where words
    follow, which an odd number of bytes tells."""
    if not tail:
        return head.rstrip(b"\0")
    return (head if head[-1] else head[:-1]) + tail


def _split(stream: bytes, lanes: int) -> tuple[bytes, bytes]:
    """The inverse of ``_join``."""
    head = _STATE_BYTES * lanes
    if len(stream) <= head:
        return stream.ljust(head, b"\0"), b""
    cut = head - len(stream) % 2
    return stream[:cut].ljust(head, b"\0"), stream[cut:]


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


class RansDecoder:
    """Reads streams that ``encode`` wrote, one step of all of them at a time.

    Raises:
        InvalidField: a long stream does not hold its lanes' states, or any stream holds one that no encoder leaves.
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
        # What a state must not fall below: nothing, where a short stream has no more words.
        self._all_floors = self._floors = np.repeat(np.where((lengths > 0) | (not short), _LOWEST, 0), lanes)
        if (self._states < self._floors).any():  # such a lane would read a word even for nothing
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
        self._floors = self._all_floors[: streams * self._lanes]

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
        hungry = np.flatnonzero(states < self._floors)
        if hungry.size:
            owners = self._owners[hungry]
            states[hungry] = (states[hungry] << 16) | self._read(owners)
            if self._short:
                ended = owners[self._next[owners] == self._ends[owners]]
                self._all_states.reshape(-1, self._lanes)[ended] -= _LOWEST  # once each, however often it stands there
                self._all_floors.reshape(-1, self._lanes)[ended] = 0

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
        if (self._next != self._ends).any() or (self._all_states != self._last).any():
            raise InvalidField("a code does not end where its symbols end")
