"""Codes to small pictures, without the autoencoder and without torch.

The leading channels of a code hold its coarse content, and are decoded before the others. A linear map of each 3x3
neighbourhood of them gives ``CELL`` x ``CELL`` pixels for a cell of latents: a quarter of the picture's size, at a
small fraction of the time. Such pictures serve as thumbnails alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.codes.code_reading import CodeReader, kind_of
from unicorn_codec.codes.context_model import ContextModel
from unicorn_codec.format.code_kinds import colour_code, is_gray
from unicorn_codec.format.decoder_table import OF_CODES, Decoder
from unicorn_codec.model_registry import THUMBNAIL, get_model, names

CELL = 4
"""Pixels a side that a cell of latents, 16 pixels a side of the picture, becomes."""

DOWNSAMPLING = 16
"""Pixels of a latent's side."""

CHANNELS = 16
"""Leading channels of a code that thumbnails are made of."""

Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ThumbnailModel:
    """Linear map from neighbourhoods of latents to pixels.

    Args:
        kernel: (3 CELL^2, 9 CHANNELS), see ``neighbourhoods``.
        bias: (3 CELL^2,), in levels of 255.
    """

    kernel: Singles
    bias: Singles

    def pictures(self, latents: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Return small pictures (N, CELL h, CELL w, 3) of leading latents (N, CHANNELS, h, w)."""
        count, _, rows, columns = latents.shape
        inputs = neighbourhoods(latents).transpose(1, 0, 2, 3).reshape(self.kernel.shape[1], -1)
        pixels = self.kernel @ inputs + self.bias[:, None]
        cells = np.rint(pixels.clip(0, 255)).astype(np.uint8).reshape(CELL, CELL, 3, count, rows, columns)
        return cells.transpose(3, 4, 0, 5, 1, 2).reshape(count, rows * CELL, columns * CELL, 3)


def neighbourhoods(latents: NDArray[np.floating]) -> Singles:
    """Return the 3x3 neighbourhoods of latents (N, C, h, w) as channels, (N, 9 C, h, w); edges are repeated."""
    rows, columns = latents.shape[2:]
    padded = np.pad(latents.astype(np.float32), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    places = [(row, column) for row in range(3) for column in range(3)]
    return np.concatenate([padded[:, :, r : r + rows, c : c + columns] for r, c in places], axis=1)


def thumbnail_model(described: Decoder) -> ThumbnailModel | None:
    """Return the map for the latents of a decoder; None if the package has none for its model."""
    name = described.model.name
    if described.kind != OF_CODES or name not in names(THUMBNAIL):
        return None
    served = get_model(THUMBNAIL, name).config["fingerprint"]
    return _load(name) if described.model.fingerprint.hex() == served else None


@cache
def _load(name: str) -> ThumbnailModel:
    from safetensors.numpy import load

    tensors = load(get_model(THUMBNAIL, name).read())
    return ThumbnailModel(tensors["kernel"].astype(np.float32), tensors["bias"].astype(np.float32))


def decode_small(
    model: ThumbnailModel,
    context_model: ContextModel,
    described: Decoder,
    codes: Sequence[bytes],
    width: int,
    height: int,
) -> list[NDArray[np.uint8]]:
    """Decode codes of latents of pictures of one size to small pictures, at a quarter of it or an eighth.

    Args:
        codes: of latents, none of AVIF.

    Returns:
        uint8 (h, w, 3) each, in order.

    Raises:
        FormatError: a code is damaged, as far as that shows in its leading channels.
    """
    colours = [colour_code(code) for code in codes]
    reader = CodeReader(
        model=context_model,
        latent_step=described.latent_step,
        level=described.level,
        short=described.short,
        downsampling=DOWNSAMPLING,
    )
    pictures: dict[int, NDArray[np.uint8]] = {}
    for kind in set(map(kind_of, colours)):
        places = [place for place, code in enumerate(colours) if kind_of(code) == kind]
        of_kind = [colours[place] for place in places]
        symbols, step = reader.read(of_kind, kind, height, width, leading=CHANNELS)
        latents = symbols[:, :CHANNELS].astype(np.float32) * (step if isinstance(step, float) else step[:, None])
        cell = DOWNSAMPLING * (2 if kind[0] else 1)
        small_height, small_width = (max(1, round(side * CELL / cell)) for side in (height, width))
        decoded = model.pictures(latents)[:, :small_height, :small_width]
        pictures |= dict(zip(places, decoded, strict=True))
    return [in_gray(pictures[n]) if is_gray(codes[n]) else pictures[n] for n in range(len(codes))]


def in_gray(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return small pixels (H, W, 3) with the mean of their channels in all three."""
    return np.repeat(pixels.mean(axis=-1, keepdims=True).round().astype(np.uint8), 3, axis=-1)
