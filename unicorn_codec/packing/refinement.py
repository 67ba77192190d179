"""Refinement: rate-distortion optimisation of latents by gradient descent through the decoder.

The encoder's latents are good on average. Refinement searches for better ones for each picture (Campos et al., 2019,
"Content Adaptive Optimization for Neural Image Compression"): latents are softly rounded, decoded, and updated by
gradient descent on rate and distortion; the rounding becomes harder from step to step. A round decodes once and takes
two steps: the second follows the rate anew, and distortion by its expansion to the second order. With ``RANDOM_EFFORT``
rounds or more, of one step each, latents are also rounded at random, so that they can move further (stochastic Gumbel
annealing: Yang et al., 2020, "Improving Inference for Neural Image Compression"). Decoding is not affected.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.codes.context_model import level_of
from unicorn_codec.codes.latent_coding import picture_lanes
from unicorn_codec.codes.rate_model import RateModel
from unicorn_codec.concurrency import check_cancelled
from unicorn_codec.devices import fast_arithmetic, has_fast_bfloat16
from unicorn_codec.effort import RANDOM_EFFORT
from unicorn_codec.format.cell_map import cell_levels, cell_steps
from unicorn_codec.format.code_kinds import decoder_step, model_level
from unicorn_codec.packing.cell_importance import CellImportance, weight_of
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, Steps
from unicorn_codec.transform.distortion import Measure, distortion
from unicorn_codec.transform.resampling import double
from unicorn_codec.transform.spans import Span, spans

FINEST = 1.0
"""The finest step of latents."""

LAMBDA_PER_SQUARED_STEP = 50.0
"""Lagrange multiplier divided by the squared step: squared error (255 scale) per bit per pixel. With this value,
refined codes have about the rate of plain ones at the same step."""

Worth = TypeVar("Worth", float, Tensor)

SOFTEST, HARDEST = 0.2, 0.015
"""Softness of the rounding in the first step and, approximately, in the last one."""

PATH = 0.6
"""Maximum path of a latent over all rounds, in quantisation steps, times the root of the step; half of it under a
constant gradient. With 0.85, codes and distortion cost 0.4 % less at fine steps, but SSIMULACRA2 suffers at coarse
ones."""

METRIC_PATH = 1.3
"""The same where refinement minimises a single metric, for which the encoder's latents are further from the best."""

STEPS_OF_ROUND = 2
"""Steps of the descent a round. Only the first decodes; the others take distortion from its expansion, as rate is
cheap to follow. Three and four steps gain no more."""

CURVATURE = 30.0
"""Second derivative of weighted distortion by a latent, in bits per squared step. The gradients of two rounds give 15
to 25, in all channels and at all steps; a greater one keeps latents where the expansion holds."""

RANDOM_SOFTEST, RANDOM_HARDEST, RANDOM_PATH = 0.5, 0.1, 0.5
"""The same for random rounding, with ``RANDOM_EFFORT`` rounds or more; with fewer, the noise does not average out. The
path is multiplied by the square root of the rounds, as in a random walk."""

CHOSEN_SOFTNESS = 0.5
"""Softness of the relaxed sample. A harder one would give sparse, large gradients."""

BYTES_OF_LANE, EXCESS = 2.7, 1.0025
"""Bytes of a code per lane's state, and relative cost in bits of rounded frequencies."""

SMALL_GRADIENT = 1.0
"""Adam's epsilon, in bits per step: latents with smaller gradients move less."""

MARGIN_CELLS = 2
"""Margin, in latents, around the pieces in which large pictures are refined."""

PIECE_PIXELS = 1024
"""Side of the pieces in which large pictures are compared."""

PIXELS_AT_ONCE = {"cpu": 1 << 18, "cuda": 1 << 23}
"""Pixels refined together, by kind of device. A GPU takes as long for a quarter of them."""

BYTES_OF_PIXEL = 1000
BYTES_OF_PIXEL_BFLOAT16 = 450
"""Approximate GPU memory for refinement, in bytes per pixel: mostly activations for the gradients."""

