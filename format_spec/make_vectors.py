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
from collections.abc import Sequence
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


# Codes and packed bytes ---------------------------------------------------------------------------------------------


def pack(codes: Sequence[int], bits: int) -> bytes:
    """Most significant bit first, zero bits at the end."""
    text = "".join(f"{code:0{bits}b}" for code in codes) if bits else ""
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def stored(raw: bytes) -> bytes:
    """Packed bytes, method 0."""
    return struct.pack("<BQ", 0, len(raw)) + raw


def zeros_frame(count: int) -> bytes:
    """A zstd frame of one run-length block: ``count`` zero bytes, 256 to 65791."""
    return b"\x28\xb5\x2f\xfd\x60" + struct.pack("<H", count - 256) + (count << 3 | 3).to_bytes(3, "little") + b"\0"


def zstd(raw_length: int, frame: bytes) -> bytes:
    """Packed bytes, method 1."""
    return struct.pack("<BQ", 1, raw_length) + frame


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


def section(kind: bytes, payload: bytes) -> bytes:
    """One section with its CRC."""
    body = kind + struct.pack("<Q", len(payload)) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def archive(*sections: bytes) -> bytes:
    """Preamble, sections and the end section that fits them."""
    critical = [s for s in sections if s[:1].isupper()]
    return PREAMBLE + b"".join(sections) + section(b"DONE", hashlib.sha256(PREAMBLE + b"".join(critical)).digest())


