"""A folder of picture files <-> pixels. The only module that knows Pillow.

Pixels are uint8 arrays ``(H, W, 3)``, sRGB, upright and opaque, whatever the file held. ``list_folder`` decodes
every file once, so that a damaged one is found before hours of training and not after them.
"""

import hashlib
import io
import os
import secrets
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import ImageFolderError, InvalidSetting, OutputError
from unicorn_codec.format.header import MAX_SIDE
from unicorn_codec.pictures.picture_files import (
    SUFFIXES,
    BadFile,
    Unreadable,
    find_pictures,
    printable,
    read_file,
    reason_of,
)

MAX_PIXELS = 1 << 27
MAX_NAMES_SHOWN = 20

# Named, so that a file that only calls itself .jpg cannot wake Pillow's PostScript or other rare readers.
READ_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")
WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    # Level 6, the default, takes more than twice the time for files half a per cent smaller.
    ".png": ("PNG", {"compress_level": 4}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"lossless": True}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".bmp": ("BMP", {}),
}

Pixels = NDArray[np.uint8]
PillowImage = Image.Image


@dataclass(frozen=True, slots=True)
class Picture:
    """One readable file: its name below the folder (POSIX), its size as it comes back, its bytes' SHA-256 in hex."""

    name: str
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds.

    Args:
        root: the folder.
        pictures: in the order of their names' UTF-8 bytes; never empty.
        skipped: unreadable files, left out because the options say so.
        flattened: pictures with transparency, now lying on the background.
        scaled: pictures that were larger than ``max_side``.
        other_files: files whose suffix is not a picture's. Hidden files are not counted.
    """

    root: Path
    pictures: tuple[Picture, ...]
    skipped: tuple[Unreadable, ...]
    flattened: int
    scaled: int
    other_files: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names, by position."""
        return tuple(picture.name for picture in self.pictures)

    @property
    def sizes(self) -> NDArray[np.int32]:
        """(M, 2) width and height, by position."""
        return np.array([(picture.width, picture.height) for picture in self.pictures], np.int32)

    @property
    def pixels(self) -> int:
        """Of all pictures together."""
        return sum(picture.width * picture.height for picture in self.pictures)


def list_folder(folder: Path | str, options: ReadOptions, progress: Callable[[int, int], None] | None = None) -> Folder:
    """Read and check every picture below a folder, once.

    Args:
        progress: called as ``progress(done, total)`` after each file.

    Raises:
        ImageFolderError: no such folder, no pictures, or files that cannot be read and may not be skipped.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ImageFolderError(f"{root} is not a folder" if os.path.lexists(root) else f"there is no folder {root}")
    names, skipped, other_files = find_pictures(root)
    pictures: list[Picture] = []
    flattened = scaled = 0
    for done, name in enumerate(names, start=1):
        try:
            data = read_file(root, name)
            decoded = _decode(data, options)
        except BadFile as error:
            skipped.append(Unreadable(printable(name), str(error)))
        else:
            height, width, _ = decoded.pixels.shape
            pictures.append(Picture(name, width, height, hashlib.sha256(data).hexdigest()))
            flattened += decoded.flattened
            scaled += decoded.scaled
        if progress:
            progress(done, len(names))
    if skipped and not (options.skip_unreadable and pictures):
        raise ImageFolderError(_complaint(root, skipped))
    if not pictures:
        kinds = " ".join(suffix[1:] for suffix in SUFFIXES)
        raise ImageFolderError(f"{root} holds no pictures ({kinds}; {other_files} other files)")
    return Folder(root, tuple(pictures), tuple(skipped), flattened, scaled, other_files)


def folder_digest(folder: Folder, options: ReadOptions) -> str:
    """SHA-256 (hex) over the pictures' names and bytes and over all that decides their pixels."""
    digest = hashlib.sha256(f"{options.max_side} {tuple(options.background)}\0".encode())
    for picture in folder.pictures:
        digest.update(f"{picture.name}\0{picture.sha256}\0".encode())  # no file name holds a NUL
    return digest.hexdigest()


def read_picture(folder: Folder, picture: Picture, options: ReadOptions) -> Pixels:
    """Return a listed picture's pixels ``(H, W, 3)``, with the options it was listed with.

    Raises:
        ImageFolderError: the file vanished or changed since the folder was listed.
    """
    try:
        data = read_file(folder.root, picture.name)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise BadFile("it changed since the folder was listed")
        pixels = _decode(data, options).pixels
    except BadFile as error:
        raise ImageFolderError(f"{folder.root / printable(picture.name)}: {error}") from error
    assert pixels.shape == (picture.height, picture.width, 3), "read with other options than listed with"
    return pixels


def write_picture(pixels: Pixels, path: Path | str, overwrite: bool = False) -> None:
    """Write pixels ``(H, W, 3)`` in the format of the path's suffix (PNG without one), whole or not at all.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
        OutputError: the file exists and ``overwrite`` is false, cannot be written, or is too large for its format.
    """
    assert pixels.shape[2:] == (3,), f"pixels are (H, W, 3), not {pixels.shape}"
    assert pixels.dtype == np.uint8, f"pixels are uint8, not {pixels.dtype}"
    path = Path(path)
    name, settings = write_format(path.suffix or ".png")
    if path.is_dir() or (os.path.lexists(path) and not overwrite):
        raise OutputError(f"{path} {'is a folder' if path.is_dir() else 'exists already'}")
    encoded = io.BytesIO()
    try:
        Image.fromarray(pixels).save(encoded, name, **settings)
    except Exception as error:  # each of Pillow's writers has its own way to refuse a size
        height, width, _ = pixels.shape
        raise OutputError(f"{path}: {width}x{height} pixels cannot be written as {name} ({error})") from error
    partial = path.with_name(f".unicorn-{secrets.token_hex(8)}.part")
    try:
        try:
            partial.write_bytes(encoded.getbuffer())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: {reason_of(error)}") from error


