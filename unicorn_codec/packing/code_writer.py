"""Candidates to the bytes of codes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from unicorn_codec.codes.context_model import LARGEST_SYMBOL, ContextModel, level_of
from unicorn_codec.codes.latent_coding import encode_symbols
from unicorn_codec.format.cell_map import Offsets, cell_levels, cell_steps, mark_mapped
from unicorn_codec.format.code_kinds import decoder_step, mark_half_size, model_level
from unicorn_codec.packing.candidates import Candidate


def write_codes(model: ContextModel, candidates: Iterable[Candidate], step: float) -> Iterator[tuple[int, bytes]]:
    """Yield places and codes of pictures. Pictures of one size and kind of code are written together, for speed."""
    of_kind: dict[tuple[bool, torch.Size], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        if candidate.importance is None:
            of_kind[candidate.half, candidate.latents.shape[1:]].append(candidate)
        else:
            yield from write_mapped(model, candidate, candidate.importance.offsets, step)
    for (half, _), same in of_kind.items():
        latents = same[0].latents if len(same) == 1 else torch.cat([one.latents for one in same])
        places = np.concatenate([one.places for one in same]).tolist()
        yield from zip(places, encode_latents(model, latents, step, half=half), strict=True)


def write_mapped(
    model: ContextModel, candidate: Candidate, offsets: Offsets, step: float
) -> Iterator[tuple[int, bytes]]:
    """Yield places and codes of pictures with offsets (N, h, w) of steps; those of no offset but 0 have no map."""
    half = candidate.half
    steps = torch.from_numpy(cell_steps(decoder_step(step, half=half), offsets))
    symbols = quantise_latents(candidate.latents, steps[:, None])
    codes = encode_symbols(model, cell_levels(level_of(step), offsets, half=half), symbols)
    for place, code, of_cells in zip(candidate.places.tolist(), codes, offsets, strict=True):
        of_kind = mark_half_size(code) if half else code
        yield place, mark_mapped(of_kind, of_cells) if of_cells.any() else of_kind


def encode_latents(model: ContextModel, latents: Tensor, step: float, *, half: bool = False) -> list[bytes]:
    """Return the code of each of (N, C, h, w) raw latents.

    Args:
        half: whether the latents are of pictures at half size.
    """
    symbols = quantise_latents(latents, decoder_step(step, half=half))
    codes = encode_symbols(model, model_level(level_of(step), half=half), symbols)
    return list(map(mark_half_size, codes)) if half else codes


def quantise_latents(latents: Tensor, step: float | Tensor) -> np.ndarray:
    """Round (..., C, h, w) raw latents to symbols, int16. The inverse, up to rounding, multiplies by the step."""
    # A dead zone around zero was measured to increase distortion more than it saves rate.
    return (latents / step).round_().clamp_(-LARGEST_SYMBOL, LARGEST_SYMBOL).numpy().astype(np.int16)
