"""Rate and distortion. Distortion is measured on decoded 8-bit pixels, rate on the bytes of the real file."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.pictures.pixels import Pixels

Planes = NDArray[np.float32]

PEAK = 255
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
STRIP_PIXELS = 1 << 18
WINDOW_TAPS = 11
WINDOW_SIGMA = 1.5
LUMINANCE_FLOOR = (0.01 * PEAK) ** 2
CONTRAST_FLOOR = (0.03 * PEAK) ** 2


@dataclass(frozen=True, slots=True)
class Distortion:
    """Summary of a measure over pictures. ``p05`` is one of the values; at most 5 % of the pictures are below it."""

    mean: float
    min: float
    p05: float


def summarize(values: Sequence[float]) -> Distortion:
    """Summarize one value per picture, at least one, of a measure where more is better. Infinite values count."""
    assert len(values) > 0, "nothing was measured"
    ordered = np.sort(np.asarray(values, np.float64))
    return Distortion(float(ordered.mean()), float(ordered[0]), float(ordered[(len(ordered) - 1) // 20]))


def bits_per_pixel(file_bytes: int, pixels: int) -> float:
    """Return the rate: 8 x bytes of the real file / pixels that unpacking returns; infinite without pixels."""
    return 8 * file_bytes / pixels if pixels else math.inf


def psnr_db(original: Pixels, decoded: Pixels) -> float:
    """Return the peak signal-to-noise ratio in dB over all colours; infinite for identical pictures.

    Args:
        original: (H, W, 3), or (H, W, 4) with transparency: errors then weigh as much as the original is opaque.
        decoded: of the same size; its opacity does not count.
    """
    if original.shape[2] == 4:
        return _visible_psnr_db(original, decoded)
    _check_pair(original, decoded)
    squares = 0
    for rows in _strips(len(original), original.shape[1]):
        difference = original[rows].astype(np.int32) - decoded[rows]
        squares += int(np.square(difference).sum(dtype=np.int64))
    return 10 * math.log10(PEAK**2 * original.size / squares) if squares else math.inf


def _visible_psnr_db(original: Pixels, decoded: Pixels) -> float:
    """Return the PSNR of colours (H, W, 3 or 4), weighted by the opacity of an original (H, W, 4)."""
    colours, shown = original[..., :3], decoded[..., :3]
    _check_pair(colours, shown)
    squares = 0
    for rows in _strips(len(original), original.shape[1]):
        difference = colours[rows].astype(np.int64) - shown[rows]
        squares += int((np.square(difference) * original[rows, :, 3:]).sum())
    weights = int(original[..., 3].sum(dtype=np.int64))
    return 10 * math.log10(PEAK**2 * 3 * weights / squares) if squares else math.inf


def alpha_error(original: Pixels, decoded: Pixels) -> int:
    """Return the largest difference of two pictures' opacity, 0 to 255; (H, W, 3) is opaque everywhere."""
    if original.shape[2] == decoded.shape[2] == 3:
        return 0
    a, b = (one[..., 3].astype(np.int16) if one.shape[2] == 4 else np.int16(PEAK) for one in (original, decoded))
    return int(np.abs(a - b).max())


