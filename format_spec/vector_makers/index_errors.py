"""Files whose index, names or footer are wrong."""

import hashlib
from collections.abc import Sequence

from vector_makers.archive import DECODER_FIELDS, ID, PREAMBLE, File, Picture, Place, add_runs, chunk
from vector_makers.fields import changed, column, leb, stored
from vector_makers.sample_archives import Invalid, canary, three, usual

IN_ROWS = leb(0) + leb(3) + leb(0) + b"\0"
"""Head of the names of three rows, in their order, as lines."""


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
        ("codec-unknown", "UNI-49", {"codecs": column([1, 1, 10])}),
        ("page-without-a-picture", "UNI-49", {"codecs": column([0, 0, 0])}),
        ("decoder-that-is-not-there", "UNI-58", {"decoders": column([0, 0, 1])}),
        ("offsets-of-kind-2", "UNI-59", {"kind": b"\2"}),
        ("record-without-bytes", "UNI-64", {"lengths": column([0, 9, 9])}),
        ("network-with-a-record", "UNI-64", {"codecs": column([1, 1, 5])}),
        ("psnr-over-limit", "UNI-64", {"psnrs": column([0, 0, 2_003])}),
        ("times-of-none", "UNI-147", {"times": column([0, 0, 0])}),
        ("times-too-far", "UNI-147", {"times": column([1, 1, 2 << 40])}),
    ]

    def listed(*names: bytes, first: int = 0, count: int = 3) -> bytes:
        return leb(first) + leb(count) + leb(0) + b"\0" + stored(b"\n".join(names))

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
        ("names-over-limit", "UNI-21", IN_ROWS + stored(bytes(3 * 4097 + 1))),
        ("packed-length-wrong", "UNI-22", IN_ROWS + leb(2 * 6) + b"a\nb\nc"),
        ("names-drawn-beyond-a-page", "UNI-155", leb(0) + leb(3) + leb(1025) + leb(7) + b"\0" + stored(b"a\nb\nc")),
        ("names-of-layout-2", "UNI-156", leb(0) + leb(3) + leb(0) + b"\2" + stored(b"a\nb\nc")),
        ("names-in-broken-columns", "UNI-156", leb(0) + leb(3) + leb(0) + b"\1" + stored(b"abcd")),
        ("names-in-columns-with-a-zero-within", "UNI-62", leb(0) + leb(3) + leb(0) + b"\1" + stored(b"abc\0\0\0x\0\0")),
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
        ("totals-of-an-unknown-codec", "UNI-68", {"totals": leb(1) + leb(10) + leb(3) + leb(99)}),
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
    unlike = File()
    unlike.decoder()
    unlike.records(three(), is_wrong=True)
    unlike.root = unlike.leaf()
    between = File(PREAMBLE + chunk("H", ID + leb(0) + leb(0)) + b"?")
    between.decoder()
    between.records(three())
    between.root = between.leaf()
    return [
        ("records-not-ascending", "UNI-45", swapped.footer()),
        ("name-that-is-not-found", "UNI-66", lost.footer()),
        ("two-heads", "UNI-18", twice.footer()),
        ("bytes-between-chunks", "UNI-19", between.footer()),
        ("pictures-of-another-checksum", "UNI-19", unlike.footer()),
        ("pixels-of-another-archive", "UNI-119", usual(footer={"pixels": leb(1)})),
        ("totals-of-another-archive", "UNI-119", usual(footer={"totals": leb(1) + leb(1) + leb(2) + leb(9)})),
    ]
