"""Importance: a table of names and weights becomes factors of pictures' quantisation steps; parts count by masks."""

import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unicorn_codec.config import CodesOptions, matches
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.format.fields import check
from unicorn_codec.packing.masks import folder_masks, region_masks
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.picture_files import printable, reason_of

LEAST_WEIGHT, MOST_WEIGHT = 1 / 64, 64.0
"""Limits of weights: they change a step by a factor of eight."""

FACTORS_PER_OCTAVE = 6
"""Factors are rounded to so many per octave, because an archive holds a decoder for each."""


def importance_of(pictures: PictureSource, options: CodesOptions) -> tuple[dict[int, float], PictureSource]:
    """Return the factors of pictures' steps, by position, and the pictures with their masks, as options ask for.

    Raises:
        InvalidSetting: the table, a mask or the region does not fit the pictures.
        ImageFolderError: a mask cannot be read.
    """
    factors, path = dict[int, float](), options.importance
    if path is not None and not path.exists():
        raise InvalidSetting(f"--importance: there is no folder of masks, or table, {path}")
    if path is not None and path.is_dir():
        pictures = replace(pictures, masks=folder_masks(path, pictures.folder, options.read.max_pixels))
    elif path is not None:
        factors = read_importance(path, pictures.folder.names)
    if options.roi is not None:
        check(pictures.masks is None, "give a folder of masks (--importance) or a region (--roi), not both")
        pictures = replace(pictures, masks=region_masks(options.roi, pictures.folder))
    return factors, pictures


def read_importance(path: Path, names: Sequence[str]) -> dict[int, float]:
    """Return the factors of pictures' steps, by position, that a table of importance asks for.

    A line of the table holds a name, or a pattern in which ``*`` matches anything, and a weight; of several lines that
    match a picture the last one counts. The squared error of a picture of weight 4 counts four times, so that its step
    is half of the folder's.

    Args:
        path: of a text file of comma-separated values.
        names: of the pictures by position.

    Raises:
        InvalidSetting: the file cannot be read, a line is no name and weight, or it matches no picture.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it is no text of comma-separated values"
        raise InvalidSetting(f"cannot read the table of importance {path}: {reason}") from error
    factors = dict[int, float]()
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        pattern, weight = _pair(row, f"{path}, line {number}")
        found = [position for position, name in enumerate(names) if matches(name, pattern)]
        if not found:
            raise InvalidSetting(f"{path}, line {number}: no picture of the folder matches {printable(pattern)!r}")
        octaves = round(-math.log2(weight) / 2 * FACTORS_PER_OCTAVE) / FACTORS_PER_OCTAVE
        factors.update(dict.fromkeys(found, 2.0**octaves))
    return {position: factor for position, factor in factors.items() if factor != 1}


def _pair(row: Sequence[str], where: str) -> tuple[str, float]:
    """Return a line's pattern and weight."""
    try:
        pattern, text = row
        weight = float(text)
    except ValueError as error:
        shown = printable(",".join(row))
        raise InvalidSetting(f"{where}: {shown!r} is no name and weight, such as 'cats/*.jpg,4'") from error
    if not LEAST_WEIGHT <= weight <= MOST_WEIGHT:
        raise InvalidSetting(f"{where}: a weight is 1/64 to 64, not {text.strip()}")
    return pattern.strip(), weight
