"""Rebuilding of a damaged archive, from records found by scanning and by intact index pages."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import IO

from unicorn_codec.errors import FormatError, InvalidSetting, NothingToRepair
from unicorn_codec.format.blobs import parse_blobs
from unicorn_codec.format.chunks import (
    DECODER,
    FOOTER,
    INDEX,
    LETTERS,
    METADATA,
    MODEL,
    NAMES,
    PIECE,
    TEXT,
    TOMBSTONES,
    WEIGHTS,
    digest_of,
    salt_of,
)
from unicorn_codec.format.decoder_table import Decoder, take_decoder
from unicorn_codec.format.fields import Fields
from unicorn_codec.format.footer import Footer, parse_footer
from unicorn_codec.format.limits import MAX_DECODERS, MAX_PICTURES, MAX_ROWS, MAX_SEQUENCE
from unicorn_codec.format.name_pages import parse_names
from unicorn_codec.format.pages import Leaf, Place, Row, parse_leaf
from unicorn_codec.format.reader import KEPT_BLOB_CHUNKS
from unicorn_codec.format.record_coding import mended_record_of, parse_record
from unicorn_codec.format.record_scanning import FoundRecord
from unicorn_codec.format.records import NETWORK, SEQUENCE
from unicorn_codec.format.removed_pictures import removed_in
from unicorn_codec.format.scanning import Found, Scan, scan
from unicorn_codec.format.sources import Bytes
from unicorn_codec.format.stored_files import with_places
from unicorn_codec.format.writer import ContainerWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairReport:
    """Outcome of a repair.

    Args:
        pictures: number of pictures in the rebuilt archive.
        lost: indices of pictures of the old index that cannot be rebuilt, with their names if known.
        nameless: number of rebuilt pictures whose names are lost.
        problems: damage found, one line each.
        is_index_lost: no part of the old index was found, so ``lost`` lists only gaps between rebuilt pictures, and
            pictures at the end may be lost too.
    """

    pictures: int
    lost: tuple[tuple[int, str | None], ...]
    nameless: int
    problems: tuple[str, ...]
    is_index_lost: bool = False


@dataclass(slots=True)
class _Salvage:
    """Intact parts of a damaged archive, by purpose."""

    decoders: dict[int, Decoder] = field(default_factory=dict)
    weights: dict[bytes, bytes] = field(default_factory=dict)
    records: dict[int, FoundRecord] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    blobs: dict[int, Found] = field(default_factory=dict)
    pieces: dict[int, Found] = field(default_factory=dict)
    attachments: list[tuple[str, bytes]] = field(default_factory=list)
    footer: Footer | None = None


def repair(
    data: Bytes,
    output: IO[bytes],
    scanning: Callable[[int, int], None] = lambda *_: None,
    storing: Callable[[int, int], None] = lambda *_: None,
) -> RepairReport:
    """Write a new archive of all intact parts of a damaged one. Indices do not change.

    What a picture needs is read when it is written, so that memory grows with the index alone.

    Args:
        scanning: called with the number of scanned bytes, and of all.
        storing: called with the number of stored records, and of all.

    Raises:
        FormatError: the archive's id is lost.
        NothingToRepair: no picture can be recovered.
    """
    found = scan(data, scanning)
    salt = salt_of(found.archive_id)
    left = _sorted(found, data, salt)
    _by_rows(data, left, salt)
    kept = {index: record for index, record in left.records.items() if _is_complete(left, index)}
    # A page that contradicts an intact record is older than it, or false.
    of_network = [
        row
        for index, row in left.rows.items()
        if row.codec == NETWORK and index not in kept and index not in left.removed and _decoder_of(left, row.decoder)
    ]
    if not kept and not of_network:
        raise NothingToRepair("no picture can be recovered from this file")
    there = (set(kept) - left.removed) | {row.index for row in of_network}
    is_index_lost = not left.rows
    known = range(max(there, default=-1) + 1) if is_index_lost else (i for i, row in left.rows.items() if row.lives)
    wanted = set(known) - left.removed
    named = [index for index in there if index in left.names]
    _write(output, found.archive_id, data, left, kept, of_network, storing)
    return RepairReport(
        pictures=len(there),
        lost=tuple((index, left.names.get(index)) for index in sorted(wanted - there)),
        nameless=len(there) - len(named),
        problems=tuple(found.problems),
        is_index_lost=is_index_lost,
    )


def _sorted(found: Scan, data: Bytes, salt: int) -> _Salvage:
    """Collect the parts that were found; later chunks replace earlier ones."""
    left, leaves, names = _Salvage(), dict[int, Leaf](), dict[int, bytes]()
    for chunk in found.chunks:
        if chunk.payload is None:
            continue
        try:
            if chunk.letter == METADATA:
                parse_blobs(chunk.read(data, salt))
                left.blobs[chunk.offset] = chunk
            elif chunk.letter == PIECE:
                left.pieces[chunk.offset] = chunk
            else:
                _take(chunk, chunk.payload, left, leaves, names)
        except (FormatError, InvalidSetting) as error:
            found.problems.append(f"{LETTERS.get(chunk.letter, 'chunk')} at byte {chunk.offset}: {error}")
    left.records = {record.index: record for record in found.records}
    if left.footer is not None:
        left.decoders |= dict(enumerate(left.footer.decoders))
    for leaf in leaves.values():
        left.rows |= {int(i): row for i in range(leaf.first, leaf.first + len(leaf)) if (row := leaf.row(i))}
    for first, payload in names.items():
        for number, name in enumerate(_names_in(payload, first)):
            if name:
                left.names[first + number] = name
    left.names |= {index: record.name for index, record in left.records.items() if record.name is not None}
    return left


def _take(chunk: Found, payload: bytes, left: _Salvage, leaves: dict[int, Leaf], names: dict[int, bytes]) -> None:
    fields = Fields(payload)
    if chunk.letter == DECODER:
        number = fields.varint(MAX_DECODERS - 1)
        left.decoders[number] = take_decoder(fields)
    elif chunk.letter == WEIGHTS:
        left.weights[digest_of(payload)] = payload
    elif chunk.letter == INDEX and fields.varint() == 0:
        first = fields.varint(MAX_PICTURES)
        leaves[first] = parse_leaf(payload, first)
    elif chunk.letter == NAMES:
        first = fields.varint(MAX_PICTURES)
        parse_names(payload, first, fields.varint(MAX_ROWS))
        names[first] = payload
    elif chunk.letter == TOMBSTONES:
        left.removed |= set(removed_in(payload))
    elif chunk.letter == FOOTER:
        left.footer = parse_footer(payload, chunk.offset)
    elif chunk.letter in (MODEL, TEXT):
        left.attachments.append((chunk.letter, payload))


def _names_in(payload: bytes, first: int) -> list[str]:
    fields = Fields(payload)
    fields.varint()
    return parse_names(payload, first, fields.varint())


def _by_rows(data: Bytes, left: _Salvage, salt: int) -> None:
    """Read the records that an index page lists and the scan did not find."""
    for index, row in left.rows.items():
        if index in left.records or not row.length:
            continue
        place = (index, row.width, row.height, row.decoder, salt)
        piece = data[row.offset : row.offset + row.length]
        if len(piece) != row.length:
            continue
        try:
            left.records[index] = FoundRecord.of(parse_record(piece, *place), row.offset, row.length)
        except FormatError:
            record = mended_record_of(piece, *place)
            if record is not None:
                left.records[index] = FoundRecord.of(record, row.offset, 0, is_corrected=True)


def _decoder_of(left: _Salvage, number: int) -> Decoder | None:
    """Return a decoder whose weights, if it has any, are intact."""
    decoder = left.decoders.get(number)
    if decoder is None or decoder.weights is None:
        return decoder
    return decoder if decoder.weights.digest in left.weights else None


def _is_complete(left: _Salvage, index: int) -> bool:
    """Return whether a picture can be decoded: its decoder and all pictures that it depends on are intact."""
    size = left.records[index].width, left.records[index].height
    current: int | None = index
    for number in range(MAX_SEQUENCE):
        record = left.records.get(current) if current is not None else None
        if record is None or _decoder_of(left, record.decoder) is None or (record.width, record.height) != size:
            return False
        current = record.parent
        if record.pieces is None or any(not _has_piece(left, place) for place in record.pieces):
            return False
        if number and record.codec != SEQUENCE:
            return False
        if current is None:
            return True
    return False


def _has_piece(left: _Salvage, place: Place) -> bool:
    piece = left.pieces.get(place.offset)
    return piece is not None and piece.digest == place.digest


def _write(
    output: IO[bytes],
    archive_id: bytes,
    data: Bytes,
    left: _Salvage,
    kept: dict[int, FoundRecord],
    of_network: list[Row],
    progress: Callable[[int, int], None],
) -> None:
    salt = salt_of(archive_id)

    @lru_cache(KEPT_BLOB_CHUNKS)
    def blobs_at(offset: int) -> list[bytes]:
        chunk = left.blobs.get(offset)
        return [] if chunk is None else parse_blobs(chunk.read(data, salt))

    generation = left.footer.generation + 1 if left.footer else 1
    next_index = left.footer.next_index if left.footer else 0
    next_index = max(next_index, max(left.removed, default=-1) + 1)
    writer = ContainerWriter(output, archive_id, generation=generation, next_index=next_index)
    numbers = dict[int, int]()
    for number, decoder in sorted(left.decoders.items()):
        if _decoder_of(left, number) is None:
            continue
        if decoder.weights is not None:
            decoder = replace(decoder, weights=writer.add_weights(left.weights[decoder.weights.digest]))
        numbers[number] = writer.add_decoder(decoder)
    parents = _parents_of_living(left, kept)
    for number, (index, found) in enumerate(sorted(kept.items()), start=1):
        progress(number, len(kept))
        if index in left.removed and index not in parents:
            continue
        is_removed, record = index in left.removed, found.read(data, salt)
        blobs = [
            (place.kind, blobs_at(place.offset)[place.ordinal])
            for place in (() if is_removed else record.metadata)
            if place.ordinal < len(blobs_at(place.offset))
        ]
        row = left.rows.get(index)
        modified = record.modified if row is None or row.modified is None else row.modified
        moved = replace(record, decoder=numbers[record.decoder], metadata=(), modified=modified)
        if found.pieces:
            packed = (left.pieces[place.offset].read(data, salt) for place in found.pieces)
            moved = with_places(moved, list(map(writer.add_piece, packed)))
        if is_removed:  # it is kept for those that go on from it, and nothing but its code is
            moved = replace(moved, modified=None)
        name = None if is_removed else left.names.get(index)
        writer.add(moved, name, blobs=blobs, psnr=row.psnr if row else 0)
    for row in of_network:
        name = left.names.get(row.index)
        writer.add_of_network(row.index, row.width, row.height, numbers[row.decoder], name, psnr=row.psnr)
    for letter, payload in left.attachments:
        writer.attach(letter, payload)
    writer.hide(index for index in parents if index in left.removed)
    footer = left.footer
    if footer is None:
        writer.commit()
    else:
        there = set(kept) | {row.index for row in of_network}
        canaries = [canary for canary in footer.canaries if canary.index in there - left.removed]
        writer.commit(seed=footer.seed, canaries=canaries, read=footer.read)


def _parents_of_living(left: _Salvage, kept: dict[int, FoundRecord]) -> set[int]:
    """Return the indices that existing pictures depend on, directly or indirectly."""
    needed = set[int]()
    waiting = [index for index in kept if index not in left.removed]
    while waiting:
        parent = kept[waiting.pop()].parent
        if parent is not None and parent not in needed:
            needed.add(parent)
            waiting.append(parent)
    return needed
