"""Parquet files with a column of pictures, as data sets of Hugging Face have them: read by batches, and written."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from unicorn_codec.errors import ImageFolderError, PackageMissing
from unicorn_codec.format.stored_files import NANOSECONDS
from unicorn_codec.pictures.picture_files import SUFFIXES
from unicorn_codec.pictures.recognise import AVIF, BMP, GIF, HEAD_BYTES, HEIC, JPEG, PNG, TIFF, WEBP, Kind, recognise
from unicorn_codec.shards.exporting import Export, ExportedFile
from unicorn_codec.shards.members import Member

SUFFIX = ".parquet"
ROWS_AT_ONCE = 64

_PICTURE_COLUMNS = ("image", "picture", "img")
_NAME_COLUMNS = ("name", "file_name", "filename", "path", "__key__")
_MODIFIED, _JSON = "modified", "json"
_OWN_COLUMNS = ("index", "width", "height", _MODIFIED)
"""Columns that ``write_parquet`` adds, and that an archive knows by itself."""

_SUFFIX_OF: Mapping[Kind, str] = {
    JPEG: ".jpg", PNG: ".png", WEBP: ".webp", AVIF: ".avif", TIFF: ".tif", BMP: ".bmp", GIF: ".gif", HEIC: ".heic",
}  # fmt: skip


def read_parquet(path: Path) -> Iterator[Member]:
    """Yield the picture of each row, followed by its other columns as a JSON file of the same stem, if it has any.

    A picture is named by the path beside its bytes, by the first column among ``name``, ``file_name``, ``filename``,
    ``path`` and ``__key__``, or by the number of its row.

    Raises:
        ImageFolderError: it is missing, no parquet file, damaged, or has no column of pictures.
        PackageMissing: pyarrow is not installed.
    """
    arrow = import_pyarrow()
    try:
        with arrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            pictures = picture_column(arrow, file.schema_arrow, path)
            number = 0
            for batch in file.iter_batches(ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    yield from _members_of_row(row, pictures, number)
                    number += 1
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageFolderError(f"{path}: no parquet file, or a damaged one: {reason}") from error


def picture_column(arrow: ModuleType, schema: Any, path: Path) -> str:
    """Return the name of the column of pictures: binary, or a struct with a field of bytes.

    Raises:
        ImageFolderError: there is none, or several and none has a usual name.
    """

    def is_binary(kind: Any) -> bool:
        return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))

    def holds_pictures(kind: Any) -> bool:
        if not arrow.types.is_struct(kind):
            return is_binary(kind)
        fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)}
        return "bytes" in fields and is_binary(fields["bytes"])

    found = [field.name for field in schema if holds_pictures(field.type)]
    usual = [name for name in _PICTURE_COLUMNS if name in found]
    if len(usual or found) == 1 or usual:
        return (usual or found)[0]
    listed = ", ".join(found) if found else "none"
    raise ImageFolderError(
        f"{path}: it needs one column of pictures, of bytes or of structs with bytes, such as 'image'; found {listed}"
    )


def _members_of_row(row: dict[str, Any], pictures: str, number: int) -> Iterator[Member]:
    cell = row.pop(pictures)
    data, known = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    name = _name_of_row(row, known, number)
    if not isinstance(data, bytes):
        yield Member(name, 0, None, fault="its row holds no bytes")
        return
    if not name.lower().endswith(SUFFIXES):
        name += _SUFFIX_OF.get(recognise(data[:HEAD_BYTES]), "")
    modified = row.pop(_MODIFIED, None)
    modified_ns = round(modified.timestamp() * NANOSECONDS) if isinstance(modified, datetime) else None
    yield Member(name, len(data), io.BytesIO(data), modified_ns)
    text = row.pop(_JSON, None)
    others = {key: value for key, value in row.items() if key not in _OWN_COLUMNS}
    content = text.encode() if isinstance(text, str) and not others else None
    if content is None and others:
        others |= {} if text is None else {_JSON: text}
        content = json.dumps(others, default=_plain, ensure_ascii=False).encode()
    if content is not None:
        yield Member(f"{stem_of(name)}.json", len(content), io.BytesIO(content), modified_ns)


def _name_of_row(row: dict[str, Any], known: Any, number: int) -> str:
    named = [row.pop(column) for column in _NAME_COLUMNS if isinstance(row.get(column), str)]
    for name in (*named, known):
        if isinstance(name, str) and name:
            return name
    return f"{number:06}"


def _plain(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def write_parquet(export: Export, file: IO[bytes]) -> tuple[list[int], int]:
    """Write pictures of an archive as a parquet file, whose column ``image`` data sets of Hugging Face read.

    A JSON file of a picture's stem becomes its value in the column ``json``. Other files have no place.

    Returns:
        The indices of the members that were written, and the number of files that have no place.

    Raises:
        PackageMissing: pyarrow is not installed.
    """
    arrow = import_pyarrow()
    schema = _schema(arrow)
    written, waiting = list[int](), list[ExportedFile]()
    files_left = 0
    texts = _texts(export)
    with arrow.parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer:
        for one in export.files():
            if export.archive.is_picture(one.index):
                waiting.append(one)
                if len(waiting) == ROWS_AT_ONCE:
                    writer.write_batch(_batch(arrow, schema, export, waiting, texts))
                    waiting = []
            elif one.index not in texts.values():
                files_left += 1
                continue
            written.append(one.index)
        if waiting:
            writer.write_batch(_batch(arrow, schema, export, waiting, texts))
    return written, files_left


def _texts(export: Export) -> dict[int, int]:
    """Return the index of the JSON file of each picture that has one."""
    of_stem = {stem_of(path): index for index, path in export.paths.items() if path.endswith(".json")}
    return {
        index: of_stem[stem_of(path)]
        for index, path in export.paths.items()
        if stem_of(path) in of_stem and export.archive.is_picture(index)
    }


def _batch(
    arrow: ModuleType, schema: Any, export: Export, files: Sequence[ExportedFile], texts: Mapping[int, int]
) -> Any:
    archive, rows = export.archive, []
    for file in files:
        width, height = archive.size(file.index)
        text = None
        if file.index in texts:
            text = b"".join(archive.file_pieces(texts[file.index])).decode("utf-8", "replace")
        rows.append(
            {
                "image": {"bytes": file.data, "path": file.path},
                "name": archive.name(file.index),
                "index": file.index,
                "width": width,
                "height": height,
                _MODIFIED: None if file.modified_ns is None else file.modified_ns // 1000,
                _JSON: text,
            }
        )
    return arrow.RecordBatch.from_pylist(rows, schema)


def _schema(arrow: ModuleType) -> Any:
    features = {
        "image": {"_type": "Image"},
        "name": {"dtype": "string", "_type": "Value"},
        "index": {"dtype": "int64", "_type": "Value"},
        "width": {"dtype": "int64", "_type": "Value"},
        "height": {"dtype": "int64", "_type": "Value"},
        _MODIFIED: {"dtype": "timestamp[us, tz=UTC]", "_type": "Value"},
        _JSON: {"dtype": "string", "_type": "Value"},
    }
    kinds = {
        "image": arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]),
        "name": arrow.string(),
        _MODIFIED: arrow.timestamp("us", "UTC"),
        _JSON: arrow.string(),
    }
    known = json.dumps({"info": {"features": features}})
    fields = [(name, kinds.get(name, arrow.int64())) for name in features]
    return arrow.schema(fields, metadata={"huggingface": known})


def stem_of(path: str) -> str:
    """Return a path without the suffix of its last part."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + (name.rpartition(".")[0] or name)


def import_pyarrow() -> ModuleType:
    """Return pyarrow with its module for parquet. Raises ``PackageMissing``."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PackageMissing("parquet files need pyarrow: pip install 'unicorn-codec[parquet]'") from error
    found: ModuleType = pyarrow
    return found