HEAD_FIELDS: dict[str, tuple[str, Any]] = {
    "pictures": ("<I", 3),
    "seed": ("<Q", 2026),
    "latent_step": ("<d", 1.0),
    "name": ("text", b"photo-1"),
    "class_name": ("text", b"CodingAutoencoder"),
    "weights_sha256": ("bytes", bytes(range(32))),
    "config_sha256": ("bytes", bytes(range(32, 64))),
    "weight_bytes": ("<Q", 6_000_000),
    "latent_channels": ("<H", 1),
    "downsampling": ("<B", 8),
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


def head(**changes: Any) -> bytes:
    """HEAD with some fields changed."""
    return section(b"HEAD", with_changes(HEAD_FIELDS, changes))


def deno(**changes: Any) -> bytes:
    """DENO with some fields changed."""
    return section(b"DENO", with_changes(DENO_FIELDS, changes))


def with_changes(fields: dict[str, tuple[str, Any]], changes: dict[str, Any]) -> bytes:
    """Fields one after the other, at their usual values where nothing else is asked for."""
    payload = b""
    for name, (layout, usual) in fields.items():
        value = changes.get(name, usual)
        if layout == "text":
            payload += bytes([len(value)]) + value
        else:
            payload += value if layout == "bytes" else struct.pack(layout, value)
    return payload


def sizes(shapes: Sequence[tuple[int, int]], packed: bytes) -> bytes:
    """IMGS."""
    listed = b"".join(struct.pack("<II", *shape) for shape in shapes)
    return section(b"IMGS", struct.pack("<I", len(shapes)) + listed + packed)


def weights(packed: bytes, form: tuple[int, int, int, int] = (0, 4, 3, 7), count: int = WEIGHTS) -> bytes:
    """WGHT."""
    return section(b"WGHT", struct.pack("<BBBhQ", *form, count) + packed)


def integers(stream: bytes, count: int = WEIGHTS) -> bytes:
    """WGHT of format 1."""
    return section(b"WGHT", struct.pack("<BQ", 1, count) + stream)


def short_code(streams: Sequence[bytes], level: int = 5, bits: int = 3, table: bytes | None = None) -> bytes:
    """CODE of short codes; the table of first bytes and lengths is stored unless another one is given."""
    firsts = b"".join(stream[:1] for stream in streams)
    table = stored(firsts + pack([len(stream) - 1 for stream in streams], bits)) if table is None else table
    return code([stream[1:] for stream in streams], 128 + level, bits, table)


def code(streams: Sequence[bytes], level: int = 5, bits: int = 3, table: bytes | None = None) -> bytes:
    """CODE; the table of lengths is stored unless another one is given."""
    table = stored(pack([len(stream) for stream in streams], bits)) if table is None else table
    fields = struct.pack("<B32sBQ", level, MODEL_SHA256, bits, len(table))
    return section(b"CODE", fields + table + b"".join(streams))


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


def names(*listed: bytes) -> bytes:
    """name, stored."""
    return section(b"name", stored(b"\n".join(listed)))


def canary(index: int = 1, sums: Sequence[int] = tuple(range(0, 4081, 272))) -> bytes:
    """cnry."""
    return section(b"cnry", struct.pack(f"<I{len(sums)}H", index, *sums))


def qualities(lowest: int, bits: int, codes: Sequence[int]) -> bytes:
    """qual, stored."""
    return section(b"qual", struct.pack("<HB", lowest, bits) + stored(pack(codes, bits)))


SHAPES = [(8, 16), (24, 8)]
MODEL_SHA256 = bytes(range(64, 96))
STREAMS = [b"\0", b"codes", b"of\xff\n"]
CODES = [(7 * i + 3) % 256 for i in range(WEIGHTS)]
HEAD = head()
DENO = deno()
SIZES = sizes(SHAPES, stored(pack([1, 0, 1], 1)))
WGHT = weights(stored(bytes(CODES)))
CODE = code(STREAMS)
NAMES = names(b"a.png", b"b/c.jpg", "é.webp".encode())
MINIMAL = archive(HEAD, SIZES, DENO, WGHT)
COMPLETE = archive(HEAD, SIZES, DENO, WGHT, NAMES)
BOMB = 20_000


def damaged(data: bytes, part: bytes) -> bytes:
    """One bit of a section's payload turned over, its CRC left."""
    at = data.index(part) + len(part) - 6
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def expected(
    weight_codes: Sequence[int] | None, form: tuple[int, int, int] = (4, 3, 7), **values: Any
) -> dict[str, Any]:
    """What a reader must find in a valid file; no network and no steps where there are no weight codes."""
    usual = {
        "pictures": 3,
        "seed": 2026,
        "steps": None,
        "network": None,
        "sizes": [[24, 8], [8, 16], [24, 8]],
        "names": None,
        "psnrs": None,
        "index_of_position": index_of_position(2026, 3),
        "weights_sha256": None,
        "first_weights": None,
        "codes": None,
    }
    return usual | (network_values(weight_codes, *form) if weight_codes else {}) | values


def network_values(weight_codes: Sequence[int], exponent_bits: int, mantissa_bits: int, bias: int) -> dict[str, Any]:
    """Values of a file with the usual DENO and these weight codes."""
    sign = 1 << (exponent_bits + mantissa_bits)
    floats = [float(magnitude(c & (sign - 1), mantissa_bits, bias)) * (-1 if c & sign else 1) for c in weight_codes]
    return {
        "steps": 4,
        "network": {"condition": "cag", "index_embedding": "grf", "prediction": "x0"},
        "weights_sha256": hashlib.sha256(struct.pack(f"<{len(floats)}f", *floats)).hexdigest(),
        "first_weights": [float32_bits(f) for f in floats[:4]],
    }


def integer_values(rows: Sequence[Sequence[int]], steps: Sequence[int]) -> dict[str, Any]:
    """Weights of a file of format 1."""
    exact = [value * step_size(step) for row, step in zip(rows, steps, strict=True) for value in row]
    floats = [float(value) for value in exact]
    packed = struct.pack(f"<{len(floats)}f", *floats)
    assert [Fraction(value) for value in struct.unpack(f"<{len(floats)}f", packed)] == exact
    return {
        "steps": 4,
        "weights_sha256": hashlib.sha256(packed).hexdigest(),
        "first_weights": [float32_bits(f) for f in floats[:4]],
        "network": {"condition": "cag", "index_embedding": "grf", "prediction": "x0"},
    }


def canary_values(index: int, pixels: Sequence[Sequence[Sequence[int]]]) -> dict[str, Any]:
    """What cnry holds for a picture of rows of (red, green, blue)."""
    height, width = len(pixels), len(pixels[0])
    sums = []
    for k in range(16):
        top, left = (2 * (k // 4) + 1) * height // 8 - 2, (2 * (k % 4) + 1) * width // 8 - 2
        rows = [min(max(row, 0), height - 1) for row in range(top, top + 4)]
        columns = [min(max(column, 0), width - 1) for column in range(left, left + 4)]
        sums.append(sum(pixels[row][column][k % 3] for row in rows for column in columns))
    return {"pixels": pixels, "hex": (struct.pack("<I16H", index, *sums)).hex(), "index": index, "sums": sums}


def code_values(streams: Sequence[bytes], level: int = 5, *, short: bool = False) -> dict[str, Any]:
    """Values of a CODE."""
    listed = [stream.hex() for stream in streams]
    return {"level": level, "short": short, "model_sha256": MODEL_SHA256.hex(), "streams": listed}


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
INTEGERS = integers(integer_stream(ROWS, STEPS, CLASSES))
# Every shift, far values, the largest ones, and steps and classes at both ends of what there is.
WIDE_ROWS = integer_rows(16, 9)
WIDE_ROWS[20] = [32767, -32767, 0, 1, -1, 24, -24, 25, -25, 12287, -12288, 4096, -4096, 5, -7, 300]
WIDE_ROWS[40:53] = [[(-1) ** j * ((j << i) % 32768) for j in range(16)] for i in range(13)]
WIDE_STEPS = [i % 2 * 255 for i in range(len(WIDE_ROWS))]
WIDE_CLASSES = [12 + 3 * (i % 5) for i in range(len(WIDE_ROWS))]
WIDE_CLASSES[19:22] = [0, 67, 0]
WIDE_CLASSES[40:53] = [17 + 4 * i for i in range(13)]

FLOAT32_CODES = [struct.unpack("<I", struct.pack("<f", (i - 134) / 7))[0] for i in range(WEIGHTS)]


def valid_files() -> list[tuple[str, str, bytes, dict[str, Any]]]:
    """(name, clause, bytes, expected values)."""
    listed = ["a.png", "b/c.jpg", "é.webp"]
    wide = integer_stream(WIDE_ROWS, WIDE_STEPS, WIDE_CLASSES, 38, 30)
    one = archive(head(pictures=1), sizes([(1, 65536)], stored(b"")), DENO, WGHT)
    float32 = weights(stored(pack(FLOAT32_CODES, 32)), (0, 8, 23, 127))
    other_order = archive(HEAD, section(b"nOTE", b"?"), NAMES, WGHT, DENO, SIZES, section(b"zzzz", b""))
    long = [b"\0", bytes(range(256)) * 2, b"\1\2"]
    short = [bytes([i]) for i in range(128)]  # their lengths are 16 bytes of 11111111: a frame of one run
    run = b"\x28\xb5\x2f\xfd\x20\x10" + (16 << 3 | 3).to_bytes(3, "little") + b"\xff"
    many = archive(head(pictures=128), sizes([(8, 8)], stored(b"")), code(short, 0, 1, zstd(16, run)))
    return [
        ("minimal", "UNI-10", MINIMAL, expected(CODES)),
        ("complete", "UNI-60", COMPLETE, expected(CODES, names=listed)),
        ("unknown-ancillary-sections-in-any-order", "UNI-12", other_order, expected(CODES, names=listed)),
        ("one-picture-one-size", "UNI-40", one, expected(CODES, pictures=1, sizes=[[1, 65536]], index_of_position=[0])),
        (
            "weights-compressed",
            "UNI-23",
            archive(HEAD, SIZES, DENO, weights(zstd(WEIGHTS, zeros_frame(WEIGHTS)))),
            expected([0] * WEIGHTS),
        ),
        ("weights-32-bits", "UNI-55", archive(HEAD, SIZES, DENO, float32), expected(FLOAT32_CODES, (8, 23, 127))),
        (
            "weights-integer",
            "UNI-105",
            archive(HEAD, SIZES, DENO, INTEGERS),
            expected(None, **integer_values(ROWS, STEPS)),
        ),
        (
            "weights-integer-of-two-lanes",
            "UNI-106",
            archive(HEAD, SIZES, deno(hidden_size=16), integers(wide, sum(row_lengths(16)))),
            expected(None, **integer_values(WIDE_ROWS, WIDE_STEPS)),
        ),
        (
            "codes",
            "UNI-58",
            archive(HEAD, SIZES, CODE, NAMES),
            expected(None, names=listed, codes=code_values(STREAMS)),
        ),
        (
            "codes-of-512-bytes",
            "UNI-58",
            archive(HEAD, SIZES, code(long, level=15, bits=10)),
            expected(None, codes=code_values(long, level=15)),
        ),
        (
            "short-codes",
            "UNI-110",
            archive(HEAD, SIZES, short_code(STREAMS), NAMES),
            expected(None, names=listed, codes=code_values(STREAMS, short=True)),
        ),
        (
            "short-codes-of-one-byte",
            "UNI-58",
            archive(HEAD, SIZES, short_code([b"\0", b"\1", b"\0"], level=19, bits=0)),
            expected(None, codes=code_values([b"\0", b"\1", b"\0"], level=19, short=True)),
        ),
        (
            "codes-and-a-change-of-the-decoder",
            "UNI-96",
            archive(HEAD, SIZES, CODE, section(b"TUNE", b"\x10rows")),
            expected(None, codes=code_values(STREAMS)),
        ),
        (
            "codes-with-a-compressed-table",
            "UNI-23",
            many,
            expected(
                None,
                pictures=128,
                sizes=[[8, 8]] * 128,
                index_of_position=index_of_position(2026, 128),
                codes=code_values(short, level=0),
            ),
        ),
        (
            "qualities",
            "UNI-65",
            archive(HEAD, SIZES, CODE, qualities(2417, 10, [0, 1023, 1022])),
            expected(None, codes=code_values(STREAMS), psnrs=[2417, None, 3439]),
        ),
        (
            "all-identical",
            "UNI-65",
            archive(HEAD, SIZES, DENO, WGHT, NAMES, qualities(0, 0, [])),
            expected(CODES, names=listed, psnrs=[None] * 3),
        ),
        (
            "canary",
            "UNI-94",
            archive(HEAD, SIZES, CODE, canary()),
            expected(None, codes=code_values(STREAMS), canary={"index": 1, "sums": list(range(0, 4081, 272))}),
        ),
        *networks(),
    ]


def networks() -> list[tuple[str, str, bytes, dict[str, Any]]]:
    """A file of each condition, each index embedding and each prediction that the others do not have."""
    usual = {"condition": "cag", "index_embedding": "grf", "prediction": "x0"}
    kinds: list[tuple[dict[str, str], dict[str, int], int]] = [
        ({"prediction": "noise"}, {"prediction": 1}, WEIGHTS),
    ]
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
        data = archive(HEAD, SIZES, deno(**change), weights(stored(bytes(codes)), count=count))
        listed.append((f"network-{'-'.join(named.values())}", "UNI-54", data, expected(codes, network=usual | named)))
    return listed


def framing_errors() -> list[tuple[str, str, str, bytes]]:
    """(name, clause, error, bytes) of files whose sections are wrong."""
    done = MINIMAL[-48:]
    body = MINIMAL[len(PREAMBLE) : -48]
    many = [section(bytes([97 + i // 26 // 26, 97 + i // 26 % 26, 97 + i % 26, 97]), b"") for i in range(260)]
    return [
        ("empty", "UNI-01", "NotUniFile", b""),
        ("signature-of-a-text-transfer", "UNI-01", "NotUniFile", MINIMAL.replace(b"\r\n", b"\n")),
        ("preamble-cut", "UNI-04", "TruncatedFile", PREAMBLE[:10]),
        ("version-0", "UNI-02", "UnsupportedVersion", SIGNATURE + b"\0\0\0\0" + body + done),
        ("version-2", "UNI-02", "UnsupportedVersion", SIGNATURE + b"\2\0\0\0" + body + done),
        ("preamble-reserved", "UNI-03", "InvalidField", SIGNATURE + b"\1\0\1\0" + body + done),
        ("no-end-section", "UNI-04", "TruncatedFile", MINIMAL[:-48]),
        ("length-over-the-file", "UNI-04", "TruncatedFile", PREAMBLE + b"HEAD" + b"\xff" * 8 + bytes(40)),
        ("type-with-a-digit", "UNI-05", "InvalidField", archive(HEAD, SIZES, DENO, WGHT, section(b"na3e", b""))),
        ("critical-section-damaged", "UNI-06", "ChecksumMismatch", damaged(MINIMAL, WGHT)),
        ("ancillary-section-damaged", "UNI-07", "ChecksumMismatch", damaged(COMPLETE, NAMES)),
        ("head-not-first", "UNI-08", "InvalidField", archive(SIZES, HEAD, DENO, WGHT)),
        ("section-twice", "UNI-09", "InvalidField", archive(HEAD, SIZES, DENO, WGHT, WGHT)),
        ("sizes-missing", "UNI-10", "InvalidField", archive(HEAD, DENO, WGHT)),
        ("weights-missing", "UNI-10", "InvalidField", archive(HEAD, SIZES, DENO)),
        ("weights-missing-beside-codes", "UNI-10", "InvalidField", archive(HEAD, SIZES, DENO, CODE)),
        ("network-missing", "UNI-10", "InvalidField", archive(HEAD, SIZES, WGHT)),
        ("network-missing-beside-codes", "UNI-10", "InvalidField", archive(HEAD, SIZES, WGHT, CODE)),
        ("neither-network-nor-codes", "UNI-10", "InvalidField", archive(HEAD, SIZES)),
        ("network-and-codes", "UNI-10", "InvalidField", archive(HEAD, SIZES, DENO, WGHT, CODE)),
        ("unknown-critical-section", "UNI-11", "UnsupportedVersion", archive(HEAD, SIZES, CODE, section(b"MORE", b""))),
        ("digest-of-another-file", "UNI-13", "ChecksumMismatch", PREAMBLE + body + section(b"DONE", bytes(32))),
        ("digest-too-short", "UNI-13", "InvalidField", PREAMBLE + body + section(b"DONE", bytes(31))),
        ("bytes-after-the-end", "UNI-14", "InvalidField", MINIMAL + b"\0"),
        ("too-many-sections", "UNI-15", "InvalidField", archive(HEAD, SIZES, DENO, WGHT, *many)),
        ("head-too-short", "UNI-16", "InvalidField", archive(section(b"HEAD", HEAD[12:-5]), SIZES, CODE)),
        ("head-too-long", "UNI-16", "InvalidField", archive(section(b"HEAD", HEAD[12:-4] + b"\0"), SIZES, CODE)),
        ("deno-too-short", "UNI-16", "InvalidField", archive(HEAD, SIZES, section(b"DENO", DENO[12:-5]), WGHT)),
        ("deno-too-long", "UNI-16", "InvalidField", archive(HEAD, SIZES, section(b"DENO", DENO[12:-4] + b"\0"), WGHT)),
    ]


def head_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose HEAD holds a value that is not allowed."""
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("string-not-utf-8", "UNI-17", {"name": b"\xff"}),
        ("string-with-a-control-character", "UNI-17", {"name": b"\x1b[2J"}),
        ("no-pictures", "UNI-30", {"pictures": 0}),
        ("too-many-pictures", "UNI-30", {"pictures": (1 << 24) + 1}),
        ("latent-step-not-a-number", "UNI-31", {"latent_step": float("nan")}),
        ("latent-step-zero", "UNI-31", {"latent_step": 0.0}),
        ("no-channels", "UNI-32", {"latent_channels": 0}),
        ("downsampling-3", "UNI-32", {"downsampling": 3}),
        ("autoencoder-bytes", "UNI-33", {"weight_bytes": 1 << 63}),
    ]
    return [(name, clause, "InvalidField", archive(head(**change), SIZES, CODE)) for name, clause, change in changes]


def deno_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose DENO holds a value that is not allowed."""
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
    listed = [(name, clause, deno(**change)) for name, clause, change in changes]
    # A mean and a deviation for each of two channels, while HEAD has one.
    listed.append(("deno-of-other-channels", "UNI-16", section(b"DENO", DENO[12:21] + DENO[21:37] * 2 + DENO[37:-4])))
    return [(name, clause, "InvalidField", archive(HEAD, SIZES, part, WGHT)) for name, clause, part in listed]


def size_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose IMGS is wrong, alone or as packed bytes."""
    ids = stored(pack([1, 0, 1], 1))
    three = [(8, 8), (8, 16), (24, 8)]
    payloads: list[tuple[str, str, bytes]] = [
        ("sizes-none", "UNI-40", sizes([], stored(b""))),
        ("sizes-more-than-pictures", "UNI-40", sizes([(1, n) for n in range(1, 5)], stored(pack([0, 1, 2], 2)))),
        ("size-list-cut", "UNI-16", section(b"IMGS", struct.pack("<III", 2, 8, 16))),
        ("side-zero", "UNI-41", sizes([(0, 16), (24, 8)], ids)),
        ("side-over-limit", "UNI-41", sizes([(8, 16), (65537, 8)], ids)),
        ("sizes-not-ascending", "UNI-42", sizes([(24, 8), (8, 16)], ids)),
        ("size-twice", "UNI-42", sizes([(8, 16), (8, 16)], ids)),
        ("size-number-over-count", "UNI-43", sizes(three, stored(pack([0, 1, 3], 2)))),
        ("size-unused", "UNI-44", sizes(SHAPES, stored(pack([0, 0, 0], 1)))),
        ("picture-too-large", "UNI-45", sizes([(16384, 16385)], stored(b""))),
        ("packed-cut", "UNI-16", sizes(SHAPES, ids[:8])),
        ("packed-method-2", "UNI-20", sizes(SHAPES, b"\2" + ids[1:])),
        ("packed-over-limit", "UNI-21", sizes(SHAPES, stored(b"\xa0\0"))),
        ("packed-length-wrong", "UNI-22", sizes(SHAPES, ids + b"\0")),
        ("codes-too-short", "UNI-25", sizes(SHAPES, stored(b""))),
        ("codes-padding-set", "UNI-26", sizes(SHAPES, stored(b"\xa1"))),
    ]
    cases = [(name, clause, "InvalidField", archive(HEAD, part, DENO, WGHT)) for name, clause, part in payloads]
    # As long as so many pictures ask for.
    huge = archive(
        head(pictures=65537), sizes([(16384, 16384)], stored(b"")), DENO, WGHT, section(b"zzzz", bytes(8192))
    )
    many = archive(head(pictures=8192), sizes([(8, 8)], stored(b"")), DENO, WGHT)
    return [
        *cases,
        ("pixels-over-limit", "UNI-46", "InvalidField", huge),
        ("pictures-over-the-bytes", "UNI-47", "InvalidField", many),
    ]


def weight_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose WGHT is wrong."""
    good = stored(bytes(CODES))
    frame = zeros_frame(WEIGHTS)
    above = stored(pack([0x7F800000, *FLOAT32_CODES[1:]], 32))
    payloads: list[tuple[str, str, bytes]] = [
        ("zstd-frame-garbage", "UNI-23", weights(zstd(WEIGHTS, b"garbage"))),
        ("zstd-frame-damaged", "UNI-23", weights(zstd(WEIGHTS, frame[:7] + b"\x07" + frame[8:]))),
        ("zstd-frame-cut", "UNI-23", weights(zstd(WEIGHTS, frame[:-1]))),
        ("zstd-frame-followed-by-a-byte", "UNI-23", weights(zstd(WEIGHTS, frame + b"\0"))),
        ("zstd-frame-followed-by-a-frame", "UNI-23", weights(zstd(WEIGHTS, frame + frame))),
        ("zstd-frame-of-other-length", "UNI-23", weights(zstd(WEIGHTS, zeros_frame(WEIGHTS - 1)))),
        (
            "zstd-frame-without-length",
            "UNI-23",
            weights(zstd(WEIGHTS, b"\x28\xb5\x2f\xfd\x00\x00" + (WEIGHTS << 3 | 3).to_bytes(3, "little") + b"\0")),
        ),
        ("zstd-frame-not-shorter", "UNI-24", weights(zstd(8, zeros_frame(256)))),
        ("zstd-expands-too-far", "UNI-24", weights(zstd(BOMB, zeros_frame(BOMB)), count=BOMB)),
        ("weight-format-2", "UNI-50", weights(good, (2, 4, 3, 7))),
        ("exponent-bits-1", "UNI-51", weights(good, (0, 1, 6, 7))),
        ("exponent-bits-9", "UNI-51", weights(good, (0, 9, 1, 7))),
        ("mantissa-bits-0", "UNI-51", weights(good, (0, 7, 0, 7))),
        ("weight-of-7-bits", "UNI-51", weights(good, (0, 4, 2, 7))),
        ("bias-too-low", "UNI-51", weights(good, (0, 4, 3, -114))),
        ("bias-too-high", "UNI-51", weights(good, (0, 4, 3, 148))),
        ("no-weights", "UNI-52", weights(stored(b""), count=0)),
        ("too-many-weights", "UNI-52", weights(good, count=(1 << 28) + 1)),
        ("weight-above-float32", "UNI-53", weights(above, (0, 8, 23, 127))),
        ("weights-of-another-network", "UNI-54", weights(stored(bytes(CODES[1:])), count=WEIGHTS - 1)),
    ]
    listed = [(name, clause, "InvalidField", archive(HEAD, SIZES, DENO, part)) for name, clause, part in payloads]
    # The table has a row a picture: 3, not 2.
    table = weights(stored(bytes(WEIGHTS + 8)), count=WEIGHTS + 8)
    rows = archive(HEAD, SIZES, deno(index_embedding=2), table)
    return [*listed, ("weights-of-a-table-for-2-pictures", "UNI-54", "InvalidField", rows)]


def integer_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose WGHT of format 1 is wrong."""
    good = INTEGERS[21:-4]
    payloads: list[tuple[str, str, bytes]] = [
        ("integer-weights-none", "UNI-52", integers(good, 0)),
        ("integer-weights-too-many", "UNI-52", integers(good, (1 << 28) + 1)),
        ("integer-weights-of-another-network", "UNI-54", integers(good, WEIGHTS - 1)),
        ("integer-weights-cut-in-their-head", "UNI-16", section(b"WGHT", INTEGERS[12:20])),
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
    return [(name, clause, "InvalidField", archive(HEAD, SIZES, DENO, part)) for name, clause, part in payloads]


def code_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose CODE is wrong."""
    table = CODE[54:65]
    payload, short_payload = CODE[12:-4], short_code(STREAMS)[12:-4]
    payloads: list[tuple[str, str, bytes]] = [
        ("code-cut-in-its-head", "UNI-16", section(b"CODE", payload[:41])),
        ("code-table-over-the-payload", "UNI-16", section(b"CODE", payload[:34] + b"\xff" * 8 + payload[42:])),
        ("code-table-over-limit", "UNI-21", code(STREAMS, table=stored(bytes(3)))),
        ("code-table-cut", "UNI-25", code(STREAMS, table=stored(b"\x2a"))),
        ("code-table-padding-set", "UNI-26", code(STREAMS, table=table[:-1] + bytes([table[-1] | 1]))),
        ("code-level-20", "UNI-57", code(STREAMS, level=20)),
        ("code-lengths-of-0-bits", "UNI-58", code(STREAMS, bits=0, table=stored(b""))),
        ("code-lengths-of-33-bits", "UNI-58", code(STREAMS, bits=33)),
        ("code-lengths-wider-than-needed", "UNI-58", code(STREAMS, bits=4)),
        ("code-empty", "UNI-58", code([b"", b"codes", b"code"])),
        ("codes-all-empty", "UNI-58", code([b"", b"", b""], bits=1)),
        ("codes-cut", "UNI-59", section(b"CODE", payload[:-1])),
        ("codes-followed-by-a-byte", "UNI-59", section(b"CODE", payload + b"\0")),
        ("short-code-level-20", "UNI-57", short_code(STREAMS, level=20)),
        ("short-code-lengths-wider-than-needed", "UNI-58", short_code(STREAMS, bits=4)),
        ("short-codes-cut", "UNI-59", section(b"CODE", short_payload[:-1])),
        ("short-codes-followed-by-a-byte", "UNI-59", section(b"CODE", short_payload + b"\0")),
        ("short-codes-without-a-first-byte", "UNI-110", short_code([b"\0"] * 3, bits=0, table=stored(b"\0\0"))),
        ("change-of-rank-17", "UNI-96", CODE + section(b"TUNE", b"\x11rows")),
        ("change-without-a-rank", "UNI-96", CODE + section(b"TUNE", b"")),
        ("change-without-codes", "UNI-97", DENO + WGHT + section(b"TUNE", b"\0rows")),
    ]
    cases = [(name, clause, "InvalidField", archive(HEAD, SIZES, part)) for name, clause, part in payloads]
    return [
        *cases,
        ("codes-of-127-channels", "UNI-90", "InvalidField", archive(head(latent_channels=127), SIZES, CODE)),
    ]


def name_errors() -> list[tuple[str, str, str, bytes]]:
    """Files whose names or PSNRs are wrong: an error for who verifies, a warning for who unpacks."""
    long = b"x" * 4097
    payloads: list[tuple[str, str, bytes]] = [
        ("names-too-few", "UNI-60", names(b"a", b"b")),
        ("name-too-long", "UNI-61", names(b"a", b"b", long)),
        ("name-empty", "UNI-61", names(b"", b"a", b"b")),
        ("name-not-utf-8", "UNI-62", names(b"a", b"b", b"\xff")),
        ("name-with-a-control-character", "UNI-62", names(b"a", b"b", b"c\x07")),
        ("name-with-a-backslash", "UNI-62", names(b"..\\a", b"b", b"c")),
        ("name-absolute", "UNI-63", names(b"/etc/a", b"b", b"c")),
        ("name-climbs", "UNI-63", names(b"a", b"b/../../c", b"d")),
        ("name-with-a-dot", "UNI-63", names(b"a", b"b/.", b"c")),
        ("name-with-an-empty-component", "UNI-63", names(b"a", b"b//c", b"d")),
        ("names-not-ascending", "UNI-64", names(b"b", b"a", b"c")),
        ("name-twice", "UNI-64", names(b"a", b"a", b"b")),
    ]
    payloads += [
        ("qualities-cut", "UNI-16", section(b"qual", b"\0\1")),
        ("qualities-too-few", "UNI-25", qualities(2417, 10, [0, 1])),
        ("qualities-of-16-bits", "UNI-65", qualities(0, 16, [0, 1, 2])),
        ("quality-over-limit", "UNI-66", qualities(19_000, 10, [0, 1001, 1023])),
        ("lowest-quality-over-limit", "UNI-66", qualities(20_001, 1, [0, 1, 0])),
    ]
    return [(name, clause, "InvalidField", archive(HEAD, SIZES, CODE, part)) for name, clause, part in payloads]


def canary_errors() -> list[tuple[str, str, bytes]]:
    """Files whose cnry is wrong."""
    payloads = [
        ("canary-of-no-picture", canary(index=3)),
        ("canary-too-bright", canary(sums=[0] * 15 + [4081])),
        ("canary-too-short", canary(sums=[0] * 15)),
        ("canary-too-long", canary(sums=[0] * 17)),
    ]
    return [(name, "InvalidField", archive(HEAD, SIZES, CODE, part)) for name, part in payloads]


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
    """The codes of all pictures of a file, by position, and what one of them, of 8 by 8 pixels, decodes to."""
    later = [b"\xff\3\1" + unit for unit in FILM[1:]]
    film = [b"\xff\2" + FILM[0], *later]
    frames = FILM[0][14:]
    spread = [film[0], b"\xff\0" + FULL_CHROMA, b"\xff\3\2" + FILM[1]]
    far = [film[0], *[b"\0"] * 199, b"\xff\3\xc8\1" + FILM[1]]
    valid = [
        ("first", film, 0, RED),
        ("second", film, 1, RED),
        ("third", film, 2, BLUE),
        ("last", film, 3, RED),
        ("with-another-picture-between", spread, 2, RED),
        ("distance-of-two-bytes", far, 200, RED),
    ]
    beginning = b"\xff\2"
    invalid = [
        ("nothing-before", "UNI-108", later, 0),
        ("before-the-first-picture", "UNI-108", [film[0], b"\xff\3\2" + FILM[1]], 1),
        ("distance-0", "UNI-108", [film[0], b"\xff\3\0" + FILM[1]], 1),
        ("distance-longer-than-needed", "UNI-108", [film[0], b"\xff\3\x81\0" + FILM[1]], 1),
        ("distance-of-5-bytes", "UNI-108", [film[0], b"\xff\3\x81\x80\x80\x80\1" + FILM[1]], 1),
        ("distance-cut", "UNI-108", [film[0], b"\xff\3\x81"], 1),
        ("of-an-picture-of-no-sequence", "UNI-108", [b"\xff\0" + FULL_CHROMA, later[0]], 1),
        ("65-pictures", "UNI-108", [film[0], *[later[0]] * 64], 64),
        ("still-picture", "UNI-109", [beginning + FULL_CHROMA], 0),
        ("no-unit", "UNI-109", [beginning], 0),
        ("no-frame", "UNI-109", [beginning + FILM[0][:14]], 0),
        ("temporal-delimiter", "UNI-109", [beginning + b"\x12\0" + FILM[0]], 0),
        ("second-sequence-header", "UNI-109", [beginning + FILM[0] + FILM[0][:14]], 0),
        ("later-sequence-header", "UNI-109", [film[0], b"\xff\3\1" + FILM[0]], 1),
        ("later-nothing", "UNI-109", [film[0], b"\xff\3\1"], 1),
        ("another-size", "UNI-109", [beginning + film_header(side=9) + frames], 0),
        ("profile-2", "UNI-109", [beginning + film_header("010" + "0000" + "00000") + frames], 0),
        ("timed", "UNI-109", [beginning + film_header("000" + "0010" + "00000") + frames], 0),
        ("two-operating-points", "UNI-109", [beginning + film_header("000" + "0000" + "00001") + frames], 0),
        ("10-bits", "UNI-109", [beginning + film_header(colour="10") + frames], 0),
        ("monochrome", "UNI-109", [beginning + film_header(colour="01") + frames], 0),
        ("sequence-header-cut", "UNI-109", [beginning + obu(0x0A, film_header()[2:6]) + frames], 0),
    ]
    return [
        {"name": name, "codes": [code.hex() for code in codes], "position": position, "colour": colour}
        for name, codes, position, colour in valid
    ] + [
        {
            "name": name,
            "codes": [code.hex() for code in codes],
            "position": position,
            "error": "InvalidField",
            "clause": clause,
        }
        for name, clause, codes, position in invalid
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
    payload_errors = head_errors() + deno_errors() + size_errors() + weight_errors() + integer_errors() + code_errors()
    for name, clause, error, data in framing_errors() + payload_errors:
        # A damaged ancillary section stops nobody who only wants the pictures.
        write(f"invalid-{name}.uni", clause, data, error=error, warning_only=clause == "UNI-07")
    for name, clause, error, data in name_errors():
        write(f"invalid-{name}.uni", clause, data, error=error, warning_only=True)
    for name, error, data in canary_errors():
        write(f"invalid-{name}.uni", "UNI-94", data, error=error, warning_only=True)
    tables = [
        ("canary.json", "UNI-95", canary_cases()),
        ("generator.json", "UNI-70", generator_values()),
        ("index-map.json", "UNI-72", index_map_values()),
        ("bit-packing.json", "UNI-25", bit_packing_values()),
        ("weight-codes.json", "UNI-55", weight_code_values()),
        ("rans.json", "UNI-86", rans_values()),
        ("integer-weights.json", "UNI-104", integer_weight_values()),
        ("avif-codes.json", "UNI-91", avif_code_values()),
        ("sequences.json", "UNI-108", sequence_values()),
    ]
    for name, clause, table in tables:
        write(name, clause, as_json(table))
    (folder / "manifest.json").write_bytes(as_json(entries))


def as_json(value: Any) -> bytes:
    """Readable JSON, the same bytes everywhere."""
    return (json.dumps(value, indent=1, ensure_ascii=True) + "\n").encode()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "vectors")
