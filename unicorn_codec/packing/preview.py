"""Preview: some pictures of a folder that are decoded and measured during training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unicorn_codec.decoders.network_decoder import NetworkDecoder
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.pictures.batches import PIXELS_TOGETHER, places_by_size
from unicorn_codec.pictures.metrics import psnr_db

PREVIEW_PICTURES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewSample:
    """Some pictures of one size, with their originals."""

    indices: tuple[int, ...]
    originals: tuple[np.ndarray, ...]

    def psnr_db(self, decoder: NetworkDecoder, *, steps: int | None = None, seed: int | None = None) -> float:
        """Decode the pictures and return their mean PSNR."""
        height, width = self.originals[0].shape[:2]
        decoded = decoder.read(self.indices, width, height, steps=steps, seed=seed)()
        return float(np.mean([psnr_db(a, b) for a, b in zip(self.originals, decoded, strict=True)]))


def take_preview(pictures: PictureSource, indices: Sequence[int]) -> PreviewSample:
    """Choose pictures of the most frequent size, evenly from the folder.

    Args:
        indices: of all pictures, by position.
    """
    (width, height), commonest = max(places_by_size(pictures.sizes).items(), key=lambda entry: len(entry[1]))
    count = max(1, min(PREVIEW_PICTURES, PIXELS_TOGETHER // (width * height)))
    chosen = commonest[:: -(-len(commonest) // count)]
    return PreviewSample(
        indices=tuple(indices[position] for position in chosen),
        originals=tuple(pictures.picture(position) for position in chosen),
    )
