"""Files that an archive holds whole: their bytes, and the pixels of those that are pictures."""

from collections.abc import Iterator

from unicorn_codec.config import MetadataOptions, ReadOptions
from unicorn_codec.errors import ChecksumMismatch, InvalidField, PackageMissing
from unicorn_codec.format.blobs import EXIF, IPTC, PNG_TEXT, XMP, Facts
from unicorn_codec.format.pages import Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.metadata import PictureMetadata, parse_texts
from unicorn_codec.pictures.file_metadata import read_metadata
from unicorn_codec.pictures.original_files import restored_file
from unicorn_codec.pictures.picture_files import BadFile, MissingReader
from unicorn_codec.pictures.picture_folder import whole_file_options
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.reading import decode_picture
from unicorn_codec.pictures.transparency import with_alpha


def pieces_of_file(reader: ContainerReader, row: Row, max_pixels: int) -> Iterator[bytes]:
    """Yield the bytes of the file of a row, a piece at a time.

    Raises:
        FormatError: it is damaged, which may only show behind its last piece.
        PictureTooLarge: it was transcoded, and claims more than ``max_pixels``.
        PackageMissing: it takes a package that is not installed.
    """
    stored = reader.stored_file(row)
    try:
        yield from restored_file(stored, reader.piece, max_pixels)
    except (InvalidField, ChecksumMismatch) as error:
        raise type(error)(f"picture {row.index}: {error}") from error


def pixels_of_file(reader: ContainerReader, row: Row, options: ReadOptions) -> Pixels:
    """Decode the exact picture of a row, with the options that its folder was read with.

    Returns pixels ``(H, W, 3)``, or ``(H, W, 4)`` with transparency.

    Raises:
        FormatError: it is damaged, or decodes to another size than the archive says.
        PictureTooLarge: it claims more than the options allow.
        PackageMissing: it takes a package that is not installed.
    """
    data = b"".join(pieces_of_file(reader, row, options.max_pixels))
    try:
        decoded = decode_picture(data, whole_file_options(options))
    except MissingReader as error:
        raise PackageMissing(f"picture {row.index}: {error}; unpack gives its file") from error
    except BadFile as error:
        raise InvalidField(f"picture {row.index}: its file cannot be decoded: {error}") from error
    height, width, _ = decoded.pixels.shape
    if (width, height) != (row.width, row.height):
        raise InvalidField(f"picture {row.index}: {width}x{height} pixels in its file, the index says another size")
    return with_alpha(decoded.pixels, decoded.alpha)


def metadata_of_file(reader: ContainerReader, row: Row, max_pixels: int) -> PictureMetadata:
    """Read the metadata of an exact picture from its file. Raises as ``pieces_of_file``."""
    stored, data = reader.stored_file(row), b"".join(pieces_of_file(reader, row, max_pixels))
    found = dict(read_metadata(data, row.width, row.height, MetadataOptions()).blobs)
    return PictureMetadata(
        modified=reader.details(row).modified,
        exif=found.get(EXIF, b""),
        xmp=found.get(XMP, b""),
        iptc=found.get(IPTC, b""),
        texts=tuple(parse_texts(found.get(PNG_TEXT, b""))),
        facts=Facts(stored.file_bytes, stored.sha256),
    )
