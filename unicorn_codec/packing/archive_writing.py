"""Writing of packed pictures to an archive, as one generation with randomly drawn indices, as in the paper."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unicorn_codec.atomic_files import open_atomic
from unicorn_codec.errors import OutputError
from unicorn_codec.format.canary import Canary
from unicorn_codec.format.chunks import ID_BYTES
from unicorn_codec.format.code_kinds import code_of_unit, is_gray, mark_gray, parent_of_code, unit_of_code
from unicorn_codec.format.columns import Integers
from unicorn_codec.format.decoder_table import Decoder
from unicorn_codec.format.header import AutoencoderReference, Header
from unicorn_codec.format.index_map import index_of_position
from unicorn_codec.format.network_table import parse_update, serialize_network, serialize_update
from unicorn_codec.format.pages import Place
from unicorn_codec.format.picture_tiles import is_tiled, join_codes, split_codes
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import Record, record_of_codes
from unicorn_codec.format.sources import FileSource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.inspection import network_of
from unicorn_codec.measurement import Matching
from unicorn_codec.packing.original_metadata import OriginalMetadata
from unicorn_codec.packing.packed import Codes, Coding, PackedPictures
from unicorn_codec.packing.whole_files import WholeFiles
from unicorn_codec.pictures.picture_folder import Folder
from unicorn_codec.spool import Spool


def check_output(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise ``OutputError`` if a path is not writable, as far as can be known without writing."""
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder, the output must be a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; --overwrite replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"the folder {path.parent} may not be written to")


def id_of(packed: PackedPictures, whole: WholeFiles | None = None) -> bytes:
    """Derive the id of a new archive from its content, so that packing is reproducible."""
    digest = hashlib.sha256(f"{packed.header} (".encode())
    for number, name in enumerate(packed.names):
        digest.update(f"{', ' if number else ''}{name!r}".encode())
    digest.update(f"{',' if len(packed.names) == 1 else ''}) {packed.read}".encode())
    for data in packed.codes.streams if packed.codes else (packed.weights or b"",):
        digest.update(data)
    for position, coding in packed.codes.other.items() if packed.codes else ():
        digest.update(f"{position} {coding.latent_step} {coding.level} ".encode() + (coding.update or b""))
    for position, alpha in packed.alphas.items():
        digest.update(b"%d " % position + alpha)
    for picture in whole.folder.exact if whole else ():
        digest.update(bytes.fromhex(picture.sha256))
    return digest.digest()[:ID_BYTES]


