"""What an archive holds of a picture besides its pixels: EXIF, XMP, IPTC, texts, and facts about its original file."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from unicorn_codec.errors import FormatError
from unicorn_codec.exif_directory import EXIF_IFD, GPS_IFD, INTEROP_IFD, BadExif, Entry, ExifData
from unicorn_codec.format.blobs import EXIF, FACTS, IPTC, PNG_TEXT, XMP, Facts, parse_facts
from unicorn_codec.format.carried_codes import CarriedCode
from unicorn_codec.format.pages import Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import Details

_DATE_TAKEN = 0x9003
_DATE = re.compile(rb"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)")
MAX_SHOWN_NUMBERS = 16
"""Of the numbers of one EXIF value; longer ones are shown by their number alone."""

EXIF_NAMES = {
    0x010E: "ImageDescription", 0x010F: "Make", 0x0110: "Model", 0x0112: "Orientation", 0x011A: "XResolution",
    0x011B: "YResolution", 0x0128: "ResolutionUnit", 0x0131: "Software", 0x0132: "DateTime", 0x013B: "Artist",
    0x0213: "YCbCrPositioning", 0x8298: "Copyright", 0x829A: "ExposureTime", 0x829D: "FNumber",
    0x8822: "ExposureProgram", 0x8827: "ISOSpeedRatings", 0x9000: "ExifVersion", 0x9003: "DateTimeOriginal",
    0x9004: "DateTimeDigitized", 0x9010: "OffsetTime", 0x9011: "OffsetTimeOriginal", 0x9201: "ShutterSpeedValue",
    0x9202: "ApertureValue", 0x9204: "ExposureBiasValue", 0x9205: "MaxApertureValue", 0x9207: "MeteringMode",
    0x9209: "Flash", 0x920A: "FocalLength", 0x927C: "MakerNote", 0x9286: "UserComment", 0x9291: "SubsecTimeOriginal",
    0xA001: "ColorSpace", 0xA002: "PixelXDimension", 0xA003: "PixelYDimension", 0xA402: "ExposureMode",
    0xA403: "WhiteBalance", 0xA405: "FocalLengthIn35mmFilm", 0xA430: "CameraOwnerName", 0xA431: "BodySerialNumber",
    0xA433: "LensMake", 0xA434: "LensModel",
}  # fmt: skip
GPS_NAMES = {
    0: "GPSVersionID", 1: "GPSLatitudeRef", 2: "GPSLatitude", 3: "GPSLongitudeRef", 4: "GPSLongitude",
    5: "GPSAltitudeRef", 6: "GPSAltitude", 7: "GPSTimeStamp", 16: "GPSImgDirectionRef", 17: "GPSImgDirection",
    29: "GPSDateStamp", 31: "GPSHPositioningError",
}  # fmt: skip
"""Names of the usual tags; others are shown by number."""

_ASCII = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureMetadata:
    """What is known of a picture.

    Args:
        modified: when the original file was modified, in seconds since 1970 UTC.
        exif: from its byte order mark on, for the pixels as they are stored.
        xmp: a packet.
        iptc: IPTC-IIM records.
        texts: pairs of keyword and text of a PNG file.
        facts: bytes and SHA-256 of the original file.
        carried: the code that a file of the decoded picture is to carry, see ``Archive.carried_code``.
    """

    modified: int | None = None
    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[tuple[str, str], ...] = ()
    facts: Facts = field(default_factory=Facts)
    carried: CarriedCode | None = None

    @property
    def date(self) -> str | None:
        """When the picture was taken by its EXIF, in the camera's time, else its file's time in UTC; as ISO 8601."""
        return date_taken(self.exif) or time_text(self.modified)


def metadata_of(
    reader: ContainerReader, row: Row, on_error: Callable[[FormatError], None] = lambda _: None
) -> PictureMetadata:
    """Return what an archive knows of a picture, without what is damaged; ``on_error`` is called for each fault."""
    faults, found = dict[str, FormatError](), dict[int, bytes]()
    details, facts = Details(), Facts()
    try:
        details = reader.details(row)
        for place in details.metadata:
            try:
                found.setdefault(place.kind, reader.blob(place))
            except FormatError as error:
                faults[str(error)] = error  # blobs share chunks
        facts = parse_facts(found.get(FACTS, b""))
    except FormatError as error:
        faults[str(error)] = error
    for fault in faults.values():
        on_error(fault)
    return PictureMetadata(
        modified=details.modified,
        exif=found.get(EXIF, b""),
        xmp=found.get(XMP, b""),
        iptc=found.get(IPTC, b""),
        texts=tuple(parse_texts(found.get(PNG_TEXT, b""))),
        facts=facts,
    )


def serialize_texts(texts: tuple[tuple[str, str], ...]) -> bytes:
    """Write texts of a PNG file as a blob."""
    return "\0".join(part.replace("\0", " ") for text in texts for part in text).encode("utf-8", "replace")


def parse_texts(blob: bytes) -> Iterator[tuple[str, str]]:
    """Yield pairs of keyword and text."""
    parts = blob.decode("utf-8", "replace").split("\0")
    yield from zip(parts[::2], parts[1::2], strict=False)


def date_taken(exif: bytes) -> str | None:
    """Return EXIF's DateTimeOriginal as ISO 8601; None where there is none, or no date."""
    if not exif:
        return None
    try:
        data = ExifData(exif)
        for entry in data.directories().get(EXIF_IFD, []):
            if entry.tag == _DATE_TAKEN and (found := _DATE.match(data.value(entry))):
                return "{}-{}-{}T{}:{}:{}".format(*(part.decode() for part in found.groups()))
    except BadExif:
        pass
    return None


def time_text(seconds: int | None) -> str | None:
    """Return a time in seconds since 1970 as ISO 8601 in UTC; None where no calendar has it."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return None


def metadata_values(metadata: PictureMetadata) -> dict[str, Any]:
    """Return all metadata as plain values, for people and JSON; None and empty where there is nothing."""
    facts = metadata.facts
    return {
        "date": metadata.date,
        "modified": time_text(metadata.modified),
        "file_bytes": facts.file_bytes,
        "sha256": None if facts.sha256 is None else facts.sha256.hex(),
        "exif": exif_values(metadata.exif) if metadata.exif else {},
        "xmp": metadata.xmp.decode("utf-8", "replace") or None,
        "iptc_bytes": len(metadata.iptc),
        "texts": [list(text) for text in metadata.texts],
    }


def exif_values(exif: bytes) -> dict[str, Any]:
    """Return EXIF's tags by name, or by number where it is unusual; empty where it cannot be read."""
    values: dict[str, Any] = {}
    try:
        data = ExifData(exif)
        for directory, entries in data.directories().items():
            for entry in entries:
                if entry.tag in (EXIF_IFD, GPS_IFD, INTEROP_IFD):
                    continue
                names, prefix = (GPS_NAMES, "GPS") if directory == GPS_IFD else (EXIF_NAMES, "")
                if directory == INTEROP_IFD:
                    names, prefix = {}, "Interop"
                values[names.get(entry.tag, f"{prefix}0x{entry.tag:04x}")] = _value(data, entry)
    except BadExif:
        return {}
    return values


def _value(data: ExifData, entry: Entry) -> Any:
    if entry.type == _ASCII:
        return data.value(entry).split(b"\0")[0].decode("utf-8", "replace").strip()
    if entry.count > MAX_SHOWN_NUMBERS:
        return f"{entry.length} bytes"
    numbers = data.numbers(entry)
    return numbers[0] if len(numbers) == 1 else numbers
