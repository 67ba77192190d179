"""JPEG files are transcoded and come back, by JPEG XL and by Lepton."""

import builtins
import io
import os
import subprocess
import sys
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.picture_writers import SCENE
from unicorn_codec.errors import InvalidField, PackageMissing, PictureTooLarge
from unicorn_codec.pictures import jpeg_transcoding
from unicorn_codec.pictures.jpeg_transcoding import (
    from_jpeg_xl,
    from_lepton,
    jpeg_xl_size,
    to_jpeg_xl,
    to_lepton,
)

MANY = 1 << 27


def jpeg(**settings: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(SCENE).save(file, "JPEG", **{"quality": 90, **settings})
    return file.getvalue()


JPEGS = [
    jpeg(),
    jpeg(progressive=True),
    jpeg(subsampling=0, quality=100),
    jpeg(restart_marker_rows=1),
    jpeg()[:-200],
    jpeg(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0", comment=b"a comment") + b"behind the end",
]


@pytest.fixture
def lepton() -> None:
    if jpeg_transcoding.lepton_package() is None:
        pytest.skip("Lepton is not installed")


@pytest.mark.parametrize("data", JPEGS[:3])
def test_jpeg_xl_gives_the_file_back(data: bytes) -> None:
    stream = to_jpeg_xl(data)
    assert stream is not None
    assert from_jpeg_xl(stream, len(data), MANY) == data


@pytest.mark.parametrize("data", JPEGS)
def test_lepton_gives_the_file_back(data: bytes, lepton: None) -> None:
    stream = to_lepton(data)
    assert stream is not None and len(stream) < len(data)
    assert from_lepton(stream, len(data), MANY) == data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_forked_after_lepton_was_used_is_refused_instead_of_waiting_for_ever(lepton: None) -> None:
    data = JPEGS[0]
    stream = to_lepton(data)
    assert stream is not None
    program = (
        "import os, sys\n"
        "from unicorn_codec.errors import ForkRefused\n"
        "from unicorn_codec.pictures.jpeg_transcoding import from_lepton\n"
        f"stream, length = bytes.fromhex({stream.hex()!r}), {len(data)}\n"
        "before = os.fork()\n"
        "if not before:\n"
        "    os._exit(len(from_lepton(stream, length, 1 << 27)) != length)\n"
        "from_lepton(stream, length, 1 << 27)\n"
        "after = os.fork()\n"
        "if not after:\n"
        "    try:\n"
        "        from_lepton(stream, length, 1 << 27)\n"
        "    except ForkRefused:\n"
        "        os._exit(7)\n"
        "    os._exit(1)\n"
        "print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in (before, after)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == ["0", "7"]


def test_what_is_no_jpeg_is_refused() -> None:
    for data in (b"", b"\xff\xd8\xff", b"\xff\xd8\xff" + bytes(500), b"text"):
        assert to_jpeg_xl(data) is None and to_lepton(data) is None


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 200), (1024, 1024), (512, 8), (256, 512), (9, 3000)])
def test_the_size_of_a_jpeg_xl_stream_is_read(size: tuple[int, int]) -> None:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    for container in (False, True):
        stream = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True, effort=1, usecontainer=container))
        assert jpeg_xl_size(stream) == size
    with pytest.raises(InvalidField):
        jpeg_xl_size(b"\xff\xd8" + stream)


def test_a_large_claim_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = JPEGS[0]
    streams = to_jpeg_xl(data), to_lepton(data)
    monkeypatch.setattr("imagecodecs.jpegxl_decode_jpeg", None)
    for stream, decode in zip(streams, (from_jpeg_xl, from_lepton), strict=True):
        if stream is not None:
            with pytest.raises(PictureTooLarge, match="--max-pixels"):
                decode(stream, len(data), 100)


def test_a_damaged_stream_is_refused(lepton: None) -> None:
    data = JPEGS[0]
    for encode, decode in ((to_jpeg_xl, from_jpeg_xl), (to_lepton, from_lepton)):
        stream = encode(data)
        assert stream is not None
        for end in (0, 10, 27, 40, len(stream) // 2):
            with pytest.raises(InvalidField):
                decode(stream[:end], len(data), MANY)
        with pytest.raises(InvalidField):
            decode(stream, len(data) + 1, MANY)


def test_a_lepton_header_that_claims_too_much_is_refused_before_it_is_decoded(
    lepton: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = to_lepton(JPEGS[0])
    assert stream is not None
    length = int.from_bytes(stream[24:28], "little")
    header = zlib.decompress(stream[28 : 28 + length])
    monkeypatch.setattr(jpeg_transcoding, "lepton_package", None)
    claims = {3: b"\xff\xff\xff\x7f", header.rindex(b"GRB") + 3: b"\xff\xff\xff\x7f", header.rindex(b"GRB"): b"CRS"}
    for at, claim in claims.items():
        packed = zlib.compress(header[:at] + claim + header[at + len(claim) :])
        changed = stream[:24] + len(packed).to_bytes(4, "little") + packed + stream[28 + length :]
        with pytest.raises(InvalidField):
            from_lepton(changed, len(JPEGS[0]), MANY)


def test_without_lepton_reading_names_the_extra(lepton: None, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = to_lepton(JPEGS[0])
    assert stream is not None
    original = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "lepton_jpeg_python":
            raise ImportError(name)
        return original(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert to_lepton(JPEGS[0]) is None
    with pytest.raises(PackageMissing, match=r"pip install 'unicorn-codec\[exact\]'"):
        from_lepton(stream, len(JPEGS[0]), MANY)
