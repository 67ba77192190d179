"""The order in which pictures are decoded: by decoder and size, sequences together, damaged ones apart."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from unicorn_codec.config import ReadOptions
from unicorn_codec.decoders.picture_decoder import PictureDecoder
from unicorn_codec.errors import FormatError
from unicorn_codec.format.pages import Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import EXACT, SEQUENCE
from unicorn_codec.pictures.batches import batches_by_size

OnError = Callable[[int, FormatError], None]
"""Called with the index of a picture that cannot be decoded, and the error."""

Ready = tuple[list[int], Callable[[], Iterator[np.ndarray]]]
"""Indices of some pictures, and a function that computes their pixels."""


class BatchReader:
    """Reads the codes of pictures in batches.

    Args:
        decoder: returns the decoder with a number.
        read: options for the files of exact pictures.
    """

    def __init__(self, reader: ContainerReader, decoder: Callable[[int], PictureDecoder], read: ReadOptions) -> None:
        self._reader, self._decoder, self._read_options = reader, decoder, read

    def read(self, rows: Sequence[Row], batch_size: int, steps: int | None, on_error: OnError) -> Iterator[Ready]:
        """Yield the pictures of some rows, a batch of one size at a time, those of a sequence next to each other.

        Args:
            steps: of sampling; None for those of the archive.
            on_error: called for each damaged picture; the others are still read.
        """
        of_decoder = defaultdict[int, list[Row]](list)
        for row in rows:
            if row.codec == EXACT:
                yield from self._read_exact(row, on_error)
            else:
                of_decoder[row.decoder].append(row)
        for number, some in of_decoder.items():
            decoder = self._decoder(number)
            ordered = self._with_sequences_together(some, on_error)
            for batch in batches_by_size([(row.width, row.height) for row in ordered], batch_size):
                yield from self._read_batch(decoder, [ordered[place] for place in batch], steps, on_error)

    def _read_exact(self, row: Row, on_error: OnError) -> Iterator[Ready]:
        from unicorn_codec.decoders.exact_pictures import pixels_of_file

        try:
            pixels = pixels_of_file(self._reader, row, self._read_options)
        except FormatError as error:
            on_error(row.index, error)
            return
        yield [row.index], lambda: iter([pixels])

    def _with_sequences_together(self, rows: Sequence[Row], on_error: OnError) -> list[Row]:
        """Order rows so that pictures of a sequence are adjacent."""
        first_of: dict[int, list[Row]] = {}
        for row in rows:
            try:
                first = self._reader.chain(row)[0].index if row.codec == SEQUENCE else row.index
            except FormatError as error:
                on_error(row.index, error)
                continue
            first_of.setdefault(first, []).append(row)
        return [row for some in first_of.values() for row in some]

    def _read_batch(
        self, decoder: PictureDecoder, rows: Sequence[Row], steps: int | None, on_error: OnError
    ) -> Iterator[Ready]:
        """Entropy-decode pictures of one size: together, or one by one if one is damaged."""
        size = rows[0].width, rows[0].height
        try:
            yield [row.index for row in rows], decoder.read([row.index for row in rows], *size, steps=steps)
            return
        except FormatError as error:
            if len(rows) == 1:
                on_error(rows[0].index, error)
                return
        for row in rows:
            yield from self._read_batch(decoder, [row], steps, on_error)
