"""Addition of pictures to an archive, as a new generation with the coding of the existing ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unicorn_codec.archive import Archive
from unicorn_codec.codes.context_model import load_context_model
from unicorn_codec.config import CodesOptions
from unicorn_codec.decoders.loading import check_model
from unicorn_codec.devices import choose_device
from unicorn_codec.errors import InvalidSetting
from unicorn_codec.format.chunks import MODEL
from unicorn_codec.format.decoder_table import OF_CODES, Decoder
from unicorn_codec.format.fields import check
from unicorn_codec.format.growth import growing
from unicorn_codec.format.header import Header
from unicorn_codec.format.names import check_name
from unicorn_codec.format.network_table import parse_update
from unicorn_codec.format.reader import ContainerReader
from unicorn_codec.format.sources import FileSource, TailedSource
from unicorn_codec.format.writer import ContainerWriter
from unicorn_codec.measurement import Matching, Measured, measure
from unicorn_codec.packing.archive_writing import matching_of, write_pictures
from unicorn_codec.packing.effort_planning import plan_rounds
from unicorn_codec.packing.importance import importance_of
from unicorn_codec.packing.into_codes import new_encoder, without_pictures
from unicorn_codec.packing.observer import Observer
from unicorn_codec.packing.original_metadata import OriginalMetadata
from unicorn_codec.packing.packed import PackedPictures
from unicorn_codec.packing.picture_source import PictureSource
from unicorn_codec.packing.self_contained import attach_model, is_wanted_now
from unicorn_codec.packing.whole_files import WholeFiles
from unicorn_codec.pictures.picture_files import LeftOut, OtherFile, printable
from unicorn_codec.pictures.picture_folder import Note, list_folder
from unicorn_codec.shards.inputs import Inputs, folder_of
from unicorn_codec.transform.autoencoder import PackagedAutoencoder, load_autoencoder

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AddReport:
    """Outcome of an addition, measured on the written file.

    Args:
        indices: of the added pictures and other files, ascending.
        kept: files that were stored whole without being read as pictures, with the reasons.
        added_bytes: growth of the file.
        seconds: without the time for measuring.
    """

    indices: tuple[int, ...]
    pictures: int
    file_bytes: int
    added_bytes: int
    generation: int
    measured: Measured
    seconds: float
    kept: tuple[OtherFile, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[Note, ...]


def add(
    path: Path | str, inputs: Inputs, options: CodesOptions | None = None, observer: Observer | None = None
) -> AddReport:
    """Add all pictures below a folder, or in shards, to an archive of codes. Existing bytes and indices do not change.

    Args:
        inputs: a folder, or one or more tar and parquet files.
        options: effort, time, device, seed, metadata, originals, reading options, ``self_contained``, ``roi`` and a
            folder of masks are used. The archive determines everything else, including ``max_side`` and the background.

    Raises:
        ArchiveBusy: another process is writing to the archive.
        InvalidSetting: the archive holds a network, or already has one of the names; or there is a table of importance.
        UnicornError: see ``errors``; the archive is then unchanged.
    """
    path, options, observer = Path(path), options or CodesOptions(), observer or Observer()
    with growing(path):  # refuse what is no archive before shards are unpacked
        pass
    with folder_of(inputs, path, observer.of_stage("unpacking")) as found:
        report = add_folder(path, found.root, options, observer)
    return replace(report, left_out=(*found.left_out, *report.left_out))


def add_folder(path: Path, folder: Path, options: CodesOptions, observer: Observer) -> AddReport:
    """Add all pictures below a folder. Options, errors and result are those of ``add``."""
    started = time.monotonic()
    before = path.stat().st_size if path.exists() else 0
    with growing(path) as (reader, writer):
        number = last_of_codes(reader)
        read = replace(options.read, max_side=reader.footer.read.max_side, background=reader.footer.read.background)
        listed = list_folder(folder, read, observer.of_stage("reading"), options.originals, output=path)
        check_new_names(reader, listed.all_names)
        factors, pictures = importance_of(PictureSource(listed, read), options)
        check(not factors, "a table of importance needs other quantisation steps than the archive has: give masks")
        shipped = load_shipped(reader.decoder(number), options.device)
        packed = encode_like(reader.decoder(number), pictures, shipped, reader, options, observer, path.parent)
        metadata = OriginalMetadata(pictures, options.metadata)
        storing = observer.of_stage("storing")
        indices = write_pictures(writer, packed, number, metadata, WholeFiles(listed), storing)
        writer.flush()
        has_model = any(attachment.letter == MODEL for attachment in reader.footer.attachments)
        if not has_model and is_wanted_now(options.self_contained, reader.end, writer.offset, shipped):
            attach_model(writer, reader.decoder(number))
        seconds = time.monotonic() - started
        measured = measure_new(path, writer, pictures, matching_of(listed, indices), shipped, observer)
        writer.commit(seed=options.seed, psnrs=measured.psnr_codes())
    with Archive.open(path) as written:
        return AddReport(
            indices=tuple(np.sort(indices).tolist()),
            pictures=len(written),
            file_bytes=written.reader.source.size,
            added_bytes=written.reader.source.size - before,
            generation=written.reader.footer.generation,
            measured=measured,
            seconds=seconds,
            kept=tuple(OtherFile(printable(file.name), file.reason) for file in listed.others),
            left_out=tuple(listed.left_out),
            notes=(*listed.notes, *metadata.notes),
        )


def last_of_codes(reader: ContainerReader) -> int:
    """Return the number of the latest decoder of codes. Raises ``InvalidSetting`` without one."""
    for number, decoder in reversed(list(enumerate(reader.footer.decoders))):
        if decoder.kind == OF_CODES:
            return number
    if any(decoder.is_functions for decoder in reader.footer.decoders):
        raise InvalidSetting("this archive holds overfitted functions, and adding makes none: pack all again")
    raise InvalidSetting("this archive is the weights of one network, which learns no more pictures: pack all again")


def check_new_names(reader: ContainerReader, names: Sequence[str]) -> None:
    """Raise ``InvalidSetting`` if the archive already has a picture with one of these names."""
    for name in names:
        check_name(name)
    taken = [name for name in names if any(reader.name(index) == name for index in reader.find(name))]
    if taken:
        shown = ", ".join(map(printable, taken[:NAMES_SHOWN]))
        more = f" and {len(taken) - NAMES_SHOWN} more" if len(taken) > NAMES_SHOWN else ""
        raise InvalidSetting(f"the archive has these names already: {shown}{more}; remove those pictures first")


def load_shipped(decoder: Decoder, device: str) -> PackagedAutoencoder:
    """Return a decoder's packaged autoencoder, without the archive's update."""
    model = load_context_model(decoder.model.name)
    shipped = load_autoencoder(decoder.model.name, choose_device(device), decoder.model.latent_channels)
    if not isinstance(shipped, PackagedAutoencoder):
        raise InvalidSetting(f"no code can be made for the autoencoder {printable(decoder.model.name)!r}")
    check_model(decoder, [shipped.reference.model(model.sha256).fingerprint], decoder.model.name)
    return shipped


def encode_like(
    decoder: Decoder,
    pictures: PictureSource,
    shipped: PackagedAutoencoder,
    reader: ContainerReader,
    options: CodesOptions,
    observer: Observer,
    work: Path,
) -> PackedPictures:
    """Code pictures at the step of a decoder, with its update of the models; ``work`` is for temporary files."""
    model = load_context_model(decoder.model.name)
    if not len(pictures):
        return without_pictures(shipped, model, options.seed)
    encoder = new_encoder(pictures, shipped, model, work)
    if decoder.weights is not None:
        encoder = encoder.with_update(parse_update(reader.weights(decoder.weights)))
    rounds = plan_rounds(encoder, options, decoder.latent_step)
    codes = encoder.encode(decoder.latent_step, observer.of_stage("coding"), rounds=rounds)
    header = Header(
        pictures=len(pictures),
        seed=options.seed,
        latent_step=decoder.latent_step,
        autoencoder=shipped.reference,
        denoising=None,
    )
    folder = pictures.folder
    return PackedPictures(header=header, sizes=folder.sizes, names=folder.names, codes=codes, alphas=encoder.alphas)


def measure_new(
    path: Path,
    writer: ContainerWriter,
    pictures: PictureSource,
    matching: Matching,
    shipped: PackagedAutoencoder,
    observer: Observer,
) -> Measured:
    """Measure the new pictures as decoded from the new generation, before it is committed."""
    tail = writer.preview()
    source = TailedSource(FileSource(path), writer.offset, tail)
    with Archive.of(ContainerReader(source), shipped, max_pixels=pictures.read.max_pixels) as archive:
        return measure(archive, pictures.folder, pictures.read, observer.of_stage("measuring"), matching)
