"""Pictures of an archive as a map-style dataset of PyTorch.

>>> from torch.utils.data import DataLoader
>>> from unicorn_codec.torch import PictureDataset
>>> dataset = PictureDataset("out.uni", transform=augment)  # doctest: +SKIP
>>> loader = DataLoader(dataset, batch_size=32, shuffle=True, num_workers=4)  # doctest: +SKIP
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, default_collate

from unicorn_codec.errors import IndexOutOfRange
from unicorn_codec.pictures.pixels import PillowImage
from unicorn_codec.pictures.transparency import WHITE, Colour
from unicorn_codec.process_archive import ProcessArchive

Transform = Callable[[PillowImage], Any]
Label = Callable[[str], Any]


class PictureDataset(Dataset[Any]):
    """Pictures of an archive by position, in ascending order of their indices or in a given order.

    Every worker process of a ``DataLoader`` opens the archive for itself, started by spawn or by fork, and reads only
    the records of the pictures that it decodes.

    Args:
        path: of the archive, or a URL that fsspec reads.
        transform: called with each picture, a Pillow image; without it, items are uint8 tensors (C, H, W).
        indices: of the pictures, such as one part of a split; all of them by default.
        label: called with a picture's name, such as ``cats/1.jpg``; items are then pairs of picture and label.
        batch_decode: decode all pictures of a batch together, on a GPU if there is one.
        device: auto, cpu or cuda. By default auto with ``batch_decode``, cpu without it. Workers that were started by
            fork cannot use a GPU.
        background: (R, G, B) onto which transparent pictures are flattened; None: keep their transparency.

    Raises:
        FormatError, ArchiveUnreadable: the file is missing or not a valid archive.
        IndexOutOfRange: no picture has one of the indices.
        InvalidSetting: there is no such device.
        TypeError: an index is no integer.
    """

    def __init__(
        self,
        path: Path | str,
        transform: Transform | None = None,
        indices: Iterable[int] | None = None,
        *,
        label: Label | None = None,
        batch_decode: bool = False,
        device: str | None = None,
        background: Colour | None = WHITE,
    ) -> None:
        chosen_device = device or ("auto" if batch_decode else "cpu")
        self._opened = ProcessArchive(path, device=chosen_device, background=background)
        self.transform, self.label, self.batch_decode = transform, label, batch_decode
        self._chosen = None if indices is None else np.fromiter(map(operator.index, indices), np.int64)
        self._found: NDArray[np.int64] | None = None
        known = self._opened.archive.reader.pictures()
        if self._chosen is not None and (lacking := self._chosen[~np.isin(self._chosen, known)]).size:
            # Refused here, because an IndexError in __getitem__ would silently end a loop over the dataset.
            raise IndexOutOfRange(f"{path}: no picture has the index {lacking[0]}")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_found": None}  # a worker lists the pictures for itself

    @property
    def indices(self) -> NDArray[np.int64]:
        """(N,) index of each picture by position."""
        if self._chosen is not None:
            return self._chosen
        if self._found is None:
            self._found = self._opened.archive.reader.pictures()
        return self._found

    def name(self, position: int) -> str:
        """Return the name of the picture at a position."""
        return self._opened.archive.name(int(self.indices[position]))

    def __len__(self) -> int:
        return self.indices.size

    def __getitem__(self, position: int) -> Any:
        (image,) = self._opened.decode([int(self.indices[position])])
        return self._item(position, image)

    def __getitems__(self, positions: Sequence[int]) -> list[Any]:
        """Return the items of a batch; ``DataLoader`` calls it where a dataset has it."""
        if not self.batch_decode:
            return [self[position] for position in positions]
        images = self._opened.decode(self.indices[list(positions)].tolist())
        return [self._item(position, image) for position, image in zip(positions, images, strict=True)]

    def _item(self, position: int, image: PillowImage) -> Any:
        picture = pixels_of(image) if self.transform is None else self.transform(image)
        return picture if self.label is None else (picture, self.label(self.name(position)))


def pixels_of(image: PillowImage) -> torch.Tensor:
    """Return a Pillow image as a uint8 tensor (C, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def collate_pictures(items: Sequence[Any]) -> Any:
    """Collate items of a ``PictureDataset``: pictures of one shape into a tensor (B, C, H, W), others into a list.

    For use as ``collate_fn`` where an archive holds pictures of several sizes. Labels are collated as by default.
    """
    if isinstance(items[0], tuple):
        pictures, labels = zip(*items, strict=True)
        return collate_pictures(pictures), default_collate(list(labels))
    if all(isinstance(item, torch.Tensor) and item.shape == items[0].shape for item in items):
        return torch.stack(list(items))
    return list(items)