PART_OF_MEMORY = 4
"""Divisor of a GPU's memory that gives the part available to refinement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Rate-distortion cost: bits of a code plus its weighted distortion.

    Args:
        step: the archive's quantisation step, which sets the weight of distortion.
        half: whether the code is of the picture at half size. Each of its pixels represents four, so its latents have
            half the step.
        measure: distortion of decoded pictures and originals.
        importance: of the pictures' cells; None: all count alike.
    """

    autoencoder: PackagedAutoencoder
    rate: RateModel
    step: float
    half: bool
    measure: Measure = distortion
    importance: CellImportance | None = None

    @property
    def own_step(self) -> float:
        """Quantisation step of the latents."""
        return decoder_step(self.step, half=self.half)

    @property
    def cell(self) -> int:
        """Pixels of a latent's side."""
        return self.autoencoder.reference.downsampling * (2 if self.half else 1)

    @property
    def steps(self) -> Steps:
        """Quantisation step of the latents, or (N, h, w) those of the cells, on the autoencoder's device."""
        if self.importance is None:
            return self.own_step
        return torch.from_numpy(cell_steps(self.own_step, self.importance.offsets)).to(self.autoencoder.device)

    def part(self, row: Span, column: Span) -> "Objective":
        """Return the objective for a piece of the latents."""
        if self.importance is None:
            return self
        return replace(self, importance=self.importance[:, row.input(1), column.input(1)])

    def of_pictures(self, some: slice) -> "Objective":
        """Return the objective for some of the pictures."""
        return self if self.importance is None else replace(self, importance=self.importance[some])

    def quantised(self, latents: Tensor) -> Tensor:
        """Return the symbols (N, C, h, w) of latents, not rounded. The inverse of ``latents_of``."""
        return latents / as_factor(self.steps, latents.device)

    def latents_of(self, symbols: Tensor) -> Tensor:
        """Return the latents (N, C, h, w) of symbols."""
        return symbols * as_factor(self.steps, symbols.device)

    def cost(self, pictures: Tensor, symbols: Tensor) -> Tensor:
        """Return (N,) costs in bits.

        Args:
            pictures: (N, 3, H, W) in [-1, 1].
            symbols: (N, C, h, w) latents in units of the own step, rounded hard or softly.
        """
        return self._bits(symbols) + self._worth_of_symbols(pictures, symbols)

    def _worth_of_symbols(self, pictures: Tensor, symbols: Tensor) -> Tensor:
        """Return (N,) weighted distortion, in bits; see ``cost``."""
        height, width = pictures.shape[2:]
        with fast_arithmetic(symbols.device):
            decoded = self.autoencoder.decode(self.latents_of(symbols), self.steps)
        decoded = (double(decoded.float()) if self.half else decoded.float())[:, :, :height, :width]
        return self._worth(decoded, pictures, self._octaves_of_pixels(height, width))

    def _bits(self, symbols: Tensor) -> Tensor:
        """Return (N,) bits of codes."""
        if self.importance is None:
            level = model_level(level_of(self.step), half=self.half)
            levels = torch.full((len(symbols),), level, device=symbols.device)
        else:
            of_cells = cell_levels(level_of(self.step), self.importance.offsets, half=self.half)
            levels = torch.from_numpy(of_cells).to(symbols.device)
        return self.rate.bits(symbols, levels).sum((1, 2, 3))

    def _worth(self, decoded: Tensor, pictures: Tensor, octaves: Tensor | None) -> Tensor:
        """Return (N,) weighted distortion, in bits, of pictures (N, 3, H, W) in [-1, 1].

        Args:
            octaves: (N, H, W) of their pixels; None: all count alike.
        """
        return bits_worth(pictures[0, 0].numel() * weighted(self.measure, decoded, pictures, octaves), self.step)

    def _octaves_of_pixels(self, height: int, width: int) -> Tensor | None:
        """Return the octaves (N, H, W) of pixels."""
        if self.importance is None:
            return None
        of_pixels = self.importance.octaves.repeat(self.cell, 1)[:, :height].repeat(self.cell, 2)[:, :, :width]
        return torch.from_numpy(np.ascontiguousarray(of_pixels))

    def cost_of_pictures(self, pixels: Tensor, latents: Tensor) -> Tensor:
        """Return (N,) costs of pictures (N, H, W, 3), uint8, coded by latents, which this method rounds."""
        bits, (worth,) = self.bits_and_worths(pixels, latents, [self.measure])
        return bits + worth

    def bits_and_worths(
        self, pixels: Tensor, latents: Tensor, measures: Sequence[Measure]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return (N,) the bits of the codes, and by each measure (N,) the weighted distortion in bits, of pictures
        (N, H, W, 3), uint8, coded by latents, which this method rounds."""
        height, width = pixels.shape[1:3]
        symbols = self.quantised(latents).round()
        decoded = self.autoencoder.decode_pictures(
            self.latents_of(symbols), height, width, self.steps, half=self.half, fast=True
        )
        worths = [torch.zeros(len(pixels)) for _ in measures]
        octaves = self._octaves_of_pixels(height, width)
        with torch.inference_mode():
            both = torch.from_numpy(np.stack(decoded)), pixels
            for row, column in product(spans(height, PIECE_PIXELS, 0), spans(width, PIECE_PIXELS, 0)):
                of_piece = None if octaves is None else octaves[:, row.input(1), column.input(1)]
                shown, original = (self._pictures(of_both, row, column, 1) for of_both in both)
                for worth, measure in zip(worths, measures, strict=True):
                    worth += replace(self, measure=measure)._worth(shown, original, of_piece).cpu()
        return self._bits_of_rounded(symbols), worths

    def code_bytes(self, latents: Tensor) -> Tensor:
        """Estimate (N,) the bytes of the codes of latents (N, C, h, w), to about half a per cent."""
        bits = self._bits_of_rounded(self.quantised(latents).round())
        return bits / 8 * EXCESS + BYTES_OF_LANE * picture_lanes(*latents.shape[2:])

    def _bits_of_rounded(self, symbols: Tensor) -> Tensor:
        """Return (N,) bits of codes, on the CPU, of symbols (N, C, h, w) of any size."""
        bits = torch.zeros(len(symbols))
        with torch.inference_mode():
            for row, column in self._pieces(symbols, 0):
                piece = symbols[:, :, row.input(1), column.input(1)].to(self.autoencoder.device)
                bits += self.part(row, column)._bits(piece).cpu()
        return bits

    def refine(
        self, pixels: Tensor, latents: Tensor, rounds: int, progress: Callable[[int], None] = lambda _: None
    ) -> Tensor:
        """Search for better latents than the encoder's.

        Args:
            pixels: (N, H, W, 3) uint8.
            latents: (N, C, h, w) the encoder's, of the pictures or of their halves.
            rounds: of gradient descent, each with a forward and a backward pass through the decoder. More than
                ``SHORT_EFFORT`` gain little until ``RANDOM_EFFORT``.
            progress: called with the number of pixels refined since the last call, after each piece.

        Returns:
            (N, C, h, w), not rounded. No picture (and no piece of a large one) costs more than before.
        """
        refined = latents.clone()
        for row, column in self._pieces(latents, MARGIN_CELLS):
            piece = refined[:, :, row.input(1), column.input(1)].to(self.autoencoder.device)
            of_piece = self.part(row, column)
            pictures = self._pictures(pixels, row, column, self.cell)
            best = of_piece.latents_of(of_piece._descend(pictures, of_piece.quantised(piece), rounds)).cpu()
            refined[:, :, row.output(1), column.output(1)] = best[:, :, row.cropped(1), column.cropped(1)]
            progress(pixels[:, row.output(self.cell), column.output(self.cell), 0].numel())
        return refined

    def _pieces(self, latents: Tensor, margin: int) -> Iterator[tuple[Span, Span]]:
        # At half size a pixel takes half the memory, because few activations have the picture's full size.
        side = math.isqrt(pixels_at_once(self.autoencoder.device) * (2 if self.half else 1))
        cells = max(1, side // self.cell)
        rows, columns = latents.shape[2:]
        return product(spans(rows, cells, margin), spans(columns, cells, margin))

    def _pictures(self, pixels: Tensor, row: Span, column: Span, cell: int) -> Tensor:
        """Return a piece of pictures (N, H, W, 3), uint8, as (N, 3, H, W) in [-1, 1]; ``cell`` is in pixels."""
        cut = pixels[:, row.input(cell), column.input(cell)]
        return cut.to(self.autoencoder.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _descend(self, pictures: Tensor, symbols: Tensor, rounds: int) -> Tensor:
        """Run the descent. Return (N, C, h, w) latents in units of the own step, the given ones without a gain."""
        shift = torch.zeros_like(symbols, requires_grad=True)
        optimizer = torch.optim.Adam([shift], betas=(0.8, 0.99), eps=SMALL_GRADIENT)
        random = torch.Generator().manual_seed(0) if rounds >= RANDOM_EFFORT else None
        softest, hardest, path = SOFTEST, HARDEST, PATH if self.measure is distortion else METRIC_PATH
        unit, of_round = as_factor(self.steps, symbols.device) ** -0.5, STEPS_OF_ROUND
        if random is not None:
            softest, hardest, path = RANDOM_SOFTEST, RANDOM_HARDEST, RANDOM_PATH * math.sqrt(rounds)
            unit, of_round = 1.0, 1
        count = rounds * of_round
        for number in range(count):
            progress = number / count
            rounded = softly_rounded(symbols + unit * shift, softest * (hardest / softest) ** progress, random)
            if number % of_round == 0:
                check_cancelled()
                expanded = self._expanded(pictures, rounded)
            optimizer.zero_grad()
            (self._bits(rounded) + expanded(rounded)).sum().backward()
            for group in optimizer.param_groups:
                group["lr"] = path / (count + 2) * (1 - progress)
            optimizer.step()
        moved = symbols + unit * shift.detach()
        with torch.no_grad():
            cheaper = self.cost(pictures, moved.round()) < self.cost(pictures, symbols.round())
        return torch.where(cheaper.view(-1, 1, 1, 1), moved, symbols)

    def _expanded(self, pictures: Tensor, around: Tensor) -> Callable[[Tensor], Tensor]:
        """Return weighted distortion, but for a constant, as a function of symbols near ``around``: (N,), in bits."""
        around = around.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._worth_of_symbols(pictures, around).sum(), around)
        around = around.detach()

        def worth(symbols: Tensor) -> Tensor:
            moved = symbols - around
            return (moved * (gradient + CURVATURE / 2 * moved)).sum((1, 2, 3))

        return worth


def pixels_at_once(device: torch.device) -> int:
    """Return the approximate number of pixels refined together, which bounds memory."""
    most = PIXELS_AT_ONCE[device.type]
    if device.type == "cpu":
        return most
    of_pixel = BYTES_OF_PIXEL_BFLOAT16 if has_fast_bfloat16(device) else BYTES_OF_PIXEL
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return min(most, memory // PART_OF_MEMORY // of_pixel)


def as_factor(steps: Steps, device: torch.device) -> Steps:
    """Return steps as a factor of latents (N, C, h, w) on a device."""
    return steps[:, None].to(device) if isinstance(steps, Tensor) else steps


def weighted(measure: Measure, decoded: Tensor, pictures: Tensor, octaves: Tensor | None) -> Tensor:
    """Return (N,) the distortion, in which pixels count by their octave.

    That of an octave is measured where all other pixels are those of the original, so that any measure can be weighted.

    Args:
        octaves: (N, H, W) int8; None: all pixels count alike.
    """
    if octaves is None:
        return measure(decoded, pictures)
    total = torch.zeros(len(pictures), device=pictures.device)
    for octave in octaves.unique().tolist():
        here = (octaves == octave)[:, None].to(pictures.device)
        total = total + weight_of(octave) * measure(torch.where(here, decoded, pictures), pictures)
    return total


def softly_rounded(symbols: Tensor, softness: float, random: torch.Generator | None = None) -> Tensor:
    """Round (N, C, h, w) softly: the gradient is steep between two integers and vanishes near them.

    Args:
        random: draws the direction of rounding, equal for all N, so that a picture does not depend on its batch.
            None rounds to the nearer side.
    """
    below = symbols.detach().floor()
    part = (symbols - below).clamp(1e-4, 1 - 1e-4)
    odds = (torch.atanh(part) - torch.atanh(1 - part)) / softness
    if random is not None:
        drawn = torch.rand(symbols.shape[1:], generator=random).clamp(1e-6, 1 - 1e-6)
        odds = (odds + torch.logit(drawn).to(symbols.device)) / CHOSEN_SOFTNESS
    return below + torch.sigmoid(odds)


def bits_worth(error: Worth, step: float) -> Worth:
    """Convert a distortion, summed over pixels, to bits at a quantisation step."""
    return error / (LAMBDA_PER_SQUARED_STEP * step**2)
