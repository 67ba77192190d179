"""Files that every reader opens."""

import struct
from dataclasses import replace

from vector_makers.archive import File, Picture, add_runs
from vector_makers.fields import column, in_columns, leb, pack, stored, tagged, zeros_frame, zstd
from vector_makers.generator import index_of_position
from vector_makers.integer_weights import integer_stream
from vector_makers.networks import (
    CODES,
    CONDITIONS,
    EMBEDDINGS,
    FLOAT32_CODES,
    FORM,
    HEAD_FIELDS,
    NETWORK,
    ROWS,
    STEPS,
    STREAM,
    WEIGHTS,
    floats,
    integer_rows,
    integer_values,
    integers,
    network,
    network_values,
    row_lengths,
)
from vector_makers.sample_archives import SUMS, USUAL, Valid, canary, expected, of_network, three, usual

# Every shift, far values, the largest ones, and steps and classes at both ends of what there is.
WIDE_ROWS = integer_rows(16, 9)
WIDE_ROWS[20] = [32767, -32767, 0, 1, -1, 24, -24, 25, -25, 12287, -12288, 4096, -4096, 5, -7, 300]
WIDE_ROWS[40:53] = [[(-1) ** j * ((j << i) % 32768) for j in range(16)] for i in range(13)]
WIDE_STEPS = [i % 2 * 255 for i in range(len(WIDE_ROWS))]
WIDE_CLASSES = [12 + 3 * (i % 5) for i in range(len(WIDE_ROWS))]
WIDE_CLASSES[19:22] = [0, 67, 0]
WIDE_CLASSES[40:53] = [17 + 4 * i for i in range(13)]


def valid_files() -> list[Valid]:
    """Files that every reader opens."""
    wide = integer_stream(WIDE_ROWS, WIDE_STEPS, WIDE_CLASSES, 38, 30)
    float32 = floats(stored(pack(FLOAT32_CODES, 32)), (0, 8, 23, 127))
    nameless = [Picture(p.index, p.code, p.size) for p in three()]
    measured = [replace(p, psnr=psnr) for p, psnr in zip(three(), (0, 1, 243), strict=True)]
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
        *orders_of_names(),
        *grown_files(),
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
    tiles = [Picture(0, b"\x01a\xff\0b", (32768, 16384), extras=tagged(5, 0, 2, 0, 3))]
    grid = [
        Picture(
            0, b"\x81a\x01b\x01c\x01d\x05plane", (16385, 20000), codec=2, extras=tagged(5, 0, 2, 0, 2, 0, 2, 0, 2, 1, 6)
        )
    ]
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
    long = [Picture(0, b"\x01" + bytes(2047)), Picture(1, b"\x01" + bytes(2048)), Picture(2)]
    times = [1_600_000_000 << 1, 9]  # the second is five seconds before 1970
    timed = [Picture(n, extras=tagged(6, number)) for n, number in enumerate(times)]
    seconds = [1_600_000_000, None, -5]
    of_index = usual(three(), leaf={"times": column([0 if t is None else t + (1 << 40) for t in seconds])})
    listed = [[p.index, t] for p, t in zip(three(), seconds, strict=True) if t is not None]
    twice = [Picture(n, extras=tagged(6, 4)) for n in range(3)]
    of_both = usual(twice, leaf={"times": column([7 + (1 << 40), 0, (1 << 40) - 7])})
    strangers = File()
    strangers.add("Q", b"a chunk of a later text")
    strangers.decoder()
    strangers.records(three())
    strangers.add("q", b"")
    strangers.root = strangers.leaf()
    whole = expected(parts) | {"pictures": [expected(parts)["pictures"][0] | {"code": b"\x01code".hex()}]}
    tiled = expected(tiles) | {"pictures": [expected(tiles)["pictures"][0] | {"code": ["0161", "ff0062"]}]}
    codes = ["8161", "0162", "0163", "0164"]
    of_grid = expected(grid, alphas=[[0, b"\x05plane".hex()]])
    of_grid["pictures"][0]["code"] = codes
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
        ("records-of-both-checksums", "UNI-149", usual(long), expected(long)),
        ("times-in-the-index", "UNI-147", of_index, expected(times=listed)),
        ("times-in-both", "UNI-148", of_both, expected(twice, times=[[0, 7], [1, 2], [2, -7]])),
        ("record-of-two-parts", "UNI-43", usual(parts), whole),
        ("record-of-two-tiles", "UNI-127", usual(tiles), tiled),
        ("record-of-four-tiles", "UNI-129", usual(grid), of_grid),
        ("sequence-that-forks", "UNI-108", usual(film), expected(film)),
        ("two-decoders", "UNI-58", two.footer(), expected(mixed)),
        ("metadata", "UNI-114", blobs.footer(), expected(blobs.pictures, blobs=[[0, 2, b"two2".hex()]])),
        ("records-with-times", "UNI-125", usual(timed), expected(timed, times=[[0, 1_600_000_000], [1, -5]])),
        ("unknown-chunks", "UNI-12", strangers.footer(), expected()),
        ("records-in-a-run", "UNI-59", file.footer(), expected()),
    ]


def orders_of_names() -> list[Valid]:
    """Files whose names are in the order of the folder, or in columns."""
    seed, drawn = 5, index_of_position(5, 4)
    folder = ["été/a9.png", "été/b10.png", "", "z"]
    pictures = [Picture(index, name=name or None) for name, index in zip(folder, drawn, strict=True)]
    pictures += [Picture(4, name="later"), Picture(5)]
    pictures.sort(key=lambda p: p.index)
    order = leb(4) + leb(seed)
    raw = [name.encode() for name in (*folder, "later", "")]
    head = leb(0) + leb(6)
    lines = head + order + b"\0" + stored(b"\n".join(raw))
    columns = head + order + b"\1" + stored(in_columns(raw))
    rows = [(p.name or "").encode() for p in pictures]
    by_row = head + leb(0) + b"\1" + stored(in_columns(rows))
    fewer = [p for p in pictures if p.index < 3]
    of_fewer = [name.encode() for name, index in zip(folder, drawn, strict=True) if index < 3]
    cut = leb(0) + leb(3) + order + b"\0" + stored(b"\n".join(of_fewer))
    return [
        ("names-as-in-the-folder", "UNI-155", usual(pictures, names=lines), expected(pictures)),
        ("names-as-in-the-folder-of-fewer-rows", "UNI-155", usual(fewer, names=cut), expected(fewer)),
        ("names-in-columns", "UNI-156", usual(pictures, names=by_row), expected(pictures)),
        ("names-in-columns-as-in-the-folder", "UNI-156", usual(pictures, names=columns), expected(pictures)),
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
