"""Codecs to compare with. Each writes files, and decodes the pictures from those files alone.

Decoders also get the size of every picture, which any collection's table of contents holds.
"""

import copy
import importlib
import io
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np
from PIL import Image, features

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import RivalFailed
from unicorn_codec.pictures.avif_container import take_still, wrap_still
from unicorn_codec.pictures.pixels import Pixels

Sizes = Sequence[tuple[int, int]]


class Codec(ABC):
    """A codec that stores a set of pictures in files and decodes them.

    ``name`` identifies it in ``--codecs`` and ``bench.json``, ``title`` in tables and plots. ``settings`` maps the name
    of each setting to a value for the codec, from the smallest files to the largest. ``most_pictures`` limits a codec
    that is too slow for all pictures to this many, evenly spaced. ``note`` is a remark printed with its points.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    most_pictures: int | None = None
    note: str | None = None

    def thinned(self, count: int) -> Self:
        """Return this codec with at most ``count`` of its settings, evenly from the first to the last."""
        names = list(self.settings)
        count = min(count, len(names))
        places = {round(i * (len(names) - 1) / max(1, count - 1)) for i in range(count)}
        twin = copy.copy(self)
        kept = {name: self.settings[name] for place, name in enumerate(names) if place in places}
        object.__setattr__(twin, "settings", kept)  # some codecs are frozen dataclasses
        return twin

    def missing(self, sizes: Sizes) -> str | None:
        """Return why the codec cannot run here on pictures of these sizes, or None if it can."""
        return None

    @abstractmethod
    def encode(self, pictures: PictureSet, setting: str, folder: Path) -> None:
        """Encode pictures into files in an empty folder."""

    @abstractmethod
    def decode(self, folder: Path, sizes: Sizes) -> Iterator[Pixels]:
        """Decode the pictures from the files, by position."""


def named(knob: str, *values: int) -> dict[str, int]:
    """Return settings with names such as ``quality 20``."""
    return {f"{knob} {value}": value for value in values}


class OneFileEach(Codec):
    """A codec that writes one file per picture."""

    suffix: ClassVar[str]

    @abstractmethod
    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        """Encode a picture."""

    @abstractmethod
    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        """Decode a picture. ``size`` is its width and height."""

    def encode(self, pictures: PictureSet, setting: str, folder: Path) -> None:
        for position, pixels in enumerate(pictures):
            try:
                data = self.encode_picture(pixels, self.settings[setting])
            except Exception as error:  # each library has its own exceptions
                height, width, _ = pixels.shape
                raise RivalFailed(f"cannot encode a picture of {width}x{height} pixels ({error})") from error
            (folder / f"{position:06d}{self.suffix}").write_bytes(data)

    def decode(self, folder: Path, sizes: Sizes) -> Iterator[Pixels]:
        for position, size in enumerate(sizes):
            data = (folder / f"{position:06d}{self.suffix}").read_bytes()
            try:
                pixels = self.decode_picture(data, size)
            except Exception as error:
                raise RivalFailed(f"cannot decode file {position} ({error})") from error
            yield pixels


class PillowCodec(OneFileEach):
    """A format that Pillow reads and writes."""

    file_format: ClassVar[str]
    parameters: ClassVar[Mapping[str, Any]]

    def missing(self, sizes: Sizes) -> str | None:
        name = self.file_format.lower()
        return None if name == "jpeg" or features.check(name) else f"Pillow was built without {self.file_format}"

    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        return _save(Image.fromarray(pixels), self.file_format, quality=quality, **self.parameters)

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        return np.asarray(_load(data))


class Jpeg(PillowCodec):
    name, title, suffix, file_format = "jpeg", "JPEG", ".jpg", "JPEG"
    settings = named("quality", 1, 5, 10, 20, 40, 60, 78)
    parameters: ClassVar = {"optimize": True, "progressive": True}


class WebP(PillowCodec):
    name, title, suffix, file_format = "webp", "WebP", ".webp", "WEBP"
    settings = named("quality", 0, 2, 10, 30, 60, 80)
    parameters: ClassVar = {"method": 6}


class Avif(PillowCodec):
    name, title, suffix, file_format = "avif", "AVIF", ".avif", "AVIF"
    settings = named("quality", 0, 5, 10, 20, 30, 45, 60, 72)
    parameters: ClassVar = {"speed": 4}


class SlowAvif(Avif):
    name, title = "avif-speed-0", "AVIF, speed 0"
    parameters: ClassVar = {"speed": 0}


class TunedAvif(Avif):
    """AVIF at one setting of the encoder.

    Args:
        speed: 0 to 10; 0 is the slowest and best.
        subsampling: of chroma, such as ``4:2:0``.
        tune: what the encoder tunes for; None: its default.
        qualities: settings, 0 to 100.
    """

    def __init__(self, speed: int, subsampling: str, tune: str | None, qualities: Sequence[int]) -> None:
        self.name = "-".join(["avif", f"s{speed}", subsampling.replace(":", ""), *([tune] if tune else [])])
        self.title = ", ".join([f"AVIF, speed {speed}", subsampling, *([f"tune {tune}"] if tune else [])])
        self.settings = named("quality", *qualities)
        # One thread: more of them would split the picture into tiles, which costs bytes.
        self._options: dict[str, Any] = {"speed": speed, "subsampling": subsampling, "max_threads": 1}
        if tune is not None:
            self._options["advanced"] = {"tune": tune}

    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        return _save(Image.fromarray(pixels), self.file_format, quality=quality, **self._options)


class HalfAvif(Avif):
    """AVIF at half the picture's size, upsampled after decoding. Often better at the lowest rates."""

    name, title = "avif-half", "AVIF, half size"
    settings = named("quality", 0, 5, 10, 15, 20, 25, 30, 40, 60, 80)

    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        picture = Image.fromarray(pixels)
        return super().encode_picture(
            np.asarray(picture.resize(((picture.width + 1) // 2, (picture.height + 1) // 2), Image.Resampling.LANCZOS)),
            quality,
        )

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        return np.asarray(_load(data).resize(size, Image.Resampling.LANCZOS))


class WithoutContainer(PillowCodec):
    """Mixin for AVIF codecs that stores the coded data without the container."""

    suffix: ClassVar[str] = ".obu"

    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        return take_still(super().encode_picture(pixels, quality))

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        return super().decode_picture(wrap_still(data), size)


class BareAvif(WithoutContainer, Avif):
    name, title = "avif-bare", "AVIF without container"


class BareHalfAvif(WithoutContainer, HalfAvif):
    name, title = "avif-half-bare", "AVIF, half size, without container"


class ImagecodecsCodec(OneFileEach):
    """A format of the package imagecodecs, which is imported when the codec runs."""

    family: ClassVar[str]

    def missing(self, sizes: Sizes) -> str | None:
        try:
            has = getattr(_imagecodecs(), self.family).available
        except ImportError:
            return "the package imagecodecs is not installed"
        return None if has else f"this imagecodecs has no {self.title}"


class JpegXl(ImagecodecsCodec):
    name, title, suffix, family = "jpeg-xl", "JPEG XL", ".jxl", "JPEGXL"
    settings = named("distance", 25, 15, 8, 4, 2, 1)
    effort: ClassVar[int] = 7

    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        return bytes(_imagecodecs().jpegxl_encode(pixels, distance=quality, effort=self.effort, usecontainer=False))

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        return np.asarray(_imagecodecs().jpegxl_decode(data))


class SlowJpegXl(JpegXl):
    name, title = "jpeg-xl-e9", "JPEG XL, effort 9"
    effort = 9


class Jpeg2000(ImagecodecsCodec):
    """The bare codestream. A setting is its target PSNR."""

    name, title, suffix, family = "jpeg-2000", "JPEG 2000", ".j2k", "JPEG2K"
    settings = named("PSNR", 20, 23, 26, 29, 32, 35, 38)

    def encode_picture(self, pixels: Pixels, quality: Any) -> bytes:
        return bytes(_imagecodecs().jpeg2k_encode(pixels, level=quality, codecformat="j2k", reversible=False))

    def decode_picture(self, data: bytes, size: tuple[int, int]) -> Pixels:
        return np.asarray(_imagecodecs().jpeg2k_decode(data))


class Zip(Codec):
    """One zip archive of the original files, as most people would make from a folder."""

    name, title = "zip", "zip of the originals"
    settings = named("level", 9)
    file_name: ClassVar[str] = "originals.zip"

    def __init__(self, read: ReadOptions) -> None:
        self._read = read

    def encode(self, pictures: PictureSet, setting: str, folder: Path) -> None:
        level = self.settings[setting]
        with zipfile.ZipFile(folder / self.file_name, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            for position in range(len(pictures)):
                archive.write(pictures.path(position), f"{position:06d}{pictures.suffix(position)}")

    def decode(self, folder: Path, sizes: Sizes) -> Iterator[Pixels]:
        with tempfile.TemporaryDirectory() as unzipped:
            with zipfile.ZipFile(folder / self.file_name) as archive:
                archive.extractall(unzipped)
            yield from PictureSet.open(Path(unzipped), self._read)


def picture_rivals(read: ReadOptions) -> list[Codec]:
    """Return every rival that needs no video encoder."""
    return [
        *(Jpeg(), WebP(), Avif(), SlowAvif(), BareAvif(), HalfAvif(), BareHalfAvif()),
        *(JpegXl(), Jpeg2000(), Zip(read)),
    ]


def _imagecodecs() -> ModuleType:
    return importlib.import_module("imagecodecs")


def _save(picture: Image.Image, file_format: str, **parameters: Any) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, file_format, **parameters)
    return encoded.getvalue()


def _load(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.convert("RGB")
