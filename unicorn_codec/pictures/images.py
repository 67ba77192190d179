"""A folder of picture files <-> pixels.

Pixels are uint8 arrays ``(H, W, 3)``, sRGB and upright, whatever the file holds; with transparency ``(H, W, 4)``.
``list_folder`` decodes every file once, so that a damaged one is found before hours of training and not after them.
"""

import hashlib
import io
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unicorn_codec.config import MAX_PIXELS as MAX_PIXELS
from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import ImageFolderError, InvalidSetting, OutputError
from unicorn_codec.metadata import PictureMetadata
from unicorn_codec.pictures.folders import alike_names, find_files
from unicorn_codec.pictures.metadata_writing import finish, settings_for
from unicorn_codec.pictures.picture_files import (
    BadFile,
    LeftOut,
    MissingReader,
    fault,
    printable,
    read_file,
    reason_of,
)
from unicorn_codec.pictures.reading import decode_picture
from unicorn_codec.pictures.transparency import WHITE, flatten, has_alpha, with_alpha

MAX_NAMES_SHOWN = 20

WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    # Level 6, the default, takes more than twice as long for files half a per cent smaller.
    ".png": ("PNG", {"compress_level": 4}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"lossless": True}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".bmp": ("BMP", {}),
}

TRANSPARENCY = "transparency"
_OPAQUE_FORMATS = ("JPEG", "BMP")
"""Formats without transparency; few programs read that of a BMP."""

Pixels = NDArray[np.uint8]
PillowImage = Image.Image


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
        pictures: in the order of their names' UTF-8 bytes; never empty.
        left_out: every other file, and every hidden folder, with the reason.
        flattened: number of pictures whose transparency was flattened onto the background.
        scaled: number of pictures larger than ``max_side``, which were scaled down.
        notes: on single pictures, in the order of their names.
    """

    root: Path
    pictures: tuple[Picture, ...]
    left_out: tuple[LeftOut, ...] = ()
    flattened: int = 0
    scaled: int = 0
    notes: tuple[Note, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names, by position."""
        return tuple(picture.name for picture in self.pictures)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(M, 2) width and height, by position."""
        return np.array([(picture.width, picture.height) for picture in self.pictures], np.int32)

    @property
    def transparent(self) -> int:
        """Number of pictures that keep their transparency."""
        return sum(picture.has_alpha for picture in self.pictures)

    @property
    def pixels(self) -> int:
        """Total pixels of all pictures."""
        return sum(picture.width * picture.height for picture in self.pictures)


def list_folder(folder: Path | str, options: ReadOptions, progress: Callable[[int, int], None] | None = None) -> Folder:
    """Read and check every picture below a folder, once.

    Args:
        progress: called as ``progress(done, total)`` after each file.

    Raises:
        ImageFolderError: the folder does not exist, holds no pictures, or has unreadable files that may not be skipped.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ImageFolderError(f"{root} is not a folder" if os.path.lexists(root) else f"there is no folder {root}")
    found = find_files(root)
    pictures, left_out, notes = list[Picture](), list(found.left_out), list[Note]()
    flattened = scaled = 0
    for done, name in enumerate(found.names, start=1):
        try:
            data = read_file(root, name)
            decoded = decode_picture(data, options)
        except MissingReader as error:
            left_out.append(LeftOut(name=printable(name), reason=str(error), is_picture=True, is_fault=False))
        except BadFile as error:
            left_out.append(fault(name, str(error)))
        else:
            height, width, _ = decoded.pixels.shape
            digest = hashlib.sha256(data).hexdigest()
            gray, is_clear = is_gray(decoded.pixels), decoded.alpha is not None
            pictures.append(Picture(name, width, height, digest, is_gray=gray, has_alpha=is_clear))
            flattened += decoded.flattened
            scaled += decoded.scaled
            notes += [Note(printable(name), text) for text in decoded.notes]
        if progress:
            progress(done, len(found.names))
    left_out.sort(key=lambda file: file.name)
    faults = [file for file in left_out if file.is_fault]
    if faults and not (options.skip_unreadable and pictures):
        raise ImageFolderError(_complaint(root, faults))
    if not pictures:
        raise ImageFolderError(_nothing_found(root, left_out))
    notes += [Note(printable(name), _ALIKE_NAME) for name in alike_names(p.name for p in pictures)]
    return Folder(
        root=root,
        pictures=tuple(pictures),
        left_out=tuple(left_out),
        flattened=flattened,
        scaled=scaled,
        notes=tuple(notes),
    )


