"""Writes the test vectors of UNI-1 from the text of uni-1.md alone: nothing of the library is imported.

    python format_spec/make_vectors.py [FOLDER]

Everything random, packed, quantised or checked is written a second time here, slowly and plainly, in pure Python.
A change of any committed byte needs a line under "Revisions" in uni-1.md.
"""

import hashlib
import json
import struct
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

SIGNATURE = b"\x89UNI\r\n\x1a\n"
PREAMBLE = SIGNATURE + struct.pack("<HH", 1, 0)
MASK = (1 << 64) - 1
FLOAT32_MAX = 2.0**128 - 2.0**104


# The generator ------------------------------------------------------------------------------------------------------


def words(seed: int, stream: int, count: int) -> list[int]:
    """Philox4x64-10 with key (seed, stream), counter from 1."""
    result: list[int] = []
    for block in range(1, -(-count // 4) + 1):
        a, b, c, d = block, 0, 0, 0
        low, high = seed, stream
        for _ in range(10):
            p, q = 0xD2E7470EE14C6C93 * a, 0xCA5A826395121157 * c
            a, b, c, d = (q >> 64) ^ b ^ low, q & MASK, (p >> 64) ^ d ^ high, p & MASK
            low, high = (low + 0x9E3779B97F4A7C15) & MASK, (high + 0xBB67AE8584CAA73B) & MASK
        result += [a, b, c, d]
    return result[:count]


def normals(seed: int, stream: int, count: int) -> list[float]:
    """Sums of the twelve quarters of three words each."""
    source = words(seed, stream, 3 * count)
    sums = [
        sum(word >> shift & 0xFFFF for word in source[3 * i : 3 * i + 3] for shift in (0, 16, 32, 48))
        for i in range(count)
    ]
    return [(total - 393210) / 65536 for total in sums]


def index_of_position(seed: int, pictures: int) -> list[int]:
    """Rank of each position's key."""
    keys = words(seed, 1 << 32, pictures)
    return [sum((k, p) < (key, position) for p, k in enumerate(keys)) for position, key in enumerate(keys)]


# Bit-packed codes ---------------------------------------------------------------------------------------------------


def pack(codes: Sequence[int], bits: int) -> bytes:
    """Most significant bit first, zero bits at the end."""
    text = "".join(f"{code:0{bits}b}" for code in codes) if bits else ""
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


# Weight codes -------------------------------------------------------------------------------------------------------


def magnitude(code: int, mantissa_bits: int, bias: int) -> Fraction:
    """What a code without its sign stands for."""
    field, fraction = code >> mantissa_bits, Fraction(code & ((1 << mantissa_bits) - 1), 1 << mantissa_bits)
    return (1 + fraction) * Fraction(2) ** (field - bias) if field else fraction * Fraction(2) ** (1 - bias)


def largest_code(exponent_bits: int, mantissa_bits: int, bias: int) -> int:
    """The last code below 2^128."""
    code = (1 << (exponent_bits + mantissa_bits)) - 1
    while magnitude(code, mantissa_bits, bias) >= Fraction(2) ** 128:
        code -= 1 << mantissa_bits
    return code


def nearest_code(value: Fraction, exponent_bits: int, mantissa_bits: int, bias: int) -> int:
    """The code without its sign nearest to a magnitude, of two equally near ones the even."""
    below, above = 0, largest_code(exponent_bits, mantissa_bits, bias)
    if value >= magnitude(above, mantissa_bits, bias):
        return above
    while above - below > 1:
        middle = (below + above) // 2
        if magnitude(middle, mantissa_bits, bias) <= value:
            below = middle
        else:
            above = middle
    left = value - magnitude(below, mantissa_bits, bias)
    right = magnitude(above, mantissa_bits, bias) - value
    return below if left < right or (left == right and below % 2 == 0) else above


def float32_bits(value: float) -> str:
    """Hexadecimal digits of a float32, most significant first."""
    return struct.pack(">f", value).hex()


def weight_format_vectors(exponent_bits: int, mantissa_bits: int, bias: int) -> dict[str, Any]:
    """Codes at every boundary of a format, and float32 values at, between and beyond them."""
    sign = 1 << (exponent_bits + mantissa_bits)
    one = 1 << mantissa_bits
    largest = largest_code(exponent_bits, mantissa_bits, bias)
    codes = sorted({0, 1, 2, one - 1, one, one + 1, 2 * one - 1, 2 * one, largest - one, largest - 1, largest})
    exact = [(code, magnitude(code, mantissa_bits, bias)) for code in codes]
    values = {float(value) for _, value in exact}
    for code, value in exact[:-1]:
        gap = magnitude(code + 1, mantissa_bits, bias) - value
        values |= {float(value + gap * Fraction(n, 4)) for n in (1, 2, 3)}
    values |= {FLOAT32_MAX, 1e-45, 1.0, 0.1}
    # Only what a float32 holds can be asked for.
    asked = sorted(v for v in values if v <= FLOAT32_MAX and struct.unpack("<f", struct.pack("<f", v))[0] == v)
    as_code = {v: nearest_code(Fraction(v), exponent_bits, mantissa_bits, bias) for v in asked}
    return {
        "exponent_bits": exponent_bits,
        "mantissa_bits": mantissa_bits,
        "bias": bias,
        "largest_code": largest,
        "dequantize": [[code, float32_bits(float(value))] for code, value in exact]
        + [[sign | code, float32_bits(-float(value))] for code, value in exact],
        "quantize": [[float32_bits(v), code] for v, code in as_code.items()]
        + [[float32_bits(-v), sign | code] for v, code in as_code.items()],
        "invalid_codes": [code for c in [largest + 1] if c < sign for code in (c, sign - 1, sign | c)],
    }


# The entropy coder --------------------------------------------------------------------------------------------------

Table = tuple[int, ...]  # how many slots each symbol has, 2^14 in all
Step = list[tuple[int, int] | None]  # of each lane the number of a table and a symbol, or nothing


def rans_encode(tables: Sequence[Table], steps: Sequence[Step], lanes: int, *, short: bool = False) -> bytes:
    """States, then the 16-bit words in the order in which a reader wants them."""
    states = [255 if short else 1 << 16] * lanes
    last_to_first: list[int] = []
    lifted = not short
    for step in reversed(steps):
        slots = [1 << 14 if coded is None else tables[coded[0]][coded[1]] for coded in step]
        if not lifted and any(state + 65536 >= f << 18 for state, f in zip(states, slots, strict=True)):
            lifted, states = True, [state + 65536 for state in states]
        for lane, coded in reversed(list(enumerate(step))):
            if coded is None:
                continue
            table, symbol = tables[coded[0]], coded[1]
            if states[lane] >= table[symbol] << 18:
                last_to_first.append(states[lane] & 0xFFFF)
                states[lane] >>= 16
            quotient, remainder = divmod(states[lane], table[symbol])
            states[lane] = (quotient << 14) + sum(table[:symbol]) + remainder
    head, tail = struct.pack(f"<{lanes}I", *states), struct.pack(f"<{len(last_to_first)}H", *reversed(last_to_first))
    if short:
        head = head.rstrip(b"\0") if not tail else head[:-1] if head.endswith(b"\0") else head
    return head + tail


def rans_decode(
    tables: Sequence[Table], steps: Sequence[Step], lanes: int, stream: bytes, *, short: bool = False
) -> list[Step]:
    """The steps again; only which table each lane has is taken from those given."""
    if short:
        end = 4 * lanes - len(stream) % 2 if len(stream) > 4 * lanes else len(stream)
        stream = stream[:end] + bytes(4 * lanes - end) + stream[end:]
    states = list(struct.unpack_from(f"<{lanes}I", stream))
    tail = list(struct.unpack(f"<{len(stream) // 2 - 2 * lanes}H", stream[4 * lanes :]))
    lifted = bool(tail) or not short
    found: list[Step] = [[None] * lanes for _ in steps]
    for step, result in zip(steps, found, strict=True):
        for lane, coded in enumerate(step):
            if coded is None:
                continue
            table, slot = tables[coded[0]], states[lane] & 0x3FFF
            symbol = next(s for s in range(len(table)) if slot < sum(table[: s + 1]))
            result[lane] = (coded[0], symbol)
            states[lane] = table[symbol] * (states[lane] >> 14) + slot - sum(table[:symbol])
            if lifted and states[lane] < 1 << 16:
                states[lane] = states[lane] << 16 | tail.pop(0)
        if short and lifted and not tail:
            lifted, states = False, [state - 65536 for state in states]
    assert (tail, states) == ([], [255 if short else 1 << 16] * lanes)
    return found


# Integer weights ----------------------------------------------------------------------------------------------------

DECAYS = (
    (189236, 386272, 703845, 1165739),
    (1781813, 2545695, 3436358, 4422426),
    (5467528, 6535264, 7592926, 8613710),
    (9577572, 10471081, 11286636, 12021401),
    (12676159, 13254267, 13760753, 14201607),
)


def integer_table(decay: int) -> Table:
    """The 50 frequencies that belong to one number of the table."""
    powers = [decay]
    for _ in range(24):
        powers.append(powers[-1] * (decay * decay >> 24) >> 24)
    tails = [16334 * power // ((1 << 24) + power) for power in powers]
    side = [1 + tails[i] - tails[i + 1] for i in range(24)]
    return (*side[::-1], 16335 - 2 * tails[0], *side, 1 + 2 * tails[24])


INTEGER_TABLES: list[Table] = [integer_table(decay) for row in DECAYS for decay in row]
PLAIN_TABLES: list[Table] = [(1 << (14 - bits),) * (1 << bits) for bits in range(13)]
ALL_TABLES = INTEGER_TABLES + PLAIN_TABLES


def integer_symbols(value: int, of_class: int) -> list[tuple[int, int] | None]:
    """Table and symbol of a value, of its two bytes if it is far, and of its low bits if there are any."""
    bits = of_class // 4 - 4 if of_class >= 20 else 0
    number = of_class if of_class < 20 else 16 + of_class % 4
    shifted = value + (1 << bits) // 2
    if abs(shifted >> bits) > 24:
        return [(number, 49), (28, value >> 8 & 255), (28, value & 255), None]
    return [(number, (shifted >> bits) + 24), None, None, (20 + bits, shifted % (1 << bits)) if bits else None]


def integer_part(coded: Sequence[tuple[int, int]], lanes: int) -> list[Step]:
    """Steps of a part's values, each with its class."""
    steps: list[Step] = []
    for first in range(0, len(coded), lanes):
        columns = [integer_symbols(*each) for each in coded[first : first + lanes]]
        columns += [[None] * 4] * (lanes - len(columns))
        steps += [list(step) for step in zip(*columns, strict=True) if any(step)]
    return steps


def integer_stream(
    rows: Sequence[Sequence[int]],
    steps: Sequence[int],
    classes: Sequence[int],
    of_steps: int = 12,
    of_classes: int = 9,
) -> bytes:
    """All that follows the count in a WGHT of format 1."""
    lanes = -(-sum(map(len, rows)) // 4096)
    changes = [
        [(b - a, of_class) for a, b in zip([first, *numbers], numbers, strict=False)]
        for first, numbers, of_class in ((160, steps, of_steps), (17, classes, of_classes))
    ]
    held = [min(max(of_class, 0), 67) for of_class in classes]  # a class that does not exist has no table
    values = [(value, of_class) for row, of_class in zip(rows, held, strict=True) for value in row]
    parts = [step for part in (*changes, values) for step in integer_part(part, lanes)]
    return bytes([of_steps, of_classes]) + rans_encode(ALL_TABLES, parts, lanes)


def step_size(number: int) -> Fraction:
    """A row's step."""
    significand = (256, 279, 304, 332, 362, 395, 431, 470)[number % 8]
    return Fraction(significand, 256) * Fraction(2) ** (number // 8 - 24)


# Files --------------------------------------------------------------------------------------------------------------

ID = b"vectors\0"
SALT = zlib.crc32(ID)
MAX_ROWS = 1024
Place = tuple[int, int, bytes]  # offset and length of a chunk, digest of its payload


def leb(number: int, pad: int = 0) -> bytes:
    """LEB128; with some needless bytes if wanted."""
    found = bytearray()
    while number >= 128 or pad:
        pad -= number < 128
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def tagged(tag: int, *numbers: int, data: bytes = b"") -> bytes:
    """A field of a record's extras."""
    content = b"".join(map(leb, numbers)) + data
    return bytes([tag]) + leb(len(content)) + content


def column(numbers: Sequence[int], bits: int | None = None, lowest: int | None = None) -> bytes:
    """A column, as narrow as it can be unless something else is wanted."""
    lowest = min(numbers) if lowest is None else lowest
    bits = (max(numbers) - lowest).bit_length() if bits is None else bits
    return bytes([bits]) + leb(lowest) + pack([n - lowest for n in numbers], bits)


def stored(raw: bytes) -> bytes:
    """Packed bytes as they are."""
    return leb(2 * len(raw)) + raw


def zeros_frame(count: int) -> bytes:
    """A zstd frame of one run-length block: ``count`` zero bytes, 256 to 65791."""
    return b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", count - 256) + (count << 3 | 3).to_bytes(3, "little") + b"\0"


def zstd(raw_length: int, frame: bytes) -> bytes:
    """Packed bytes as a zstd frame."""
    return leb(2 * raw_length + 1) + frame


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
DENO_FIELDS: dict[str, tuple[str, Any]] = {
    "steps": ("<B", 4),
    "latent_std": ("<d", 1 / 3),
    "means": ("<d", 0.25),
    "stds": ("<d", 1.5),
    "hidden_size": ("<H", 4),
    "depth": ("<B", 1),
    "heads": ("<B", 1),
    "patch_size": ("<B", 1),
    "condition": ("<B", 0),
    "index_embedding": ("<B", 0),
    "index_tokens": ("<B", 1),
    "bandwidth": ("<d", 0.5),
    "prediction": ("<B", 0),
}
WEIGHTS = 268  # of one block 4 wide, one channel, patches of one latent position
CONDITIONS = {"cag": (0, 268), "icc": (1, 200), "ca": (2, 264), "alnz": (3, 296)}
EMBEDDINGS = {"grf": (0, 0), "edf": (1, 48), "let": (2, 24), "mlp": (3, 40)}
"""Id and number of weights: conditions with embedding grf, embeddings on top of that, with two index tokens."""


def changed(fields: Mapping[str, bytes], changes: Mapping[str, bytes]) -> bytes:
    """Fields one after the other, at their usual values where nothing else is asked for."""
    assert set(changes) <= set(fields), set(changes) - set(fields)
    return b"".join(changes.get(name, usual) for name, usual in fields.items())


HEAD_FIELDS = leb(2026) + leb(3) + leb(0)
FORM = (4, 3, 7)


def network(weights: bytes, head: bytes = HEAD_FIELDS, **changes: Any) -> bytes:
    """The payload of a network's W."""
    fields = {name: struct.pack(layout, changes.get(name, usual)) for name, (layout, usual) in DENO_FIELDS.items()}
    return b"\0" + head + b"".join(fields.values()) + weights


def floats(packed: bytes, form: tuple[int, int, int, int] = (0, 4, 3, 7), count: int = WEIGHTS) -> bytes:
    """Weights of format 0."""
    return struct.pack("<BBBhQ", *form, count) + packed


def integers(stream: bytes, count: int = WEIGHTS) -> bytes:
    """Weights of format 1."""
    return struct.pack("<BQ", 1, count) + stream


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

    def records(self, pictures: Sequence[Picture], damage: int | None = None) -> None:
        """Append a chunk of records; the CRC of one of them is wrong if wanted."""
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
            near = picture.index - before <= 128
            distance = picture.index - first.index
            head = leb(2 * len(picture.code) + bool(picture.extras)) + leb(distance % 128 if near else distance + 128)
            head += leb(len(picture.extras)) + picture.extras if picture.extras else b""
            known = struct.pack("<QIII", picture.index, *picture.size, picture.decoder)
            crc = zlib.crc32(head + picture.code, zlib.crc32(known, SALT)) ^ (picture.index == damage)
            payload += head + picture.code + struct.pack("<I", crc)
            picture.length, previous = len(payload) - picture.offset, picture.index
        header = chunk_head("P", len(payload), SALT, prefix)
        for picture in coded:
            picture.offset += len(self.data) + len(header)
        self.data += header + payload

    def leaf(self, first: int = 0, names: bytes | None = None, /, **changes: bytes) -> Place:
        """Append a leaf, behind its names if any picture has one."""
        rows = {p.index - first: p for p in self.pictures if 0 <= p.index - first < MAX_ROWS}
        count = max(rows) + 1
        listed = [rows[n].name or "" if n in rows else "" for n in range(count)]
        where = None
        if any(listed) or names is not None:
            usual = leb(first) + leb(count) + stored("\n".join(listed).encode())
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


def three(**changes: Any) -> list[Picture]:
    """Three pictures of codes, with names."""
    names = ("b/c.jpg", "é.webp", "a.png")
    sizes = ((8, 16), (24, 8), (24, 8))
    codes = (b"codes", b"\0", b"\x7ff\xff\n")
    return [Picture(n, codes[n], sizes[n], names[n], **changes) for n in range(3)]


def usual(
    pictures: list[Picture] | None = None,
    *,
    decoder: dict[str, bytes] | None = None,
    weights: bytes | None = None,
    damage: int | None = None,
    names: bytes | None = None,
    leaf: dict[str, bytes] | None = None,
    footer: dict[str, bytes] | None = None,
) -> bytes:
    """A file of one generation and one page, with what is to be wrong in it."""
    file = File()
    file.decoder(weights, **(decoder or {}))
    file.records(three() if pictures is None else pictures, damage)
    file.root = file.leaf(0, names, **(leaf or {}))
    return file.footer(**(footer or {}))


def of_network(payload: bytes, **footer: bytes) -> bytes:
    """A file whose pictures a network holds."""
    pictures = three(codec=5)
    return usual(pictures, weights=payload, decoder={"kind": b"\1"}, footer=footer)


def canary(index: int = 1, sums: Sequence[int] = tuple(range(0, 4081, 272))) -> bytes:
    """A canary as it stands in the footer."""
    return leb(index) + struct.pack(f"<{len(sums)}H", *sums)


CODES = [(7 * i + 3) % 256 for i in range(WEIGHTS)]
FLOATS = floats(stored(bytes(CODES)))
NETWORK = network(FLOATS)
USUAL = usual()
BOMB = 20_000
SUMS = list(range(0, 4081, 272))


def expected(pictures: Sequence[Picture] | None = None, **values: Any) -> dict[str, Any]:
    """What a reader must find in a valid file."""
    pictures = three() if pictures is None else pictures
    listed = [
        {
            "index": p.index,
            "size": list(p.size),
            "codec": p.codec,
            "decoder": p.decoder,
            "parent": p.parent,
            "psnr": p.psnr,
            "name": p.name,
            "code": None if p.codec == 5 else p.code.hex(),
        }
        for p in pictures
        if p.codec not in (0, 8)
    ]
    usual_values = {"generation": 1, "pictures": listed, "network": None, "canaries": [], "change": None}
    usual_values |= {"blobs": [], "times": []}
    return usual_values | values


def network_values(weight_codes: Sequence[int], form: tuple[int, int, int] = FORM, **named: str) -> dict[str, Any]:
    """What a reader must find of a network with these weight codes."""
    exponent_bits, mantissa_bits, bias = form
    sign = 1 << (exponent_bits + mantissa_bits)
    values = [float(magnitude(c & (sign - 1), mantissa_bits, bias)) * (-1 if c & sign else 1) for c in weight_codes]
    return of_weights(values, **named)


def of_weights(values: Sequence[float], **named: str) -> dict[str, Any]:
    """What a reader must find of a network with these weights."""
    kind = {"condition": "cag", "index_embedding": "grf", "prediction": "x0"} | named
    return {
        "steps": 4,
        "seed": 2026,
        "pictures": 3,
        "first": 0,
        **kind,
        "weights_sha256": hashlib.sha256(struct.pack(f"<{len(values)}f", *values)).hexdigest(),
        "first_weights": [float32_bits(f) for f in values[:4]],
    }


def integer_values(rows: Sequence[Sequence[int]], steps: Sequence[int]) -> dict[str, Any]:
    """Weights of format 1."""
    exact = [value * step_size(step) for row, step in zip(rows, steps, strict=True) for value in row]
    values = [float(value) for value in exact]
    packed = struct.pack(f"<{len(values)}f", *values)
    assert [Fraction(value) for value in struct.unpack(f"<{len(values)}f", packed)] == exact
    return of_weights(values)


def canary_values(index: int, pixels: Sequence[Sequence[Sequence[int]]]) -> dict[str, Any]:
    """The canary of a picture of rows of (red, green, blue)."""
    height, width = len(pixels), len(pixels[0])
    sums = []
    for k in range(16):
        top, left = (2 * (k // 4) + 1) * height // 8 - 2, (2 * (k % 4) + 1) * width // 8 - 2
        rows = [min(max(row, 0), height - 1) for row in range(top, top + 4)]
        columns = [min(max(column, 0), width - 1) for column in range(left, left + 4)]
        sums.append(sum(pixels[row][column][k % 3] for row in rows for column in columns))
    return {"pixels": pixels, "hex": canary(index, sums).hex(), "index": index, "sums": sums}


def row_lengths(size: int) -> list[int]:
    """Columns of each row of a network of one block, one channel and patches of one latent position."""
    return [1] * size + [size] * (1 + 4 * size) + [4 * size] * size + [size] * (1 + 8 * size)


def integer_rows(size: int, spread: int) -> list[list[int]]:
    """Rows of integers of either sign, some of them far from the others."""
    lengths = row_lengths(size)
    return [
        [(-1) ** (i * j) * ((i * i + 7 * j * j + i * j) % (spread << i % 5)) for j in range(length)]
        for i, length in enumerate(lengths)
    ]


ROWS = integer_rows(4, 3)
STEPS = [130 + 3 * i % 7 for i in range(len(ROWS))]
CLASSES = [10 + 3 * (i % 5) for i in range(len(ROWS))]
STREAM = integer_stream(ROWS, STEPS, CLASSES)
# Every shift, far values, the largest ones, and steps and classes at both ends of what there is.
WIDE_ROWS = integer_rows(16, 9)
WIDE_ROWS[20] = [32767, -32767, 0, 1, -1, 24, -24, 25, -25, 12287, -12288, 4096, -4096, 5, -7, 300]
WIDE_ROWS[40:53] = [[(-1) ** j * ((j << i) % 32768) for j in range(16)] for i in range(13)]
WIDE_STEPS = [i % 2 * 255 for i in range(len(WIDE_ROWS))]
WIDE_CLASSES = [12 + 3 * (i % 5) for i in range(len(WIDE_ROWS))]
WIDE_CLASSES[19:22] = [0, 67, 0]
WIDE_CLASSES[40:53] = [17 + 4 * i for i in range(13)]

FLOAT32_CODES = [struct.unpack("<I", struct.pack("<f", (i - 134) / 7))[0] for i in range(WEIGHTS)]

# A JPEG file of 8x8 gray pixels and what it was transcoded to; a PNG file of 4x4 and its samples as JPEG XL.
JPEG_FILE = bytes.fromhex(
    "ffd8ffe000104a46494600010100000100010000ffdb004300100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d"
    "3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc0000b080008000801011100ffc400140001"
    "00000000000000000000000000000005ffc40018100002030000000000000000000000000000030662a1ffda0008010100003f003951"
    "ba61ffd9"
)
JPEG_AS_JPEG_XL = bytes.fromhex(
    "0000000c4a584c200d0a870a00000014667479706a786c20000000006a786c20000000136a786c7000000000ff0a414050dc08000000"
    "3d6a627264c10d20082d030200848008000000a0fe4f100a000000e03c6cd0ff017e0000000b0880e000104a46494600010100000100"
    "01000003000000f16a786c7080000001e05b0010007803087808780878feff0e0000180008000100000000008080258963c4dda487a8"
    "ea1a830b10fc0a040a242928284c43566c0c8e36c6c622b4c3c69ac3b0ca0d00900b66bc861c0ec8059d0062b25cfd0160585dfd27f7"
    "c18e782a9c8da7bf2491ca6c5cc6c46a904a7921a4e04946f929a69780a70da1882595802ad5ff95d700b48435770cb9af92510d0a2e"
    "e3691158a08b1047f064233015459101db1a650cae4a1cd50427ca57b41a287a398cc02789b82652a3f195041c5041f8280c52279a8a"
    "bbe780ce81cf08562900000000008092444264dea27000e0fd3b0c2000"
)
JPEG_AS_LEPTON = bytes.fromhex(
    "cf84015a010000004d53c5000000833a00000000a6000000ae000000789c554ebd0a826000bc2f2b224d3e2b4482a6081c0b072dfa91"
    "32b3a030171721b0c296a0b67a99a03769e825aaa537f9fa1cbd5b8ee3ee38cf09ee00d80f74e92e5c1002104eb02fa6a0a2244b652a"
    "57e4aa426b9aded05455ebb6da4dbd6f0c073dc3326d2f5adb4e38332dffb409b771724c46abcbedbcbf468764c79e104be02444017b"
    "a19e2e6750e0ae469113b2b6508c1fec93f68031fc8ec33c8fcb7c26340f26b9f4fbfb0f99f02311434d500007000078bfc2ed17e4a0"
    "dc000000"
)
PNG_FILE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000004000000040802000000269309290000000949444154789c63606066e3e4e1e10a7d6f"
    "00000030494441541712959096536464e7e21510169394915752d560e21314119792555056d3d4d16700cbaba86be91a189b01006827"
    "0514ce75a98a0000000049454e44ae426082"
)
PNG_SAMPLES = bytes.fromhex(
    "ff0a1810100908040100d0004b188b150a1d82d321633d47e305020250464321b069160fe025e10305cc8ae9e4c2798fe0a000816874"
    "c9bde02026c3e31fef00"
)
PNG_ROWS = bytes(v for y in range(4) for v in (y % 3, *((7 * y + 3 * i) % 256 for i in range(12))))

Valid = tuple[str, str, bytes, dict[str, Any]]  # name, clause, bytes, expected values
Invalid = tuple[str, str, str, bytes]  # name, clause, error, bytes


def valid_files() -> list[Valid]:
    """Files that every reader opens."""
    wide = integer_stream(WIDE_ROWS, WIDE_STEPS, WIDE_CLASSES, 38, 30)
    float32 = floats(stored(pack(FLOAT32_CODES, 32)), (0, 8, 23, 127))
    nameless = [Picture(p.index, p.code, p.size) for p in three()]
    measured = [replace(p, psnr=psnr) for p, psnr in zip(three(), (0, 1, 2419), strict=True)]
    held = three(codec=5)
    change = b"\1\x10rows"
    long_codes = {"level": b"\5"}
    listed: list[Valid] = [
        ("codes", "UNI-41", USUAL, expected()),
        ("codes-without-names", "UNI-60", usual(nameless), expected(nameless)),
        ("codes-that-are-long", "UNI-57", usual(decoder=long_codes), expected()),
        ("psnrs", "UNI-64", usual(measured), expected(measured)),
        ("canary", "UNI-94", usual(footer={"canaries": leb(1) + canary()}), expected(canaries=[[1, SUMS]])),
        ("change-of-the-decoder", "UNI-96", usual(weights=change), expected(change="10726f7773")),
        ("network", "UNI-118", of_network(NETWORK), expected(held, network=network_values(CODES))),
        (
            "weights-compressed",
            "UNI-23",
            of_network(network(floats(zstd(WEIGHTS, zeros_frame(WEIGHTS))))),
            expected(held, network=network_values([0] * WEIGHTS)),
        ),
        (
            "weights-32-bits",
            "UNI-55",
            of_network(network(float32)),
            expected(held, network=network_values(FLOAT32_CODES, (8, 23, 127))),
        ),
        (
            "weights-integer",
            "UNI-105",
            of_network(network(integers(STREAM))),
            expected(held, network=integer_values(ROWS, STEPS)),
        ),
        (
            "weights-integer-of-two-lanes",
            "UNI-106",
            of_network(network(integers(wide, sum(row_lengths(16))), hidden_size=16)),
            expected(held, network=integer_values(WIDE_ROWS, WIDE_STEPS)),
        ),
        *networks(),
        *rich_records(),
        *grown_files(),
        *whole_files(),
    ]
    return listed


def networks() -> list[Valid]:
    """A file of each condition, each index embedding and each prediction that the others do not have."""
    kinds: list[tuple[dict[str, str], dict[str, int], int]] = [({"prediction": "noise"}, {"prediction": 1}, WEIGHTS)]
    for name, (number, count) in CONDITIONS.items():
        if number:
            kinds.append(({"condition": name}, {"condition": number}, count))
    for name, (number, count) in EMBEDDINGS.items():
        if number:
            change = {"index_embedding": number, "index_tokens": 2}
            kinds.append(({"index_embedding": name}, change, WEIGHTS + count))
    # Both at once, so that the order of condition and embedding shows.
    both = {"condition": "alnz", "index_embedding": "let"}
    kinds.append((both, {"condition": 3, "index_embedding": 2}, 296 + 12))
    listed = []
    for named, change, count in kinds:
        codes = [(7 * i + 3) % 256 for i in range(count)]
        data = of_network(network(floats(stored(bytes(codes)), count=count), HEAD_FIELDS, **change))
        values = expected(three(codec=5), network=network_values(codes, FORM, **named))
        listed.append((f"network-{'-'.join(named.values())}", "UNI-54", data, values))
    return listed


def rich_records() -> list[Valid]:
    """Files whose records have extras, gaps between their indices, or pictures that they depend on."""
    unknown = [Picture(0, name="a", extras=tagged(127, data=b"?"))]
    named = [Picture(0, name="a", extras=tagged(3, data=b"a"))]
    far = [Picture(n, name=f"{n}") for n in (3, 130, 131, 260, 1000)]
    parts = [Picture(0, b"\x01codex", extras=tagged(5, 0, 5, 9, 1))]
    tiles = [Picture(0, b"\x01a\x01b", (32768, 16384), extras=tagged(5, 0, 2, 0, 2))]
    film = [
        Picture(0, b"\xff\2first", codec=4),
        Picture(1, b"\xff\3\0later", codec=4, parent=0),
        Picture(2, b"\xff\3\0fork", codec=4, parent=0),
        Picture(3, b"\xff\0avif", codec=3),
        Picture(4, b"\x81half", codec=2),
    ]
    two = File()
    two.decoder()
    two.decoder(level=b"\x80", latent_step=struct.pack("<d", 4.0))
    mixed = [Picture(0, decoder=1), Picture(1, extras=tagged(2, 0)), Picture(2, decoder=1)]
    two.records(mixed)
    two.root = two.leaf()
    blobs = File()
    blobs.decoder()
    at = blobs.add("m", leb(2) + leb(3) + leb(4) + stored(b"onetwo2"))
    blobs.records([Picture(0, extras=tagged(4, 2, at[0], at[1], 1))])
    blobs.root = blobs.leaf()
    times = [1_600_000_000 << 1, 9]  # the second is five seconds before 1970
    timed = [Picture(n, extras=tagged(6, number)) for n, number in enumerate(times)]
    strangers = File()
    strangers.add("Q", b"a chunk of a later text")
    strangers.decoder()
    strangers.records(three())
    strangers.add("q", b"")
    strangers.root = strangers.leaf()
    whole = expected(parts) | {"pictures": [expected(parts)["pictures"][0] | {"code": b"\x01code".hex()}]}
    tiled = expected(tiles) | {"pictures": [expected(tiles)["pictures"][0] | {"code": "InvalidField"}]}
    run = [replace(p) for p in three()]
    file = File()
    file.decoder()
    file.records(run)
    start = {"kind": b"\1", "offsets": leb(run[0].offset)}
    file.root = file.leaf(0, None, **start)
    return [
        ("record-with-an-unknown-field", "UNI-42", usual(unknown), expected(unknown)),
        ("record-with-its-name", "UNI-42", usual(named), expected(named)),
        ("records-far-apart", "UNI-45", usual(far), expected(far)),
        ("record-of-two-parts", "UNI-43", usual(parts), whole),
        ("record-of-two-tiles", "UNI-43", usual(tiles), tiled),
        ("sequence-that-forks", "UNI-108", usual(film), expected(film)),
        ("two-decoders", "UNI-58", two.footer(), expected(mixed)),
        ("metadata", "UNI-114", blobs.footer(), expected(blobs.pictures, blobs=[[0, 2, b"two2".hex()]])),
        ("records-with-times", "UNI-125", usual(timed), expected(timed, times=[[0, 1_600_000_000], [1, -5]])),
        ("unknown-chunks", "UNI-12", strangers.footer(), expected()),
        ("records-in-a-run", "UNI-59", file.footer(), expected()),
    ]


def grown_files() -> list[Valid]:
    """Files of several generations, pages and runs."""
    grown = File()
    grown.decoder()
    grown.records(three())
    grown.root = grown.leaf()
    grown.footer()
    first = grown.data
    grown.records(
        [Picture(3, b"\xff\2new", codec=4, name="new"), Picture(4, b"\xff\3\3x", codec=4, parent=3, name="x")]
    )
    grown.root = grown.leaf()
    second = grown.footer()
    after = [replace(p) for p in grown.pictures]
    grown.pictures[1] = replace(grown.pictures[1], codec=0, name=None)
    grown.pictures[3] = replace(grown.pictures[3], codec=8, name=None)
    at = grown.add("t", leb(2) + leb(1) + leb(2))
    grown.attachments.append((b"t", at[0], at[1]))
    left = [p for p in grown.pictures if p.codec]
    grown.pictures = left
    grown.root = grown.leaf()
    third = grown.footer()
    high = File()
    high.decoder()
    high.records([Picture(0, name="low"), Picture(1030, name="high")])
    pages = [high.leaf(0), high.leaf(1024)]
    high.level, high.root = 1, high.inner(1, 0, pages)
    add_runs(high, [("low", 0), ("high", 1030)])
    empty = File()
    empty.decoder()
    return [
        ("second-generation", "UNI-121", second, expected(after, generation=2)),
        ("removed-pictures", "UNI-123", third, expected(left, generation=3)),
        ("unfinished-generation", "UNI-14", first + second[len(first) : -9], expected(unfinished=True)),
        ("pages-of-two-levels", "UNI-67", high.footer(), expected(high.pictures)),
        ("no-pictures", "UNI-69", empty.footer(), expected([])),
    ]


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


def flipped(data: bytes, at: int) -> bytes:
    """One bit of a byte turned over."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def framing_errors() -> list[Invalid]:
    """Files whose preamble, chunks or places are wrong."""
    rest = USUAL[12:]
    inside = File()
    inside.decoder()
    inside.records(three())
    where = inside.leaf()
    root = where[0]
    short, long = (place((root, where[1] + n, where[2])) for n in (-1, 1))
    head = inside.data
    footer_at = USUAL.rindex(b"\xf5UNF")

    def rooted(data: bytes) -> bytes:
        return File(data, inside.pictures, inside.decoders, where).footer()

    moved = PREAMBLE + chunk("q", b"", SALT) + USUAL[12:]
    return [
        ("empty", "UNI-01", "NotUniFile", b""),
        ("signature-of-a-text-transfer", "UNI-01", "NotUniFile", USUAL.replace(b"\r\n", b"\n")),
        ("preamble-cut", "UNI-04", "TruncatedFile", PREAMBLE[:10]),
        ("version-0", "UNI-02", "UnsupportedVersion", SIGNATURE + b"\0\0\0\0" + rest),
        ("version-2", "UNI-02", "UnsupportedVersion", SIGNATURE + b"\2\0\0\0" + rest),
        ("preamble-reserved", "UNI-03", "InvalidField", SIGNATURE + b"\1\0\1\0" + rest),
        ("no-footer", "UNI-04", "TruncatedFile", USUAL[:footer_at]),
        ("footer-cut", "UNI-04", "TruncatedFile", USUAL[:-1]),
        ("footer-damaged", "UNI-07", "ChecksumMismatch", flipped(USUAL, len(USUAL) - 1)),
        ("footer-header-damaged", "UNI-06", "ChecksumMismatch", flipped(USUAL, footer_at + 6)),
        ("footer-moved", "UNI-13", "InvalidField", moved),
        ("page-damaged", "UNI-07", "ChecksumMismatch", rooted(flipped(head, root + 12))),
        ("page-header-damaged", "UNI-06", "ChecksumMismatch", rooted(flipped(head, root + 6))),
        ("page-of-another-digest", "UNI-10", "ChecksumMismatch", usual(footer={"root": place((*where[:2], bytes(8)))})),
        ("page-without-a-tag", "UNI-05", "InvalidField", rooted(head[:root] + b"\xf5UM" + head[root + 3 :])),
        ("page-with-a-digit", "UNI-05", "InvalidField", rooted(head[:root] + b"\xf5UN1" + head[root + 4 :])),
        ("page-cut-by-its-place", "UNI-09", "InvalidField", usual(footer={"root": short})),
        ("page-longer-than-its-chunk", "UNI-09", "InvalidField", usual(footer={"root": long})),
        ("page-beyond-the-end", "UNI-09", "InvalidField", usual(footer={"root": place((1 << 40, 9, bytes(8)))})),
        ("page-that-is-a-head", "UNI-09", "InvalidField", usual(footer={"root": place((12, 20, bytes(8)))})),
        ("page-too-large", "UNI-15", "InvalidField", usual(footer={"root": place((12, 1 << 21, bytes(8)))})),
        (
            "page-of-another-archive",
            "UNI-06",
            "ChecksumMismatch",
            rooted(head[:root] + chunk("I", head[root + 9 : -4], 7)),
        ),
        ("page-too-short", "UNI-16", "InvalidField", usual(leaf={"psnrs": b"\0"})),
        ("page-too-long", "UNI-16", "InvalidField", usual(leaf={"psnrs": b"\0\0\0"})),
        ("number-longer-than-needed", "UNI-08", "InvalidField", usual(footer={"pixels": leb(512, 1)})),
        ("number-of-65-bits", "UNI-08", "InvalidField", usual(footer={"pixels": b"\xff" * 9 + b"\x02"})),
        ("number-of-11-bytes", "UNI-08", "InvalidField", usual(footer={"pixels": b"\x80" * 10 + b"\x01"})),
        ("unknown-feature", "UNI-11", "UnsupportedVersion", usual(footer={"must_read": leb(1)})),
        ("column-of-57-bits", "UNI-28", "InvalidField", usual(leaf={"psnrs": b"\x39\0" + bytes(22)})),
        ("column-over-its-limit", "UNI-28", "InvalidField", usual(leaf={"decoders": column([0, 64, 0])})),
        ("column-without-its-lowest", "UNI-29", "InvalidField", usual(leaf={"psnrs": column([1, 1, 1], 1, 0)})),
        ("column-wider-than-needed", "UNI-29", "InvalidField", usual(leaf={"psnrs": column([0, 1, 0], 2)})),
        ("column-with-bits-behind-it", "UNI-26", "InvalidField", usual(leaf={"psnrs": b"\1\0\x41"})),
    ]


def decoder_errors() -> list[Invalid]:
    """Files whose decoder holds a value that is not allowed."""
    cases: list[tuple[str, str, dict[str, bytes]]] = [
        ("string-not-utf-8", "UNI-17", {"name": b"\1\xff"}),
        ("string-with-a-control-character", "UNI-17", {"name": b"\4\x1b[2J"}),
        ("decoder-of-kind-2", "UNI-30", {"kind": b"\2"}),
        ("network-without-weights", "UNI-30", {"kind": b"\1"}),
        ("latent-step-not-a-number", "UNI-31", {"latent_step": struct.pack("<d", float("nan"))}),
        ("latent-step-zero", "UNI-31", {"latent_step": bytes(8)}),
        ("no-channels", "UNI-32", {"latent_channels": b"\0"}),
        ("downsampling-3", "UNI-32", {"downsampling": b"\3"}),
        ("class-written-out", "UNI-33", {"class_name": b"\x11CodingAutoencoder"}),
        ("level-20", "UNI-57", {"level": b"\x14"}),
        ("codes-of-127-channels", "UNI-90", {"latent_channels": leb(127)}),
    ]
    return [(name, clause, "InvalidField", usual(decoder=change)) for name, clause, change in cases]


def record_errors() -> list[Invalid]:
    """Files with a record that is wrong; the others come back."""

    def with_extras(extras: bytes, code: bytes = b"\x01code") -> bytes:
        return usual([Picture(0, code, extras=extras), Picture(1, b"\x01good")])

    pair = [Picture(0), Picture(1)]
    longer, other = [replace(p) for p in pair], File()
    other.decoder()
    other.records(longer)
    longer[0].length += 1
    other.root = other.leaf()
    kinds = [Picture(0, b"\xff\0avif"), Picture(1)]
    parents = [Picture(0, b"\xff\2first", codec=4), Picture(1, b"\xff\3\0later", codec=4)]
    missing = [Picture(0, b"\xff\3\5later", codec=4, parent=5)]
    sized = [Picture(0, b"\xff\2first", (8, 8), codec=4), Picture(1, b"\xff\3\0later", (16, 8), codec=4, parent=0)]
    of_latents = [Picture(0), Picture(1, b"\xff\3\0later", codec=4, parent=0)]
    circle = [
        Picture(0, b"\xff\3\1later", codec=4, parent=1),
        Picture(1, b"\xff\3\0later", codec=4, parent=0),
    ]
    chain = [Picture(0, b"\xff\2first", codec=4)]
    chain += [Picture(n, b"\xff\3" + leb(n - 1) + b"x", codec=4, parent=n - 1) for n in range(1, 65)]
    blob = File()
    blob.decoder()
    at = blob.add("m", leb(1) + leb(3) + stored(b"one"))
    blob.records([Picture(0, extras=tagged(4, 2, at[0], at[1], 1))])
    blob.root = blob.leaf()
    return [
        ("record-damaged", "UNI-41", "ChecksumMismatch", usual(damage=1)),
        ("record-of-another-size", "UNI-41", "ChecksumMismatch", usual(leaf={"numbers": column([1, 0, 0])})),
        ("record-with-fields-in-disorder", "UNI-42", "InvalidField", with_extras(tagged(3, data=b"a") + tagged(2, 0))),
        ("record-with-an-unknown-field", "UNI-42", "InvalidField", with_extras(tagged(128))),
        ("record-with-a-field-too-long", "UNI-42", "InvalidField", with_extras(tagged(2, 0, 0))),
        ("record-with-a-field-beyond-it", "UNI-42", "InvalidField", with_extras(b"\3\x7fa")),
        ("record-with-parts-too-short", "UNI-43", "InvalidField", with_extras(tagged(5, 0, 4))),
        ("record-with-parts-too-long", "UNI-43", "InvalidField", with_extras(tagged(5, 0, 6))),
        ("record-with-an-empty-part", "UNI-43", "InvalidField", with_extras(tagged(5, 0, 5, 1, 0))),
        ("record-without-a-code", "UNI-43", "InvalidField", usual([Picture(0, b"")])),
        ("record-longer-than-its-row-says", "UNI-44", "InvalidField", other.footer()),
        ("record-of-another-codec", "UNI-46", "InvalidField", usual(kinds)),
        ("record-of-another-parent", "UNI-46", "InvalidField", usual(parents)),
        ("record-with-long-extras", "UNI-120", "InvalidField", with_extras(tagged(9, data=bytes(65536)))),
        ("record-of-a-far-time", "UNI-125", "InvalidField", with_extras(tagged(6, 1 << 41))),
        ("record-with-a-bad-name", "UNI-62", "InvalidField", with_extras(tagged(3, data=b"a\n"))),
        ("blob-beyond-the-last", "UNI-114", "InvalidField", blob.footer()),
        ("parent-that-is-not-there", "UNI-108", "InvalidField", usual(missing)),
        ("parent-of-another-size", "UNI-108", "InvalidField", usual(sized)),
        ("parent-of-latents", "UNI-108", "InvalidField", usual(of_latents)),
        ("sequence-in-a-circle", "UNI-108", "InvalidField", usual(circle)),
        ("sequence-of-65-pictures", "UNI-108", "InvalidField", usual(chain)),
    ]


PIECE = 1 << 23
PLAIN, PIECES, JPEG_XL, LEPTON, PNG = range(5)


def whole_file(way: int, raw: bytes, data: bytes, nanoseconds: int = 5, sha256: bytes | None = None) -> bytes:
    """A stored file as the content of a part."""
    known = hashlib.sha256(raw).digest() if sha256 is None else sha256
    return bytes([way]) + leb(len(raw)) + known + leb(nanoseconds) + data


def of_file(content: bytes, index: int = 0, name: str | None = None, kind: int = 2) -> Picture:
    """The picture whose original, or the file, a part holds."""
    size = (1, 1) if kind == 3 else (24, 8)
    return Picture(index, content, size, name, codec=4 + kind, extras=tagged(5, kind, len(content)))


def large_frame(raw_length: int) -> bytes:
    """A zstd frame of zeros that is as large as the limit of expansion asks for: a raw block, then run-length ones."""
    blocks, left = [(8200 << 3).to_bytes(3, "little") + bytes(8200)], raw_length - 8200
    while left:
        length = min(left, 1 << 17)
        left -= length
        blocks.append((length << 3 | 2 | (not left)).to_bytes(3, "little") + b"\0")
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", raw_length) + b"".join(blocks)


def in_pieces(pieces: Sequence[bytes], raw: bytes, letter: str = "O") -> tuple[bytes, list[Picture]]:
    """A file with a picture whose original lies in pieces."""
    file = File()
    file.decoder()
    places = b"".join(place(file.add(letter, piece)) for piece in pieces)
    pictures = [of_file(whole_file(PIECES, raw, places), kind=3)]
    file.records(pictures)
    file.root = file.leaf()
    beside = len(file.data)
    lengths = sum(len(chunk(letter, piece)) for piece in pieces)
    totals = leb(1) + leb(7) + leb(1) + leb(pictures[0].length + lengths)
    assert beside > lengths
    return file.footer(pixels=leb(0), totals=totals), pictures


def whole_files() -> list[Valid]:
    """Files that hold the originals of pictures, and files that are none."""
    pictures = [
        of_file(whole_file(PLAIN, b"an original", stored(b"an original")), 0, "a.bmp"),
        of_file(whole_file(PLAIN, b"", stored(b""), 0), 1, "empty", kind=3),
        of_file(whole_file(PLAIN, bytes(300), zstd(300, zeros_frame(300))), 2, "zeros", kind=3),
    ]
    raws = [b"an original", b"", bytes(300)]
    raw = bytes(PIECE) + b"!"
    data, large = in_pieces([zstd(PIECE, large_frame(PIECE)), stored(b"!")], raw)
    return [
        ("stored-files", "UNI-133", usual(pictures, footer={"pixels": leb(24 * 8)}), expected_files(pictures, raws)),
        ("file-in-pieces", "UNI-134", data, expected_files(large, [raw])),
    ]


def expected_files(pictures: Sequence[Picture], raws: Sequence[bytes]) -> dict[str, Any]:
    """What a reader must find of stored files: way, bytes, SHA-256 and nanoseconds of each."""
    values = expected(pictures)
    values["pictures"] = [listed | {"code": "InvalidField"} for listed in values["pictures"]]
    values["files"] = [
        [p.index, p.code[0], len(raw), hashlib.sha256(raw).hexdigest(), 5 * bool(raw)]
        for p, raw in zip(pictures, raws, strict=True)
    ]
    return values


def whole_file_errors() -> list[Invalid]:
    """Stored files that are wrong."""
    good = whole_file(PLAIN, b"file", stored(b"file"))
    twice = Picture(0, good + good, codec=6, extras=tagged(5, 2, len(good), 2, len(good)))
    sized = replace(of_file(good, kind=3), size=(24, 8))
    long_one, short_one = bytes(PIECE + 1), bytes(PIECE)
    piece = zstd(PIECE, large_frame(PIECE))
    other = zstd(PIECE - 1, large_frame(PIECE - 1))
    far = whole_file(PLAIN, b"", b"")[:1] + leb((1 << 40) + 1) + bytes(32) + leb(0) + stored(b"file")
    contents = [
        ("file-in-an-unknown-way", "UNI-131", whole_file(5, b"file", stored(b"file"))),
        ("file-of-too-many-bytes", "UNI-132", far),
        ("file-of-many-nanoseconds", "UNI-132", whole_file(PLAIN, b"file", stored(b"file"), 10**9)),
        ("file-cut-in-its-sha-256", "UNI-16", good[:20]),
        ("file-of-another-length", "UNI-133", whole_file(PLAIN, b"file", stored(b"files"))),
        ("file-shorter-than-said", "UNI-133", whole_file(PLAIN, b"file", stored(b"fil"))),
        ("file-too-large-for-one-piece", "UNI-133", whole_file(PLAIN, long_one, piece)),
        ("file-too-small-for-pieces", "UNI-134", whole_file(PIECES, short_one, b"")),
        ("file-without-its-pieces", "UNI-134", whole_file(PIECES, long_one, b"")),
        ("file-that-expands-too-far", "UNI-135", whole_file(LEPTON, bytes(2049), b"\xcf\x84")),
        ("file-too-large-to-transcode", "UNI-135", whole_file(PNG, b"", b"")[:1] + leb((1 << 28) + 1) + good[2:]),
    ]
    two = [piece, stored(b"\0")]
    wrong = whole_file(PLAIN, b"file", stored(b"file"), sha256=bytes(32))
    return [
        ("record-of-two-files", "UNI-130", "InvalidField", usual([twice])),
        ("file-with-a-size", "UNI-130", "InvalidField", usual([sized])),
        *((name, clause, "InvalidField", usual([of_file(content)])) for name, clause, content in contents),
        ("file-with-a-piece-too-few", "UNI-134", "InvalidField", in_pieces([piece], long_one)[0]),
        ("file-with-a-short-piece", "UNI-134", "InvalidField", in_pieces([other, stored(b"\0")], long_one)[0]),
        ("file-with-pieces-that-are-metadata", "UNI-09", "InvalidField", in_pieces(two, long_one, "m")[0]),
        ("file-of-another-sha-256", "UNI-139", "ChecksumMismatch", usual([of_file(wrong)])),
    ]


def png_parts(
    coding: int, samples: bytes, settings: bytes = b"\6\0\x0f\x08", filters: bytes = b"", header: bytes | None = None
) -> bytes:
    """A PNG file taken apart."""
    start, chunks = PNG_FILE.index(b"IDAT") - 4, PNG_FILE.split(b"IDAT")
    lengths = [struct.unpack(">I", before[-4:])[0] for before in chunks[:-1]]
    after = PNG_FILE[PNG_FILE.rindex(b"IEND") - 4 :]
    before = PNG_FILE[:start] if header is None else header
    fields = leb(len(before)) + before + leb(len(lengths)) + b"".join(map(leb, lengths))
    fields += PNG_FILE[start + 8 : start + 10] + filters
    packed = stored(leb(len(fields)) + fields + after)
    return bytes([coding]) + settings + leb(len(packed)) + packed + samples


def lepton_with(old: bytes, new: bytes) -> bytes:
    """The Lepton file with a change in its header, which is deflated as it is."""
    length = struct.unpack_from("<I", JPEG_AS_LEPTON, 24)[0]
    header = zlib.decompress(JPEG_AS_LEPTON[28 : 28 + length])
    assert header.count(old) == 1
    header = header.replace(old, new)
    block = b"\x78\x01\x01" + struct.pack("<HH", len(header), 65535 - len(header)) + header
    block += struct.pack(">I", zlib.adler32(header))
    start = JPEG_AS_LEPTON[:10] + struct.pack("<I", len(header)) + JPEG_AS_LEPTON[14:24]
    changed_file = start + struct.pack("<I", len(block)) + block + JPEG_AS_LEPTON[28 + length : -4]
    return changed_file + struct.pack("<I", len(changed_file) + 4)  # it ends with its own length


def whole_file_values() -> list[dict[str, Any]]:
    """Transcoded files: contents of parts, and the file or the error."""
    rows, head = stored(PNG_ROWS), PNG_FILE[: PNG_FILE.index(b"IDAT") - 4]
    filters = PNG_ROWS[::13]
    valid = [
        ("jpeg-xl", "UNI-136", JPEG_XL, JPEG_FILE, JPEG_AS_JPEG_XL),
        ("lepton", "UNI-137", LEPTON, JPEG_FILE, JPEG_AS_LEPTON),
        ("lepton-with-a-header-of-stored-bytes", "UNI-137", LEPTON, JPEG_FILE, lepton_with(b"GRB\2", b"GRB\2")),
        ("png-of-rows", "UNI-138", PNG, PNG_FILE, png_parts(0, rows)),
        ("png-of-jpeg-xl", "UNI-138", PNG, PNG_FILE, png_parts(1, PNG_SAMPLES, filters=filters)),
    ]
    usual_settings = b"\6\0\x0f\x08"
    other_size = png_parts(1, PNG_SAMPLES, usual_settings, filters, head[:16] + struct.pack(">I", 5) + head[20:])
    invalid = [
        ("jpeg-xl-none", "UNI-136", JPEG_XL, JPEG_FILE, JPEG_FILE),
        ("jpeg-xl-cut", "UNI-136", JPEG_XL, JPEG_FILE, JPEG_AS_JPEG_XL[:-9]),
        ("jpeg-xl-of-another-length", "UNI-136", JPEG_XL, JPEG_FILE + b"!", JPEG_AS_JPEG_XL),
        ("jpeg-xl-without-a-jpeg", "UNI-136", JPEG_XL, JPEG_FILE, PNG_SAMPLES),
        ("lepton-none", "UNI-137", LEPTON, JPEG_FILE, JPEG_FILE),
        ("lepton-of-another-length", "UNI-137", LEPTON, JPEG_FILE + b"!", JPEG_AS_LEPTON),
        ("lepton-cut", "UNI-137", LEPTON, JPEG_FILE, JPEG_AS_LEPTON[:24]),
        (
            "lepton-with-a-section-beyond-its-end",
            "UNI-137",
            LEPTON,
            JPEG_FILE,
            lepton_with(b"GRB\2\0\0\0", b"GRB\0\0\0\x7f"),
        ),
        ("lepton-with-an-unknown-section", "UNI-137", LEPTON, JPEG_FILE, lepton_with(b"GRB\2", b"GRC\2")),
        ("lepton-without-a-frame", "UNI-137", LEPTON, JPEG_FILE, lepton_with(b"\xff\xc0", b"\xff\xee")),
        ("png-of-an-unknown-coding", "UNI-138", PNG, PNG_FILE, png_parts(2, rows)),
        ("png-of-level-0", "UNI-138", PNG, PNG_FILE, png_parts(0, rows, b"\0\0\x0f\x08")),
        ("png-of-window-8", "UNI-138", PNG, PNG_FILE, png_parts(0, rows, b"\6\0\x08\x08")),
        ("png-with-rows-missing", "UNI-138", PNG, PNG_FILE, png_parts(0, stored(PNG_ROWS[:-1]))),
        ("png-with-filters-twice", "UNI-138", PNG, PNG_FILE, png_parts(0, rows, filters=filters)),
        ("png-with-filters-missing", "UNI-138", PNG, PNG_FILE, png_parts(1, PNG_SAMPLES, filters=filters[:-1])),
        ("png-with-filter-5", "UNI-138", PNG, PNG_FILE, png_parts(1, PNG_SAMPLES, filters=b"\0\1\2\5")),
        ("png-of-samples-of-another-size", "UNI-138", PNG, PNG_FILE, other_size),
        ("png-without-a-header", "UNI-138", PNG, PNG_FILE, png_parts(0, rows, header=head[:8])),
        ("png-cut", "UNI-138", PNG, PNG_FILE, png_parts(0, rows)[:9]),
    ]
    return [
        {"name": name, "clause": clause, "hex": whole_file(way, raw, data).hex(), "file": raw.hex()}
        for name, clause, way, raw, data in valid
    ] + [
        {"name": name, "clause": clause, "hex": whole_file(way, raw, data).hex(), "error": "InvalidField"}
        for name, clause, way, raw, data in invalid
    ]


def page_errors() -> list[Invalid]:
    """Files whose index pages or names are wrong."""
    shapes = (leb(2), leb(8) + leb(16), leb(24) + leb(8))
    leaves: list[tuple[str, str, dict[str, bytes]]] = [
        ("page-of-another-level", "UNI-47", {"level": leb(1)}),
        ("page-of-another-index", "UNI-47", {"first": leb(1024)}),
        ("page-of-level-3", "UNI-08", {"level": leb(3)}),
        ("page-without-rows", "UNI-47", {"rows": leb(0)}),
        ("page-of-1025-rows", "UNI-08", {"rows": leb(1025)}),
        ("side-zero", "UNI-40", {"sizes": leb(2) + leb(0) + leb(16) + shapes[2]}),
        ("side-over-limit", "UNI-08", {"sizes": leb(2) + shapes[1] + leb((1 << 20) + 1) + leb(8)}),
        ("sizes-not-ascending", "UNI-48", {"sizes": shapes[0] + shapes[2] + shapes[1]}),
        ("size-twice", "UNI-48", {"sizes": shapes[0] + shapes[1] * 2}),
        ("size-unused", "UNI-48", {"sizes": leb(3) + leb(1) + leb(1) + shapes[1] + shapes[2]}),
        ("no-sizes", "UNI-48", {"sizes": leb(0)}),
        ("size-number-over-count", "UNI-48", {"numbers": column([0, 1, 2])}),
        ("codec-unknown", "UNI-49", {"codecs": column([1, 1, 9])}),
        ("page-without-a-picture", "UNI-49", {"codecs": column([0, 0, 0])}),
        ("decoder-that-is-not-there", "UNI-58", {"decoders": column([0, 0, 1])}),
        ("offsets-of-kind-2", "UNI-59", {"kind": b"\2"}),
        ("record-without-bytes", "UNI-64", {"lengths": column([0, 9, 9])}),
        ("network-with-a-record", "UNI-64", {"codecs": column([1, 1, 5])}),
        ("psnr-over-limit", "UNI-64", {"psnrs": column([0, 0, 20_003])}),
    ]

    def listed(*names: bytes, first: int = 0, count: int = 3) -> bytes:
        return leb(first) + leb(count) + stored(b"\n".join(names))

    names: list[tuple[str, str, bytes]] = [
        ("names-too-few", "UNI-60", listed(b"a", b"b")),
        ("names-of-another-page", "UNI-60", listed(b"a", b"b", b"c", first=1024)),
        ("names-of-more-rows", "UNI-60", listed(b"a", b"b", b"c", b"d", count=4)),
        ("name-too-long", "UNI-61", listed(b"a", b"b", b"x" * 4097)),
        ("name-not-utf-8", "UNI-62", listed(b"a", b"b", b"\xff")),
        ("name-with-a-control-character", "UNI-62", listed(b"a", b"b", b"c\x07")),
        ("name-with-a-backslash", "UNI-62", listed(b"..\\a", b"b", b"c")),
        ("name-absolute", "UNI-63", listed(b"/etc/a", b"b", b"c")),
        ("name-climbs", "UNI-63", listed(b"a", b"b/../../c", b"d")),
        ("name-with-a-dot", "UNI-63", listed(b"a", b"b/.", b"c")),
        ("name-with-an-empty-component", "UNI-63", listed(b"a", b"b//c", b"d")),
        ("names-over-limit", "UNI-21", leb(0) + leb(3) + stored(bytes(3 * 4097 + 1))),
        ("packed-length-wrong", "UNI-22", leb(0) + leb(3) + leb(2 * 6) + b"a\nb\nc"),
    ]
    file = File()
    file.decoder()
    file.records([Picture(0), Picture(1030)])
    pages = [file.leaf(0), file.leaf(1024)]
    before = file.data

    def inner(pages: Sequence[Place | None] = pages, /, **changes: bytes) -> bytes:
        again = File(before, file.pictures, file.decoders, level=1)
        again.root = again.inner(1, 0, pages, **changes)
        return again.footer()

    inners = [
        ("inner-page-of-another-level", "UNI-67", inner(level=leb(2))),
        ("inner-page-of-another-index", "UNI-67", inner(first=leb(1 << 20))),
        ("inner-page-without-pages", "UNI-67", inner([None, None])),
        ("inner-page-of-no-pages", "UNI-67", inner_of_none(before, file)),
        ("pages-swapped", "UNI-47", inner(pages[::-1])),
    ]
    return [
        *((name, clause, "InvalidField", usual(leaf=change)) for name, clause, change in leaves),
        *((name, clause, "InvalidField", usual(names=payload)) for name, clause, payload in names),
        *((name, clause, "InvalidField", data) for name, clause, data in inners),
    ]


def inner_of_none(before: bytes, file: File) -> bytes:
    """An archive whose root says that it has no pages."""
    again = File(before, file.pictures, file.decoders, level=1)
    again.root = again.add("I", leb(1) + leb(0) + leb(0))
    return again.footer()


def footer_errors() -> list[Invalid]:
    """Files whose footer is wrong, or the parts that it alone names."""
    many = leb(300)
    run = leb(12) + leb(20)
    total = leb(1) + leb(3) + leb(99)
    cases: list[tuple[str, str, dict[str, bytes]]] = [
        ("totals-not-ascending", "UNI-68", {"totals": leb(2) + leb(2) + leb(1) + leb(9) + leb(1) + leb(2) + leb(9)}),
        ("totals-of-no-codec", "UNI-68", {"totals": leb(1) + leb(0) + leb(3) + leb(99)}),
        ("totals-of-an-unknown-codec", "UNI-68", {"totals": leb(1) + leb(9) + leb(3) + leb(99)}),
        ("totals-over-the-next-index", "UNI-68", {"totals": leb(1) + leb(1) + leb(4) + leb(99)}),
        ("next-index-over-limit", "UNI-68", {"next_index": leb((1 << 30) + 1)}),
        ("rows-beyond-the-next-index", "UNI-47", {"next_index": leb(2), "totals": leb(1) + leb(1) + leb(2) + leb(9)}),
        ("generation-0", "UNI-69", {"generation": leb(0)}),
        ("previous-behind", "UNI-69", {"previous": leb(1 << 20)}),
        ("level-3", "UNI-69", {"level": leb(3)}),
        ("root-too-small", "UNI-69", {"next_index": leb(1025)}),
        ("pictures-without-a-root", "UNI-69", {"root": leb(0)}),
        ("attachment-unknown", "UNI-116", {"attachments": leb(1) + b"?" + run}),
        ("runs-over-limit", "UNI-117", {"runs": many + (run + leb(1)) * 300}),
        ("run-of-no-names", "UNI-117", {"runs": leb(1) + run + leb(0)}),
        ("run-over-limit", "UNI-117", {"runs": leb(1) + run + leb((1 << 22) + 1)}),
        ("no-decoders", "UNI-117", {"decoders": leb(0), "totals": total}),
        ("decoders-over-limit", "UNI-117", {"decoders": leb(65) + changed(DECODER_FIELDS, {}) * 65}),
        ("canaries-over-limit", "UNI-117", {"canaries": leb(17) + canary() * 17}),
        ("attachments-over-limit", "UNI-117", {"attachments": many + (b"t" + run) * 300}),
        ("canary-of-no-picture", "UNI-94", {"canaries": leb(1) + canary(index=3)}),
        ("canary-too-bright", "UNI-94", {"canaries": leb(1) + canary(sums=[0] * 15 + [4081])}),
        ("longest-side-over-limit", "UNI-08", {"read": leb((1 << 20) + 1) + bytes(3)}),
        ("footer-too-short", "UNI-16", {"attachments": b""}),
        ("footer-too-long", "UNI-16", {"attachments": leb(0) + b"\0"}),
    ]
    listed = [(name, clause, "InvalidField", usual(footer=change)) for name, clause, change in cases]
    return [*listed, *lookup_errors(), *tombstone_errors()]


def lookup_errors() -> list[Invalid]:
    """Files in which the way from a name to its index is wrong."""
    hashed = int.from_bytes(hashlib.sha256(b"low").digest()[:8], "big")
    key = hashed >> 32 & 0xFFFFFFFF

    def with_run(*payloads: bytes, entries: int = 2) -> bytes:
        file = File()
        file.decoder()
        file.records([Picture(0, name="low"), Picture(1030, name="high")])
        pages = [file.leaf(0), file.leaf(1024)]
        file.level, file.root = 1, file.inner(1, 0, pages)
        places = [file.add("l", payload) for payload in payloads]
        file.runs = [(places[-1][0], places[-1][1], entries)]
        return file.footer()

    def bucket(bits: int = 0, number: int = 0, keys: Sequence[int] = (key,), kind: bytes = b"\0") -> bytes:
        return kind + leb(bits) + leb(number) + leb(len(keys)) + column(keys) + column([0] * len(keys))

    return [
        ("run-of-kind-2", "UNI-65", "InvalidField", with_run(bucket(kind=b"\2"))),
        ("bucket-of-another-number", "UNI-65", "InvalidField", with_run(bucket(number=1))),
        ("bucket-of-other-bits", "UNI-65", "InvalidField", with_run(bucket(bits=1))),
        ("bucket-of-no-names", "UNI-65", "InvalidField", with_run(b"\0" + leb(0) * 3)),
        ("bucket-not-ascending", "UNI-65", "InvalidField", with_run(bucket(keys=(key, key - 1)))),
        ("directory-larger-than-its-names", "UNI-65", "InvalidField", with_run(b"\1" + leb(2) + b"\0\0\0\0")),
    ]


def tombstone_errors() -> list[Invalid]:
    """Files whose list of removed pictures is wrong."""

    def removed(payload: bytes) -> bytes:
        file = File()
        file.decoder()
        file.records(three()[1:])
        file.root = file.leaf()
        at = file.add("t", payload)
        file.attachments = [(b"t", at[0], at[1])]
        return file.footer()

    return [
        ("removed-twice", "UNI-115", "InvalidField", removed(leb(2) + leb(0) + leb(0))),
        ("removed-nothing", "UNI-115", "InvalidField", removed(leb(0))),
        ("removed-cut", "UNI-16", "InvalidField", removed(leb(2) + leb(0))),
    ]


def verifier_errors() -> list[tuple[str, str, bytes]]:
    """Files that only a verifier sees the fault of."""
    swapped, lost, twice = File(), File(), File()
    swapped.decoder()
    swapped.records([Picture(0, previous=-1), Picture(5), Picture(3, previous=2)])
    swapped.pictures.sort(key=lambda p: p.index)
    swapped.root = swapped.leaf()
    lost.decoder()
    lost.records([Picture(0, name="low"), Picture(1030, name="high")])
    pages = [lost.leaf(0), lost.leaf(1024)]
    lost.level, lost.root = 1, lost.inner(1, 0, pages)
    add_runs(lost, [("low", 0)])
    twice.add("H", ID + leb(0) + leb(0))
    twice.decoder()
    twice.records(three())
    twice.root = twice.leaf()
    between = File(PREAMBLE + chunk("H", ID + leb(0) + leb(0)) + b"?")
    between.decoder()
    between.records(three())
    between.root = between.leaf()
    return [
        ("records-not-ascending", "UNI-45", swapped.footer()),
        ("name-that-is-not-found", "UNI-66", lost.footer()),
        ("two-heads", "UNI-18", twice.footer()),
        ("bytes-between-chunks", "UNI-19", between.footer()),
        ("pixels-of-another-archive", "UNI-119", usual(footer={"pixels": leb(1)})),
        ("totals-of-another-archive", "UNI-119", usual(footer={"totals": leb(1) + leb(1) + leb(2) + leb(9)})),
    ]


def network_errors() -> list[Invalid]:
    """Files whose network, or the change of a decoder, is wrong."""
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("no-steps", "UNI-34", {"steps": 0}),
        ("too-many-steps", "UNI-34", {"steps": 51}),
        ("latent-deviation-zero", "UNI-35", {"latent_std": 0.0}),
        ("mean-infinite", "UNI-36", {"means": float("inf")}),
        ("deviation-negative", "UNI-36", {"stds": -1.0}),
        ("heads-that-do-not-divide", "UNI-37", {"heads": 3}),
        ("hidden-size-zero", "UNI-37", {"hidden_size": 0}),
        ("hidden-size-over-limit", "UNI-37", {"hidden_size": 4100}),
        ("depth-over-limit", "UNI-37", {"depth": 65}),
        ("patch-size-3", "UNI-37", {"patch_size": 3}),
        ("no-index-tokens", "UNI-37", {"index_tokens": 0}),
        ("unknown-condition", "UNI-38", {"condition": 255}),
        ("unknown-index-embedding", "UNI-38", {"index_embedding": 255}),
        ("unknown-prediction", "UNI-38", {"prediction": 2}),
        ("bandwidth-zero", "UNI-39", {"bandwidth": 0.0}),
    ]
    payloads = [(name, clause, network(FLOATS, **change)) for name, clause, change in changes]
    payloads += [(name, clause, network(weights)) for name, clause, weights in weight_errors() + integer_errors()]
    payloads += [
        ("network-cut", "UNI-16", NETWORK[:30]),
        ("network-of-no-pictures", "UNI-99", network(FLOATS, leb(2026) + leb(0) + leb(0))),
        ("network-of-kind-1", "UNI-118", b"\1" + NETWORK[1:]),
        ("network-without-a-kind", "UNI-16", b""),
        # The table has a row a picture: 3, not 2.
        (
            "weights-of-a-table-for-2-pictures",
            "UNI-54",
            network(floats(stored(bytes(WEIGHTS + 8)), count=WEIGHTS + 8), index_embedding=2),
        ),
    ]
    changed_decoders = [
        ("change-of-rank-17", "UNI-96", b"\1\x11rows"),
        ("change-without-a-rank", "UNI-16", b"\1"),
        ("change-of-kind-0", "UNI-118", b"\0\x10rows"),
    ]
    return [
        *((name, clause, "InvalidField", of_network(payload)) for name, clause, payload in payloads),
        *((name, clause, "InvalidField", usual(weights=payload)) for name, clause, payload in changed_decoders),
    ]


def weight_errors() -> list[tuple[str, str, bytes]]:
    """Weights of format 0 that are wrong."""
    good = stored(bytes(CODES))
    frame = zeros_frame(WEIGHTS)
    above = stored(pack([0x7F800000, *FLOAT32_CODES[1:]], 32))
    skippable = b"\x50\x2a\x4d\x18" + struct.pack("<I", 1) + b"?"
    wide = b"\x28\xb5\x2f\xfd\x40\x70" + struct.pack("<H", WEIGHTS - 256) + frame[7:]  # a window of 2^24
    with_dictionary = b"\x28\xb5\x2f\xfd\x61\x07" + frame[5:]
    return [
        ("zstd-frame-garbage", "UNI-23", floats(zstd(WEIGHTS, b"garbage"))),
        ("zstd-frame-damaged", "UNI-23", floats(zstd(WEIGHTS, frame[:7] + b"\x07" + frame[8:]))),
        ("zstd-frame-cut", "UNI-23", floats(zstd(WEIGHTS, frame[:-1]))),
        ("zstd-frame-followed-by-a-byte", "UNI-23", floats(zstd(WEIGHTS, frame + b"\0"))),
        ("zstd-frame-followed-by-a-frame", "UNI-23", floats(zstd(WEIGHTS, frame + frame))),
        ("zstd-frame-behind-a-skippable-one", "UNI-23", floats(zstd(WEIGHTS, skippable + frame))),
        ("zstd-frame-with-a-dictionary", "UNI-23", floats(zstd(WEIGHTS, with_dictionary))),
        ("zstd-frame-of-other-length", "UNI-23", floats(zstd(WEIGHTS, zeros_frame(WEIGHTS - 1)))),
        (
            "zstd-frame-without-length",
            "UNI-23",
            floats(zstd(WEIGHTS, b"\x28\xb5\x2f\xfd\x00\x00" + (WEIGHTS << 3 | 3).to_bytes(3, "little") + b"\0")),
        ),
        ("zstd-window-over-limit", "UNI-27", floats(zstd(WEIGHTS, wide))),
        ("zstd-frame-not-shorter", "UNI-24", floats(zstd(8, zeros_frame(256)))),
        ("zstd-expands-too-far", "UNI-24", floats(zstd(BOMB, zeros_frame(BOMB)), count=BOMB)),
        ("weight-format-2", "UNI-50", floats(good, (2, 4, 3, 7))),
        ("exponent-bits-1", "UNI-51", floats(good, (0, 1, 6, 7))),
        ("exponent-bits-9", "UNI-51", floats(good, (0, 9, 1, 7))),
        ("mantissa-bits-0", "UNI-51", floats(good, (0, 7, 0, 7))),
        ("weight-of-7-bits", "UNI-51", floats(good, (0, 4, 2, 7))),
        ("bias-too-low", "UNI-51", floats(good, (0, 4, 3, -114))),
        ("bias-too-high", "UNI-51", floats(good, (0, 4, 3, 148))),
        ("no-weights", "UNI-52", floats(stored(b""), count=0)),
        ("too-many-weights", "UNI-52", floats(good, count=(1 << 28) + 1)),
        ("weights-over-limit", "UNI-21", floats(stored(bytes(CODES) + b"\0"))),
        ("codes-too-short", "UNI-25", floats(stored(bytes(CODES[1:])))),
        ("weight-above-float32", "UNI-53", floats(above, (0, 8, 23, 127))),
        ("weights-of-another-network", "UNI-54", floats(stored(bytes(CODES[1:])), count=WEIGHTS - 1)),
    ]


def integer_errors() -> list[tuple[str, str, bytes]]:
    """Weights of format 1 that are wrong."""
    good = STREAM
    return [
        ("integer-weights-none", "UNI-52", integers(good, 0)),
        ("integer-weights-too-many", "UNI-52", integers(good, (1 << 28) + 1)),
        ("integer-weights-of-another-network", "UNI-54", integers(good, WEIGHTS - 1)),
        ("integer-weights-cut-in-their-head", "UNI-16", integers(good)[:8]),
        ("integer-weights-of-no-bytes", "UNI-100", integers(b"")),
        ("integer-step-class-68", "UNI-101", integers(bytes([68]) + good[1:])),
        ("integer-scale-class-68", "UNI-101", integers(good[:1] + bytes([68]) + good[2:])),
        ("integer-row-class-68", "UNI-101", integers(integer_stream(ROWS, STEPS, [68, *CLASSES[1:]]))),
        ("integer-row-class-negative", "UNI-101", integers(integer_stream(ROWS, STEPS, [-1, *CLASSES[1:]]))),
        ("integer-step-256", "UNI-102", integers(integer_stream(ROWS, [256, *STEPS[1:]], CLASSES))),
        ("integer-step-negative", "UNI-102", integers(integer_stream(ROWS, [-1, *STEPS[1:]], CLASSES))),
        ("integer-below-the-least", "UNI-103", integers(integer_stream([[-32768], *ROWS[1:]], STEPS, CLASSES))),
        ("integer-stream-of-odd-bytes", "UNI-107", integers(good + b"\0")),
        ("integer-stream-without-states", "UNI-107", integers(good[:4])),
        ("integer-stream-of-a-low-state", "UNI-107", integers(good[:4] + bytes(2) + good[6:])),
        ("integer-stream-cut", "UNI-107", integers(good[:-2])),
        ("integer-stream-too-long", "UNI-107", integers(good + b"\0\0")),
        ("integer-stream-of-other-state", "UNI-107", integers(good[:2] + bytes([good[2] ^ 1]) + good[3:])),
    ]


def obu(first: int, content: bytes) -> bytes:
    """An open bitstream unit of AV1, of less than 128 bytes."""
    return bytes([first, len(content)]) + content


def sequence_header(profile: int = 1, flags: tuple[int, int, int, int] = (1, 1, 0, 0), side: int = 8) -> bytes:
    """Of a still picture as high as wide: profile, still, reduced, level 0, size, six tools, bit depth, monochrome."""
    still, reduced, high, mono = flags
    bits = f"{profile:03b}{still}{reduced}00000" + "0110" * 2 + f"{side - 1:07b}" * 2 + "0" * 6 + f"{high}{mono}"
    return obu(0x0A, pack([int(bit) for bit in bits + "0" * 16], 1))


def avif(stream: bytes, extent: int | None = None, items: int = 1) -> bytes:
    """An AVIF file of an 8 by 8 picture in 4:4:4; its item is all of the stream, or the ``extent`` bytes given."""

    def box(kind: bytes, *parts: bytes, version: int | None = 0) -> bytes:
        head = b"" if version is None else struct.pack(">I", version << 24)
        content = head + b"".join(parts)
        return struct.pack(">I4s", 8 + len(content), kind) + content

    def meta(start: int) -> bytes:
        length = len(stream) if extent is None else extent
        properties = [
            box(b"ispe", struct.pack(">II", 8, 8)),
            box(b"pixi", bytes([3, 8, 8, 8])),
            box(b"av1C", bytes([0x81, 0x20, 0, 0]), version=None),
        ]
        return box(
            b"meta",
            box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
            box(b"pitm", b"\0\1"),
            box(b"iloc", struct.pack(">HH", 0x4400, items), struct.pack(">HHHII", 1, 0, 1, start, length) * items),
            box(b"iinf", b"\0\1", box(b"infe", b"\0\1\0\0av01\0", version=2)),
            box(
                b"iprp",
                box(b"ipco", *properties, version=None),
                box(b"ipma", struct.pack(">IHB3B", 1, 1, 3, 1, 2, 0x83)),
                version=None,
            ),
        )

    kind = box(b"ftyp", b"avif\0\0\0\0avifmif1miaf", version=None)
    return kind + meta(len(kind + meta(0)) + 8) + box(b"mdat", stream, version=None)


def canary_cases() -> list[dict[str, Any]]:
    """Sums of pictures larger and smaller than their blocks."""
    return [
        canary_values(
            n, [[[(7 * y + 13 * x + 31 * c + n) % 256 for c in range(3)] for x in range(w)] for y in range(h)]
        )
        for n, (h, w) in enumerate([(1, 1), (3, 5), (8, 17)])
    ]


# Values -------------------------------------------------------------------------------------------------------------


def generator_values() -> dict[str, Any]:
    """Words and normals of several streams."""
    keys = [(0, 0), (2026, 1 << 32), (MASK, 2 << 32), (1, 3 << 32 | 41)]
    return {
        "words": [{"seed": s, "stream": t, "hex": [f"{w:016x}" for w in words(s, t, 9)]} for s, t in keys],
        "normals": [{"seed": s, "stream": t, "float32": [float32_bits(v) for v in normals(s, t, 7)]} for s, t in keys],
    }


def index_map_values() -> list[dict[str, Any]]:
    """Permutations of several sizes."""
    return [
        {"seed": seed, "pictures": pictures, "index_of_position": index_of_position(seed, pictures)}
        for seed, pictures in ((0, 1), (0, 2), (7, 10), (2026, 33))
    ]


def bit_packing_values() -> list[dict[str, Any]]:
    """Codes with extremes of several widths."""
    widths = (0, 1, 3, 7, 8, 13, 14, 16, 31, 32)
    listed = [(bits, [0, (1 << bits) - 1, (1 << bits) // 3, 0, (1 << bits) // 2]) for bits in widths]
    return [{"bits": bits, "codes": codes, "hex": pack(codes, bits).hex()} for bits, codes in listed]


def weight_code_values() -> list[dict[str, Any]]:
    """Formats from 8 to 32 bits, also with the lowest and the highest bias."""
    formats = [(4, 3, 7), (4, 3, -113), (4, 3, 147), (2, 5, 1), (5, 10, 15), (4, 9, 7), (8, 1, 127), (8, 22, 128)]
    return [weight_format_vectors(*each) for each in [*formats, (8, 23, 127), (2, 23, -125)]]


def integer_weight_values() -> dict[str, Any]:
    """The tables of integer weights and the steps."""
    return {
        "frequencies": INTEGER_TABLES,
        "steps": [float32_bits(float(step_size(number))) for number in range(256)],
    }


def rans_values() -> list[dict[str, Any]]:
    """Streams of one and of several lanes, of frequent, rare and certain symbols, and of none."""
    even: Table = (4096, 4096, 4096, 4096)
    skewed: Table = (16381, 1, 1, 1)
    lanes: list[Table] = [even, skewed, (1, 5461, 5461, 5461)]
    listed: list[tuple[str, list[Table], list[Step], int]] = [
        ("even", [even], [[(0, 7 * i // 3 % 4)] for i in range(24)], 1),
        ("frequent", [skewed], [[(0, i // 50)] for i in range(60)], 1),
        ("rare", [skewed], [[(0, 1 + i % 3)] for i in range(12)], 1),
        ("certain", [(16384,)], [[(0, 0), (0, 0)]] * 5, 2),
        ("lanes", lanes, [[(i * j % 3, (i + j) ** 2 % 4) for j in range(5)] for i in range(16)], 5),
        ("silent-lanes", lanes, [[(j, (i ^ j) % 4) if i % (j + 1) else None for j in range(3)] for i in range(16)], 3),
        ("nothing", [even], [], 3),
    ]
    return [rans_case(*each, short=short) for short in (False, True) for each in listed]


# Two pictures of 8 by 8 pixels, all of them (200, 60, 30) before coding, as libaom wrote them: in 4:2:0 and in 4:4:4.
HALF_CHROMA = bytes.fromhex("0a081808bf688086834232181ac78785e1cc30c30280000090358e3c7ee3db3f0560f9c8")
FULL_CHROMA = bytes.fromhex("0a083808bf69010d0690321917826304c24924932800000048543661ac646bc12b31c15b5c")


def gray_code_values() -> list[dict[str, Any]]:
    """Marked codes and what follows the mark; and the luma of some colours."""
    codes = [("latents", b"\5\1\2"), ("half-size", b"\x85\1"), ("empty-channels", b"\0"), ("avif", b"\xff\0\x0a")]
    colours = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 2, 3), (128, 127, 129)]
    return [
        *({"name": name, "hex": (b"\x7f" + code).hex(), "follows": code.hex()} for name, code in codes),
        {"name": "nothing", "hex": "7f", "clause": "UNI-124", "error": "InvalidField"},
        {"name": "marked-twice", "hex": "7f7f0501", "clause": "UNI-124", "error": "InvalidField"},
        *(
            {"name": f"luma-of-{r}-{g}-{b}", "colour": [r, g, b], "luma": (299 * r + 587 * g + 114 * b + 500) // 1000}
            for r, g, b in colours
        ),
    ]


def avif_code_values() -> list[dict[str, Any]]:
    """AVIF codes of a picture of 8 by 8 pixels of one colour, and such as a decoder refuses."""
    bare, whole, frame = b"\xff\0", b"\xff\1", obu(0x32, bytes(20))
    header, rest = FULL_CHROMA[:10], FULL_CHROMA[10:]
    valid = [
        ("bare-4:2:0", bare + HALF_CHROMA),
        ("bare-4:4:4", bare + FULL_CHROMA),
        ("whole", whole + avif(FULL_CHROMA)),
        ("whole-with-a-temporal-delimiter", whole + avif(b"\x12\0" + FULL_CHROMA)),
    ]
    invalid = [
        ("nothing", "UNI-91", b"\xff"),
        ("codec-4", "UNI-91", b"\xff\4" + FULL_CHROMA),
        ("another-size", "UNI-91", bare + sequence_header(side=9) + rest),
        ("whole-of-another-size", "UNI-91", whole + avif(sequence_header(side=128) + rest)),
        ("no-stream", "UNI-92", bare),
        ("no-frame", "UNI-92", bare + header),
        ("two-frames", "UNI-92", bare + FULL_CHROMA + rest),
        ("two-sequence-headers", "UNI-92", bare + header + FULL_CHROMA),
        ("temporal-delimiter", "UNI-92", bare + b"\x12\0" + FULL_CHROMA),
        ("unit-with-an-extension", "UNI-92", bare + b"\x0e" + FULL_CHROMA[1:]),
        ("unit-without-a-size", "UNI-92", bare + header + b"\x30" + rest[2:]),
        ("unit-over-the-end", "UNI-92", bare + FULL_CHROMA[:-1]),
        ("unit-with-a-size-cut", "UNI-92", bare + header + b"\x32\x80"),
        ("unit-with-a-size-of-9-bytes", "UNI-92", bare + header + b"\x32" + b"\x99" + b"\x80" * 7 + b"\0" + rest[2:]),
        ("sequence-header-cut", "UNI-92", bare + obu(0x0A, FULL_CHROMA[2:5]) + rest),
        ("profile-2", "UNI-92", bare + sequence_header(profile=2) + frame),
        ("film", "UNI-92", bare + sequence_header(flags=(0, 0, 0, 0)) + frame),
        ("header-not-reduced", "UNI-92", bare + sequence_header(flags=(1, 0, 0, 0)) + frame),
        ("10-bits", "UNI-92", bare + sequence_header(flags=(1, 1, 1, 0)) + frame),
        ("monochrome", "UNI-92", bare + sequence_header(profile=0, flags=(1, 1, 0, 1)) + frame),
        ("whole-without-boxes", "UNI-93", whole + FULL_CHROMA),
        ("whole-cut", "UNI-93", whole + avif(FULL_CHROMA)[:-1]),
        ("whole-with-a-box-behind", "UNI-93", whole + avif(FULL_CHROMA) + b"\0\0\0\x08free"),
        ("whole-with-two-items", "UNI-93", whole + avif(FULL_CHROMA, items=2)),
        ("whole-with-data-beside-its-item", "UNI-93", whole + avif(FULL_CHROMA + b"\0", extent=len(FULL_CHROMA))),
        ("whole-with-a-film", "UNI-92", whole + avif(sequence_header(flags=(0, 0, 0, 0)) + frame)),
    ]
    shape = {"width": 8, "height": 8}
    return [{"name": name, **shape, "hex": data.hex(), "colour": [200, 60, 30]} for name, data in valid] + [
        {"name": name, **shape, "hex": data.hex(), "error": "InvalidField", "clause": clause}
        for name, clause, data in invalid
    ]


# Four pictures of 8 by 8 pixels as libaom wrote them, a sequence in 4:4:4: (200, 60, 30), but (30, 120, 200) the third.
FILM = [
    bytes.fromhex("0a0c2000000117e6d7cd010d0690321510008c0000020000000068d30b04bca9d1f87d80cb"),
    bytes.fromhex("32122003e040000023460000010000004000919032123003c1000040468c000002000001c0009540"),
    bytes.fromhex("321b300402080001468c00000200000080008d8b37cce8b9d3992065de"),
    bytes.fromhex("32123006000d0001468c00000200000080009c20"),
]
RED, BLUE = [200, 60, 30], [30, 120, 200]


def film_header(fields: str = "000" + "0000" + "00000", side: int = 8, colour: str = "00") -> bytes:
    """A sequence header that is not reduced, of profile, four flags and number of points, and bit depth, monochrome."""
    size = "0110" * 2 + f"{side - 1:07b}" * 2
    tools = "0" + "000" + "0000" + "0" + "1" + "1" + "000"
    bits = fields + "0" * 12 + "00000" + size + tools + colour
    return obu(0x0A, pack([int(bit) for bit in bits + "0" * 32], 1))


def sequence_values() -> list[dict[str, Any]]:
    """The codes of the pictures that one is decoded from, its own last, and what it decodes to: 8 by 8 pixels."""
    film = [b"\xff\2" + FILM[0], *(b"\xff\3" + leb(n) + unit for n, unit in enumerate(FILM[1:]))]
    frames = FILM[0][14:]
    fork = b"\xff\3\0" + FILM[1]
    far = b"\xff\3" + leb(300) + FILM[1]
    valid = [
        ("first", film[:1], RED),
        ("second", film[:2], RED),
        ("third", film[:3], BLUE),
        ("last", film, RED),
        ("fork", [film[0], fork], RED),
        ("parent-of-two-bytes", [film[0], far], RED),
    ]
    beginning = b"\xff\2"
    invalid = [
        ("parent-longer-than-needed", "UNI-08", [film[0], b"\xff\3\x80\0" + FILM[1]]),
        ("parent-cut", "UNI-108", [film[0], b"\xff\3\x81"]),
        ("parent-over-limit", "UNI-108", [film[0], b"\xff\3" + leb(1 << 30) + FILM[1]]),
        ("first-in-the-middle", "UNI-109", [film[0], film[0]]),
        ("later-at-the-beginning", "UNI-109", [fork]),
        ("still-picture", "UNI-109", [beginning + FULL_CHROMA]),
        ("no-unit", "UNI-109", [beginning]),
        ("no-frame", "UNI-109", [beginning + FILM[0][:14]]),
        ("temporal-delimiter", "UNI-109", [beginning + b"\x12\0" + FILM[0]]),
        ("second-sequence-header", "UNI-109", [beginning + FILM[0] + FILM[0][:14]]),
        ("later-sequence-header", "UNI-109", [film[0], b"\xff\3\0" + FILM[0]]),
        ("later-nothing", "UNI-109", [film[0], b"\xff\3\0"]),
        ("another-size", "UNI-109", [beginning + film_header(side=9) + frames]),
        ("profile-2", "UNI-109", [beginning + film_header("010" + "0000" + "00000") + frames]),
        ("timed", "UNI-109", [beginning + film_header("000" + "0010" + "00000") + frames]),
        ("two-operating-points", "UNI-109", [beginning + film_header("000" + "0000" + "00001") + frames]),
        ("10-bits", "UNI-109", [beginning + film_header(colour="10") + frames]),
        ("monochrome", "UNI-109", [beginning + film_header(colour="01") + frames]),
        ("sequence-header-cut", "UNI-109", [beginning + obu(0x0A, film_header()[2:6]) + frames]),
    ]
    shape = {"width": 8, "height": 8}
    return [
        {"name": name, **shape, "chain": [code.hex() for code in chain], "colour": colour}
        for name, chain, colour in valid
    ] + [
        {
            "name": name,
            **shape,
            "chain": [code.hex() for code in chain],
            "error": "InvalidField",
            "clause": clause,
        }
        for name, clause, chain in invalid
    ]


def rans_case(name: str, tables: list[Table], steps: list[Step], lanes: int, *, short: bool) -> dict[str, Any]:
    """A stream that comes back as it went in."""
    stream = rans_encode(tables, steps, lanes, short=short)
    assert rans_decode(tables, steps, lanes, stream, short=short) == steps
    name = f"short-{name}" if short else name
    return {"name": name, "short": short, "lanes": lanes, "tables": tables, "steps": steps, "hex": stream.hex()}


def main(folder: Path) -> None:
    """Write all vectors and their manifest."""
    entries: list[dict[str, Any]] = []

    def write(name: str, clause: str, data: bytes, **outcome: Any) -> None:
        (folder / name).write_bytes(data)
        entries.append({"file": name, "clause": clause, **outcome})

    for name, clause, data, values in valid_files():
        write(f"valid-{name}.uni", clause, data, expected=values)
    invalid = framing_errors() + decoder_errors() + record_errors() + page_errors() + footer_errors() + network_errors()
    invalid += whole_file_errors()
    for name, clause, error, data in invalid:
        write(f"invalid-{name}.uni", clause, data, error=error)
    for name, clause, data in verifier_errors():
        write(f"faulty-{name}.uni", clause, data, verifier_only=True)
    tables = [
        ("canary.json", "UNI-95", canary_cases()),
        ("generator.json", "UNI-70", generator_values()),
        ("index-map.json", "UNI-72", index_map_values()),
        ("bit-packing.json", "UNI-25", bit_packing_values()),
        ("weight-codes.json", "UNI-55", weight_code_values()),
        ("rans.json", "UNI-86", rans_values()),
        ("integer-weights.json", "UNI-104", integer_weight_values()),
        ("gray-codes.json", "UNI-124", gray_code_values()),
        ("avif-codes.json", "UNI-91", avif_code_values()),
        ("sequences.json", "UNI-108", sequence_values()),
        ("stored-files.json", "UNI-136", whole_file_values()),
    ]
    for name, clause, table in tables:
        write(name, clause, as_json(table))
    (folder / "manifest.json").write_bytes(as_json(entries))


def as_json(value: Any) -> bytes:
    """Readable JSON, the same bytes everywhere."""
    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "vectors")
