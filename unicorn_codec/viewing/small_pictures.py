"""Thumbnails of an archive's pictures: quick ones, which need no torch, and sharp ones from decoded pictures."""

import io
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from PIL import Image

from unicorn_codec.codes.context_model import ContextModel, load_context_model
from unicorn_codec.codes.stored_update import updated_context_model
from unicorn_codec.config import ReadOptions
from unicorn_codec.decoders.exact_pictures import pixels_of_file
from unicorn_codec.decoders.thumbnail_decoder import CELL, ThumbnailModel, decode_small, in_gray, thumbnail_model
from unicorn_codec.errors import UnicornError
from unicorn_codec.format.alpha_plane import parse_alpha
from unicorn_codec.format.code_kinds import colour_code, is_gray, is_half_size
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.network_table import parse_update
from unicorn_codec.format.pages import Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import AVIF, EXACT, HALF_SIZE, LATENTS, SEQUENCE
from unicorn_codec.pictures.avif import decode_avif
from unicorn_codec.pictures.avif_sequence import chain_of, decode_chains
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.transparency import with_alpha

THUMBNAIL_SIDE = 320
"""Longest side of a thumbnail in pixels: a row of the gallery on a screen of double density."""

MOST_TOGETHER = 16
"""Pictures whose codes are decoded together."""

KEPT_BYTES = 48 << 20
"""Bytes of encoded pictures that are kept."""

QUALITY = 82


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture.

    Args:
        index: of the picture.
        data: a WebP file; empty if the picture cannot be decoded.
        is_final: whether nothing sharper follows.
    """

    index: int
    data: bytes
    is_final: bool


class Kept:
    """The latest encoded pictures, at most ``KEPT_BYTES`` of them. Thread-safe."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most, self._bytes, self._lock = most_bytes, 0, Lock()
        self._of: OrderedDict[int, bytes] = OrderedDict()

    def get(self, index: int) -> bytes | None:
        """Return what is kept of an index."""
        with self._lock:
            if index in self._of:
                self._of.move_to_end(index)
            return self._of.get(index)

    def put(self, index: int, data: bytes) -> bytes:
        """Keep and return the file of an index."""
        with self._lock:
            self._bytes += len(data) - len(self._of.pop(index, b""))
            self._of[index] = data
            while self._bytes > self._most and len(self._of) > 1:
                _, dropped = self._of.popitem(last=False)
                self._bytes -= len(dropped)
        return data


class QuickDecoder:
    """Decodes pictures to thumbnails without torch, as far as their codecs allow."""

    def __init__(self, reader: ContainerReader, max_pixels: int) -> None:
        self.reader, self.max_pixels = reader, max_pixels
        self._contexts: dict[int, ContextModel] = {}

    def thumbnails(self, indices: Iterable[int]) -> Iterator[Thumbnail]:
        """Yield a thumbnail of every picture that has a quick one; those of damaged pictures are empty."""
        for rows in self._batches(indices):
            try:
                yield from self._batch(rows)
            except UnicornError:
                for row in rows:
                    yield from self._alone(row)

    def _batches(self, indices: Iterable[int]) -> Iterator[list[Row]]:
        """Yield rows that can be decoded together."""
        together: dict[tuple[int, int, int, bool], list[Row]] = defaultdict(list)
        for index in indices:
            row = self.reader.row(index)
            key = (row.width, row.height, row.decoder, row.codec in (LATENTS, HALF_SIZE))
            together[key].append(row)
        for (*_, is_of_latents), rows in together.items():
            count = MOST_TOGETHER if is_of_latents else 1
            for start in range(0, len(rows), count):
                yield rows[start : start + count]

    def _alone(self, row: Row) -> Iterator[Thumbnail]:
        try:
            yield from self._batch([row])
        except UnicornError:
            yield Thumbnail(row.index, b"", True)

    def _batch(self, rows: Sequence[Row]) -> Iterator[Thumbnail]:
        if rows[0].width * rows[0].height > self.max_pixels:
            yield from (Thumbnail(row.index, b"", True) for row in rows)
        elif rows[0].codec in (LATENTS, HALF_SIZE):
            yield from self._of_latents(rows)
        else:
            for row in rows:
                pixels = self._pixels(row)
                if pixels is not None:
                    yield Thumbnail(row.index, encode_small(pixels), True)

    def _of_latents(self, rows: Sequence[Row]) -> Iterator[Thumbnail]:
        described = self.reader.decoder(rows[0].decoder)
        found = self._models(described, rows[0].decoder)
        if found is None:
            return
        records = [self.reader.record(row) for row in rows]
        width, height = rows[0].width, rows[0].height
        pictures = decode_small(*found, described, [record.code for record in records], width, height)
        for row, record, pixels in zip(rows, records, pictures, strict=True):
            reduction = 16 // CELL * (2 if is_half_size(colour_code(record.code)) else 1)
            is_final = max(width, height) >= reduction * THUMBNAIL_SIDE
            yield Thumbnail(row.index, encode_small(with_opacity(pixels, record.alpha, width, height)), is_final)

    def _models(self, described: Decoder, number: int) -> tuple[ThumbnailModel, ContextModel] | None:
        small = thumbnail_model(described)
        if small is None:
            return None
        if number not in self._contexts:
            self._contexts[number] = self._context_model(described)
        return small, self._contexts[number]

    def _context_model(self, described: Decoder) -> ContextModel:
        if described.weights is None:
            return load_context_model(described.model.name)
        return updated_context_model(described.model.name, parse_update(self.reader.weights(described.weights)))

    def _pixels(self, row: Row) -> Pixels | None:
        """Return the pixels of a picture that no network decodes; None for others."""
        if row.codec == EXACT:
            read = self.reader.footer.read
            options = ReadOptions(max_side=read.max_side, background=read.background)
            return pixels_of_file(self.reader, row, replace(options, max_pixels=self.max_pixels))
        if row.codec == AVIF:
            pixels = decode_avif(colour_code(self._code(row.index)), row.width, row.height)
        elif row.codec == SEQUENCE:
            decoded = decode_chains([chain_of(self._code, row.index)], self._code, row.width, row.height)
            pixels = decoded[row.index]
        else:
            return None
        if is_gray(self._code(row.index)):
            pixels = in_gray(pixels)
        return with_opacity(pixels, self.reader.record(row).alpha, row.width, row.height)

    def _code(self, index: int) -> bytes:
        return self.reader.record(self.reader.any_row(index) or self.reader.row(index)).code


def with_opacity(pixels: Pixels, alpha: bytes | None, width: int, height: int) -> Pixels:
    """Return pixels of a picture (h, w, 3), at any size, with its opacity: (h, w, 4); unchanged for an opaque one.

    Args:
        alpha: bytes of the opacity of the picture at full size.

    Raises:
        FormatError: they are damaged.
    """
    if alpha is None:
        return pixels
    plane = Image.fromarray(parse_alpha(alpha, width, height))
    return with_alpha(pixels, np.asarray(plane.resize(pixels.shape[1::-1], Image.Resampling.BOX)))


def encode_small(pixels: Pixels, side: int = THUMBNAIL_SIDE) -> bytes:
    """Return a WebP file of pixels (H, W, 3 or 4), scaled down to a longest side."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2)
    encoded = io.BytesIO()
    image.save(encoded, "WEBP", quality=QUALITY, method=0)
    return encoded.getvalue()
