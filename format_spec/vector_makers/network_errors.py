"""Files whose networks, updates or weights are wrong."""

import struct
from typing import Any

from vector_makers.fields import leb, pack, stored, zeros_frame, zstd
from vector_makers.integer_weights import integer_stream
from vector_makers.networks import (
    CLASSES,
    CODES,
    FLOAT32_CODES,
    FLOATS,
    NETWORK,
    ROWS,
    STEPS,
    STREAM,
    WEIGHTS,
    floats,
    integers,
    network,
)
from vector_makers.sample_archives import Invalid, of_network, usual

BOMB = 20_000


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
