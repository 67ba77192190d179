"""An archive that grows chunk by chunk."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vector_makers.fields import changed, column, crc16, leb, stored, tagged

SIGNATURE = b"\x89UNI\r\n\x1a\n"
PREAMBLE = SIGNATURE + struct.pack("<HH", 1, 0)
ID = b"vectors\0"
SALT = zlib.crc32(ID)
MAX_ROWS = 1024
MAX_SHORT_PAYLOAD = 2048
Place = tuple[int, int, bytes]  # offset and length of a chunk, digest of its payload


def digest(payload: bytes) -> bytes:
    """What a place says of a payload."""
    return hashlib.sha256(payload).digest()[:8]


def place(of: Place | None) -> bytes:
    """A place with its digest."""
    return leb(0) if of is None else leb(of[0]) + leb(of[1]) + of[2]


def chunk(letter: str, payload: bytes, salt: int | None = None, prefix: bytes = b"") -> bytes:
    """A chunk other than one of pictures."""
    start = (0 if letter in "HF" else SALT) if salt is None else salt
    return chunk_head(letter, len(payload), start, prefix) + payload + struct.pack("<I", zlib.crc32(payload, start))


def chunk_head(letter: str, length: int, start: int = SALT, prefix: bytes = b"") -> bytes:
    """Tag, length and their CRC."""
    tag = b"\xf5UN" + letter.encode() + leb(length)
    return tag + struct.pack("<I", zlib.crc32(prefix, zlib.crc32(tag, start)))


FINGERPRINT = bytes(range(64, 80))
DECODER_FIELDS: dict[str, bytes] = {
    "kind": b"\0",
    "name": b"\7photo-1",
    "class_name": b"\0",
    "fingerprint": FINGERPRINT,
    "weight_bytes": leb(6_000_000),
    "latent_channels": leb(1),
    "downsampling": b"\x08",
    "latent_step": struct.pack("<d", 1.5),
    "level": bytes([128 + 5]),
    "weights": leb(0),
}


@dataclass
class Picture:
    """What a file has of a picture; ``codec`` 5 is one without a record."""

    index: int
    code: bytes = b"\x01code"
    size: tuple[int, int] = (24, 8)
    name: str | None = None
    codec: int = 1
    decoder: int = 0
    parent: int | None = None
    psnr: int = 0
    extras: bytes = b""
    offset: int = 0
    length: int = 0
    previous: int | None = None


@dataclass
class File:
    """An archive that grows chunk by chunk, with all its CRCs and digests, and is wrong only where that is wanted."""

    data: bytes = b""
    pictures: list[Picture] = field(default_factory=list)
    decoders: list[bytes] = field(default_factory=list)
    root: Place | None = None
    level: int = 0
    generation: int = 0
    footer_at: int = 0
    attachments: list[tuple[bytes, int, int]] = field(default_factory=list)
    runs: list[tuple[int, int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data = self.data or PREAMBLE + chunk("H", ID + leb(0) + leb(0))

    def add(self, letter: str, payload: bytes) -> Place:
        """Append a chunk."""
        at = len(self.data)
        self.data += chunk(letter, payload)
        return at, len(self.data) - at, digest(payload)

    def decoder(self, weights: bytes | None = None, **changes: bytes) -> None:
        """Append a decoder, behind its weights if it has any."""
        if weights is not None:
            changes = {"weights": place(self.add("W", weights)), **changes}
        entry = changed(DECODER_FIELDS, changes)
        self.add("D", leb(len(self.decoders)) + entry)
        self.decoders.append(entry)

    def records(self, pictures: Sequence[Picture], damage: int | None = None, *, is_wrong: bool = False) -> None:
        """Append a chunk of records; the CRC of one of them, or of the chunk, is wrong if wanted."""
        self.pictures += pictures
        coded = [p for p in pictures if p.codec != 5]
        if not coded:
            return
        first = coded[0]
        prefix = b"".join(map(leb, (first.index, first.decoder, *first.size)))
        payload, previous = prefix, first.index - 1
        for picture in coded:
            picture.offset = len(payload)
            if picture.size != first.size:
                picture.extras = tagged(1, *picture.size) + picture.extras
            before = previous if picture.previous is None else picture.previous
            is_next = picture.index == before + 1
            record = leb(4 * len(picture.code) + 2 * (not is_next) + bool(picture.extras))
            record += b"" if is_next else leb(picture.index - first.index)
            record += leb(len(picture.extras)) + picture.extras if picture.extras else b""
            record += picture.code
            known = struct.pack("<QIII", picture.index, *picture.size, picture.decoder)
            if len(picture.code) <= MAX_SHORT_PAYLOAD:
                crc = struct.pack("<H", crc16(known + record, SALT & 0xFFFF) ^ (picture.index == damage))
            else:
                crc = struct.pack("<I", zlib.crc32(known + record, SALT) ^ (picture.index == damage))
            payload += record + crc
            picture.length, previous = len(payload) - picture.offset, picture.index
        header = chunk_head("P", len(payload), SALT, prefix)
        for picture in coded:
            picture.offset += len(self.data) + len(header)
        self.data += header + payload + struct.pack("<I", zlib.crc32(payload, SALT) ^ is_wrong)

    def leaf(self, first: int = 0, names: bytes | None = None, /, **changes: bytes) -> Place:
        """Append a leaf, behind its names if any picture has one."""
        rows = {p.index - first: p for p in self.pictures if 0 <= p.index - first < MAX_ROWS}
        count = max(rows) + 1
        listed = [rows[n].name or "" if n in rows else "" for n in range(count)]
        where = None
        if any(listed) or names is not None:
            usual = leb(first) + leb(count) + leb(0) + b"\0" + stored("\n".join(listed).encode())
            where = self.add("n", usual if names is None else names)
        return self.add("I", changed(self.leaf_fields(rows, first, count, where), changes))

    def leaf_fields(self, rows: dict[int, Picture], first: int, count: int, names: Place | None) -> dict[str, bytes]:
        """The fields of a leaf as they should be."""
        sizes = sorted({p.size for p in rows.values()})

        def of(value: Callable[[Picture], int]) -> bytes:
            lowest = min(map(value, rows.values()))
            return column([value(rows[n]) if n in rows else lowest for n in range(count)])

        return {
            "level": leb(0),
            "first": leb(first),
            "rows": leb(count),
            "names": place(names),
            "sizes": leb(len(sizes)) + b"".join(leb(side) for size in sizes for side in size),
            "codecs": column([rows[n].codec if n in rows else 0 for n in range(count)]),
            "numbers": of(lambda p: sizes.index(p.size)),
            "decoders": of(lambda p: p.decoder),
            "lengths": of(lambda p: p.length),
            "kind": b"\0",
            "offsets": of(lambda p: p.offset),
            "parents": of(lambda p: 0 if p.parent is None else p.parent + 1),
            "psnrs": of(lambda p: p.psnr),
            "times": b"",
        }

    def inner(self, level: int, first: int, pages: Sequence[Place | None], /, **changes: bytes) -> Place:
        """Append an inner page."""
        known = [page or (0, 0, bytes(8)) for page in pages]
        fields = {
            "level": leb(level),
            "first": leb(first),
            "pages": leb(len(known)),
            "offsets": column([page[0] for page in known]),
            "lengths": column([page[1] for page in known]),
            "digests": b"".join(page[2] for page in known),
        }
        return self.add("I", changed(fields, changes))

    def footer(self, **changes: bytes) -> bytes:
        """Append a footer, and return the whole file."""
        shown = [p for p in self.pictures if p.codec not in (0, 8)]
        totals = [(c, [p.length for p in shown if p.codec == c]) for c in sorted({p.codec for p in shown})]
        self.generation += 1
        fields = {
            "id": ID,
            "must_read": leb(0),
            "must_write": leb(0),
            "generation": leb(self.generation),
            "offset": leb(len(self.data)),
            "previous": leb(self.footer_at),
            "seed": leb(2026),
            "next_index": leb(max((p.index for p in self.pictures), default=-1) + 1),
            "pixels": leb(sum(p.size[0] * p.size[1] for p in shown)),
            "totals": leb(len(totals)) + b"".join(leb(c) + leb(len(b)) + leb(sum(b)) for c, b in totals),
            "level": leb(self.level),
            "root": place(self.root),
            "runs": leb(len(self.runs)) + b"".join(leb(n) for run in self.runs for n in run),
            "decoders": leb(len(self.decoders)) + b"".join(self.decoders),
            "canaries": leb(0),
            "read": leb(640) + bytes([255, 0, 7]),
            "attachments": leb(len(self.attachments))
            + b"".join(letter + leb(at) + leb(length) for letter, at, length in self.attachments),
        }
        self.footer_at = len(self.data)
        self.data += chunk("F", changed(fields, changes))
        return self.data


def add_runs(file: File, names: Sequence[tuple[str, int]]) -> None:
    """Append a run of one bucket with the first name, and one with a directory with all of them."""

    def bucket(bits: int, number: int, listed: Sequence[tuple[int, int]]) -> Place:
        keys = [hashed >> 32 - bits & 0xFFFFFFFF for hashed, _ in listed]
        head = b"\0" + leb(bits) + leb(number) + leb(len(listed))
        return file.add("l", head + column(keys) + column([index for _, index in listed]))

    hashes = sorted((int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"), n) for name, n in names)
    one = bucket(0, 0, hashes[:1])
    halves = [[each for each in hashes if each[0] >> 63 == number] for number in range(2)]
    places = [bucket(1, number, half) if half else (0, 0, b"") for number, half in enumerate(halves)]
    directory = b"\1" + leb(1) + column([at[0] for at in places]) + column([at[1] for at in places])
    all_of_them = file.add("l", directory)
    file.runs = [(one[0], one[1], 1), (all_of_them[0], all_of_them[1], len(hashes))]
