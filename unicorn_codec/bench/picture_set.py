"""Pictures of a benchmark, read from their files on each access so that none stays in memory."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.picture_folder import Folder, list_folder, read_picture
from unicorn_codec.pictures.picture_table import PictureTable
from unicorn_codec.pictures.pixels import Pixels


@dataclass(frozen=True, slots=True)
class PictureSet:
    """Pictures of a folder by position, (H, W, 3) uint8 each, as every codec gets them."""

    folder: Folder
    read: ReadOptions

    @classmethod
    def open(cls, root: Path, read: ReadOptions) -> "PictureSet":
        """Open a folder and check its pictures.

        Raises:
            ImageFolderError: the folder is missing or empty, or a picture cannot be read.
        """
        return cls(list_folder(root, read), read)

    def copy_sample(self, target: Path, pictures: int | None, seed: int) -> "PictureSet":
        """Copy some of the files, drawn at random from the seed, into a private folder. None: all."""
        chosen = list(range(len(self)))
        if pictures is not None and pictures < len(self):
            chosen = sorted(random.Random(seed).sample(chosen, pictures))
        for position in chosen:
            path = target / self.folder.pictures[position].name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.path(position), path)
        return PictureSet.open(target, self.read)

    def evenly_spaced(self, pictures: int | None) -> "PictureSet":
        """Return at most this many of the pictures, evenly spaced. Their files stay in place."""
        if pictures is None or pictures >= len(self):
            return self
        chosen = PictureTable(self.folder.pictures[place * len(self) // pictures] for place in range(pictures))
        return PictureSet(replace(self.folder, pictures=chosen), self.read)

    def path(self, position: int) -> Path:
        return self.folder.root / self.folder.pictures[position].name

    def suffix(self, position: int) -> str:
        return PurePosixPath(self.folder.pictures[position].name).suffix.lower()

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Width and height of every picture."""
        return [(picture.width, picture.height) for picture in self.folder.pictures]

    @property
    def pixels(self) -> int:
        return sum(width * height for width, height in self.sizes)

    def __len__(self) -> int:
        return len(self.folder.pictures)

    def __getitem__(self, position: int) -> Pixels:
        return read_picture(self.folder, self.folder.pictures[position], self.read)

    def __iter__(self) -> Iterator[Pixels]:
        return (self[position] for position in range(len(self)))