def is_gray(pixels: Pixels) -> bool:
    """Return whether all pixels (H, W, 3) have R = G = B."""
    return bool((pixels == pixels[..., :1]).all())


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


def write_picture(
    pixels: Pixels, path: Path | str, overwrite: bool = False, metadata: PictureMetadata | None = None
) -> list[str]:
    """Write pixels in the format of the path's suffix (PNG without one), whole or not at all.

    Args:
        pixels: ``(H, W, 3)``, or ``(H, W, 4)`` with transparency.
        metadata: goes into the file, whose time of modification it sets.

    Returns:
        The kinds of metadata that the format cannot hold, with ``TRANSPARENCY``.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
        OutputError: the file exists and ``overwrite`` is false, cannot be written, or is too large for its format.
    """
    path = Path(path)
    write_format(path.suffix or ".png")
    if path.is_dir() or (os.path.lexists(path) and not overwrite):
        raise OutputError(f"{path} {'is a folder' if path.is_dir() else 'exists already'}")
    known = metadata or PictureMetadata()
    try:
        encoded, lost = encode_with_metadata(pixels, path.suffix or ".png", known)
    except OutputError as error:
        raise OutputError(f"{path}: {error}") from error
    partial = path.with_name(f".unicorn-{secrets.token_hex(8)}.part")
    try:
        try:
            partial.write_bytes(encoded)
            if known.modified is not None:
                with suppress(OSError, OverflowError):  # a time that the file system does not have
                    os.utime(partial, (known.modified, known.modified))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: {reason_of(error)}") from error
    return lost


def encode_picture(pixels: Pixels, suffix: str = ".png") -> bytes:
    """Return the bytes of a file of pixels, in the format of a suffix. Raises as the next one."""
    return encode_with_metadata(pixels, suffix, PictureMetadata())[0]


def encode_with_metadata(pixels: Pixels, suffix: str, metadata: PictureMetadata) -> tuple[bytes, list[str]]:
    """Return the bytes of a file of pixels, and the kinds of metadata that its format cannot hold.

    Args:
        pixels: ``(H, W, 3)``, or ``(H, W, 4)`` with transparency. A format without it gets them on white.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
        OutputError: the picture is too large for its format.
    """
    assert pixels.shape[2:] in ((3,), (4,)), f"pixels are (H, W, 3) or (H, W, 4), not {pixels.shape}"
    assert pixels.dtype == np.uint8, f"pixels are uint8, not {pixels.dtype}"
    name, settings = write_format(suffix)
    encoded = io.BytesIO()
    added, lost = settings_for(name, metadata)
    if has_alpha(pixels) and name in _OPAQUE_FORMATS:
        pixels, lost = flatten(pixels, WHITE), [*lost, TRANSPARENCY]
    try:
        Image.fromarray(pixels).save(encoded, name, **settings, **added)
    except Exception as error:  # each of Pillow's writers has its own way to refuse a size
        height, width = pixels.shape[:2]
        raise OutputError(f"{width}x{height} pixels cannot be written as {name} ({error})") from error
    return finish(name, encoded.getvalue(), metadata), lost


def to_image(pixels: Pixels) -> PillowImage:
    """Return pixels ``(H, W, 3)`` as a Pillow image of mode RGB, or ``(H, W, 4)`` of mode RGBA."""
    return Image.fromarray(pixels)


def write_format(suffix: str) -> tuple[str, dict[str, Any]]:
    """Return Pillow's format name and settings for an output suffix such as ``.png``.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
    """
    if suffix.lower() not in WRITE_FORMATS:
        raise InvalidSetting(f"pictures are written as {' '.join(WRITE_FORMATS)}, not {printable(suffix)!r}")
    return WRITE_FORMATS[suffix.lower()]


_ALIKE_NAME = "its name differs from another one only in Unicode's normal form; both are kept"


def _complaint(root: Path, faults: Sequence[LeftOut]) -> str:
    return "\n".join([f"{root}: {len(faults)} of its files cannot be read", *_shown(faults)])


def _nothing_found(root: Path, left_out: Sequence[LeftOut]) -> str:
    return "\n".join([f"{root} holds no pictures that are read ({len(left_out)} other files)", *_shown(left_out)])


def _shown(files: Sequence[LeftOut]) -> list[str]:
    lines = [f"  {one.name}: {one.reason}" for one in files[:MAX_NAMES_SHOWN]]
    return lines if len(files) <= MAX_NAMES_SHOWN else [*lines, f"  and {len(files) - MAX_NAMES_SHOWN} more"]
