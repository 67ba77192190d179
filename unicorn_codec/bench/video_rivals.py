"""Video encoders as rivals: pictures, sorted by similarity, become the frames of a video. Run through ffmpeg."""

import importlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.bench.picture_set import PictureSet
from unicorn_codec.bench.rivals import Codec, Sizes, named
from unicorn_codec.errors import RivalFailed
from unicorn_codec.pictures.pixels import Pixels, to_image

SIDE_MULTIPLE = 8
"""Sides are padded to a multiple of this by repeating the border: encoders need it, and chroma has half the size."""

EXACT = "flags=accurate_rnd+full_chroma_int+full_chroma_inp+lanczos"
TO_YUV = f"scale=out_color_matrix=bt709:out_range=tv:{EXACT}"
FROM_YUV = f"scale=in_color_matrix=bt709:in_range=tv:{EXACT}"
"""Colour conversions at both ends, since the stream does not state its colour matrix and range."""

THUMBNAIL_SIDE = 8
LONG_GOP = "9999"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoEncoder:
    """An encoder of ffmpeg: the option that sets its quality, other options, and ffmpeg's muxer."""

    library: str
    knob: str
    muxer: str
    options: tuple[str, ...] = ()
    pixel_format: str = "yuv420p"


HEVC = VideoEncoder(
    library="libx265",
    knob="-crf",
    muxer="hevc",
    # One frame thread, since otherwise the stream depends on the number of cores. No text with its settings.
    options=("-preset", "slow", "-x265-params", "log-level=none:info=0:frame-threads=1"),
)
AV1 = VideoEncoder(library="libaom-av1", knob="-crf", muxer="obu", options=("-cpu-used", "4", "-b:v", "0"))
SVT_AV1 = VideoEncoder(library="libsvtav1", knob="-crf", muxer="obu", options=("-preset", "4"))
VVC = VideoEncoder(
    library="libvvenc", knob="-qp", muxer="vvc", options=("-preset", "medium"), pixel_format="yuv420p10le"
)


