"""JPEG files to smaller streams and back to the same bytes: by JPEG XL, which is always there, or by Lepton, an extra.

Decoders of both take memory by the size of the picture that a stream claims, so it is checked before they see it.
"""

import os
import zlib
from collections.abc import Iterator
from typing import Any

import imagecodecs

from unicorn_codec.errors import ForkRefused, InvalidField, PackageMissing, PictureTooLarge
from unicorn_codec.format.fields import Fields, check, refusing
from unicorn_codec.format.limits import MAX_RAW_BYTES
from unicorn_codec.pictures.jpeg_markers import FRAMES, STANDALONE

MAX_JPEG_SIDE = 65535

_LEPTON_START, _LEPTON_HEAD = b"\xcf\x84\x01", 28
_LEPTON_BESIDE = 1 << 16
"""Bytes of a Lepton header besides those of the JPEG file."""

_LEPTON_THREADS = b"HH"
_LEPTON_FIXED = {b"P0D": 1, b"EEE": 28}
_LEPTON_COUNTED = {b"CRS": 4, b"FRS": 1, b"GRB": 1, b"PGR": 1}
"""Sections of a Lepton header: of one entry a thread, of fixed length, and of as many entries as a u32
says, with the bytes of an entry."""

_JPEG_XL_FILE = b"\0\0\0\x0cJXL \r\n\x87\n"
_JPEG_XL_STREAM = b"\xff\x0a"
_SIZE_BYTES = 16
"""Enough of a JPEG XL stream to hold its picture's size."""

