"""Facts about an archive's pictures for the gallery, as plain values. Reads no code, and loads no torch."""

from collections.abc import Collection
from typing import Any

from unicorn_codec.errors import FormatError
from unicorn_codec.format.pages import psnr_of_code
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import CODECS, OTHER_FILE
from unicorn_codec.inspection import picture_values
from unicorn_codec.metadata import metadata_of
from unicorn_codec.pictures.picture_files import printable

MAX_SHOWN_TEXT = 20_000
"""Characters of one text of metadata; longer ones are cut."""


def listing(reader: ContainerReader, title: str, indices: Collection[int] | None = None) -> dict[str, Any]:
    """Return the archive's totals, and its pictures by columns, ascending by index.

    Members of damaged pages of the index are left out and counted as ``lost``.

    Args:
        indices: of the pictures to list; None: all.
    """
    footer = reader.footer
    columns: dict[str, list[Any]] = {
        name: [] for name in ("index", "name", "width", "height", "codec", "bytes", "psnr", "parent")
    }
    lost = 0
    for first in reader.leaf_firsts():
        try:
            leaf = reader.leaf(first)
        except FormatError:
            lost += len(reader.indices_near(first))
            continue
        if leaf is None:
            continue
        try:
            names = reader.names_of(leaf)
        except FormatError:
            names = None
        for index in leaf.living.tolist():
            row = leaf.row(index)
            if row is None or row.codec == OTHER_FILE or (indices is not None and index not in indices):
                continue
            name = names[index - leaf.first] if names else ""
            values = (index, printable(name) or str(index), row.width, row.height, CODECS[row.codec], row.length)
            for column, value in zip(columns.values(), (*values, psnr_value(row.psnr), row.parent), strict=True):
                column.append(value)
    return {
        "title": printable(title),
        "pictures": len(columns["index"]),
        "bytes": reader.source.size,
        "pixels": footer.pixels,
        "lost": lost,
        "columns": columns,
    }


def psnr_value(code: int) -> float | str | None:
    """Return a stored PSNR in dB, ``"exact"`` for identical pixels, None if it is unknown."""
    psnr = psnr_of_code(code)
    return "exact" if psnr == float("inf") else psnr


def dates(reader: ContainerReader, indices: Collection[int]) -> list[str | None]:
    """Return the date of each picture as ISO 8601, None where it is not known."""
    found: list[str | None] = []
    for index in indices:
        try:
            found.append(metadata_of(reader, reader.row(index)).date)
        except FormatError:
            found.append(None)
    return found


def facts(reader: ContainerReader, index: int) -> dict[str, Any]:
    """Return all that the archive says of a picture, with texts that are printable and not endless.

    Raises:
        IndexOutOfRange: no picture has this index.
        FormatError: it is damaged.
    """
    values = picture_values(reader, index)
    values["psnr_db"] = psnr_value(reader.row(index).psnr)
    cleaned: dict[str, Any] = _shown(values)
    return cleaned


def _shown(value: Any) -> Any:
    """Return a value whose texts can be shown: without control characters but line breaks, and cut."""
    if isinstance(value, dict):
        return {_shown(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(inner) for inner in value]
    if isinstance(value, float) and value != value:
        return None
    if not isinstance(value, str):
        return value
    cut = value if len(value) <= MAX_SHOWN_TEXT else value[:MAX_SHOWN_TEXT] + " ..."
    return "\n".join(map(printable, cut.split("\n")))
