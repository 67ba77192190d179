"""Windows of a folder's pictures, from which packing learns."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.packing.candidates import FINEST_WITH_HALVES, WINDOWS_AT_ONCE, CandidateChooser
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.resampling import halve

SIDE = 256
"""Of a window, in pixels. Smaller pictures are windows as they are."""

WINDOWS = 512
"""Maximum number of windows to learn from, which bounds memory to 100 MB."""

SAMPLE = 32
"""Windows of one size that are tried at half size. Where all of them agree, the others are taken to do the same."""

HELD_OUT_EVERY, MOST_HELD_OUT = 8, 32
"""Every how many windows one is only measured, and how many at most."""


@dataclass(frozen=True, slots=True, eq=False)
class LearningWindows:
    """Windows of one size that are coded in one way.

    Args:
        pixels: (N, 3, H, W) uint8; sides are multiples of a latent's.
        half: whether they are coded at half size.
        symbols: (N, C, h, w) their codes where these are settled; None: the encoder makes them.
    """

    pixels: Tensor
    half: bool
    symbols: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def some(self, places: Sequence[int] | slice) -> "LearningWindows":
        """Return some of the windows."""
        symbols = None if self.symbols is None else self.symbols[places]
        return LearningWindows(self.pixels[places], self.half, symbols)

    @property
    def coded(self) -> Tensor:
        """(N, 3, h, w) uint8: what the encoder is given."""
        return halve(self.pixels.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.half else self.pixels


def gather_windows(
    encoder: FolderEncoder,
    step: float,
    seed: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[LearningWindows]:
    """Cut windows out of a folder's pictures, evenly from all, at places drawn at random.

    Args:
        step: at which the windows would be coded, at half size where that costs less.

    Returns:
        A group for each size and way of coding.
    """
    positions = [p for p in range(len(encoder.pictures)) if p not in encoder.sequences.positions]
    multiple = 2 * encoder.autoencoder.reference.downsampling
    cut = cut_windows(encoder.pictures, positions, multiple, seed, progress)
    return by_way(encoder.chooser, cut, step)


def cut_windows(
    pictures: PictureSource,
    positions: Sequence[int],
    multiple: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda *_: None,
    most: int = WINDOWS,
) -> list[list[Pixels]]:
    """Cut windows out of pictures, evenly from all, at places drawn at random.

    Args:
        multiple: pixels; sides are padded to a multiple of it.
        most: number of windows at most.

    Returns:
        Those of each size.
    """
    positions = positions[:: -(-len(positions) // most) or 1]
    generator = np.random.default_rng(seed)
    cut: dict[tuple[int, ...], list[Pixels]] = defaultdict(list)
    for done, position in enumerate(positions, start=1):
        pixels = pictures.picture(position)
        for _ in range(min(most // len(positions), -(-pixels.size // (3 * SIDE**2)))):
            window = _draw_window(pixels, multiple, generator)
            cut[window.shape].append(window)
        progress(done, len(positions))
    return list(cut.values())


def by_way(chooser: CandidateChooser, cut: Sequence[Sequence[Pixels]], step: float) -> list[LearningWindows]:
    """Return windows, which come by their size, also by the way in which they cost less."""
    return [group for windows in cut for group in _by_way(chooser, windows, step)]


def _draw_window(pixels: Pixels, multiple: int, generator: np.random.Generator) -> Pixels:
    """Return a random window; its edges are repeated up to a multiple of pixels where the picture is smaller."""
    top, left = (int(generator.integers(max(1, side - SIDE + 1))) for side in pixels.shape[:2])
    window = pixels[top : top + SIDE, left : left + SIDE]
    height, width = window.shape[:2]
    return np.pad(window, ((0, -height % multiple), (0, -width % multiple), (0, 0)), mode="edge")


def _by_way(chooser: CandidateChooser, windows: Sequence[Pixels], step: float) -> Iterator[LearningWindows]:
    """Yield windows of one size by the way in which they cost less."""
    pixels = torch.from_numpy(np.stack(windows))
    is_half = np.zeros(len(pixels), np.bool_)
    if step >= FINEST_WITH_HALVES:
        sample = slice(None, None, -(-len(pixels) // SAMPLE))
        is_half[:] = np.repeat(_are_half(chooser, pixels[sample], step), sample.step)[: len(pixels)]
        if is_half.any() and not is_half.all():
            is_half = _are_half(chooser, pixels, step)
    for half in (False, True):
        if (is_half == half).any():
            yield LearningWindows(pixels[torch.from_numpy(is_half == half)].permute(0, 3, 1, 2).contiguous(), half)


def _are_half(chooser: CandidateChooser, pixels: Tensor, step: float) -> NDArray[np.bool_]:
    """Return (N,) whether windows (N, H, W, 3), uint8, cost less at half size."""
    return np.concatenate([
        chooser.are_cheaper_at_half(some, chooser.encode(some), chooser.encode_halves(some), step)
        for some in pixels.split(WINDOWS_AT_ONCE)
    ])  # fmt: skip


def split(groups: Sequence[LearningWindows]) -> tuple[list[LearningWindows], list[LearningWindows]]:
    """Return windows to learn from, and some to measure with; the same ones where there are too few for both."""
    total = sum(map(len, groups))
    every = max(HELD_OUT_EVERY, -(-total // MOST_HELD_OUT))
    learned, measured, seen = [], [], 0
    for group in groups:
        held_out = [place for place in range(len(group)) if (seen + place) % every == every - 1]
        seen += len(group)
        kept = sorted(set(range(len(group))) - set(held_out))
        learned += [group.some(kept)] if kept else []
        measured += [group.some(held_out)] if held_out else []
    return learned, measured or learned


def every_nth(groups: Sequence[LearningWindows], most: int) -> list[LearningWindows]:
    """Return at most about ``most`` windows, evenly from all."""
    total = sum(map(len, groups))
    return [group.some(slice(None, None, max(1, -(-total // most)))) for group in groups]


def draw_batch(groups: Sequence[LearningWindows], pixels: int, generator: np.random.Generator) -> LearningWindows:
    """Draw some windows of one group, of about ``pixels`` pixels together, groups by their share of all pixels."""
    shares = np.array([group.pixels.numel() for group in groups], np.float64)
    group = groups[generator.choice(len(groups), p=shares / shares.sum())]
    count = max(1, pixels // group.pixels[0, 0].numel())
    return group.some(generator.integers(len(group), size=min(count, len(group))).tolist())