_SIDE_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (6, 5), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""Width by height, for the numbers 1 to 7 of a JPEG XL stream."""


_lepton_users = set[int]()
"""Processes in which Lepton was used: this one, or one that it was forked from."""


def lepton_package() -> Any:
    """Return the package of Lepton, for use; None if it is not installed.

    Raises:
        ForkRefused: it was used before this process was forked.
    """
    try:
        import lepton_jpeg_python
    except ImportError:
        return None
    _lepton_users.add(os.getpid())
    if len(_lepton_users) > 1:
        raise ForkRefused(
            "an exact JPEG picture was read or stored before this process was forked, which Lepton's threads do not "
            "survive: start processes by spawn, or before such a picture is read"
        )
    return lepton_jpeg_python


def to_lepton(data: bytes) -> bytes | None:
    """Transcode a JPEG file by Lepton; None without the package, and for a file that it refuses.

    Raises:
        ForkRefused: Lepton was used before this process was forked.
    """
    package = lepton_package()
    if package is None:
        return None
    config = {"max_jpeg_width": MAX_JPEG_SIDE, "max_jpeg_height": MAX_JPEG_SIDE, "max_jpeg_file_size": MAX_RAW_BYTES}
    try:
        return bytes(package.compress_bytes(data, config))
    except Exception:  # noqa: BLE001 - a panic of its is of no narrower class
        return None


def from_lepton(stream: bytes, file_bytes: int, max_pixels: int) -> bytes:
    """Return the JPEG file of a Lepton stream.

    Raises:
        InvalidField: it is none, or claims another size than ``file_bytes``.
        PictureTooLarge: it claims more than ``max_pixels``.
        PackageMissing: Lepton is not installed.
        ForkRefused: it was used before this process was forked.
    """
    with refusing("Lepton stream"):
        _check_lepton(stream, file_bytes, max_pixels)
    package = lepton_package()
    if package is None:
        raise PackageMissing("this file was stored by Lepton: pip install 'unicorn-codec[exact]' to get it back")
    try:
        return bytes(package.decompress_bytes(stream))
    except Exception as error:
        raise InvalidField(f"Lepton stream: {str(error).splitlines()[0]}") from error


def _check_lepton(stream: bytes, file_bytes: int, max_pixels: int) -> None:
    """Check every number by which a decoder of Lepton takes memory. Raises ``InvalidField`` and ``PictureTooLarge``."""
    check(stream.startswith(_LEPTON_START) and len(stream) >= _LEPTON_HEAD, "it is none")
    unpacked, claimed, length = (int.from_bytes(stream[at : at + 4], "little") for at in (10, 20, 24))
    check(claimed == file_bytes, f"it claims a file of {claimed} bytes, not {file_bytes}")
    unpacker = zlib.decompressobj()
    try:
        header = unpacker.decompress(stream[_LEPTON_HEAD : _LEPTON_HEAD + length], file_bytes + _LEPTON_BESIDE)
    except zlib.error as error:
        raise InvalidField(f"its header is damaged ({error})") from error
    check(unpacker.eof and len(header) == unpacked, "its header has another length than it says")
    fields = Fields(header)
    check(fields.take(3) == b"HDR", "its header is none of a JPEG file")
    width, height = _frame_size(fields.take(fields.numbers("I")[0]))
    while fields.left:
        _skip_section(fields)
    _check_size(width, height, max_pixels)


def _skip_section(fields: Fields) -> None:
    """Skip a section of a Lepton header, which has as many bytes as it says. Raises ``InvalidField``."""
    tag = fields.take(3)
    if tag[:2] == _LEPTON_THREADS:
        fields.take(16 * tag[2])
    elif tag in _LEPTON_FIXED:
        fields.take(_LEPTON_FIXED[tag])
    else:
        check(tag in _LEPTON_COUNTED, f"its header has a section {tag!r}, which is not known")
        fields.take(_LEPTON_COUNTED[tag] * fields.numbers("I")[0])


def _frame_size(segments: bytes) -> tuple[int, int]:
    """Return width and height by the only frame header of a JPEG file's segments. Raises ``InvalidField``."""
    fields, sizes = Fields(segments), list[tuple[int, int]]()
    while fields.left:
        check(fields.take(1) == b"\xff", "segments of a JPEG file do not follow each other")
        kind = fields.take(1)[0]
        if kind in STANDALONE:
            continue
        body = fields.take(max(0, int.from_bytes(fields.take(2), "big") - 2))
        if kind in FRAMES:
            check(len(body) >= 6, "a frame header is cut")
            sizes.append((int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big")))
    check(len(sizes) == 1, f"a JPEG file with {len(sizes)} frame headers")
    return sizes[0]


def to_jpeg_xl(data: bytes) -> bytes | None:
    """Transcode a JPEG file by JPEG XL; None for a file that it refuses."""
    try:
        return bytes(imagecodecs.jpegxl_encode_jpeg(data, usecontainer=True))
    except Exception:  # noqa: BLE001 - imagecodecs has classes of errors for each kind of build
        return None


def from_jpeg_xl(stream: bytes, file_bytes: int, max_pixels: int) -> bytes:
    """Return the JPEG file of a JPEG XL file.

    Raises:
        InvalidField: it is none, or makes a file of another size than ``file_bytes``.
        PictureTooLarge: it claims more than ``max_pixels``.
    """
    check_jpeg_xl(stream, max_pixels)
    try:
        found = bytes(imagecodecs.jpegxl_decode_jpeg(stream, numthreads=1, out=file_bytes))
    except Exception as error:
        raise InvalidField(f"JPEG XL stream: {error}") from error
    if len(found) != file_bytes:
        raise InvalidField(f"JPEG XL stream: it makes {len(found)} bytes, not {file_bytes}")
    return found


def check_jpeg_xl(stream: bytes, max_pixels: int, size: tuple[int, int] | None = None) -> None:
    """Check the size that a JPEG XL stream or file claims.

    Raises:
        InvalidField: it claims none, or another one than ``size``.
        PictureTooLarge: it claims more than ``max_pixels``.
    """
    with refusing("JPEG XL stream"):
        claimed = jpeg_xl_size(stream)
        check(size is None or claimed == size, f"it claims {claimed[0]}x{claimed[1]} pixels, not {size}")
        _check_size(*claimed, max_pixels)


def jpeg_xl_size(stream: bytes) -> tuple[int, int]:
    """Return the width and height that a JPEG XL stream or file claims. Raises ``InvalidField``."""
    start = stream[:_SIZE_BYTES]
    if stream.startswith(_JPEG_XL_FILE):
        start = b"".join(_stream_boxes(stream))[:_SIZE_BYTES]
    if not start.startswith(_JPEG_XL_STREAM):
        raise InvalidField("it is no JPEG XL")
    bits = _Bits(int.from_bytes(start[2:].ljust(_SIZE_BYTES, b"\0"), "little"))
    small = bits.take(1)
    height = bits.small_side() if small else bits.side()
    ratio = bits.take(3)
    if ratio:
        above, below = _RATIOS[ratio - 1]
        return height * above // below, height
    return bits.small_side() if small else bits.side(), height


class _Bits:
    """Numbers of a JPEG XL stream, lowest bit first."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        found = self._value & (1 << count) - 1
        self._value >>= count
        return found

    def small_side(self) -> int:
        return 8 * (self.take(5) + 1)

    def side(self) -> int:
        return self.take(_SIDE_BITS[self.take(2)]) + 1


def _stream_boxes(data: bytes) -> Iterator[bytes]:
    """Yield the first bytes of each box of a JPEG XL file that holds a part of its stream."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size else len(data)
        if size and size < head:
            return
        if kind in (b"jxlc", b"jxlp"):
            start = at + head + (4 if kind == b"jxlp" else 0)
            yield data[start : min(end, start + _SIZE_BYTES)]
        at = end


def _check_size(width: int, height: int, max_pixels: int) -> None:
    check(width > 0 and height > 0, f"it claims {width}x{height} pixels")
    if width * height > max_pixels:
        raise PictureTooLarge(
            f"a stored JPEG file claims {width}x{height} pixels, the limit is {max_pixels}; if you trust this file, "
            "raise it by --max-pixels"
        )
