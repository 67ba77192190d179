"""Verification of an archive: every chunk, every record, and their agreement with the index."""

from array import array
from collections import Counter
from collections.abc import Sequence

import numpy as np

from unicorn_codec.errors import FormatError
from unicorn_codec.format.chunks import CRC_BYTES, HEAD, PICTURES, parse_chunk, parse_chunk_header
from unicorn_codec.format.fields import Fields
from unicorn_codec.format.opening import PREAMBLE
from unicorn_codec.format.pages import Leaf, Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.record_coding import take_record
from unicorn_codec.format.record_fields import Prefix
from unicorn_codec.format.records import EXACT, NETWORK, OTHER_FILE, REMOVED, SEQUENCE, Record
from unicorn_codec.format.stored_files import piece_places

_COLUMNS = ("index", "offset", "length", "codec", "width", "height", "decoder", "parent")


class _Records:
    """Fields of all records, collected in sequential reading."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._columns = {name: array("q") for name in _COLUMNS}

    def add(self, record: Record, offset: int, length: int) -> None:
        parent = 0 if record.parent is None else record.parent + 1
        values = (record.index, offset, length, record.codec, record.width, record.height, record.decoder, parent)
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def sort(self) -> None:
        """Prepare for ``agree``."""
        columns = {name: np.array(values, np.int64) for name, values in self._columns.items()}
        order = np.argsort(columns["index"], kind="stable")
        self._sorted = {name: values[order] for name, values in columns.items()}

    def agree(self, leaf: Leaf) -> np.ndarray:
        """Return (N,) whether each row of a leaf agrees with its record."""
        indices = leaf.first + np.arange(len(leaf))
        if not self._sorted["index"].size:
            return np.zeros(len(leaf), np.bool_)
        places = np.searchsorted(self._sorted["index"], indices).clip(max=self._sorted["index"].size - 1)
        found = {name: values[places] for name, values in self._sorted.items()}
        agree: np.ndarray = found["index"] == indices
        said = (leaf.offsets, leaf.lengths, leaf.codecs, leaf.widths, leaf.heights, leaf.decoders, leaf.parents)
        for name, values in zip(_COLUMNS[1:], said, strict=True):
            agree &= (found[name] == values) | ((leaf.codecs == REMOVED) if name == "codec" else False)
        return agree


def problems_of(reader: ContainerReader) -> list[str]:
    """Read an archive completely, and return one line per problem.

    Bytes after the last footer are a problem too.
    """
    records = _Records()
    problems = _problems_of_chunks(reader, records)
    of_pictures = _problems_of_pictures(reader, records)
    # Damage to a record is reported for its picture, if it has one.
    problems += _problems_of_parts(reader) + (of_pictures or records.problems)
    if reader.end != reader.source.size:
        problems.append(f"{reader.source.size - reader.end} bytes follow the archive's last complete generation")
    return list(dict.fromkeys(problems))


def _problems_of_chunks(reader: ContainerReader, records: _Records) -> list[str]:
    """Read all chunks and records sequentially."""
    problems, offset = list[str](), len(PREAMBLE)
    while offset < reader.end:
        try:
            header = parse_chunk_header(reader.read(offset, 64), 0, reader.salt)
        except FormatError as error:
            return [*problems, f"byte {offset}: {error}"]
        if offset + header.total_bytes > reader.end:
            return [*problems, f"the chunk at byte {offset} reaches beyond the archive's end"]
        if (header.letter == HEAD) != (offset == len(PREAMBLE)):
            problems.append(f"byte {offset}: the first chunk is the head, and no other one is")
        data = reader.read(offset, header.total_bytes)
        if header.letter == PICTURES:
            known = len(records.problems)
            _walk_records(data[:-CRC_BYTES], offset, header.header_bytes, reader.salt, records)
            is_whole = len(records.problems) == known
        if header.letter != PICTURES or is_whole:  # a damaged record is a problem of its own
            try:
                parse_chunk(data, header.letter, reader.salt, f"byte {offset}")
            except FormatError as error:
                problems.append(str(error))
        offset += header.total_bytes
    return problems


def _walk_records(data: bytes, offset: int, header_bytes: int, salt: int, records: _Records) -> None:
    """Read the records of a chunk, up to the first invalid one."""
    fields = Fields(data, header_bytes)
    prefix = Prefix.take(fields)
    previous = prefix.first - 1
    while fields.left:
        place = fields.offset
        try:
            record = take_record(fields, prefix, previous, salt)
        except FormatError as error:
            records.problems.append(f"chunk of pictures at byte {offset}: {error}")
            return
        previous = record.index
        records.add(record, offset + place, fields.offset - place)


def _problems_of_parts(reader: ContainerReader) -> list[str]:
    problems: list[str] = []
    for attachment in reader.footer.attachments:
        try:
            reader.payload(attachment.letter, attachment.offset, attachment.length)
        except FormatError as error:
            problems.append(str(error))
    for number, decoder in enumerate(reader.footer.decoders):
        try:
            if decoder.weights is not None:
                reader.weights(decoder.weights)
        except FormatError as error:
            problems.append(f"decoder {number}: {error}")
    return problems


def _problems_of_pictures(reader: ContainerReader, records: _Records) -> list[str]:
    problems: list[str] = []
    pictures, sizes, pixels = Counter[int](), Counter[int](), 0
    has_lost_pages = False
    records.sort()
    for first in reader.leaf_firsts():
        try:
            leaf = reader.leaf(first)
            names = reader.names_of(leaf) if leaf is not None else None
        except FormatError as error:
            problems.append(str(error))
            has_lost_pages = True
            continue
        if leaf is None:
            continue
        problems += _problems_of_leaf(reader, leaf, names, records.agree(leaf))
        lives = (leaf.codecs > 0) & (leaf.codecs != REMOVED)
        for codec in np.unique(leaf.codecs[lives]).tolist():
            pictures[codec] += int((leaf.codecs == codec).sum())
            sizes[codec] += int(leaf.lengths[leaf.codecs == codec].sum())
            if codec in (EXACT, OTHER_FILE):
                rows = map(leaf.row, (leaf.first + np.flatnonzero(leaf.codecs == codec)).tolist())
                sizes[codec] += sum(reader.piece_bytes(row) for row in rows if row is not None)
        pixels += int((leaf.widths * leaf.heights)[lives & (leaf.codecs != OTHER_FILE)].sum())
    footer = reader.footer
    said = {total.codec: (total.pictures, total.bytes) for total in footer.totals}
    counted = {codec: (pictures[codec], sizes[codec]) for codec in pictures}
    if not has_lost_pages and (said, footer.pixels) != (counted, pixels):
        problems.append("footer: the index has other numbers of pictures, bytes or pixels than it says")
    return problems


def _problems_of_leaf(reader: ContainerReader, leaf: Leaf, names: Sequence[str] | None, agree: np.ndarray) -> list[str]:
    problems: list[str] = []
    for number, index in enumerate(range(leaf.first, leaf.first + len(leaf))):
        row = leaf.row(index)
        if row is None:
            continue
        name = names[number] if names else ""
        try:
            problems += _problems_of_row(reader, row, name, is_read=bool(agree[number]))
        except FormatError as error:
            who = f"picture {index}" + (f" ({name})" if name else "")
            problems.append(f"{who}: " + str(error).removeprefix(f"picture {index}: "))
    return problems


def _problems_of_row(reader: ContainerReader, row: Row, name: str, *, is_read: bool) -> list[str]:
    """Yield problems of a picture. Its record is read again only if it was not found at the row's place."""
    if row.decoder >= len(reader.footer.decoders):
        return [f"picture {row.index}: there is no decoder {row.decoder}"]
    if row.codec == NETWORK:
        return []
    if not is_read:
        reader.record(row)
    if row.codec == SEQUENCE:
        reader.chain(row)
    if row.codec in (EXACT, OTHER_FILE):
        for place in piece_places(reader.stored_file(row)):
            reader.piece(place)
    if name and row.lives and reader.footer.runs and row.index not in reader.find(name):
        return [f"picture {row.index}: its name {name!r} is not found"]
    return []
