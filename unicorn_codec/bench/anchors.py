"""The rivals that are hardest to beat: AVIF, JPEG XL and films at the settings that do best.

No setting of AVIF is the best one by every metric and at every rate, so that the anchor of all comparisons is the
envelope of its settings, each without the containers that no collection needs for every picture. The encoder's default
tuning (``iq`` since libavif 1.4 and libaom 3.13) beats ``ssim`` and ``psnr`` by far in MS-SSIM and SSIMULACRA2. Only in
PSNR does ``psnr`` with 4:4:4 need some per cent fewer bytes, so that this setting is in the envelope, too.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unicorn_codec.bench.rivals import (
    Avif,
    BareHalfAvif,
    Codec,
    Jpeg,
    JpegXl,
    SlowJpegXl,
    TunedAvif,
    WebP,
    named,
)
from unicorn_codec.bench.video_rivals import HEVC, SVT_AV1, VVC, SortedVideo
from unicorn_codec.pictures.avif_container import take_still

FAST, SLOW = 4, 0
SUBSAMPLINGS = ("4:2:0", "4:4:4")

FAMILIES = ("avif", "jpeg-xl", "film", "vvc", "webp", "jpeg")
"""Envelopes of settings, the strictest one first: a codec belongs to the first one whose name is in its own."""


def strong_rivals(qualities: Sequence[int], slow_qualities: Sequence[int]) -> list[Codec]:
    """Return AVIF, JPEG XL and films at their best, VVC intra, and WebP and JPEG as everyone knows them.

    Args:
        qualities: of AVIF at speed 4.
        slow_qualities: of AVIF at speed 0, which takes eight times as long.
    """
    films = [
        SortedVideo(name=f"film-{name}", title=f"{title} film", encoder=encoder, all_intra=False, settings=settings)
        for name, title, encoder, settings in (
            ("svt-av1", "SVT-AV1", replace(SVT_AV1, options=("-preset", "2")), named("crf", 58, 45, 32)),
            ("hevc", "x265", HEVC, named("crf", 41, 34, 27)),
        )
    ]
    vvc = SortedVideo(
        name="vvc-intra", title="VVC intra", encoder=VVC, all_intra=True, settings=named("qp", 44, 37, 30)
    )
    return [
        *(TunedAvif(FAST, sampling, None, qualities) for sampling in SUBSAMPLINGS),
        *(TunedAvif(SLOW, sampling, None, slow_qualities) for sampling in SUBSAMPLINGS),
        TunedAvif(SLOW, "4:4:4", "psnr", slow_qualities[::2]),
        _at(BareHalfAvif(), "quality", 0, 10, 22, 40),
        *(_at(codec, "distance", 25, 13, 7) for codec in (JpegXl(), SlowJpegXl())),
        *films,
        vvc,
        _at(WebP(), "quality", 0, 5, 15),
        _at(Jpeg(), "quality", 4, 11, 25),
    ]


def _at(codec: Codec, knob: str, *values: int) -> Codec:
    """Limit a codec to settings at the low rates that this codec is for."""
    codec.settings = named(knob, *values)
    return codec


def family_of(codec: str) -> str | None:
    """Return the envelope that a codec's points belong to."""
    return next((family for family in FAMILIES if family in codec), None)


def bare_bytes(path: Path) -> int:
    """Return the bytes of a coded file without its container if it is AVIF; otherwise all of them."""
    data = path.read_bytes()
    return len(take_still(data)) if path.suffix == Avif.suffix else len(data)
