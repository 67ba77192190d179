"""The footer: locations of all parts and totals of the archive. Written last, read first.

Each generation has a footer, which locates the previous one. That one stays valid until the new one is complete.
"""

from dataclasses import dataclass, field

from unicorn_codec.errors import UnsupportedVersion
from unicorn_codec.format.canary import Canary, serialize_canary, take_canary
from unicorn_codec.format.chunks import DIGEST_BYTES, FOOTER, ID_BYTES, LETTERS, chunk
from unicorn_codec.format.decoder_table import Decoder, serialize_decoder, take_decoder
from unicorn_codec.format.fields import Fields, check, refusing, varint
from unicorn_codec.format.limits import (
    MAX_ATTACHMENTS,
    MAX_CANARIES,
    MAX_CHUNK_BYTES,
    MAX_DECODERS,
    MAX_FOOTER_BYTES,
    MAX_LEVEL_OF_PAGES,
    MAX_PICTURES,
    MAX_RUN_ENTRIES,
    MAX_RUNS,
)
from unicorn_codec.format.name_lookup import Run
from unicorn_codec.format.pages import MAX_OFFSET, Place, span_of
from unicorn_codec.format.read_settings import ReadSettings, serialize_read_settings, take_read_settings
from unicorn_codec.format.records import CODECS, OTHER_FILE

KEEPS_ALPHA = 1
"""Bit for writers: pictures keep their transparency, also those that are added."""

KNOWN_TO_READ, KNOWN_TO_WRITE = 0, KEEPS_ALPHA
"""Feature bits that this software supports: those required for reading, and those required only for writing."""


@dataclass(frozen=True, slots=True)
class CodecTotal:
    """Number of pictures of a codec, and the bytes of their records and pieces."""

    codec: int
    pictures: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A chunk that no picture depends on: a model, the specification, or a list of removed pictures."""

    letter: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """Description of a generation of an archive.

    Args:
        archive_id: assigned when the archive was created.
        generation: 1 for the first.
        offset: of this footer in the file.
        previous: offset of the previous footer; 0 without one.
        seed: of this generation's indices.
        next_index: one more than the highest index ever assigned.
        pixels: total of all pictures.
        totals: by codec, ascending.
        level, root: the root page of the index; None without pictures.
        runs: lookup of names.
        decoders: by number.
        canaries: of some decoded pictures.
        attachments: other chunks.
        read: settings for reading this generation's picture files.
    """

    archive_id: bytes
    generation: int
    offset: int
    previous: int
    seed: int
    next_index: int
    pixels: int
    totals: tuple[CodecTotal, ...]
    level: int
    root: Place | None
    runs: tuple[Run, ...]
    decoders: tuple[Decoder, ...]
    canaries: tuple[Canary, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    read: ReadSettings = field(default_factory=ReadSettings)
    must_write: int = 0

    def __post_init__(self) -> None:
        check(len(self.archive_id) == ID_BYTES, f"an archive's id has {ID_BYTES} bytes")
        check(self.generation >= 1, "generations count from 1")
        check(0 <= self.seed < 1 << 64, f"the seed is 0 to 2^64 - 1, not {self.seed}")
        check(1 <= len(self.decoders) <= MAX_DECODERS, f"an archive has 1 to {MAX_DECODERS} decoders")
        check(self.previous < self.offset, "the footer before this one lies before it")
        check(self.root is not None or not self.members, "an archive of pictures has an index")
        check(self.next_index <= span_of(self.level), f"{self.next_index} indices in an index of level {self.level}")
        check(self.members <= self.next_index, "there are more pictures than indices")

    @property
    def pictures(self) -> int:
        """Number of pictures in the archive."""
        return self.members - self.files

    @property
    def files(self) -> int:
        """Number of files in the archive that are no pictures."""
        return sum(total.pictures for total in self.totals if total.codec == OTHER_FILE)

    @property
    def members(self) -> int:
        """Number of pictures and other files."""
        return sum(total.pictures for total in self.totals)

    @property
    def record_bytes(self) -> int:
        """Bytes of all pictures' records."""
        return sum(total.bytes for total in self.totals)


def serialize_footer(footer: Footer) -> bytes:
    """Write the footer's chunk."""
    must_write = footer.must_write & ~KEEPS_ALPHA | (KEEPS_ALPHA if footer.read.background is None else 0)
    payload = b"".join([
        footer.archive_id,
        *map(varint, (KNOWN_TO_READ, must_write, footer.generation, footer.offset, footer.previous)),
        *map(varint, (footer.seed, footer.next_index, footer.pixels, len(footer.totals))),
        *(varint(total.codec) + varint(total.pictures) + varint(total.bytes) for total in footer.totals),
        _root(footer),
        varint(len(footer.runs)),
        *(varint(run.offset) + varint(run.length) + varint(run.entries) for run in footer.runs),
        varint(len(footer.decoders)),
        *map(serialize_decoder, footer.decoders),
        varint(len(footer.canaries)),
        *map(serialize_canary, footer.canaries),
        serialize_read_settings(footer.read),
        varint(len(footer.attachments)),
        *(a.letter.encode() + varint(a.offset) + varint(a.length) for a in footer.attachments),
    ])  # fmt: skip
    check(len(payload) <= MAX_FOOTER_BYTES, f"a footer of {len(payload)} bytes, at most {MAX_FOOTER_BYTES} are allowed")
    return chunk(FOOTER, payload, 0)


