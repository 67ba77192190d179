"""A folder of picture files to pixels.

``list_folder`` decodes every file once, so that a damaged one is found before hours of training and not after them.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.config import OriginalOptions, ReadOptions, matches
from unicorn_codec.errors import ImageFolderError, InvalidSetting
from unicorn_codec.pictures.folders import FoundFiles, alike_names, find_files, is_storable, named_files
from unicorn_codec.pictures.picture_files import (
    BadFile,
    LeftOut,
    MissingReader,
    OtherFile,
    native_name,
    printable,
    read_file,
)
from unicorn_codec.pictures.picture_table import Picture, PictureTable
from unicorn_codec.pictures.pixels import Pixels, is_gray
from unicorn_codec.pictures.transparency import with_alpha

MAX_NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Note:
    """Remark on how a picture was read, for its owner; the name is printable."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Pictures of a folder.

    Args:
        root: the folder.
        pictures: in the order of their names' UTF-8 bytes.
        exact: pictures whose files are stored whole, in the same order; there is a picture of either kind.
        others: files that are stored whole without being read as pictures, in the same order.
        left_out: every other file, and every hidden folder, with the reason.
        flattened: number of pictures whose transparency was flattened onto the background.
        scaled: number of pictures larger than ``max_side``, which were scaled down.
        notes: on single pictures, in the order of their names.
    """

    root: Path
    pictures: PictureTable
    exact: PictureTable = field(default_factory=PictureTable)
    others: tuple[OtherFile, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    flattened: int = 0
    scaled: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the pictures that are not exact, by position."""
        return self.pictures.names

    @property
    def all_pictures(self) -> PictureTable:
        """All pictures, exact ones last."""
        return PictureTable(chain(self.pictures, self.exact)) if self.exact else self.pictures

    @property
    def all_names(self) -> list[str]:
        """Names of all pictures and other files, in the order of their UTF-8 bytes."""
        return sorted((*self.pictures.names, *self.exact.names, *(file.name for file in self.others)), key=str.encode)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(M, 2) width and height, by position."""
        return self.pictures.sizes

    @property
    def transparent(self) -> int:
        """Number of pictures that keep their transparency."""
        return self.pictures.transparent

    @property
    def pixels(self) -> int:
        """Total pixels of all pictures."""
        return int(self.sizes.astype(np.int64).prod(1).sum())


def list_folder(
    folder: Path | str,
    options: ReadOptions,
    progress: Callable[[int, int], None] | None = None,
    originals: OriginalOptions | None = None,
    *,
    output: Path | None = None,
    names: Sequence[str] | None = None,
) -> Folder:
    """Read and check every picture below a folder, once.

    Args:
        progress: called as ``progress(done, total)`` after each file.
        originals: which files are to be stored whole; None: none.
        output: archive that is left out should it lie below the folder, with its unfinished work.
        names: of the files to read, relative to the folder; None: all below it.

    Raises:
        ImageFolderError: the folder does not exist, holds no pictures, or has unreadable files that may not be skipped.
        InvalidSetting: a pattern matches no picture.
    """
    root, originals = Path(folder), originals or OriginalOptions()
    found = find_in(root, originals, output, names)
    listed = read_files(root, found, options, originals, progress)
    check_listed(listed, options)
    return replace(listed, notes=(*listed.notes, *notes_on_names(listed)))


def find_in(
    root: Path, originals: OriginalOptions, output: Path | None = None, names: Sequence[str] | None = None
) -> FoundFiles:
    """Walk a folder, unless names are given. Arguments and errors are those of ``list_folder``."""
    if not root.is_dir():
        raise ImageFolderError(f"{root} is not a folder" if os.path.lexists(root) else f"there is no folder {root}")
    if names is not None:
        found = named_files(names)
    else:
        found = find_files(root, keep_others=originals.keep_others, output=output)
    _check_patterns(found.names, originals)
    return found


def read_files(
    root: Path,
    found: FoundFiles,
    options: ReadOptions,
    originals: OriginalOptions,
    progress: Callable[[int, int], None] | None = None,
    see: Callable[[Pixels], object] = lambda _: None,
) -> Folder:
    """Read files of a folder, each once. Those that cannot be read are left out as faults.

    Args:
        found: names of the files, and what the walk left out.
        see: called with the colours (H, W, 3) of each picture that is not exact, in order.
    """
    listed = _Listed(list(found.others), list(found.left_out))
    for done, name in enumerate(found.names, start=1):
        try:
            _read_into(listed, root, name, options, originals, see)
        except BadFile as error:
            _leave_out(listed, root, name, error, originals)
        if progress:
            progress(done, len(found.names))
    return Folder(
        root=root,
        pictures=listed.pictures,
        exact=listed.exact,
        others=tuple(sorted(listed.others, key=lambda file: file.name.encode())),
        left_out=tuple(sorted(listed.left_out, key=lambda file: file.name)),
        flattened=listed.flattened,
        scaled=listed.scaled,
        notes=tuple(listed.notes),
    )


def check_listed(folder: Folder, options: ReadOptions) -> None:
    """Raise ``ImageFolderError`` if a folder has no pictures, or unreadable ones that may not be skipped."""
    faults = [file for file in folder.left_out if file.is_fault]
    has_pictures = bool(folder.pictures or folder.exact)
    if faults and not (options.skip_unreadable and has_pictures):
        raise ImageFolderError(_complaint(folder.root, faults))
    if not has_pictures:
        raise ImageFolderError(_nothing_found(folder.root, folder.left_out, len(folder.others)))


def notes_on_names(folder: Folder) -> list[Note]:
    """Return a note on each picture whose name differs from another one only in its normal form."""
    names = alike_names(chain(folder.pictures.names, folder.exact.names))
    return [Note(printable(name), _ALIKE_NAME) for name in names]


@dataclass(slots=True)
class _Listed:
    """Files of a folder, as far as they were read; fields as in ``Folder``."""

    others: list[OtherFile]
    left_out: list[LeftOut]
    pictures: PictureTable = field(default_factory=PictureTable)
    exact: PictureTable = field(default_factory=PictureTable)
    notes: list[Note] = field(default_factory=list)
    flattened: int = 0
    scaled: int = 0


def _check_patterns(names: Sequence[str], originals: OriginalOptions) -> None:
    for pattern in originals.patterns:
        if not any(matches(name, pattern) for name in names):
            raise InvalidSetting(f"no picture of the folder matches --exact {printable(pattern)!r}")


def _read_into(
    listed: _Listed,
    root: Path,
    name: str,
    options: ReadOptions,
    originals: OriginalOptions,
    see: Callable[[Pixels], object],
) -> None:
    """Read a picture, and list it. Raises ``BadFile``."""
    from unicorn_codec.pictures.reading import decode_picture  # slow to import, and of no use to readers of archives

    is_exact = originals.wants(name)
    data = read_file(root, name)
    decoded = decode_picture(data, whole_file_options(options) if is_exact else options)
    height, width, _ = decoded.pixels.shape
    digest = hashlib.sha256(data).hexdigest()
    gray, is_clear = is_gray(decoded.pixels), decoded.alpha is not None
    picture = Picture(name, width, height, digest, is_gray=gray, has_alpha=is_clear)
    if is_exact or (originals.keep_others and decoded.notes):
        listed.exact.append(picture)
        return
    listed.pictures.append(picture)
    see(decoded.pixels)
    listed.flattened += decoded.flattened
    listed.scaled += decoded.scaled
    listed.notes += [Note(printable(name), text) for text in decoded.notes]


def whole_file_options(options: ReadOptions) -> ReadOptions:
    """Return options for showing a picture whose file is stored whole, so that nothing of it can be lost."""
    return replace(options, first_page=True, accept_damaged=True)


def _leave_out(listed: _Listed, root: Path, name: str, error: BadFile, originals: OriginalOptions) -> None:
    """List a file that is not read as a picture: as kept if that is wished and possible."""
    if originals.keep_others and is_storable(root / native_name(name), name):
        listed.others.append(OtherFile(name, str(error)))
    else:
        missing = isinstance(error, MissingReader)
        listed.left_out.append(LeftOut(name=printable(name), reason=str(error), is_picture=True, is_fault=not missing))


def folder_digest(folder: Folder, options: ReadOptions) -> str:
    """Return the SHA-256 (hex) over the pictures' names and bytes and all options that affect their pixels."""
    background = None if options.background is None else tuple(options.background)
    settings = (options.max_side, background, options.first_page, options.accept_damaged)
    digest = hashlib.sha256(f"{settings}\0".encode())
    for picture in folder.pictures:
        digest.update(f"{picture.name}\0{picture.sha256}\0".encode())  # no file name holds a NUL
    return digest.hexdigest()


