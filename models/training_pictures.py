"""What the networks are trained on: crops of photos, some of them gray, and of drawn pictures."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from drawn_pictures import drawn_pictures
from PIL import Image
from torch import Tensor

UNSEEN = 60
"""One photo in so many is not trained on."""

HELD_OUT = 4 * UNSEEN
"""A run is judged by one photo in so many, and by ``JUDGED_DRAWN`` drawn pictures."""

JUDGED_DRAWN = 8
DRAWN = 1600
"""Drawn pictures that a run is trained on; those that it is judged by have later seeds."""

DRAWN_PART = 0.18
GRAY_PART = 0.12
"""Of the crops: those of drawn pictures, and of photos without colour."""

SMALLEST_PART = 0.6
"""Half of the photos' crops are made smaller, down to this: pictures of other cameras have more in fewer pixels."""

SUFFIXES = {".jpg", ".jpeg", ".png", ".avif"}
LUMA = (0.299, 0.587, 0.114)


class Photos(NamedTuple):
    """Photos and drawn pictures, (H, W, 3) uint8 each."""

    photos: list[np.ndarray]
    drawn: list[np.ndarray]


def load_pictures(folder: Path) -> list[np.ndarray]:
    """Load all pictures below a folder whose sides are at least 128 pixels."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)

    def load(path: Path) -> np.ndarray:
        return np.asarray(Image.open(path).convert("RGB"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = list(pool.map(load, paths))
    return [p for p in pictures if min(p.shape[:2]) >= 128]


def without_unseen(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Return those to train on."""
    return [picture for number, picture in enumerate(pictures) if number % UNSEEN]


def load_drawn(folder: Path | None) -> list[np.ndarray]:
    """Return drawn pictures: those of a folder, or ``DRAWN`` new ones and those that a run is judged by."""
    return load_pictures(folder) if folder else [*drawn_pictures(DRAWN + JUDGED_DRAWN)]


def training_pictures(pictures: Photos) -> Photos:
    """Return what a run is trained on."""
    return Photos(without_unseen(pictures.photos), pictures.drawn[:-JUDGED_DRAWN])


def judged_pictures(pictures: Photos) -> Photos:
    """Return what a run is judged by."""
    return Photos(pictures.photos[::HELD_OUT], pictures.drawn[-JUDGED_DRAWN:])


class Bank:
    """Pictures of any sizes on a device, and random crops of them.

    Args:
        pictures: (H, W, 3) uint8 each.
    """

    def __init__(self, pictures: Sequence[np.ndarray], device: torch.device) -> None:
        self.pixels = torch.from_numpy(np.concatenate([picture.reshape(-1, 3) for picture in pictures])).to(device)
        sides = np.array([picture.shape[:2] for picture in pictures])
        starts = np.concatenate([[0], np.cumsum(sides.prod(1))[:-1]])
        self._sides, self._places = sides, torch.from_numpy(np.column_stack([starts, sides])).to(device)
        self._large: dict[int, Tensor] = {}

    def crops(self, count: int, side: int) -> Tensor:
        """Return random squares, (count, side, side, 3) uint8, of pictures that are large enough.

        Raises ``ValueError`` if none is.
        """
        large = self._large_enough(side)
        device = large.device
        start, height, width = self._places[large[torch.randint(len(large), (count,), device=device)]].unbind(1)
        top = (torch.rand(count, device=device) * (height - side + 1)).long()
        left = (torch.rand(count, device=device) * (width - side + 1)).long()
        along = torch.arange(side, device=device)
        rows = (start + top * width + left).view(-1, 1, 1) + along.view(-1, 1) * width.view(-1, 1, 1)
        return self.pixels[rows + along]

    def _large_enough(self, side: int) -> Tensor:
        if side not in self._large:
            (large,) = np.nonzero(self._sides.min(1) >= side)
            if not len(large):
                raise ValueError(f"no picture has sides of {side} pixels")
            self._large[side] = torch.from_numpy(large).to(self._places.device)
        return self._large[side]


class Crops:
    """Batches without end of random crops, on a device.

    Args:
        count: of crops in a batch.
        side: of each, in pixels.
    """

    def __init__(self, pictures: Photos, count: int, side: int, device: torch.device) -> None:
        self.photos = Bank(pictures.photos, device)
        self.drawn = Bank(pictures.drawn, device) if pictures.drawn else None
        self.count, self.side = count, side
        self._luma = torch.tensor(LUMA, device=device)
        largest = max(min(picture.shape[:2]) for picture in pictures.photos)
        self._scaled_sides = [s for s in range(side, round(side / SMALLEST_PART) + 1, 16) if s <= largest]
        self._rng = np.random.default_rng(torch.initial_seed())

    def __iter__(self) -> Iterator[Tensor]:
        """(count, side, side, 3) uint8 each."""
        while True:
            yield self._batch()

    def _batch(self) -> Tensor:
        drawn = round(DRAWN_PART * self.count) if self.drawn else 0
        smaller = (self.count - drawn) // 2
        taken = self._scaled_sides[int(self._rng.integers(len(self._scaled_sides)))]
        parts = [
            self.photos.crops(self.count - drawn - smaller, self.side),
            resized(self.photos.crops(smaller, taken), self.side),
        ]
        photos = torch.cat(parts)
        gray = (photos.float() @ self._luma).round().to(torch.uint8).unsqueeze(3)
        photos = torch.where(self._some(photos, GRAY_PART), gray, photos)
        photos = torch.where(self._some(photos, 0.5), photos.flip(2), photos)
        crops = torch.cat([photos, self.drawn.crops(drawn, self.side)]) if drawn and self.drawn else photos
        return crops[torch.randperm(len(crops), device=crops.device)]

    def _some(self, crops: Tensor, part: float) -> Tensor:
        return torch.rand(len(crops), 1, 1, 1, device=crops.device) < part


def resized(crops: Tensor, side: int) -> Tensor:
    """Return crops (N, S, S, 3), uint8, made ``side`` pixels large."""
    if crops.shape[1] == side or not len(crops):
        return crops
    planes = F.interpolate(crops.movedim(3, 1).float(), (side, side), mode="bicubic", antialias=True)
    return planes.round().clamp(0, 255).to(torch.uint8).movedim(1, 3)


def as_pictures(crops: Tensor, device: torch.device) -> Tensor:
    """Return (N, 3, H, W) in [-1, 1], channels last, of crops (N, H, W, 3)."""
    return crops.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1