@dataclass(frozen=True, kw_only=True)
class SortedVideo(Codec):
    """A video of all pictures, which must be of one size.

    Args:
        all_intra: code every frame independently. Otherwise frames refer to others: fewest bytes, but no random access.
    """

    name: str
    title: str
    encoder: VideoEncoder
    all_intra: bool
    settings: Mapping[str, int] = field(default_factory=dict)
    order_file: ClassVar[str] = "order.bin"

    def missing(self, sizes: Sizes) -> str | None:
        if len(set(sizes)) > 1:
            return "the pictures are not all of one size"
        if ffmpeg_with(self.encoder.library) is None:
            return f"needs an ffmpeg with {self.encoder.library}"
        return None

    def encode(self, pictures: PictureSet, setting: str, folder: Path) -> None:
        encoder = self.encoder
        order = sort_by_similarity(thumbnails(pictures))
        write_order(folder / self.order_file, order)
        height, width, _ = _padded(pictures[0]).shape
        command = [
            *(str(ffmpeg_with(encoder.library)), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"),
            *("-s", f"{width}x{height}", "-r", "25", "-i", "pipe:", "-vf", TO_YUV, "-pix_fmt", encoder.pixel_format),
            *("-c:v", encoder.library, *encoder.options, encoder.knob, str(self.settings[setting])),
            *("-g", "1" if self.all_intra else LONG_GOP, "-f", encoder.muxer, str(_stream(folder, encoder))),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it ended early; its last line of output says why
                for position in order:
                    process.stdin.write(_padded(pictures[position]).tobytes())
            _, complaint = process.communicate()
        if process.returncode:
            raise RivalFailed(f"{encoder.library}: {_last_line(complaint)}")

    def decode(self, folder: Path, sizes: Sizes) -> Iterator[Pixels]:
        encoder, (width, height) = self.encoder, sizes[0]
        order = read_order(folder / self.order_file, len(sizes))
        shape = (-(-height // SIDE_MULTIPLE) * SIDE_MULTIPLE, -(-width // SIDE_MULTIPLE) * SIDE_MULTIPLE, 3)
        command = [
            *(str(ffmpeg_with(encoder.library)), "-v", "error", "-i", str(_stream(folder, encoder))),
            *("-vf", FROM_YUV, "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:"),
        ]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode or len(done.stdout) != len(sizes) * int(np.prod(shape)):
            raise RivalFailed(f"{encoder.library}: {_last_line(done.stderr) or 'frames are missing'}")
        frames = np.frombuffer(done.stdout, np.uint8).reshape(len(sizes), *shape)
        for place in np.argsort(order):
            yield frames[place, :height, :width]


def video_rivals() -> list[Codec]:
    """Return every rival that is a video encoder.

    VVC with references is left out: it takes hours for a thousand pictures.
    """
    return [
        *_intra_and_film("hevc", "HEVC", HEVC, named("crf", 51, 45, 39, 33, 27, 21, 16)),
        *_intra_and_film("av1", "AV1", AV1, named("crf", 63, 55, 45, 35, 25, 15)),
        *_intra_and_film("svt-av1", "SVT-AV1", SVT_AV1, named("crf", 63, 55, 45, 35, 25, 15)),
        _intra_and_film("vvc", "VVC", VVC, named("qp", 52, 47, 41, 35, 29, 23))[0],
    ]


def _intra_and_film(name: str, title: str, encoder: VideoEncoder, settings: Mapping[str, int]) -> list[Codec]:
    return [
        SortedVideo(
            name=f"{name}-{kind}", title=f"{title} {words}", encoder=encoder, all_intra=alone, settings=settings
        )
        for kind, words, alone in (("intra", "intra", True), ("film", "with references", False))
    ]


def ffmpeg_with(library: str) -> Path | None:
    """Return an ffmpeg that has the encoder: from the PATH, else from the package imageio-ffmpeg."""
    return next((path for path in _ffmpegs() if library in _encoders(path)), None)


@cache
def _ffmpegs() -> tuple[Path, ...]:
    found = [shutil.which("ffmpeg")]
    with suppress(ImportError, RuntimeError):  # not installed, or without a binary for this system
        found.append(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    return tuple(Path(path) for path in found if path)


@cache
def _encoders(ffmpeg: Path) -> frozenset[str]:
    """Return the names of the encoders in an ffmpeg. Each row of its list starts with flags."""
    listed = subprocess.run([ffmpeg, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False)
    rows = (line.split() for line in listed.stdout.splitlines())
    return frozenset(row[1] for row in rows if len(row) > 1)


def thumbnails(pictures: PictureSet) -> NDArray[np.float32]:
    """Return tiny versions of the pictures, (M, values), by which similarity is judged."""
    size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    return np.stack([np.asarray(to_image(pixels).resize(size), np.float32).ravel() for pixels in pictures])


def sort_by_similarity(values: NDArray[np.float32]) -> list[int]:
    """Order pictures in a chain from picture 0, always to the nearest one that is not in it yet."""
    left = np.ones(len(values), bool)
    order = [0]
    left[0] = False
    for _ in range(1, len(values)):
        distances = np.square(values - values[order[-1]]).sum(1)
        order.append(int(np.where(left, distances, np.inf).argmin()))
        left[order[-1]] = False
    return order


def write_order(path: Path, order: list[int]) -> None:
    """Write a permutation with the fewest bits per number: it is part of the cost of a sorted set."""
    bits = max(1, (len(order) - 1).bit_length())
    places = np.arange(bits - 1, -1, -1)
    path.write_bytes(np.packbits(np.array(order)[:, None] >> places & 1).tobytes())


def read_order(path: Path, count: int) -> NDArray[np.int64]:
    """Read the permutation of ``count`` numbers. The inverse of ``write_order``."""
    bits = max(1, (count - 1).bit_length())
    digits = np.unpackbits(np.frombuffer(path.read_bytes(), np.uint8), count=count * bits).reshape(count, bits)
    return digits.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1))


def _stream(folder: Path, encoder: VideoEncoder) -> Path:
    return folder / f"{encoder.library}.{encoder.muxer}"


def _padded(pixels: Pixels) -> Pixels:
    height, width, _ = pixels.shape
    return np.pad(pixels, ((0, -height % SIDE_MULTIPLE), (0, -width % SIDE_MULTIPLE), (0, 0)), mode="edge")


def _last_line(complaint: bytes) -> str:
    lines = complaint.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