def read_picture(folder: Folder, picture: Picture, options: ReadOptions) -> Pixels:
    """Return a listed picture's colours ``(H, W, 3)``. Options and errors are those of ``read_with_alpha``."""
    return np.ascontiguousarray(read_with_alpha(folder, picture, options)[..., :3])


def read_with_alpha(folder: Folder, picture: Picture, options: ReadOptions) -> Pixels:
    """Return a listed picture's pixels ``(H, W, 3)``, or ``(H, W, 4)`` if it keeps its transparency.

    Args:
        options: those that the folder was listed with.

    Raises:
        ImageFolderError: the file vanished or changed since the folder was listed.
    """
    from unicorn_codec.pictures.reading import decode_picture

    try:
        decoded = decode_picture(read_original(folder, picture), options)
    except BadFile as error:
        raise ImageFolderError(f"{folder.root / printable(picture.name)}: {error}") from error
    channels = 4 if picture.has_alpha else 3
    pixels = with_alpha(decoded.pixels, decoded.alpha)
    assert pixels.shape == (picture.height, picture.width, channels), "read with other options than listed with"
    return pixels


def read_original(folder: Folder, picture: Picture) -> bytes:
    """Return the bytes of a listed picture's file.

    Raises:
        ImageFolderError: the file vanished or changed since the folder was listed.
    """
    try:
        data = read_file(folder.root, picture.name)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise BadFile("it changed since the folder was listed")
    except BadFile as error:
        raise ImageFolderError(f"{folder.root / printable(picture.name)}: {error}") from error
    return data


_ALIKE_NAME = "its name differs from another one only in Unicode's normal form; both are kept"


def _complaint(root: Path, faults: Sequence[LeftOut]) -> str:
    return "\n".join([f"{root}: {len(faults)} of its files cannot be read", *_shown(faults)])


def _nothing_found(root: Path, left_out: Sequence[LeftOut], kept: int) -> str:
    others = len(left_out) + kept
    return "\n".join([f"{root} holds no pictures that are read ({others} other files)", *_shown(left_out)])


def _shown(files: Sequence[LeftOut]) -> list[str]:
    lines = [f"  {one.name}: {one.reason}" for one in files[:MAX_NAMES_SHOWN]]
    return lines if len(files) <= MAX_NAMES_SHOWN else [*lines, f"  and {len(files) - MAX_NAMES_SHOWN} more"]
