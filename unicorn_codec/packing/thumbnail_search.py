"""Search for near-duplicates by thumbnails: exact, in blocks, and for folders of any order of names.

A picture is compared with the last member of each group that is still open, single pictures included. Products of
matrices compare a block of thumbnails with all of those. An approximate index (usearch) needs six times as long for
20,000 pictures, and pays only beyond a million.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.pictures.pixels import Pixels

THUMBNAIL = 16
"""Side of the compared thumbnails in pixels, small enough to suppress noise and small objects."""

MOST_DIFFERENCE = 0.8
"""Threshold: root mean square of the difference of two thumbnails, in units of the lesser deviation of both."""

OPEN_GROUPS = 8192
"""Maximum number of groups, the latest ones, whose last member a picture is compared with. Bounds time and memory."""

BLOCK = 128
"""Thumbnails that are compared together."""

SAMPLED_PIXELS = 1 << 20
"""Approximate number of pixels that a thumbnail of a large picture is made of."""

Thumbnail = NDArray[np.float32]


def thumbnail(pixels: Pixels) -> Thumbnail:
    """Return (3 x 16 x 16,) a picture's mean colours, centred. Of a large picture, part of the pixels are enough."""
    every = max(1, math.isqrt(pixels[..., 0].size // SAMPLED_PIXELS))
    planes: Tensor = torch.from_numpy(pixels)[::every, ::every].permute(2, 0, 1)[None].float()
    small = F.adaptive_avg_pool2d(planes, THUMBNAIL).flatten()
    return (small - small.mean()).numpy()


def differences(some: Thumbnail, others: Thumbnail) -> NDArray[np.float32]:
    """Return (N, M) the differences of thumbnails (N, D) and (M, D), in units of the lesser deviation of both."""
    squares = [np.square(one).sum(1) for one in (some, others)]
    count = some.shape[1]
    apart = np.maximum(squares[0][:, None] + squares[1] - 2 * some @ others.T, 0)
    lesser = np.maximum(np.minimum(squares[0][:, None], squares[1]), count)  # a deviation of at least one level
    found: NDArray[np.float32] = np.sqrt(apart / lesser)
    return found


def group_alike(thumbnails: Iterable[Thumbnail], most: int) -> Iterator[int]:
    """Yield the group of each thumbnail. Groups are numbered in the order of their first members.

    Args:
        thumbnails: (D,) each; drawn as they are needed.
        most: members of a group.
    """
    ends, remaining = _GroupEnds(most), iter(thumbnails)
    while block := list(islice(remaining, BLOCK)):
        yield from ends.take(np.stack(block))


class _GroupEnds:
    """The last members of open groups.

    Args:
        most: members of a group.
    """

    def __init__(self, most: int) -> None:
        self._most, self._groups = most, 0
        self._ends: Thumbnail | None = None
        self._members: list[tuple[int, int]] = []  # group, and the number of its members

    def take(self, block: Thumbnail) -> Iterator[int]:
        """Group the next thumbnails (N, D)."""
        known = block[:0] if self._ends is None else self._ends
        all_of_them = np.concatenate([known, block])
        apart, open_ones = differences(block, all_of_them), np.zeros(len(all_of_them), bool)
        open_ones[: len(known)] = True
        for place, row in enumerate(apart):
            own = len(known) + place
            end = int(np.where(open_ones, row, np.inf).argmin())
            if open_ones[end] and row[end] < MOST_DIFFERENCE:
                group, size = self._members[end]
                open_ones[end] = False
            else:
                group, size = self._groups, 0
                self._groups += 1
            self._members.append((group, size + 1))
            open_ones[own] = size + 1 < self._most
            yield group
        kept: Sequence[int] = np.flatnonzero(open_ones)[-OPEN_GROUPS:].tolist()
        self._ends = all_of_them[kept]
        self._members = [self._members[place] for place in kept]
