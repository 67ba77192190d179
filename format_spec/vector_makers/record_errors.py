"""Files whose chunks, decoders or records are wrong."""

import struct
from dataclasses import replace

from vector_makers.archive import PREAMBLE, SALT, SIGNATURE, File, Picture, chunk, place
from vector_makers.fields import column, leb, stored, tagged
from vector_makers.sample_archives import USUAL, Invalid, three, usual


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
        ("decoder-of-kind-3", "UNI-30", {"kind": b"\3"}),
        ("functions-without-weights", "UNI-30", {"kind": b"\2"}),
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
    film = [Picture(0, b"\x01a\xff\2b", (32768, 16384), extras=tagged(5, 0, 2, 0, 3))]
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
        ("record-with-two-planes", "UNI-140", "InvalidField", with_extras(tagged(5, 0, 3, 1, 1, 1, 1))),
        ("record-of-two-codes", "UNI-127", "InvalidField", with_extras(tagged(5, 0, 2, 0, 3))),
        ("record-with-a-tile-missing", "UNI-127", "InvalidField", usual([Picture(0, b"\x01a", (32768, 16384))])),
        ("record-with-a-tile-of-a-sequence", "UNI-128", "InvalidField", usual(film)),
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