def _root(footer: Footer) -> bytes:
    root = footer.root
    if root is None:
        return varint(0) + varint(0)
    return varint(footer.level) + varint(root.offset) + varint(root.length) + root.digest


def parse_footer(payload: bytes, offset: int) -> Footer:
    """Read the payload of the footer at an offset.

    Raises:
        InvalidField: it belongs to another offset, or is invalid.
        UnsupportedVersion: the archive has features that this software does not support.
    """
    fields = Fields(payload)
    with refusing("footer"):
        archive_id = fields.take(ID_BYTES)
        must_read, must_write = check_features(fields)
        del must_read
        generation = fields.varint(what="the generation")
        said, previous = fields.varint(MAX_OFFSET, "an offset"), fields.varint(MAX_OFFSET, "an offset")
        check(said == offset, f"it says that it lies at byte {said}, not {offset}")
        seed, next_index, pixels = (
            fields.varint((1 << 64) - 1, "the seed"),
            fields.varint(MAX_PICTURES, "the next index"),
            fields.varint(),
        )
        totals = tuple(_take_total(fields) for _ in range(fields.varint(len(CODECS) - 1, "the number of codecs")))
        codecs = [total.codec for total in totals]
        check(codecs == sorted(set(codecs)), "codecs must ascend")
        level = fields.varint(MAX_LEVEL_OF_PAGES, "a level")
        root = _take_place(fields)
        runs = tuple(_take_run(fields) for _ in range(fields.varint(MAX_RUNS, "the number of lookup runs")))
        decoders = tuple(take_decoder(fields) for _ in range(fields.varint(MAX_DECODERS, "the number of decoders")))
        canaries = tuple(take_canary(fields) for _ in range(fields.varint(MAX_CANARIES, "the number of canaries")))
        check(all(canary.index < next_index for canary in canaries), "a canary of no picture")
        read = take_read_settings(fields, keeps_alpha=bool(must_write & KEEPS_ALPHA))
        many = fields.varint(MAX_ATTACHMENTS, "the number of attachments")
        attachments = tuple(_take_attachment(fields) for _ in range(many))
        fields.finish()
        return Footer(
            archive_id=archive_id,
            generation=generation,
            offset=offset,
            previous=previous,
            seed=seed,
            next_index=next_index,
            pixels=pixels,
            totals=totals,
            level=level,
            root=root,
            runs=runs,
            decoders=decoders,
            canaries=canaries,
            attachments=attachments,
            read=read,
            must_write=must_write,
        )


def check_features(fields: Fields) -> tuple[int, int]:
    """Read both fields of feature bits. Raise ``UnsupportedVersion`` for an unknown bit that reading requires."""
    must_read, must_write = fields.varint(what="feature bits"), fields.varint(what="feature bits")
    if unknown := must_read & ~KNOWN_TO_READ:
        raise UnsupportedVersion(f"the archive has features ({unknown:#x}) that this software does not know")
    return must_read, must_write


def _take_total(fields: Fields) -> CodecTotal:
    codec = fields.varint(len(CODECS) - 1, "a codec")
    check(codec > 0, "there is no codec 0")
    return CodecTotal(codec, fields.varint(MAX_PICTURES, "a number of pictures"), fields.varint())


def _take_place(fields: Fields) -> Place | None:
    offset = fields.varint(MAX_OFFSET >> 1, "an offset")
    return Place(offset, fields.varint(MAX_CHUNK_BYTES), fields.take(DIGEST_BYTES)) if offset else None


def _take_run(fields: Fields) -> Run:
    offset, length = fields.varint(MAX_OFFSET >> 1, "an offset"), fields.varint(MAX_CHUNK_BYTES, "a length")
    entries = fields.varint(MAX_RUN_ENTRIES, "the names of a run")
    check(entries > 0, "a run without names")
    return Run(offset, length, entries)


def _take_attachment(fields: Fields) -> Attachment:
    letter = chr(fields.take(1)[0])
    check(letter in LETTERS, f"an attachment of kind {letter!r}")
    return Attachment(letter, fields.varint(MAX_OFFSET >> 1, "an offset"), fields.varint(MAX_CHUNK_BYTES, "a length"))
