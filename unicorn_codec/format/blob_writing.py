"""Writing of metadata, of which equal blobs are written once."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from unicorn_codec.format.blobs import in_parts, serialize_blobs
from unicorn_codec.format.chunks import METADATA
from unicorn_codec.format.pages import Place
from unicorn_codec.format.records import BlobPlace

REMEMBERED_BLOBS = 1 << 16
"""Maximum number of remembered blobs, of which equal ones are not written again."""

Blobs = Sequence[tuple[int, bytes]]
"""Metadata of a picture: pairs of kind and bytes."""


class BlobWriter:
    """Writes blobs, and remembers where the latest ones are.

    Args:
        write: a chunk of a letter, and return its place.
    """

    def __init__(self, write: Callable[[str, bytes], Place]) -> None:
        self._write = write
        self._places: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()

    def write(self, blobs: Iterable[bytes]) -> None:
        """Write blobs, except those that are remembered."""
        by_digest = {sha256(blob).digest(): blob for blob in blobs}
        new = {digest: blob for digest, blob in by_digest.items() if digest not in self._places}
        for some in in_parts(new):
            place = self._write(METADATA, serialize_blobs([new[digest] for digest in some]))
            for ordinal, digest in enumerate(some):
                self._places[digest] = (place.offset, place.length, ordinal)

    def places(self, blobs: Blobs) -> Iterator[BlobPlace]:
        """Yield the place of each blob of a picture, all of them written."""
        for kind, blob in blobs:
            digest = sha256(blob).digest()
            self._places.move_to_end(digest)
            yield BlobPlace(kind, *self._places[digest])

    def forget_oldest(self) -> None:
        """Forget all but the ``REMEMBERED_BLOBS`` used last."""
        while len(self._places) > REMEMBERED_BLOBS:
            self._places.popitem(last=False)
