"""The bijection between positions (rank of a picture's name) and indices (its number in the archive)."""

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.format.generator import INDEX_MAP, raw


def index_of_position(seed: int, pictures: int) -> NDArray[np.int64]:
    """Return the index of the picture at each position: (M,) int64, a permutation drawn from the seed.

    Each position has a word of the generator as its key. The index is the key's rank; ties are in order of position.
    """
    positions = position_of_index(seed, pictures)
    indices = np.empty_like(positions)
    indices[positions] = np.arange(pictures)
    return indices


def position_of_index(seed: int, pictures: int) -> NDArray[np.int64]:
    """Return the position of the picture with each index: (M,) int64, the inverse of ``index_of_position``."""
    return np.argsort(raw(seed, INDEX_MAP, pictures), kind="stable")
