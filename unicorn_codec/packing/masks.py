"""Masks: which parts of pictures count more.

A mask is gray, as large as its picture: white counts most. It comes from a folder of masks, or is a region of every
picture.
"""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.pictures.picture_folder import Folder, list_folder, read_picture
from unicorn_codec.pictures.pixels import gray_at_size
from unicorn_codec.regions import Region

Mask = NDArray[np.uint8]
"""(H, W): 255 where a picture counts most, 0 where least."""

SAME_SHAPE = 0.02
"""Largest relative difference of the aspect ratios of a mask and its picture, besides the rounding by a pixel."""


class Masks(Protocol):
    """Masks of a folder's pictures.

    Attributes:
        positions: of the pictures that have one.
        digest: of what decides them.
    """

    @property
    def positions(self) -> Set[int]: ...

    @property
    def digest(self) -> str: ...

    def mask(self, position: int) -> Mask:
        """Return the mask of the picture at a position that has one."""


@dataclass(frozen=True)
class RegionMasks:
    """The same region of every picture.

    Args:
        sizes: width and height of the picture at each position.
    """

    region: Region
    sizes: Sequence[tuple[int, int]]

    @cached_property
    def positions(self) -> Set[int]:
        return frozenset(range(len(self.sizes)))

    @property
    def digest(self) -> str:
        return repr(self.region)

    def mask(self, position: int) -> Mask:
        width, height = self.sizes[position]
        mask = np.zeros((height, width), np.uint8)
        mask[self.region.places(width, height)] = 255
        return mask


@dataclass(frozen=True, slots=True)
class FolderMasks:
    """Masks in the files of a folder, resized to their pictures.

    Args:
        masks: the folder of masks.
        number_of: number of the mask of each picture that has one, by position.
        sizes: width and height of the picture at each position.
    """

    masks: Folder
    read: ReadOptions
    number_of: Mapping[int, int]
    sizes: Sequence[tuple[int, int]]

    @property
    def positions(self) -> Set[int]:
        return self.number_of.keys()

    @property
    def digest(self) -> str:
        digests = (f"{p}:{self.masks.pictures[number].sha256}" for p, number in sorted(self.number_of.items()))
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    def mask(self, position: int) -> Mask:
        pixels = read_picture(self.masks, self.masks.pictures[self.number_of[position]], self.read)
        return gray_at_size(pixels, *self.sizes[position])


def region_masks(region: Region, pictures: Folder) -> RegionMasks:
    """Return the masks that mark a region of all pictures.

    Raises:
        InvalidSetting: it lies outside of a picture.
    """
    sizes = [(picture.width, picture.height) for picture in pictures.pictures]
    for picture, size in zip(pictures.pictures, sizes, strict=True):
        if any(place.start >= place.stop for place in region.places(*size)):
            raise InvalidSetting(
                f"the region (--roi) lies outside of {printable(picture.name)}, which has {size[0]}x{size[1]} pixels: "
                "give it in per cent"
            )
    return RegionMasks(region, sizes)


def folder_masks(folder: Path, pictures: Folder, max_pixels: int) -> FolderMasks:
    """Find the masks in a folder. That of ``trip/a.jpg`` is ``trip/a.jpg``, or ``trip/a`` with another suffix.

    Args:
        max_pixels: most pixels of a mask.

    Raises:
        ImageFolderError: there is no such folder, or a mask that cannot be read.
        InvalidSetting: a mask belongs to no picture, has another shape than its picture, or is one of several.
    """
    read = ReadOptions(background=(0, 0, 0), max_pixels=max_pixels)  # where a mask is transparent it marks nothing
    masks = list_folder(folder, read)
    of_name = {picture.name: position for position, picture in enumerate(pictures.pictures)}
    of_stem: dict[str, list[int]] = {}
    for name, position in of_name.items():
        of_stem.setdefault(stem_of(name), []).append(position)
    number_of = dict[int, int]()
    for number, mask in enumerate(masks.pictures):
        shown = printable(mask.name)
        found = [of_name[mask.name]] if mask.name in of_name else of_stem.get(stem_of(mask.name), [])
        if not found:
            raise InvalidSetting(f"{folder}: the mask {shown} belongs to no picture: name it like one")
        for position in found:
            picture = pictures.pictures[position]
            if position in number_of:
                other = printable(masks.pictures[number_of[position]].name)
                raise InvalidSetting(f"{folder}: {other} and {shown} are both masks of {printable(picture.name)}")
            if not are_alike((mask.width, mask.height), (picture.width, picture.height)):
                raise InvalidSetting(
                    f"{folder}: the mask {shown} has {mask.width}x{mask.height} pixels, its picture "
                    f"{picture.width}x{picture.height}: make it of the same shape"
                )
            number_of[position] = number
    return FolderMasks(masks, read, number_of, [(picture.width, picture.height) for picture in pictures.pictures])


def stem_of(name: str) -> str:
    """Return a picture's name without its suffix."""
    return str(PurePosixPath(name).with_suffix(""))


def are_alike(mask: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Return whether a mask's width and height are those of its picture, but for scale and rounding."""
    (width, height), (wanted_width, wanted_height) = mask, picture
    expected = wanted_height * width / wanted_width
    return abs(height - expected) <= max(1.0, SAME_SHAPE * expected)
