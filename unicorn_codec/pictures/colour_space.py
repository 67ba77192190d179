"""Colour spaces in the terms of ITU-T H.273 (CICP), EXIF and ICC. Loads no library."""

from dataclasses import dataclass

SRGB_CURVE, LINEAR, BT709_CURVE, PQ, HLG = "srgb", "linear", "bt709", "pq", "hlg"

D65 = (0.3127, 0.3290)
D50 = (0.3457, 0.3585)
BT709_PRIMARIES = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_PRIMARIES = (*D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
P3_PRIMARIES = (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
BT2020_PRIMARIES = (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)

CICP_PRIMARIES = {
    1: BT709_PRIMARIES,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (0.310, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: BT2020_PRIMARIES,
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: P3_PRIMARIES,
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""White, red, green and blue, x and y each, by H.273's number."""

CICP_TRANSFERS: dict[int, str | float] = {
    1: BT709_CURVE,
    4: 2.2,
    5: 2.8,
    6: BT709_CURVE,
    8: LINEAR,
    11: BT709_CURVE,
    13: SRGB_CURVE,
    14: BT709_CURVE,
    15: BT709_CURVE,
    16: PQ,
    18: HLG,
}

_UNSPECIFIED = 2
_NEAR_SRGB_GAMMA = (2.15, 2.28)
"""Gamma values that writers use for sRGB: 1/2.2, or 0.45."""

_NEAR = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourSpace:
    """Mapping of samples to colours: an ICC profile, or else primaries and a transfer function.

    Args:
        icc: bytes of a profile; then the others do not count.
        primaries: chromaticities of white, red, green and blue: x, y each.
        transfer: name of a curve above, or the exponent that makes samples linear.
    """

    icc: bytes | None = None
    primaries: tuple[float, ...] = BT709_PRIMARIES
    transfer: str | float = SRGB_CURVE

    @property
    def is_srgb(self) -> bool:
        return self.icc is None and self.transfer == SRGB_CURVE and self.primaries == BT709_PRIMARIES

    @property
    def is_hdr(self) -> bool:
        """Whether samples can represent colours brighter than white."""
        return self.icc is None and self.transfer in (PQ, HLG)


SRGB = ColourSpace()
ADOBE_RGB = ColourSpace(primaries=ADOBE_PRIMARIES, transfer=563 / 256)
LINEAR_SRGB = ColourSpace(transfer=LINEAR)


def of_cicp(primaries: int, transfer: int) -> ColourSpace | None:
    """Return the colour space with H.273's numbers; None if they are unspecified or unknown.

    An unspecified part is that of sRGB. The curve of BT.709 with the primaries of BT.709 or BT.601 is taken for sRGB,
    as browsers do: encoders of stills write it for sRGB pictures.
    """
    if primaries == transfer == _UNSPECIFIED:
        return None
    points = CICP_PRIMARIES.get(primaries, BT709_PRIMARIES if primaries == _UNSPECIFIED else None)
    curve = CICP_TRANSFERS.get(transfer, SRGB_CURVE if transfer == _UNSPECIFIED else None)
    if points is None or curve is None:
        return None
    if curve == BT709_CURVE and primaries in (1, 5, 6, 7, _UNSPECIFIED):
        return SRGB
    return ColourSpace(primaries=points, transfer=curve)


def of_png_gamma(gamma: float | None, chromaticities: tuple[float, ...] | None) -> ColourSpace | None:
    """Return the colour space of gAMA, the encoding exponent, and cHRM; either may be missing."""
    points = BT709_PRIMARIES if chromaticities is None or _alike(chromaticities) else chromaticities
    if gamma is None:
        return None if chromaticities is None else ColourSpace(primaries=points)
    exponent = 1 / gamma
    if points == BT709_PRIMARIES and _NEAR_SRGB_GAMMA[0] <= exponent <= _NEAR_SRGB_GAMMA[1]:
        return SRGB
    return ColourSpace(primaries=points, transfer=LINEAR if abs(exponent - 1) < _NEAR else exponent)


def _alike(points: tuple[float, ...]) -> bool:
    """Return whether chromaticities are those of sRGB, up to rounding."""
    return all(abs(a - b) < _NEAR for a, b in zip(points, BT709_PRIMARIES, strict=True))
