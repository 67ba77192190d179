"""Codes of AVIF pictures and of pictures of AV1 sequences."""

import struct
from typing import Any

from vector_makers.fields import leb, pack


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
