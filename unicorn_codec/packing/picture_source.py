"""The pictures of a folder by position, and their latents."""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from unicorn_codec.config import ReadOptions
from unicorn_codec.format.alpha_plane import serialize_alpha
from unicorn_codec.format.code_kinds import mark_gray
from unicorn_codec.format.picture_tiles import Tile, is_tiled, tiles_of
from unicorn_codec.packing.masks import Mask, Masks
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.picture_folder import Folder, read_picture, read_with_alpha
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.spool import Spool
from unicorn_codec.transform.autoencoder import Autoencoder

CACHE_BYTES = 1 << 28
"""Cached latents of a ``LatentSource``, because those of a large folder do not fit into memory."""


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Reads the pictures of a folder by position.

    Args:
        masks: of pictures of which parts count more; None: of none.
    """

    folder: Folder
    read: ReadOptions
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.folder.pictures)

    @property
    def pixels(self) -> int:
        """Total pixels of all pictures."""
        return self.folder.pixels

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of each picture."""
        known = dict[tuple[int, int], tuple[int, int]]()  # equal sizes are one object
        return [known.setdefault(size, size) for size in map(tuple, self.folder.sizes.tolist())]

    def size_of(self, position: int) -> tuple[int, int]:
        """Return width and height of the picture at a position."""
        picture = self.folder.pictures[position]
        return picture.width, picture.height

    def picture(self, position: int) -> Pixels:
        """Read the colours (H, W, 3) of the picture at a position."""
        return read_picture(self.folder, self.folder.pictures[position], self.read)

    def with_alpha(self, position: int) -> Pixels:
        """Read the picture at a position: (H, W, 3), or (H, W, 4) with transparency."""
        return read_with_alpha(self.folder, self.folder.pictures[position], self.read)

    def alphas(self, work: Path | None = None) -> Spool:
        """Return the opacity of each transparent picture by position, as it is stored.

        Args:
            work: folder of temporary files; None: the system's.
        """
        found = Spool(work)
        for position, picture in enumerate(self.folder.pictures):
            if picture.has_alpha:
                found[position] = serialize_alpha(self.with_alpha(position)[..., 3])
        return found

    @property
    def masked(self) -> Set[int]:
        """Positions of the pictures that have masks."""
        return frozenset() if self.masks is None else self.masks.positions

    def mask(self, position: int) -> Mask | None:
        """Return the mask (H, W) of the picture at a position; None without one."""
        return self.masks.mask(position) if self.masks is not None and position in self.masked else None

    def mark_if_gray(self, position: int, code: bytes) -> bytes:
        """Mark the code of the picture at a position if that is gray: it so comes back without a tint."""
        return mark_gray(code) if self.folder.pictures[position].is_gray else code

    @property
    def tiled(self) -> frozenset[int]:
        """Positions of the pictures that are coded in tiles."""
        large = (position for position, size in enumerate(self.sizes) if is_tiled(*size))
        return frozenset(large)

    def tiles_of(self, position: int) -> "PictureTiles":
        """Return the tiles of a large picture, which is read whole, as pictures of their own."""
        whole, mask = self.with_alpha(position), self.mask(position)
        return PictureTiles(self.folder, self.read, whole=whole, whole_mask=mask)

    def pixels_of(self, position: int) -> int:
        """Return the number of pixels of the picture at a position."""
        width, height = self.size_of(position)
        return width * height


@dataclass(frozen=True, slots=True)
class PictureTiles(PictureSource):
    """The tiles of a large picture, by number, as pictures of their own.

    Args:
        whole: (H, W, 3) the picture, or (H, W, 4) with transparency.
        whole_mask: (H, W) of the picture; None without one.
    """

    whole: Pixels = field(kw_only=True)
    whole_mask: Mask | None = field(kw_only=True)

    @property
    def tiles(self) -> list[Tile]:
        """Places of the tiles."""
        height, width = self.whole.shape[:2]
        return tiles_of(width, height)

    def __len__(self) -> int:
        return len(self.tiles)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(tile.width, tile.height) for tile in self.tiles]

    def size_of(self, position: int) -> tuple[int, int]:
        return self.sizes[position]

    def picture(self, position: int) -> Pixels:
        return np.ascontiguousarray(self.with_alpha(position)[..., :3])

    def with_alpha(self, position: int) -> Pixels:
        return self.whole[self.tiles[position].place]

    @property
    def masked(self) -> Set[int]:
        return frozenset() if self.whole_mask is None else frozenset(range(len(self)))

    def mask(self, position: int) -> Mask | None:
        return None if self.whole_mask is None else self.whole_mask[self.tiles[position].place]


def encode_batches(
    source: PictureSource,
    positions: Sequence[int],
    autoencoder: Autoencoder,
    multiple: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield raw latents (n, C, h, w) of some pictures with their positions, a batch of one size at a time.

    Args:
        multiple: pixels; sides are padded to a multiple of it.
    """
    done, sizes = 0, source.sizes
    for places in batches_by_size([sizes[position] for position in positions]):
        batch = [positions[place] for place in places]
        # The pixels have no name here, which would keep them while the caller uses the latents.
        yield batch, autoencoder.encode_pictures([source.picture(position) for position in batch], multiple)
        done += len(batch)
        progress(done, len(positions))


def encode_all(
    source: PictureSource, autoencoder: Autoencoder, multiple: int, progress: Callable[[int, int], None]
) -> list[Tensor]:
    """Return raw latents (C, h, w) of every picture, by position."""
    of_position = {
        position: one
        for batch, latents in encode_batches(source, range(len(source)), autoencoder, multiple, progress)
        for position, one in zip(batch, latents, strict=True)
    }
    return [of_position[position] for position in range(len(source))]


class LatentSource:
    """Raw latents of a folder's pictures. Caches the first ``CACHE_BYTES`` of them for the next pass."""

    def __init__(self, pictures: PictureSource, autoencoder: Autoencoder) -> None:
        self.pictures = pictures
        self._autoencoder = autoencoder
        self._cached: list[tuple[list[int], Tensor]] = []
        self._room = CACHE_BYTES

    def of(
        self, positions: Sequence[int], progress: Callable[[int, int], None] = lambda *_: None
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Encode some pictures without the cache, one batch of equal size at a time."""
        return encode_batches(
            self.pictures, positions, self._autoencoder, self._autoencoder.reference.downsampling, progress
        )

    def all_but(self, left_out: Set[int]) -> Iterator[tuple[list[int], Tensor]]:
        """Yield latents of all pictures except some, cached if available, one batch of equal size at a time."""
        for batch, latents in self._cached:
            places = [place for place, position in enumerate(batch) if position not in left_out]
            if places:
                yield [batch[place] for place in places], latents[places]
        skipped = left_out | {position for batch, _ in self._cached for position in batch}
        for batch, latents in self.of([position for position in range(len(self.pictures)) if position not in skipped]):
            self._room -= latents.nbytes
            if self._room >= 0:
                self._cached.append((batch, latents))
            yield batch, latents
