"""Records: what an archive has of one picture, or of another file."""

from collections.abc import Sequence
from dataclasses import dataclass

from unicorn_codec.errors import InvalidField
from unicorn_codec.format.code_kinds import is_avif, is_half_size, is_in_sequence, is_overfitted, parent_of_code
from unicorn_codec.format.fields import check
from unicorn_codec.format.limits import MAX_BLOBS, MAX_DECODERS, MAX_PARTS, MAX_PICTURES, MAX_SIDE, MAX_TIME
from unicorn_codec.format.names import check_name

CODE, ALPHA, ORIGINAL, FILE = range(4)
"""Kinds of parts: a code of the picture or of a tile of it, a code of its alpha plane, the original file's bytes
(possibly transcoded), or a file that is not a picture."""

LATENTS, HALF_SIZE, AVIF, SEQUENCE, NETWORK, EXACT, OTHER_FILE, REMOVED, FUNCTION = range(1, 10)
CODECS = ("none", "latents", "half-size", "avif", "avif-sequence", "network", "exact", "file", "removed", "overfitted")
"""Codecs of pictures, by their number in an index page. 0 means no picture. Removed pictures are kept as long as others
of their sequence depend on them."""


@dataclass(frozen=True, slots=True)
class BlobPlace:
    """Place of a blob of metadata: a chunk of blobs, and the blob's number in it.

    Args:
        kind: of the blob, see ``blobs``.
        offset, length: of the whole chunk in the file.
        ordinal: of the blob in the chunk.
    """

    kind: int
    offset: int
    length: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Details:
    """What a record says of its original file: where its metadata lies, when it was modified, and its transparency.

    Args:
        alpha_bytes: bytes of the picture's opacity; 0 for an opaque one.
    """

    metadata: tuple[BlobPlace, ...] = ()
    modified: int | None = None
    alpha_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a record: its bytes and their kind."""

    kind: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A picture, or another file.

    Args:
        index: number in the archive.
        width, height: in pixels as unpacked; 1 by 1 for a file that is not a picture.
        decoder: number of the decoder that its code needs.
        parts: stored content, usually one code.
        name: the picture's name, if the record repeats it.
        metadata: places of its metadata.
        modified: when the original file was modified, in seconds since 1970 UTC; None if that is not stored.
    """

    index: int
    width: int
    height: int
    decoder: int
    parts: tuple[Part, ...]
    name: str | None = None
    metadata: tuple[BlobPlace, ...] = ()
    modified: int | None = None

    def __post_init__(self) -> None:
        check(0 <= self.index < MAX_PICTURES, f"an index is 0 to {MAX_PICTURES - 1}, not {self.index}")
        check_size(self.width, self.height)
        check(0 <= self.decoder < MAX_DECODERS, f"a decoder's number is 0 to {MAX_DECODERS - 1}, not {self.decoder}")
        check(1 <= len(self.parts) <= MAX_PARTS, f"a record has 1 to {MAX_PARTS} parts, not {len(self.parts)}")
        check(all(part.data for part in self.parts), "a part of a record is empty")
        check(len(self.metadata) <= MAX_BLOBS, f"a record has at most {MAX_BLOBS} blobs, not {len(self.metadata)}")
        if self.name is not None:
            check_name(self.name)
        if self.modified is not None:
            check(abs(self.modified) < MAX_TIME, f"a time of {self.modified} seconds")

    @property
    def codes(self) -> tuple[bytes, ...]:
        """The codes of the picture's tiles, one of most pictures, none of a stored file."""
        return tuple(part.data for part in self.parts if part.kind == CODE)

    @property
    def code(self) -> bytes:
        """The picture's only code. Raises ``InvalidField`` if it has none, or is coded in tiles."""
        if len(self.codes) != 1:
            raise InvalidField(f"picture {self.index} has {len(self.codes)} codes where one is expected")
        return self.codes[0]

    @property
    def alpha(self) -> bytes | None:
        """The bytes of the picture's opacity; None if it is opaque. Raises ``InvalidField`` if there are several."""
        planes = [part.data for part in self.parts if part.kind == ALPHA]
        if len(planes) > 1:
            raise InvalidField(f"picture {self.index} has {len(planes)} planes of opacity")
        return planes[0] if planes else None

    @property
    def codec(self) -> int:
        """The picture's codec: a number of ``CODECS``, of its first tile if it has several."""
        kinds = [part.kind for part in self.parts]
        if CODE in kinds:
            return codec_of_code(self.parts[kinds.index(CODE)].data)
        return EXACT if ORIGINAL in kinds else OTHER_FILE

    @property
    def details(self) -> Details:
        """What it says of its original file."""
        alpha_bytes = sum(len(part.data) for part in self.parts if part.kind == ALPHA)
        return Details(self.metadata, self.modified, alpha_bytes)

    @property
    def parent(self) -> int | None:
        """Index of the picture that this one depends on; None without one."""
        code = next((part.data for part in self.parts if part.kind == CODE), b"")
        return parent_of_code(code)


def record_of_code(
    index: int, width: int, height: int, decoder: int, code: bytes, alpha: bytes | None = None
) -> Record:
    """Return the record of a picture that consists of one code, and of its opacity if it has any."""
    return record_of_codes(index, width, height, decoder, [code], alpha)


def record_of_codes(
    index: int, width: int, height: int, decoder: int, codes: Sequence[bytes], alpha: bytes | None = None
) -> Record:
    """Return the record of a picture of one code, or one for each of its tiles, and of its opacity if it has any."""
    planes = () if alpha is None else (Part(ALPHA, alpha),)
    parts = (*(Part(CODE, code) for code in codes), *planes)
    return Record(index=index, width=width, height=height, decoder=decoder, parts=parts)


def check_size(width: int, height: int) -> None:
    """Raise ``InvalidSetting`` unless a picture's size is allowed."""
    check(1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE, f"sides are 1 to {MAX_SIDE} pixels, not {width}x{height}")


def codec_of_code(code: bytes) -> int:
    """Return the codec of a code: a number of ``CODECS``."""
    if is_overfitted(code):
        return FUNCTION
    if is_avif(code):
        return SEQUENCE if is_in_sequence(code) else AVIF
    return HALF_SIZE if is_half_size(code) else LATENTS
