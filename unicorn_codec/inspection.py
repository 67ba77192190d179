"""Description of a ``.uni`` file as plain values, ready for JSON. Loads no network or torch, and reads no code."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from unicorn_codec.errors import DamagedSectionWarning, FormatError, InvalidSetting
from unicorn_codec.format.chunks import MODEL, TEXT
from unicorn_codec.format.decoder_table import KINDS, Decoder
from unicorn_codec.format.header import NetworkConfig
from unicorn_codec.format.network_table import StoredNetwork, parse_network
from unicorn_codec.format.opening import FORMAT_VERSION
from unicorn_codec.format.pages import Row, psnr_of_code
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.records import (
    AVIF,
    CODECS,
    EXACT,
    FUNCTION,
    HALF_SIZE,
    LATENTS,
    NETWORK,
    OTHER_FILE,
    SEQUENCE,
)
from unicorn_codec.format.sources import is_url, open_source
from unicorn_codec.format.stored_files import WAYS, piece_places
from unicorn_codec.format.stored_model import parse_text
from unicorn_codec.metadata import metadata_of, metadata_values

DECODED_BY_MODEL = (LATENTS, HALF_SIZE, NETWORK, FUNCTION)
OF_CODES = (LATENTS, HALF_SIZE, AVIF, SEQUENCE, FUNCTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePart:
    """A part of a file. The bytes of all parts add up to the file size.

    Args:
        part: a codec, ``weights``, or ``index and names``, which includes all other bytes.
        pictures: number of pictures; None for parts other than records.
    """

    part: str
    pictures: int | None
    bytes: int


def describe(path: str | os.PathLike[str], *, entries: bool = False) -> dict[str, Any]:
    """Describe a file or URL; with ``entries`` also every picture, by index.

    Date and transparency take a read of their own, so that the pictures of a URL get none; ``describe_picture`` has
    them.

    Raises ``ArchiveUnreadable`` and ``FormatError``.
    """
    source = open_source(path)
    try:
        reader = ContainerReader(source)
        description = describe_reader(reader)
        if entries:
            description["entries"] = list(_entries(reader, with_dates=not is_url(path)))
        return description
    finally:
        source.close()


def describe_picture(path: str | os.PathLike[str], index: int) -> dict[str, Any]:
    """Describe one picture of a file or URL, without reading other pictures' data.

    Raises ``IndexOutOfRange``, ``ArchiveUnreadable`` and ``FormatError``.
    """
    source = open_source(path)
    try:
        return picture_values(ContainerReader(source), index)
    finally:
        source.close()


def picture_values(reader: ContainerReader, index: int) -> dict[str, Any]:
    """Describe one picture of an open archive as ``describe_picture`` does, which says what it raises."""
    row = reader.row(index)
    chain = [before.index for before in reader.chain(row)[:-1]] if row.codec == SEQUENCE else []
    return entry_of(row, reader.name(index)) | {
        "decoder": row.decoder,
        "offset": row.offset,
        "depends_on": chain,
        "alpha_bytes": alpha_bytes_of(reader, row),
        **metadata_values(metadata_of(reader, row, _warn_of_metadata)),
        **_file_values(reader, row),
    }


def specification_of(path: str | os.PathLike[str]) -> str:
    """Return the text of the specification that a file or URL holds.

    Raises ``InvalidSetting`` if it holds none, ``ArchiveUnreadable`` and ``FormatError``.
    """
    source = open_source(path)
    try:
        for payload in ContainerReader(source).attachments(TEXT):
            return parse_text(payload)
    finally:
        source.close()
    raise InvalidSetting(f"{path} holds no specification: pack with --self-contained")


def _file_values(reader: ContainerReader, row: Row) -> dict[str, Any]:
    """Describe the file of a row; no values if the archive does not hold it whole. Raises ``FormatError``."""
    if row.codec not in (EXACT, OTHER_FILE):
        return {}
    stored = reader.stored_file(row)
    return {
        "file_bytes": stored.file_bytes,
        "sha256": stored.sha256.hex(),
        "stored_as": WAYS[stored.way],
        "piece_bytes": sum(place.length for place in piece_places(stored)),
    }


def describe_reader(reader: ContainerReader) -> dict[str, Any]:
    """Describe an open archive from its footer. Raises ``FormatError``."""
    footer, file_bytes = reader.footer, reader.source.size
    first = footer.decoders[0]
    network = network_of(reader, first)
    denoising = None if network is None else network.header.denoising
    return {
        "format_version": FORMAT_VERSION,
        "generation": footer.generation,
        "pictures": footer.pictures,
        "files": footer.files,
        "removed": footer.next_index - footer.members,
        "index_bits": index_bits(reader),
        "file_bytes": file_bytes,
        "pixels": footer.pixels,
        "bits_per_pixel": _rate(file_bytes, footer.pixels),
        "bits_per_pixel_with_autoencoder": _rate(file_bytes + needed_weight_bytes(reader), footer.pixels),
        "seed": footer.seed,
        "steps": 0 if denoising is None else denoising.steps,
        "latent_std": None if denoising is None else denoising.latent_std,
        "prediction": None if denoising is None else denoising.prediction,
        "latent_step": first.latent_step,
        "autoencoder": _autoencoder(first),
        "self_contained": any(attachment.letter == MODEL for attachment in footer.attachments),
        "decoders": [_decoder(decoder) for decoder in footer.decoders],
        "network": _network(network),
        "weights": _weights(network),
        "codes": _codes(reader, first),
        "parts": [{"part": p.part, "pictures": p.pictures, "bytes": p.bytes} for p in parts_of(reader)],
    }


def _rate(file_bytes: int, pixels: int) -> float | None:
    return 8 * file_bytes / pixels if pixels else None


def index_bits(reader: ContainerReader) -> int:
    """Return the bits of an index: ceil(log2) of the number of assigned indices."""
    return max(0, reader.footer.next_index - 1).bit_length()


def parts_of(reader: ContainerReader) -> list[ArchivePart]:
    """Return the parts of a file with their bytes."""
    footer = reader.footer
    parts = [ArchivePart(part=CODECS[t.codec], pictures=t.pictures, bytes=t.bytes) for t in footer.totals]
    attached = sum(a.length for a in footer.attachments if a.letter in (MODEL, TEXT))
    if attached:
        parts.append(ArchivePart(part="model and specification", pictures=None, bytes=attached))
    weights = {decoder.weights.offset: decoder.weights.length for decoder in footer.decoders if decoder.weights}
    if weights:
        parts.append(ArchivePart(part="weights", pictures=None, bytes=sum(weights.values())))
    rest = reader.source.size - sum(part.bytes for part in parts)
    return [*parts, ArchivePart(part="index and names", pictures=None, bytes=rest)]


def needed_weight_bytes(reader: ContainerReader) -> int:
    """Return the bytes of weights that decoding requires and the file lacks; 0 if all pictures are AVIF."""
    footer = reader.footer
    if any(attachment.letter == MODEL for attachment in footer.attachments):
        return 0
    if not any(total.codec in DECODED_BY_MODEL for total in footer.totals):
        return 0
    return sum({decoder.model.name: decoder.model.weight_bytes for decoder in footer.decoders}.values())


def network_of(reader: ContainerReader, decoder: Decoder) -> StoredNetwork | None:
    """Return the network of a decoder; None without one. Raises ``FormatError``."""
    if not decoder.is_network or decoder.weights is None:
        return None
    return parse_network(reader.weights(decoder.weights), decoder.model, decoder.latent_step)


def _autoencoder(decoder: Decoder) -> dict[str, Any]:
    model = decoder.model
    return {
        "name": model.name,
        "class": model.class_name,
        "fingerprint": model.fingerprint.hex(),
        "bytes": model.weight_bytes,
        "latent_channels": model.latent_channels,
        "downsampling": model.downsampling,
    }


def _decoder(decoder: Decoder) -> dict[str, Any]:
    return {
        "model": decoder.model.name,
        "kind": KINDS[decoder.kind],
        "latent_step": decoder.latent_step,
        "level": None if decoder.kind else decoder.level,
        "weight_bytes": decoder.weights.length if decoder.weights else 0,
    }


def _network(network: StoredNetwork | None) -> dict[str, Any]:
    """Describe a network. Without one, there are 0 parameters, and other values are None."""
    settings = [field.name for field in fields(NetworkConfig)]
    if network is None or network.header.denoising is None:
        return {"parameters": 0, **dict.fromkeys(settings)}
    from unicorn_codec.weights.weight_section import weight_summary  # slow to import, and only of use here

    config = network.header.denoising.network
    return {
        "parameters": weight_summary(network.weights).count,
        **{name: getattr(config, name) for name in settings},
    }


def _weights(network: StoredNetwork | None) -> dict[str, Any]:
    bits = ("bits_per_weight", "exponent_bits", "mantissa_bits", "bias")
    if network is None:
        return {"format": None, **dict.fromkeys(bits), "bytes": 0}
    from unicorn_codec.weights.weight_section import weight_summary

    weights, summary = network.weights, weight_summary(network.weights)
    form = summary.format
    if form is None:
        mean_bits = 8 * len(weights) / summary.count
        return {"format": "integer", **dict.fromkeys(bits), bits[0]: mean_bits, "bytes": len(weights)}
    return {
        "format": "float",
        **dict(zip(bits, (form.bits, form.exponent_bits, form.mantissa_bits, form.bias), strict=True)),
        "bytes": len(weights),
    }


def _codes(reader: ContainerReader, first: Decoder) -> dict[str, Any]:
    """Describe the records of codes, including their headers."""
    code_bytes = sum(total.bytes for total in reader.footer.totals if total.codec in OF_CODES)
    if first.is_network:
        return {"level": None, "latent_step": None, "bytes": 0, "bits_per_pixel": 0.0}
    return {
        "level": None if first.is_functions else first.level,
        "latent_step": first.latent_step,
        "bytes": code_bytes,
        "bits_per_pixel": _rate(code_bytes, reader.footer.pixels),
    }


def _entries(reader: ContainerReader, *, with_dates: bool) -> Iterator[dict[str, Any]]:
    """One entry a picture, by index; the name is None if it has none, the PSNR and the date if they are not known."""
    for leaf in reader.leaves():
        try:
            names = reader.names_of(leaf)
        except FormatError as error:
            warnings.warn(f"pictures are called by their index: {error}", DamagedSectionWarning, stacklevel=4)
            names = None
        for index in leaf.living.tolist():
            row = leaf.row(index)
            assert row is not None, "it lives"
            known = {
                "date": metadata_of(reader, row, _warn_of_metadata).date if with_dates else None,
                "alpha_bytes": alpha_bytes_of(reader, row) if with_dates else None,
            }
            yield entry_of(row, (names[index - leaf.first] or None) if names else None) | known


def alpha_bytes_of(reader: ContainerReader, row: Row) -> int | None:
    """Return the bytes of a picture's opacity, 0 for an opaque one; None if its record is damaged."""
    try:
        return reader.details(row).alpha_bytes
    except FormatError:
        return None


def _warn_of_metadata(error: FormatError) -> None:
    warnings.warn(f"metadata is damaged: {error}", DamagedSectionWarning, stacklevel=5)


def entry_of(row: Row, name: str | None) -> dict[str, Any]:
    """Describe a picture by its row and name."""
    return {
        "index": row.index,
        "name": name,
        "width": row.width,
        "height": row.height,
        "codec": CODECS[row.codec],
        "record_bytes": row.length,
        "psnr_db": psnr_of_code(row.psnr),
    }
