"""What an archive asks of its decoder."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np


class PictureDecoder(Protocol):
    """Decodes the pictures of an archive."""

    def read(
        self, indices: Sequence[int], width: int, height: int, *, steps: int | None = None
    ) -> Callable[[], Iterator[np.ndarray]]:
        """Do all work but the autoencoder's, and return a function that yields the pictures in order.

        A thread can so read the next pictures while these go through the autoencoder.

        Args:
            indices: of pictures of one size.
            steps: sampling steps; None: those of the archive.

        Returns:
            A function that yields uint8 (height, width, 3) for each index, or (height, width, 4) with transparency.
        """