def write_pictures(
    writer: ContainerWriter,
    packed: PackedPictures,
    decoder: int | None = None,
    metadata: OriginalMetadata | None = None,
    whole: WholeFiles | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Integers:
    """Write all records of packed pictures, without index and footer.

    Args:
        metadata: of their files; None: they get none. Pictures of a network have no records, and so no metadata.
        decoder: number of the archive's decoder that they are coded for; None writes a new one.
        whole: files that are stored whole; None: there are none.
        progress: called as ``progress(done, total)`` after each of these.

    Returns:
        The index of each picture by position, then of each whole file.
    """
    base = writer.next_index
    drawn = draw_indices(packed, whole, base)
    indices = drawn[: len(packed.names)]
    numbers = decoder_numbers(writer, packed, base, decoder)
    if packed.codes is None:
        for (width, height), name, index, number in zip(packed.sizes, packed.names, indices, numbers, strict=True):
            writer.add_of_network(int(index), int(width), int(height), number, name)
        return drawn
    for position, record in enumerate(_records(packed, packed.codes.streams, indices, numbers)):
        name, blobs = packed.names[position], () if metadata is None else metadata.blobs(position)
        if metadata is not None:
            record = replace(record, modified=metadata.modified(position))
        writer.add(record, name, blobs=blobs)
    if whole is not None:
        whole.write(writer, drawn[len(packed.names) :], len(writer.decoders) - 1, progress)
    return drawn


def decoder_numbers(
    writer: ContainerWriter, packed: PackedPictures, first: int, decoder: int | None = None
) -> list[int]:
    """Write the decoders that an archive lacks, and return the number of each picture's decoder by position.

    The last one is that of most pictures: pictures that are added later are coded for it.

    Args:
        first: the lowest index of the pictures.
        decoder: number of the decoder of pictures without another coding; None writes one if there are such.
    """
    other = {} if packed.codes is None else packed.codes.other
    pictures = Counter[Coding | None](other.values())
    number_of = dict[Coding | None, int]()
    if decoder is not None:
        number_of[None] = decoder
    elif not pictures or len(other) < len(packed.names):
        pictures[None] = len(packed.names) - len(other)
    places = dict[bytes | None, Place | None]()
    for coding, _ in reversed(pictures.most_common()):
        update = packed.update if coding is None else coding.update
        if update not in places:
            places[update] = None if update is None else writer.add_weights(serialize_update(update))
        number_of[coding] = writer.add_decoder(decoder_of(writer, packed, first, coding, places[update]))
    return [number_of[other.get(position)] for position in range(len(packed.names))]


def draw_indices(packed: PackedPictures, whole: WholeFiles | None, first: int) -> Integers:
    """Draw the index of each picture by position, then of each whole file, all together from ``first`` on."""
    drawn = first + index_of_position(packed.header.seed, len(packed.names) + (len(whole) if whole else 0))
    if not whole:
        return drawn
    names = (*packed.names, *whole.names())
    indices = np.empty(len(names), np.int64)
    indices[sorted(range(len(names)), key=lambda place: names[place].encode())] = drawn  # in order of their names
    return indices


def matching_of(folder: Folder, indices: Integers) -> Matching:
    """Return the pictures of a folder with their indices, which ``write_pictures`` returned."""
    originals = folder.all_pictures
    return Matching(indices[: len(originals)], originals)


def decoder_of(
    writer: ContainerWriter, packed: PackedPictures, first: int, coding: Coding | None, update: Place | None
) -> Decoder:
    """Return the description of a decoder, and write the weights of a network.

    Args:
        first: the lowest index of the pictures.
        coding: of its codes; None: as those of most pictures.
        update: where the update of the codes' models lies; None without one.
    """
    header, codes, reference = packed.header, packed.codes, packed.header.autoencoder
    if isinstance(reference, AutoencoderReference):
        reference = reference.model(b"" if codes is None or packed.functions is not None else codes.model_sha256)
    if codes is None:
        weights = writer.add_weights(serialize_network(header, first, packed.weights or b""))
        return Decoder(model=reference, is_network=True, latent_step=header.latent_step, weights=weights)
    if packed.functions is not None:
        weights = writer.add_weights(packed.functions)
        return Decoder(model=reference, is_functions=True, latent_step=header.latent_step, weights=weights)
    coding = coding or Coding(header.latent_step, codes.level, short=codes.short)
    return Decoder(
        model=reference, latent_step=coding.latent_step, level=coding.level, short=coding.short, weights=update
    )


def _records(
    packed: PackedPictures, streams: Sequence[bytes], indices: Integers, decoders: Sequence[int]
) -> Iterator[Record]:
    for position, ((width, height), code) in enumerate(zip(packed.sizes, streams, strict=True)):
        # Packing refers to pictures by position, an archive by index.
        codes = split_codes(code) if is_tiled(int(width), int(height)) else [_with_parent(code, indices)]
        alpha = packed.alphas.get(position)
        yield record_of_codes(int(indices[position]), int(width), int(height), decoders[position], codes, alpha)


def write_packed(
    path: Path, packed: PackedPictures, *, overwrite: bool = False, canaries: Sequence[Canary] = ()
) -> int:
    """Write an archive of packed pictures without measuring it, and return its bytes.

    Raises ``OutputError``; an existing file is then unchanged.
    """
    check_output(path, overwrite=overwrite)
    try:
        with open_atomic(path) as file:
            writer = ContainerWriter(file, id_of(packed))
            write_pictures(writer, packed)
            writer.commit(seed=packed.header.seed, read=packed.read, canaries=canaries)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path.stat().st_size


def read_packed(path: Path) -> PackedPictures:
    """Read back the packed pictures of an archive with one generation and no removed pictures.

    Raises ``ArchiveUnreadable`` and ``FormatError``.
    """
    source = FileSource(path)
    try:
        reader = ContainerReader(source)
        described = reader.footer.decoders[0]
        rows = [reader.row(int(index)) for leaf in reader.leaves() for index in leaf.living]
        named = sorted(((reader.name(row.index) or "", row) for row in rows), key=lambda one: one[0].encode())
        positions = {row.index: position for position, (_, row) in enumerate(named)}
        network, alphas = network_of(reader, described), Spool()
        if network is not None:
            header, codes, update, functions = network.header, None, None, None
        else:
            header = Header(
                pictures=len(rows),
                seed=reader.footer.seed,
                latent_step=described.latent_step,
                autoencoder=described.model,
                denoising=None,
            )
            records = [reader.record(row) for _, row in named]
            moved = tuple(_stream_of(record, positions) for record in records)
            alphas.update({place: record.alpha for place, record in enumerate(records) if record.alpha is not None})
            codes = Codes(level=described.level, model_sha256=bytes(32), streams=moved, short=described.short)
            payload = None if described.weights is None else reader.weights(described.weights)
            functions = payload if described.is_functions else None
            update = None if payload is None or described.is_functions else parse_update(payload)
        return PackedPictures(
            header=header,
            sizes=np.array([(row.width, row.height) for _, row in named], np.int32),
            names=tuple(name for name, _ in named),
            weights=None if network is None else network.weights,
            codes=codes,
            alphas=alphas,
            update=update,
            functions=functions,
            read=reader.footer.read,
        )
    finally:
        source.close()


def _stream_of(record: Record, positions: Mapping[int, int]) -> bytes:
    """Return the codes of a record as packing keeps them."""
    if is_tiled(record.width, record.height):
        return join_codes(record.codes)
    return _with_parent(record.code, positions)


def _with_parent(code: bytes, number_of: Mapping[int, int] | Integers) -> bytes:
    """Renumber the picture that the code of a sequence's picture depends on; return other codes unchanged."""
    parent = parent_of_code(code)
    if parent is None:
        return code
    moved = code_of_unit(unit_of_code(code), int(number_of[parent]))
    return mark_gray(moved) if is_gray(code) else moved
