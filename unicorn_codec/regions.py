"""Rectangles of pictures, in pixels or per cent of their sides."""

import math
import re
from dataclasses import dataclass

from unicorn_codec.format.fields import check

_LENGTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Length:
    """A length along a side of a picture.

    Args:
        value: pixels, or per cent of the side.
    """

    value: float
    is_percent: bool = False

    def __post_init__(self) -> None:
        check(0 <= self.value < math.inf, f"a length of {self.value}")
        check(self.is_percent or self.value == int(self.value), f"{self.value} pixels: give a whole number, or a %")
        check(not self.is_percent or self.value <= 100, f"{self.value:g}%: a picture's side has 100%")

    def pixels(self, side: int) -> float:
        """Return the length in pixels."""
        return self.value * side / 100 if self.is_percent else self.value


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of a picture, from its left and top edges."""

    left: Length
    top: Length
    width: Length
    height: Length

    def __post_init__(self) -> None:
        check(self.width.value > 0 and self.height.value > 0, "a region without width or height")

    @classmethod
    def parse(cls, text: str) -> "Region":
        """Read ``X,Y,W,H``, each in pixels or with a per cent sign. Raises ``InvalidSetting``."""
        found = [_LENGTH.fullmatch(part) for part in text.split(",")]
        example = "such as 120,80,640,480 or 25%,25%,50%,50%"
        check(len(found) == 4 and all(found), f"{text!r} is no region X,Y,W,H, {example}")
        return cls(*(Length(float(match[1]), bool(match[2])) for match in found if match))

    def places(self, width: int, height: int) -> tuple[slice, slice]:
        """Return its rows and columns in a picture, cut off where that ends; empty if it lies outside."""
        spans = ((self.top, self.height, height), (self.left, self.width, width))
        rows, columns = (
            slice(min(side, round(start.pixels(side))), min(side, round(start.pixels(side) + length.pixels(side))))
            for start, length, side in spans
        )
        return rows, columns
