"""Opacity of pictures beside their codes."""

import math
import struct
from typing import Any

from vector_makers.archive import Picture
from vector_makers.fields import leb, raw_frame, tagged
from vector_makers.sample_archives import Valid, expected, usual


def files_with_opacity() -> list[Valid]:
    """A file with a plane of opacity, and one whose writers keep it."""
    plane = bytes([4]) + raw_frame(bytes(range(192)))
    clear = [Picture(0, b"\x01code" + plane, extras=tagged(5, 0, 5, 1, len(plane)))]
    with_opacity = expected(clear, alphas=[[0, plane.hex()]])
    with_opacity["pictures"][0]["code"] = b"\x01code".hex()
    return [
        ("record-with-opacity", "UNI-143", usual(clear), with_opacity),
        ("writers-keep-opacity", "UNI-146", usual(footer={"must_write": leb(1)}), expected()),
    ]


def opacity_values() -> list[dict[str, Any]]:
    """Planes of 4 by 2 pixels and their opacities, and such as a reader refuses."""
    plain = [0, 255, 7, 128, 255, 0, 64, 1]
    left = [0, 255, 8, 121, 255, 1, 64, 193]
    up = [0, 255, 7, 128, 255, 1, 57, 129]
    both = [0, 255, 8, 121, 255, 2, 56, 72]
    fives = [0, 51, 1, 26, 51, 0, 13, 0]
    frame = raw_frame(bytes(plain))
    valid = [
        ("plain", 1, 0, plain, plain),
        ("left", 1, 1, left, plain),
        ("up", 1, 2, up, plain),
        ("both", 1, 3, both, plain),
        ("step-5", 5, 0, fives, [5 * value for value in fives]),
        ("step-51", 51, 0, [5, 0, 1, 2, 3, 4, 5, 5], [255, 0, 51, 102, 153, 204, 255, 255]),
    ]
    invalid = [
        ("nothing", "UNI-141", b""),
        ("step-0", "UNI-141", b"\0" + frame),
        ("step-2", "UNI-141", b"\x08" + frame),
        ("no-frame", "UNI-141", b"\4" + bytes(plain)),
        ("frame-cut", "UNI-141", b"\4" + frame[:-1]),
        ("two-frames", "UNI-141", b"\4" + frame + frame),
        ("bytes-behind", "UNI-141", b"\4" + frame + b"\0"),
        ("too-few", "UNI-141", b"\4" + raw_frame(bytes(7))),
        ("too-many", "UNI-141", b"\4" + raw_frame(bytes(9))),
        ("no-content-size", "UNI-141", b"\4" + raw_frame(bytes(8), 10)),
        ("claims-a-gigabyte", "UNI-141", b"\4\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 1 << 30) + frame[6:]),
        ("above-255", "UNI-142", bytes([5 << 2]) + raw_frame(bytes([52, *fives[1:]]))),
    ]
    size = {"width": 4, "height": 2}
    return [
        *(
            {"name": name, **size, "hex": (bytes([step << 2 | form]) + raw_frame(bytes(held))).hex(), "opacity": values}
            for name, step, form, held, values in valid
        ),
        *(
            {"name": name, **size, "hex": data.hex(), "clause": clause, "error": "InvalidField"}
            for name, clause, data in invalid
        ),
    ]


def opacity_rounding_values() -> list[dict[str, Any]]:
    """What a writer stores of every opacity, for each step."""
    return [
        {"step": step, "stored": [(2 * opacity + step) // (2 * step) for opacity in range(256)]}
        for step in (1, 3, 5, 15, 17, 51)
    ]


def opacity_psnr_values() -> list[dict[str, Any]]:
    """Originals of 4 by 1 pixels with an opacity, other colours, and the PSNR as an index page has it."""
    colours = [
        [[10, 20, 30], [200, 100, 0], [255, 255, 255], [7, 8, 9]],
        [[11, 18, 33], [190, 99, 4], [0] * 3, [7, 8, 9]],
    ]
    opacities = [("opaque", [255, 255, 255, 255]), ("some", [255, 128, 1, 0]), ("hidden-errors", [0, 0, 0, 255])]
    return [
        {
            "name": name,
            "original": colours[0],
            "opacity": opacity,
            "decoded": colours[1],
            "psnr": psnr(colours[0], colours[1], opacity),
        }
        for name, opacity in [*opacities, ("nothing", [0, 0, 0, 0])]
    ]


def psnr(original: list[list[int]], decoded: list[list[int]], opacity: list[int]) -> int:
    """Tenths of a dB and 2, or 1 where nothing that is seen differs."""
    pixels = zip(original, decoded, opacity, strict=True)
    squares = sum(weight * (a - b) ** 2 for one, other, weight in pixels for a, b in zip(one, other, strict=True))
    return 2 + round(100 * math.log10(255**2 * 3 * sum(opacity) / squares)) if squares else 1
