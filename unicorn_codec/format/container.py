"""``.uni`` bytes <-> ``Container``: header, picture sizes, codes, names, and the weight section as bytes.

Layouts and limits: ``format_spec/uni-1.md``. No other place judges these bytes.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.errors import (
    ArchiveUnreadable,
    DamagedSectionWarning,
    FormatError,
    InvalidField,
    NotUniFile,
    OutputError,
)
from unicorn_codec.format.canary import Canary, parse_canary, serialize_canary
from unicorn_codec.format.code_table import Codes, parse_codes, serialize_codes
from unicorn_codec.format.header import (
    MAX_CODED_CHANNELS,
    MAX_PICTURES_PER_BYTE,
    MAX_RANK,
    Header,
    check,
)
from unicorn_codec.format.header_table import parse_denoising, parse_header, serialize_denoising, serialize_header
from unicorn_codec.format.picture_table import parse_names, parse_sizes, serialize_names, serialize_sizes
from unicorn_codec.format.quality_table import Hundredths, parse_psnrs, serialize_psnrs
from unicorn_codec.format.read_settings import ReadSettings, parse_read_settings, serialize_read_settings
from unicorn_codec.format.sections import (
    SIGNATURE,
    Section,
    parse_sections,
    refusing,
    serialize_sections,
)

_HEAD, _SIZES, _DENOISING, _WEIGHTS, _CODES, _TUNING = b"HEAD", b"IMGS", b"DENO", b"WGHT", b"CODE", b"TUNE"
_CRITICAL = (_HEAD, _SIZES, _DENOISING, _WEIGHTS, _CODES, _TUNING)
_NAMES, _CANARY, _QUALITIES, _READ = b"name", b"cnry", b"qual", b"read"

Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionInfo:
    """Where a section lies in the file; ``bytes`` counts all of it, so sections and preamble sum to the file."""

    type: str
    offset: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Container:
    """All that a ``.uni`` file holds: pictures as a network or as codes.

    Args:
        header: what the decoder needs beside sizes, weights and codes.
        sizes: (M, 2) int32, width and height of the picture at each position.
        weights: payload of the weight section, see ``weight_section``; None where the header has no network.
        codes: of the pictures by position; None if the file has none.
        tuning: payload of the change of the decoder, see ``decoder_update``; None if it is used as it is.
        names: of the pictures by position, strictly ascending; None if the file has none.
        canary: what one picture decodes to; None if the file does not tell.
        psnrs: (M,) of the pictures by position as measured when packed, see ``quality_table``; None if unknown.
        read: how files became pixels when packed; the defaults if the section is missing.
        sections: where they lie, if this was read from a file.
    """

    header: Header
    sizes: NDArray[np.int32]
    weights: bytes | None = None
    codes: Codes | None = None
    tuning: bytes | None = None
    names: tuple[str, ...] | None = None
    canary: Canary | None = None
    psnrs: Hundredths | None = None
    read: ReadSettings = field(default_factory=ReadSettings)
    sections: tuple[SectionInfo, ...] = ()

    def __post_init__(self) -> None:
        check((self.weights is None) == (self.header.denoising is None), "a network and its weights come together")
        check((self.weights is None) != (self.codes is None), "an archive holds either a network or codes")
        if self.tuning is not None:
            check(self.codes is not None, "a change of the decoder comes with codes alone")
            check(max(self.tuning[:1], default=MAX_RANK + 1) <= MAX_RANK, f"its rank is 0 to {MAX_RANK}, and there")
        channels = self.header.autoencoder.latent_channels
        check(self.codes is None or channels <= MAX_CODED_CHANNELS, f"codes of {channels} latent channels")


def serialize(container: Container) -> bytes:
    """Write a ``.uni`` file. Raises ``InvalidSetting`` for what the format cannot hold."""
    pictures = container.header.pictures
    sections = [
        Section(_HEAD, serialize_header(container.header)),
        Section(_SIZES, serialize_sizes(container.sizes, pictures)),
    ]
    if container.header.denoising is not None and container.weights is not None:
        sections.append(Section(_DENOISING, serialize_denoising(container.header.denoising)))
        sections.append(Section(_WEIGHTS, container.weights))
    if container.codes is not None:
        sections.append(Section(_CODES, serialize_codes(container.codes, pictures)))
    if container.tuning is not None:
        sections.append(Section(_TUNING, container.tuning))
    if container.names is not None:
        sections.append(Section(_NAMES, serialize_names(container.names, pictures)))
    if container.canary is not None:
        sections.append(Section(_CANARY, serialize_canary(container.canary, pictures)))
    if container.psnrs is not None:
        sections.append(Section(_QUALITIES, serialize_psnrs(container.psnrs, pictures)))
    if container.read != ReadSettings():
        sections.append(Section(_READ, serialize_read_settings(container.read)))
    data = serialize_sections(sections)
    _check_picture_count(pictures, len(data))
    return data


def _check_picture_count(pictures: int, file_bytes: int) -> None:
    allowed = MAX_PICTURES_PER_BYTE * file_bytes
    check(pictures <= allowed, f"{pictures} pictures in a file of {file_bytes} bytes, allowed are {allowed}")


def parse(data: bytes | memoryview, *, strict: bool = False) -> Container:
    """Read a ``.uni`` file.

    A damaged ancillary section is left out with a ``DamagedSectionWarning``; with ``strict`` it is an error.

    Raises:
        FormatError: its subclass names the reason, the message says where, what was found and what is allowed.
    """
    found = parse_sections(bytes(data), _CRITICAL, strict=strict)
    payloads = {section.type: section.payload for section in found}
    if _SIZES not in payloads:
        raise InvalidField(f"the section {_SIZES.decode()} is missing")
    header = parse_header(payloads[_HEAD])
    if _DENOISING in payloads:
        denoising = parse_denoising(payloads[_DENOISING], header.autoencoder.latent_channels)
        header = replace(header, denoising=denoising)
    pictures = header.pictures
    with refusing("HEAD"):
        _check_picture_count(pictures, len(data))
    sizes = parse_sizes(payloads[_SIZES], pictures)
    codes = parse_codes(payloads[_CODES], pictures) if _CODES in payloads else None
    with refusing("the file"):
        return Container(
            header=header,
            sizes=sizes,
            weights=payloads.get(_WEIGHTS),
            codes=codes,
            names=_ancillary(_NAMES, parse_names, payloads, pictures, strict=strict),
            tuning=payloads.get(_TUNING),
            canary=_ancillary(_CANARY, parse_canary, payloads, pictures, strict=strict),
            psnrs=_ancillary(_QUALITIES, parse_psnrs, payloads, pictures, strict=strict),
            read=_ancillary(_READ, lambda data, _: parse_read_settings(data), payloads, pictures, strict=strict)
            or ReadSettings(),
            sections=tuple(SectionInfo(type=s.type.decode(), offset=s.offset, bytes=s.bytes) for s in found),
        )


def _ancillary(
    kind: bytes,
    parse_payload: Callable[[bytes, int], Payload],
    payloads: Mapping[bytes, bytes],
    pictures: int,
    *,
    strict: bool,
) -> Payload | None:
    """What a section holds that no decoder needs; None without it or, after a warning, if it is not valid."""
    if kind not in payloads:
        return None
    try:
        return parse_payload(payloads[kind], pictures)
    except FormatError as error:
        if strict:
            raise
        warnings.warn(f"the section {kind.decode()!r} is left out: {error}", DamagedSectionWarning, stacklevel=3)
        return None


def check_output(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise ``OutputError`` if a file cannot be written there, as far as one can know without writing."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder, the output must be a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; --overwrite replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} may not be written to")


def write_container(path: str | os.PathLike[str], container: Container, *, overwrite: bool = False) -> int:
    """Write a ``.uni`` file whole or not at all, and return its bytes.

    Raises ``OutputError``; what stood there before is then untouched.
    """
    path = Path(path)
    data = serialize(container)
    check_output(path, overwrite=overwrite)
    try:
        with open_atomic(path) as file:
            file.write(data)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return len(data)


def read_container(path: str | os.PathLike[str], *, strict: bool = False) -> Container:
    """Read a ``.uni`` file.

    Raises ``ArchiveUnreadable`` if the file cannot be read, else as ``parse``, with the path in front.
    """
    try:
        with open(path, "rb") as file:
            # The signature first: a large file of another kind is not read for nothing.
            data = file.read(len(SIGNATURE))
            if data != SIGNATURE:
                raise NotUniFile("the file does not start with the signature of a .uni file")
            data += file.read()
        return parse(data, strict=strict)
    except OSError as error:
        raise ArchiveUnreadable(f"cannot read {path}: {error.strerror or error}") from error
    except FormatError as error:
        raise type(error)(f"{path}: {error}") from error
