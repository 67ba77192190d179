"""Types of option values: durations, sizes, colours, ranges of indices."""

import re
from pathlib import Path
from typing import Any

import click

from unicorn_codec.config import Learning
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.format.sources import is_url
from unicorn_codec.regions import Region

COLOURS = {
    "black": (0, 0, 0),
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "white": (255, 255, 255),
    "maroon": (128, 0, 0),
    "red": (255, 0, 0),
    "purple": (128, 0, 128),
    "magenta": (255, 0, 255),
    "green": (0, 128, 0),
    "lime": (0, 255, 0),
    "olive": (128, 128, 0),
    "yellow": (255, 255, 0),
    "orange": (255, 165, 0),
    "navy": (0, 0, 128),
    "blue": (0, 0, 255),
    "teal": (0, 128, 128),
    "cyan": (0, 255, 255),
}

SECONDS_OF_UNIT = {"s": 1, "m": 60, "h": 3600}

BYTES_OF_UNIT = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}

_BYTES = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)([kmg]?b|)")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smh])")
_HEX_COLOUR = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})")
_RANGE = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)


class ArchivePath(click.ParamType[Path | str]):
    """A path, or an unchanged URL."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        return value if is_url(value) else Path(value)


class Duration(click.ParamType[float]):
    """``90s``, ``10m``, ``1.5h``, as seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        match = _DURATION.fullmatch(value.strip().lower())
        if not match or float(match[1]) == 0:
            self.fail(f"invalid time {value!r}: use 90s, 10m or 1.5h", param, ctx)
        return float(match[1]) * SECONDS_OF_UNIT[match[2]]


class LearningBudget(click.ParamType[Learning | None]):
    """``auto``, ``off`` or a time, as what the library's ``CodesOptions.learning`` takes."""

    name = "auto|off|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Learning | None:
        if isinstance(value, Learning):
            return value
        text = value.strip().lower()
        if text in ("auto", "off"):
            return Learning() if text == "auto" else None
        if not _DURATION.fullmatch(text):
            self.fail(f"invalid value {value!r}: use auto, off or a time such as 20m", param, ctx)
        return Learning(Duration().convert(value, param, ctx))


class ByteSize(click.ParamType[int]):
    """``300kB``, ``3MB``, ``1.5GB`` or a plain number, as bytes; decimal units."""

    name = "bytes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _BYTES.fullmatch(value.strip().lower())
        if not match or float(match[1]) == 0:
            self.fail(f"invalid size {value!r}: use 300kB, 3MB or a number of bytes", param, ctx)
        return int(float(match[1]) * BYTES_OF_UNIT[match[2]])


class RegionOfPicture(click.ParamType[Region]):
    """``X,Y,W,H``, each in pixels or per cent."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Region:
        if isinstance(value, Region):
            return value
        try:
            return Region.parse(value)
        except InvalidSetting as error:
            self.fail(str(error), param, ctx)


class Colour(click.ParamType[tuple[int, int, int]]):
    """``#rrggbb`` or a name, as (R, G, B)."""

    name = "colour"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        wanted = value.strip().lower()
        if wanted in COLOURS:
            return COLOURS[wanted]
        match = _HEX_COLOUR.fullmatch(wanted)
        if not match:
            self.fail(f"invalid colour {value!r}: use '#rrggbb' or one of {', '.join(sorted(COLOURS))}", param, ctx)
        return int(match[1], 16), int(match[2], 16), int(match[3], 16)


class IndexRanges(click.ParamType[tuple[range, ...]]):
    """``3,5,8-11``, as ranges. They are not expanded, because the number of pictures is not known yet."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[range, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(self._range(part.strip(), param, ctx) for part in value.split(","))

    def _range(self, part: str, param: click.Parameter | None, ctx: click.Context | None) -> range:
        match = _RANGE.fullmatch(part)
        if not match:
            self.fail(f"invalid index {part!r}: use 42, 3,5 or 8-11", param, ctx)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            self.fail(f"the range {part} ends before it starts", param, ctx)
        return range(first, last + 1)
