"""Copying of an archive's members to a new one, without coding them again: records, metadata, pieces, names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from unicorn_codec.format.code_kinds import code_of_unit, is_gray, mark_gray, parent_of_code, unit_of_code
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.network_table import parse_network, serialize_network
from unicorn_codec.format.pages import Place, Row
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import CODE, NETWORK, Part, Record
from unicorn_codec.format.stored_files import pieces_of_record, with_places
from unicorn_codec.format.writer import ContainerWriter


@dataclass(frozen=True, slots=True)
class MemberCopier:
    """Copies the decoders and members of archives to a new one. Equal decoders are written once.

    Args:
        writer: of the new archive.
        weights: places of the weights written so far, by their payload's digest.
    """

    writer: ContainerWriter
    weights: dict[bytes, Place] = field(default_factory=dict)

    def copy_decoders(self, reader: ContainerReader, first: int = 0) -> list[int]:
        """Write an archive's decoders, and return the new number of each.

        Args:
            first: added to the index of each of the archive's pictures.

        Raises ``FormatError`` if weights are damaged.
        """
        return [self.writer.add_decoder(self._with_weights(reader, old, first)) for old in reader.footer.decoders]

    def _with_weights(self, reader: ContainerReader, decoder: Decoder, first: int) -> Decoder:
        if decoder.weights is None:
            return decoder
        payload, digest = reader.weights(decoder.weights), decoder.weights.digest
        if decoder.is_network and first:
            network = parse_network(payload, decoder.model, decoder.latent_step)
            moved = serialize_network(network.header, network.first + first, network.weights)
            return replace(decoder, weights=self.writer.add_weights(moved))
        if digest not in self.weights:
            self.weights[digest] = self.writer.add_weights(payload)
        return replace(decoder, weights=self.weights[digest])

    def copy_members(self, reader: ContainerReader, decoders: Sequence[int], first: int = 0) -> Iterator[int]:
        """Write an archive's members, and yield the new index of each, except those kept only for others.

        Args:
            decoders: new number of each of the archive's decoders.
            first: added to each index.

        Raises ``FormatError`` for a damaged record or index page.
        """
        needed = needed_parents(reader)
        for leaf in reader.leaves():
            names = reader.names_of(leaf)
            for index in range(leaf.first, leaf.first + len(leaf)):
                row = leaf.row(index)
                if row is None or not (row.lives or index in needed):
                    continue
                name = (names[index - leaf.first] or None) if names else None
                self._copy(reader, row, name, decoders[row.decoder], first)
                if row.lives:
                    yield index + first
                else:
                    self.writer.hide([index + first])

    def _copy(self, reader: ContainerReader, row: Row, name: str | None, decoder: int, first: int) -> None:
        index = row.index + first
        if row.codec == NETWORK:
            self.writer.add_of_network(index, row.width, row.height, decoder, name, psnr=row.psnr)
            return
        record = reader.record(row)
        places = record.metadata if row.lives else ()
        blobs = [(place.kind, reader.blob(place)) for place in places]
        moved = replace(
            with_index(record, first),
            decoder=decoder,
            metadata=(),
            modified=reader.details(row).modified if row.lives else None,
        )
        if pieces := pieces_of_record(record):
            moved = with_places(moved, [self.writer.add_piece(reader.piece(place)) for place in pieces])
        self.writer.add(moved, name, blobs=blobs, psnr=row.psnr)


def with_index(record: Record, more: int) -> Record:
    """Return a record with ``more`` added to its index, and to that of the picture it depends on."""
    if not more:
        return record
    parts = tuple(Part(part.kind, _moved(part.data, more)) if part.kind == CODE else part for part in record.parts)
    return replace(record, index=record.index + more, parts=parts)


def _moved(code: bytes, more: int) -> bytes:
    parent = parent_of_code(code)
    if parent is None:
        return code
    moved = code_of_unit(unit_of_code(code), parent + more)
    return mark_gray(moved) if is_gray(code) else moved


def needed_parents(reader: ContainerReader) -> set[int]:
    """Return the indices of all pictures that others of the archive depend on, directly or indirectly."""
    needed, parents = set[int](), dict[int, int]()
    waiting: list[int] = []
    for leaf in reader.leaves():
        for index in range(leaf.first, leaf.first + len(leaf)):
            row = leaf.row(index)
            if row is not None and row.parent is not None:
                parents[index] = row.parent
                if row.lives:
                    waiting.append(index)
    while waiting:
        parent = parents.get(waiting.pop())
        if parent is not None and parent not in needed:
            needed.add(parent)
            waiting.append(parent)
    return needed
