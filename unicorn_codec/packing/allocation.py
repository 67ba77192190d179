"""Allocation of a folder's bytes to its pictures, each of which gets a quantisation step of its own.

Curve of a picture: its bytes and its quality at some steps, without refinement
allocate: curves > the factors of the steps that reach the goal with as many bytes as one step for all
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unicorn_codec.packing.avif_pictures import matching_quality
from unicorn_codec.packing.candidates import Candidate
from unicorn_codec.packing.folder_encoder import FolderEncoder
from unicorn_codec.packing.refinement import PIECE_PIXELS
from unicorn_codec.pictures.avif import encode_avif, thorough
from unicorn_codec.pictures.metrics import psnr_db
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.transform.spans import spans
from unicorn_codec.transform.ssimulacra2 import ssimulacra2_score

FACTORS = np.exp2(np.arange(-12, 17) / 8)
"""Factors of the folder's step, two points of SSIMULACRA2 apart. An archive holds a decoder of some dozens of bytes for
each that is used. Easy pictures are still good at four times the step of hard ones."""

SAME = 12
"""Number of the factor 1."""

MEASURED = slice(None, None, 4)
"""Of the factors, those at which quality and bytes are measured; they are interpolated at the others."""

SEARCHES = 40
Quality = Callable[[Pixels, Pixels], float]


@dataclass(frozen=True, slots=True)
class Curve:
    """What one picture costs and is worth at each of ``FACTORS``.

    Args:
        sizes: (F,) bytes of its code, descending.
        qualities: (F,) SSIMULACRA2, or PSNR in dB.
    """

    sizes: NDArray[np.float64]
    qualities: NDArray[np.float64]

    @classmethod
    def through(cls, sizes: Sequence[float], qualities: Sequence[float]) -> "Curve":
        """Interpolate a curve from its values at the measured factors."""
        at, known = np.log(FACTORS), np.log(FACTORS[MEASURED])
        return cls(np.exp(np.interp(at, known, np.log(sizes))), np.interp(at, known, qualities))


def allocate(
    encoder: FolderEncoder, step: float, goal: str, avif: Sequence[int], progress: Callable[[int, int], None]
) -> dict[int, float]:
    """Return the factor of each picture's step, by position.

    Args:
        encoder: of the folder, with its update and sequences.
        step: of the folder.
        goal: one of ``config.GOALS``.
        avif: positions of the pictures that are stored as AVIF, each alone.
    """
    quality = psnr_db if goal == "psnr" else score
    curves = dict[int, Curve]()
    left_out = encoder.sequences.positions | encoder.pictures.tiled | encoder.pictures.masked
    total = len(encoder.pictures) - len(left_out) + len(avif)
    for position in avif:
        curves[position] = curve_of_avif(encoder.pictures.picture(position), step, quality)
        progress(len(curves), total)
    for batch, latents in encoder.latents.all_but(left_out):
        for position, one in zip(batch, latents, strict=True):
            curves[position] = curve_of_codes(encoder, position, one[None], step, quality)
            progress(len(curves), total)
    if not curves:
        return {}
    chosen = equal_quality(list(curves.values())) if goal == "worst" else equal_slope(list(curves.values()))
    return dict(zip(curves, FACTORS[chosen].tolist(), strict=True))


def curve_of_avif(pixels: Pixels, step: float, quality: Quality) -> Curve:
    """Measure a picture's curve as AVIF."""
    settings = thorough(0, print_only=True)  # a slower encoder makes smaller files at all factors
    made = (encode_avif(pixels, matching_quality(step * factor), settings) for factor in FACTORS[MEASURED])
    sizes, qualities = zip(*((len(code), quality(pixels, decoded)) for code, decoded in made), strict=True)
    return Curve.through(sizes, qualities)


def curve_of_codes(encoder: FolderEncoder, position: int, latents: Tensor, step: float, quality: Quality) -> Curve:
    """Measure a picture's curve as a code of latents (1, C, h, w)."""
    pixels, sizes, qualities = encoder.pictures.picture(position), list[float](), list[float]()
    for factor in FACTORS[MEASURED]:
        own = min(max(1.0, step * factor), encoder.coarsest)
        ((candidate,),) = encoder.chooser.choose([position], latents, own, 0)
        sizes.append(float(encoder.chooser.code_bytes(candidate, own)[0]))
        qualities.append(quality(pixels, decoded(encoder, candidate, own, pixels)))
    return Curve.through(sizes, qualities)


def decoded(encoder: FolderEncoder, candidate: Candidate, step: float, pixels: Pixels) -> Pixels:
    """Return what the code of a candidate for one picture decodes to."""
    own = encoder.chooser.objective(step, half=candidate.half).own_step
    height, width = pixels.shape[:2]
    latents = (candidate.latents / own).round() * own
    (found,) = encoder.autoencoder.decode_pictures(latents, height, width, own, half=candidate.half)
    return found


def score(original: Pixels, shown: Pixels) -> float:
    """Return the SSIMULACRA2 of a picture; of a large one the mean of its pieces, by their pixels."""
    total = 0.0
    for row, column in product(spans(original.shape[0], PIECE_PIXELS, 0), spans(original.shape[1], PIECE_PIXELS, 0)):
        pair = (one[row.input(1), column.input(1)] for one in (shown, original))
        planes = (
            torch.from_numpy(np.ascontiguousarray(one)).permute(2, 0, 1)[None].float() / 127.5 - 1 for one in pair
        )
        with torch.inference_mode():
            piece = float(ssimulacra2_score(*planes))
        total += piece * original[row.input(1), column.input(1), 0].size
    return total / original[..., 0].size


def equal_quality(curves: Sequence[Curve]) -> NDArray[np.intp]:
    """Return the numbers of the factors with which all pictures come closest to one quality, at equal bytes."""
    sizes, qualities = sizes_of(curves), np.stack([curve.qualities for curve in curves])

    def chosen(wanted: float) -> NDArray[np.intp]:
        return np.abs(qualities - wanted).argmin(1)

    return searched(chosen, sizes, float(qualities.min()), float(qualities.max()))


def equal_slope(curves: Sequence[Curve]) -> NDArray[np.intp]:
    """Return the numbers of the factors with which the sum of all qualities is highest, at equal bytes."""
    sizes, qualities = sizes_of(curves), np.stack([curve.qualities for curve in curves])

    def chosen(worth: float) -> NDArray[np.intp]:
        return (qualities * math.exp(worth) - sizes).argmax(1)

    return searched(chosen, sizes, -20.0, 20.0)


def sizes_of(curves: Sequence[Curve]) -> NDArray[np.float64]:
    """Return (N, F) bytes of all pictures."""
    return np.stack([curve.sizes for curve in curves])


def searched(
    chosen: Callable[[float], NDArray[np.intp]], sizes: NDArray[np.float64], low: float, high: float
) -> NDArray[np.intp]:
    """Bisect for the choice with about as many bytes as the same step for all.

    Args:
        chosen: returns (N,) numbers of factors, with more bytes for a higher argument.
        sizes: (N, F) bytes.
    """
    rows, budget = np.arange(len(sizes)), float(sizes[:, SAME].sum())
    for _ in range(SEARCHES):
        middle = (low + high) / 2
        if float(sizes[rows, chosen(middle)].sum()) > budget:
            high = middle
        else:
            low = middle
    return chosen(low)