def to_image(pixels: Pixels) -> PillowImage:
    """Return pixels ``(H, W, 3)`` as a Pillow image, for callers that like one better."""
    return Image.fromarray(pixels)


def write_format(suffix: str) -> tuple[str, dict[str, Any]]:
    """Return Pillow's format name and settings for an output suffix such as ``.png``.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
    """
    if suffix.lower() not in WRITE_FORMATS:
        raise InvalidSetting(f"pictures are written as {' '.join(WRITE_FORMATS)}, not {printable(suffix)!r}")
    return WRITE_FORMATS[suffix.lower()]


def _complaint(root: Path, faults: list[Unreadable]) -> str:
    shown = [f"  {fault.name}: {fault.reason}" for fault in faults[:MAX_NAMES_SHOWN]]
    if len(faults) > MAX_NAMES_SHOWN:
        shown.append(f"  and {len(faults) - MAX_NAMES_SHOWN} more")
    return "\n".join([f"{root}: {len(faults)} of its files cannot be read", *shown])


@dataclass(frozen=True, slots=True)
class _Decoded:
    pixels: Pixels
    flattened: bool
    scaled: bool


def _decode(data: bytes, options: ReadOptions) -> _Decoded:
    """Decode a file's bytes to upright, opaque sRGB pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of harmless faults in metadata; real damage is an exception
        try:
            image = _upright(_load(data))
            color, alpha = _split(image)
            color = _to_srgb(color, image.info.get("icc_profile"))
            if alpha is not None:
                opaque = Image.new("RGB", color.size, tuple(options.background))
                color = Image.composite(color, opaque, alpha)
            size = _size_within(color.size, options.max_side)
            scaled = color.resize(size, Image.Resampling.LANCZOS) if size != color.size else color
        except BadFile:
            raise
        except Exception as error:  # Pillow's readers raise nearly anything on damaged bytes
            reason = "it is no picture, or damaged" if isinstance(error, UnidentifiedImageError) else str(error)
            raise BadFile(reason or type(error).__name__) from error
    if max(size) > MAX_SIDE:
        raise BadFile(f"it has {size[0]}x{size[1]} pixels; sides up to {MAX_SIDE} are allowed")
    return _Decoded(np.array(scaled), alpha is not None, size != color.size)


def _load(data: bytes) -> PillowImage:
    """Decode the first frame. The size is judged from the header, before memory is taken for it."""
    image = Image.open(io.BytesIO(data), formats=READ_FORMATS)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadFile(f"it claims {width}x{height} pixels; {MAX_PIXELS} are allowed")
    image.load()
    return image


def _upright(image: PillowImage) -> PillowImage:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - EXIF is a second file in the file; a broken one costs only itself
        return image


def _split(image: PillowImage) -> tuple[PillowImage, PillowImage | None]:
    """Return an 8-bit image in the mode its colour profile speaks of (L, RGB, CMYK, LAB), and real transparency."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        color = Image.fromarray(_eight_bits(values))
        hole = image.info.get("transparency")
        alpha = Image.fromarray(np.where(values == hole, 0, 255).astype(np.uint8)) if isinstance(hole, int) else None
    elif image.has_transparency_data:
        gray = image.mode in ("1", "L", "LA", "La")
        layered = image.convert("RGBA")
        color, alpha = layered.getchannel("R") if gray else layered.convert("RGB"), layered.getchannel("A")
    else:
        kept = {"1": "L", "L": "L", "CMYK": "CMYK", "LAB": "LAB"}.get(image.mode, "RGB")
        color, alpha = image.convert(kept), None
    is_opaque = alpha is None or alpha.getextrema()[0] == 255
    return color, None if is_opaque else alpha


def _eight_bits(values: NDArray[Any]) -> Pixels:
    """Scale wide grayscale values to 0..255. Pillow would clip them instead.

    White is 65535 for integers and 1 for floats, unless a picture's values leave that range (scientific TIFFs):
    then its own least and greatest value become black and white.
    """
    wide = values.astype(np.float64)
    if not np.isfinite(wide).all():
        raise BadFile("some of its values are not finite")
    black, white = 0.0, 1.0 if values.dtype.kind == "f" else 65535.0
    if wide.min() < black or wide.max() > white:
        black, white = float(wide.min()), float(wide.max())
    return np.rint((wide - black) / (white - black or 1.0) * 255).astype(np.uint8)


def _to_srgb(color: PillowImage, profile: bytes | None) -> PillowImage:
    """Convert to sRGB by the file's own profile; without a usable one its values are taken as sRGB."""
    if color.mode == "LAB":
        return _converted(color, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")))
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
        gray_by_rgb = color.mode == "L" and source.profile.xcolor_space == "RGB "
        return _converted(color.convert("RGB") if gray_by_rgb else color, source)
    except Exception:  # noqa: BLE001 - no profile, a broken one, or one of another colour space
        return color.convert("RGB")


def _converted(color: PillowImage, source: ImageCms.ImageCmsProfile) -> PillowImage:
    converted = ImageCms.profileToProfile(color, source, _srgb(), outputMode="RGB")
    assert converted is not None  # it is None only when converting in place
    return converted


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _size_within(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Shrink a (width, height) so that the longer side is ``max_side``; 0 and smaller pictures stay."""
    longest = max(size)
    if not max_side or longest <= max_side:
        return size
    width, height = (max(1, (2 * side * max_side + longest) // (2 * longest)) for side in size)
    return width, height
