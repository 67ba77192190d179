"""A folder's pictures through the encoder."""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.batches import batches_by_size
from unicorn_codec.pictures.images import Folder, read_picture
from unicorn_codec.transform.autoencoder import Autoencoder


def encode_batches(
    folder: Folder,
    positions: Sequence[int],
    read: ReadOptions,
    autoencoder: Autoencoder,
    multiple: int,
    progress: Callable[[int, int], None],
) -> Iterator[tuple[list[int], Tensor]]:
    """Raw latents (n, C, h, w) of some pictures, with their positions, a batch of one size at a time.

    Args:
        multiple: pixels that a side is padded to a multiple of.
    """
    done = 0
    sizes = [(folder.pictures[position].width, folder.pictures[position].height) for position in positions]
    for places in batches_by_size(sizes):
        batch = [positions[place] for place in places]
        pixels = [read_picture(folder, folder.pictures[position], read) for position in batch]
        yield batch, autoencoder.encode_pictures(pixels, multiple)
        done += len(batch)
        progress(done, len(positions))


def encode_folder(
    folder: Folder, read: ReadOptions, autoencoder: Autoencoder, multiple: int, progress: Callable[[int, int], None]
) -> list[Tensor]:
    """Raw latents (C, h, w) of every picture, by position."""
    positions = range(len(folder.pictures))
    of_position = {
        position: one
        for batch, latents in encode_batches(folder, positions, read, autoencoder, multiple, progress)
        for position, one in zip(batch, latents, strict=True)
    }
    return [of_position[position] for position in positions]