def _as_visible(original: Pixels, decoded: Pixels) -> Pixels:
    """Return the colours (H, W, 3) of a decoded picture, drawn over those of the original by its opacity."""
    opacity = original[..., 3:].astype(np.int32)
    colours = original[..., :3].astype(np.int32)
    return ((colours * (PEAK - opacity) + decoded[..., :3] * opacity + PEAK // 2) // PEAK).astype(np.uint8)


def ms_ssim(original: Pixels, decoded: Pixels) -> float:
    """Return the multi-scale structural similarity of two pictures ``(H, W, 3)``, 0 to 1.

    Of an original ``(H, W, 4)`` with transparency, the decoded picture is drawn over it by its opacity: what is
    transparent then differs nowhere.

    Wang, Simoncelli, Bovik 2003: five scales, an 11-tap Gaussian window, its valid positions alone, per channel,
    then the mean. A side of 160 or less leaves fewer scales; their weights are then scaled to the sum of all five.
    A side below 11 leaves plain SSIM with the largest odd window that fits: a value that compares with no other.
    """
    if original.shape[2] == 4:
        original, decoded = original[..., :3], _as_visible(original, decoded)
    _check_pair(original, decoded)
    channels = range(original.shape[2])  # one at a time, to save memory
    return float(np.mean([_ms_ssim(original[..., c], decoded[..., c]) for c in channels]))


def _ms_ssim(original: Pixels, decoded: Pixels) -> float:
    """Return the similarity of two planes (H, W)."""
    a: Planes | Pixels = original
    b: Planes | Pixels = decoded
    weights = np.array(SCALE_WEIGHTS[: _scales(min(original.shape))])
    weights *= sum(SCALE_WEIGHTS) / weights.sum()  # the paper's own sum is 1.0001
    similarity = 1.0
    for scale, weight in enumerate(weights, start=1):
        contrast, whole = _similarity(a, b)
        factor = whole if scale == len(weights) else contrast
        similarity *= max(factor, 0.0) ** weight
        if scale < len(weights):
            a, b = _halve(a), _halve(b)
    return similarity


def _check_pair(original: Pixels, decoded: Pixels) -> None:
    assert original.dtype == decoded.dtype == np.uint8, "distortion is measured on uint8 pixels"
    assert original.shape == decoded.shape, f"{original.shape} against {decoded.shape}"
    assert original.ndim == 3, "pictures are (H, W, 3)"


def _scales(side: int) -> int:
    """Return the number of scales into which the window fits; at least one."""
    scales = 1
    while scales < len(SCALE_WEIGHTS) and (side := (side + 1) // 2) >= WINDOW_TAPS:
        scales += 1
    return scales


def _similarity(a: Planes | Pixels, b: Planes | Pixels) -> tuple[float, float]:
    """Return the mean contrast-structure term and the mean SSIM of two planes (H, W).

    Worked out from the sum and the difference of the pictures: four blurs where the textbook needs five, and
    exactly 1 for identical pictures.
    """
    taps = min(WINDOW_TAPS, min(a.shape) - 1 + min(a.shape) % 2)
    contrasts = wholes = 0.0
    count = 0
    for rows in _strips(a.shape[0], a.shape[1], overlap=taps - 1):  # strips fit into the cache
        some, others = (plane[rows].astype(np.float32, copy=False) for plane in (a, b))
        total, difference = some + others, some - others
        total_mean, difference_mean = _blur(total, taps) ** 2, _blur(difference, taps) ** 2
        total_variance = _blur(total * total, taps) - total_mean
        difference_variance = _blur(difference * difference, taps) - difference_mean
        contrast = (total_variance - difference_variance + 2 * CONTRAST_FLOOR) / (
            total_variance + difference_variance + 2 * CONTRAST_FLOOR
        )
        luminance = (total_mean - difference_mean + 2 * LUMINANCE_FLOOR) / (
            total_mean + difference_mean + 2 * LUMINANCE_FLOOR
        )
        contrasts += float(contrast.sum(dtype=np.float64))
        wholes += float((luminance * contrast).sum(dtype=np.float64))
        count += contrast.size
    return contrasts / count, wholes / count


def _strips(height: int, width: int, overlap: int = 0) -> Iterator[slice]:
    """Yield rows in strips of about ``STRIP_PIXELS``, each overlapping the next one."""
    rows = max(1, STRIP_PIXELS // width)
    for start in range(0, height - overlap, rows):
        yield slice(start, min(start + rows, height - overlap) + overlap)


def _blur(plane: Planes, taps: int) -> Planes:
    """Blur (H, W) with the Gaussian window along both axes, at the positions where it fits (valid convolution)."""
    window = np.exp(-0.5 * ((np.arange(taps) - taps // 2) / WINDOW_SIGMA) ** 2)
    window = (window / window.sum()).astype(np.float32)
    return _slide(_slide(plane, window).T, window).T


def _slide(plane: Planes, window: NDArray[np.float32]) -> Planes:
    """Convolve along the first axis with a symmetric window of odd length."""
    last, middle = len(window) - 1, len(window) // 2
    height = plane.shape[0] - last
    result: Planes = plane[middle : middle + height] * window[middle]
    pair = np.empty_like(result)
    for tap in range(middle):
        np.add(plane[tap : tap + height], plane[last - tap : last - tap + height], out=pair)
        pair *= window[tap]
        result += pair
    return result


def _halve(plane: Planes | Pixels) -> Planes:
    """Average 2 x 2 neighbours of (H, W). An odd side is padded with zeros at the start, as in other packages."""
    if any(side % 2 for side in plane.shape):
        padded: Planes | Pixels = np.pad(plane, [(side % 2, 0) for side in plane.shape])  # type: ignore[assignment]
        return _halve(padded)
    halves = np.empty((plane.shape[0] // 2, plane.shape[1] // 2), np.float32)
    for strip in _strips(len(halves), 2 * plane.shape[1]):
        even = plane[2 * strip.start : 2 * strip.stop].astype(np.float32, copy=False)
        rows = even[::2] + even[1::2]
        halves[strip] = (rows[:, ::2] + rows[:, 1::2]) * np.float32(0.25)
    return halves
