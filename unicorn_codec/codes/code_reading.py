"""Codes of latents of any kind, at full or half size, with a cell map or without, to symbols and their steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.codes.context_predictor import Levels
from unicorn_codec.codes.latent_coding import Symbols, decode_symbols
from unicorn_codec.format.cell_map import cell_levels, cell_steps, unmark_mapped
from unicorn_codec.format.code_kinds import decoder_step, is_half_size, is_mapped, model_level, unmark_half_size

CodeKind = tuple[bool, bool]
"""Whether a code is of a picture at half size, and whether it has a cell map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReader:
    """Reads codes of latents.

    Args:
        model: that they were coded by.
        latent_step: quantisation step of the decoder.
        level: coarseness of that step, see ``model_level``.
        short: whether the codes are short ones.
        downsampling: pixels of a latent's side.
    """

    model: ContextModel
    latent_step: float
    level: int
    short: bool
    downsampling: int

    def read(
        self, codes: Sequence[bytes], kind: CodeKind, height: int, width: int, *, leading: int | None = None
    ) -> tuple[Symbols, float | NDArray[np.float32]]:
        """Decode codes of one kind, of pictures of one size.

        Args:
            height, width: of the pictures, in pixels.
            leading: decode only these leading channels, see ``decode_symbols``.

        Returns:
            Symbols (N, C, h, w), and the quantisation step of all, or those of the cells, (N, h, w).

        Raises:
            InvalidField: a code is damaged.
        """
        half, mapped = kind
        cell = self.downsampling * (2 if half else 1)
        rows, columns = (-(-side // cell) for side in (height, width))
        step: float | NDArray[np.float32] = decoder_step(self.latent_step, half=half)
        levels: Levels = model_level(self.level, half=half)
        if mapped:
            codes, maps = zip(*(unmark_mapped(code, rows, columns) for code in codes), strict=True)
            offsets = np.stack(maps)
            step, levels = cell_steps(float(step), offsets), cell_levels(self.level, offsets, half=half)
        if half:
            codes = [unmark_half_size(code) for code in codes]
        return decode_symbols(self.model, levels, codes, rows, columns, short=self.short, leading=leading), step


def kind_of(code: bytes) -> CodeKind:
    """Return the kind of a code of latents."""
    return is_half_size(code), is_mapped(code)
