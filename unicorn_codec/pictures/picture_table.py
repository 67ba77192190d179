"""The pictures of a folder in little memory: an object is made of one when it is asked for."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Picture:
    """A readable file.

    Args:
        name: relative to the folder, with ``/``.
        width, height: of the picture as unpacked.
        sha256: of the file's bytes, in hex.
        is_gray: whether all its pixels have R = G = B.
        has_alpha: whether it keeps its transparency.
    """

    name: str
    width: int
    height: int
    sha256: str
    is_gray: bool = False
    has_alpha: bool = False


class PictureTable(Sequence[Picture]):
    """Pictures in columns: 50 bytes each besides the name, a sixth of what objects take.

    Attributes:
        names: of the pictures.
    """

    def __init__(self, pictures: Iterable[Picture] = ()) -> None:
        self.names: list[str] = []
        self._sides = array("i")
        self._digests, self._flags = bytearray(), bytearray()
        for picture in pictures:
            self.append(picture)

    def append(self, picture: Picture) -> None:
        """Add a picture at the end."""
        self.names.append(picture.name)
        self._sides.extend((picture.width, picture.height))
        self._digests += bytes.fromhex(picture.sha256)
        self._flags.append(picture.is_gray | picture.has_alpha << 1)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(M, 2) width and height of each picture."""
        return np.array(self._sides, np.int32).reshape(-1, 2)

    @property
    def transparent(self) -> int:
        """Number of pictures that keep their transparency."""
        return sum(flags >> 1 for flags in self._flags)

    @overload
    def __getitem__(self, position: int) -> Picture: ...

    @overload
    def __getitem__(self, position: slice) -> "PictureTable": ...

    def __getitem__(self, position: int | slice) -> "Picture | PictureTable":
        if isinstance(position, slice):
            return PictureTable(self[place] for place in range(*position.indices(len(self))))
        name = self.names[position]
        place = position % len(self)
        digest = self._digests[place * SHA256_BYTES : (place + 1) * SHA256_BYTES]
        width, height = self._sides[2 * place : 2 * place + 2]
        flags = self._flags[place]
        return Picture(name, width, height, digest.hex(), is_gray=bool(flags & 1), has_alpha=bool(flags >> 1))

    def __len__(self) -> int:
        return len(self.names)
