"""Files that are stored transcoded, and what they come back as."""

import struct
import zlib
from typing import Any

from vector_makers.fields import leb, stored
from vector_makers.stored_files import JPEG_XL, LEPTON, PNG, whole_file

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
