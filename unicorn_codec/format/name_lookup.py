"""Lookup of names: sorted hashes with their indices, in buckets, so that a name is found by few reads.

Each generation adds a run of its names. A small run is one bucket; a larger one has a directory of buckets. Hashes may
collide: the caller compares the names themselves.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.columns import column, take_column
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import MAX_BUCKET_ENTRIES, MAX_CHUNK_BYTES, MAX_PICTURES, MAX_ROWS, MAX_RUN_ENTRIES

_KEY_BITS = 32
"""Stored bits of a hash, after those that its bucket's number implies."""

_BUCKET, _DIRECTORY = 0, 1
_USUAL_ENTRIES = 512
_MAX_BUCKET_BITS = 14


@dataclass(frozen=True, slots=True)
class Run:
    """Location of a run in the file: its directory, or its only bucket."""

    offset: int
    length: int
    entries: int


@dataclass(frozen=True, slots=True)
class Directory:
    """Locations of a run's 2^bits buckets: offset and length of each, None for empty ones."""

    bits: int
    buckets: tuple[tuple[int, int] | None, ...]


def bucket_bits(entries: int) -> int:
    """Return the number of bits of a hash that select the bucket in a run."""
    return 0 if entries <= MAX_ROWS else (entries // _USUAL_ENTRIES).bit_length()


Entries = NDArray[np.void]
"""(N,) names of a run: fields ``hash``, uint64, and ``index``, int64."""

_ENTRY = np.dtype([("hash", np.uint64), ("index", np.int64)])


def entries_of(pairs: Iterable[tuple[int, int]], count: int = -1) -> Entries:
    """Return pairs of hash and index as an array.

    Args:
        count: an upper limit of their number, if known, which saves memory.
    """
    if count < 0:
        return np.array(list(pairs), _ENTRY)
    entries, number = np.empty(count, _ENTRY), 0
    for number, pair in enumerate(pairs, start=1):
        entries[number - 1] = pair
    return entries[:number]


def _sorted(entries: Entries) -> Entries:
    return entries[np.lexsort((entries["index"], entries["hash"]))]


def sort_into_buckets(entries: Entries) -> tuple[int, list[Entries]]:
    """Sort names into the buckets of a run. Return the bits of a bucket's number, and the buckets."""
    bits, ordered = bucket_bits(entries.size), _sorted(entries)
    edges = np.array([number << 64 - bits for number in range(1, 1 << bits)], np.uint64)
    return bits, np.split(ordered, np.searchsorted(ordered["hash"], edges))


def _key(hashed: int, bits: int) -> int:
    return hashed >> 64 - bits - _KEY_BITS & (1 << _KEY_BITS) - 1


def serialize_bucket(bits: int, number: int, entries: Entries) -> bytes:
    """Write the payload of a bucket of at least one name."""
    keys = sorted((_key(hashed, bits), index) for hashed, index in entries.tolist())
    head = bytes([_BUCKET]) + varint(bits) + varint(number) + varint(len(keys))
    return head + column([key for key, _ in keys]) + column([index for _, index in keys])


def candidates(payload: bytes, bits: int, hashed: int) -> list[int]:
    """Return the indices of a hash in a bucket. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("bucket of names"):
        (kind,) = fields.numbers("B")
        number = hashed >> 64 - bits
        found = kind, fields.varint(_MAX_BUCKET_BITS), fields.varint(1 << _MAX_BUCKET_BITS)
        check(found == (_BUCKET, bits, number), f"bucket {number} of {bits} bits is expected, found is {found}")
        count = fields.varint(MAX_BUCKET_ENTRIES, "the number of names")
        check(count > 0, "a bucket without names")
        keys = take_column(fields, count, (1 << _KEY_BITS) - 1, "a key")
        indices = take_column(fields, count, MAX_PICTURES - 1, "an index")
        fields.finish()
        check(bool((np.diff(keys) >= 0).all()), "the keys of a bucket must ascend")
        return [int(index) for index in indices[keys == _key(hashed, bits)]]


def indices_of(payload: bytes) -> list[int]:
    """Return all indices in a bucket. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("bucket of names"):
        fields.take(1)
        fields.varint(_MAX_BUCKET_BITS)
        fields.varint(1 << _MAX_BUCKET_BITS)
        count = fields.varint(MAX_BUCKET_ENTRIES, "the number of names")
        check(count > 0, "a bucket without names")
        take_column(fields, count, (1 << _KEY_BITS) - 1, "a key")
        return [int(index) for index in take_column(fields, count, MAX_PICTURES - 1, "an index")]


def serialize_directory(directory: Directory) -> bytes:
    """Write the payload of a run's directory."""
    places = [place or (0, 0) for place in directory.buckets]
    columns = column([offset for offset, _ in places]) + column([length for _, length in places])
    return bytes([_DIRECTORY]) + varint(directory.bits) + columns


def parse_run(payload: bytes, run: Run) -> Directory | None:
    """Read the directory of a run; None if the payload is its only bucket. Raises ``InvalidField``."""
    fields = Fields(payload)
    with refusing("lookup of names"):
        (kind,) = fields.numbers("B")
        check(kind in (_BUCKET, _DIRECTORY), f"a page of kind {kind}, known are 0 and 1")
        if kind == _BUCKET:
            return None
        bits = fields.varint(_MAX_BUCKET_BITS, "bits of a bucket")
        check(1 << bits <= max(1, run.entries), "a directory of more buckets than names")
        offsets = take_column(fields, 1 << bits, (1 << 62) - 1, "an offset").tolist()
        lengths = take_column(fields, 1 << bits, MAX_CHUNK_BYTES, "a bucket's length").tolist()
        fields.finish()
        places = zip(offsets, lengths, strict=True)
        return Directory(bits, tuple(place if place[1] else None for place in places))


def split_run(entries: Entries) -> list[Entries]:
    """Split names, in order of their hashes, into runs of limited size."""
    ordered = _sorted(entries)
    return [ordered[start : start + MAX_RUN_ENTRIES] for start in range(0, entries.size, MAX_RUN_ENTRIES)]
