"""Metadata of a folder's files, read when their records are written, and an estimate of its bytes before that."""

import hashlib
import os
from dataclasses import dataclass, field

from unicorn_codec.config import MetadataOptions
from unicorn_codec.errors import ImageFolderError
from unicorn_codec.format.blobs import FACTS, in_parts, serialize_blobs, serialize_facts
from unicorn_codec.format.limits import MAX_TIME
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.file_metadata import FileMetadata, read_metadata
from unicorn_codec.pictures.picture_files import native_name, printable
from unicorn_codec.pictures.picture_folder import Note, read_original
from unicorn_codec.pictures.picture_table import Picture

SAMPLED_PICTURES = 48
PLACE_BYTES, CHUNK_BYTES = 10, 14
"""What a record takes for the place of a blob, and what a chunk of blobs takes besides."""


@dataclass(frozen=True, slots=True)
class OriginalMetadata:
    """Reads the metadata of a folder's files by position, none of which is kept in memory.

    Attributes:
        notes: on metadata that was left out of the files read up to now.
    """

    pictures: PictureSource
    options: MetadataOptions
    notes: list[Note] = field(default_factory=list)

    def modified(self, position: int) -> int | None:
        """Return when a file was modified, in seconds since 1970; None if that is not to be stored.

        Raises:
            ImageFolderError: the file vanished.
        """
        if not self.options.keep:
            return None
        folder = self.pictures.folder
        try:
            seconds = os.stat(folder.root / native_name(folder.pictures[position].name)).st_mtime_ns // 10**9
        except OSError as error:
            name = printable(folder.pictures[position].name)
            raise ImageFolderError(f"{folder.root / name}: it vanished since the folder was listed") from error
        return seconds if abs(seconds) < MAX_TIME else None

    def blobs(self, position: int) -> tuple[tuple[int, bytes], ...]:
        """Return all that is to be stored of a file besides its time: pairs of kind and bytes.

        Raises:
            ImageFolderError: the file vanished, or changed since the folder was listed.
        """
        if not (self.options.keep or self.options.checksums):
            return ()
        picture = self.pictures.folder.pictures[position]
        data = read_original(self.pictures.folder, picture)
        found = self._read(picture, data)
        self.notes.extend(Note(printable(picture.name), text) for text in found.notes)
        if self.options.checksums:
            return ((FACTS, serialize_facts(len(data), hashlib.sha256(data).digest())), *found.blobs)
        return found.blobs

    def _read(self, picture: Picture, data: bytes) -> FileMetadata:
        return read_metadata(data, picture.width, picture.height, self.options)


def estimate_metadata_bytes(pictures: PictureSource, options: MetadataOptions) -> int:
    """Estimate by a sample the bytes that metadata adds to an archive."""
    count = len(pictures)
    sampled = [number * count // min(count, SAMPLED_PICTURES) for number in range(min(count, SAMPLED_PICTURES))]
    reader = OriginalMetadata(pictures, options)
    blobs = [blob for position in sampled for _, blob in reader.blobs(position)]
    distinct = {blob: blob for blob in blobs}
    stored = sum(CHUNK_BYTES + len(serialize_blobs(part)) for part in in_parts(distinct))
    per_picture = (stored + PLACE_BYTES * len(blobs)) / max(1, len(sampled))
    times = [time for position in sampled if (time := reader.modified(position)) is not None]
    bits = (max(times) - min(times)).bit_length() if times else 0
    return round(count * (per_picture + bits / 8))
